"""The rows of a record's facts, and what each adds to the record's ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.signatures import names_of
from mirror.core.events.verdict import EventVerdict, ProfileVerdict, key_ids_of_event, valid_under
from mirror.core.keys import BUILT_IN, KeySet
from mirror.core.profile import MIRROR_V1
from mirror.core.receipt import Fault, Receipt, key_ids_of_receipt
from mirror.core.values import Object, Value, exact, sha256
from mirror.store.arrival_codec import ArrivalContents, unpack_contents
from mirror.store.positions import format_positions, parse_positions
from mirror.store.records import damaged
from mirror.store.row_checksum import EMPTY, add_up, seal

__all__ = [
    "READING",
    "ArrivalRow",
    "RecordTotals",
    "VerdictRow",
    "Verdicts",
    "event_verdicts",
    "faults_of",
    "grouped",
    "key_ids_of",
    "receipt_verdicts",
    "ungrouped",
    "with_verdicts",
]


READING = "reading"
"""The `fact` of a row that says under which trusted profile an event was judged."""


NOWHERE = -1
"""The position of a verdict whose positions cannot be read."""


class VerdictRow(NamedTuple):
    """A verdict that is kept; what has no row passed, an event under the built-in profile."""

    fact: str
    """`receipt` or `event`, if it did not pass; `reading` for an event under a trusted profile."""
    position: int
    """Among the receipts or events of its arrival."""
    code: str
    """Of S2 or E3; of a reading, the name of the profile."""
    reason: str
    """Of a reading, the id of the key that signed; empty if the event did not pass."""


class Verdicts(NamedTuple):
    """The receipts and events of one arrival, in its order, with their verdicts."""

    receipts: Sequence[Receipt]
    events: Sequence[Event]


def faults_of(judged: Verdicts) -> Iterator[VerdictRow]:
    """Yield the verdicts that are kept: those on what did not pass, or under another profile."""
    for position, receipt in enumerate(judged.receipts):
        if receipt.code is not None:
            yield VerdictRow("receipt", position, receipt.code, receipt.reason)
    for position, event in enumerate(judged.events):
        if isinstance(event, InvalidEvent):
            yield VerdictRow("event", position, event.code, event.reason)
        if event.profile != MIRROR_V1.name:
            key_id = event.key_id if isinstance(event, ValidEvent) else ""
            yield VerdictRow(READING, position, event.profile, key_id)


def grouped(faults: Iterable[VerdictRow]) -> Iterator[tuple[str, str, str, str, int]]:
    """Yield fact, code, reason, positions and count: one row for all verdicts that are the same."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for fault in faults:
        groups.setdefault((fault.fact, fault.code, fault.reason), []).append(fault.position)
    for group, positions in groups.items():
        yield *group, format_positions(positions), len(positions)


def ungrouped(fact: str, code: str, reason: str, positions: str, count: int) -> list[VerdictRow]:
    """Return the verdicts of such a row.

    If the positions cannot be read, the one verdict returned is on no fact, so that the checksums
    of the record do not agree: verdicts can be reached again, and nothing else is lost.
    """
    try:
        return [VerdictRow(fact, one, code, reason) for one in parse_positions(positions, count)]
    except (ValueError, AttributeError):
        return [VerdictRow(fact, NOWHERE, code, reason)]


def receipt_verdicts(faults: Iterable[VerdictRow]) -> dict[int, Fault]:
    """Return the verdicts on receipts that are kept, by position; all others passed."""
    return {one.position: (one.code, one.reason) for one in faults if one.fact == "receipt"}


def event_verdicts(faults: Iterable[VerdictRow]) -> dict[int, EventVerdict]:
    """Return the verdicts on events that are kept, by position; all others passed."""
    found = list(faults)
    readings = {one.position: one for one in found if one.fact == READING}
    failed = {one.position: (one.code, one.reason) for one in found if one.fact == "event"}
    verdicts: dict[int, EventVerdict] = {**failed}
    for position, one in readings.items():
        verdicts[position] = ProfileVerdict(one.code, one.reason, failed.get(position))
    return verdicts


def with_verdicts(
    contents: ArrivalContents, faults: Sequence[VerdictRow], keys: KeySet
) -> Verdicts:
    """Return receipts and events with their verdicts: `faults`, and all others passed.

    Args:
        contents: The facts of an arrival.
        faults: What is kept of the verdicts on them.
        keys: Whatever is or was trusted; it tells what an event says under a trusted profile.

    Raises:
        ValueError: If these are no verdicts on such facts.
    """
    refused = receipt_verdicts(faults)
    receipts = []
    for position, (digest, value) in enumerate(contents.receipts):
        receipts.append(Receipt(value, digest, *(refused.get(position) or (None, ""))))
    verdicts = event_verdicts(faults) if faults else {}
    events = [
        _with_verdict(value, digest, verdicts.get(position), contents, keys)
        for position, (digest, value) in enumerate(contents.events)
    ]
    return Verdicts(receipts, events)


def _with_verdict(
    value: Value, digest: bytes, verdict: EventVerdict, contents: ArrivalContents, keys: KeySet
) -> Event:
    if verdict is None:
        return _valid(value, digest, contents)
    if not isinstance(verdict, ProfileVerdict):
        return InvalidEvent(value, digest, *verdict)
    if verdict.fault is not None:
        return InvalidEvent(value, digest, *verdict.fault, verdict.profile)
    try:
        return valid_under(cast("Object", value), digest, verdict, keys)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no event of the profile {verdict.profile!r} stands there") from error


def _valid(value: Value, digest: bytes, contents: ArrivalContents) -> ValidEvent:
    event = cast("Object", value)
    try:
        valid = ValidEvent.of(event, digest, exact(contents.encode(event["payload"])))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("no event stands there that can have passed") from error
    if cast("int | None", valid.instant) is None:  # the verdict may be damaged
        raise ValueError("no event with a time stands there")
    return valid


def key_ids_of(judged: Verdicts, keys: KeySet) -> set[str]:
    """Return what names the keys that verdicts may rest on, but for the built-in one.

    If that changes, every record is judged anew.
    """
    key_ids: set[str] = set()
    for receipt in judged.receipts:
        key_ids |= key_ids_of_receipt(receipt.value)
    for event in judged.events:
        key_ids |= key_ids_of_event(event, keys)
    return key_ids.difference(names_of(BUILT_IN))


@dataclass(slots=True)
class ArrivalRow:
    """A row of `arrival`, and the rows of `fault` that belong to it."""

    id: int
    record_id: int
    run_id: int
    member: str
    content: bytes
    seal: bytes
    faults: list[VerdictRow]

    @staticmethod
    def seal_of(row_id: int, record_id: int, run_id: int, member: str, content: bytes) -> bytes:
        """Return the seal of such a row, which is what it adds to its record's ledger."""
        return seal(row_id, record_id, run_id, member, sha256(content))

    def is_whole(self) -> bool:
        """Whether the row is as it was written."""
        row = (self.id, self.record_id, self.run_id, self.member, self.content)
        return self.seal == self.seal_of(*row)

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
    def has_readings(self) -> bool:
        """Whether an event in it was judged under a trusted profile."""
        return any(one.fact == READING for one in self.faults)

    def with_verdicts(self, contents: ArrivalContents, keys: KeySet) -> Verdicts:
        """Return the receipts and events with the verdicts that were reached when last judged.

        Args:
            contents: The facts.
            keys: Whatever is or was trusted, if `has_readings`.

        Raises:
            CorruptStoreError: `store.damaged` if these cannot be verdicts on these facts.
        """
        try:
            return with_verdicts(contents, self.faults, keys)
        except ValueError as error:
            where = f"arrival {self.id} of record {self.record_id}"
            raise damaged(f"a verdict cannot be read: {error}", where) from error


@dataclass(slots=True)
class RecordTotals:
    """What the facts of one record add up to; a row of `ledger`."""

    events: int = 0
    receipts: int = 0
    alias_claims: int = 0
    seal: bytes = EMPTY

    @property
    def facts(self) -> int:
        """How many facts there are, of all kinds."""
        return self.events + self.receipts + self.alias_claims

    @classmethod
    def load(cls, conn: sqlite3.Connection, record_id: int) -> RecordTotals:
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
    def of(cls, rows: Iterable[tuple[ArrivalRow, ArrivalContents]]) -> RecordTotals:
        """Add up arrivals, whatever their seals say."""
        ledger = cls()
        for row, contents in rows:
            sealed = row.seal_of(row.id, row.record_id, row.run_id, row.member, row.content)
            ledger.add(row.id, sealed, contents, row.faults)
        return ledger

    def add(
        self,
        arrival_id: int,
        sealed: bytes,
        contents: ArrivalContents,
        faults: Iterable[VerdictRow],
    ) -> None:
        """Take an arrival in, with the verdicts on it."""
        self.events += len(contents.events)
        self.receipts += len(contents.receipts)
        self.alias_claims += len(contents.claims)
        self.seal = add_up(self.seal, sealed)
        self.add_faults(arrival_id, faults)

    def add_faults(self, arrival_id: int, faults: Iterable[VerdictRow]) -> None:
        """Take verdicts on the facts of an arrival in."""
        for fault in faults:
            self.seal = add_up(self.seal, seal(arrival_id, *fault))

    def save(self, conn: sqlite3.Connection, record_id: int) -> None:
        """Write the row."""
        query = "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?)"
        row = (record_id, self.events, self.receipts, self.alias_claims, self.seal)
        conn.execute(query, row)
