"""What was asked of upstreams before: the ETags of answers, and how far feeds were followed.

It saves work, and says where an interrupted run goes on. It is written only after the facts that
it speaks of were committed, and is forgotten whenever facts may be gone. A row that is not as it
was written is as if it was not there; and if that may be a debt, the feed begins anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from mirror.store.row_checksum import row_checksum

__all__ = ["CachedETag", "Change", "SyncState"]

_FEED = ""
_RUN = "*"
_DEBT = "!"
"""Marks in the column `name`; no name that is asked for begins so."""


class CachedETag(NamedTuple):
    """That a name was asked for, and its bundle is in the store."""

    name: str
    """As it stands in the path."""
    etag: str
    """As it was sent; empty for none."""
    at: str
    """When it was last seen to be the same, in ISO 8601, UTC, with microseconds."""


class Change(NamedTuple):
    """A line in the feed of a mirror."""

    number: int
    pith_number: str
    at: str


class SyncState:
    """The table `sync_state`; what writes is called within a transaction."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def clear(self, upstream: str) -> None:
        """Forget all that was asked of an upstream."""
        self._conn.execute("DELETE FROM sync_state WHERE upstream = ?", (upstream,))

    # Single bundles --------------------------------------------------------------------------

    def answered(self, upstream: str, name: str) -> CachedETag | None:
        """Return what is known of a name; None if it was not asked for, or came to nothing."""
        row = self._row(upstream, name)
        return None if row is None else CachedETag(name, row[0], row[2])

    def put_etags(self, upstream: str, answers: Iterable[CachedETag]) -> None:
        """Note answers whose bundles are in the store."""
        for name, etag, at in answers:
            self._write(upstream, name, etag, 0, at)

    # A run that has not come to its end ------------------------------------------------------

    def begun_at(self, upstream: str) -> str | None:
        """Return when a run began that did not come to its end; None if there is none."""
        row = self._row(upstream, _RUN)
        return None if row is None else row[2]

    def begin(self, upstream: str, at: str) -> None:
        """Note that a run begins."""
        self._write(upstream, _RUN, "", 0, at)

    def end(self, upstream: str) -> None:
        """Note that it came to its end."""
        self._drop(upstream, _RUN)

    # The feed of a mirror --------------------------------------------------------------------

    def position(self, upstream: str) -> Change | None:
        """Return the last change that was followed; None if the feed is to be read from its start.

        So it is, too, if a debt is not there any more as it was written.
        """
        row = self._row(upstream, _FEED)
        if row is None:
            return None
        text, number, at = row
        pith_number, _, debts = text.partition(" ")
        return (
            Change(number, pith_number, at) if debts == str(len(self.pending(upstream))) else None
        )

    def pending(self, upstream: str) -> list[str]:
        """Return the Pith Numbers of the records that the feed named, and that did not come."""
        query = """
            SELECT name, upstream, name, etag, cursor, fetched_at, checksum
            FROM sync_state WHERE upstream = ? AND name >= ? AND name < ? ORDER BY name
        """
        found = self._conn.execute(query, (upstream, _DEBT, chr(ord(_DEBT) + 1)))
        return [name[1:] for name, *row, checksum in found if row_checksum(*row) == checksum]

    def move(self, upstream: str, last: Change | None, owed: set[str], paid: set[str]) -> None:
        """Note how far a feed was followed.

        Args:
            upstream: Whose feed.
            last: The last change of which all came, or is owed; None for the one noted before.
            owed: Pith Numbers that did not come, and are to be asked for again.
            paid: Those that came, or are not there any more.
        """
        before = self.position(upstream)
        for pith_number in paid - owed:
            self._drop(upstream, _DEBT + pith_number)
        for pith_number in owed:
            self._write(upstream, _DEBT + pith_number, "", 0, "")
        last = last or before
        if last is not None:
            text = f"{last.pith_number} {len(self.pending(upstream))}"
            self._write(upstream, _FEED, text, last.number, last.at)

    # Rows ------------------------------------------------------------------------------------

    def _row(self, upstream: str, name: str) -> tuple[str, int, str] | None:
        query = """
            SELECT upstream, name, etag, cursor, fetched_at, checksum
            FROM sync_state WHERE upstream = ? AND name = ?
        """
        found = self._conn.execute(query, (upstream, name)).fetchone()
        return None if found is None or row_checksum(*found[:-1]) != found[-1] else found[2:5]

    def _write(self, upstream: str, name: str, etag: str, cursor: int, at: str) -> None:
        row = (upstream, name, etag, cursor, at)
        query = "INSERT OR REPLACE INTO sync_state VALUES (?, ?, ?, ?, ?, ?)"
        self._conn.execute(query, (*row, row_checksum(*row)))

    def _drop(self, upstream: str, name: str) -> None:
        query = "DELETE FROM sync_state WHERE upstream = ? AND name = ?"
        self._conn.execute(query, (upstream, name))
