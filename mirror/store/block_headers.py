"""Bitcoin block headers that the operator gave, by height.

Proof of work and links are checked before headers are added, so that headers of heights in a row
are linked. A header is never replaced by another one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from mirror.store.checked_table import CheckedTable

__all__ = ["BlockHeaders", "HeaderSegment"]


class HeaderSegment(NamedTuple):
    """Linked headers in a row with one compact target."""

    first: int
    """Height of the first one."""
    last: int
    bits: int


class BlockHeaders:
    """The table `block_header`. A damaged row raises when it is read."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self.table = CheckedTable(conn, "block_header", "id, header")

    def get(self, height: int) -> bytes | None:
        """Return the header of a height, 80 bytes; None without one.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return self.between(height, height).get(height)

    def between(self, first: int, last: int) -> dict[int, bytes]:
        """Return the headers of some heights, both ends included; raises as `get`."""
        rows = self.table.rows("WHERE id BETWEEN ? AND ?", (first, last))
        return {height: bytes(header) for height, header in rows}

    def add(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Add headers, each with its height; call within a transaction."""
        self.table.add(rows)

    def segments(self) -> list[HeaderSegment]:
        """Return all headers as segments, ascending; reads of each only the compact target."""
        rows = self._conn.execute(_SEGMENTS).fetchall()
        if not rows:
            return []
        (last,) = self._conn.execute("SELECT max(id) FROM block_header").fetchone()
        ends = [*(before for _, before, _ in rows[1:]), last]
        return [
            HeaderSegment(first, end, int.from_bytes(bits, "little"))
            for (first, _, bits), end in zip(rows, ends, strict=True)
        ]


_SEGMENTS = """
    SELECT id, before, bits FROM (
        SELECT id, substr(header, 73, 4) AS bits, lag(id) OVER by_height AS before,
               lag(substr(header, 73, 4)) OVER by_height AS bits_before
        FROM block_header WINDOW by_height AS (ORDER BY id)
    )
    WHERE before IS NOT id - 1 OR bits IS NOT bits_before ORDER BY id
"""
"""The first header of each segment, with the height of the header before it."""
