"""States: derived from the facts, kept with their digests, marked stale when a fact comes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from mirror.core.merge import State
from mirror.core.values import sha256
from mirror.store.records import damaged
from mirror.store.rows import Ledger

__all__ = ["Derived", "Stale", "StateRow"]


@dataclass(frozen=True, slots=True)
class StateRow:
    """A state as the store keeps it."""

    pith_number: str
    suffix: str
    text: bytes
    """As M13 writes it."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A record whose state lags behind its facts."""

    record_id: int
    judge: bool
    """Whether its verdicts must be reached anew before it is merged."""
    is_queued: bool = True
    """False if nobody marked it: its state is not there, or is that of other facts."""


class Derived:
    """The tables `state` and `stale`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._conn.execute(
            "CREATE TEMP TABLE IF NOT EXISTS touched (record_id INTEGER PRIMARY KEY)"
        )

    def mark_all_to_judge(self) -> None:
        """Mark every record: verdicts are to be reached anew, and states after them.

        The index of keys is emptied: until a record is judged anew, it is under no key's name,
        and it will be judged under whatever keys are trusted then.
        """
        self._conn.execute("INSERT OR REPLACE INTO stale SELECT id, 1 FROM record")
        self._conn.execute("DELETE FROM named_key")
        for table in ("event", "receipt"):
            self._conn.execute(
                f"DELETE FROM {table}_verdict WHERE {table}_id NOT IN (SELECT id FROM {table})"  # noqa: S608
            )
        for table in ("ledger", "state", "stale"):
            self._conn.execute(
                f"DELETE FROM {table} WHERE record_id NOT IN (SELECT id FROM record)"  # noqa: S608
            )

    def stale(self, limit: int, after: int = 0) -> list[Stale]:
        """Return records whose state lags behind their facts, ascending by id.

        Args:
            limit: At most so many.
            after: Only those with a greater id.
        """
        query = "SELECT record_id, judge FROM stale WHERE record_id > ? ORDER BY record_id LIMIT ?"
        found = self._conn.execute(query, (after, limit)).fetchall()
        return [Stale(record_id, bool(judge)) for record_id, judge in found]

    def staleness(self, record_id: int) -> Stale | None:
        """Return what a record waits for, or None if its state is up to date."""
        query = "SELECT judge FROM stale WHERE record_id = ?"
        row = self._conn.execute(query, (record_id,)).fetchone()
        if row is not None:
            return Stale(record_id, bool(row[0]))
        query = "SELECT ledger_seal FROM state WHERE record_id = ?"
        made = self._conn.execute(query, (record_id,)).fetchone()
        if made == (Ledger.load(self._conn, record_id).seal,):
            return None
        return Stale(record_id, judge=False, is_queued=False)

    def save(self, record_id: int, state: State) -> None:
        """Keep the state of a record; it is not stale any more."""
        counts = cast("dict[str, int]", state.value)
        text = state.text
        row = (
            record_id,
            bytes.fromhex(state.digest),
            bytes.fromhex(state.core_digest),
            counts["valid_event_count"],
            counts["invalid_event_count"],
            counts["equivocation_count"],
            Ledger.load(self._conn, record_id).seal,
            sha256(text),
            text,
        )
        self._conn.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._conn.execute("DELETE FROM stale WHERE record_id = ?", (record_id,))

    def text(self, record_id: int) -> bytes:
        """Return the state of a record as M13 writes it.

        Raises:
            CorruptStoreError: `store.damaged` if it is not as it was written.
        """
        query = "SELECT text, text_digest FROM state WHERE record_id = ?"
        text, digest = self._conn.execute(query, (record_id,)).fetchone()
        return _require_whole(text, digest, f"state of record {record_id}")

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
            SELECT pith_number, suffix, text, text_digest
            FROM touched JOIN record ON record.id = touched.record_id JOIN state USING (record_id)
            ORDER BY pith_number, record.id
        """
        for number, suffix, text, digest in self._conn.execute(query):
            yield StateRow(number, suffix, _require_whole(text, digest, f"state of {number}"))


def _require_whole(text: bytes, digest: bytes, where: str) -> bytes:
    if sha256(text) != digest:
        raise damaged("it is not as it was written", where)
    return text
