"""Whole rows of stored records, many at a time, of records whose facts are all valid."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from mirror.store.records import RecordColumns

__all__ = ["MAX_FACTS", "StoredRecord", "StoredRecords", "json_list"]

MAX_FACTS = 20_000
"""Records with more facts are left out."""
MAX_FACTS_TOGETHER = 50_000
"""Records that have more together are left out, too, so that a batch fits in memory."""

_Row: TypeAlias = tuple[Any, ...]


class StoredRecord(NamedTuple):
    """The rows of one record, not compared with their checksums."""

    record: RecordColumns
    arrivals: list[_Row]
    """Rows of `arrival`, ascending by id."""
    totals: tuple[int, int, int, bytes]
    """Events, receipts and alias claims, and the checksum of the facts."""


class StoredRecords:
    """Queries for the rows of records."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def find(self, names: Sequence[tuple[str, bytes]]) -> dict[bytes, int]:
        """Return the ids of records that are stored, by digest.

        Args:
            names: Suffix and `canonical_sha256` (raw) of records.
        """
        query = "SELECT digest, id FROM record WHERE suffix IN (SELECT value FROM json_each(?))"
        suffixes = ",".join([f'"{suffix}"' for suffix, _ in names])  # base32 letters
        digests = {digest for _, digest in names}
        found = self._conn.execute(query, (f"[{suffixes}]",))
        return {digest: record_id for digest, record_id in found if digest in digests}

    def rows(self, record_ids: Sequence[int], most: int = MAX_FACTS) -> dict[int, StoredRecord]:
        """Return the rows of those records whose verdicts are current, and that all facts passed.

        Args:
            record_ids: The records; those that do not fit in memory with the others are left out.
            most: Records with more facts are left out.
        """
        chosen = json_list(record_ids)
        others = {one for (one,) in self._conn.execute(_NOT_ALL_VALID, (chosen, chosen))}
        totals, facts = {}, 0
        for row in self._conn.execute(_TOTALS, (chosen, most)):
            if row[0] not in others and facts + sum(row[1:4]) <= MAX_FACTS_TOGETHER:
                totals[row[0]] = row[1:]
                facts += sum(row[1:4])
        wanted = json_list(totals)
        arrivals: dict[int, list[_Row]] = defaultdict(list)
        for row in self._conn.execute(_ARRIVALS, (wanted,)):
            arrivals[row[1]].append(row)
        return {
            row[0]: StoredRecord(row[1:], arrivals[row[0]], totals[row[0]])
            for row in self._conn.execute(_RECORDS, (wanted,))
        }

    def states(self, record_ids: Sequence[int]) -> dict[int, _Row]:
        """Return the rows of `state`, with their checksums."""
        return {row[0]: row for row in self._conn.execute(_STATES, (json_list(record_ids),))}


def json_list(record_ids: Iterable[int]) -> str:
    """Return ids as JSON, for `json_each`: a statement has a limited number of parameters."""
    return f"[{','.join(map(str, record_ids))}]"


_CHOSEN = "(SELECT value FROM json_each(?))"
_RECORDS = f"""
    SELECT id, digest, year, suffix, kind, source_id, version, value
    FROM record WHERE id IN {_CHOSEN}
"""  # noqa: S608
_TOTALS = f"""
    SELECT record_id, events, receipts, alias_claims, checksum FROM record_totals
    WHERE record_id IN {_CHOSEN} AND events + receipts + alias_claims <= ?
"""  # noqa: S608
_ARRIVALS = f"""
    SELECT id, record_id, run_id, member, content, checksum
    FROM arrival WHERE record_id IN {_CHOSEN} ORDER BY id
"""  # noqa: S608
_NOT_ALL_VALID = f"""
    SELECT record_id FROM arrival JOIN verdict ON arrival.id = arrival_id
    WHERE record_id IN {_CHOSEN}
    UNION SELECT record_id FROM stale WHERE needs_verdicts != 0 AND record_id IN {_CHOSEN}
"""  # noqa: S608
_STATES = f"""
    SELECT record_id, digest, core_digest, valid_event_count, invalid_event_count,
        equivocation_count, totals_checksum, outline, checksum
    FROM state WHERE record_id IN {_CHOSEN}
"""  # noqa: S608
