"""States: derived from the facts, kept with their digests, marked stale when a fact comes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from mirror.core.merge import State

__all__ = ["Derived", "StateRow"]


@dataclass(frozen=True, slots=True)
class StateRow:
    """A state as the store keeps it."""

    pith_number: str
    suffix: str
    text: bytes
    """As M13 writes it."""


class Derived:
    """The tables `state` and `stale`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._conn.execute(
            "CREATE TEMP TABLE IF NOT EXISTS touched (record_id INTEGER PRIMARY KEY)"
        )

    def mark_stale(self, record_ids: Iterable[int]) -> None:
        """Mark records whose verdicts changed."""
        rows = [(record_id,) for record_id in record_ids]
        self._conn.executemany("INSERT OR IGNORE INTO stale VALUES (?)", rows)

    def mark_all_stale(self) -> None:
        """Mark every record."""
        self._conn.execute("INSERT OR IGNORE INTO stale SELECT id FROM record")

    def stale(self, limit: int) -> list[int]:
        """Return the ids of some records whose state lags behind their facts."""
        rows = self._conn.execute("SELECT record_id FROM stale LIMIT ?", (limit,))
        return [row[0] for row in rows.fetchall()]

    def is_stale(self, record_id: int) -> bool:
        """Whether the state of a record lags behind its facts, or was never made."""
        query = """
            SELECT EXISTS (SELECT 1 FROM stale WHERE record_id = :id)
                OR NOT EXISTS (SELECT 1 FROM state WHERE record_id = :id)
        """
        return bool(self._conn.execute(query, {"id": record_id}).fetchone()[0])

    def save(self, record_id: int, state: State) -> None:
        """Keep the state of a record; it is not stale any more."""
        counts = cast("dict[str, int]", state.value)
        row = (
            record_id,
            bytes.fromhex(state.digest),
            bytes.fromhex(state.core_digest),
            counts["valid_event_count"],
            counts["invalid_event_count"],
            counts["equivocation_count"],
            state.text,
        )
        self._conn.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._conn.execute("DELETE FROM stale WHERE record_id = ?", (record_id,))

    def text(self, record_id: int) -> bytes:
        """Return the state of a record as M13 writes it."""
        query = "SELECT text FROM state WHERE record_id = ?"
        (text,) = self._conn.execute(query, (record_id,)).fetchone()
        return cast("bytes", text)

    # The records of this run -----------------------------------------------------------------

    def touch(self, record_ids: Iterable[int]) -> None:
        """Note that this connection's run saw these records."""
        rows = [(record_id,) for record_id in record_ids]
        self._conn.executemany("INSERT OR IGNORE INTO touched VALUES (?)", rows)

    def touched_count(self) -> int:
        """Return how many records this connection's run saw."""
        return cast("int", self._conn.execute("SELECT count(*) FROM touched").fetchone()[0])

    def touched_equivocations(self) -> int:
        """Return how many equivocations stand in the states of those records."""
        query = (
            "SELECT coalesce(sum(equivocation_count), 0) FROM state JOIN touched USING (record_id)"
        )
        return cast("int", self._conn.execute(query).fetchone()[0])

    def touched_states(self) -> Iterator[StateRow]:
        """Yield the states of those records, ascending by Pith Number."""
        query = """
            SELECT pith_number, suffix, text
            FROM touched JOIN record ON record.id = touched.record_id JOIN state USING (record_id)
            ORDER BY pith_number, record.id
        """
        for row in self._conn.execute(query):
            yield StateRow(*row)
