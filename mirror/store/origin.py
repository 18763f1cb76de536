"""Where facts came from: runs, each the reading of a source by a command."""

from __future__ import annotations

import sqlite3
from typing import cast

from mirror.store.row_checksum import row_checksum

__all__ = ["SourceRun"]


class SourceRun:
    """A source read by a command; a row of `run`, made when the first new fact needs it."""

    def __init__(self, source: str, started_at: str) -> None:
        self._row = (source, started_at)
        self._id: int | None = None

    def id(self, conn: sqlite3.Connection) -> int:
        """Return the row's id."""
        if self._id is None:
            query = "INSERT INTO run (source, started_at, checksum) VALUES (?, ?, ?)"
            self._id = cast(
                "int", conn.execute(query, (*self._row, row_checksum(*self._row))).lastrowid
            )
        return self._id
