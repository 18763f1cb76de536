"""Answers of archives whether they still have a capture, one row for each check; never merged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mirror.store.checked_table import CheckedTable

__all__ = ["StorageCheck", "StorageChecks"]


class StorageCheck(NamedTuple):
    """An answer of an archive on a capture, or why there was none."""

    pith_number: str
    event_id: str
    """The storage attestation, an event of the record."""
    url: str
    """The address of the capture, as the event gives it."""
    at: str
    """When the archive was asked, with microseconds."""
    status: str
    """A value of `mirror.engine.storage.answer.CaptureStatus`."""
    code: str
    """The reason; empty if the capture is there."""
    http_status: int
    """The status of the response; 0 without one."""
    memento_datetime: str
    """The field `Memento-Datetime` of the response; empty if there was none."""
    redirected_to: str
    """The URL after redirects, without its query; empty without a redirect."""
    message: str


_COLUMNS = """
    id, pith_number, event_id, url, at, status, code, http_status, memento_datetime,
    redirected_to, message
"""
_LAST = "SELECT max(id) FROM storage_check"


class StorageChecks:
    """The table `storage_check`: rows are only added. A damaged row raises when it is read."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self.table = CheckedTable(
            conn, "storage_check", _COLUMNS, lambda row: f"storage check {row[0]} of {row[1]}"
        )

    def append(self, check: StorageCheck) -> None:
        """Add an answer; call within a transaction."""
        self.table.add([(self.table.next_id(), *check)])

    def last(self, pith_number: str) -> dict[str, StorageCheck]:
        """Return the last answer on each capture of a record, by event id.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        condition = f"WHERE id IN ({_LAST} WHERE pith_number = ? GROUP BY event_id)"
        return {one.event_id: one for one in self._checks(condition, pith_number)}

    def last_of(self, pith_numbers: Iterable[str]) -> Iterator[StorageCheck]:
        """Yield the last answer on each capture of several records; raises as `last`."""
        condition = f"""
            WHERE id IN ({_LAST} WHERE pith_number IN (SELECT value FROM json_each(?))
                         GROUP BY pith_number, event_id)
        """  # noqa: S608
        return self._checks(condition, json.dumps([*pith_numbers]))

    def since(self, row_id: int) -> set[str]:
        """Return the Pith Numbers with an answer after this row."""
        query = "SELECT DISTINCT pith_number FROM storage_check WHERE id > ?"
        return {row[0] for row in self._conn.execute(query, (row_id,))}

    def all(self, pith_number: str | None = None) -> Iterator[StorageCheck]:
        """Yield the answers on one record, or all, the oldest first; raises as `last`."""
        if pith_number is None:
            return self._checks("ORDER BY id")
        return self._checks("WHERE pith_number = ? ORDER BY id", pith_number)

    def counts(self) -> dict[str, int]:
        """Return the number of captures by the status of their last answer, ascending."""
        query = f"""
            SELECT status, count(*) FROM storage_check
            WHERE id IN ({_LAST} GROUP BY pith_number, event_id) GROUP BY status ORDER BY status
        """  # noqa: S608
        return dict(self._conn.execute(query))

    def _checks(self, condition: str, *arguments: str) -> Iterator[StorageCheck]:
        for _, *columns in self.table.rows(condition, arguments):
            yield StorageCheck(*columns)
