"""What is odd in a store, by code, and where each thing came from: the SQL under the pages."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

__all__ = ["Finding", "Findings", "Origin"]


class Finding(NamedTuple):
    """What one arrival brought that failed a check, or a record that equivocates."""

    at: int
    """Where to go on after it: an arrival's id, or a record's."""
    pith_number: str
    suffix: str
    total: int
    reason: str
    """Of the first of them."""
    arrived_at: str
    """Empty for what no single arrival brought."""


class Origin(NamedTuple):
    """When a run brought something, and from where."""

    at: str
    source: str


class Findings:
    """Lists of what did not pass, in pages."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def of_code(self, code: str, after: int, limit: int) -> list[Finding]:
        """Return the arrivals with verdicts of this code, ascending by arrival.

        Args:
            code: Of S2 or E3.
            after: Only later arrivals.
            limit: At most so many.
        """
        query = """
            SELECT arrival_id, 'pith:' || year || ':' || suffix, suffix, sum(count), min(reason),
                   started_at
            FROM fault JOIN arrival ON arrival.id = arrival_id
            JOIN record ON record.id = record_id JOIN run ON run.id = run_id
            WHERE code = ? AND fact != 'reading' AND arrival_id > ?
            GROUP BY arrival_id ORDER BY arrival_id LIMIT ?
        """
        return [Finding(*row) for row in self._conn.execute(query, (code, after, limit))]

    def equivocations(self, after: int, limit: int) -> list[Finding]:
        """Return the records whose states hold equivocations, ascending by id."""
        query = """
            SELECT record_id, 'pith:' || year || ':' || suffix, suffix, equivocation_count, '', ''
            FROM state JOIN record ON record.id = record_id
            WHERE equivocation_count > 0 AND record_id > ?
            ORDER BY record_id LIMIT ?
        """
        return [Finding(*row) for row in self._conn.execute(query, (after, limit))]

    def moved_aside(self) -> int:
        """Return how many facts were found damaged and moved aside."""
        return int(self._conn.execute("SELECT count(*) FROM damaged").fetchone()[0])

    def origins(self, record_id: int) -> dict[int, Origin]:
        """Return where each arrival of a record came from, by arrival."""
        query = """
            SELECT arrival.id, started_at, source FROM arrival JOIN run ON run.id = run_id
            WHERE record_id = ?
        """
        rows = self._conn.execute(query, (record_id,))
        return {arrival: Origin(at, source) for arrival, at, source in rows}
