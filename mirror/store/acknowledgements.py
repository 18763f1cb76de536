"""The log of acknowledgements: which findings a person knows, who says so, when and why.

An acknowledgement covers the findings that were in the store when it was made, as ranges of
positions, and digests: a digest is known whenever it comes. Whatever comes later is new. Lines of
the log are never changed; a later line withdraws an earlier one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mirror.store.records import damaged
from mirror.store.row_checksum import EMPTY, Column, combine, row_checksum

__all__ = [
    "IN_FORCE",
    "Acknowledgement",
    "AcknowledgementLog",
    "AcknowledgementRequest",
    "CoveredFindings",
]

IN_FORCE = """
    acknowledgement_id IN (
        SELECT id FROM acknowledgement WHERE withdraws = 0
        EXCEPT SELECT withdraws FROM acknowledgement
    )
"""
"""SQL: that the acknowledgement of an item is in the log, and was not withdrawn."""

DIGEST = "digest"
"""The `kind` of an item that is a digest."""

_COLUMNS = "id, at, name, reason, criteria, withdraws, items, items_checksum"


class AcknowledgementRequest(NamedTuple):
    """One acknowledgement: by whom, when, why, and of which findings."""

    at: str
    name: str
    """The person."""
    reason: str
    criteria: str
    """The choice of findings, in words."""


class Acknowledgement(NamedTuple):
    """A line of the log."""

    id: int
    at: str
    name: str
    reason: str
    criteria: str
    withdraws: int
    """The line that this one withdraws; 0 for an acknowledgement."""
    items: int
    """How many findings and digests it covers."""
    is_in_force: bool


class CoveredFindings(NamedTuple):
    """Findings that are covered: positions of one subject, or a digest."""

    kind: str
    """`event` or `receipt` of an arrival; `state`; `quarantine`; or `digest`."""
    subject_id: int
    """The id of the arrival, of the record, or of the row in `quarantine`; 0 for a digest."""
    code: str
    first: int = 0
    last: int = 0
    """The last position that is covered."""
    digest: bytes = b""


class AcknowledgementLog:
    """The tables `acknowledgement` and `acknowledged_finding`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    # Reading ---------------------------------------------------------------------------------

    def log(self) -> list[Acknowledgement]:
        """Return every line, the oldest first.

        Raises:
            CorruptStoreError: `store.damaged` if a line's checksum does not match.
        """
        withdrawn = {row[0] for row in self._conn.execute("SELECT withdraws FROM acknowledgement")}
        lines = []
        for row in self._lines():
            line_id, at, name, reason, criteria, withdraws, items, _ = row
            is_in_force = not withdraws and line_id not in withdrawn
            line = (line_id, at, name, reason, criteria, withdraws, items, is_in_force)
            lines.append(Acknowledgement(*line))
        return lines

    def is_any(self) -> bool:
        """Whether anything is known."""
        query = f"SELECT 1 FROM acknowledged_finding WHERE {IN_FORCE} LIMIT 1"  # noqa: S608
        return self._conn.execute(query).fetchone() is not None

    def digests(self) -> set[tuple[str, bytes]]:
        """Return code and digest of all that is known by its digest."""
        query = f"SELECT code, digest FROM acknowledged_finding WHERE kind = ? AND {IN_FORCE}"  # noqa: S608
        return set(self._conn.execute(query, (DIGEST,)))

    def of_record(self, record_id: int) -> list[CoveredFindings]:
        """Return the ranges of a record's arrivals that are known."""
        query = f"""
            SELECT kind, subject_id, code, first, last FROM acknowledged_finding
            JOIN arrival ON arrival.id = subject_id
            WHERE record_id = ? AND kind IN ('event', 'receipt') AND {IN_FORCE}
        """  # noqa: S608
        return [CoveredFindings(*row) for row in self._conn.execute(query, (record_id,))]

    def damaged_ids(self) -> Iterator[int]:
        """Yield the ids of the lines that are not as they were written, or whose items are not."""
        last = EMPTY
        for *row, checksum in self._rows():
            if row_checksum(last, *row) != checksum or self._sum(row[0]) != tuple(row[-2:]):
                yield row[0]
            last = checksum

    def _lines(self) -> Iterator[list[Any]]:
        last = EMPTY
        for *row, checksum in self._rows():
            if row_checksum(last, *row) != checksum:
                raise damaged("the checksum of an acknowledgement differs", f"line {row[0]}")
            last = checksum
            yield row

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        query = f"SELECT {_COLUMNS}, checksum FROM acknowledgement ORDER BY id"  # noqa: S608
        return self._conn.execute(query)

    # Writing ---------------------------------------------------------------------------------

    def add(self, request: AcknowledgementRequest, items: Iterable[CoveredFindings]) -> int:
        """Write an acknowledgement; call within a transaction.

        Returns:
            How many findings and digests it covers; nothing is written if there are none.
        """
        line_id = self._next_id()
        query = """
            INSERT INTO acknowledged_finding
                (acknowledgement_id, kind, subject_id, code, first, last, digest)
            VALUES (?, ?, ?, ?, ?, ?, ?)
        """
        self._conn.executemany(query, ((line_id, *one) for one in items))
        count, checksum = self._sum(line_id)
        if count:
            self._write((line_id, *request, 0, count, checksum))
        return count

    def withdraw(self, line_id: int, request: AcknowledgementRequest) -> None:
        """Write that an acknowledgement does not hold any more; call within a transaction."""
        self._write((self._next_id(), *request, line_id, 0, EMPTY))

    def _write(self, row: tuple[Column, ...]) -> None:
        query = "SELECT checksum FROM acknowledgement ORDER BY id DESC LIMIT 1"
        last = self._conn.execute(query).fetchone()
        checksum = row_checksum(EMPTY if last is None else last[0], *row)
        places = ", ".join("?" * (len(row) + 1))
        query = f"INSERT INTO acknowledgement ({_COLUMNS}, checksum) VALUES ({places})"  # noqa: S608
        self._conn.execute(query, (*row, checksum))

    def _next_id(self) -> int:
        query = "SELECT coalesce(max(id), 0) + 1 FROM acknowledgement"
        return int(self._conn.execute(query).fetchone()[0])

    def _sum(self, line_id: int) -> tuple[int, bytes]:
        """Return how many findings the items of a line cover, and the sum of their checksums."""
        query = """
            SELECT id, kind, subject_id, code, first, last, digest FROM acknowledged_finding
            WHERE acknowledgement_id = ?
        """
        count, total = 0, EMPTY
        for row in self._conn.execute(query, (line_id,)):
            item = CoveredFindings(*row[1:])
            count += item.last - item.first + 1
            total = combine(total, row_checksum(*row))
        return count, total
