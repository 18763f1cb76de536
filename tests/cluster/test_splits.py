"""The splits of a source contain all of it; a repeated task writes the same files."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from distributed import Client

from mirror.archive import Bag, ReadLimits, RefusedMember, open_source, write_segments
from mirror.archive.member import MemberOrBag
from mirror.cli import exit_codes
from mirror.core.keys import KeySet, parse_key_set
from mirror.engine.cluster import ClusterRequest, TaskSizes, merge_on_cluster
from mirror.engine.cluster.merge_task import BundleRow, Partition, merge_partition
from mirror.engine.cluster.parquet import read_row_group
from mirror.engine.cluster.splits import InputSplit, read_split, scan_source
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.verify_task import FINDINGS_FOLDER, SplitResult, verify_split
from mirror.engine.findings import Summary
from mirror.errors import SourceError
from tests.archive.tar_builders import (
    END,
    bag_files,
    below,
    bundle_files,
    bundle_text,
    entry,
    header,
    manifest,
    plain_tar,
    write_files,
)
from tests.builders import make_bundle, make_record
from tests.cluster.scenarios import (
    NO_KEYS,
    NO_LIMITS,
    TINY,
    USUAL,
    Answer,
    clustered,
    context_in,
    single,
    source_of,
    splits_of,
)
from tests.cluster.sources import KINDS, bag, bag_of, lines, packed_text
from tests.engine.export.test_base import KEYS as AUTHORS
from tests.engine.export.test_base import OLD, event
from tests.engine.export.test_base import Place as Shelf

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
DEMO_KEYS = parse_key_set((BUNDLES / "demo-keys.json").read_bytes())
TEXTS = [bundle_text(number) for number in range(1, 6)]
((_, SEGMENT),) = write_segments(map(packed_text, TEXTS))


# Unusual sources -----------------------------------------------------------------------------


def _links(folder: Path) -> None:
    write_files(folder, bundle_files("a/bundle.json", "b.bundle.json"))
    (folder / "up").symlink_to("..")
    (folder / "link.bundle.json").symlink_to("b.bundle.json")
    (folder / "gone.bundle.json").symlink_to("nothing")
    os.mkfifo(folder / "pipe.bundle.json")


def _odd_names(folder: Path) -> None:
    names = ["\udcff", "a\n", "*", "[a]", "?", "a::b", "zip:", "~", "é", "%20", "#", " "]
    write_files(folder, bundle_files(*(f"{name}/bundle.json" for name in names)))
    write_files(folder, bundle_files(*(f"{name}.bundle.json" for name in names)))


def _bag_with(**changes: bytes) -> bytes:
    files = below("bag", bag_files({"a/bundle.json": TEXTS[0], "b/bundle.json": TEXTS[1]}))
    return plain_tar({**files, **{f"bag/{name}": data for name, data in changes.items()}})


EDGES: dict[str, bytes | Callable[[Path], None]] = {
    "a folder with links": _links,
    "a folder with odd names": _odd_names,
    "an empty folder": Path.mkdir,
    "an empty file": b"",
    "an empty tar": END,
    "an empty bag": bag([]),
    "an empty increment": bag([], [("Pith-Base-Manifest-SHA256", "0" * 64)]),
    "a bag whose segments are empty": bag_of({"segments/1.msgpack.zst": zstandard.compress(b"")}),
    "no bundle in a tar": plain_tar({"README": b"x" * 2000}),
    "a wrong digest": bag(TEXTS).replace(b'"events"', b'"Events"', 1),
    "a file that is not listed": _bag_with(**{"data/c/bundle.json": TEXTS[2]}),
    "a file that is missing": _bag_with(**{"manifest-sha256.txt": manifest({"data/x": b""})}),
    "an invalid manifest": _bag_with(**{"manifest-sha256.txt": b"\xff\xff"}),
    "a tar that ends within a member": bag(TEXTS)[:3000],
    "a tar that ends without a mark": bag(TEXTS).rstrip(b"\0"),
    "a segment that is cut": bag_of({"segments/1.msgpack.zst": SEGMENT[:-9]}),
    "an invalid segment": bag_of({"segments/1.msgpack.zst": b"none"}),
    "a segment with junk at its end": bag([*TEXTS, b"no JSON"], packed=True),
    "duplicate members": entry("bundle.json", TEXTS[0]) * 2 + END,
    "a member that is a link": header("bundle.json", kind=b"2", link="x") + END,
    "a member that climbs out": plain_tar({"../bundle.json": TEXTS[0], "bundle.json": TEXTS[0]}),
    "members whose names are no text": entry(b"\xff/bundle.json", TEXTS[0]) * 2 + END,
    "broken bundles": plain_tar(dict.fromkeys(["a/bundle.json", "b.bundle.json"], b"{")),
    "lines, some of them broken": lines([TEXTS[0], b"{", b"", TEXTS[1]]),
    "compressed, and cut": zstandard.compress(bag(TEXTS))[:-20],
}
"""The content of a file, or a function that writes a folder."""

LIMITS = {
    "none": NO_LIMITS,
    "bytes of a bundle": ReadLimits(member_bytes=900, line_bytes=900, bundle_bytes=900),
    "bytes of a segment": ReadLimits(segment_bytes=100),
    "members": ReadLimits(members=2),
    "values": ReadLimits(values=40),
}


def write_edge(path: Path, edge: bytes | Callable[[Path], None]) -> Path:
    """Write a source."""
    if isinstance(edge, bytes):
        path.write_bytes(edge)
    else:
        edge(path)
    return path


def whole(path: Path, limits: ReadLimits = NO_LIMITS) -> list[MemberOrBag]:
    """The items of a source that is read from its start."""
    with open_source(str(path), limits) as source:
        return list(source.items())


def in_parts(path: Path, out: Path, limits: ReadLimits = NO_LIMITS) -> list[MemberOrBag]:
    """The items of its splits in order, and its bag, if nothing is refused."""
    source, context = source_of(path), context_in(out, limits=limits)
    items: list[MemberOrBag] = []
    for part in splits_of(source, context):
        items += read_split(part, StoragePath(str(out)), limits)
    if source.is_splittable and not any(isinstance(one, RefusedMember) for one in items):
        items += [one for one in [scan_source(source, context).bag] if one is not None]
    return items


def test_default_sizes_are_those_of_the_documentation() -> None:
    """The page on clusters has the sizes of tasks."""
    text = " ".join((Path(__file__).parents[2] / "docs" / "cluster.md").read_text().split())
    sizes, mib = TaskSizes(), 1 << 20
    assert f"up to {sizes.split_bytes // mib} MiB is one task" in text
    assert f"up to {sizes.row_group_bytes // mib} MiB of facts" in text
    assert f"{sizes.partition_bytes // mib} MiB on average" in text


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES)
def test_splits_together_hold_the_members_of_the_source(
    tmp_path: Path, edge: bytes | Callable[[Path], None], limits: ReadLimits
) -> None:
    """C2, C3, C5, B4: members and refusals, in the same order, for any errors in them."""
    path = write_edge(tmp_path / "source", edge)
    expected = [one for one in whole(path, limits) if not isinstance(one, Bag)]
    found = [one for one in in_parts(path, tmp_path / "out", limits) if not isinstance(one, Bag)]
    assert expected == found


@pytest.mark.parametrize("magic", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd"], ids=["gzip", "zstd"])
def test_a_tar_that_begins_as_if_it_were_compressed(tmp_path: Path, magic: bytes) -> None:
    """C1: the format is detected by its first bytes, with the same precedence."""
    (tmp_path / "source").write_bytes(entry(magic) + entry("bundle.json", TEXTS[0]) + END)
    assert whole(tmp_path / "source") == in_parts(tmp_path / "source", tmp_path / "out")


@pytest.mark.parametrize("sizes", [USUAL, TINY], ids=["whole", "cut"])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_a_bag_whose_labels_are_no_text(tmp_path: Path, encoding: str, sizes: TaskSizes) -> None:
    """C2: invalid UTF-8 in `bag-info.txt` does not prevent reading its bundles."""
    label = "Pith-Base-Description: \ud800\n".encode(encoding, "surrogatepass")
    files = dict(bag_files({"a/bundle.json": TEXTS[0]}, encoding=encoding))
    files = {name: data for name, data in files.items() if not name.startswith("tag")}
    path = tmp_path / "source"
    path.write_bytes(plain_tar(below("bag", {**files, "bag-info.txt": label})))
    assert 1 == len(single([str(path)]).states)
    context = context_in(tmp_path / "out", sizes=sizes)
    parts = splits_of(source_of(path, sizes), context)
    done = [verify_split(part, context, is_last_try=False) for part in parts]
    assert [1] == [one.summary.bundles_read for one in done]


def test_a_folder_that_cannot_be_listed_to_its_end(client: Client, tmp_path: Path) -> None:
    """`source.unreadable`, after the items before it: here a path that is too long."""
    source = tmp_path / "source"
    write_files(source, bundle_files("a.bundle.json"))
    above = os.open(source, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=above)
        below_it = os.open("x" * 250, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below_it
    os.close(above)
    answer = clustered(client, [str(source)], tmp_path / "out")
    assert single([str(source)]) == answer
    assert (["source.unreadable"], 1) == (answer.codes, len(answer.states))


def test_a_source_without_a_name_is_not_the_present_folder(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C1: as where a variable of a shell is empty."""
    monkeypatch.chdir(write_files(tmp_path / "here", bundle_files("bundle.json")))
    assert single([""]) == clustered(client, [""], tmp_path / "out")


def test_results_may_lie_within_a_source(client: Client, tmp_path: Path) -> None:
    """They have no files with names of bundles."""
    write_files(tmp_path, bundle_files("a/bundle.json"))
    expected = single([str(tmp_path)])
    assert expected == clustered(client, [str(tmp_path)], tmp_path / "out")


@pytest.mark.parametrize("kind", ["a bag", "a packed bag", "an increment"])
def test_a_scan_names_the_bag(tmp_path: Path, kind: str) -> None:
    """Like the source itself at its end: the digest of its manifest, and all its labels."""
    info = [("Pith-Base-Manifest-SHA256", "0" * 64)] if kind == "an increment" else []
    path = tmp_path / "bag"
    path.write_bytes(bag(TEXTS, info, packed=kind == "a packed bag"))
    assert isinstance(whole(path)[-1], Bag)
    assert whole(path) == in_parts(path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["a tar", "a folder"])
def test_splits_are_no_larger_than_requested(tmp_path: Path, kind: str) -> None:
    """A split ends before it would get too large; a larger file is a split of its own."""
    KINDS[kind](tmp_path / "source", TEXTS)
    size = max(map(len, TEXTS))
    counts = []
    for number, split_bytes in enumerate([1, 2 * size, 5 * size]):
        context = context_in(tmp_path / f"{number}", sizes=TaskSizes(split_bytes=split_bytes))
        parts = splits_of(source_of(tmp_path / "source", context.task_sizes), context)
        out = StoragePath(context.out)
        counts.append([len(list(read_split(part, out, NO_LIMITS))) for part in parts])
    assert [[1, 1, 1, 1, 1], [2, 2, 1], [5]] == counts


SURVEYED = {
    "a bag": (True, bag(TEXTS)),
    "a bag no larger than a part": (False, bag(TEXTS[:1])),
    "a compressed bag": (False, zstandard.compress(bag(TEXTS), level=1) + bytes(9000)),
    "lines": (False, lines(TEXTS * 3)),
}


@pytest.mark.parametrize(("is_splittable", "data"), SURVEYED.values(), ids=SURVEYED)
def test_only_splittable_sources_are_split(
    tmp_path: Path, data: bytes, *, is_splittable: bool
) -> None:
    """Large uncompressed archives; a compressed archive, or another file, is one split."""
    (tmp_path / "source").write_bytes(data)
    sizes = TaskSizes(split_bytes=len(bag(TEXTS[:1])))
    assert is_splittable == source_of(tmp_path / "source", sizes).is_splittable


# The same on a cluster -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A source for each case, one that does not exist, and one that is given twice."""
    folder = tmp_path_factory.mktemp("edges")
    names = [str(write_edge(folder / name, edge)) for name, edge in EDGES.items()]
    odd = [folder / name for name in ("*", "[a]", "a::b", "zip:", "~", "#", "%20", "\udcff")]
    names += [str(write_edge(path, bag(TEXTS))) for path in odd]
    names += [str(folder / name) for name in ("gone", "gone \udcff")]
    return [*names, names[0], str(folder)]


STRICT = ReadLimits(member_bytes=900, line_bytes=1000, segment_bytes=100, members=9, values=60)


@pytest.mark.parametrize("limits", [NO_LIMITS, STRICT], ids=["no limits", "strict"])
@pytest.mark.parametrize("sizes", [USUAL, TaskSizes(split_bytes=2000)], ids=["whole", "cut"])
def test_faulty_sources_give_the_result_of_one_machine(
    client: Client, tmp_path: Path, edges: list[str], sizes: TaskSizes, limits: ReadLimits
) -> None:
    """C2 to C5, B4: every finding, in order, and the counts."""
    answer = clustered(client, edges, tmp_path / "out", limits=limits, sizes=sizes)
    assert single(edges, limits=limits) == answer
    codes = {"archive.empty", "archive.fixity", "archive.member", "archive.truncated"}
    assert {*codes, "json.syntax", "source.unreadable"} <= {*answer.codes}
    assert (limits == STRICT) == ({"limit.size", "limit.count"} <= {*answer.codes})
    assert (3, 2) == (
        exit_codes.of_summary(Summary.from_value(answer.summary)),
        answer.summary["sources_failed"],
    )


# Increments ----------------------------------------------------------------------------------

CHAINS = {
    "there": ([0, 1, 2], []),
    "turned": ([2, 1, 0], []),
    "missing": ([2, 1], [2, 1]),
    "damaged": ([0, 1, 2], [1, 2]),
    "zstd": ([1, 0, 2], []),
}
"""Bags by number, in their order, and the ones without their base."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """For each chain a bag, an increment, and an empty increment; some packed."""
    shelf = Shelf(tmp_path_factory.mktemp("bags"))
    for number, name in enumerate(CHAINS):
        record = make_record(name, arxiv_id=f"2403.{number:05}")
        first, *more = [event(at, record) for at in range(8)]
        shelf.add(f"{name}.db", make_bundle(record, [first]), make_bundle(OLD))
        root = shelf.export(f"{name}.db", f"{name}.0", packed=name == "zstd").root
        shelf.add(f"{name}.db", make_bundle(record, more))
        root = shelf.export(f"{name}.db", f"{name}.1", root, packed=name == "missing").root
        shelf.export(f"{name}.db", f"{name}.2", root)
    damaged, packed = shelf.path("damaged.0"), shelf.path("zstd.0")
    damaged.write_bytes(damaged.read_bytes().replace(b'"events"', b'"Events"', 1))
    packed.write_bytes(zstandard.compress(packed.read_bytes()))
    return shelf


def lacking_bases(answer: Answer) -> list[str]:
    """The sources that are increments of a bag that was not read."""
    return [one.source for one in answer.findings if one.code == "archive.base"]


@pytest.mark.parametrize("sizes", [USUAL, TINY], ids=["whole", "cut"])
def test_increments_find_their_bases(
    client: Client, tmp_path: Path, shelf: Shelf, sizes: TaskSizes
) -> None:
    """C2: among all sources of the run, in any order; a missing base is reported."""
    named = [f"{name}.{at}" for name, (bags, _) in CHAINS.items() for at in bags]
    lacking = [f"{name}.{at}" for name, (_, bags) in CHAINS.items() for at in bags]
    names = [str(shelf.path(name)) for name in named]
    answer = clustered(client, names, tmp_path / "out", keys=AUTHORS, sizes=sizes)
    assert single(names, AUTHORS) == answer
    assert [str(shelf.path(name)) for name in lacking] == lacking_bases(answer)


@pytest.mark.parametrize("sizes", [USUAL, TINY], ids=["whole", "cut"])
def test_bag_refused_by_a_limit_is_not_a_base(
    client: Client, tmp_path: Path, shelf: Shelf, sizes: TaskSizes
) -> None:
    """B4: the bundle of the first increment has more events than are accepted."""
    names = [str(shelf.path(f"there.{at}")) for at in (0, 1, 2)]
    limits = ReadLimits(events=6)
    answer = clustered(client, names, tmp_path / "out", keys=AUTHORS, limits=limits, sizes=sizes)
    assert single(names, AUTHORS, limits) == answer
    assert (["limit.count", "archive.base"], names[2:]) == (answer.codes, lacking_bases(answer))


def base_and_increment(folder: Path, base: bytes) -> list[str]:
    """A bag, and a bag that names it as its base."""
    with tarfile.open(fileobj=io.BytesIO(base)) as tar:
        listed = tar.extractfile("pith/manifest-sha256.txt")
        digest = hashlib.sha256(listed.read() if listed else b"").hexdigest()
    (folder / "base").write_bytes(base)
    (folder / "more").write_bytes(bag(TEXTS[:1], [("Pith-Base-Manifest-SHA256", digest)]))
    return [str(folder / "base"), str(folder / "more")]


BASES = {
    "bundles": (bag(TEXTS), []),
    "an invalid bundle": (bag([b"{"]), ["json.syntax"]),
    "a segment that ends in junk": (
        bag([TEXTS[0], b"no JSON"], packed=True),
        ["archive.member", "archive.base"],
    ),
}


@pytest.mark.parametrize("sizes", [USUAL, TINY], ids=["whole", "cut"])
@pytest.mark.parametrize(("base", "codes"), BASES.values(), ids=BASES)
def test_a_bag_is_a_base_if_all_of_it_was_read(
    client: Client, tmp_path: Path, sizes: TaskSizes, base: bytes, codes: list[str]
) -> None:
    """C5: for any result of B2, and for a refusal anywhere in it."""
    names = base_and_increment(tmp_path, base)
    answer = clustered(client, names, tmp_path / "out", sizes=sizes)
    assert single(names) == answer
    assert codes == answer.codes


def test_empty_bag_is_a_base(client: Client, tmp_path: Path) -> None:
    """A missing empty base loses nothing; an empty source is reported."""
    names = base_and_increment(tmp_path, bag_of({"README": b"a new mirror"}))
    answer = clustered(client, names, tmp_path / "out", sizes=TINY)
    assert single(names) == answer
    assert ["archive.empty"] == answer.codes


# Tasks that run twice ------------------------------------------------------------------------


def files_in(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def run_tasks(source: Path, out: Path, keys: KeySet) -> None:
    """All tasks of a run that has one source and no client."""
    context = context_in(out, keys)
    parts = splits_of(source_of(source), context)
    rows: list[BundleRow] = []
    for part in parts:
        done = verify_split(part, context, is_last_try=False)
        for group in range(len(done.row_groups)):
            table = read_row_group(StoragePath(str(out)), SplitResult.path_of(part), group)
            rows += [BundleRow(*row[1:]) for row in zip(*table.to_pydict().values(), strict=True)]
    rows.sort(key=lambda row: row.digest)
    for number in range(16):
        found = [row for row in rows if row.digest[0] >> 4 == number]
        if found:
            merge_partition(found, Partition(number, 1), "run", context)


@pytest.mark.parametrize("keys", [DEMO_KEYS, NO_KEYS], ids=["trusted", "nobody trusted"])
def test_tasks_that_run_twice_leave_the_same_bytes(tmp_path: Path, keys: KeySet) -> None:
    """Scans, facts, findings, states: a worker may die after any of them, without a difference."""
    for name in ("one", "other"):
        run_tasks(BUNDLES / "demo.tar", tmp_path / name, keys)
    one = files_in(tmp_path / "one")
    folders = {"keys.json", "_work", "states", *(["findings"] if keys is NO_KEYS else [])}
    assert folders == {name.partition("/")[0] for name in one}
    assert one == files_in(tmp_path / "other")


def test_finished_tasks_are_not_repeated(tmp_path: Path) -> None:
    """The source is not read, and may be missing."""
    path = tmp_path / "source"
    path.write_bytes(bag([*TEXTS, b"{"]))
    source, context = source_of(path), context_in(tmp_path / "out")
    scanned = scan_source(source, context)
    parts = splits_of(source, context)
    done = [verify_split(part, context, is_last_try=False).to_value() for part in parts]
    before = files_in(tmp_path / "out")
    path.unlink()
    assert scanned == scan_source(source, context)
    assert done == [verify_split(one, context, is_last_try=False).to_value() for one in parts]
    assert before == files_in(tmp_path / "out")


def test_a_task_whose_file_was_lost_leaves_the_same_file(tmp_path: Path) -> None:
    """Findings are written first, and written again as the same file."""
    (tmp_path / "source").write_bytes(lines([TEXTS[0], b"{"]))
    part, context = InputSplit(source_of(tmp_path / "source")), context_in(tmp_path / "out")
    verify_split(part, context, is_last_try=False)
    before = files_in(tmp_path / "out")
    (tmp_path / "out" / SplitResult.path_of(part)).unlink()
    verify_split(part, context, is_last_try=False)
    assert before == files_in(tmp_path / "out")
    assert f"{FINDINGS_FOLDER}/{part.name_prefix}.parquet" in before


def test_task_refuses_another_key_set(tmp_path: Path) -> None:
    """`cluster.keys`, if the key set beside the results was changed (K3)."""
    (tmp_path / "source").write_bytes(lines(TEXTS))
    part, context = InputSplit(source_of(tmp_path / "source")), context_in(tmp_path / "out")
    context_in(tmp_path / "out", DEMO_KEYS)
    with pytest.raises(SourceError, match=r"cluster\.keys at .*keys\.json"):
        verify_split(part, context, is_last_try=True)
    assert ["keys.json"] == [*files_in(tmp_path / "out")]


# Sources that change -------------------------------------------------------------------------


def test_an_archive_that_shrank_after_its_scan(tmp_path: Path) -> None:
    """`source.changed`: the content at an extent is no longer there."""
    (tmp_path / "source").write_bytes(bag(TEXTS))
    context = context_in(tmp_path / "out")
    last = splits_of(source_of(tmp_path / "source"), context)[-1]
    (tmp_path / "source").write_bytes(bag(TEXTS)[:4000])
    with pytest.raises(SourceError, match=r"source\.changed"):
        verify_split(last, context, is_last_try=True)
    assert not (tmp_path / "out" / SplitResult.path_of(last)).exists()


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def _rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"2401", b"2402"))


CHANGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a file that grew": ("JSON Lines", _append),
    "an archive of the same size": ("a bag", _rewrite),
    "a new file in a folder": ("a folder", lambda path: _append(path / "new.bundle.json")),
    "a file in a folder that grew": ("a folder", lambda path: _append(next(path.rglob("*.json")))),
}


def run_and_change(client: Client, source: Path, out: Path, change: Callable[[Path], None]) -> None:
    """Merge a source that changes after a given step."""

    def progress(_stage: str, done: int, total: int) -> None:
        if done == total - 1:
            change(source)

    merge_on_cluster(client, ClusterRequest([str(source)], str(out), NO_KEYS, progress=progress))


@pytest.mark.parametrize(("kind", "change"), CHANGES.values(), ids=CHANGES)
def test_a_source_that_changes_while_it_is_read_is_noticed(
    client: Client, tmp_path: Path, kind: str, change: Callable[[Path], None]
) -> None:
    """At the end of reading at the latest: the results would be of no single version."""
    source = tmp_path / "source"
    KINDS[kind](source, TEXTS)
    with pytest.raises(SourceError, match=r"source\.changed") as caught:
        run_and_change(client, source, tmp_path / "out", change)
    assert str(source) == caught.value.where
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("kind", ["a bag", "a folder"])
def test_a_source_that_goes_away_while_it_is_read_is_noticed(
    client: Client, tmp_path: Path, kind: str
) -> None:
    """A source that is missing at the end has changed, too."""
    source = tmp_path / "source"
    KINDS[kind](source, TEXTS)
    with pytest.raises(SourceError, match=r"source\.changed"):
        run_and_change(client, source, tmp_path / "out", lambda path: _take_away(path, tmp_path))


def _take_away(path: Path, folder: Path) -> None:
    if path.exists():
        path.rename(folder / "elsewhere")
