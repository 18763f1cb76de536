"""The rows of a record's facts, and what each adds to the record's ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from mirror.core.bundle import AliasClaim
from mirror.core.event import Event, InvalidEvent, ValidEvent, key_ids_of_event
from mirror.core.receipt import Receipt, key_ids_of_receipt
from mirror.core.values import Object, Value, canonical, sha256
from mirror.store.packing import unpack
from mirror.store.records import damaged
from mirror.store.seal import EMPTY, add_up, seal

__all__ = ["ClaimRow", "JudgedRow", "Ledger", "key_ids_of", "verdict_of"]


def verdict_of(judged: Event | Receipt) -> tuple[str | None, str]:
    """Return (code, reason) as the tables of verdicts hold them."""
    if isinstance(judged, ValidEvent):
        return None, ""
    return judged.code, judged.reason


def key_ids_of(judged: Event | Receipt) -> set[str]:
    """Return the ids of the keys that a verdict may rest on."""
    if isinstance(judged, Receipt):
        return key_ids_of_receipt(judged.value)
    return key_ids_of_event(judged)


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A row of `event` or `receipt` with its verdict."""

    table: str
    id: int
    digest: bytes
    packed: bytes
    """The value as MessagePack."""
    arrival_id: int
    code: str | None
    reason: str

    @property
    def seal(self) -> bytes:
        """What the row adds to its record's ledger."""
        return seal(self.table, self.digest, self.packed, self.arrival_id, self.code, self.reason)

    @property
    def value(self) -> Value:
        """The value itself."""
        return unpack(self.packed)

    def whole_value(self, pith_number: str) -> Value:
        """Return the value, held against the row's digest.

        Raises:
            CorruptStoreError: `store.damaged` if it does not hash to that.
        """
        try:
            value = self.value
            is_whole = sha256(canonical(value)) == self.digest
        except (ValueError, TypeError):
            is_whole = False
        if not is_whole:
            where = f"{self.table} {self.id} of {pith_number}"
            raise damaged("its value does not hash to its digest", where)
        return value

    def event(self, value: Value | None = None) -> Event:
        """Give back the event as its verdict was when `judge` reached it."""
        value = self.value if value is None else value
        if self.code is None:
            return ValidEvent.of(cast("Object", value), self.digest)
        return InvalidEvent(value, self.digest, self.code, self.reason)

    def receipt(self) -> Receipt:
        """Give back the receipt as its verdict was when `judge_receipt` reached it."""
        return Receipt(self.value, self.digest, self.code, self.reason)


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A row of `alias_claim`."""

    claim: AliasClaim
    arrival_id: int

    @property
    def seal(self) -> bytes:
        """What the row adds to its record's ledger."""
        claim = self.claim
        return seal(
            "alias_claim", claim.alias_kind, claim.alias_value, claim.created_at, self.arrival_id
        )


@dataclass(slots=True)
class Ledger:
    """What the facts of one record add up to; a row of `ledger`."""

    events: int = 0
    receipts: int = 0
    alias_claims: int = 0
    seal: bytes = EMPTY

    @classmethod
    def load(cls, conn: sqlite3.Connection, record_id: int) -> Ledger:
        """Return the ledger of a record that is in the store.

        Raises:
            CorruptStoreError: `store.damaged` if it has none.
        """
        query = "SELECT events, receipts, alias_claims, seal FROM ledger WHERE record_id = ?"
        row = conn.execute(query, (record_id,)).fetchone()
        if row is None:
            raise damaged("its ledger is not there", f"record {record_id}")
        return cls(*row)

    @classmethod
    def of(cls, rows: Iterable[JudgedRow | ClaimRow]) -> Ledger:
        """Add up rows."""
        ledger = cls()
        for row in rows:
            ledger.add(row)
        return ledger

    def add(self, row: JudgedRow | ClaimRow) -> None:
        """Take a row in."""
        if isinstance(row, ClaimRow):
            self.alias_claims += 1
        elif row.table == "event":
            self.events += 1
        else:
            self.receipts += 1
        self.seal = add_up(self.seal, row.seal)

    def save(self, conn: sqlite3.Connection, record_id: int) -> None:
        """Write the row."""
        query = "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?)"
        row = (record_id, self.events, self.receipts, self.alias_claims, self.seal)
        conn.execute(query, row)
