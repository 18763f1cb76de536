"""Bringing together what belongs together: Dask's own shuffle, by the first digits of a digest.

The shuffle (P2P) spills to the workers' disks, so that memory is bounded by the largest partition;
when a worker is lost, Dask starts it again from the files of facts, which are all there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
from distributed import Client, Future, futures_of

from mirror.engine.cluster.errand import Errand, Sizes
from mirror.engine.cluster.merge import Merged, Partition, Row, merge_partition
from mirror.engine.cluster.place import Place
from mirror.engine.cluster.table import FACTS, read_group

__all__ = ["Group", "Job", "choose_digits", "merged_of", "shuffle_and_merge"]

_PREFIX_BITS = 16
MAX_DIGITS = _PREFIX_BITS // 4
"""Hexadecimal digits in what the files of facts say of a digest: 65,536 partitions at most."""
_RETRIES = 2


class Group(NamedTuple):
    """Facts that are shuffled together: a group of rows of a file."""

    file: str
    number: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """What the tasks of one shuffle know."""

    run: str
    """The run's own name."""
    errand: Errand
    digits: int
    """By how many digits facts are partitioned."""
    wanted: bytes
    """For each partition, 1 if it is still to be merged, else 0."""


def choose_digits(groups: Iterable[Group], sizes: Sizes) -> int:
    """Return by how many digits to partition, so that a partition is small on average."""
    if sizes.prefix_digits:
        return sizes.prefix_digits
    size = sum(group.size_bytes for group in groups)
    wanted = (one for one in range(1, MAX_DIGITS) if size <= sizes.partition_bytes * 16**one)
    return next(wanted, MAX_DIGITS)


def shuffle_and_merge(client: Client, groups: Sequence[Group], job: Job) -> list[Future[Any]]:
    """Start the shuffle and what comes after it; `merged_of` tells what a future came to."""
    partitions = len(job.wanted)
    facts = dd.from_map(_read, groups, job=job, meta=_frame(_empty_facts()))
    placed = facts.set_index(
        "partition", divisions=list(range(partitions + 1)), shuffle_method="p2p"
    )
    merged = placed.map_partitions(_merge, job=job, meta=_told([]))
    return cast("list[Future[Any]]", futures_of(client.persist(merged, retries=_RETRIES)))


def merged_of(result: Any) -> list[tuple[int, Merged]]:
    """Return what a future of `shuffle_and_merge` came to: each partition, and what it holds."""
    return [
        (number, value) for number, value in zip(result["number"], result["merged"], strict=True)
    ]


# On a worker ---------------------------------------------------------------------------------


def _read(group: Group, job: Job) -> Any:
    """Return the facts of a group that belong to partitions still wanted."""
    errand = job.errand
    table = read_group(Place(errand.out), group.file, group.number)
    numbers = np.asarray(table["prefix"]) >> (_PREFIX_BITS - 4 * job.digits)
    table = table.set_column(0, "partition", pa.array(numbers, pa.int32()))
    flags = np.frombuffer(job.wanted, dtype=np.uint8)
    return _frame(table.filter(pa.array(flags[numbers] == 1)))


def _frame(table: Any) -> Any:
    """Return a table of Arrow as pandas, without copying what is in it."""
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame.astype({"partition": "int32"})


def _empty_facts() -> Any:
    return FACTS.set(0, pa.field("partition", pa.int32())).empty_table()


def _merge(frame: Any, job: Job) -> Any:
    if not len(frame):
        return _told([])
    partition = Partition(int(frame.index[0]), job.digits)
    return _told(
        [(partition.number, merge_partition(_rows(frame), partition, job.run, job.errand))]
    )


def _rows(frame: Any) -> Iterator[Row]:
    """Yield the rows, ascending by digest."""
    digests = frame["digest"].to_list()
    columns = [frame[name].array for name in ("record", "content", "faults")]
    for index in sorted(range(len(digests)), key=digests.__getitem__):
        yield Row(digests[index], *[column[index] for column in columns])


def _told(found: list[tuple[int, Merged]]) -> Any:
    numbers = pd.Series([number for number, _ in found], dtype="int64")
    return pd.DataFrame(
        {"number": numbers, "merged": pd.Series([one for _, one in found], dtype=object)}
    )
