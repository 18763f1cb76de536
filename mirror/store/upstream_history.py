"""Upstream's statements on records, one row for each change: evidence, never merged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from mirror.core.values import hexdigest, sha256
from mirror.store.arrival_codec import compress, decompress
from mirror.store.checked_table import CheckedTable
from mirror.store.records import damaged

__all__ = ["UpstreamHistory", "UpstreamStatementRow"]


_LAST = "WHERE pith_number = ? AND upstream = ? AND kind = ? ORDER BY id DESC LIMIT 1"


class UpstreamStatementRow(NamedTuple):
    """A statement of upstream on a record."""

    upstream: str
    """Its URL, or the name of a file or folder."""
    pith_number: str
    kind: str
    """`state` or `bundle`."""
    digest: bytes
    """sha256(canonical(statement)), raw."""
    first_read_at: str
    text: bytes
    """The statement, canonical bytes."""


class UpstreamHistory:
    """The table `upstream_history`: rows are only added."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.table = CheckedTable(
            conn,
            "upstream_history",
            "id, upstream, pith_number, kind, digest, first_read_at, content",
            lambda row: f"statement on {row[2]}",
        )

    def last(self, upstream: str, pith_number: str, kind: str) -> UpstreamStatementRow | None:
        """Return the last statement, or None.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return next(self._statements(_LAST, pith_number, upstream, kind), None)

    def last_digest(self, upstream: str, pith_number: str, kind: str) -> bytes | None:
        """Return the digest of the last statement, which is not unpacked; raises as `last`."""
        row = self.table.row(_LAST, (pith_number, upstream, kind))
        return None if row is None else row[4]

    def history(self, pith_number: str) -> list[UpstreamStatementRow]:
        """Return all statements on a record, by upstream, the oldest first; raises as `last`."""
        condition = "WHERE pith_number = ? ORDER BY upstream, kind, id"
        return list(self._statements(condition, pith_number))

    def append(self, statement: UpstreamStatementRow) -> None:
        """Add a statement; call within a transaction."""
        self.table.add([(self.table.next_id(), *statement[:5], compress(statement.text))])

    def _statements(self, condition: str, *arguments: str) -> Iterator[UpstreamStatementRow]:
        for _, upstream, number, kind, digest, at, content in self.table.rows(condition, arguments):
            row = UpstreamStatementRow(upstream, number, kind, digest, at, decompress(content))
            if sha256(row.text) != row.digest:
                where = f"statement on {row.pith_number}"
                raise damaged(f"it does not hash to {hexdigest(row.digest)}", where)
            yield row
