"""Shuffles facts by the first digits of `canonical_sha256`, with Dask, and merges each partition.

The shuffle (P2P) spills to the workers' disks, so memory is bounded by the largest partition. When
a worker is lost, Dask repeats the shuffle from the files of facts, which are all kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
from distributed import Client, Future, futures_of

from mirror.engine.cluster.merge_task import BundleRow, Partition, PartitionResult, merge_partition
from mirror.engine.cluster.parquet import FACTS_SCHEMA, read_row_group
from mirror.engine.cluster.task import TaskContext, TaskSizes

__all__ = [
    "RowGroup",
    "ShuffleTask",
    "choose_digits",
    "pack_flags",
    "partition_results",
    "shuffle_and_merge",
]

_PREFIX_BITS = 16
MAX_DIGITS = _PREFIX_BITS // 4
"""Hexadecimal digits of the prefix in files of facts: at most 65,536 partitions."""
_RETRIES = 2


class RowGroup(NamedTuple):
    """A row group of a file of facts, which is read by one task."""

    file: str
    number: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ShuffleTask:
    """Context of the tasks of one shuffle."""

    run: str
    """Identifier of the run."""
    context: TaskContext
    digits: int
    """Number of digits by which facts are partitioned."""
    pending: bytes | None
    """A bit for each partition, set if it is not merged yet; None if none is merged."""
    attempt: str = field(default_factory=lambda: secrets.token_hex(8))
    """Random, so that Dask does not reuse results and failures of an earlier attempt."""


def choose_digits(groups: Iterable[RowGroup], sizes: TaskSizes) -> int:
    """Return the number of digits with which partitions are small enough on average."""
    if sizes.prefix_digits:
        return sizes.prefix_digits
    size = sum(group.size_bytes for group in groups)
    enough = (one for one in range(1, MAX_DIGITS) if size <= sizes.partition_bytes * 16**one)
    return next(enough, MAX_DIGITS)


def pack_flags(flags: Sequence[bool]) -> bytes:
    """Return flags as bits, for `ShuffleTask.pending`."""
    packed: bytes = np.packbits(np.array(flags, dtype=np.uint8)).tobytes()
    return packed


def shuffle_and_merge(
    client: Client, groups: Sequence[RowGroup], job: ShuffleTask
) -> list[Future[Any]]:
    """Start the shuffle and the merges; `partition_results` reads the result of a future."""
    facts = dd.from_map(_read, groups, job=job, meta=_frame(_empty_facts()))
    # By hash, not by divisions, which would be sent with each of thousands of tasks.
    shuffled = facts.shuffle("partition", npartitions=16**job.digits, shuffle_method="p2p")
    merged = shuffled.map_partitions(_merge, job=job, meta=_results_frame([]))
    futures: list[Future[Any]] = futures_of(client.persist(merged, retries=_RETRIES))
    return futures


def partition_results(result: Any) -> list[tuple[int, PartitionResult]]:
    """Return the results of the partitions, if any, in the result of a future."""
    return list(zip(result["number"].to_list(), result["merged"].to_list(), strict=True))


# On a worker ---------------------------------------------------------------------------------


def _read(group: RowGroup, job: ShuffleTask) -> Any:
    """Return the facts of a row group that belong to pending partitions.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`, `cluster.keys`
    """
    out, _ = job.context.begin()
    table = read_row_group(out, group.file, group.number)
    numbers = np.asarray(table["prefix"]) >> (_PREFIX_BITS - 4 * job.digits)
    table = table.set_column(0, "partition", pa.array(numbers, pa.int32()))
    if job.pending is not None:
        flags = np.unpackbits(np.frombuffer(job.pending, dtype=np.uint8))
        table = table.filter(pa.array(flags[numbers] == 1))
    return _frame(table)


def _frame(table: Any) -> Any:
    """Return a `pyarrow.Table` as a data frame of pandas, without copying its data."""
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame.astype({"partition": "int32"})


def _empty_facts() -> Any:
    return FACTS_SCHEMA.set(0, pa.field("partition", pa.int32())).empty_table()


def _merge(frame: Any, job: ShuffleTask) -> Any:
    """Merge the partitions of a data frame, one after the other."""
    shift = _PREFIX_BITS - 4 * job.digits
    by_partition = groupby(_rows(frame), lambda row: int.from_bytes(row.digest[:2]) >> shift)
    results = []
    for number, rows in by_partition:
        partition = Partition(number, job.digits)
        results.append((number, merge_partition(rows, partition, job.run, job.context)))
    return _results_frame(results)


def _rows(frame: Any) -> Iterator[BundleRow]:
    """Yield the rows, sorted by digest."""
    digests = frame["digest"].to_list()
    columns = [frame[name].array for name in ("record", "content", "faults")]
    for index in sorted(range(len(digests)), key=digests.__getitem__):
        yield BundleRow(digests[index], *[column[index] for column in columns])


def _results_frame(results: list[tuple[int, PartitionResult]]) -> Any:
    numbers = pd.Series([number for number, _ in results], dtype="int64")
    merged = pd.Series([one for _, one in results], dtype=object)
    return pd.DataFrame({"number": numbers, "merged": merged})
