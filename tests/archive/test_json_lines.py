"""Files that are no archives: one bundle, or JSON Lines of bundles (C1, V1)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mirror.archive import ReadLimits
from mirror.core.bundle import parse_bundle
from tests.archive.tar_builders import (
    COMPRESSIONS,
    Reading,
    bundle_files,
    bundle_text,
    plain_tar,
    read,
)
from tests.helpers import code_of

ONE, TWO, THREE = (bundle_text(number) for number in (1, 2, 3))
PRETTY = json.dumps(json.loads(ONE), indent=2, ensure_ascii=False).encode()
BROKEN = b'{"bundle_type": broken'

FORMS = {
    "compact": ONE,
    "compact, LF": ONE + b"\n",
    "compact, CRLF": ONE + b"\r\n",
    "blank lines around": b"\n \r\n" + ONE + b"\n\n",
    "pretty": PRETTY,
    "pretty, LF": PRETTY + b"\n",
    "pretty, CRLF": PRETTY.replace(b"\n", b"\r\n") + b"\r\n",
    "pretty, blank lines within": PRETTY.replace(b"\n", b"\n\n"),
    "opened on a line by itself": b"{\n" + ONE[1:],
}


def verdicts(reading: Reading) -> list[tuple[str, str | None]]:
    """The name of each member and the code that it is refused with, or None."""
    return [(name, code_of(lambda: parse_bundle(data))) for name, data in reading.members]  # noqa: B023


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_one_bundle_in_any_layout_is_one_member(text: bytes, compression: str) -> None:
    """C1: a file that is one JSON value is one bundle, on any number of lines."""
    reading = read(COMPRESSIONS[compression](text))
    assert ([("", None)], []) == (verdicts(reading), reading.refused)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    "text",
    [
        ONE + b"\n" + TWO + b"\n\n" + THREE + b"\n",
        ONE + b"\n" + TWO + b"\n \t\n" + THREE,
        ONE + b"\r\n" + TWO + b"\r\n\r\n" + THREE + b"\r\n",
    ],
    ids=["LF", "no final LF", "CRLF"],
)
def test_json_lines_are_named_by_their_number_and_blank_lines_are_skipped(
    text: bytes, compression: str
) -> None:
    """C1, V1: every line that is not blank is a member."""
    reading = read(COMPRESSIONS[compression](text))
    assert [("line 1", None), ("line 2", None), ("line 4", None)] == verdicts(reading)
    assert [ONE, TWO, THREE] == [data.strip() for _, data in reading.members]
    assert [] == reading.refused


@pytest.mark.parametrize("faulty", [BROKEN, b"}", b"\xff\xfe", b"[1,", b"\xef\xbb\xbf" + ONE])
@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_a_faulty_line_refuses_only_itself(faulty: bytes, place: int) -> None:
    """V1: the other lines are read, wherever an invalid line is, also first or last."""
    lines = [ONE, TWO, THREE]
    lines.insert(place - 1, faulty)
    reading = read(b"\n".join(lines) + b"\n")
    expected = [(f"line {n}", "json.syntax" if n == place else None) for n in (1, 2, 3, 4)]
    assert (expected, []) == (verdicts(reading), reading.refused)


def test_several_faulty_lines_before_the_first_bundle_refuse_only_themselves() -> None:
    """V1: a run of invalid lines does not make the file one invalid bundle."""
    reading = read(b"\n".join([BROKEN, BROKEN, ONE, TWO]))
    expected = [("line 1", "json.syntax"), ("line 2", "json.syntax")]
    assert [*expected, ("line 3", None), ("line 4", None)] == verdicts(reading)


def test_a_line_that_is_a_value_but_no_bundle_refuses_only_itself() -> None:
    """V1, B1: a list among bundles is a member like the others, and is refused."""
    reading = read(b"[1]\n" + ONE + b"\n7\n" + TWO)
    codes = [code for _, code in verdicts(reading)]
    assert ["bundle.shape", None, "bundle.shape", None] == codes


@pytest.mark.parametrize("final", [b"", b"\n"], ids=["no final LF", "LF"])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_an_overlong_line_refuses_only_itself(place: int, final: bytes) -> None:
    """B4, V1: a line longer than a bundle may be is `limit.size`, and the others are read."""
    lines = [ONE, TWO]
    lines.insert(place - 1, b'"' + b"x" * 5000 + b'"')
    reading = read(b"\n".join(lines) + final, ReadLimits(line_bytes=2000))
    assert [ONE, TWO] == [data.strip() for _, data in reading.members]
    assert [(f"line {place}", "limit.size")] == reading.refused


@pytest.mark.parametrize("excess", [0, 1])
def test_a_line_may_be_exactly_as_long_as_the_limit(excess: int) -> None:
    """B4: the limit is inclusive, its line end counted."""
    reading = read(ONE + b"\n" + TWO, ReadLimits(line_bytes=len(ONE) + 1 - excess))
    assert ["limit.size"] * excess == reading.codes
    assert 2 - excess == len(reading.members)


def test_a_faulty_first_line_is_not_lost_before_an_overlong_line() -> None:
    """V1, B4: neither error hides the other, and neither hides the bundle after them."""
    text = b"\n".join([BROKEN, b'"' + b"x" * 5000 + b'"', ONE])
    reading = read(text, ReadLimits(line_bytes=2000))
    assert [("line 1", "json.syntax"), ("line 3", None)] == verdicts(reading)
    assert [("line 2", "limit.size")] == reading.refused


def test_a_faulty_first_line_is_not_lost_before_a_large_bundle() -> None:
    """V1: the lines together may be larger than the limit of one bundle."""
    reading = read(BROKEN + b"\n" + ONE + b"\n" + TWO, ReadLimits(bundle_bytes=len(ONE) + 10))
    expected = [("line 1", "json.syntax"), ("line 2", None), ("line 3", None)]
    assert (expected, []) == (verdicts(reading), reading.refused)


def test_a_bundle_over_many_lines_that_is_too_large_is_refused_once() -> None:
    """B4: `limit.size`, not a syntax error for each remaining line."""
    reading = read(PRETTY, ReadLimits(bundle_bytes=500))
    assert ([], ["limit.size"]) == (reading.members, reading.codes)


def test_lines_beyond_the_count_are_refused_together() -> None:
    """B4: `limit.count` once, and members before it are read."""
    reading = read(b"\n".join([ONE, TWO, THREE]), ReadLimits(members=2))
    assert ([("line 1", None), ("line 2", None)], ["limit.count"]) == (
        verdicts(reading),
        reading.codes,
    )


@pytest.mark.parametrize("text", [b"", b"\n", b"\n\n \r\n\t\n"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_blank_file_is_refused(text: bytes, compression: str) -> None:
    """V1: an empty text is not a value, and is reported."""
    reading = read(COMPRESSIONS[compression](text))
    assert [("", "json.syntax")] == verdicts(reading)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", ["a", "a.json", "a.tar", "a.gz", "a.tar.zst", "-"])
def test_the_format_of_a_file_is_detected_by_its_content(
    tmp_path: Path, name: str, compression: str
) -> None:
    """C1: the format does not depend on the name."""
    (tmp_path / name).write_bytes(COMPRESSIONS[compression](ONE))
    assert [ONE] == [data for _, data in read(tmp_path / name).members]
    (tmp_path / name).write_bytes(COMPRESSIONS[compression](plain_tar({"bundle.json": TWO})))
    assert {"bundle.json": TWO} == read(tmp_path / name).files


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    "content",
    [ONE, ONE + b"\n" + TWO + b"\n", plain_tar(bundle_files("a/bundle.json", "b/bundle.json"))],
    ids=["bundle", "lines", "tar"],
)
def test_a_pipe_is_read_like_a_file(tmp_path: Path, content: bytes, compression: str) -> None:
    """C1: a stream that cannot be read twice gives the same items."""
    data = COMPRESSIONS[compression](content)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[data])
    writer.start()
    reading = read(pipe)
    writer.join()
    assert read(data) == reading


@pytest.mark.parametrize(
    ("compression", "content", "exit_code", "count"),
    [
        ("plain", ONE, 0, 0),
        ("gzip", ONE + b"\n" + BROKEN + b"\n" + TWO, 1, 1),
        ("zstd", plain_tar(bundle_files("a/bundle.json", "b/bundle.json")), 0, 0),
    ],
    ids=["bundle", "lines", "tar"],
)
def test_standard_input_is_verified(
    tmp_path: Path, content: bytes, exit_code: int, count: int, compression: str
) -> None:
    """C1: `mirror verify -` reads any container from a pipe."""
    program = Path(sys.executable).with_name("mirror")
    done = subprocess.run(
        [program, "verify", "--json", "--db", tmp_path / "none.db", "-"],
        input=COMPRESSIONS[compression](content),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (exit_code, count) == (done.returncode, len(done.stdout.splitlines())), done.stderr
