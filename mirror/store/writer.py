"""Commit writer of new facts.

The new facts of a bundle are packed where the bundle was verified, without the store's write lock;
writing them is a few rows. Most are of a new record and come with its state: their rows are
collected and written together. New facts of a stored record are compared with its facts first.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mirror.core.bundle import AliasClaim, Bundle, VerifiedBundle
from mirror.core.keys import KeySet
from mirror.core.merge import State
from mirror.core.msgpack_values import pack
from mirror.core.values import Value
from mirror.store.arrival_codec import ArrivalContents, pack_contents, unpack_contents
from mirror.store.arrivals import (
    ArrivalRow,
    RecordTotals,
    VerdictRow,
    Verdicts,
    key_ids_of,
    verdict_rows_of,
)
from mirror.store.checked_table import CheckedTable
from mirror.store.commits import Commits
from mirror.store.counters import Counters, count_verdicts
from mirror.store.facts import Facts
from mirror.store.quota import OverQuota, Quota
from mirror.store.records import RecordColumns, Records, columns_of
from mirror.store.row_checksum import EMPTY
from mirror.store.states import StateColumns, States, state_columns
from mirror.store.stored_facts import SHAPE, StoredFacts
from mirror.store.stored_records import StoredRecords

__all__ = [
    "BatchWriter",
    "InsertCounts",
    "NewFacts",
    "SourceRun",
    "WriteResult",
    "pack_new_facts",
    "run_table",
]


def run_table(conn: sqlite3.Connection) -> CheckedTable:
    """Return the table `run`: sources that were read, each by one command."""
    return CheckedTable(conn, "run", "id, source, started_at")


class SourceRun:
    """A source read by a command; a row of `run`, added when the first new fact needs it."""

    def __init__(self, source: str, started_at: str) -> None:
        self._columns = source, started_at
        self._id = 0

    def id(self, conn: sqlite3.Connection) -> int:
        """Return the row's id."""
        if not self._id:
            table = run_table(conn)
            self._id = table.next_id()
            table.add([(self._id, *self._columns)])
        return self._id


@dataclass(slots=True)
class InsertCounts:
    """How many facts were new."""

    records: int = 0
    alias_claims: int = 0
    receipts: int = 0
    events: int = 0

    def __bool__(self) -> bool:
        return bool(self.records or self.alias_claims or self.receipts or self.events)

    def add(self, other: InsertCounts) -> None:
        """Add other counts."""
        self.records += other.records
        self.alias_claims += other.alias_claims
        self.receipts += other.receipts
        self.events += other.events


class NewFacts(NamedTuple):
    """The new facts of one bundle, ready to be written."""

    digest: bytes
    """`canonical_sha256` of the record, raw."""
    record: RecordColumns
    alias_claims: int
    receipts: int
    events: int
    content: bytes
    """The encoded facts: a column of `arrival`."""
    verdict_rows: tuple[VerdictRow, ...]
    key_ids: tuple[str, ...]
    state: StateColumns | None = None
    """State of the record that follows from these facts and those of `base`."""
    base: bytes = EMPTY
    """Checksum of the totals of the stored facts on which the state rests, too."""

    @property
    def new(self) -> InsertCounts:
        """How many facts are in it."""
        return InsertCounts(0, self.alias_claims, self.receipts, self.events)


def pack_new_facts(
    raw: Bundle, bundle: VerifiedBundle, stored: StoredFacts, state: State | None, keys: KeySet
) -> NewFacts:
    """Pack the facts of a bundle that a store lacks.

    Args:
        raw: The bundle before verification; its events are packed already.
        bundle: The same, verified.
        stored: The stored facts of the record.
        state: State of the bundle alone, if the store lacks the record.
        keys: The key set under which it was verified.
    """
    claims = dict.fromkeys(bundle.alias_claims)
    receipts = {one.digest: one for one in bundle.receipts if one.digest not in stored.receipts}
    packed = {one.digest: one.packed for one in raw.events if one.digest not in stored.events}
    events = {one.digest: one for one in bundle.events}
    verdicts = Verdicts(list(receipts.values()), [events[digest] for digest in packed])
    new = tuple([claim for claim in claims if claim not in stored.alias_claims])
    return NewFacts(
        bundle.record.digest,
        columns_of(bundle.record),
        len(new),
        len(receipts),
        len(packed),
        pack_contents(new, {one.digest: pack(one.value) for one in verdicts.receipts}, packed),
        tuple(verdict_rows_of(verdicts)),
        tuple(key_ids_of(verdicts, keys)),
        None if state is None else state_columns(state),
    )


def _without_stored(
    new_facts: NewFacts, stored: StoredFacts, items: int | None
) -> tuple[NewFacts, OverQuota]:
    """Return new facts without those that are stored or exceed a quota, and how many exceed it.

    Args:
        new_facts: The facts.
        stored: The stored facts of the record.
        items: The quota of the record, for each kind of fact; None for no quota.
    """
    contents = unpack_contents(new_facts.content)
    claims: Sequence[AliasClaim]
    claims = [one for one in contents.claims if one not in stored.alias_claims]
    receipts = _lacking(contents.receipts, stored.known.receipts)
    events = _lacking(contents.events, stored.known.events)
    new = len(claims), len(receipts), len(events)
    if items is not None:
        quota = Quota(items, stored)
        claims = quota.claims(claims)
        receipts = quota.receipts(receipts, contents.receipts, new_facts.verdict_rows)
        events = quota.events(events, new_facts.verdict_rows)
    kept = len(claims), len(receipts), len(events)
    left_out = OverQuota(*(some - others for some, others in zip(new, kept, strict=True)))
    return _only(new_facts, contents, claims, receipts, events), left_out


def _only(
    new_facts: NewFacts,
    contents: ArrivalContents,
    claims: Sequence[AliasClaim],
    receipts: Sequence[int],
    events: Sequence[int],
) -> NewFacts:
    """Return some of the new facts: these claims, and the others at these positions."""
    at_events = {position: place for place, position in enumerate(events)}
    at_receipts = {position: place for place, position in enumerate(receipts)}
    places = {"receipt": at_receipts, "event": at_events}
    is_whole = (len(claims), len(receipts), len(events)) == new_facts[2:5]
    return new_facts._replace(
        state=new_facts.state if is_whole else None,
        alias_claims=len(claims),
        receipts=len(receipts),
        events=len(events),
        content=pack_contents(
            claims,
            dict([_packed(contents.receipts[position]) for position in receipts]),
            dict([_packed(contents.events[position]) for position in events]),
        ),
        verdict_rows=tuple(
            one._replace(position=places[one.kind][one.position])
            for one in new_facts.verdict_rows
            if one.position in places[one.kind]
        ),
    )


def _lacking(facts: Sequence[tuple[bytes, Value]], known: Container[bytes]) -> list[int]:
    """Return the positions of the facts that are not stored."""
    return [position for position, (digest, _) in enumerate(facts) if digest not in known]


def _packed(fact: tuple[bytes, Value]) -> tuple[bytes, bytes]:
    digest, value = fact
    return digest, pack(value)


def _most(new_facts: NewFacts) -> int:
    """Return an upper bound of the number of facts of one kind that count for a quota."""
    malformed = sum([one.code == SHAPE and one.kind == "event" for one in new_facts.verdict_rows])
    return max(new_facts.alias_claims, new_facts.receipts, malformed)


class WriteResult(NamedTuple):
    """Result of writing new facts."""

    record_id: int
    new: InsertCounts
    left_out: OverQuota
    """New facts that exceeded the quota of the record, and were not written."""
    is_stale: bool
    """Whether the stored state of the record now lacks facts."""


@dataclass(slots=True)
class _Pending:
    """Collected rows that are not written yet."""

    digests: set[bytes] = field(default_factory=set)
    """The records that the rows belong to."""
    records: list[tuple[int, RecordColumns]] = field(default_factory=list)
    arrivals: list[tuple[int, int, int, str, bytes, bytes]] = field(default_factory=list)
    totals: list[tuple[int, int, int, int, bytes]] = field(default_factory=list)
    verdict_rows: list[tuple[int, VerdictRow]] = field(default_factory=list)
    key_dependencies: list[tuple[str, int]] = field(default_factory=list)
    states: list[tuple[int, StateColumns, bytes]] = field(default_factory=list)
    merged: list[tuple[int, StateColumns, bytes]] = field(default_factory=list)
    """States of records that are stored, with new facts."""
    stale: list[int] = field(default_factory=list)


class BatchWriter:
    """Writes new facts within one transaction; call `flush` before it ends."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        records: Records,
        facts: Facts,
        states: States,
        quota: int | None = None,
    ) -> None:
        """Start; `quota` is that of each record, for each kind of fact, and None means no limit."""
        self._quota = quota
        self._conn = conn
        self._records = records
        self._facts = facts
        self._states = states
        self._stored_records = StoredRecords(conn)
        self._ids: dict[bytes, int | None] = {}
        """Ids of records by digest, None for those that the store lacks."""
        self._pending = _Pending()
        self._counts = Counter[str]()
        self._last_record = records.last_id()
        self._last_arrival = self._last_committed = facts.last_arrival()

    def look_up(self, new_facts: Sequence[NewFacts]) -> None:
        """Find out which records are stored: for many at once, this is faster."""
        names = [(one.record[2], one.digest) for one in new_facts if one.digest not in self._ids]
        self._ids.update(dict.fromkeys([digest for _, digest in names]))
        self._ids.update(self._stored_records.find(names))

    def add(self, new_facts: NewFacts, run: SourceRun, member: str) -> WriteResult:
        """Add the facts that the store lacks; marks the record as stale if its state is not given.

        Args:
            new_facts: The facts of a bundle.
            run: Source of the bundle.
            member: Path of the bundle in the source.

        Returns:
            The record's id, the numbers of new facts, and of those that exceeded its quota.
        """
        if new_facts.digest not in self._ids:
            self.look_up([new_facts])
        if new_facts.digest in self._pending.digests:
            self._write()
        record_id = self._ids[new_facts.digest]
        if record_id is None:
            return self._add_record(new_facts, run.id(self._conn), member)
        return self._add_to_record(record_id, new_facts, run, member)

    def _add_record(self, new_facts: NewFacts, run_id: int, member: str) -> WriteResult:
        """Collect the rows of a new record."""
        left_out = OverQuota()
        if self._quota is not None and _most(new_facts) > self._quota:
            new_facts, left_out = _without_stored(new_facts, StoredFacts(), self._quota)
        self._last_record += 1
        record_id, pending, new = self._last_record, self._pending, new_facts.new
        new.records = 1
        self._ids[new_facts.digest] = record_id
        pending.digests.add(new_facts.digest)
        pending.records.append((record_id, new_facts.record))
        checksum = self._add_arrival(record_id, run_id, member, new_facts)
        pending.totals.append((record_id, new.events, new.receipts, new.alias_claims, checksum))
        if new_facts.state is None:
            pending.stale.append(record_id)
        else:
            pending.states.append((record_id, new_facts.state, checksum))
            self._counts["equivocations"] += new_facts.state.equivocation_count
        self._count(new_facts, new)
        return WriteResult(record_id, new, left_out, is_stale=new_facts.state is None)

    def _add_to_record(
        self, record_id: int, new_facts: NewFacts, run: SourceRun, member: str
    ) -> WriteResult:
        """Collect the rows of new facts of a stored record."""
        left_out = OverQuota()
        if not new_facts.new:
            return WriteResult(record_id, new_facts.new, left_out, is_stale=False)
        totals = RecordTotals.load(self._conn, record_id)
        if not self._fits(new_facts, totals):
            stored = self._facts.stored_facts(new_facts.digest)
            new_facts, left_out = _without_stored(new_facts, stored, self._quota)
            new_facts = new_facts._replace(state=None)
        new = new_facts.new
        if new:
            self._pending.digests.add(new_facts.digest)
            checksum = self._add_arrival(record_id, run.id(self._conn), member, new_facts)
            totals.add_counts(new.events, new.receipts, new.alias_claims, checksum)
            self._pending.totals.append((record_id, *totals.columns))
            if new_facts.state is None:
                self._pending.stale.append(record_id)
            else:
                self._pending.merged.append((record_id, new_facts.state, totals.checksum))
            self._count(new_facts, new)
        return WriteResult(record_id, new, left_out, is_stale=bool(new) and not new_facts.state)

    def _fits(self, new_facts: NewFacts, totals: RecordTotals) -> bool:
        """Whether all the facts are new, the state is of all facts, and no quota is used up."""
        new, quota = new_facts.new, self._quota
        return (
            new_facts.state is not None
            and new_facts.base == totals.checksum
            and not new_facts.verdict_rows
            and (
                quota is None
                or max(totals.receipts + new.receipts, totals.alias_claims + new.alias_claims)
                <= quota
            )
        )

    def _add_arrival(self, record_id: int, run_id: int, member: str, new_facts: NewFacts) -> bytes:
        """Collect the rows of an arrival; return their combined checksum."""
        self._last_arrival += 1
        row = (self._last_arrival, record_id, run_id, member, new_facts.content)
        checksum = ArrivalRow.checksum_of(*row)
        pending = self._pending
        pending.arrivals.append((*row, checksum))
        pending.key_dependencies += [(key_id, record_id) for key_id in new_facts.key_ids]
        totals = RecordTotals(checksum=checksum)
        pending.verdict_rows += [(self._last_arrival, one) for one in new_facts.verdict_rows]
        totals.add_verdicts(self._last_arrival, new_facts.verdict_rows)
        return totals.checksum

    def _count(self, new_facts: NewFacts, new: InsertCounts) -> None:
        counts = self._counts
        counts["records"] += new.records
        counts["alias_claims"] += new.alias_claims
        counts["receipts"] += new.receipts
        counts["events"] += new.events
        if new_facts.verdict_rows:
            counts.update(count_verdicts(new_facts.verdict_rows))

    def flush(self) -> None:
        """Write the collected rows, and the commit of all arrivals of the transaction."""
        self._write()
        if self._last_arrival > self._last_committed:
            Commits(self._conn).add(self._last_arrival)
            self._last_committed = self._last_arrival

    def _write(self) -> None:
        """Write the collected rows."""
        pending, self._pending = self._pending, _Pending()
        counts, self._counts = self._counts, Counter()
        self._records.add(pending.records)
        query = "INSERT INTO arrival VALUES (?, ?, ?, ?, ?, ?)"
        self._conn.executemany(query, pending.arrivals)
        self._conn.executemany(
            "INSERT OR REPLACE INTO record_totals VALUES (?, ?, ?, ?, ?)", pending.totals
        )
        self._facts.add_verdicts(pending.verdict_rows)
        self._facts.add_key_dependencies(pending.key_dependencies)
        self._states.add(pending.states)
        self._states.save_merged(pending.merged)
        self._states.mark_stale(pending.stale)
        Counters(self._conn).add(counts)
