"""`mirror headers`: what a person gives and sees."""

from __future__ import annotations

from pathlib import Path

from tests.chains import chain, roots
from tests.cli.conftest import Mirror

CHAIN = chain(roots(4))


def test_headers_are_added_and_listed(mirror: Mirror, tmp_path: Path) -> None:
    """The output has the difficulty of the chain."""
    (tmp_path / "headers").write_bytes(b"".join(CHAIN[:3]))
    added = mirror("headers", "add", "headers", "--height", 7)
    assert (added.exit_code, b"3 new, 0 known before" in added.stdout) == (0, True)
    assert b"such a chain costs nothing to make" in added.stdout
    again = mirror("headers", "add", "-", "--height", 8, "--json", stdin=b"".join(CHAIN[1:]))
    counts = {"first_height": 8, "last_height": 10, "new": 1, "known": 2}
    assert again.lines == [{"form": "raw headers", **counts, "anchors": {}}]
    (listed,) = mirror("headers", "list", "--json").lines
    assert (listed["first"]["height"], listed["last"]["height"]) == (7, 10)
    assert (listed["headers"], listed["work"]) == (4, "8")
    table = mirror("headers", "list").stdout.decode()
    assert "4 headers, each linked to the one before" in table
    assert listed["last"]["hash"] in table


def test_a_forged_header_is_exit_3_and_nothing_is_stored(mirror: Mirror, tmp_path: Path) -> None:
    """The message has the code, the file and the height; the hint says what to do."""
    (tmp_path / "headers").write_bytes(CHAIN[0] + CHAIN[1][:72] + bytes(8))
    refused = mirror("headers", "add", "headers", "--height", 7)
    assert refused.exit_code == 3
    assert "error: headers.work at headers: height 8: " in refused.stderr
    assert "hint: " in refused.stderr
    assert mirror("headers", "list").stdout == (
        b"headers  none: `mirror headers add FILE` adds some\n"
    )


def test_a_file_that_cannot_be_read_is_named(mirror: Mirror) -> None:
    ran = mirror("headers", "add", "absent")
    assert (ran.exit_code, "absent" in ran.stderr) == (3, True)
