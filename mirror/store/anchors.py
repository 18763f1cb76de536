"""Anchors: the last result of checking each time-stamp in force, and which are out of date.

They are derived: from the states of this store, and from the headers and authorities of this
operator. No state or digest follows from them. Merging does not write them: `enqueue_changes`
queues the records that may have changed since the last time; a new header or authority queues the
records with time-stamps of that method at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

from mirror.core.msgpack_values import pack, unpack
from mirror.core.values import Object
from mirror.store.checked_table import CheckedTable
from mirror.store.row_checksum import EMPTY, Column, combine
from mirror.store.stored_records import json_list
from mirror.store.version import CHANGED_SINCE, read_version

__all__ = ["AnchorTable", "StoredAnchor"]


class StoredAnchor(NamedTuple):
    """The last result for a time-stamp."""

    record_id: int
    event_id: str
    method: str
    status: str
    """A value of `mirror.engine.anchors.result.AnchorStatus`."""
    result: Object
    """The result as a JSON object."""
    checked_at: str


_COLUMNS = "record_id, event_id, method, status, result, checked_at"
_VERSION = "last_arrival_id, last_trust_id, last_quarantine_id, rules"


class AnchorTable:
    """The tables `anchor`, `anchor_queue` and `anchor_version`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self.table = CheckedTable(
            conn, "anchor", _COLUMNS, lambda row: f"anchor of record {row[0]}, {row[1]}"
        )

    # What is out of date ---------------------------------------------------------------------

    def is_used(self) -> bool:
        """Whether time-stamps of this store were ever checked."""
        return self._checked_version() is not None

    def is_current(self, checks: str) -> bool:
        """Whether nothing changed since the last `enqueue_changes`, and nothing is queued.

        Args:
            checks: The version of the checks.
        """
        now = (*read_version(self._conn), checks)
        return self._checked_version() == now and not self.queued(0, 1)

    def enqueue_changes(self, checks: str) -> None:
        """Queue every record whose time-stamps may have changed; arguments as `is_current`."""
        now, before = read_version(self._conn), self._checked_version()
        if before is None or (*before[2:],) != (now.quarantine, now.rules, checks):
            self._enqueue("SELECT id FROM record UNION SELECT record_id FROM anchor")
        else:
            self._enqueue(CHANGED_SINCE.format("NOT INDEXED"), before[:2])
        combined = self._combined()
        self._conn.execute("DELETE FROM anchor_version")
        query = f"INSERT INTO anchor_version ({_VERSION}, checks, combined) VALUES (?,?,?,?,?,?)"  # noqa: S608
        self._conn.execute(query, (*now, checks, combined))

    def enqueue_method(self, method: str) -> None:
        """Queue the records with time-stamps of a method: its headers or authorities changed."""
        self._enqueue("SELECT record_id FROM anchor WHERE method = ?", (method,))

    def enqueue_status(self, status: str) -> None:
        """Queue the records with time-stamps whose last result has a status."""
        self._enqueue("SELECT record_id FROM anchor WHERE status = ?", (status,))

    def _enqueue(self, query: str, arguments: Sequence[Column] = ()) -> None:
        self._conn.execute(f"INSERT OR IGNORE INTO anchor_queue {query}", tuple(arguments))

    def queued(self, after: int, limit: int) -> list[int]:
        """Return the ids of queued records, ascending.

        Args:
            after: Only greater ids.
            limit: At most so many.
        """
        query = "SELECT record_id FROM anchor_queue WHERE record_id > ? ORDER BY 1 LIMIT ?"
        return [row[0] for row in self._conn.execute(query, (after, limit))]

    def _checked_version(self) -> tuple[Any, ...] | None:
        query = f"SELECT {_VERSION}, checks FROM anchor_version"  # noqa: S608
        row: tuple[Any, ...] | None = self._conn.execute(query).fetchone()
        return row

    # Writing ---------------------------------------------------------------------------------

    def replace(self, record_id: int, rows: Sequence[StoredAnchor]) -> None:
        """Write the results for a record, which leaves the queue; call after `enqueue_changes`."""
        before = self._checksums("WHERE record_id = ?", record_id)
        self._conn.execute("DELETE FROM anchor WHERE record_id = ?", (record_id,))
        self.table.add([(*row[:4], pack(row.result), row.checked_at) for row in rows])
        changed = combine(before, self._checksums("WHERE record_id = ?", record_id))
        query = "UPDATE anchor_version SET combined = ?"
        self._conn.execute(query, (combine(self._combined(), changed),))
        self._conn.execute("DELETE FROM anchor_queue WHERE record_id = ?", (record_id,))

    def clear(self) -> None:
        """Delete everything: the next `enqueue_changes` queues every record."""
        for table in ("anchor", "anchor_queue", "anchor_version"):
            self._conn.execute(f"DELETE FROM {table}")  # noqa: S608

    # Reading ---------------------------------------------------------------------------------

    def of(self, record_id: int, checks: str) -> list[StoredAnchor]:
        """Return the results for a record, ascending by event id; none that are out of date.

        Args:
            record_id: The record.
            checks: The version of the checks.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        version = self._checked_version()
        query = "SELECT 1 FROM anchor_queue WHERE record_id = ?"
        is_queued = self._conn.execute(query, (record_id,)).fetchone() is not None
        if version is None or version[-1] != checks or is_queued:
            return []
        return list(self._anchors("WHERE record_id = ? ORDER BY event_id", record_id))

    def all(self, record_id: int | None = None) -> Iterator[StoredAnchor]:
        """Yield the results for one record, or all, ascending by Pith Number; raises as `of`."""
        condition = """
            JOIN record ON record.id = record_id WHERE record_id = coalesce(?, record_id)
            ORDER BY year, suffix, record_id, event_id
        """
        return self._anchors(condition, record_id)

    def of_records(self, record_ids: Iterable[int]) -> Iterator[StoredAnchor]:
        """Yield the results for records; raises as `of`."""
        condition = "WHERE record_id IN (SELECT value FROM json_each(?))"
        return self._anchors(condition, json_list(record_ids))

    @property
    def checksum(self) -> str:
        """The combined checksum of all results, hexadecimal: it changes with every result."""
        return self._combined().hex()

    def checks(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield record id, event id, status and time of every result."""
        return self._conn.execute("SELECT record_id, event_id, status, checked_at FROM anchor")

    def record_ids(self) -> list[int]:
        """Return the ids of records with results, ascending."""
        query = "SELECT DISTINCT record_id FROM anchor ORDER BY record_id"
        return [row[0] for row in self._conn.execute(query)]

    def counts(self) -> dict[str, int]:
        """Return the number of results by status, ascending."""
        query = "SELECT status, count(*) FROM anchor GROUP BY status ORDER BY status"
        return dict(self._conn.execute(query))

    def _anchors(self, condition: str, *arguments: Column) -> Iterator[StoredAnchor]:
        for record_id, event_id, method, status, result, at in self.table.rows(
            condition, arguments
        ):
            found: Any = unpack(result)
            yield StoredAnchor(record_id, event_id, method, status, found, at)

    def is_whole(self) -> bool:
        """Whether no row is damaged, missing or doubled."""
        is_intact = next(self.table.damaged_rows(), None) is None
        return is_intact and self._checksums() == self._combined()

    def _checksums(self, condition: str = "", *arguments: Column) -> bytes:
        """Return the combined checksum of some rows."""
        rows = self._conn.execute(f"SELECT checksum FROM anchor {condition}", arguments)  # noqa: S608
        return reduce(combine, (bytes(one) for (one,) in rows), EMPTY)

    def _combined(self) -> bytes:
        """Return the stored checksum of all rows."""
        row = self._conn.execute("SELECT combined FROM anchor_version").fetchone()
        return EMPTY if row is None else bytes(row[0])
