"""Listing extents and reading them later gives the same as reading at once (C2, C3, C5)."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.archive import (
    BUNDLES,
    STATES,
    Bag,
    Extent,
    LocalFileTree,
    Member,
    MemberFilter,
    ReadLimits,
    RefusedMember,
    empty_source,
    is_uncompressed_tar,
    list_folder,
    locate_in_tar,
    open_source,
    read_extent,
    read_file_in_folder,
    read_member,
)
from mirror.archive.member import MemberOrBag
from tests.archive.tar_builders import (
    END,
    NO_LIMITS,
    bundle_files,
    bundle_text,
    entry,
    header,
    pax,
    plain_tar,
    write_files,
)
from tests.cluster.sources import bag
from tests.helpers import DEMO_RECORDS, PITH_RECORDS

ROOT = Path(__file__).resolve().parents[2]


def located(data: bytes, limits: ReadLimits = NO_LIMITS) -> list[Extent | RefusedMember | Bag]:
    """The extents in a tar."""
    return list(locate_in_tar(io.BytesIO(data), limits))


def by_extents(data: bytes, limits: ReadLimits = NO_LIMITS) -> list[MemberOrBag]:
    """The items of a tar, each extent read by itself; no bag if anything is refused in one."""
    items: list[MemberOrBag] = []
    for one in located(data, limits):
        if isinstance(one, Extent):
            content = data[one.offset : one.offset + one.size]
            items += read_extent(one, content, limits)
        elif isinstance(one, RefusedMember) or not any(
            isinstance(item, RefusedMember) for item in items
        ):
            items.append(one)
    return items


def at_once(path: Path, limits: ReadLimits = NO_LIMITS) -> list[MemberOrBag]:
    """The items of a source, except the refusal of an empty source."""
    with open_source(str(path), limits) as source:
        return [item for item in source.items() if item != empty_source(BUNDLES)]


# Tars ----------------------------------------------------------------------------------------

TEXTS = [bundle_text(number) for number in range(1, 6)]
TARS: dict[str, bytes] = {
    "a tar": plain_tar(bundle_files("a/bundle.json", "b.bundle.json", "c")),
    "a bag": bag(TEXTS),
    "a packed bag": bag([*TEXTS, b"no JSON"], packed=True),
    "an increment": bag(TEXTS[:1], [("Pith-Base-Manifest-SHA256", "0" * 64)]),
    "pax headers": pax({"path": "x/bundle.json", "size": "4"}) + entry("y", b"1234") + END,
}
LIMITS = [
    NO_LIMITS,
    ReadLimits(member_bytes=1100),
    ReadLimits(segment_bytes=100),
    ReadLimits(members=3),
    ReadLimits(values=40),
    ReadLimits(header_bytes=100),
]


@pytest.mark.parametrize("limits", LIMITS, ids=repr)
@pytest.mark.parametrize("data", TARS.values(), ids=TARS)
def test_extents_hold_what_the_archive_gives(
    tmp_path: Path, data: bytes, limits: ReadLimits
) -> None:
    """Bundles, refusals and the bag, in the same order, with any limits."""
    (tmp_path / "tar").write_bytes(data)
    assert at_once(tmp_path / "tar", limits) == by_extents(data, limits)


@pytest.mark.parametrize("name", ["demo", "pith"])
def test_extents_of_the_samples(name: str) -> None:
    """There is one extent for each bundle, and each contains one bundle."""
    path = ROOT / "bundles" / f"{name}.tar"
    items = by_extents(path.read_bytes())
    assert {"demo": DEMO_RECORDS + 1, "pith": PITH_RECORDS}[name] == sum(
        isinstance(one, Member) for one in items
    )
    assert at_once(path) == items


_DAMAGE = st.tuples(st.integers(0, 1 << 16), st.binary(max_size=3) | st.just(bytes(512)))


@st.composite
def damaged_tars(draw: st.DrawFn) -> bytes:
    """A tar that is cut, overwritten or joined with another."""
    data = draw(st.sampled_from([*TARS.values()]))
    if draw(st.booleans()):
        data = data.removesuffix(END) + draw(st.sampled_from([*TARS.values()]))
    for place, junk in draw(st.lists(_DAMAGE, max_size=2)):
        at = place % len(data)
        data = data[:at] + junk + data[at + len(junk) :]
    return data[: draw(st.none() | st.integers(512, len(data)))]


@settings(max_examples=2 * settings().max_examples)
@given(damaged_tars(), st.sampled_from([NO_LIMITS, *LIMITS]))
def test_extents_of_damaged_archives(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limits: ReadLimits
) -> None:
    """C5: duplicates, wrong digests, truncation: the refusals and their locations are the same."""
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    path.write_bytes(data)
    if is_uncompressed_tar(data[:512]):
        assert at_once(path, limits) == by_extents(data, limits)


def test_an_extent_gives_the_place_of_a_member() -> None:
    """An extent is the content, without header and padding, with any extended headers before it."""
    data = entry("other", b"x" * 600) + pax({"path": "long/bundle.json"}) + entry("short", b"{}")
    extent, _ = located(data + END)
    assert Extent("long/bundle.json", 6 * 512, 2, is_segment=False) == extent
    assert b"{}" == data[extent.offset : extent.offset + extent.size]


def test_a_member_without_content_has_an_extent() -> None:
    """The bundle is invalid, which is reported when it is read."""
    assert [Member("bundle.json", b"")] == by_extents(header("bundle.json") + END)


def test_a_segment_has_one_extent_unless_nothing_is_in_it() -> None:
    """C4: the content of a segment is reported when it is read; an empty one has no extent."""
    (extent, found) = located(bag(TEXTS, packed=True))
    assert isinstance(extent, Extent)
    assert extent.is_segment
    assert isinstance(found, Bag)
    empty = zstandard.compress(b"")
    assert not list(read_extent(extent, empty, NO_LIMITS))
    names = [item.name for item in by_extents(bag(TEXTS, packed=True)) if isinstance(item, Member)]
    assert [f"{extent.name}#{number}" for number in range(1, 6)] == names


def test_a_bag_is_not_reported_if_something_outside_its_extents_was_refused() -> None:
    """C5: refusals in an extent come before the extents are read."""
    data = bag(TEXTS[:2]).replace(b'"events"', b'"Events"', 1)
    refused = [one for one in located(data) if not isinstance(one, Extent)]
    assert ["archive.fixity"] == [one.code for one in refused if isinstance(one, RefusedMember)]
    assert 1 == len(refused)


# Folders -------------------------------------------------------------------------------------


def test_the_listed_files_are_the_files_that_are_read(tmp_path: Path) -> None:
    """C3, C5: files before folders, both by name; links and unusual names in the same order."""
    names = ["b/bundle.json", "a/z.bundle.json", "a/y/bundle.json", "a.bundle.json", "a/other"]
    write_files(tmp_path, bundle_files(*names))
    (tmp_path / "b" / "link.bundle.json").symlink_to("bundle.json")
    (tmp_path / "c").symlink_to("a")
    (tmp_path / os.fsdecode(b"\xff.bundle.json")).write_bytes(bundle_text(1))
    listed = list(list_folder(LocalFileTree(str(tmp_path)), NO_LIMITS))
    assert [
        RefusedMember("c", "archive.member", "it is a link to a folder"),
        "a.bundle.json",
        "\udcff.bundle.json",
        "a/z.bundle.json",
        "a/y/bundle.json",
        "b/bundle.json",
        "b/link.bundle.json",
        RefusedMember("", "archive.other_files", "1 file of other names passed over: a/other"),
    ] == listed
    assert at_once(tmp_path) == _read(tmp_path, listed)


def _read(folder: Path, listed: Sequence[str | RefusedMember | Bag]) -> list[MemberOrBag]:
    items: list[MemberOrBag] = []
    for one in listed:
        items += read_file_in_folder(str(folder), one, NO_LIMITS) if isinstance(one, str) else [one]
    return items


@pytest.mark.parametrize("above", ["", "x/y/"])
@pytest.mark.parametrize("data", [bag(TEXTS), bag(TEXTS, packed=True), TARS["an increment"]])
def test_the_listed_files_of_a_bag_are_the_files_that_are_read(
    tmp_path: Path, data: bytes, above: str
) -> None:
    """C3: an unpacked bag, plain or packed; the bag comes at the end, as in a tar."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(tmp_path / above, filter="data")
    source = tmp_path if above else tmp_path / "pith"
    listed = list(list_folder(LocalFileTree(str(source)), NO_LIMITS))
    assert at_once(source) == _read(source, listed)
    assert [one for one in located(data) if isinstance(one, Bag)] == listed[-1:]
    members = [one.data for one in _read(source, listed) if isinstance(one, Member)]
    assert sorted(one.data for one in by_extents(data) if isinstance(one, Member)) == sorted(
        members
    )


def test_a_list_ends_where_the_limit_is(tmp_path: Path) -> None:
    """B4: `limit.count`, with the name of the first file not listed; the limit is inclusive."""
    write_files(tmp_path, bundle_files("a.bundle.json", "b.bundle.json", "c.bundle.json"))
    tree = LocalFileTree(str(tmp_path))
    assert 3 == len(list(list_folder(tree, ReadLimits(members=3))))
    *names, refused = list_folder(tree, ReadLimits(members=2))
    assert ["a.bundle.json", "b.bundle.json"] == names
    assert isinstance(refused, RefusedMember)
    assert ("c.bundle.json", "limit.count") == (refused.name, refused.code)


def test_a_list_has_the_requested_files(tmp_path: Path) -> None:
    """C2: bundles by default; or states."""
    write_files(tmp_path, {"a/bundle.json": b"", "a/state.json": b"", "a/bundle.json.old": b""})
    tree = LocalFileTree(str(tmp_path))
    for wanted, name in ((BUNDLES, "a/bundle.json"), (STATES, "a/state.json")):
        found = list_folder(tree, NO_LIMITS, wanted)
        assert [name] == [one for one in found if isinstance(one, str)]


def test_a_deleted_file_is_refused_alone(tmp_path: Path) -> None:
    """The file may change between listing and reading."""
    (refused,) = read_file_in_folder(str(tmp_path), "a/bundle.json", NO_LIMITS)
    assert (
        RefusedMember("a/bundle.json", "source.unreadable", "No such file or directory") == refused
    )


@pytest.mark.parametrize("name", ["/bundle.json", "../bundle.json", "a\n/bundle.json"])
def test_a_name_that_an_archive_may_not_have_is_not_opened(tmp_path: Path, name: str) -> None:
    """C5: a list may come from another machine; no file outside of the folder is read."""
    write_files(tmp_path, bundle_files("bundle.json"))
    (tmp_path / "in").mkdir()
    (refused,) = read_file_in_folder(str(tmp_path / "in"), name, NO_LIMITS)
    assert isinstance(refused, RefusedMember)
    assert (name, "archive.member") == (refused.name, refused.code)


def test_a_file_is_taken_if_it_is_accepted() -> None:
    """B4: by its size (inclusive), and by its number of values."""
    limits = ReadLimits(member_bytes=8, values=3)
    assert [Member("x", b"12345678")] == list(read_member("x", b"12345678", limits))
    for data, code in ((b"123456789", "limit.size"), (b"[[[[1]]]", "limit.count")):
        (refused,) = read_member("x", data, limits)
        assert isinstance(refused, RefusedMember)
        assert ("x", code) == (refused.name, refused.code)


@pytest.mark.parametrize(("wanted", "words"), [(BUNDLES, "or packed segment"), (STATES, "state")])
def test_a_source_without_the_requested_files_is_empty(words: str, wanted: MemberFilter) -> None:
    """C3: `archive.empty`, for the whole source."""
    refused = empty_source(wanted)
    assert ("", "archive.empty") == (refused.name, refused.code)
    assert wanted.file_name in refused.message
    assert words in refused.message
