"""The facts about records: alias claims, receipts and events, each once, and where each came from.

Rows are only ever added. Adding what is there changes nothing and is not counted as new. The
verdict on a fact stands beside it in a table of its own, and may be reached anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mirror.core.bundle import AliasClaim, Bundle, Known, VerifiedBundle
from mirror.core.event import Event
from mirror.core.receipt import Receipt
from mirror.core.record import Record
from mirror.core.values import Value
from mirror.store.origin import Arrival, Run
from mirror.store.packing import pack
from mirror.store.records import Records, damaged
from mirror.store.rows import ClaimRow, JudgedRow, Ledger, key_ids_of, verdict_of

__all__ = ["Facts", "New", "RecordFacts", "RecordRows"]


@dataclass(slots=True)
class New:
    """How many facts were new."""

    records: int = 0
    alias_claims: int = 0
    receipts: int = 0
    events: int = 0

    def __bool__(self) -> bool:
        return bool(self.records or self.alias_claims or self.receipts or self.events)

    def count(self, table: str) -> None:
        """Count a new row of `event` or `receipt`."""
        if table == "event":
            self.events += 1
        else:
            self.receipts += 1

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


@dataclass(frozen=True, slots=True)
class RecordRows:
    """The rows of one record, as they stand in the file."""

    claims: list[ClaimRow]
    receipts: list[JudgedRow]
    events: list[JudgedRow]

    def ledger(self) -> Ledger:
        """Return what they add up to."""
        return Ledger.of([*self.claims, *self.receipts, *self.events])


class Facts:
    """The tables of facts, and the verdicts beside them."""

    def __init__(self, conn: sqlite3.Connection, records: Records) -> None:
        self._conn = conn
        self._records = records

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
        arrival = Arrival(self._conn, run, member)
        new = New()
        record_id = self._records.find(bundle.record.digest)
        if record_id is None:
            record_id = self._records.add(bundle.record, arrival.id)
            new.records = 1
        rows: list[JudgedRow | ClaimRow] = [
            *self._add_claims(record_id, bundle.alias_claims, arrival, new),
            *self._add_judged("receipt", record_id, bundle.receipts, arrival, new),
            *self._add_judged("event", record_id, bundle.events, arrival, new),
        ]
        if new:
            is_new = new.records == 1
            ledger = Ledger() if is_new else Ledger.load(self._conn, record_id)
            self._enter(record_id, ledger, rows)
        return record_id, new

    def _enter(self, record_id: int, ledger: Ledger, rows: Iterable[JudgedRow | ClaimRow]) -> None:
        """Add new rows to the record's ledger, and mark its state stale."""
        for row in rows:
            ledger.add(row)
        ledger.save(self._conn, record_id)
        self._conn.execute("INSERT OR IGNORE INTO stale VALUES (?, 0)", (record_id,))

    def _add_claims(
        self, record_id: int, claims: Iterable[AliasClaim], arrival: Arrival, new: New
    ) -> Iterable[ClaimRow]:
        found = (
            "SELECT 1 FROM alias_claim"
            " WHERE record_id = ? AND alias_kind = ? AND alias_value = ? AND created_at = ?"
        )
        for claim in claims:
            key = (record_id, claim.alias_kind, claim.alias_value, claim.created_at)
            if not self._conn.execute(found, key).fetchone():
                row = (*key, arrival.id)
                self._conn.execute("INSERT INTO alias_claim VALUES (?, ?, ?, ?, ?)", row)
                new.alias_claims += 1
                yield ClaimRow(claim, arrival.id)

    def _add_judged(
        self,
        table: str,
        record_id: int,
        judged: Iterable[Event | Receipt],
        arrival: Arrival,
        new: New,
    ) -> Iterable[JudgedRow]:
        found = f"SELECT 1 FROM {table} WHERE record_id = ? AND digest = ?"  # noqa: S608
        for one in judged:
            if not self._conn.execute(found, (record_id, one.digest)).fetchone():
                row = self._insert(table, record_id, one, arrival.id)
                self._save_verdict(record_id, row, one)
                new.count(table)
                yield row

    def _insert(
        self, table: str, record_id: int, judged: Event | Receipt, arrival_id: int
    ) -> JudgedRow:
        query = f"INSERT INTO {table} (record_id, digest, value, arrival_id) VALUES (?, ?, ?, ?)"  # noqa: S608
        columns = (judged.digest, pack(judged.value), arrival_id)
        row_id = self._conn.execute(query, (record_id, *columns)).lastrowid or 0
        return JudgedRow(table, row_id, *columns, *verdict_of(judged))

    # Verdicts --------------------------------------------------------------------------------

    def judge_anew(
        self, record_id: int, rows: RecordRows, verdicts: Mapping[JudgedRow, Event | Receipt]
    ) -> None:
        """Replace verdicts of a record, and its ledger with them.

        Args:
            record_id: The record.
            rows: All its rows.
            verdicts: The new verdicts; rows that are not in it keep theirs.
        """
        judged = []
        for row in (*rows.receipts, *rows.events):
            verdict = verdicts.get(row)
            if verdict is None:
                judged.append(row)
                continue
            code, reason = verdict_of(verdict)
            judged.append(replace(row, code=code, reason=reason))
            self._save_verdict(record_id, judged[-1], verdict)
        Ledger.of([*rows.claims, *judged]).save(self._conn, record_id)

    def _save_verdict(self, record_id: int, row: JudgedRow, judged: Event | Receipt) -> None:
        query = f"INSERT OR REPLACE INTO {row.table}_verdict VALUES (?, ?, ?)"  # noqa: S608
        self._conn.execute(query, (row.id, row.code, row.reason))
        names = [(key_id, record_id) for key_id in key_ids_of(judged)]
        self._conn.executemany("INSERT OR IGNORE INTO named_key VALUES (?, ?)", names)

    def known(self, bundle: Bundle) -> Known:
        """Return the verdicts that the store remembers on what `bundle` holds."""
        record_id = self._records.find(bundle.record.digest)
        if record_id is None:
            return Known()
        rows = self.rows(record_id)
        values: dict[bytes, Value] = {raw.digest: raw.value for raw in bundle.events}
        return Known(
            receipts={row.digest: row.receipt() for row in rows.receipts},
            events={
                row.digest: row.event(values[row.digest])
                for row in rows.events
                if row.digest in values
            },
        )

    def naming_keys(self, key_ids: Iterable[str]) -> list[int]:
        """Return the ids of the records with a verdict that may rest on one of these keys."""
        query = "SELECT record_id FROM named_key WHERE key_id = ?"
        found = {row[0] for key_id in key_ids for row in self._conn.execute(query, (key_id,))}
        return sorted(found)

    # Loading ---------------------------------------------------------------------------------

    def load(self, record_id: int) -> RecordFacts:
        """Return all facts of a record with their verdicts.

        Raises:
            CorruptStoreError: `store.damaged` if they are not just as they were written.
        """
        rows = self.rows(record_id)
        return RecordFacts(
            self._records.get(record_id),
            [row.claim for row in rows.claims],
            [row.receipt() for row in rows.receipts],
            [row.event() for row in rows.events],
        )

    def rows(self, record_id: int) -> RecordRows:
        """Return all rows of a record, held against its ledger.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        rows = RecordRows(
            self._claims(record_id),
            self._judged("receipt", record_id),
            self._judged("event", record_id),
        )
        if rows.ledger() != Ledger.load(self._conn, record_id):
            what = "its facts or verdicts are not what they were written as"
            raise damaged(what, f"record {record_id}")
        return rows

    def judged(self, record_id: int) -> list[JudgedRow]:
        """Return the receipts and events of a record with their verdicts, right or not."""
        return [*self._judged("receipt", record_id), *self._judged("event", record_id)]

    def ledger(self, record_id: int) -> Ledger:
        """Return what the facts of a record are said to add up to."""
        return Ledger.load(self._conn, record_id)

    def unjudged(self, record_id: int) -> RecordRows:
        """Return all rows of a record without their verdicts, whatever the ledger says."""
        return RecordRows(
            self._claims(record_id),
            self._judged("receipt", record_id, with_verdict=False),
            self._judged("event", record_id, with_verdict=False),
        )

    def _judged(self, table: str, record_id: int, *, with_verdict: bool = True) -> list[JudgedRow]:
        verdict = "code, reason" if with_verdict else "NULL, ''"
        join = f"JOIN {table}_verdict ON {table}_id = {table}.id" if with_verdict else ""
        query = f"""
            SELECT {table}.id, digest, value, arrival_id, {verdict}
            FROM {table} {join} WHERE record_id = ?
        """  # noqa: S608
        return [JudgedRow(table, *row) for row in self._conn.execute(query, (record_id,))]

    def _claims(self, record_id: int) -> list[ClaimRow]:
        query = """
            SELECT alias_kind, alias_value, created_at, arrival_id
            FROM alias_claim WHERE record_id = ?
        """
        found = self._conn.execute(query, (record_id,))
        return [ClaimRow(AliasClaim(*claim), arrival_id) for *claim, arrival_id in found]
