"""Second task: merges the records of one partition, and writes their states.

The input is all verified facts of these records, in any order and with repeats; the result is one
state for each record (section 5 of the protocol).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any, NamedTuple

from mirror.core.bundle import AliasClaim
from mirror.core.events.event import Event
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge
from mirror.core.msgpack_values import unpack
from mirror.core.receipt import Receipt
from mirror.core.record import Record
from mirror.core.transparency.merkle import Leaf, Node, subtree
from mirror.core.values import sha256
from mirror.engine.cluster.parquet import STATES_SCHEMA, ParquetFile, read_footer
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.task import TaskContext
from mirror.engine.findings import Summary
from mirror.errors import OutputError
from mirror.store import InsertCounts, VerdictRow, unpack_contents, with_verdicts

__all__ = [
    "STATES_FOLDER",
    "BundleRow",
    "Partition",
    "PartitionResult",
    "merge_partition",
    "read_partition_result",
]

STATES_FOLDER = "states"
_GROUP_BYTES = 32 << 20
"""Bytes of states, as text, in one row group."""
_LARGEST_STATE = (1 << 31) - 1
"""Largest value in a Parquet file, in bytes."""


class BundleRow(NamedTuple):
    """The verified facts of one bundle, as a row of the shuffle."""

    digest: bytes
    """`canonical_sha256` as 32 bytes."""
    record: bytes
    content: bytes
    verdicts: bytes


@dataclass(frozen=True, slots=True)
class Partition:
    """The records whose `canonical_sha256` begins with some hexadecimal digits."""

    number: int
    digits: int

    @property
    def prefix(self) -> str:
        """The hexadecimal digits."""
        return f"{self.number:0{self.digits}x}"

    @property
    def path(self) -> str:
        """Path of its states, in the folder of the results."""
        return f"{STATES_FOLDER}/prefix={self.prefix}/states.parquet"


@dataclass(slots=True)
class PartitionResult:
    """Result of merging a partition, which is the footer of its file of states."""

    run: str
    """Identifier of the run that merged it."""
    bundles: int
    """Number of bundles."""
    node: Node
    """Node of the partition in the tree of all states."""
    summary: Summary = field(default_factory=Summary)
    """Counts of records, equivocations and facts."""
    events_valid: int = 0
    """Distinct values: unlike M1, two signatures of one event count as two, as in a store."""
    events_invalid: int = 0

    def to_value(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return {
            "run": self.run,
            "bundles": self.bundles,
            "size": self.node.size,
            "digest": self.node.digest.hex(),
            "summary": self.summary.to_value(),
            "events_valid": self.events_valid,
            "events_invalid": self.events_invalid,
        }

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> PartitionResult:
        """Return the result of a value from `to_value`."""
        return cls(
            run=value["run"],
            bundles=value["bundles"],
            node=Node(value["size"], bytes.fromhex(value["digest"])),
            summary=Summary.from_value(value["summary"]),
            events_valid=value["events_valid"],
            events_invalid=value["events_invalid"],
        )


def read_partition_result(out: str, partition: Partition) -> PartitionResult:
    """Return the result of a partition that was merged before.

    Raises:
        SourceError: `source.unreadable`
    """
    return PartitionResult.from_value(read_footer(StoragePath(out), partition.path))


def merge_partition(
    rows: Iterable[BundleRow], partition: Partition, run: str, context: TaskContext
) -> PartitionResult:
    """Merge the records of a partition, and write their states to a file.

    Args:
        rows: All verified facts of these records, sorted by digest.
        partition: The partition.
        run: Identifier of the run.
        context: Context of the run.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`, `cluster.keys`
        OutputError: `output.failed`, `output.too_large`
    """
    out, keys = context.begin()
    leaves: list[Leaf] = []
    done = PartitionResult(run, 0, Node(0, b""))
    with ParquetFile(STATES_SCHEMA, _GROUP_BYTES) as states:
        for digest, of_record in groupby(rows, key=lambda row: row.digest):
            record, state = _merge_record(of_record, keys, done)
            leaves.append((digest, state.raw_core_digest))
            _write_state(states, record, state, leaves[-1][1])
        done.node = subtree(leaves, partition.digits)
        states.publish(out, partition.path, done.to_value())
    return done


def _merge_record(
    rows: Iterable[BundleRow], keys: KeySet, done: PartitionResult
) -> tuple[Record, State]:
    """Merge the distinct facts of one record, and count them."""
    claims: dict[AliasClaim, None] = {}
    receipts: dict[bytes, Receipt] = {}
    events: dict[bytes, Event] = {}
    rows = iter(rows)
    first = next(rows)
    for content, packed in _distinct(chain([first], rows), done):
        contents = unpack_contents(content)
        verdicts: Any = unpack(packed) if packed else []
        verified = with_verdicts(contents, [VerdictRow(*one) for one in verdicts], keys)
        claims |= dict.fromkeys(contents.claims)
        receipts |= {one.digest: one for one in verified.receipts}
        events |= {one.digest: one for one in verified.events}
    value: Any = unpack(first.record)
    record = Record(value)
    state = merge(record, receipts.values(), claims, events.values(), keys)
    done.summary.new.add(InsertCounts(1, len(claims), len(receipts), len(events)))
    done.summary.records += 1
    done.summary.equivocations += state.count("equivocation_count")
    done.events_invalid += state.count("invalid_event_count")
    done.events_valid += len(events) - state.count("invalid_event_count")
    return record, state


def _distinct(rows: Iterable[BundleRow], done: PartitionResult) -> Iterator[tuple[bytes, bytes]]:
    """Yield the distinct contents of bundles, with their verdicts, and count the bundles."""
    seen: set[bytes] = set()
    for row in rows:
        done.bundles += 1
        digest = sha256(row.content)
        if digest not in seen:
            seen.add(digest)
            yield row.content, row.verdicts


def _write_state(states: ParquetFile, record: Record, state: State, core_digest: bytes) -> None:
    text = state.text
    if len(text) > _LARGEST_STATE:
        raise OutputError(
            "output.too_large",
            f"a state of {len(text):,} bytes; a value in a Parquet file has at most 2 GiB",
            where=record.pith_number,
            hint="merge the bundles of this record separately, without --cluster",
        )
    row = (
        record.pith_number,
        record.canonical_sha256,
        state.digest,
        core_digest.hex(),
        state.count("event_count"),
        state.count("valid_event_count"),
        state.count("invalid_event_count"),
        state.count("equivocation_count"),
        text.decode(),
    )
    states.write_row(row, len(text))
