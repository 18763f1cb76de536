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
        query = "SELECT id, substr(header, 73, 4) FROM block_header ORDER BY id"
        found: list[HeaderSegment] = []
        first, last, bits = 0, -1, b""
        for height, its_bits in self._conn.execute(query):  # faster than window functions
            if its_bits != bits or height != last + 1:
                found.append(HeaderSegment(first, last, int.from_bytes(bits, "little")))
                first, bits = height, its_bits
            last = height
        if last < 0:
            return []
        return [*found[1:], HeaderSegment(first, last, int.from_bytes(bits, "little"))]
