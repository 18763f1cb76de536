"""Whole records, many at a time: all facts with their stored verdicts, and the stored state."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from mirror.core.record import Record
from mirror.core.values import Object
from mirror.store.arrival_codec import ArrivalContents
from mirror.store.arrivals import ArrivalRow, RecordTotals, VerdictRow, ungroup_verdicts
from mirror.store.records import RecordColumns, checked_record, damaged
from mirror.store.states import outline_of, state_table
from mirror.store.stored_records import json_list

__all__ = [
    "ArrivalOrigin",
    "RecordArrival",
    "WholeRecord",
    "arrival_origins",
    "whole_records",
]

_Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RecordArrival:
    """An arrival of a record."""

    row: ArrivalRow
    contents: ArrivalContents
    source: str
    stored_at: str | None
    """When this mirror stored it; None if that is not known."""


class ArrivalOrigin(NamedTuple):
    """Origin of an arrival."""

    source: str
    stored_at: str | None
    """When this mirror stored it; None if that is not known."""


@dataclass(frozen=True, slots=True)
class WholeRecord:
    """A record with all that is stored about it."""

    id: int
    record: Record
    arrivals: list[RecordArrival]
    """Ascending by id."""
    outline: Object
    """The state without record and payloads."""
    state_digest: bytes
    core_digest: bytes


def whole_records(conn: sqlite3.Connection, record_ids: Sequence[int]) -> Iterator[WholeRecord]:
    """Yield records with their facts and states, in the order of `record_ids`.

    Facts and verdicts are compared with the totals, records with their digests, states with their
    checksums.

    Args:
        conn: The store; its states must be up to date.
        record_ids: The records; all are in memory together.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    chosen = json_list(record_ids)
    records: dict[int, RecordColumns] = {
        row[0]: row[1:] for row in conn.execute(_RECORDS, (chosen,))
    }
    totals = {row[0]: RecordTotals(*row[1:]) for row in conn.execute(_TOTALS, (chosen,))}
    states = {row[0]: row for row in state_table(conn).rows(_STATES, (chosen,))}
    verdicts = _verdicts(conn, chosen)
    arrivals: dict[int, list[RecordArrival]] = defaultdict(list)
    for row in conn.execute(_ARRIVALS, (chosen,)):
        arrivals[row[1]].append(_arrival(row, verdicts.get(row[0], [])))
    for record_id in record_ids:
        found = arrivals[record_id]
        if RecordTotals.of((one.row, one.contents) for one in found) != totals.get(record_id):
            message = "the facts or verdicts do not match the totals of the record"
            raise damaged(message, f"record {record_id}")
        state = states.get(record_id)
        if state is None:
            raise damaged("state is missing", f"state of record {record_id}")
        yield WholeRecord(
            record_id,
            checked_record(record_id, records.get(record_id)),
            found,
            outline_of(state),
            state[1],
            state[2],
        )


def arrival_origins(
    conn: sqlite3.Connection, record_ids: Sequence[int]
) -> dict[int, list[ArrivalOrigin]]:
    """Return the origins of the arrivals of records, ascending by the arrival's id."""
    found: dict[int, list[ArrivalOrigin]] = defaultdict(list)
    for record_id, source, stored_at in conn.execute(_ORIGINS, (json_list(record_ids),)):
        found[record_id].append(ArrivalOrigin(source, stored_at))
    return found


def _verdicts(conn: sqlite3.Connection, chosen: str) -> dict[int, list[VerdictRow]]:
    verdicts: dict[int, list[VerdictRow]] = defaultdict(list)
    for arrival_id, *row in conn.execute(_VERDICTS, (chosen,)):
        kind, profile, key_id, code, reason, positions, count = row
        verdicts[arrival_id] += ungroup_verdicts(
            (kind, profile, key_id, code, reason, positions, count)
        )
    return verdicts


def _arrival(row: _Row, verdicts: list[VerdictRow]) -> RecordArrival:
    arrival_id, record_id, run_id, member, content, checksum, source, stored_at = row
    arrival = ArrivalRow(arrival_id, record_id, run_id, member, content, checksum, verdicts)
    return RecordArrival(arrival, arrival.contents(), source, stored_at)


_CHOSEN = "IN (SELECT value FROM json_each(?))"
_RECORDS = f"""
    SELECT id, digest, year, suffix, kind, source_id, version, value FROM record WHERE id {_CHOSEN}
"""  # noqa: S608
_TOTALS = f"""
    SELECT record_id, events, receipts, alias_claims, checksum FROM record_totals
    WHERE record_id {_CHOSEN}
"""  # noqa: S608
_STATES = f"WHERE record_id {_CHOSEN}"
_ORIGIN = """
    coalesce(source, ''), coalesce(
        (SELECT stored_at FROM arrival_commit WHERE last_arrival_id >= arrival.id
         ORDER BY last_arrival_id LIMIT 1),
        (SELECT max(stored_at) FROM arrival_commit)
    )
    FROM arrival LEFT JOIN run ON run.id = run_id
"""
_ARRIVALS = f"""
    SELECT arrival.id, record_id, run_id, member, content, arrival.checksum, {_ORIGIN}
    WHERE record_id {_CHOSEN} ORDER BY arrival.id
"""
_ORIGINS = f"SELECT record_id, {_ORIGIN} WHERE record_id {_CHOSEN} ORDER BY arrival.id"
_VERDICTS = f"""
    SELECT arrival_id, kind, profile, key_id, code, reason, positions, count
    FROM verdict JOIN arrival ON arrival.id = arrival_id WHERE record_id {_CHOSEN}
"""  # noqa: S608
