"""Where facts came from: runs, each the reading of a source, and the bundles that came in one."""

from __future__ import annotations

import sqlite3
from typing import cast

from mirror.store.seal import seal

__all__ = ["Arrival", "Run"]


class Run:
    """A source read by a command; a row of `run`, made when the first new fact needs it."""

    def __init__(self, source: str, started_at: str) -> None:
        self._row = (source, started_at)
        self._id: int | None = None

    def id(self, conn: sqlite3.Connection) -> int:
        """Return the row's id."""
        if self._id is None:
            query = "INSERT INTO run (source, started_at, seal) VALUES (?, ?, ?)"
            self._id = cast("int", conn.execute(query, (*self._row, seal(*self._row))).lastrowid)
        return self._id


class Arrival:
    """A bundle that came; a row of `arrival`, made when the first new fact needs it."""

    def __init__(self, conn: sqlite3.Connection, run: Run, member: str) -> None:
        self._conn = conn
        self._run = run
        self._member = member
        self._id: int | None = None

    @property
    def id(self) -> int:
        """The row's id."""
        if self._id is None:
            row = (self._run.id(self._conn), self._member)
            query = "INSERT INTO arrival (run_id, member, seal) VALUES (?, ?, ?)"
            self._id = cast("int", self._conn.execute(query, (*row, seal(*row))).lastrowid)
        return self._id
