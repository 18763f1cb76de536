"""Rows of arrivals and of the verdicts on their facts, and the totals of a record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.verdict import (
    EventVerdict,
    ProfileVerdict,
    key_ids_of_event,
    restore_invalid,
    valid_under,
)
from mirror.core.keys import BUILT_IN, KeySet
from mirror.core.profile import is_built_in
from mirror.core.receipt import Fault, Receipt, key_ids_of_receipt
from mirror.core.values import Object, Value, exact, sha256
from mirror.store.arrival_codec import ArrivalContents, unpack_contents
from mirror.store.positions import format_positions, parse_positions
from mirror.store.records import damaged
from mirror.store.row_checksum import EMPTY, combine, row_checksum

__all__ = [
    "ArrivalRow",
    "RecordTotals",
    "VerdictRow",
    "Verdicts",
    "event_verdicts",
    "group_verdicts",
    "key_ids_of",
    "receipt_verdicts",
    "ungroup_verdicts",
    "verdict_rows_of",
    "with_verdicts",
]


NOWHERE = -1
"""The position of a verdict whose positions cannot be read."""


class VerdictRow(NamedTuple):
    """A stored verdict; a fact without one passed, an event under the built-in profile."""

    kind: str
    """`receipt` or `event`."""
    position: int
    """Index in the arrival's receipts or events."""
    profile: str
    """Name of the profile under which an event was verified; empty for a receipt."""
    key_id: str
    """The key that signed an event that passed; else empty."""
    code: str
    """The code (S2, E3); empty if the event passed."""
    reason: str

    @property
    def has_trusted_profile(self) -> bool:
        """Whether an event was verified under a trusted profile, not the built-in one."""
        return bool(self.profile) and not is_built_in(self.profile)


class Verdicts(NamedTuple):
    """The receipts and events of one arrival, in its order, with their verdicts."""

    receipts: Sequence[Receipt]
    events: Sequence[Event]


def verdict_rows_of(verdicts: Verdicts) -> Iterator[VerdictRow]:
    """Yield the verdicts to store: all but "passed under the built-in profile"."""
    for position, receipt in enumerate(verdicts.receipts):
        if receipt.code is not None:
            yield VerdictRow("receipt", position, "", "", receipt.code, receipt.reason)
    for position, event in enumerate(verdicts.events):
        if isinstance(event, InvalidEvent):
            yield VerdictRow("event", position, event.profile, "", event.code, event.reason)
        elif not is_built_in(event.profile):
            yield VerdictRow("event", position, event.profile, event.key_id, "", "")


def group_verdicts(
    rows: Iterable[VerdictRow],
) -> Iterator[tuple[str, str, str, str, str, str, int]]:
    """Yield rows of the table `verdict`, less the arrival: equal verdicts share one row."""
    groups: dict[tuple[str, str, str, str, str], list[int]] = {}
    for kind, position, *verdict in rows:
        profile, key_id, code, reason = verdict
        groups.setdefault((kind, profile, key_id, code, reason), []).append(position)
    for group, positions in groups.items():
        yield *group, format_positions(positions), len(positions)


def ungroup_verdicts(row: tuple[str, str, str, str, str, str, int]) -> list[VerdictRow]:
    """Return the verdicts of such a row.

    If its positions cannot be read, the only result has the position `NOWHERE`, so that the
    checksum of the record does not match: its verdicts are reached again, and nothing else is lost.
    """
    kind, *verdict, positions, count = row
    try:
        found = parse_positions(positions, count)
    except (ValueError, AttributeError):
        found = [NOWHERE]
    return [VerdictRow(kind, one, *verdict) for one in found]


def receipt_verdicts(rows: Iterable[VerdictRow]) -> dict[int, Fault]:
    """Return the stored verdicts on receipts, by position; all others passed."""
    return {one.position: (one.code, one.reason) for one in rows if one.kind == "receipt"}


def event_verdicts(rows: Iterable[VerdictRow]) -> dict[int, EventVerdict]:
    """Return the stored verdicts on events, by position; all others passed."""
    return {one.position: _event_verdict(one) for one in rows if one.kind == "event"}


def _event_verdict(row: VerdictRow) -> EventVerdict:
    fault = (row.code, row.reason) if row.code else None
    if is_built_in(row.profile):
        return fault
    return ProfileVerdict(row.profile, row.key_id, fault)


def with_verdicts(contents: ArrivalContents, rows: Sequence[VerdictRow], keys: KeySet) -> Verdicts:
    """Return receipts and events with their verdicts: those in `rows`; all others passed.

    Args:
        contents: The facts of an arrival.
        rows: The stored verdicts on them.
        keys: All keys and profiles that are or were trusted, to read events of other profiles.

    Raises:
        ValueError: If a verdict does not fit its fact.
    """
    refused = receipt_verdicts(rows)
    receipts = [
        Receipt.of(value, digest, refused.get(position))
        for position, (digest, value) in enumerate(contents.receipts)
    ]
    verdicts = event_verdicts(rows) if rows else {}
    events = [
        _with_verdict(value, digest, verdicts.get(position), contents, keys)
        for position, (digest, value) in enumerate(contents.events)
    ]
    return Verdicts(receipts, events)


def _with_verdict(
    value: Value, digest: bytes, verdict: EventVerdict, contents: ArrivalContents, keys: KeySet
) -> Event:
    if (invalid := restore_invalid(value, digest, verdict)) is not None:
        return invalid
    if not isinstance(verdict, ProfileVerdict):
        return _valid(value, digest, contents)
    try:
        return valid_under(_require_object(value), digest, verdict, keys)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event of the profile {verdict.profile!r}") from error


def _valid(value: Value, digest: bytes, contents: ArrivalContents) -> ValidEvent:
    try:
        event = _require_object(value)
        valid = ValidEvent.of(event, digest, exact(contents.encode(event["payload"])))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not an event that can have passed") from error
    if cast("int | None", valid.instant) is None:  # the verdict may be damaged
        raise ValueError("not an event with a time")
    return valid


def _require_object(value: Value) -> Object:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def key_ids_of(verdicts: Verdicts, keys: KeySet) -> set[str]:
    """Return the names of the keys that verdicts may depend on, without the built-in one.

    If the built-in key changes, every record is verified again.
    """
    key_ids: set[str] = set()
    for receipt in verdicts.receipts:
        key_ids |= key_ids_of_receipt(receipt.value)
    for event in verdicts.events:
        key_ids |= key_ids_of_event(event, keys)
    return key_ids.difference(BUILT_IN.names)


@dataclass(slots=True)
class ArrivalRow:
    """A row of `arrival`, and its rows in `verdict`."""

    id: int
    record_id: int
    run_id: int
    member: str
    content: bytes
    checksum: bytes
    verdict_rows: list[VerdictRow]

    @staticmethod
    def checksum_of(row_id: int, record_id: int, run_id: int, member: str, content: bytes) -> bytes:
        """Return the checksum of such a row, which is combined into that of its record."""
        return row_checksum(row_id, record_id, run_id, member, sha256(content))

    def computed_checksum(self) -> bytes:
        """Return the checksum of the columns, which the stored one must equal."""
        row = (self.id, self.record_id, self.run_id, self.member, self.content)
        return self.checksum_of(*row)

    def contents(self) -> ArrivalContents:
        """Return the facts.

        Raises:
            CorruptStoreError: `store.damaged` if the content cannot be read.
        """
        try:
            return unpack_contents(self.content)
        except (ValueError, TypeError) as error:
            where = f"arrival {self.id} of record {self.record_id}"
            raise damaged(f"its content cannot be read: {error}", where) from error

    @property
    def has_profile_verdicts(self) -> bool:
        """Whether an event in it has a verdict under a trusted profile."""
        return any(one.has_trusted_profile for one in self.verdict_rows)

    def with_verdicts(self, contents: ArrivalContents, keys: KeySet) -> Verdicts:
        """Return the receipts and events with their stored verdicts.

        Args:
            contents: The facts.
            keys: All that is or was trusted, if `has_profile_verdicts`.

        Raises:
            CorruptStoreError: `store.damaged` if these cannot be verdicts on these facts.
        """
        try:
            return with_verdicts(contents, self.verdict_rows, keys)
        except ValueError as error:
            where = f"arrival {self.id} of record {self.record_id}"
            raise damaged(f"a verdict cannot be read: {error}", where) from error


@dataclass(slots=True)
class RecordTotals:
    """Counts and checksum of the facts and verdicts of one record; a row of `record_totals`."""

    events: int = 0
    receipts: int = 0
    alias_claims: int = 0
    checksum: bytes = EMPTY

    @property
    def facts(self) -> int:
        """How many facts there are, of all kinds."""
        return self.events + self.receipts + self.alias_claims

    @property
    def columns(self) -> tuple[int, int, int, bytes]:
        """The columns of the row after the id."""
        return self.events, self.receipts, self.alias_claims, self.checksum

    @classmethod
    def load(cls, conn: sqlite3.Connection, record_id: int) -> RecordTotals:
        """Return the totals of a stored record.

        Raises:
            CorruptStoreError: `store.damaged` if they are missing.
        """
        query = (
            "SELECT events, receipts, alias_claims, checksum FROM record_totals WHERE record_id = ?"
        )
        row = conn.execute(query, (record_id,)).fetchone()
        if row is None:
            raise damaged("its totals are missing", f"record {record_id}")
        return cls(*row)

    @classmethod
    def of(cls, rows: Iterable[tuple[ArrivalRow, ArrivalContents]]) -> RecordTotals:
        """Return the totals of arrivals; their stored checksums are not used."""
        totals = cls()
        for row, contents in rows:
            totals.add(row, contents, row.verdict_rows)
        return totals

    def add(
        self, row: ArrivalRow, contents: ArrivalContents, verdict_rows: Iterable[VerdictRow]
    ) -> None:
        """Add an arrival with the verdicts on it."""
        self.events += len(contents.events)
        self.receipts += len(contents.receipts)
        self.alias_claims += len(contents.claims)
        self.checksum = combine(self.checksum, row.computed_checksum())
        self.add_verdicts(row.id, verdict_rows)

    def add_counts(self, events: int, receipts: int, alias_claims: int, checksum: bytes) -> None:
        """Add facts by their numbers and the combined checksum of their rows."""
        self.events += events
        self.receipts += receipts
        self.alias_claims += alias_claims
        self.checksum = combine(self.checksum, checksum)

    def add_verdicts(self, arrival_id: int, rows: Iterable[VerdictRow]) -> None:
        """Add verdicts on the facts of an arrival."""
        for row in rows:
            self.checksum = combine(self.checksum, row_checksum(arrival_id, *row))

    def save(self, conn: sqlite3.Connection, record_id: int) -> None:
        """Write the row."""
        query = "INSERT OR REPLACE INTO record_totals VALUES (?, ?, ?, ?, ?)"
        conn.execute(query, (record_id, *self.columns))
