"""The second task: merge the records of one prefix, and leave their states.

What comes is all that was verified of these records, in any order and with any repeats; what the
merge makes of it is one state each (section 5 of the protocol).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any, NamedTuple, cast

from mirror.core.bundle import AliasClaim
from mirror.core.events.event import Event
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge
from mirror.core.msgpack_values import unpack
from mirror.core.receipt import Receipt
from mirror.core.record import Record
from mirror.core.transparency.merkle import Leaf, Node, subtree
from mirror.core.values import Object, sha256
from mirror.engine.cluster.parquet import STATES, ParquetFile, read_footer
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
    "read_merged",
]

STATES_FOLDER = "states"
_GROUP_BYTES = 32 << 20
"""Of states, as text, in one group of rows."""
_LARGEST_STATE = (1 << 31) - 1
"""Bytes: Parquet counts those of a value in 31 bits."""


class BundleRow(NamedTuple):
    """The verified facts of one bundle, as they are shuffled."""

    digest: bytes
    """`canonical_sha256`, raw."""
    record: bytes
    content: bytes
    faults: bytes


@dataclass(frozen=True, slots=True)
class Partition:
    """The records whose `canonical_sha256` begins with some hexadecimal digits."""

    number: int
    digits: int

    @property
    def prefix(self) -> str:
        """The digits."""
        return f"{self.number:0{self.digits}x}"

    @property
    def file(self) -> str:
        """Where its states lie."""
        return f"{STATES_FOLDER}/prefix={self.prefix}/states.parquet"


@dataclass(slots=True)
class PartitionResult:
    """What a partition came to; it stands in the footer of the file of its states."""

    run: str
    """Which run made it."""
    bundles: int
    """From how many bundles."""
    node: Node
    """The partition in the tree over all states."""
    summary: Summary = field(default_factory=Summary)
    """Records, equivocations, and how many facts there are."""
    events_valid: int = 0
    """Distinct values; a store counts two signatures of one event as two, where M1 counts one."""
    events_invalid: int = 0

    def to_value(self) -> Object:
        """Return it as JSON."""
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
    def from_value(cls, value: Object) -> PartitionResult:
        """Return what `to_value` gave."""
        found = cast("dict[str, Any]", value)
        node = Node(found["size"], bytes.fromhex(found["digest"]))
        summary = Summary.from_value(found["summary"])
        return cls(
            found["run"],
            found["bundles"],
            node,
            summary,
            found["events_valid"],
            found["events_invalid"],
        )


def read_merged(out: str, partition: Partition) -> PartitionResult:
    """Return what a partition came to that was merged before.

    Raises:
        SourceError: `source.unreadable`
    """
    return PartitionResult.from_value(read_footer(StoragePath(out), partition.file))


def merge_partition(
    rows: Iterable[BundleRow], partition: Partition, run: str, errand: TaskContext
) -> PartitionResult:
    """Merge the records of a partition, and leave their states in a file.

    Args:
        rows: All verified facts of these records, ascending by digest.
        partition: Which records.
        run: The run's own name.
        errand: The run.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`, `cluster.keys`
        OutputError: `output.failed`, `output.too_large`
    """
    out, keys = errand.begin()
    leaves: list[Leaf] = []
    done = PartitionResult(run, 0, Node(0, b""))
    with ParquetFile(STATES, _GROUP_BYTES) as states:
        for digest, of_record in groupby(rows, key=lambda row: row.digest):
            record, state = _merge_record(of_record, keys, done)
            leaves.append((digest, state.raw_core_digest))
            _write_state(states, record, state, leaves[-1][1])
        done.node = subtree(leaves, partition.digits)
        states.publish(out, partition.file, done.to_value())
    return done


def _merge_record(
    rows: Iterable[BundleRow], keys: KeySet, done: PartitionResult
) -> tuple[Record, State]:
    """Merge all that came for one record, each fact once, and count the facts."""
    claims: dict[AliasClaim, None] = {}
    receipts: dict[bytes, Receipt] = {}
    events: dict[bytes, Event] = {}
    rows = iter(rows)
    first = next(rows)
    for content, faults in _once(chain([first], rows), done):
        contents = unpack_contents(content)
        found = cast("list[Any]", unpack(faults)) if faults else []
        judged = with_verdicts(contents, [VerdictRow(*fault) for fault in found], keys)
        claims |= dict.fromkeys(contents.claims)
        receipts |= {one.digest: one for one in judged.receipts}
        events |= {one.digest: one for one in judged.events}
    record = Record(cast("Object", unpack(first.record)))
    state = merge(record, receipts.values(), claims, events.values(), keys)
    done.summary.new.add(InsertCounts(1, len(claims), len(receipts), len(events)))
    done.summary.records += 1
    done.summary.equivocations += state.count("equivocation_count")
    done.events_invalid += state.count("invalid_event_count")
    done.events_valid += len(events) - state.count("invalid_event_count")
    return record, state


def _once(rows: Iterable[BundleRow], done: PartitionResult) -> Iterator[tuple[bytes, bytes]]:
    """Yield what bundles brought, with its faults; of those that brought the very same, one."""
    seen: set[bytes] = set()
    for row in rows:
        done.bundles += 1
        digest = sha256(row.content)
        if digest not in seen:
            seen.add(digest)
            yield row.content, row.faults


def _write_state(states: ParquetFile, record: Record, state: State, core_digest: bytes) -> None:
    text = state.text
    if len(text) > _LARGEST_STATE:
        raise OutputError(
            "output.too_large",
            f"a state of {len(text):,} bytes; a Parquet file holds values of up to 2 GiB",
            where=record.pith_number,
            hint="merge the bundles of this record by themselves, without --cluster",
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
