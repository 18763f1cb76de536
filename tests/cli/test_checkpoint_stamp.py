"""`mirror checkpoint stamp`, `upgrade` and `proof`, as people run them, with a real calendar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentimestamps.core.serialize import BytesDeserializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile

from mirror.core.values import sha256
from tests.builders import make_bundle, make_record, to_json
from tests.calendars import Calendar, running
from tests.chains import chain, roots
from tests.cli.conftest import Mirror, Ran

NETWORK = ("--allow-private", "--retries", "0", "--rate", "0")


@pytest.fixture
def calendar() -> Iterator[Calendar]:
    """An honest calendar."""
    with running() as found:
        yield found


def _sign(mirror: Mirror, name: str = "note", db: str = "mirror.db") -> str:
    """Sign a checkpoint in a file, and return the public key."""
    mirror("merge", "-", "--db", db, stdin=to_json(make_bundle(make_record())))
    key = mirror("keys", "new", f"{name}.key", "--name", f"{name}.example/pith", "--json")
    sign = ("checkpoint", "sign", "--key", f"{name}.key", "--out", f"{name}.txt", "--db", db)
    assert mirror(*sign).exit_code == 0
    return str(_line(key)["public_key"])


def _run(mirror: Mirror, *arguments: object) -> Ran:
    return mirror("checkpoint", *arguments, *NETWORK)


def _line(ran: Ran) -> Any:
    (line,) = ran.lines
    return line


def test_a_checkpoint_from_its_promise_to_its_block(
    mirror: Mirror, calendar: Calendar, tmp_path: Path
) -> None:
    """Each step says what the proof shows so far, and so do `list` and `verify`."""
    _sign(mirror)
    stamped = _run(mirror, "stamp", "--calendar", calendar.url, "--json")
    said = _line(stamped)
    assert (0, 1, "pending") == (stamped.exit_code, said["checkpoint"], said["proof"]["status"])
    assert said["calendars"] == [
        {"calendar": calendar.url, "status": "promised", "code": "", "message": ""}
    ]
    assert _run(mirror, "upgrade").exit_code == 1  # not in a block yet
    calendar.height = 5
    upgraded = _run(mirror, "upgrade", "--json")
    assert (0, "no_header_yet") == (upgraded.exit_code, _line(upgraded)["proof"]["status"])
    made = chain([calendar.root(calendar.commitments[0]), *roots(2)])
    (tmp_path / "headers.bin").write_bytes(b"".join(made))
    assert mirror("headers", "add", "headers.bin", "--height", "5").exit_code == 0
    listed = _line(mirror("checkpoint", "list", "--json"))
    assert (1, "anchored") == (listed["number"], listed["proof"]["status"])
    assert listed["proof"]["at"] == "2026-05-28T20:26:40Z"
    assert b"anchored: block 5" in mirror("checkpoint", "list").stdout


def test_a_verified_note_shows_its_proof(mirror: Mirror, calendar: Calendar) -> None:
    """Another mirror's checkpoint can be stamped here, too."""
    _sign(mirror)
    verifier = _sign(mirror, "theirs", "other.db")
    verify = ("verify", "theirs.txt", "--verifier", verifier)
    assert _line(mirror("checkpoint", *verify, "--json"))["proof"] is None
    stamped = _run(mirror, "stamp", "--calendar", calendar.url, "--checkpoint", "2", "--json")
    assert _line(stamped)["checkpoint"] == 2
    assert _line(mirror("checkpoint", *verify, "--json"))["proof"]["status"] == "pending"
    assert b"time-stamp  pending: " in mirror("checkpoint", *verify).stdout
    calendar.height = 5
    assert _run(mirror, "upgrade", "--checkpoint", "2").exit_code == 0
    Path("headers.bin").write_bytes(b"".join(chain(roots(2))))
    mirror("headers", "add", "headers.bin", "--height", "5")
    false = mirror("checkpoint", *verify, "--json")
    assert (1, "not_in_this_block") == (false.exit_code, _line(false)["proof"]["status"])


def test_the_proof_is_written_for_other_clients(
    mirror: Mirror, calendar: Calendar, tmp_path: Path
) -> None:
    """It is about the note as `sign --out` wrote it."""
    _sign(mirror)
    missing = mirror("checkpoint", "proof", "note.txt.ots")
    assert (1, True) == (missing.exit_code, "checkpoint.no_proof" in missing.stderr)
    assert not (tmp_path / "note.txt.ots").exists()
    _run(mirror, "stamp", "--calendar", calendar.url)
    assert mirror("checkpoint", "proof", "note.txt.ots").exit_code == 0
    data = (tmp_path / "note.txt.ots").read_bytes()
    found = DetachedTimestampFile.deserialize(BytesDeserializationContext(data))
    assert found.file_digest == sha256((tmp_path / "note.txt").read_bytes())


def test_exit_codes_depend_on_the_calendars_that_failed(mirror: Mirror, calendar: Calendar) -> None:
    """None reached, one of two, and an answer that is no proof."""
    _sign(mirror)
    closed = ("--calendar", "http://127.0.0.1:9")
    assert _run(mirror, "stamp", *closed).exit_code == 5
    both = _run(mirror, "stamp", *closed, "--calendar", calendar.url)
    assert (1, True) == (both.exit_code, b"upstream.unreachable" in both.stdout)
    calendar.says = b"<html>"
    false = _run(mirror, "stamp", "--calendar", calendar.url)
    assert (1, True) == (false.exit_code, b"calendar.shape" in false.stdout)
    private = mirror("checkpoint", "stamp", "--calendar", calendar.url)
    assert (5, True) == (private.exit_code, b"upstream.private" in private.stdout)
    assert mirror("checkpoint", "stamp", "--calendar", "ftp://a.example").exit_code == 5
    assert mirror("checkpoint", "stamp").exit_code == 2
    assert mirror("checkpoint", "proof", "x.ots", "--checkpoint", "first").exit_code == 2
