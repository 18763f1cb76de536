"""State of syncs with upstreams: ETags, runs that were not finished, and positions in feeds.

It saves work, and resumes an interrupted run. It is written only after the facts it depends on were
committed, and is cleared whenever facts may be gone. A damaged row counts as missing; if it may be
a pending record, the feed is read again from its start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from mirror.store.checked_table import CheckedTable, Row

__all__ = ["CachedETag", "Change", "SyncState"]

_FEED = ""
_RUN = "*"
_PENDING = "!"
"""Marks in the column `name`; no name of a record begins so."""


class CachedETag(NamedTuple):
    """The ETag of a response whose bundle is in the store."""

    name: str
    """The record's name in the path of the request."""
    etag: str
    """ETag as the server sent it; empty if there is none."""
    at: str
    """When the response was last the same, in ISO 8601, UTC, with microseconds."""


class Change(NamedTuple):
    """A line in the feed of a mirror."""

    number: int
    pith_number: str
    at: str


class SyncState:
    """The table `sync_state`; call what writes within a transaction."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._table = CheckedTable(conn, "sync_state", "upstream, name, etag, cursor, fetched_at")

    def clear(self, upstream: str) -> None:
        """Delete the state of an upstream."""
        self._conn.execute("DELETE FROM sync_state WHERE upstream = ?", (upstream,))

    # Single bundles --------------------------------------------------------------------------

    def answered(self, upstream: str, name: str) -> CachedETag | None:
        """Return the cached ETag of a name, or None."""
        row = self._row(upstream, name)
        return None if row is None else CachedETag(name, row[2], row[4])

    def put_etags(self, upstream: str, answers: Iterable[CachedETag]) -> None:
        """Store the ETags of responses whose bundles are in the store."""
        self._table.add(((upstream, name, etag, 0, at) for name, etag, at in answers), "REPLACE")

    # Unfinished runs -------------------------------------------------------------------------

    def begun_at(self, upstream: str) -> str | None:
        """Return when an unfinished run began; None without one."""
        row = self._row(upstream, _RUN)
        return None if row is None else str(row[4])

    def begin(self, upstream: str, at: str) -> None:
        """Store that a run begins."""
        self._table.add([(upstream, _RUN, "", 0, at)], "REPLACE")

    def end(self, upstream: str) -> None:
        """Store that the run is finished."""
        self._drop(upstream, _RUN)

    # The feed of a mirror --------------------------------------------------------------------

    def position(self, upstream: str) -> Change | None:
        """Return the last change that was processed; None to read the feed from its start.

        It is also None if the row of a pending record is missing or damaged.
        """
        row = self._row(upstream, _FEED)
        if row is None:
            return None
        _, _, text, number, at = row
        pith_number, _, pending = text.partition(" ")
        is_complete = pending == str(len(self.pending(upstream)))
        return Change(number, pith_number, at) if is_complete else None

    def pending(self, upstream: str) -> list[str]:
        """Return the Pith Numbers of records in the feed that could not be fetched."""
        condition = "WHERE upstream = ? AND name >= ? AND name < ? ORDER BY name"
        arguments = (upstream, _PENDING, chr(ord(_PENDING) + 1))
        return [row[1][1:] for row in self._table.intact_rows(condition, arguments)]

    def move(self, upstream: str, last: Change | None, pending: set[str], done: set[str]) -> None:
        """Store the position in a feed.

        Args:
            upstream: The mirror of the feed.
            last: The last change up to which all is fetched or pending; None for that stored now.
            pending: Pith Numbers that could not be fetched, to be requested again.
            done: Pending ones that were fetched since, or do not exist any more.
        """
        before = self.position(upstream)
        for pith_number in done - pending:
            self._drop(upstream, _PENDING + pith_number)
        self._table.add(((upstream, _PENDING + one, "", 0, "") for one in pending), "REPLACE")
        last = last or before
        if last is not None:
            text = f"{last.pith_number} {len(self.pending(upstream))}"
            self._table.add([(upstream, _FEED, text, last.number, last.at)], "REPLACE")

    # Rows ------------------------------------------------------------------------------------

    def _row(self, upstream: str, name: str) -> Row | None:
        condition = "WHERE upstream = ? AND name = ?"
        return next(self._table.intact_rows(condition, (upstream, name)), None)

    def _drop(self, upstream: str, name: str) -> None:
        query = "DELETE FROM sync_state WHERE upstream = ? AND name = ?"
        self._conn.execute(query, (upstream, name))
