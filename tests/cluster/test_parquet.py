"""Parquet files that are published atomically, and partitions that form one tree."""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import dataset, parquet

from mirror.core.keys import parse_key_set
from mirror.core.transparency.merkle import Leaf, Node, root, subtree
from mirror.engine.cluster import TaskSizes
from mirror.engine.cluster.merge_task import (
    BundleRow,
    Partition,
    PartitionResult,
    merge_partition,
    read_partition_result,
)
from mirror.engine.cluster.parquet import FINDINGS_SCHEMA, ParquetFile, read_footer, read_row_group
from mirror.engine.cluster.run import _root_node
from mirror.engine.cluster.shuffle import RowGroup, choose_digits
from mirror.engine.cluster.splits import InputSplit
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.task import TaskContext
from mirror.engine.cluster.verify_task import SplitResult, verify_split
from mirror.errors import OutputError, SourceError
from tests.cluster.scenarios import Answer, StateRow, context_in, single, source_of

DEMO = Path(__file__).resolve().parents[2] / "bundles" / "demo.tar"
KEYS = parse_key_set(DEMO.with_name("demo-keys.json").read_bytes())
ROW = ("source", "member", None, "code", "", "message", "digest")
NAME = "folder/file.parquet"


def published(folder: Path, rows: int = 3) -> list[int]:
    """A file of this many rows of ten bytes, two to a row group; the bytes of its row groups."""
    with ParquetFile(FINDINGS_SCHEMA, 20) as table:
        for number in range(rows):
            table.write_row((f"{number}", *ROW[1:]), 10)
        table.publish(StoragePath(str(folder)), NAME, {"rows": rows})
    return table.row_group_sizes


# Files ---------------------------------------------------------------------------------------


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    """In row groups of this many bytes, in order; the footer has the result."""
    place = StoragePath(str(tmp_path))
    assert [20, 20, 10] == published(tmp_path, 5)
    found = [read_row_group(place, NAME, group).to_pylist() for group in range(3)]
    assert [2, 2, 1] == [len(rows) for rows in found]
    names = FINDINGS_SCHEMA.names
    expected = [dict(zip(names, (f"{at}", *ROW[1:]), strict=True)) for at in range(5)]
    assert expected == [row for rows in found for row in rows]
    assert {"rows": 5} == read_footer(place, NAME)


def test_table_without_rows_is_valid(tmp_path: Path) -> None:
    """An empty file has no row groups, but its columns."""
    assert [] == published(tmp_path, 0)
    assert FINDINGS_SCHEMA.names == parquet.read_schema(tmp_path / NAME).names
    assert {"rows": 0} == read_footer(StoragePath(str(tmp_path)), NAME)


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    """A file has no time and no random name."""
    published(tmp_path / "one")
    published(tmp_path / "other")
    assert (tmp_path / "one" / NAME).read_bytes() == (tmp_path / "other" / NAME).read_bytes()


def test_a_table_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    """Whether its writer succeeded, failed, or could not publish it."""
    with ParquetFile(FINDINGS_SCHEMA, 1) as table:
        table.write_row(ROW, 10)
    with suppress(ZeroDivisionError), ParquetFile(FINDINGS_SCHEMA, 1) as table:
        table.write_row(ROW, 1 // 0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"output\.failed"):
        published(tmp_path / "file")
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


def _without_end(data: bytes) -> bytes:
    return data.replace(b'{"rows":3}', b'{"rows":3,')


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: data[:0],
    "cut": lambda data: data[:-1],
    "no table": lambda data: b"x" * len(data),
    "another footer": lambda data: data.replace(b"mirror", b"MIRROR"),
    "an invalid footer": _without_end,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_footer_is_reported(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """`source.unreadable`, with the name of the file, and what to do with it."""
    published(tmp_path)
    path = tmp_path / NAME
    assert path.read_bytes() != damage(path.read_bytes())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match=r"source\.unreadable") as caught:
        read_footer(StoragePath(str(tmp_path)), NAME)
    assert (str(path), "remove that file") == (caught.value.where, caught.value.hint[:16])


def test_flipped_bit_in_a_row_group_is_reported(tmp_path: Path) -> None:
    """Every page has a checksum: changed data is never merged."""
    published(tmp_path)
    path = tmp_path / NAME
    data = path.read_bytes()
    at = data.index(b"message")  # of the first page that holds it
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(SourceError, match=r"source\.unreadable.*damaged"):
        read_row_group(StoragePath(str(tmp_path)), NAME, 0)


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_any_damage_is_an_error_of_this_package(tmp_path: Path, mask: int) -> None:
    """With any byte changed: the file is read, or reported as damaged."""
    published(tmp_path)
    path, place = tmp_path / NAME, StoragePath(str(tmp_path))
    data, told = path.read_bytes(), 0
    for at in range(0, len(data), 5):
        path.write_bytes(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])
        for work in (lambda: read_footer(place, NAME), lambda: read_row_group(place, NAME, 0)):
            try:
                work()
            except SourceError as error:
                told += error.code == "source.unreadable"
    assert told > len(data) // 20


def test_missing_table_is_reported(tmp_path: Path) -> None:
    """With its full path."""
    with pytest.raises(SourceError, match=re.escape(str(tmp_path / NAME))):
        read_footer(StoragePath(str(tmp_path)), NAME)


def test_only_what_is_looked_up_has_statistics(tmp_path: Path) -> None:
    """A reader can skip row groups by Pith Number; long texts have no statistics."""
    published(tmp_path)
    group = parquet.read_metadata(tmp_path / NAME).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert ["pith_number"] == [one.path_in_schema for one in columns if one.is_stats_set]


# Partitions ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected() -> Answer:
    """The result of one machine for the demo bag."""
    return single([str(DEMO)], KEYS)


def verified(out: Path) -> tuple[TaskContext, list[BundleRow]]:
    """The facts of the demo bag, in its order."""
    context = context_in(out, KEYS, sizes=TaskSizes())
    part = InputSplit(source_of(DEMO, context.task_sizes))
    verify_split(part, context, is_last_try=False)
    table = read_row_group(StoragePath(str(out)), SplitResult.path_of(part), 0)
    return context, [BundleRow(*list(row.values())[1:]) for row in table.to_pylist()]


def merged(rows: list[BundleRow], digits: int, context: TaskContext) -> dict[int, PartitionResult]:
    """The result of each partition of the rows."""
    partitions: dict[int, list[BundleRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.digest):
        partitions[int(row.digest.hex()[:digits], 16)].append(row)
    return {
        number: merge_partition(found, Partition(number, digits), "a run", context)
        for number, found in partitions.items()
    }


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_any_number_of_digits_gives_the_same_root(
    tmp_path: Path, expected: Answer, digits: int
) -> None:
    """The same rows, each in the folder of its prefix."""
    context, rows = verified(tmp_path)
    found = merged(rows, digits, context)
    node = _root_node({number: one.node for number, one in found.items()}, digits)
    assert (expected.root.root, expected.root.records) == (node.digest.hex(), node.size)
    for row in expected.states.values():
        path = tmp_path / f"states/prefix={row.canonical_sha256[:digits]}/states.parquet"
        assert row in [StateRow(**one) for one in parquet.ParquetFile(path).read().to_pylist()]
    assert len(found) == len(list(tmp_path.glob("states/*/*")))


@given(st.data())
def test_any_partition_of_a_tree_gives_its_root(data: st.DataObject) -> None:
    """Also where a single leaf is above the node of its partition."""
    digits = data.draw(st.integers(1, 4))
    starts = st.lists(st.sampled_from([0x00, 0x01, 0x10, 0xFF]), min_size=3, max_size=3).map(bytes)
    leaves: list[Leaf] = [
        (start.ljust(32, b"\0"), start.rjust(32)) for start in data.draw(st.sets(starts))
    ]
    partitions: dict[int, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        partitions[int(leaf[0].hex()[:digits], 16)].append(leaf)
    nodes = {number: subtree(found, digits) for number, found in partitions.items()}
    assert Node(len(leaves), root(leaves)) == _root_node(nodes, digits)


def test_repeats_and_order_of_rows_do_not_change_the_merge(tmp_path: Path) -> None:
    """A shuffle guarantees no order and no uniqueness; the file is the same, byte for byte."""
    context, rows = verified(tmp_path)
    first = merged(rows, 1, context)
    paths = [tmp_path / Partition(number, 1).path for number in first]
    before = [path.read_bytes() for path in paths]
    random.Random(1).shuffle(rows)
    assert first == merged(rows, 1, context)
    assert before == [path.read_bytes() for path in paths]
    again = merged([*rows, *rows], 1, context)
    assert first == {
        number: replace(one, bundles=one.bundles // 2) for number, one in again.items()
    }
    assert sum(one.bundles for one in again.values()) == 2 * len(rows)


def test_partition_file_holds_its_result(tmp_path: Path, expected: Answer) -> None:
    """In its footer with its run, so that a resumed run need not read the states."""
    context, rows = verified(tmp_path)
    found = merged(rows, 1, context)
    for number, one in found.items():
        assert one == read_partition_result(str(tmp_path), Partition(number, 1))
        assert "a run" == one.run
        assert one.to_value() == json.loads(
            json.dumps(PartitionResult.from_value(one.to_value()).to_value())
        )
    events = sum(one.events_valid + one.events_invalid for one in found.values())
    assert expected.root.events_valid + expected.root.events_invalid == events


def test_a_dataset_is_read_by_other_tools(tmp_path: Path, expected: Answer) -> None:
    """The dataset is one table, with the prefix as another column, and states as lines of JSON."""
    context, rows = verified(tmp_path)
    merged(rows, 1, context)
    found = dataset.dataset(tmp_path / "states", partitioning="hive").to_table().to_pylist()
    texts = {row["pith_number"]: row["state"] for row in found}
    assert expected.texts == texts
    assert all(row["canonical_sha256"].startswith(f"{row['prefix']}") for row in found)
    assert all(json.loads(text)["pith_number"] == number for number, text in texts.items())


CHOICES = {
    "nothing": (0, TaskSizes(), 1),
    "little": (1, TaskSizes(), 1),
    "as much as fits": (16 * 100, TaskSizes(partition_bytes=100), 1),
    "a byte more": (16 * 100 + 1, TaskSizes(partition_bytes=100), 2),
    "as much as fits in three": (16**3 * 100, TaskSizes(partition_bytes=100), 3),
    "more than fits anywhere": (16**9, TaskSizes(partition_bytes=1), 4),
    "as was said": (16**9, TaskSizes(partition_bytes=1, prefix_digits=2), 2),
}


@pytest.mark.parametrize(("size", "sizes", "digits"), CHOICES.values(), ids=CHOICES)
def test_digits_are_chosen_by_size(size: int, sizes: TaskSizes, digits: int) -> None:
    """Enough digits for the average size of a partition, but at most four."""
    assert digits == choose_digits(
        [RowGroup("", 0, size // 2), RowGroup("", 1, size - size // 2)], sizes
    )
