"""What upstream said of records, each time it said something else: evidence, never merged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from mirror.core.values import hexdigest, sha256
from mirror.store.arrival_codec import compress, decompress
from mirror.store.records import damaged
from mirror.store.row_checksum import row_checksum

__all__ = ["UpstreamHistory", "UpstreamStatementRow"]


_COLUMNS = "id, upstream, pith_number, kind, digest, first_read_at, content, checksum"


class UpstreamStatementRow(NamedTuple):
    """Something that upstream said of a record."""

    upstream: str
    """Who said it: an address, or the name of a file or folder."""
    pith_number: str
    kind: str
    """`state` or `bundle`."""
    digest: bytes
    """sha256(canonical(what was said)), raw."""
    first_read_at: str
    """When it was first read."""
    text: bytes
    """What was said, canonical bytes."""


class UpstreamHistory:
    """The table `upstream_history`: rows are only added."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def last(self, upstream: str, pith_number: str, kind: str) -> UpstreamStatementRow | None:
        """Return what upstream said last.

        Raises:
            CorruptStoreError: `store.damaged` if it is not as it was written.
        """
        condition = "WHERE pith_number = ? AND upstream = ? AND kind = ? ORDER BY id DESC LIMIT 1"
        return next(self._rows(condition, (pith_number, upstream, kind)), None)

    def history(self, pith_number: str) -> list[UpstreamStatementRow]:
        """Return all that was ever said of a record, the oldest first; raises as `last`."""
        return list(self._rows("WHERE pith_number = ? ORDER BY upstream, kind, id", (pith_number,)))

    def append(self, statement: UpstreamStatementRow) -> None:
        """Keep what upstream said; call within a transaction."""
        query = "SELECT coalesce(max(id), 0) + 1 FROM upstream_history"
        (row_id,) = self._conn.execute(query).fetchone()
        row = (row_id, *statement[:5], compress(statement.text))
        query = "INSERT INTO upstream_history VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._conn.execute(query, (*row, row_checksum(*row)))

    def damaged_ids(self) -> Iterator[int]:
        """Yield the ids of the rows that are not as they were written."""
        for *row, checksum in self._conn.execute(f"SELECT {_COLUMNS} FROM upstream_history"):  # noqa: S608
            if row_checksum(*row) != checksum:
                yield row[0]

    def _rows(self, condition: str, arguments: tuple[str, ...]) -> Iterator[UpstreamStatementRow]:
        query = f"SELECT {_COLUMNS} FROM upstream_history {condition}"  # noqa: S608
        for *row, checksum in self._conn.execute(query, arguments):
            if row_checksum(*row) != checksum:
                raise damaged("it is not as it was written", f"statement on {row[2]}")
            text = decompress(row[6])
            if sha256(text) != row[4]:
                raise damaged(f"it does not hash to {hexdigest(row[4])}", f"statement on {row[2]}")
            yield UpstreamStatementRow(row[1], row[2], row[3], row[4], row[5], text)
