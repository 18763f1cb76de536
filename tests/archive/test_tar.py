"""Tars without bags, and invalid members in them (C3, C5)."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tracemalloc
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.archive import Member, ReadLimits, RefusedMember, open_source
from mirror.archive.tar import is_tar
from tests.archive.tar_builders import (
    BLOCK,
    COMPRESSIONS,
    END,
    NO_LIMITS,
    bag_files,
    base_256,
    below,
    bundle_files,
    bundle_text,
    entry,
    header,
    padded,
    pax,
    pax_record,
    plain_tar,
    read,
    tar_by_python,
    time_limit,
    with_checksum,
    write_files,
)
from tests.growth.work import growth

FORMATS = {
    "GNU": tarfile.GNU_FORMAT,
    "PAX": tarfile.PAX_FORMAT,
    "USTAR": tarfile.USTAR_FORMAT,
}
BEFORE, AFTER, ODD = (bundle_text(number) for number in (1, 2, 3))
MIB = 1 << 20
GNU_TAR = shutil.which("tar") or ""


def between(middle: bytes) -> bytes:
    """A tar with something between two valid bundles."""
    start, end = entry("before/bundle.json", BEFORE), entry("after/bundle.json", AFTER)
    return start + middle + end + END


# C3 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_bundles_at_any_depth_are_read_and_other_names_are_ignored(
    tar_format: int, compression: str
) -> None:
    """C3: `bundle.json` and `*.bundle.json`, in any folder, and nothing else."""
    deep = "/".join(["deep"] * 18) + "/bundle.json"
    bundles = bundle_files("bundle.json", ".bundle.json", "a/b c/x.bundle.json", deep)
    others = dict.fromkeys(
        ["bundle.json.txt", "a/xbundle.json", "a/state.json", "Bundle.json", "a.json", "b.tar"], ODD
    )
    data = tar_by_python({**others, **bundles, "README": b""}, tar_format)
    reading = read(COMPRESSIONS[compression](data))
    assert (bundles, []) == (reading.files, reading.refused)
    bundles_perhaps, others_told = reading.told
    assert bundles_perhaps.startswith("4 files of other names passed over: a/xbundle.json")
    assert others_told == "2 files of other names passed over: bundle.json.txt, README"


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_non_ascii_names_are_read(tar_format: int) -> None:
    """C3: names longer than the field of a header, and in any script."""
    names = [
        "x" * 150 + "/bundle.json",
        "/".join(["long"] * 100) + "/é.bundle.json",
        "書/bundle.json",
    ]
    bundles = bundle_files(*names)
    reading = read(tar_by_python(bundles, tar_format))
    assert (bundles, []) == (reading.files, reading.refused)


def test_names_do_not_depend_on_the_locale(tmp_path: Path) -> None:
    """C3, C5: a UTF-8 name is accepted in a plain header too, in any locale."""
    (tmp_path / "x.tar").write_bytes(plain_tar({"é/bundle.json": BEFORE}))
    script = (
        "import sys; from mirror.archive import *\n"
        "with open_source(sys.argv[1], ReadLimits()) as source:\n"
        "    for item in source.items(): print(type(item).__name__, ascii(item.name))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "x.tar"],
        env={**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert b"Member '\\xe9/bundle.json'\n" == done.stdout


@pytest.mark.skipif(not GNU_TAR, reason="there is no tar")
@pytest.mark.parametrize("options", [[], ["--format=posix"], ["--format=ustar"], ["--format=v7"]])
def test_tars_by_gnu_tar_are_read(tmp_path: Path, options: list[str]) -> None:
    """C3: with folders and `./` before every name, in any order."""
    bundles = bundle_files("a/bundle.json", "b/c/x.bundle.json", "bundle.json")
    write_files(tmp_path / "in", {**bundles, "b/README": b"no bundle"})
    subprocess.run([GNU_TAR, *options, "-cf", "out.tar", "-C", "in", "."], cwd=tmp_path, check=True)
    reading = read(tmp_path / "out.tar")
    assert ({f"./{name}": data for name, data in bundles.items()}, []) == (
        reading.files,
        reading.refused,
    )


def test_an_archive_without_bundles_is_reported() -> None:
    """C3: a source without any bundle is reported."""
    for data in (bytes(BLOCK), END, bytes(10240), plain_tar({"README": b"x"})):
        reading = read(data)
        assert ([], ["archive.empty"]) == (reading.members, reading.codes)


def test_members_beyond_the_count_are_refused_together() -> None:
    """B4: `limit.count` once, and members before it are read."""
    bundles = bundle_files("a/bundle.json", "b/bundle.json", "c/bundle.json")
    reading = read(plain_tar(bundles), ReadLimits(members=2))
    assert (["a/bundle.json", "b/bundle.json"], ["limit.count"]) == (
        [*reading.files],
        reading.codes,
    )
    assert [] == read(plain_tar(bundles), ReadLimits(members=3)).codes


def test_a_member_larger_than_a_bundle_may_be_is_refused_alone() -> None:
    """B4: `limit.size` by the header, before any content is read."""
    reading = read(between(entry("x/bundle.json", bytes(3000))), ReadLimits(member_bytes=2000))
    assert [("x/bundle.json", "limit.size")] == reading.refused
    assert 2 == len(reading.members)


# C5: what a member must not be ---------------------------------------------------------------


def gnu_sparse(name: str, data: bytes) -> bytes:
    """A sparse member of GNU tar's old format: one piece at offset 0."""
    block = bytearray(header(name, len(data), b"S"))
    block[257:265] = b"ustar  \0"
    block[386:398] = b"%011o\0" % 0
    block[398:410] = b"%011o\0" % len(data)
    block[483:495] = b"%011o\0" % len(data)
    return with_checksum(bytes(block)) + padded(data)


def sparse_1_0(data: bytes) -> bytes:
    """A sparse member of pax format 1.0, its map before its content."""
    records = {"major": "1", "minor": "0", "name": "odd/bundle.json", "realsize": str(len(data))}
    keys = {f"GNU.sparse.{key}": value for key, value in records.items()}
    content = f"1\n0\n{len(data)}\n".encode().ljust(BLOCK, b"\0") + data
    return pax(keys) + entry("GNUSparseFile.0/bundle.json", content)


SPARSE_0_1 = {"GNU.sparse.map": f"0,{len(ODD)}", "GNU.sparse.size": str(len(ODD))}
SPARSE_0_0 = b"".join(
    pax_record(f"GNU.sparse.{key}", value)
    for key, value in [("size", str(len(ODD))), ("numblocks", "1"), ("offset", "0")]
) + pax_record("GNU.sparse.numbytes", str(len(ODD)))

REFUSED_MEMBERS = {
    "absolute": entry("/odd/bundle.json", ODD),
    "absolute folder": entry("/odd/", b"", b"5"),
    "two slashes": entry("//odd/bundle.json", ODD),
    "climbs": entry("../odd/bundle.json", ODD),
    "climbs within": entry("a/../../odd/bundle.json", ODD),
    "climbs and comes back": entry("odd/a/../bundle.json", ODD),
    "climbing folder": entry("a/../..", b"", b"5"),
    "hard link": header("odd/bundle.json", 0, b"1", "before/bundle.json"),
    "hard link out": header("odd/bundle.json", 0, b"1", "/etc/passwd"),
    "symbolic link": header("odd/bundle.json", 0, b"2", "../before/bundle.json"),
    "link of another name": header("odd/README", 0, b"2", "/etc/passwd"),
    "character device": header("odd/bundle.json", 0, b"3"),
    "block device": header("odd/bundle.json", 0, b"4"),
    "fifo": header("odd/bundle.json", 0, b"6"),
    "unknown type": entry("odd/bundle.json", ODD, b"Z"),
    "continued from another volume": entry("odd/bundle.json", ODD, b"M"),
    "sparse, GNU": gnu_sparse("odd/bundle.json", ODD),
    "sparse, pax 0.0": entry("PaxHeader", SPARSE_0_0, b"x") + entry("odd/bundle.json", ODD),
    "sparse, pax 0.1": pax(SPARSE_0_1) + entry("odd/bundle.json", ODD),
    "sparse, pax 1.0": sparse_1_0(ODD),
    "not UTF-8": entry(b"odd/\xff\xfe/bundle.json", ODD),
    "not UTF-8, Latin-1": entry("odd/é/bundle.json".encode("latin-1"), ODD),
    "not UTF-8, a surrogate": entry(b"odd/\xed\xa0\x80/bundle.json", ODD),
    "line feed": entry("odd/\n/bundle.json", ODD),
    "escape": entry("odd/\x1b[2J/bundle.json", ODD),
    "delete": entry("odd/\x7f/bundle.json", ODD),
    "NUL in a pax path": pax({"path": "odd/\0/bundle.json"}) + entry("x", ODD),
    "absolute in a pax path": pax({"path": "/odd/bundle.json"}) + entry("odd/bundle.json", ODD),
    "climbs in a pax path": pax({"path": "../bundle.json"}) + entry("odd/bundle.json", ODD),
    "climbs in a GNU name": entry("././@LongLink", b"../bundle.json\0", b"L") + entry("x", ODD),
    "twice": entry("before/bundle.json", ODD),
    "twice, with a dot": entry("before/./bundle.json", ODD),
    "twice, with ./": entry("./before/bundle.json", ODD),
    "twice, with //": entry("before//bundle.json", ODD),
    "twice, by a pax path": pax({"path": "before/bundle.json"}) + entry("x", ODD),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("middle", REFUSED_MEMBERS.values(), ids=REFUSED_MEMBERS)
def test_a_forbidden_member_is_refused_alone(middle: bytes, compression: str) -> None:
    """C5: `archive.member` once, and members before and after it are read."""
    reading = read(COMPRESSIONS[compression](between(middle)))
    assert {"before/bundle.json": BEFORE, "after/bundle.json": AFTER} == reading.files
    assert (2, ["archive.member"]) == (len(reading.members), reading.codes)


@pytest.mark.parametrize("name", [b"odd/\xff/bundle.json", b"odd/\n/bundle.json"])
def test_a_refused_name_can_be_printed_as_json(tmp_path: Path, name: bytes) -> None:
    """C5: a name that is refused for its bytes does not end the command that reports it."""
    (tmp_path / "x.tar").write_bytes(between(entry(name, ODD)))
    program = Path(sys.executable).with_name("mirror")
    done = subprocess.run(
        [program, "verify", "--json", "--db", tmp_path / "none.db", tmp_path / "x.tar"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (1, 1) == (done.returncode, len(done.stdout.splitlines())), done.stderr


def test_a_pax_path_takes_the_place_of_the_name_in_the_header() -> None:
    """C3, C5: a name is checked with all headers applied, not as an old tool would."""
    hidden = pax({"path": "odd/README"}) + entry("odd/bundle.json", ODD)
    shown = pax({"path": "odd/bundle.json"}) + entry("odd/README", ODD)
    assert {"before/bundle.json", "after/bundle.json"} == read(between(hidden)).files.keys()
    assert ODD == read(between(shown)).files["odd/bundle.json"]


def test_names_that_differ_in_unicode_form_only_are_two_names() -> None:
    """C5: each name once; composed and decomposed letters are different names."""
    bundles = {"caf\u00e9/bundle.json": BEFORE, "cafe\u0301/bundle.json": AFTER}
    reading = read(plain_tar(bundles))
    assert (bundles, []) == (reading.files, reading.refused)


def test_percent_signs_in_names_mean_nothing_outside_a_bag() -> None:
    """C3: only a manifest escapes names."""
    bundles = bundle_files("100%/bundle.json", "100%25/bundle.json", "%0A/bundle.json")
    reading = read(plain_tar(bundles))
    assert (bundles, []) == (reading.files, reading.refused)


# C5: headers that lie ------------------------------------------------------------------------


def chain(length: int, one: bytes) -> bytes:
    """Many extended headers before one member."""
    return one * length + entry("odd/bundle.json", ODD)


GNU_NAME = entry("././@LongLink", b"odd/bundle.json\0", b"L")
HUGE = "9" * 30
EXTENDED_SPARSE = with_checksum(gnu_sparse("odd", b"")[:482] + b"\1" + gnu_sparse("odd", b"")[483:])

LYING_HEADERS: dict[str, bytes] = {
    "size -512": header("odd/bundle.json", size_field=base_256(-512)),
    "size -1024": header("odd/bundle.json", size_field=base_256(-1024)),
    "size -1": header("odd/bundle.json", size_field=base_256(-1)),
    "size -2^40": header("odd/bundle.json", size_field=base_256(-(2**40))),
    "size 8 GiB": header("odd/bundle.json", size_field=base_256(2**33)),
    "size 2^62": header("odd/bundle.json", size_field=base_256(2**62)),
    "size 2^80": header("odd/bundle.json", size_field=base_256(2**80)),
    "size that is no number": header("odd/bundle.json", size_field=b"12345678x9a\0"),
    "pax size -512": pax({"size": "-512"}) + header("odd/bundle.json"),
    "pax size -1536": pax({"size": "-1536"}) + header("odd/bundle.json"),
    "pax size 10^30": pax({"size": HUGE}) + header("odd/bundle.json"),
    "pax size of 5000 digits": pax({"size": "9" * 5000}) + entry("odd/bundle.json", ODD),
    "pax size that is no number": pax({"size": "x"}) + entry("odd/bundle.json", ODD),
    "pax record of length 0": entry("p", b"0 path=x\n", b"x") + entry("odd/bundle.json", ODD),
    "pax record that is too short": entry("p", b"3 path=x\n", b"x") + entry("odd/bundle.json", ODD),
    "pax record that is too long": entry("p", b"99 path=x\n", b"x") + entry("odd/bundle.json", ODD),
    "pax record of no form": entry("p", b"garbage\n", b"x") + entry("odd/bundle.json", ODD),
    "pax length of 5000 digits": entry("p", b"9" * 5000 + b" a=b\n", b"x")
    + entry("odd/bundle.json", ODD),
    "pax header of digits": entry("p", b"1" * 300_000, b"x") + entry("odd/bundle.json", ODD),
    "pax charset not UTF-8": entry("p", b"19 hdrcharset=\xff\xff\xff\n", b"x")
    + entry("odd/bundle.json", ODD),
    "pax sparse map": pax({"GNU.sparse.map": "x"}) + entry("odd/bundle.json", ODD),
    "pax sparse size": pax({"GNU.sparse.size": "x"}) + entry("odd/bundle.json", ODD),
    "pax sparse real size": pax({"GNU.sparse.realsize": "x"}) + entry("odd/bundle.json", ODD),
    "pax sparse real size beyond the member": pax({"GNU.sparse.realsize": "9000"})
    + entry("odd/bundle.json", ODD),
    "pax sparse 1.0 without a map": pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})
    + entry("odd/bundle.json", bytes(BLOCK)),
    "pax sparse 1.0 with a map of letters": pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})
    + entry("odd/bundle.json", b"x\ny\n"),
    "pax header without a member": pax({"path": "odd/bundle.json"}) + bytes(BLOCK),
    "GNU name of size -512": header("././@LongLink", kind=b"L", size_field=base_256(-512)),
    "GNU name of size -1": header("././@LongLink", kind=b"L", size_field=base_256(-1)),
    "GNU name of 2^62 bytes": header("././@LongLink", kind=b"L", size_field=base_256(2**62)),
    "2000 GNU names": chain(2000, GNU_NAME),
    "2000 pax headers": chain(2000, pax({"comment": "x"})),
    "sparse map that goes on": EXTENDED_SPARSE,
}


@pytest.mark.parametrize("compression", ["plain", "gzip"])
@pytest.mark.parametrize("middle", LYING_HEADERS.values(), ids=LYING_HEADERS)
def test_an_invalid_header_is_reported(middle: bytes, compression: str) -> None:
    """C5: no crash and no hang; members before it are read, and the rest is reported."""
    reading = read(COMPRESSIONS[compression](between(middle)))
    assert ("before/bundle.json", BEFORE) == reading.members[0]
    assert set(reading.files.values()) <= {BEFORE, ODD, AFTER, b""}
    assert reading.refused or AFTER in reading.files.values()


@pytest.mark.parametrize("size", [-512, -1024, -1, 2**33, 2**62, 2**80])
def test_an_impossible_size_is_reported(size: int) -> None:
    """C5: a member of a negative size, or larger than the archive, refuses at least itself."""
    reading = read(between(header("odd/bundle.json", size_field=base_256(size))))
    assert [("before/bundle.json", BEFORE)] == reading.members[:1]
    assert "odd/bundle.json" not in reading.files
    assert reading.refused


def test_an_archive_that_is_cut_in_a_sparse_map_is_truncated() -> None:
    """C5: also if the map of a sparse member should continue in the next block."""
    reading = read(entry("before/bundle.json", BEFORE) + EXTENDED_SPARSE[:BLOCK])
    assert [("before/bundle.json", BEFORE)] == reading.members
    assert "archive.truncated" in reading.codes


@pytest.mark.parametrize(
    ("kind", "compression", "size", "most"),
    [
        *((kind, one, 4, 2) for kind in (b"x", b"g", b"L", b"K") for one in ("plain", "gzip")),
        (b"x", "zstd", 20, 16),  # its window is larger
    ],
)
def test_a_huge_extended_header_is_refused_in_bounded_memory(
    kind: bytes, compression: str, size: int, most: int
) -> None:
    """C5, B4: it is reported, members before it are read, and memory stays small."""
    huge = pax({"comment": "x" * size * MIB}, kind) + entry("odd/bundle.json", ODD)
    data = COMPRESSIONS[compression](between(huge))
    tracemalloc.start()
    reading = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ("before/bundle.json", BEFORE) == reading.members[0]
    assert reading.refused
    assert peak < most * MIB


def test_global_headers_do_not_add_up_in_memory() -> None:
    """C5, B4: a stream of global headers costs no more than one of them."""
    value = "v" * 9000
    parts = [pax({f"k{n}.{m}": value for m in range(100)}, b"g") for n in range(20)]
    data = COMPRESSIONS["gzip"](entry("before/bundle.json", BEFORE) + b"".join(parts) + END)
    tracemalloc.start()
    reading = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [("before/bundle.json", BEFORE)] == reading.members
    assert peak < 8 * MIB


# C5: truncation and damage -------------------------------------------------------------------


def six_members(tar_format: int) -> tuple[bytes, list[tuple[str, bytes, int]]]:
    """A tar, and for each member its name, its content and the offset of its end."""
    names = [
        "a/bundle.json",
        "b/README",
        "x" * 99 + "/bundle.json",
        "bundle.json",
        "e/.bundle.json",
    ]
    files = {**bundle_files(*names), "f/bundle.json": b""}
    data = tar_by_python(files, tar_format)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        ends = [info.offset_data + info.size for info in tar]
    found = [(*file, end) for file, end in zip(files.items(), ends, strict=True)]
    return data, [one for one in found if one[0].endswith("bundle.json")]


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_a_truncated_tar_is_read_up_to_the_cut_and_reported(tar_format: int) -> None:
    """C5: wherever it is cut, unless only padding after the first block of zeros is missing."""
    data, bundles = six_members(tar_format)
    end_mark = len(data.rstrip(b"\0"))
    end_mark += -end_mark % BLOCK + BLOCK  # the last header, of an empty member, is not zeros
    for cut in [*range(BLOCK, end_mark + 5 * BLOCK, BLOCK), *range(BLOCK + 1, end_mark + 700, 97)]:
        reading = read(data[:cut])
        assert [one[:2] for one in bundles if one[2] <= cut] == reading.members, cut
        expected = {"archive.truncated"} if cut < end_mark else set()
        assert expected == set(reading.codes), cut


def test_a_tar_cut_within_its_first_header_is_not_read() -> None:
    """C5: it is too short to be recognised, but nothing in it is read as a bundle."""
    data, _ = six_members(tarfile.USTAR_FORMAT)
    for cut in range(1, BLOCK, 13):
        reading = read(data[:cut])
        assert [("", data[:cut])] == reading.members or reading.refused, cut


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("zeros", [0, 1, 511, 512, 9000, 3 * MIB])
def test_zeros_after_the_end_marker_are_padding(compression: str, zeros: int) -> None:
    """C5: tools pad archives, and a tape is longer than its archive."""
    data = plain_tar({"before/bundle.json": BEFORE}) + bytes(zeros)
    reading = read(COMPRESSIONS[compression](data))
    assert ([("before/bundle.json", BEFORE)], []) == (reading.members, reading.refused)


TRAILING = {
    "garbage": b"garbage" * 1000,
    "one byte": b"\1",
    "one byte, far behind": bytes(3 * MIB) + b"\1",
    "another tar": entry("after/bundle.json", AFTER) + END,
    "another tar, behind padding": bytes(9000) + entry("after/bundle.json", AFTER) + END,
    "a tar in gzip": COMPRESSIONS["gzip"](plain_tar({"after/bundle.json": AFTER})),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("trailing", TRAILING.values(), ids=TRAILING)
def test_data_after_the_end_marker_is_reported(trailing: bytes, compression: str) -> None:
    """C5: `archive.trailing`, once, and members before it are read."""
    data = plain_tar({"before/bundle.json": BEFORE}) + trailing
    reading = read(COMPRESSIONS[compression](data))
    assert [("before/bundle.json", BEFORE)] == reading.members
    assert [("after before/bundle.json", "archive.trailing")] == reading.refused


@pytest.mark.parametrize("second", COMPRESSIONS)
@pytest.mark.parametrize("first", COMPRESSIONS)
def test_of_two_archives_in_a_row_the_first_is_read(first: str, second: str) -> None:
    """C5: one after the other, as `cat` joins them, compressed or not."""
    one, two = (plain_tar({name: BEFORE}) for name in ("1.bundle.json", "2.bundle.json"))
    reading = read(COMPRESSIONS[first](one) + COMPRESSIONS[second](two))
    assert ["1.bundle.json"] == [*reading.files]
    assert ["archive.trailing"] == reading.codes


def test_missing_files_of_a_bag_are_reported_if_another_archive_follows() -> None:
    """C5: an archive with another one after it is complete."""
    files = dict(below("bag", bag_files(bundle_files("a.bundle.json", "b.bundle.json"))))
    del files["bag/data/a.bundle.json"]
    reading = read(plain_tar(files) + plain_tar(files))
    assert ["archive.fixity", "archive.trailing"] == sorted(reading.codes)


# C5: what is no member and no fault ----------------------------------------------------------


def apple_double(owner: str) -> str:
    """The name of the AppleDouble file of a file."""
    folder, slash, last = owner.rpartition("/")
    return f"{folder}{slash}._{last}"


@pytest.mark.parametrize("order", ["before", "behind", "far before", "far behind"])
@pytest.mark.parametrize("owner", ["x.bundle.json", "a/bundle.json", "./a/b.bundle.json"])
def test_apple_double_files_are_no_members(owner: str, order: str) -> None:
    """C5: before its file, as macOS writes it, or after it, as other tools sort it."""
    double, middle = {apple_double(owner): b"\0\5\x16\7"}, bundle_files("m/bundle.json")
    between_them = middle if order.startswith("far") else {}
    files = {**double, **between_them, owner: BEFORE}
    if order.endswith("behind"):
        files = dict(reversed(files.items()))
    reading = read(plain_tar(files))
    assert ({**between_them, owner: BEFORE}, []) == (reading.files, reading.refused)
    assert [] == reading.told


@pytest.mark.parametrize("owner", ["x.bundle.json", "b/x.bundle.json"])
def test_an_apple_double_name_without_its_file_is_a_member(owner: str) -> None:
    """C3, C5: it is a member like any other, and is checked as one."""
    reading = read(plain_tar({apple_double(owner): BEFORE, f"other/{owner}": AFTER}))
    assert {apple_double(owner): BEFORE, f"other/{owner}": AFTER} == reading.files


def test_apple_double_files_in_a_bag_are_no_fault() -> None:
    """C5: beside files and folders, though no manifest lists it; a listed one is checked."""
    payload = bundle_files("pith/a/bundle.json", "pith/b/bundle.json")
    files = below("bag", bag_files(payload))
    folders = ["bag", "bag/data", "bag/data/pith", "bag/data/pith/a"]
    data = b"".join(
        [entry(apple_double(name), b"\0\5") + header(f"{name}/", kind=b"5") for name in folders]
        + [entry(apple_double(name), b"\0\5") + entry(name, text) for name, text in files.items()]
    )
    reading = read(data + END)
    assert (below("bag/data", payload), []) == (reading.files, reading.refused)
    listed = bag_files({**payload, "pith/a/._bundle.json": b"x"})
    reading = read(plain_tar({**listed, "data/pith/a/._bundle.json": b"y"}))
    assert [("data/pith/a/._bundle.json", "archive.fixity")] == reading.refused
    assert below("data", payload) == reading.files


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    "middle",
    [header("Monday's backup/../..", kind=b"V"), entry("folder/", b"Ybundle.json\0\0", b"D")],
    ids=["volume label", "folder list"],
)
def test_volume_labels_and_folder_lists_of_gnu_tar_are_no_members(
    middle: bytes, compression: str
) -> None:
    """C5: a volume label, and a folder with the list of its files; nothing is refused."""
    for data in (between(middle), middle + plain_tar({"a/bundle.json": BEFORE})):
        reading = read(COMPRESSIONS[compression](data))
        assert {BEFORE} <= {*reading.files.values()} <= {BEFORE, AFTER}
        assert ([], []) == (reading.refused, reading.told)


# C5: names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "a/", "\u0301", "\u0301\u0316"])
def test_a_name_longer_than_the_limit_is_refused(name: str) -> None:
    """B4: `limit.size`, with the name truncated; a name of the limit's length is read."""
    for count, codes in ((4084, []), (4085, ["limit.size"]), (240_000, ["limit.size"])):
        path = (name * count)[:count] + "/bundle.json"
        reading = read(between(pax({"path": path}) + entry("x", ODD)))
        assert codes == reading.codes
        assert all(len(one) < 400 for one, _ in reading.refused)
        assert (3 - len(codes)) == len(reading.members)


def test_a_name_of_many_combining_marks_is_not_normalized() -> None:
    """B4: a component longer than any file system's limit is not normalized."""
    marks = "\u0301\u0316" * 2000
    files = bag_files({f"{marks}/bundle.json": b"{}"})
    other = unicodedata.normalize("NFD", f"{marks}/bundle.json")
    assert other != f"{marks}/bundle.json"
    text = files["manifest-sha256.txt"].replace(marks.encode(), other[: len(marks)].encode())
    data = {**files, "manifest-sha256.txt": text}
    del data["tagmanifest-sha256.txt"]
    assert "archive.fixity" in read(tar_by_python(data, tarfile.PAX_FORMAT)).codes
    short = marks[:254]
    same = bag_files({f"{short}/bundle.json": b"{}"})
    form = unicodedata.normalize("NFC", short)
    text = same["manifest-sha256.txt"].replace(short.encode(), form.encode())
    data = {**same, "manifest-sha256.txt": text}
    del data["tagmanifest-sha256.txt"]
    assert [] == read(tar_by_python(data, tarfile.PAX_FORMAT)).refused


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_header_of_zeros_in_the_middle_is_not_the_end(compression: str) -> None:
    """C5: the end-of-archive marker is two blocks; one, with members after it, is a lost header."""
    data = between(bytes(BLOCK) + padded(ODD))
    reading = read(COMPRESSIONS[compression](data))
    assert ("before/bundle.json", BEFORE) == reading.members[0]
    assert "archive.truncated" in reading.codes


def test_a_damaged_header_is_not_taken_for_the_end() -> None:
    """C5: a change of any byte of a header is reported, unless its meaning is the same."""
    data = between(entry("odd/bundle.json", ODD))
    whole = read(data)
    start = len(entry("before/bundle.json", BEFORE))
    for place in range(BLOCK):
        damaged = bytearray(data)
        damaged[start + place] ^= (0x01, 0x80)[place % 2]
        reading = read(bytes(damaged))
        assert ("before/bundle.json", BEFORE) == reading.members[0]
        assert whole == reading or "archive.truncated" in reading.codes, place


def is_header_with(block: bytes, chksum: int) -> bool:
    """Whether a block with this checksum is a valid header."""
    return is_tar(block[:148] + b"%06o\0 " % chksum + block[156:])


def test_the_checksum_of_a_header_is_that_of_the_standard_library() -> None:
    """C5: for any bytes, its sum, of unsigned or signed bytes, and no number near it."""
    usual = header("a/bundle.json", 7)
    full = b"\xff" * 124 + usual[124:136] + b"\xff" * (BLOCK - 136)
    changes = ((place, change) for place in range(BLOCK) for change in (0x01, 0x80, 0xFF))
    changed = [
        usual[:place] + bytes([usual[place] ^ change]) + usual[place + 1 :]
        for place, change in changes
        if not 124 <= place < 136  # the size, which may become invalid
    ]
    for block in (usual, full, *changed):
        sums = tarfile.calc_chksums(block)  # type: ignore[attr-defined]
        valid = {total for total in sums if total >= 0}
        near = {total + add for total in valid for add in (0, 1, 256, 65521, 65536)}
        assert valid == {total for total in near if is_header_with(block, total)}


def test_a_tar_with_a_damaged_first_header_gives_no_bundle() -> None:
    """C5: data that is no longer a tar is a document, and not a bundle."""
    data = bytearray(plain_tar({"before/bundle.json": BEFORE}))
    data[0] ^= 1
    reading = read(bytes(data))
    assert BEFORE not in reading.files.values()
    assert reading.members or reading.refused


# C5: a stream --------------------------------------------------------------------------------


def peak_of_reading(path: Path, limits: ReadLimits = NO_LIMITS) -> tuple[int, int, int]:
    """Members, refusals, and the peak memory of reading, beyond that before."""
    members = refusals = 0
    tracemalloc.start()
    with time_limit(), open_source(str(path), limits) as source:
        for item in source.items():
            members += isinstance(item, Member)
            refusals += isinstance(item, RefusedMember) and not item.is_passed_over
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return members, refusals, peak


def test_many_members_take_no_more_memory_than_one(tmp_path: Path) -> None:
    """C5: an archive is streamed; a member more takes less than 32 bytes."""
    (tmp_path / "one.tar").write_bytes(entry("bundle.json", b"{}") + END)
    members = [entry(f"{n:05}/bundle.json", b"{}") for n in range(2000)]
    (tmp_path / "many.tar").write_bytes(b"".join(members) + END)
    *_, least = peak_of_reading(tmp_path / "one.tar")
    found, refusals, peak = peak_of_reading(tmp_path / "many.tar")
    assert (2000, 0) == (found, refusals)
    assert peak < least + 32 * 2000


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_large_members_take_the_memory_of_one(tmp_path: Path, compression: str) -> None:
    """C5: one of 8 members of 1 MB is in memory at a time."""
    noise = random.Random(0).randbytes(MIB)
    data = b"".join(entry(f"{n}/bundle.json", noise) for n in range(8)) + END
    (tmp_path / "x").write_bytes(COMPRESSIONS[compression](data))
    del data
    members, refusals, peak = peak_of_reading(tmp_path / "x")
    assert (8, 0) == (members, refusals)
    assert peak < 5 * MIB


@pytest.mark.parametrize(
    ("compression", "size", "most"), [("plain", 10, 6), ("gzip", 10, 6), ("zstd", 28, 44)]
)
def test_members_that_are_not_read_take_no_memory(
    tmp_path: Path, compression: str, size: int, most: int
) -> None:
    """C3: ignored or too large members are skipped in chunks."""
    names = ("README", "x/bundle.json")
    data = b"".join(header(name, size * MIB) + bytes(size * MIB) for name in names) + END
    (tmp_path / "x").write_bytes(COMPRESSIONS[compression](data))
    del data
    limits = ReadLimits(member_bytes=(size - 1) * MIB)
    members, refusals, peak = peak_of_reading(tmp_path / "x", limits)
    assert (0, 1) == (members, refusals)
    assert peak < most * MIB


NAMES_OF_TAG_FILES: list[Callable[[int], str]] = [
    lambda n: f"{n}/bagit.txt",
    lambda n: f"{n}/manifest-sha256.txt",
    lambda n: f"manifest-a{n}.txt",
]


@pytest.mark.parametrize("name", NAMES_OF_TAG_FILES, ids=["bagit", "manifests", "algorithms"])
def test_tag_files_do_not_add_up_in_memory(tmp_path: Path, name: Callable[[int], str]) -> None:
    """C5: any number of manifests wait on disk for their bag."""
    data = b"".join(entry(name(n), b"\n" * (2 * MIB)) for n in range(5)) + END
    (tmp_path / "x").write_bytes(data)
    del data
    assert peak_of_reading(tmp_path / "x")[2] < 5 * MIB


def test_many_bags_in_one_tar_are_read_in_linear_time(tmp_path: Path) -> None:
    """C5: the work for a member does not grow with the number of bags."""

    def bags(count: int) -> Callable[[], None]:
        path = tmp_path / f"{count}.tar"
        entries = (entry(f"{n}/bagit.txt") + entry(f"{n}/README") for n in range(count))
        path.write_bytes(b"".join(entries) + END)

        def read_all() -> None:
            with open_source(str(path), NO_LIMITS) as source:
                assert 1 == len(list(source.items()))

        return read_all

    assert growth(bags, 50) < 2.3
