"""Limits (B4): what is too large, too many or too slow is refused, in bounded memory and time."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirror.cli import main
from tests.archive.measured_commands import MeasuredCommands
from tests.builders import (
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)

MEMORY_BYTES = 700 * 1024 * 1024
"""Address space of a process that reads a bomb, in bytes, with the program itself."""

RECORD = make_record()
GOOD = to_json(make_bundle(RECORD))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeasuredCommands]:
    """A process that has loaded `mirror verify` and `mirror merge`."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "good.json").write_bytes(GOOD)
    with MeasuredCommands.started(folder) as server:
        server.load("verify", "good.json")
        server.load("merge", "--db", "loaded.db", "good.json")
        yield server


def _verify(server: MeasuredCommands, source: Path, *options: str) -> list[str]:
    """Codes of the findings of a process with limited memory and time."""
    arguments = ("verify", str(source), "--json", *options)
    done = server.run(*arguments, address_space=MEMORY_BYTES)
    assert done.exit_code in {0, 1}, done.errors[-2000:]
    return [json.loads(line)["code"] for line in done.output]


def _codes(server: MeasuredCommands, folder: Path, content: bytes, *options: str) -> list[str]:
    path = folder / "source"
    path.write_bytes(content)
    return _verify(server, path, *options)


def _codes_here(folder: Path, content: bytes, *options: str) -> list[str]:
    """Codes of the findings in this process, where memory and time do not matter."""
    path = folder / "source"
    path.write_bytes(content)
    done = CliRunner().invoke(main, ["verify", str(path), "--json", *options])
    assert done.exit_code in {0, 1}, done.output
    return [json.loads(line)["code"] for line in done.stdout.splitlines()]


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _zstd_bomb(megabytes: int) -> bytes:
    """A zstd frame of blocks that repeat one byte (RFC 8878, section 3.1.1.2)."""
    size, repeats = 1 << 17, 1 << 1
    block = (size << 3 | repeats).to_bytes(3, "little") + b"["
    last = (size << 3 | repeats | 1).to_bytes(3, "little") + b"["
    window = 7 << 3  # of a block's size
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + block * (8 * megabytes - 1) + last


def _gzip_bomb(megabytes: int) -> bytes:
    """A gzip member: a block of a megabyte that needs no earlier data, repeated."""
    compressor, blank = zlib.compressobj(9, zlib.DEFLATED, -15), b" " * (1 << 20)
    block = compressor.compress(blank) + compressor.flush(zlib.Z_FULL_FLUSH)
    trailer = bytes(8)  # reading never comes so far
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + block * megabytes + compressor.flush() + trailer


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "zstd": (lambda: _zstd_bomb(1300), "limit.ratio"),
    "gzip": (lambda: _gzip_bomb(512), "limit.ratio"),
    "gzip of gzip": (lambda: gzip.compress(_gzip_bomb(256)), "archive.format"),
    "brackets": (lambda: b"[" * 100_000, "json.depth"),
    "braces": (lambda: b'{"a":' * 100_000, "json.depth"),
    "digits": (lambda: b"1" * 1_000_000, "json.number"),
    "fraction": (lambda: b"[0." + b"1" * 1_000_000 + b"]", "bundle.shape"),
    "key": (lambda: b'{"' + b"k" * 10_000_000 + b'":1}', "bundle.shape"),
    "empty lists": (lambda: b"[" + b"[]," * 5_000_000 + b"[]]", "limit.count"),
    "events": (
        lambda: to_json({**make_bundle(RECORD), "events": [1] * 1_000_000}),
        "limit.count",
    ),
    "one line": (lambda: b'"' + b"x" * 20_000_000, "limit.size"),
    "many lines": (lambda: b"[\n" + b"1,\n" * 400_000, "limit.size"),
}
SMALLER = {"many lines": ["--max-bundle=1000000"]}
"""Options with which a smaller bomb suffices."""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_bounded_memory_and_time(
    name: str, server: MeasuredCommands, tmp_path: Path
) -> None:
    """One finding with its code; no crash and no hang."""
    make, code = BOMBS[name]
    assert [code] == _codes(server, tmp_path, make(), *SMALLER.get(name, []))


def test_a_bomb_in_an_archive_does_not_stop_the_others(
    server: MeasuredCommands, tmp_path: Path
) -> None:
    """Each member is refused by itself."""
    members = {
        "a/bundle.json": b"[" * 100_000,
        "b/bundle.json": GOOD,
        "c/bundle.json": b" " * 17_000_000,
        "d/bundle.json": b"1" * 1_000_000,
        "e/bundle.json": GOOD,
    }
    codes = _codes(server, tmp_path, _tar(members))
    assert ["json.depth", "limit.size", "json.number"] == codes


def test_an_archive_of_many_empty_members_is_walked_or_cut_off(tmp_path: Path) -> None:
    """By default each is reported; a limit stops with one finding."""
    content = _tar({f"{number}/bundle.json": b"" for number in range(1500)})
    assert ["json.syntax"] * 1500 == _codes_here(tmp_path, content)
    assert ["json.syntax"] * 10 + ["limit.count"] == _codes_here(
        tmp_path, content, "--max-members", "10"
    )


def test_an_archive_that_expands_too_far_is_cut_off(tmp_path: Path) -> None:
    """Members before the limit are read."""
    members = {"a/bundle.json": GOOD} | {
        f"b{number}/filler": bytes(1 << 20) for number in range(70)
    }
    content = gzip.compress(_tar(members))
    fillers = "archive.other_files"
    assert ["limit.ratio", fillers] == _codes_here(tmp_path, content)
    assert [fillers] == _codes_here(tmp_path, content, "--max-ratio", "2000")
    expanded = ("--max-ratio", "2000", "--max-expanded", "50000000")
    assert ["limit.ratio", fillers] == _codes_here(tmp_path, content, *expanded)


@pytest.mark.parametrize(
    ("option", "content", "code"),
    [
        ("--max-member=100", _tar({"bundle.json": GOOD}), "limit.size"),
        ("--max-line=100", GOOD + b"\n" + GOOD, "limit.size"),
        ("--max-bundle=100", json.dumps(json.loads(GOOD), indent=1).encode(), "limit.size"),
        ("--max-members=1", GOOD + b"\n" + GOOD, "limit.count"),
        ("--max-values=9", GOOD, "limit.count"),
        ("--max-record=100", GOOD, "limit.size"),
        ("--max-events=1", GOOD, "limit.count"),
        ("--max-depth=2", GOOD, "limit.count"),
    ],
)
def test_every_limit_is_an_option(option: str, content: bytes, code: str, tmp_path: Path) -> None:
    """There is no finding without the option, and one with its code with it."""
    assert [] == _codes_here(tmp_path, content)
    assert {code} == set(_codes_here(tmp_path, content, option))


def test_limits_on_unsigned_items_are_options(tmp_path: Path) -> None:
    """Without them, each item has its own code; with them, the bundle is refused."""
    receipt = make_receipt(RECORD, Signer("stranger"))
    content = to_json(make_bundle(RECORD, [1, 2], [receipt]))
    assert ["receipt.key_unknown", "event.shape", "event.shape"] == _codes_here(tmp_path, content)
    assert ["limit.count"] == _codes_here(tmp_path, content, "--max-invalid", "1")
    assert ["limit.size"] == _codes_here(tmp_path, content, "--max-receipt", "9")


def _peak_bytes(server: MeasuredCommands, folder: Path, content: bytes, command: str) -> int:
    """The peak memory of a process that reads a bundle."""
    path = folder / "source"
    path.write_bytes(content)
    db = ["--db", str(folder / "a.db")] if command == "merge" else []
    return server.run(command, *db, "--json", str(path)).peak_bytes


ENVELOPE = {
    "event_type": "a",
    "subject_pith_number": make_bundle(RECORD)["pith_number"],
    "target": "a",
    "payload": {},
    "created_at": "",
    "signer": dict.fromkeys(("key_id", "public_key_fingerprint", "signer_id", "signer_type"), "a"),
    "signature": {},
}
"""Members of an event of valid shape, as short as possible; its id is added."""

JUNK: dict[str, Callable[[], object]] = {
    "integers": lambda: make_bundle(RECORD, list(range(50_000))),
    "objects": lambda: make_bundle(RECORD, [{"payload": {"n": n}} for n in range(40_000)]),
    "receipts": lambda: make_bundle(RECORD, [], [{"n": n} for n in range(40_000)]),
    "aliases": lambda: make_bundle(RECORD, [], None, [{"n": n} for n in range(40_000)]),
    "events": lambda: make_bundle(
        RECORD, [{**ENVELOPE, "event_id": f"sha256:{n:064x}"} for n in range(4_000)]
    ),
}


@pytest.fixture(scope="module")
def least_bytes(
    server: MeasuredCommands, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, int]:
    """Peak memory of the program itself, by command."""
    folder = tmp_path_factory.mktemp("least")
    return {command: _peak_bytes(server, folder, GOOD, command) for command in ("verify", "merge")}


@pytest.mark.parametrize("command", ["verify", "merge"])
@pytest.mark.parametrize("name", JUNK)
def test_a_bundle_takes_memory_in_proportion_to_its_size(
    name: str, command: str, server: MeasuredCommands, least_bytes: dict[str, int], tmp_path: Path
) -> None:
    """At most 30 times the size of the bundle and 256 MiB, beyond the program itself."""
    content = to_json(JUNK[name]())
    taken = _peak_bytes(server, tmp_path, content, command) - least_bytes[command]
    assert 0 < taken, "it was not read"
    assert taken < min(30 * len(content), 256 * 1024 * 1024), f"{taken / len(content)} times"


def test_a_long_header_ends_an_archive(server: MeasuredCommands, tmp_path: Path) -> None:
    """A pax header of megabytes is not read into memory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("bundle.json")
        info.pax_headers = {"comment": "x" * 2_000_000}
        tar.addfile(info)
    assert ["limit.size"] == _codes(server, tmp_path, buffer.getvalue())


def test_a_bundle_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    """Time runs out between two verdicts; nothing of the bundle is stored."""
    author = Signer("author")
    events = [
        make_event(RECORD, author, "author_claimed", author_claim(claimant_id=str(number)))
        for number in range(300)
    ]
    content = to_json(make_bundle(RECORD, events))
    assert ["limit.time"] == _codes_here(tmp_path, content, "--max-seconds", "0.000001")


def test_a_folder_may_hold_only_so_many_files(server: MeasuredCommands, tmp_path: Path) -> None:
    """The rest is not read, and the message says so."""
    folder = tmp_path / "folder"
    for number in range(5):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "bundle.json").write_bytes(GOOD)
    assert ["limit.count"] == _verify(server, folder, "--max-members", "3")
