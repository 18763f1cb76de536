"""Packed bags: segments give the same bundles as a plain bag, or a reason (C4, C5, B4)."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import struct
import tarfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import bagit
import msgpack
import pytest
import zstandard

from mirror.archive import (
    Bag,
    Member,
    ReadLimits,
    RefusedMember,
    open_source,
    write_bag,
    write_segments,
)
from mirror.archive import segment as segment_module
from mirror.core.bundle import parse_bundle
from tests import oracle
from tests.archive.tar_builders import (
    BLOCK,
    COMPRESSIONS,
    END,
    NO_LIMITS,
    ROUNDS,
    Files,
    bag_files,
    below,
    bundle_text,
    entry,
    manifest,
    padded,
    pax,
    plain_tar,
    tar_by_python,
    time_limit,
    with_checksum,
    write_files,
)
from tests.helpers import code_of

VALUES: list[Any] = [json.loads(bundle_text(number)) for number in range(1, 7)]
PACKED: list[bytes] = [msgpack.packb(value) for value in VALUES]
ONE, TWO, THREE = PACKED[:3]
SEGMENT = "bag/data/segments/0.msgpack.zst"

zstd = COMPRESSIONS["zstd"]


# Packed bags and what they give --------------------------------------------------------------


def packed_bag(bundles: Iterable[bytes] = PACKED) -> bytes:
    """A bag of segments as `mirror` writes it."""
    out = io.BytesIO()
    kept = list(bundles)
    write_bag(out, lambda: write_segments(kept), [("External-Description", "tests")])
    return out.getvalue()


def bag_with(segments: Files) -> bytes:
    """A bag of segments with these names below `data/segments`, with any content."""
    return plain_tar(below("bag", bag_files(below("segments", segments))))


def bag_of(*content: bytes) -> bytes:
    """A bag of one segment in zstd, with this content."""
    return bag_with({"0.msgpack.zst": zstd(b"".join(content))})


class Reading:
    """All items of a source, in order."""

    def __init__(self, data: bytes, folder: Path, limits: ReadLimits = NO_LIMITS) -> None:
        (folder / "source").write_bytes(data)
        with time_limit(), open_source(str(folder / "source"), limits) as source:
            self.items = list(source.items())

    @property
    def members(self) -> list[Member]:
        """The members."""
        return [item for item in self.items if isinstance(item, Member)]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [member.name for member in self.members]

    @property
    def data(self) -> list[bytes]:
        """Their contents."""
        return [member.data for member in self.members]

    @property
    def values(self) -> list[bytes]:
        """Their values, packed or not."""
        return [
            oracle.canonical((msgpack.unpackb if one.is_packed else json.loads)(one.data))
            for one in self.members
        ]

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Names and codes of refused members."""
        return [(item.name, item.code) for item in self.items if isinstance(item, RefusedMember)]

    @property
    def bag(self) -> Bag | None:
        """The bag, which comes last."""
        bags = [item for item in self.items if isinstance(item, Bag)]
        assert bags in ([], [self.items[-1]])
        return bags[0] if bags else None


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Reading]:
    """`read(data, limits)` reads the content of a file to its end."""

    def read(data: bytes, limits: ReadLimits = NO_LIMITS) -> Reading:
        return Reading(data, tmp_path, limits)

    return read


Read = Callable[..., Reading]


def plain_bag(texts: Iterable[bytes]) -> bytes:
    """A bag of the same bundles, each in a file of its own, in the same order."""
    files = {f"pith/AB/{n:026}/bundle.json": text for n, text in enumerate(texts)}
    out = io.BytesIO()
    write_bag(out, files.items)
    return out.getvalue()


def named(count: int, segment: str = SEGMENT) -> list[str]:
    """The names of the first bundles of a segment."""
    return [f"{segment}#{number}" for number in range(1, count + 1)]


# C4: what is written here --------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_packed_bag_gives_the_bundles_of_the_plain_bag(read: Read, compression: str) -> None:
    """C4: the same values in the same order, whatever the tar itself is compressed with."""
    compress = COMPRESSIONS[compression]
    plain = read(compress(plain_bag(map(bundle_text, range(1, 7)))))
    packed = read(compress(packed_bag()))
    assert ([], []) == (plain.refused, packed.refused)
    assert plain.values == packed.values
    assert [oracle.canonical(value) for value in VALUES] == packed.values
    assert [True] * 6 == [member.is_packed for member in packed.members]


def test_bundles_are_named_by_segment_and_place(read: Read) -> None:
    """C4: from 1, so that each finding names its bundle."""
    assert named(6, "pith/data/segments/00000000.msgpack.zst") == read(packed_bag()).names


@pytest.mark.parametrize(
    ("size", "count"), [(1, 6), (len(ONE + TWO), 3), (3000, 2), (5000, 2), (1 << 30, 1)]
)
def test_segments_of_any_size_give_the_same(
    read: Read, monkeypatch: pytest.MonkeyPatch, size: int, count: int
) -> None:
    """C4: the boundaries of segments are not part of the content."""
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", size)
    groups: list[list[bytes]] = [[]]
    for packed in PACKED:
        if sum(map(len, groups[-1])) >= size:
            groups.append([])
        groups[-1].append(packed)
    written = list(write_segments(PACKED))
    assert [f"segments/{number:08}.msgpack.zst" for number in range(count)] == [
        path for path, _ in written
    ]
    assert [b"".join(group) for group in groups] == [
        zstandard.decompress(content) for _, content in written
    ]
    reading = read(packed_bag())
    expected = [
        f"pith/data/{path}#{place}"
        for (path, _), group in zip(written, groups, strict=True)
        for place in range(1, len(group) + 1)
    ]
    assert (expected, PACKED, []) == (reading.names, reading.data, reading.refused)


@pytest.mark.parametrize("size", [1, 2000, 1 << 30])
@pytest.mark.parametrize("count", [0, 1, 6])
def test_a_written_bag_validates_with_bagit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, size: int
) -> None:
    """C2, C4: a packed bag is a bag, also one of no bundles."""
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", size)
    with tarfile.open(fileobj=io.BytesIO(packed_bag(PACKED[:count]))) as tar:
        tar.extractall(tmp_path, filter="data")
    assert bagit.Bag(str(tmp_path / "pith")).validate()
    expected = {"bag-info.txt", "bagit.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
    assert expected | {"data"} == {path.name for path in (tmp_path / "pith").iterdir()}


def test_every_segment_carries_a_checksum() -> None:
    """C4: so that damage is detected, also in a segment outside of its bag."""
    for _, content in write_segments(PACKED):
        assert zstandard.get_frame_parameters(content).has_checksum


def test_the_same_bundles_are_the_same_bytes() -> None:
    """C2: two packed bags of the same content are equal; of different content, different."""
    assert packed_bag() == packed_bag(bytes(packed) for packed in PACKED)
    assert packed_bag() != packed_bag(reversed(PACKED))
    assert packed_bag() != packed_bag(PACKED[:-1])


def test_a_packed_bag_of_no_bundles_is_empty(read: Read) -> None:
    """C4, C5: it is empty, and is reported so; it is a bag nevertheless."""
    reading = read(packed_bag([]))
    assert ([], [("", "archive.empty")]) == (reading.names, reading.refused)
    assert [Bag, RefusedMember] == [type(item) for item in reading.items]


# C4: what others write -----------------------------------------------------------------------


def longest(value: Any) -> bytes:
    """A value as MessagePack in the longest form of each of its parts."""
    if isinstance(value, dict):
        parts = [longest(name) + longest(item) for name, item in value.items()]
        return b"\xdf" + struct.pack(">I", len(value)) + b"".join(parts)
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(longest, value))
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    assert isinstance(value, str)
    return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()


def test_messagepack_need_not_be_the_shortest(read: Read) -> None:
    """C4: maps, lists, strings and numbers in any form of the same value."""
    packed = [longest(value) for value in VALUES]
    assert all(len(longer) > len(shorter) for longer, shorter in zip(packed, PACKED, strict=True))
    reading = read(bag_of(*packed))
    assert (named(6), packed, []) == (reading.names, reading.data, reading.refused)
    for value, member in zip(VALUES, reading.members, strict=True):
        bundle = parse_bundle(member.data, is_packed=member.is_packed)
        assert value["canonical_sha256"] == bundle.record.canonical_sha256
        assert len(value["source_aliases"]) == len(bundle.alias_claims)


NO_BUNDLES = {
    "nil": (b"\xc0", "bundle.shape"),
    "true": (b"\xc3", "bundle.shape"),
    "integer": (b"\x07", "bundle.shape"),
    "great integer": (msgpack.packb(1 << 60), "json.number"),
    "NaN": (msgpack.packb(float("nan")), "json.number"),
    "string": (msgpack.packb("bundle"), "bundle.shape"),
    "list": (msgpack.packb(VALUES[:2]), "bundle.shape"),
    "empty map": (b"\x80", "bundle.shape"),
    "bytes": (msgpack.packb(ONE), "json.syntax"),
    "extension": (b"\xd4\x05x", "json.syntax"),
    "time": (b"\xd6\xff" + bytes(4), "json.syntax"),
    "number as a name": (b"\x81\x01\x02", "json.syntax"),
    "list as a name": (b"\x81\x91\x01\x02", "json.syntax"),
    "name twice": (b"\x82\xa1a\x01\xa1a\x02", "json.duplicate_key"),
    "no UTF-8": (b"\xa1\xff", "json.syntax"),
    "deep": (b"\x91" * 65 + b"\xc0", "json.depth"),
}


@pytest.mark.parametrize("odd", NO_BUNDLES)
def test_an_invalid_bundle_is_refused_alone(read: Read, odd: str) -> None:
    """C4, V1, B2: any other value has its code, and the bundles around it are read."""
    packed, code = NO_BUNDLES[odd]
    reading = read(bag_of(ONE, packed, TWO))
    assert (named(3), [ONE, packed, TWO], []) == (reading.names, reading.data, reading.refused)
    assert [None, code, None] == [
        code_of(lambda data=data: parse_bundle(data, is_packed=True))  # type: ignore[misc]
        for data in reading.data
    ]


def zstd_frames(*parts: bytes) -> bytes:
    """Each part in a zstd frame of its own."""
    return b"".join(map(zstd, parts))


SAME = {
    "zstd": zstd,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "nothing": bytes,
    "zstd at its best": zstandard.ZstdCompressor(level=19).compress,
    "zstd without its size": lambda data: zstandard.ZstdCompressor(
        write_content_size=False
    ).compress(data),
    "frames cut anywhere": lambda data: zstd_frames(data[:700], data[700:701], data[701:]),
    "empty frames between": lambda data: zstd_frames(b"", data[:900], b"", data[900:], b""),
    "skippable frames": lambda data: (
        b"\x50\x2a\x4d\x18\3\0\0\0abc" + zstd(data) + b"\x5f\x2a\x4d\x18\0\0\0\0"
    ),
}
"""Ways to compress a segment."""


@pytest.mark.parametrize("compress", SAME.values(), ids=SAME)
def test_a_segment_is_detected_by_its_content(
    read: Read, compress: Callable[[bytes], bytes]
) -> None:
    """C1, C4: the same result with any compression of the tar, and without."""
    reading = read(bag_with({"0.msgpack.zst": compress(b"".join(PACKED))}))
    assert (named(6), PACKED, []) == (reading.names, reading.data, reading.refused)


@pytest.mark.parametrize("empty", [b"", zstd(b""), b"\x50\x2a\x4d\x18\0\0\0\0"])
def test_an_empty_segment_gives_nothing(read: Read, empty: bytes) -> None:
    """C4: it is not damage, and the segments beside it are read."""
    reading = read(bag_with({"0.msgpack.zst": empty, "1.msgpack.zst": zstd(ONE)}))
    assert (["bag/data/segments/1.msgpack.zst#1"], []) == (reading.names, reading.refused)
    assert [("", "archive.empty")] == read(bag_with({"0.msgpack.zst": empty})).refused


def test_a_bag_may_hold_bundles_of_both_kinds(read: Read) -> None:
    """C2, C4: files and segments, each by its own name, in the order of the archive."""
    payload = {
        "pith/AB/A/bundle.json": bundle_text(7),
        "pith/AB/A/state.json": b"{}",
        "segments/0.msgpack.zst": zstd(ONE + TWO),
        "pith-mirrors.json": b"{}",
        "z.bundle.json": bundle_text(8),
    }
    reading = read(plain_tar(below("bag", bag_files(payload))))
    names = ["bag/data/pith/AB/A/bundle.json", *named(2), "bag/data/z.bundle.json"]
    assert (names, []) == (reading.names, reading.refused)
    assert [False, True, True, False] == [member.is_packed for member in reading.members]
    assert [bundle_text(7), ONE, TWO, bundle_text(8)] == reading.data


# C4, C5: names -------------------------------------------------------------------------------


ODD_NAMES = [
    *(".msgpack.zst", "é.msgpack.zst", " a b .msgpack.zst", "a#1.msgpack.zst", "100%.msgpack.zst"),
    *("x" * 200 + ".msgpack.zst", "0.msgpack.zst.msgpack.zst", "bundle.json.msgpack.zst"),
]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("prefix", ["", "./", "some bag/", "a/b/"])
def test_segments_of_odd_names_are_read(read: Read, prefix: str, name: str) -> None:
    """C4: any name before the ending, and any location of the bag."""
    files = bag_files({f"segments/{name}": zstd(ONE + TWO)})
    data = tar_by_python({prefix + path: text for path, text in files.items()}, tarfile.PAX_FORMAT)
    reading = read(data)
    expected = named(2, f"{prefix}data/segments/{name}")
    assert (expected, [ONE, TWO], []) == (reading.names, reading.data, reading.refused)


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("packed", ["NFC", "NFD"])
def test_a_manifest_may_list_a_segment_in_another_unicode_form(
    read: Read, listed: str, packed: str
) -> None:
    """C2: as for any member; some disks change the normalization form of names."""
    forms = {form: unicodedata.normalize(form, "é.msgpack.zst") for form in ("NFC", "NFD")}
    files = dict(bag_files({f"segments/{forms[packed]}": zstd(ONE)}))
    lines = files["manifest-sha256.txt"].replace(forms[packed].encode(), forms[listed].encode())
    files["manifest-sha256.txt"] = lines
    del files["tagmanifest-sha256.txt"]
    reading = read(plain_tar(below("bag", files)))
    expected = [f"bag/data/segments/{forms[packed]}#1"]
    assert (expected, []) == (reading.names, reading.refused)


@pytest.mark.parametrize(
    "path",
    [
        *("segments/0.msgpack", "segments/0.zst", "segments/0.msgpack.zst.old"),
        *("segments/0.MSGPACK.ZST", "segments/0.msgpack.gz", "segments/msgpack.zst"),
        *("0.msgpack.zst", "pith/0.msgpack.zst", "Segments/0.msgpack.zst"),
        *("segment/0.msgpack.zst", "segments.msgpack.zst", "x-segments/0.msgpack.zst"),
    ],
)
def test_payload_of_another_name_is_no_segment(read: Read, path: str) -> None:
    """C4: only `data/segments/*.msgpack.zst` are segments; other files are only checked."""
    payload = {path: zstd(ONE), "pith/bundle.json": bundle_text(1)}
    reading = read(plain_tar(below("bag", bag_files(payload))))
    assert (["bag/data/pith/bundle.json"], []) == (reading.names, reading.refused)


def test_a_segment_that_is_no_payload_is_not_read(read: Read) -> None:
    """C4: not beside `data`, nor in another folder of the archive, nor without a bag."""
    bag = below("bag", bag_files({"pith/bundle.json": bundle_text(1)}))
    strays = {
        "bag/segments/0.msgpack.zst": zstd(ONE),
        "bag/meta/data/segments/0.msgpack.zst": zstd(ONE),
        "data/segments/0.msgpack.zst": zstd(ONE),
        "other/data/segments/0.msgpack.zst": zstd(ONE),
    }
    reading = read(plain_tar({**bag, **strays}))
    passed_over = ("", "archive.passed_over")
    assert (["bag/data/pith/bundle.json"], [passed_over]) == (reading.names, reading.refused)
    reading = read(plain_tar({**strays, "x/bundle.json": bundle_text(1)}))
    assert (["x/bundle.json"], [passed_over]) == (reading.names, reading.refused)
    assert [passed_over, ("", "archive.empty")] == read(plain_tar(strays)).refused


def test_segments_of_a_bag_that_was_unpacked_are_read(tmp_path: Path) -> None:
    """C3, C4: in a folder that is a bag; there are no segments in other folders."""
    files = bag_files({"segments/0.msgpack.zst": zstd(ONE), "bundle.json": bundle_text(2)})
    write_files(tmp_path / "bag", files)
    with open_source(str(tmp_path / "bag"), NO_LIMITS) as source:
        in_json, packed, _ = source.items()
    assert Member("data/bundle.json", bundle_text(2)) == in_json
    assert Member("data/segments/0.msgpack.zst#1", ONE, is_packed=True) == packed
    (tmp_path / "bag" / "bagit.txt").unlink()
    with open_source(str(tmp_path / "bag"), NO_LIMITS) as source:
        assert Member("data/bundle.json", bundle_text(2)) == next(source.items())


def test_each_bag_of_an_archive_has_its_own_segments(read: Read) -> None:
    """C4: one beside the other, or one as payload of the other."""
    inner = bag_files({"segments/0.msgpack.zst": zstd(ONE)})
    other = bag_files({"segments/0.msgpack.zst": zstd(TWO)})
    reading = read(plain_tar({**below("a", inner), **below("b", other)}))
    names = ["a/data/segments/0.msgpack.zst#1", "b/data/segments/0.msgpack.zst#1"]
    assert (names, [ONE, TWO], []) == (reading.names, reading.data, reading.refused)
    swapped = {**below("b", other), "b/data/segments/0.msgpack.zst": zstd(ONE)}
    reading = read(plain_tar({**below("a", inner), **swapped}))
    assert (names[:1], [(names[1][:-2], "archive.fixity")]) == (reading.names, reading.refused)
    reading = read(plain_tar(below("c", bag_files(below("inner", inner)))))
    names = ["c/data/inner/data/segments/0.msgpack.zst#1"]
    assert (names, [ONE], []) == (reading.names, reading.data, reading.refused)


def test_the_second_segment_of_a_name_is_refused(read: Read) -> None:
    """C5: each name once; the first is used, in whatever spelling the second comes."""
    good = plain_tar(below("bag", bag_files({"segments/0.msgpack.zst": zstd(ONE)})))
    for again in (SEGMENT, "bag/./data//segments/0.msgpack.zst"):
        reading = read(good.removesuffix(END) + entry(again, zstd(ONE)) + END)
        assert (named(1), [(again, "archive.member")]) == (reading.names, reading.refused)


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"6", b"S"])
def test_a_segment_is_a_regular_file(read: Read, kind: bytes) -> None:
    """C5: a link, device, pipe or sparse file is refused, and nothing is read through it."""
    good = plain_tar(below("bag", bag_files({"segments/0.msgpack.zst": zstd(ONE)})))
    name = "bag/data/segments/1.msgpack.zst"
    reading = read(good.removesuffix(END) + entry(name, b"", kind) + END)
    assert (named(1), [(name, "archive.member")]) == (reading.names, reading.refused)


def test_a_name_in_an_extended_header_makes_a_segment(read: Read) -> None:
    """C4, C5: a name is checked with its full path in the archive."""
    segment = zstd(ONE)
    files = below("bag", bag_files({"segments/0.msgpack.zst": segment}))
    del files[SEGMENT]
    tags = plain_tar(files).removesuffix(END)
    reading = read(tags + pax({"path": SEGMENT}) + entry("x", segment) + END)
    assert (named(1), [ONE], []) == (reading.names, reading.data, reading.refused)
    reading = read(tags + pax({"path": "bag/x"}) + entry(SEGMENT, segment) + END)
    assert ([], [(SEGMENT, "archive.fixity")]) == (reading.names, reading.refused)


# C5: fixity ----------------------------------------------------------------------------------


def two_segments(**others: bytes) -> dict[str, bytes]:
    """The files of a bag of two segments."""
    segments = {"segments/0.msgpack.zst": zstd(ONE), "segments/1.msgpack.zst": zstd(TWO)}
    return {**bag_files(segments), **others}


def test_a_segment_must_be_what_the_manifest_says(read: Read) -> None:
    """C5: nothing is read of a segment that does not match; the others are read."""
    good = zstd(ONE)
    lies = [
        *(
            good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            for place in range(0, len(good), 9)
        ),
        *(
            zstd(THREE),
            good + zstd(THREE),
            good[:-1],
            b"",
            good + b"\0",
            gzip.compress(ONE, mtime=0),
            ONE,
        ),
    ]
    for lie in lies:
        files = {**two_segments(), "data/segments/0.msgpack.zst": lie}
        reading = read(plain_tar(below("bag", files)))
        assert [("bag/data/segments/1.msgpack.zst#1", TWO, True)] == reading.members
        assert [(SEGMENT, "archive.fixity")] == reading.refused


def test_a_segment_that_no_manifest_lists_is_refused(read: Read) -> None:
    """C5: no manifest lists it."""
    files = {**two_segments(), "data/segments/2.msgpack.zst": zstd(THREE)}
    reading = read(plain_tar(below("bag", files)))
    assert [ONE, TWO] == reading.data
    assert [("bag/data/segments/2.msgpack.zst", "archive.fixity")] == reading.refused


def test_a_missing_segment_is_reported(read: Read) -> None:
    """C5: like any member that a manifest lists."""
    files = two_segments()
    del files["data/segments/0.msgpack.zst"]
    reading = read(plain_tar(below("bag", files)))
    assert ([TWO], [(SEGMENT, "archive.fixity")]) == (reading.data, reading.refused)


def test_a_segment_must_match_every_manifest(read: Read) -> None:
    """C5: one manifest that does not match is enough."""
    files = two_segments()
    data = {name: text for name, text in files.items() if name.startswith("data/")}
    files["manifest-sha512.txt"] = manifest({**data, SEGMENT.removeprefix("bag/"): b""}, "sha512")
    reading = read(plain_tar(below("bag", files)))
    assert ([TWO], [(SEGMENT, "archive.fixity")]) == (reading.data, reading.refused)


# C5: damage within, of which the manifest knows ----------------------------------------------


def test_a_segment_that_ends_within_a_bundle_is_truncated(read: Read) -> None:
    """C5: bundles before the cut are read, wherever it is."""
    whole = ONE + TWO + THREE
    ends = [0, len(ONE), len(ONE + TWO)]
    for cut in [*range(1, len(whole), 53), len(whole) - 1]:
        if cut in ends:
            continue
        count = sum(0 < end <= cut for end in ends)
        reading = read(bag_of(whole[:cut]))
        assert PACKED[:count] == reading.data
        assert [(f"after {SEGMENT}#{count}", "archive.truncated")] == reading.refused


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_segment_whose_compression_is_cut_is_truncated(read: Read, compression: str) -> None:
    """C5: also if only a checksum is missing; bundles before it are read."""
    content = COMPRESSIONS[compression](b"".join(PACKED))
    for cut in [*range(5, len(content), 41), *range(len(content) - 9, len(content))]:
        reading = read(bag_with({"0.msgpack.zst": content[:cut]}))
        count = len(reading.data)
        assert (named(count), PACKED[:count]) == (reading.names, reading.data)
        assert [(f"after {SEGMENT}#{count}", "archive.truncated")] == reading.refused


def test_a_cut_between_frames_keeps_the_frames_before_it(read: Read) -> None:
    """C5: all bundles in complete frames are read."""
    frames = zstd_frames(ONE + TWO, THREE)
    reading = read(bag_with({"0.msgpack.zst": frames[:-5]}))
    assert [ONE, TWO] == reading.data[:2]
    assert "archive.truncated" == reading.refused[0][1]


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_segment_whose_compression_is_damaged_is_reported(read: Read, compression: str) -> None:
    """C5: wherever a byte is flipped, something is refused, and no exception is raised."""
    content = COMPRESSIONS[compression](b"".join(PACKED))
    end = len(content) - (8 if compression == "gzip" else 4)
    for place in [*range(10, end, 29), *range(end, len(content))]:
        flipped = content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
        reading = read(bag_with({"0.msgpack.zst": flipped}))
        assert {"archive.truncated", "archive.member"} >= {code for _, code in reading.refused}
        assert 1 == len(reading.refused)


@pytest.mark.parametrize("tail", [b"\xc1", b"\xc1" * 2000, b"\x92\x01\xc1", b"\x81\xa1a\xc1"])
def test_invalid_messagepack_ends_a_segment(read: Read, tail: bytes) -> None:
    """C5: the start of the next bundle is unknown; those before it are read."""
    reading = read(bag_of(ONE, TWO, tail, THREE))
    assert [ONE, TWO] == reading.data
    assert [(f"after {SEGMENT}#2", "archive.member")] == reading.refused


def test_endless_nesting_is_refused(read: Read) -> None:
    """C5, V1: a million nested lists are refused, in bounded memory and time."""
    reading = read(bag_of(ONE, b"\x91" * 1_000_000, TWO))
    assert ONE == reading.data[0]
    assert {"archive.member", "archive.truncated"} >= {code for _, code in reading.refused}
    assert 1 == len(reading.refused)


def test_a_wrong_length_truncates_the_segment(read: Read) -> None:
    """C5: four billion missing items or bytes take no memory."""
    for lie in (b"\xdd", b"\xdf", b"\xdb", b"\xc6"):
        reading = read(bag_of(ONE, lie + b"\xff" * 4, TWO))
        assert [ONE] == reading.data
        assert [(f"after {SEGMENT}#1", "archive.truncated")] == reading.refused


def test_damage_to_one_segment_is_no_damage_to_the_next(read: Read) -> None:
    """C5: each segment is refused by itself."""
    segments = {
        "0.msgpack.zst": zstd(ONE + b"\xc1"),
        "1.msgpack.zst": zstd(TWO)[:-1],
        "2.msgpack.zst": zstd(THREE),
    }
    reading = read(bag_with(segments))
    assert (ONE, THREE) == (reading.data[0], reading.data[-1])
    assert ["archive.member", "archive.truncated"] == [code for _, code in reading.refused]
    assert "bag/data/segments/2.msgpack.zst#1" == reading.names[-1]


# B4: limits ----------------------------------------------------------------------------------


def bundle_of(size: int) -> bytes:
    """A map of this many bytes of MessagePack, at least 70,000."""
    return b"\x81\xa1x\xdb" + struct.pack(">I", size - 8) + b"x" * (size - 8)


def test_a_bundle_may_have_so_many_bytes(read: Read) -> None:
    """B4: measured in the segment; one byte more is `limit.size`, for this bundle alone."""
    limits = ReadLimits(member_bytes=80_000)
    for size, refused in ((80_000, []), (80_001, [(f"{SEGMENT}#2", "limit.size")])):
        reading = read(bag_of(ONE, bundle_of(size), TWO), limits)
        assert refused == reading.refused
        assert [ONE, *([bundle_of(size)] if not refused else []), TWO] == reading.data


def test_a_bundle_far_too_large_ends_its_segment(read: Read) -> None:
    """B4: it is not read into memory to find its end; bundles before it are read."""
    segments = {"0.msgpack.zst": zstd(ONE + bundle_of(9_000_000)), "1.msgpack.zst": zstd(TWO)}
    reading = read(bag_with(segments), ReadLimits(member_bytes=1_000_000))
    assert [ONE, TWO] == reading.data
    assert [(f"after {SEGMENT}#1", "limit.size")] == reading.refused
    reading = read(bag_with(segments), ReadLimits(member_bytes=9_000_000))
    assert ([], 3) == (reading.refused, len(reading.data))


def test_a_large_bundle_over_many_reads_is_whole(read: Read) -> None:
    """C4: in any number of chunks of the stream."""
    large = bundle_of(5_000_000)
    reading = read(bag_of(ONE, large, TWO, large, THREE))
    assert ([ONE, large, TWO, large, THREE], []) == (reading.data, reading.refused)


def values_in(value: Any) -> int:
    """Number of values in lists and maps, at any depth, without names."""
    if not isinstance(value, dict | list):
        return 0
    children = list(value.values() if isinstance(value, dict) else value)
    return len(children) + sum(map(values_in, children))


DENSE: list[Any] = [
    VALUES[0],
    {"a": [[[]]] * 30, "b": {"c": {}}},
    list(range(100)),
    {str(number): 1 for number in range(100)},
    [[1] * 50, [2] * 50, {"a": [3] * 20}],
]


@pytest.mark.parametrize("value", DENSE, ids=range(len(DENSE)))
def test_a_bundle_may_hold_so_many_values(read: Read, value: Any) -> None:
    """B4: exactly the limit is read; one more is `limit.count`, for this bundle alone."""
    packed, count = msgpack.packb(value), values_in(value)
    small = msgpack.packb({"a": 1})
    reading = read(bag_of(small, packed, small), ReadLimits(values=count))
    assert ([small, packed, small], []) == (reading.data, reading.refused)
    reading = read(bag_of(small, packed, small), ReadLimits(values=count - 1))
    assert [small, small] == reading.data
    assert [(f"{SEGMENT}#2", "limit.count")] == reading.refused


def test_millions_of_values_cost_a_count_and_no_more(read: Read) -> None:
    """B4: by default, a dense bundle is refused before it is decoded into memory."""
    dense = b"\x81\xa1x\xdd" + struct.pack(">I", 2_000_000) + b"\xc0" * 2_000_000
    reading = read(bag_of(ONE, dense, TWO))
    assert ([ONE, TWO], [(f"{SEGMENT}#2", "limit.count")]) == (reading.data, reading.refused)


def test_a_segment_may_have_so_many_bytes(read: Read) -> None:
    """B4: the compressed size in the bag; one byte more is `limit.size`, and it is not read."""
    content = zstd(ONE)
    data = bag_with({"0.msgpack.zst": content, "1.msgpack.zst": b""})
    reading = read(data, ReadLimits(segment_bytes=len(content)))
    assert ([ONE], []) == (reading.data, reading.refused)
    reading = read(data, ReadLimits(segment_bytes=len(content) - 1))
    assert ([], [(SEGMENT, "limit.size")]) == (reading.data, reading.refused)


def test_the_limit_of_segments_is_not_that_of_members(read: Read) -> None:
    """B4: many small bundles make a large segment."""
    reading = read(bag_with({"0.msgpack.zst": b"".join(PACKED)}), ReadLimits(member_bytes=1500))
    assert (PACKED, []) == (reading.data, reading.refused)


def test_a_segment_holds_no_more_bundles_than_an_archive_members(read: Read) -> None:
    """B4: `limit.count`; bundles before it are read."""
    reading = read(bag_of(*PACKED, *PACKED), ReadLimits(members=10))
    assert ([*PACKED, *PACKED][:10], [(f"after {SEGMENT}#10", "limit.count")]) == (
        reading.data,
        reading.refused,
    )


def test_a_bomb_in_a_segment_is_cut_off(read: Read) -> None:
    """B4: `limit.ratio` after 64 MiB; bundles before it are read, and the next segment."""
    segments = {
        "0.msgpack.zst": zstd(ONE + bundle_of(15_000_000) * 6),
        "1.msgpack.zst": zstd(TWO),
    }
    assert len(segments["0.msgpack.zst"]) < 20_000
    reading = read(bag_with(segments))
    assert (ONE, TWO) == (reading.data[0], reading.data[-1])
    assert 6 == len(reading.data)
    assert [(f"after {SEGMENT}#5", "limit.ratio")] == reading.refused


def test_a_segment_may_give_so_many_bytes(read: Read) -> None:
    """B4: with any ratio."""
    size = len(b"".join(PACKED))
    reading = read(bag_of(*PACKED), ReadLimits(expanded_bytes=size))
    assert (PACKED, []) == (reading.data, reading.refused)
    reading = read(bag_of(*PACKED), ReadLimits(expanded_bytes=size - 1))
    assert ["limit.ratio"] == [code for _, code in reading.refused]
    assert PACKED[: len(reading.data)] == reading.data


# What an archive is, as a bag ----------------------------------------------------------------


def sealed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files with a tag manifest that fits them."""
    kept = {name: text for name, text in files.items() if not name.startswith("tagmanifest")}
    tags = {name: text for name, text in kept.items() if not name.startswith("data/")}
    return {**kept, "tagmanifest-sha256.txt": manifest(tags)}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("prefix", ["", "./", "bag/", "a/b/"])
def test_a_sound_bag_is_named_by_its_manifest(read: Read, prefix: str, compression: str) -> None:
    """C2: after all its bundles, anywhere in its tar, with any compression."""
    files = bag_files({"segments/0.msgpack.zst": zstd(ONE), "bundle.json": bundle_text(2)})
    for order in (list(files.items()), list(files.items())[::-1]):
        data = plain_tar({prefix + name: text for name, text in order})
        bag = read(COMPRESSIONS[compression](data)).bag
        digest = hashlib.sha256(files["manifest-sha256.txt"]).hexdigest()
        assert Bag(digest, {"Source-Organization": "tests"}) == bag


@pytest.mark.parametrize("write", [plain_bag, packed_bag], ids=["plain", "packed"])
def test_a_written_bag_is_identified_by_the_returned_digest(
    read: Read, write: Callable[[Iterable[bytes]], bytes]
) -> None:
    """C2: the digest of its manifest."""
    data = write(PACKED)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile("pith/manifest-sha256.txt")
        assert file is not None
        digest = hashlib.sha256(file.read()).hexdigest()
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        payload = [
            (info.name.removeprefix("pith/data/"), file.read())
            for info in tar
            if info.isreg() and "/data/" in info.name and (file := tar.extractfile(info))
        ]
    assert digest == write_bag(out, lambda: payload).manifest_sha256
    bag = read(data).bag
    assert bag is not None
    assert digest == bag.manifest_sha256


NOT_SOUND: dict[str, Callable[[], bytes]] = {
    "flipped": lambda: plain_tar(
        below("bag", two_segments(**{"data/segments/0.msgpack.zst": zstd(THREE)}))
    ),
    "unlisted": lambda: plain_tar(
        below("bag", two_segments(**{"data/segments/9.msgpack.zst": zstd(THREE)}))
    ),
    "missing": lambda: plain_tar(
        {name: text for name, text in below("bag", two_segments()).items() if name != SEGMENT}
    ),
    "garbage in a segment": lambda: bag_of(ONE, b"\xc1"),
    "cut segment": lambda: bag_with({"0.msgpack.zst": zstd(ONE)[:-1]}),
    "odd member": lambda: (
        plain_tar(below("bag", two_segments())).removesuffix(END) + entry("bag/../x", b"") + END
    ),
    "link": lambda: (
        plain_tar(below("bag", two_segments())).removesuffix(END)
        + entry("bag/link", b"", b"2")
        + END
    ),
    "name twice": lambda: (
        plain_tar(below("bag", two_segments())).removesuffix(END)
        + entry("bag/manifest-sha256.txt", b"")
        + END
    ),
    "no end mark": lambda: plain_tar(below("bag", two_segments())).removesuffix(END),
    "other bag-info": lambda: plain_tar(below("bag", two_segments(**{"bag-info.txt": b"a: b\n"}))),
    "two bags": lambda: plain_tar({**below("a", two_segments()), **below("b", two_segments())}),
    "bag in a bag": lambda: plain_tar(below("a", bag_files(below("b", two_segments())))),
    "no bag": lambda: plain_tar({"data/bundle.json": bundle_text(1), "manifest-sha256.txt": b""}),
    "no manifest": lambda: plain_tar({"bag/bagit.txt": b"BagIt-Version: 1.0\n"}),
    "other manifest": lambda: plain_tar(
        below("bag", bag_files({"bundle.json": bundle_text(1)}, algorithm="sha512"))
    ),
    "a bundle beside it": lambda: plain_tar(
        {**below("bag", two_segments()), "other/bundle.json": bundle_text(9)}
    ),
    "one bundle": lambda: bundle_text(1),
    "lines": lambda: bundle_text(1) + b"\n" + bundle_text(2),
}
"""Sources that are not a bag, or contain more than its manifest lists."""


@pytest.mark.parametrize("make", NOT_SOUND.values(), ids=NOT_SOUND)
def test_an_archive_that_is_not_one_sound_bag_has_no_digest(
    read: Read, make: Callable[[], bytes]
) -> None:
    """C5: the digest of a manifest identifies a whole content, so no other source has one."""
    assert read(make()).bag is None


def test_a_bag_with_a_bundle_that_is_refused_for_its_size_is_not_named(read: Read) -> None:
    """B4: some of it was not read, though the bag may be valid."""
    data = bag_of(ONE, bundle_of(80_000))
    assert read(data).bag is not None
    for limits in (
        ReadLimits(member_bytes=70_000),
        ReadLimits(segment_bytes=10),
        ReadLimits(members=4),
    ):
        assert read(data, limits).bag is None


def test_a_truncated_bag_is_not_named(read: Read) -> None:
    """C5: wherever it was cut, also if only the end-of-archive marker is missing."""
    data = packed_bag()
    end = len(data.rstrip(b"\0"))
    for cut in [*range(0, end, 400), *range(end, end + BLOCK, 64)]:
        assert read(data[:cut]).bag is None
    assert read(data).bag is not None


LABELS: dict[str, bytes] = {
    "folded by spaces": b"External-Description: one\n  two\n three\nBag-Count: 1\n",
    "folded by tabs": b"External-Description: one\n\ttwo\nBag-Count: 1\n",
    "folded at once": b"External-Description:\n  one two\nBag-Count: 1\n",
    "CRLF": b"External-Description: one\r\nBag-Count: 1\r\n",
    "CRLF, folded": b"External-Description: one\r\n  two\r\n\tthree\r\nBag-Count: 1\r\n",
    "CR": b"External-Description: one\rBag-Count: 1\r",
    "CR, folded": b"External-Description: one\r  two\rBag-Count: 1\r",
    "no end": b"External-Description: one",
    "blank lines": b"\nExternal-Description: one\n\n\nBag-Count: 1\n\n",
    "colons": b"External-Description: https://example.org/: x\nBag-Count:1\n",
    "spaces": b"External-Description :   one  \nBag-Count\t:\t1\t\n",
    "empty": b"External-Description:\nBag-Count: \n",
    "foreign": "External-Description: é 書 \u202e\nBag-Count: 1\n".encode(),
    "byte order mark": b"\xef\xbb\xbfExternal-Description: one\nBag-Count: 1\n",
    "nothing": b"",
}


def spaced(text: str) -> str:
    """Text with each run of white space made one space: how lines are joined is left open."""
    return " ".join(text.split())


@pytest.mark.parametrize("text", LABELS.values(), ids=LABELS)
def test_labels_are_read_as_bagit_reads_them(read: Read, tmp_path: Path, text: bytes) -> None:
    """C2, RFC 8493 section 2.2.2: long values may be folded; lines end with LF, CR or CRLF."""
    files = sealed({**two_segments(), "bag-info.txt": text})
    expected = bagit.Bag(str(write_files(tmp_path / "bag", files))).info
    bag = read(plain_tar(below("bag", files))).bag
    assert bag is not None
    assert {label: spaced(value) for label, value in expected.items()} == {
        label: spaced(value) for label, value in bag.info.items() if label
    }


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16"])
def test_labels_are_read_in_the_encoding_of_their_bag(read: Read, encoding: str) -> None:
    """C2, RFC 8493 section 2.1.1: `bagit.txt` names the encoding of the other tag files."""
    files = dict(bag_files({"segments/0.msgpack.zst": zstd(ONE)}, encoding=encoding))
    files["bag-info.txt"] = "External-Description: café\n".encode(encoding)
    tags = {name: text for name, text in files.items() if not name.startswith(("data/", "tag"))}
    files["tagmanifest-sha256.txt"] = manifest(tags).decode().encode(encoding)
    bag = read(plain_tar(below("bag", files))).bag
    assert bag is not None
    assert {"External-Description": "café"} == bag.info


@pytest.mark.parametrize(
    "encoding", ["none-such", "rot13", "idna", "undefined", "", "\0", "base64"]
)
def test_an_unknown_encoding_gives_no_labels(read: Read, encoding: str) -> None:
    """C5: reading ends for any declaration, and gives only members that a manifest lists."""
    files = dict(bag_files({"segments/0.msgpack.zst": zstd(ONE)}))
    declaration = f"BagIt-Version: 1.0\nTag-File-Character-Encoding: {encoding}\n"
    reading = read(plain_tar(below("bag", sealed({**files, "bagit.txt": declaration.encode()}))))
    assert [ONE] == reading.data or reading.refused
    assert reading.bag is None or {} == reading.bag.info


def test_of_a_label_given_twice_the_last_counts(read: Read) -> None:
    """RFC 8493 section 2.2.2: labels may be repeated."""
    files = sealed({**two_segments(), "bag-info.txt": b"A: one\nB: x\nA: two\n"})
    bag = read(plain_tar(below("bag", files))).bag
    assert bag is not None
    assert {"A": "two", "B": "x"} == bag.info


def test_a_bag_needs_no_labels(read: Read) -> None:
    """RFC 8493 section 2.2.2: `bag-info.txt` is optional."""
    files = two_segments()
    del files["bag-info.txt"]
    bag = read(plain_tar(below("bag", sealed(files)))).bag
    assert bag is not None
    assert {} == bag.info


# Damage by the hundred -----------------------------------------------------------------------


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one to four pieces changed, cut out, repeated or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(changed))
        length = chance.choice([1, 2, 8, 40, BLOCK])
        change = chance.randrange(6)
        if change == 0:
            changed[place] ^= 1 << chance.randrange(8)
        elif change == 1:
            changed[place : place + length] = chance.randbytes(length)
        elif change == 2:
            del changed[place : place + length]
        elif change == 3:
            changed[place:place] = changed[place : place + length]
        elif change == 4:
            changed[place:place] = chance.randbytes(length)
        else:
            source = chance.randrange(len(changed))
            changed[place : place + length] = changed[source : source + length]
    return bytes(changed)


def mutated_block(data: bytes, chance: random.Random) -> bytes:
    """`data`, a tar, with a block changed and given a fitting checksum, moved, or left out."""
    blocks = [data[start : start + BLOCK] for start in range(0, len(data.rstrip(b"\0")), BLOCK)]
    place = chance.randrange(len(blocks))
    change = chance.randrange(3)
    if change == 0:
        block = bytearray(padded(blocks[place]))
        block[chance.choice([*range(30), 124, 134, 156, 157])] ^= 1 << chance.randrange(8)
        blocks[place] = with_checksum(bytes(block))
    elif change == 1:
        blocks.insert(chance.randrange(len(blocks)), blocks.pop(place))
    else:
        del blocks[place]
    return b"".join(map(padded, blocks)) + END


def is_vouched_for(reading: Reading) -> bool:
    """Whether the archive is complete, so that the manifest cannot have been cut off."""
    return not any(code in {"archive.truncated", "limit.size"} for _, code in reading.refused)


def is_no_bundle(member: Member) -> bool:
    """Whether a member is refused; so is a tar whose first header is damaged, as one document."""
    return not member.is_packed and code_of(lambda: parse_bundle(member.data)) is not None


@pytest.mark.parametrize("change", [mutated, mutated_block])
def test_no_damage_to_a_packed_bag_brings_in_another_bundle(
    read: Read, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes, random.Random], bytes]
) -> None:
    """C5: reading ends with a result, and gives only original content, after any change."""
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", 2000)
    good = packed_bag()
    chance = random.Random(change.__name__)
    codes: set[str] = set()
    given = 0
    for _ in range(ROUNDS):
        reading = read(change(good, chance), ReadLimits(member_bytes=1 << 16, members=1000))
        codes |= {code for _, code in reading.refused}
        if is_vouched_for(reading):
            given += len(reading.members)
            assert all(one.data in PACKED or is_no_bundle(one) for one in reading.members)
        if reading.bag is not None:
            assert PACKED == reading.data
    assert given > ROUNDS
    assert {"archive.fixity", "archive.truncated"} <= codes


def msgpack_value_at(content: bytes, place: int) -> bytes:
    """The value of MessagePack that begins at an offset."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(content[place:])
    unpacker.skip()
    return content[place : place + unpacker.tell()]


def test_any_bytes_in_a_listed_segment_are_read_or_refused(read: Read) -> None:
    """C4, C5: for any bytes in a segment, each value is read or refused, in order, none made up."""
    good = b"".join(PACKED)
    chance = random.Random("segment")
    codes: set[str] = set()
    for _ in range(ROUNDS):
        content = mutated(good, chance)
        reading = read(bag_of(content), ReadLimits(member_bytes=10_000, values=60))
        codes |= {code for _, code in reading.refused}
        place = 0
        for data in reading.data:
            place = content.index(data, place) + len(data)
            assert data == msgpack_value_at(content, place - len(data))
        if not reading.refused:
            assert content == b"".join(reading.data)
    assert {"archive.member", "archive.truncated", "limit.count"} <= codes
