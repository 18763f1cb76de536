"""Commits of arrivals, one for each transaction that added some: when each fact was known here."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from mirror.store.checked_table import CheckedTable
from mirror.store.known_time import known_time

__all__ = ["Commit", "Commits"]


class Commit(NamedTuple):
    """A transaction that added arrivals."""

    id: int
    last_arrival_id: int
    stored_at: str
    """The end of the transaction, with microseconds; never before that of the commit before."""
    rules: str
    """The version of the rules of all states at that time; empty if it is not known."""


class Commits:
    """The table `arrival_commit`: rows are only added, ascending by arrival and by time."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self.table = CheckedTable(conn, "arrival_commit", "id, last_arrival_id, stored_at, rules")

    def add(self, last_arrival_id: int) -> None:
        """Add the commit of a transaction that is about to end.

        Args:
            last_arrival_id: The last arrival that it added.
        """
        query = "SELECT coalesce(max(version), '') FROM rules"
        (rules,) = self._conn.execute(query).fetchone()
        self._append(last_arrival_id, known_time(self._conn), rules)

    def cover(self) -> None:
        """Add a commit of now for arrivals after those of all commits, if no row is damaged."""
        if self.lacks_last() and next(self.table.damaged_rows(), None) is None:
            query = "SELECT max(id) FROM arrival"
            (last_arrival_id,) = self._conn.execute(query).fetchone()
            self._append(last_arrival_id, known_time(self._conn), "")

    def lacks_last(self) -> bool:
        """Whether there are arrivals after those of all commits."""
        query = """
            SELECT (SELECT coalesce(max(id), 0) FROM arrival)
                 > (SELECT coalesce(max(last_arrival_id), 0) FROM arrival_commit)
        """
        return bool(self._conn.execute(query).fetchone()[0])

    def add_earlier(self) -> None:
        """Add a commit for each run of a store that had no commits, with the start of the run."""
        query = """
            SELECT max(arrival.id), started_at FROM arrival JOIN run ON run.id = run_id
            GROUP BY run_id ORDER BY max(arrival.id)
        """
        for last_arrival_id, started_at in self._conn.execute(query).fetchall():
            last = self.last()
            stored_at = started_at if last is None else max(started_at, last.stored_at)
            self._append(last_arrival_id, stored_at, "")

    def _append(self, last_arrival_id: int, stored_at: str, rules: str) -> None:
        self.table.add([(self.table.next_id(), last_arrival_id, stored_at, rules)])

    def last(self, until: str | None = None) -> Commit | None:
        """Return the last commit, or None.

        Args:
            until: The last one that was stored by this time, written with microseconds.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        condition = "" if until is None else "WHERE stored_at <= ?"
        arguments = () if until is None else (until,)
        row = self.table.row(f"{condition} ORDER BY id DESC LIMIT 1", arguments)
        return None if row is None else Commit(*row)

    def first(self) -> Commit | None:
        """Return the first commit, or None.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        row = self.table.row("ORDER BY id LIMIT 1")
        return None if row is None else Commit(*row)

    def stored_at(self, arrival_id: int) -> str | None:
        """Return when an arrival was stored; None if its commit is missing.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        commit = self._covering(arrival_id)
        return None if commit is None else commit.stored_at

    def of(self, arrival_id: int) -> Commit | None:
        """Return the commit with which an arrival counts as stored, as in `times_of`; or None.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return self._covering(arrival_id) or self.last()

    def _covering(self, arrival_id: int) -> Commit | None:
        condition = "WHERE last_arrival_id >= ? ORDER BY last_arrival_id LIMIT 1"
        row = self.table.row(condition, (arrival_id,))
        return None if row is None else Commit(*row)

    def times_of(self, record_id: int) -> list[str]:
        """Return when arrivals of a record were stored, ascending, each time once.

        An arrival whose commit is missing was stored with the next one, or counts as stored with
        the last one if there is none: `version_at` has it so.

        Args:
            record_id: The row id of the record.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        condition = """
            WHERE id IN (
                SELECT coalesce(
                    (SELECT id FROM arrival_commit AS later
                     WHERE later.last_arrival_id >= arrival.id
                     ORDER BY later.last_arrival_id LIMIT 1),
                    (SELECT max(id) FROM arrival_commit)
                ) FROM arrival WHERE record_id = ?
            ) ORDER BY id
        """
        rows = self.table.rows(condition, (record_id,))
        return list(dict.fromkeys(Commit(*row).stored_at for row in rows))
