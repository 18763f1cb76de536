"""Log of acknowledgements: which findings a person acknowledged, when and why.

An acknowledgement covers findings in the store at that time, as ranges of positions, and digests of
findings, which may also come later. Every other later finding is new. Lines are never changed; a
later line withdraws an earlier one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from mirror.store.checked_table import ChainedTable
from mirror.store.row_checksum import EMPTY, combine, row_checksum

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
"""SQL condition: the acknowledgement of an item is in the log and was not withdrawn."""

DIGEST = "digest"
"""The `kind` of an item that is a digest."""

_COLUMNS = "id, at, name, reason, criteria, withdraws, items, items_checksum"


class AcknowledgementRequest(NamedTuple):
    """An acknowledgement to be added."""

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
    """Covered findings: positions in one subject, or a digest."""

    kind: str
    """`event` or `receipt` of an arrival; `state`; `quarantine`; or `digest`."""
    subject_id: int
    """The id of the arrival, of the record, or of the row in `quarantine`; 0 for a digest."""
    code: str
    first: int = 0
    last: int = 0
    """The last covered position."""
    digest: bytes = b""


class AcknowledgementLog:
    """The tables `acknowledgement` and `acknowledged_finding`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._log = ChainedTable(conn, "acknowledgement", _COLUMNS)

    # Reading ---------------------------------------------------------------------------------

    def log(self) -> list[Acknowledgement]:
        """Return every line, the oldest first.

        Raises:
            CorruptStoreError: `store.damaged` if a line's checksum does not match.
        """
        withdrawn = {row[0] for row in self._conn.execute("SELECT withdraws FROM acknowledgement")}
        lines = []
        for *row, items, _ in self._log.rows():
            line_id, at, name, reason, criteria, withdraws = row
            is_in_force = not withdraws and line_id not in withdrawn
            line = (line_id, at, name, reason, criteria, withdraws, items, is_in_force)
            lines.append(Acknowledgement(*line))
        return lines

    def is_any(self) -> bool:
        """Whether any finding is acknowledged."""
        query = f"SELECT 1 FROM acknowledged_finding WHERE {IN_FORCE} LIMIT 1"  # noqa: S608
        return self._conn.execute(query).fetchone() is not None

    def digests(self) -> set[tuple[str, bytes]]:
        """Return code and digest of each acknowledged digest."""
        query = f"SELECT code, digest FROM acknowledged_finding WHERE kind = ? AND {IN_FORCE}"  # noqa: S608
        return set(self._conn.execute(query, (DIGEST,)))

    def of_record(self, record_id: int) -> list[CoveredFindings]:
        """Return the acknowledged ranges in a record's arrivals."""
        query = f"""
            SELECT kind, subject_id, code, first, last FROM acknowledged_finding
            JOIN arrival ON arrival.id = subject_id
            WHERE record_id = ? AND kind IN ('event', 'receipt') AND {IN_FORCE}
        """  # noqa: S608
        return [CoveredFindings(*row) for row in self._conn.execute(query, (record_id,))]

    def damaged_ids(self) -> set[int]:
        """Return the ids of the lines that are damaged, or whose items are."""
        query = "SELECT id, items, items_checksum FROM acknowledgement"
        of_items = {
            line_id
            for line_id, *expected in self._conn.execute(query)
            if [*self._sum(line_id)] != expected
        }
        return of_items.union(row[0] for row in self._log.damaged_rows())

    # Writing ---------------------------------------------------------------------------------

    def add(self, request: AcknowledgementRequest, items: Iterable[CoveredFindings]) -> int:
        """Write an acknowledgement; call within a transaction.

        Returns:
            The number of covered findings and digests; for 0 nothing is written.
        """
        line_id = self._log.next_id()
        query = """
            INSERT INTO acknowledged_finding
                (acknowledgement_id, kind, subject_id, code, first, last, digest)
            VALUES (?, ?, ?, ?, ?, ?, ?)
        """
        self._conn.executemany(query, ((line_id, *one) for one in items))
        count, checksum = self._sum(line_id)
        if count:
            self._log.add([(line_id, *request, 0, count, checksum)])
        return count

    def withdraw(self, line_id: int, request: AcknowledgementRequest) -> None:
        """Withdraw an acknowledgement; call within a transaction."""
        self._log.add([(self._log.next_id(), *request, line_id, 0, EMPTY)])

    def _sum(self, line_id: int) -> tuple[int, bytes]:
        """Return how many findings the items of a line cover, and their combined checksum."""
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
