"""gzip and zstd: several members and frames, truncation, damage, bombs (C1, C5)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from mirror.archive import ReadLimits, RefusedMember, open_source
from tests.archive.tar_builders import (
    COMPRESSIONS,
    END,
    bundle_text,
    entry,
    header,
    plain_tar,
    read,
    write_files,
)

TEXTS = [bundle_text(number) for number in range(1, 7)]
LINES = b"".join(text + b"\n" for text in TEXTS)
NOISE = [(f"{n:03}/bundle.json", random.Random(n).randbytes(700)) for n in range(60)]
"""Members that do not compress, so that a cut in the compressed file is a cut among them."""
TAR = b"".join(entry(name, data) for name, data in NOISE) + END
COMPRESSED = ["gzip", "zstd"]


def skippable(data: bytes, kind: int = 0) -> bytes:
    """A zstd frame that decompresses to nothing (RFC 8878 section 3.1.2)."""
    return bytes([0x50 + kind]) + b"\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def decompressed(data: bytes) -> bytes:
    """The decompressed bytes before the cut of a truncated gzip or zstd file, frame by frame."""
    plain = b""
    while data:
        if data.startswith(b"\x1f\x8b"):
            inflater = zlib.decompressobj(31)
            plain, data = plain + inflater.decompress(data), inflater.unused_data
        else:
            frame = zstandard.ZstdDecompressor().decompressobj()
            plain, data = plain + frame.decompress(data), frame.unused_data
    return plain


def in_pieces(plain: bytes, compression: str, size: int) -> bytes:
    """Many gzip members or zstd frames, one after the other."""
    pieces = (plain[start : start + size] for start in range(0, len(plain), size))
    return b"".join(map(COMPRESSIONS[compression], pieces))


@pytest.mark.parametrize("size", [1, 100, 512, 5000])
@pytest.mark.parametrize("compression", COMPRESSED)
def test_members_and_frames_one_after_the_other_are_one_stream(compression: str, size: int) -> None:
    """C1: several gzip members or zstd frames are read as if they were one."""
    plain = b"".join(text + b"\n" for text in TEXTS[:3])
    reading = read(in_pieces(plain, compression, size))
    assert TEXTS[:3] == [data.strip() for _, data in reading.members]
    assert [] == reading.refused


@pytest.mark.parametrize("kind", [0, 15])
@pytest.mark.parametrize("content", [b"", b"x", b"\x28\xb5\x2f\xfd" * 700])
def test_skippable_frames_are_skipped_wherever_they_stand(content: bytes, kind: int) -> None:
    """C1: a skippable frame before, between and after the others changes nothing."""
    skip = skippable(content, kind)
    frames = [zstandard.compress(text + b"\n") for text in TEXTS[:2]]
    reading = read(skip + frames[0] + skip + skip + frames[1] + skip)
    assert TEXTS[:2] == [data.strip() for _, data in reading.members]
    assert [] == reading.refused


def test_a_zstd_file_of_skippable_frames_alone_holds_nothing() -> None:
    """V1: it is an empty text, which is refused and not passed over."""
    reading = read(skippable(b"abc"))
    assert ([("", b"")], []) == (reading.members, reading.refused)


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("zeros", [1, 700, 5000])
def test_zeros_after_the_compressed_data_are_padding(zeros: int, compression: str) -> None:
    """C1, C5: tapes and tools pad with zeros."""
    reading = read(COMPRESSIONS[compression](TEXTS[0]) + bytes(zeros))
    assert ([("", TEXTS[0])], []) == (reading.members, reading.refused)


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("zeros", [0, 1, 5000])
@pytest.mark.parametrize("garbage", [b"garbage!", b"\1", b"{}\n", b"\x1f\x9d\x90", b"\x28\xb6"])
@pytest.mark.parametrize("lines", [LINES, LINES.rstrip()], ids=["LF", "no LF"])
def test_garbage_after_the_compressed_data_is_reported(
    compression: str, zeros: int, garbage: bytes, lines: bytes
) -> None:
    """C5: `archive.trailing`; the data before it is read, with the last line."""
    reading = read(COMPRESSIONS[compression](lines) + bytes(zeros) + garbage)
    assert TEXTS == [data.strip() for _, data in reading.members]
    assert ["archive.trailing"] == reading.codes


@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_frame_of_the_other_kind_is_not_the_same_stream(compression: str) -> None:
    """C5: gzip after zstd, or zstd after gzip, is trailing data."""
    other = COMPRESSIONS["zstd" if compression == "gzip" else "gzip"]
    reading = read(COMPRESSIONS[compression](LINES) + other(LINES))
    assert (len(TEXTS), ["archive.trailing"]) == (len(reading.members), reading.codes)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_truncated_json_lines_give_every_line_before_the_cut(compression: str) -> None:
    """C5: cut anywhere, it is `archive.truncated`, and whole lines before the cut are read."""
    data = COMPRESSIONS[compression](LINES)
    for cut in range(4, len(data), 7):
        reading = read(data[:cut])
        whole = decompressed(data[:cut]).count(b"\n")
        assert TEXTS[:whole] == [data.strip() for _, data in reading.members], cut
        assert ["archive.truncated"] == reading.codes, cut


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("size", [1500, 4000, len(TAR)])
def test_a_truncated_tar_gives_every_member_before_the_cut(compression: str, size: int) -> None:
    """C5: a member that can be decompressed completely is read, however close to the cut it is."""
    data = in_pieces(TAR, compression, size)
    for cut in range(1600, len(data), 1999):
        reading = read(data[:cut])
        whole = decompressed(data[:cut])
        inside = [one for n, one in enumerate(NOISE) if n * 1536 + 512 + 700 <= len(whole)]
        assert inside == reading.members, cut
        assert {"archive.truncated"} == set(reading.codes), cut


@pytest.mark.parametrize("padding", [0, 512, 10240, 1 << 18])
def test_a_wrong_gzip_checksum_is_reported_after_the_members(padding: int) -> None:
    """C5: damage that only the trailer shows is reported, with any amount of padding before it."""
    data = bytearray(gzip.compress(TAR + bytes(padding), mtime=0))
    data[-6] ^= 1
    reading = read(bytes(data))
    assert (NOISE, ["archive.truncated"]) == (reading.members, reading.codes)


def test_a_wrong_zstd_checksum_is_reported_after_the_frames_before_it() -> None:
    """C5: the damaged frame cannot be read to its end; the others can."""
    data = bytearray(in_pieces(TAR, "zstd", 1536 * 20))
    data[-1] ^= 1
    reading = read(bytes(data))
    assert NOISE[:40] == reading.members[:40]
    assert ["archive.truncated"] == reading.codes


def flips(data: bytes, start: int, step: int) -> Iterator[bytes]:
    """`data` with one bit changed, many times."""
    for place in range(start * 8, len(data) * 8, step):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("plain", [LINES, TAR[: 4 * 1536] + END], ids=["lines", "tar"])
def test_a_flipped_bit_is_reported_or_changes_nothing(plain: bytes, compression: str) -> None:
    """C5: every damage to a compressed file is reported, except one of the magic number."""
    data = COMPRESSIONS[compression](plain)
    whole = read(data)
    for damaged in flips(data, start=4, step=len(data) // 60 * 8 + 3):
        reading = read(damaged)
        assert whole == reading or reading.refused


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", skippable(b"x")[:-1]]
)
def test_a_file_cut_within_its_first_header_is_truncated(data: bytes) -> None:
    """C5: an error follows as soon as the end is missing."""
    reading = read(data)
    assert ([], ["archive.truncated"]) == (reading.members, reading.codes)


@pytest.mark.parametrize("data", [b"\x1f", b"\x28\xb5\x2f", b"BZ", b"PK", b"no JSON"])
def test_uncompressed_data_is_taken_for_text(data: bytes) -> None:
    """C1: anything else is a document, which V1 refuses."""
    assert [("", data)] == read(data).members


def zipped(data: bytes) -> bytes:
    """A zip archive of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("bundle.json", data)
    return out.getvalue()


OTHER_FORMATS: dict[str, bytes] = {
    "zip": zipped(TEXTS[0]),
    "an empty zip": zipped(b"")[-22:],
    "xz": lzma.compress(TEXTS[0]),
    "lzma": lzma.compress(TEXTS[0], lzma.FORMAT_ALONE),
    "bzip2": bz2.compress(TEXTS[0]),
    "7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(24),
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(24),
    "lz4": b"\x04\x22\x4d\x18\x64\x40" + bytes(24),
    "compress": b"\x1f\x9d\x90" + bytes(24),
    "SQLite": b"SQLite format 3\0" + bytes(84),
}


def refusals(data: bytes, folder: Path) -> list[RefusedMember]:
    """The refusals of a file that has no members."""
    (folder / "x").write_bytes(data)
    with open_source(str(folder / "x"), ReadLimits()) as source:
        items = list(source.items())
    found = [item for item in items if isinstance(item, RefusedMember)]
    assert found == items
    return found


@pytest.mark.parametrize("around", COMPRESSIONS)
@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_another_format_is_named_and_not_taken_for_text(
    tmp_path: Path, name: str, around: str
) -> None:
    """C1: `archive.format` names the format, also within gzip or zstd."""
    (refused,) = refusals(COMPRESSIONS[around](OTHER_FORMATS[name]), tmp_path)
    assert ("", "archive.format") == (refused.name, refused.code)
    assert name.rpartition(" ")[2] in refused.message
    assert "not read" in refused.message
    assert ("within gzip" in refused.message) == (around != "plain")


@pytest.mark.parametrize("inner", COMPRESSED)
@pytest.mark.parametrize("outer", COMPRESSED)
def test_only_one_layer_of_compression_is_undone(tmp_path: Path, inner: str, outer: str) -> None:
    """C1: the message names the inner format."""
    (refused,) = refusals(COMPRESSIONS[outer](COMPRESSIONS[inner](LINES)), tmp_path)
    assert "archive.format" == refused.code
    assert f"it is {inner} within" in refused.message


@pytest.mark.parametrize("name", [*OTHER_FORMATS, *COMPRESSED])
def test_a_member_of_another_format_is_named_and_refused_alone(tmp_path: Path, name: str) -> None:
    """C1: members of tars and folders are not decompressed; the message names their format."""
    data = OTHER_FORMATS.get(name) or COMPRESSIONS[name](TEXTS[0])
    files = {"a.bundle.json": TEXTS[1], "b.bundle.json": data}
    for source in (plain_tar(files), write_files(tmp_path, files)):
        reading = read(source)
        assert ["a.bundle.json"] == [*reading.files]
        assert [("b.bundle.json", "archive.format")] == reading.refused


@pytest.mark.parametrize(("compression", "size", "most"), [("gzip", 12, 8), ("zstd", 60, 48)])
def test_an_overlong_line_costs_no_more_memory_than_a_bundle(
    compression: str, size: int, most: int
) -> None:
    """B4: it is skipped in chunks, and the lines after it are read."""
    data = COMPRESSIONS[compression](b"x" * (size << 20) + b"\n" + LINES)
    tracemalloc.start()
    reading = read(data, ReadLimits(line_bytes=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (["limit.size"], TEXTS) == (reading.codes, [text.strip() for _, text in reading.members])
    assert peak < most << 20


@pytest.mark.parametrize("first", [b"x", b"\0"], ids=["line", "tar"])
@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_bomb_is_refused_for_its_ratio(compression: str, first: bytes) -> None:
    """B4: `limit.ratio` once, for a document and for what a tar's header says is a member."""
    size = 72 << 20  # the ratio matters after 64 MiB
    bomb = in_pieces(first * size, compression, size)
    if first == b"\0":
        bomb = COMPRESSIONS[compression](header("x/README", size)) + bomb
    reading = read(bomb + COMPRESSIONS[compression](b"\n" + LINES))
    assert ([], ["limit.ratio"]) == (reading.members, reading.codes)


def test_a_zstd_frame_may_not_ask_for_any_amount_of_memory(tmp_path: Path) -> None:
    """B4: a window beyond what `zstd --long` needs is refused, not allocated."""
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([21 << 3]) + b"\x01\x00\x00" + bytes(9)
    for data in (frame, skippable(b"abc") + frame):
        (refused,) = refusals(data, tmp_path)
        assert "limit.size" == refused.code
        assert "zstd" in refused.message
        assert "2147483648" in refused.message
