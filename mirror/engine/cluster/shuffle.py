"""Bringing together what belongs together: Dask's own shuffle, by the first digits of a digest.

The shuffle (P2P) spills to the workers' disks, so that memory is bounded by the largest partition;
when a worker is lost, Dask starts it again from the files of facts, which are all there.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, cast

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
from distributed import Client, Future, futures_of

from mirror.engine.cluster.merge_task import BundleRow, Partition, PartitionResult, merge_partition
from mirror.engine.cluster.parquet import FACTS, read_group
from mirror.engine.cluster.task import PieceSizes, TaskContext

__all__ = ["RowGroup", "ShuffleTask", "bits", "choose_digits", "merged_of", "shuffle_and_merge"]

_PREFIX_BITS = 16
MAX_DIGITS = _PREFIX_BITS // 4
"""Hexadecimal digits in what the files of facts say of a digest: 65,536 partitions at most."""
_RETRIES = 2


class RowGroup(NamedTuple):
    """Facts that are shuffled together: a group of rows of a file."""

    file: str
    number: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ShuffleTask:
    """What the tasks of one shuffle know."""

    run: str
    """The run's own name."""
    errand: TaskContext
    digits: int
    """By how many digits facts are partitioned."""
    wanted: bytes | None
    """For each partition a bit, set if it is still to be merged; None if all are."""
    attempt: str = field(default_factory=lambda: secrets.token_hex(8))
    """Of another attempt, Dask would take results and failures that it has not forgotten yet."""


def choose_digits(groups: Iterable[RowGroup], sizes: PieceSizes) -> int:
    """Return by how many digits to partition, so that a partition is small on average."""
    if sizes.prefix_digits:
        return sizes.prefix_digits
    size = sum(group.size_bytes for group in groups)
    wanted = (one for one in range(1, MAX_DIGITS) if size <= sizes.partition_bytes * 16**one)
    return next(wanted, MAX_DIGITS)


def bits(flags: Sequence[bool]) -> bytes:
    """Return flags as `ShuffleTask.wanted` has them."""
    packed: bytes = np.packbits(np.array(flags, dtype=np.uint8)).tobytes()
    return packed


def shuffle_and_merge(
    client: Client, groups: Sequence[RowGroup], job: ShuffleTask
) -> list[Future[Any]]:
    """Start the shuffle and what comes after it; `merged_of` tells what a future came to."""
    facts = dd.from_map(_read, groups, job=job, meta=_frame(_empty_facts()))
    # By hash, not by divisions: those would travel with every one of thousands of tasks.
    placed = facts.shuffle("partition", npartitions=16**job.digits, shuffle_method="p2p")
    merged = placed.map_partitions(_merge, job=job, meta=_with_progress([]))
    return cast("list[Future[Any]]", futures_of(client.persist(merged, retries=_RETRIES)))


def merged_of(result: Any) -> list[tuple[int, PartitionResult]]:
    """Return what a future of `shuffle_and_merge` came to: some partitions, or none at all."""
    return list(zip(result["number"].to_list(), result["merged"].to_list(), strict=True))


# On a worker ---------------------------------------------------------------------------------


def _read(group: RowGroup, job: ShuffleTask) -> Any:
    """Return the facts of a group that belong to partitions still wanted.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`, `cluster.keys`
    """
    out, _ = job.errand.begin()
    table = read_group(out, group.file, group.number)
    numbers = np.asarray(table["prefix"]) >> (_PREFIX_BITS - 4 * job.digits)
    table = table.set_column(0, "partition", pa.array(numbers, pa.int32()))
    if job.wanted is not None:
        flags = np.unpackbits(np.frombuffer(job.wanted, dtype=np.uint8))
        table = table.filter(pa.array(flags[numbers] == 1))
    return _frame(table)


def _frame(table: Any) -> Any:
    """Return a table of Arrow as pandas, without copying what is in it."""
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame.astype({"partition": "int32"})


def _empty_facts() -> Any:
    return FACTS.set(0, pa.field("partition", pa.int32())).empty_table()


def _merge(frame: Any, job: ShuffleTask) -> Any:
    """Merge the partitions that Dask has put together here, one after the other."""
    shift = _PREFIX_BITS - 4 * job.digits
    by_partition = groupby(_rows(frame), lambda row: int.from_bytes(row.digest[:2]) >> shift)
    told = []
    for number, rows in by_partition:
        partition = Partition(number, job.digits)
        told.append((number, merge_partition(rows, partition, job.run, job.errand)))
    return _with_progress(told)


def _rows(frame: Any) -> Iterator[BundleRow]:
    """Yield the rows, ascending by digest."""
    digests = frame["digest"].to_list()
    columns = [frame[name].array for name in ("record", "content", "faults")]
    for index in sorted(range(len(digests)), key=digests.__getitem__):
        yield BundleRow(digests[index], *[column[index] for column in columns])


def _with_progress(found: list[tuple[int, PartitionResult]]) -> Any:
    numbers = pd.Series([number for number, _ in found], dtype="int64")
    merged = pd.Series([one for _, one in found], dtype=object)
    return pd.DataFrame({"number": numbers, "merged": merged})
