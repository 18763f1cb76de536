"""The facts: records, alias claims, receipts and events, each once, and where each came from.

Rows are only ever added. Adding what is there changes nothing and is not counted as new.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from mirror.core.bundle import AliasClaim, Bundle, Known, VerifiedBundle
from mirror.core.event import Event, InvalidEvent, ValidEvent, key_ids_of_event
from mirror.core.receipt import Receipt, key_ids_of_receipt
from mirror.core.record import Record
from mirror.core.values import Object, Value, canonical, sha256
from mirror.store.packing import pack, unpack

__all__ = ["Facts", "New", "RecordFacts", "Run"]


@dataclass(slots=True)
class New:
    """How many facts were new."""

    records: int = 0
    alias_claims: int = 0
    receipts: int = 0
    events: int = 0

    def __bool__(self) -> bool:
        return bool(self.records or self.alias_claims or self.receipts or self.events)

    def add(self, other: New) -> None:
        """Count what `other` counted, too."""
        self.records += other.records
        self.alias_claims += other.alias_claims
        self.receipts += other.receipts
        self.events += other.events


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """All that a store holds for one record, with the verdicts it remembers."""

    record: Record
    alias_claims: list[AliasClaim]
    receipts: list[Receipt]
    events: list[Event]


class Facts:
    """The tables of facts, and the verdicts beside them."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    # Adding ----------------------------------------------------------------------------------

    def add(self, bundle: VerifiedBundle, run: Run, member: str) -> tuple[int, New]:
        """Add what `bundle` holds and the store lacks; mark its record stale if that is anything.

        Args:
            bundle: What was verified.
            run: The reading of a source that it came from.
            member: Its place in the source.

        Returns:
            The record's id, and what was new.
        """
        arrival = _Arrival(self._conn, run, member)
        new = New()
        record_id, is_new = self._add_record(bundle.record, arrival)
        new.records = int(is_new)
        for claim in bundle.alias_claims:
            new.alias_claims += self._add_claim(record_id, claim, arrival)
        for receipt in bundle.receipts:
            new.receipts += self._add_receipt(record_id, receipt, arrival)
        for event in bundle.events:
            new.events += self._add_event(record_id, event, arrival)
        if new:
            self._conn.execute("INSERT OR IGNORE INTO stale VALUES (?)", (record_id,))
        return record_id, new

    def _add_record(self, record: Record, arrival: _Arrival) -> tuple[int, bool]:
        found = self.find(record.digest)
        if found is not None:
            return found, False
        row = (
            record.digest,
            record.pith_number,
            record.suffix,
            record.source["kind"],
            record.source["id"],
            record.source["version"],
            pack(record.value),
            arrival.id,
        )
        query = """
            INSERT INTO record
                (digest, pith_number, suffix, kind, source_id, version, value, arrival_id)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """
        return cast("int", self._conn.execute(query, row).lastrowid), True

    def _add_claim(self, record_id: int, claim: AliasClaim, arrival: _Arrival) -> bool:
        key = (record_id, claim.alias_kind, claim.alias_value, claim.created_at)
        query = """
            SELECT 1 FROM alias_claim
            WHERE record_id = ? AND alias_kind = ? AND alias_value = ? AND created_at = ?
        """
        if self._conn.execute(query, key).fetchone():
            return False
        self._conn.execute("INSERT INTO alias_claim VALUES (?, ?, ?, ?, ?)", (*key, arrival.id))
        return True

    def _add_receipt(self, record_id: int, receipt: Receipt, arrival: _Arrival) -> bool:
        if self._holds("receipt", record_id, receipt.digest):
            return False
        receipt_id = self._insert("receipt", record_id, receipt.digest, receipt.value, arrival)
        self.set_receipt_verdict(record_id, receipt_id, receipt)
        return True

    def _add_event(self, record_id: int, event: Event, arrival: _Arrival) -> bool:
        if self._holds("event", record_id, event.digest):
            return False
        event_id = self._insert("event", record_id, event.digest, event.value, arrival)
        self.set_event_verdict(record_id, event_id, event)
        return True

    def _holds(self, table: str, record_id: int, digest: bytes) -> bool:
        query = f"SELECT 1 FROM {table} WHERE record_id = ? AND digest = ?"  # noqa: S608
        return self._conn.execute(query, (record_id, digest)).fetchone() is not None

    def _insert(
        self, table: str, record_id: int, digest: bytes, value: Value, arrival: _Arrival
    ) -> int:
        query = f"INSERT INTO {table} (record_id, digest, value, arrival_id) VALUES (?, ?, ?, ?)"  # noqa: S608
        row = (record_id, digest, pack(value), arrival.id)
        return cast("int", self._conn.execute(query, row).lastrowid)

    # Verdicts --------------------------------------------------------------------------------

    def set_event_verdict(self, record_id: int, event_id: int, event: Event) -> None:
        """Remember the verdict on an event, and which keys it may rest on."""
        code, reason = (None, "") if isinstance(event, ValidEvent) else (event.code, event.reason)
        query = "INSERT OR REPLACE INTO event_verdict VALUES (?, ?, ?)"
        self._conn.execute(query, (event_id, code, reason))
        self._name_keys(record_id, key_ids_of_event(event))

    def set_receipt_verdict(self, record_id: int, receipt_id: int, receipt: Receipt) -> None:
        """Remember the verdict on a receipt, and which keys it may rest on."""
        query = "INSERT OR REPLACE INTO receipt_verdict VALUES (?, ?, ?)"
        self._conn.execute(query, (receipt_id, receipt.code, receipt.reason))
        self._name_keys(record_id, key_ids_of_receipt(receipt.value))

    def _name_keys(self, record_id: int, key_ids: Iterable[str]) -> None:
        rows = [(key_id, record_id) for key_id in key_ids]
        self._conn.executemany("INSERT OR IGNORE INTO named_key VALUES (?, ?)", rows)

    def known(self, bundle: Bundle) -> Known:
        """Return the verdicts that the store remembers on what `bundle` holds."""
        record_id = self.find(bundle.record.digest)
        if record_id is None:
            return Known()
        events = {raw.digest: raw.value for raw in bundle.events}
        receipts = {sha256(canonical(value)): value for value in bundle.receipts}
        return Known(
            receipts={
                digest: Receipt(value, digest, *verdict)
                for digest, value in receipts.items()
                if (verdict := self._verdict("receipt", record_id, digest)) is not None
            },
            events={
                digest: _event(value, digest, *verdict)
                for digest, value in events.items()
                if (verdict := self._verdict("event", record_id, digest)) is not None
            },
        )

    def _verdict(self, table: str, record_id: int, digest: bytes) -> tuple[str | None, str] | None:
        query = f"""
            SELECT code, reason FROM {table} JOIN {table}_verdict ON {table}.id = {table}_id
            WHERE record_id = ? AND digest = ?
        """  # noqa: S608
        row: tuple[str | None, str] | None
        row = self._conn.execute(query, (record_id, digest)).fetchone()
        return row

    # Loading ---------------------------------------------------------------------------------

    def find(self, digest: bytes) -> int | None:
        """Return the id of the record with this `canonical_sha256` (32 raw bytes), or None."""
        query = "SELECT id FROM record WHERE digest = ?"
        row = self._conn.execute(query, (digest,)).fetchone()
        return None if row is None else cast("int", row[0])

    def load(self, record_id: int) -> RecordFacts:
        """Return all facts of a record with their verdicts."""
        events = (event for _, event in self.events(record_id))
        receipts = (receipt for _, receipt in self.receipts(record_id))
        return RecordFacts(
            self.record(record_id), list(self._claims(record_id)), list(receipts), list(events)
        )

    def record(self, record_id: int) -> Record:
        """Return a record."""
        query = "SELECT value FROM record WHERE id = ?"
        (value,) = self._conn.execute(query, (record_id,)).fetchone()
        return Record(cast("Object", unpack(value)))

    def events(self, record_id: int) -> Iterator[tuple[int, Event]]:
        """Yield the row id and the event of each event of a record."""
        for event_id, digest, value, code, reason in self._judged("event", record_id):
            yield event_id, _event(unpack(value), digest, code, reason)

    def receipts(self, record_id: int) -> Iterator[tuple[int, Receipt]]:
        """Yield the row id and the receipt of each receipt of a record."""
        for receipt_id, digest, value, code, reason in self._judged("receipt", record_id):
            yield receipt_id, Receipt(unpack(value), digest, code, reason)

    def _judged(
        self, table: str, record_id: int
    ) -> list[tuple[int, bytes, bytes, str | None, str]]:
        query = f"""
            SELECT {table}.id, digest, value, code, reason
            FROM {table} JOIN {table}_verdict ON {table}.id = {table}_id
            WHERE record_id = ?
        """  # noqa: S608
        return self._conn.execute(query, (record_id,)).fetchall()

    def _claims(self, record_id: int) -> Iterator[AliasClaim]:
        query = "SELECT alias_kind, alias_value, created_at FROM alias_claim WHERE record_id = ?"
        for row in self._conn.execute(query, (record_id,)):
            yield AliasClaim(*row)

    # Looking up ------------------------------------------------------------------------------

    def naming_keys(self, key_ids: Iterable[str]) -> list[int]:
        """Return the ids of the records with a verdict that may rest on one of these keys."""
        query = "SELECT record_id FROM named_key WHERE key_id = ?"
        found = {row[0] for key_id in key_ids for row in self._conn.execute(query, (key_id,))}
        return sorted(found)

    def all_ids(self) -> Iterator[int]:
        """Yield the id of every record, ascending by Pith Number."""
        for (record_id,) in self._conn.execute("SELECT id FROM record ORDER BY pith_number, id"):
            yield record_id

    def in_bag_order(self, record_ids: Collection[int] | None) -> Iterator[tuple[str, int]]:
        """Yield (suffix, id) of the given records or of all, ascending by suffix, each once."""
        if record_ids is None:
            yield from self._conn.execute("SELECT suffix, id FROM record ORDER BY suffix, id")
            return
        query = "SELECT suffix, id FROM record WHERE id = ?"
        yield from sorted({self._conn.execute(query, (one,)).fetchone() for one in record_ids})

    def count(self) -> int:
        """Return how many records there are."""
        return cast("int", self._conn.execute("SELECT count(*) FROM record").fetchone()[0])

    def by_suffix(self, prefix: str) -> list[int]:
        """Return the ids of the records whose suffix begins with `prefix`, in capital letters."""
        query = "SELECT id FROM record WHERE suffix >= ? AND suffix < ? ORDER BY pith_number, id"
        # `[` follows `Z` and every digit, so this bounds the words that begin with the prefix.
        return [row[0] for row in self._conn.execute(query, (prefix, prefix + "["))]

    def by_source(self, source_id: str, version: int | None = None) -> list[int]:
        """Return the ids of the records of a source id, and of one version if that is given."""
        query = """
            SELECT id FROM record WHERE source_id = ? AND version = coalesce(?, version)
            ORDER BY pith_number, id
        """
        return [row[0] for row in self._conn.execute(query, (source_id, version))]


class Run:
    """A source read by a command; a row of `run`, made when the first new fact needs it."""

    def __init__(self, source: str, started_at: str) -> None:
        self._row = (source, started_at)
        self._id: int | None = None

    def id(self, conn: sqlite3.Connection) -> int:
        """Return the row's id."""
        if self._id is None:
            query = "INSERT INTO run (source, started_at) VALUES (?, ?)"
            self._id = cast("int", conn.execute(query, self._row).lastrowid)
        return self._id


class _Arrival:
    """A bundle that came; a row of `arrival`, made when the first new fact needs it."""

    def __init__(self, conn: sqlite3.Connection, run: Run, member: str) -> None:
        self._conn = conn
        self._run = run
        self._member = member
        self._id: int | None = None

    @property
    def id(self) -> int:
        if self._id is None:
            row = (self._run.id(self._conn), self._member)
            query = "INSERT INTO arrival (run_id, member) VALUES (?, ?)"
            self._id = cast("int", self._conn.execute(query, row).lastrowid)
        return self._id


def _event(value: Value, digest: bytes, code: str | None, reason: str) -> Event:
    """Give back an event as its verdict was when `judge` reached it."""
    if code is None:
        return ValidEvent.of(cast("Object", value), digest)
    return InvalidEvent(value, digest, code, reason)
