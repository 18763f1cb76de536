"""Thousands of damaged files: reading never crashes, hangs or writes outside (C1, C5).

Set `FUZZ_ROUNDS` for a longer search than in a test run, and `FUZZ_SEED` for another one.
"""

from __future__ import annotations

import os
import random
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mirror.archive import Bag, ReadLimits, open_source
from mirror.errors import MirrorError
from tests.archive.tar_builders import (
    BLOCK,
    COMPRESSIONS,
    ROUNDS,
    bag_files,
    below,
    bundle_files,
    bundle_text,
    entry,
    pax,
    plain_tar,
    tar_by_python,
    time_limit,
    with_checksum,
)

SEED = int(os.environ.get("FUZZ_SEED", "0"))
LIMITS = ReadLimits(member_bytes=1 << 16, bundle_bytes=1 << 16, line_bytes=1 << 16, members=1000)

_LONG = "x" * 120 + "/bundle.json"
_FILES = bundle_files("bundle.json", "b/x.bundle.json", _LONG)
_BAG = below("bag", bag_files(bundle_files("bundle.json", "é%25.bundle.json")))
_SPARSE = pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"})
_LINES = b"\n".join(bundle_text(number) for number in range(3)) + b"\n{broken\n"

TARS = {
    "GNU": tar_by_python(_FILES, tarfile.GNU_FORMAT)[:-8192],
    "PAX": tar_by_python(_FILES, tarfile.PAX_FORMAT)[:-8192],
    "bag": plain_tar(_BAG),
    "odd": pax({"path": "a/bundle.json", "size": "2"}, b"g")
    + _SPARSE
    + entry("s/bundle.json", b"1\n0\n9\n".ljust(BLOCK, b"\0") + b"x" * 9)
    + pax({"path": "p/bundle.json", "mtime": "1.5"})
    + plain_tar(_BAG),
}
SEEDS = {
    **TARS,
    "lines": _LINES,
    "gzip lines": COMPRESSIONS["gzip"](_LINES),
    "zstd lines": COMPRESSIONS["zstd"](_LINES),
    "gzip tar": COMPRESSIONS["gzip"](TARS["bag"]),
    "zstd tar": COMPRESSIONS["zstd"](TARS["PAX"]),
    "zstd frames": b"".join(zstandard.compress(_LINES[n : n + 900]) for n in range(0, 2700, 900)),
}

FIELDS = [
    *((0, 100), (100, 8), (124, 12), (124, 12), (156, 1), (156, 1), (157, 100), (257, 8)),
    *((345, 155), (482, 1), (483, 12)),
]
"""Offset and length of each field of a header."""

NASTY = [
    *(b"\0", b"\xff", b"\x80", b"-1", b"/", b"..", b"\n", b"=", b"99999999999", b"\0" * BLOCK),
    *(b"x", b"g", b"L", b"K", b"S", b"\xff" * 11 + b"\0", b"\x80" + b"\xff" * 11, b"\xff" * 12),
    *(b"30 path=../../../../../../../x\n", b"14 size=-1024\n", b"22 GNU.sparse.major=1\n"),
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one to four pieces changed, cut out, repeated, moved or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(changed) + 1)
        length = chance.choice([1, 1, 2, 8, 12, BLOCK, chance.randrange(2 * BLOCK)])
        change = chance.randrange(7)
        if change == 0 and place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
        elif change == 1:
            nasty = chance.choice(NASTY)
            changed[place : place + len(nasty)] = nasty
        elif change == 2:
            del changed[place : place + length]
        elif change == 3:
            changed[place:place] = changed[place : place + length]
        elif change == 4:
            changed[place:place] = chance.choice([bytes(length), chance.randbytes(length)])
        elif change == 5:
            del changed[place:]
        else:
            other = chance.choice([*SEEDS.values()])
            start = chance.randrange(len(other))
            changed[place:place] = other[start : start + length]
    return bytes(changed)


def mutated_header(data: bytes, chance: random.Random) -> bytes:
    """`data`, a tar, with something changed in one block, which gets a fitting checksum.

    So the change is not found by the checksum, but has to be lived with.
    """
    start = BLOCK * chance.randrange(len(data) // BLOCK)
    block = bytearray(data[start : start + BLOCK])
    for _ in range(chance.choice([1, 1, 2])):
        field, length = chance.choice(FIELDS)
        new = chance.choice([*NASTY, chance.randbytes(length), b"0" * length, b"7" * length])
        block[field : field + length] = new[:length].ljust(length, b"\0")
    return data[:start] + with_checksum(bytes(block)) + data[start + BLOCK :]


def assert_harmless(data: bytes, folder: Path) -> None:
    """Assert that reading ends, with items or an error of `mirror`, and writes nothing."""
    (folder / "source").write_bytes(data)
    try:
        with time_limit(), open_source(str(folder / "source"), LIMITS) as source:
            for count, item in enumerate(source.items()):
                assert isinstance(item, Bag) or item.name is not None
                assert count < 2000
    except MirrorError as error:
        pytest.fail(f"what is in a file is no reason not to read it: {error}")
    assert [folder / "source"] == list(folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for this process alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("seed", SEEDS)
def test_no_damage_to_a_source_does_harm(folder: Path, seed: str) -> None:
    """C1, C5: reading ends with a result, for any change of a file."""
    chance = random.Random(f"{SEED} {seed}")
    for _ in range(ROUNDS):
        assert_harmless(mutated(SEEDS[seed], chance), folder)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("seed", TARS)
def test_no_header_does_harm(folder: Path, seed: str, compression: str) -> None:
    """C5: reading an archive ends with a result, for any header."""
    chance = random.Random(f"{SEED} {seed} {compression}")
    compress: Callable[[bytes], bytes] = COMPRESSIONS[compression]
    for _ in range(ROUNDS):
        assert_harmless(compress(mutated_header(TARS[seed], chance)), folder)


@given(st.data())
def test_no_bytes_do_harm(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """C1: any bytes, after the magic number of any format."""
    starts = [b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"{", b"[\n"]
    start = data.draw(st.sampled_from([*starts, *(seed[:700] for seed in SEEDS.values())]))
    content = start + data.draw(st.binary(max_size=1500))
    assert_harmless(content, tmp_path_factory.mktemp("any"))
