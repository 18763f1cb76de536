"""What upstream said of records, each time it said something else: evidence, never merged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from mirror.core.values import hexdigest, sha256
from mirror.store.content import compress, decompress
from mirror.store.records import damaged
from mirror.store.seal import seal

__all__ = ["ClaimRow", "Claims"]


class ClaimRow(NamedTuple):
    """Something that upstream said of a record."""

    upstream: str
    """Who said it: an address, or the name of a file or folder."""
    pith_number: str
    kind: str
    """`state` or `bundle`."""
    digest: bytes
    """sha256(canonical(what was said)), raw."""
    first_at: str
    """When it was first read."""
    text: bytes
    """What was said, canonical bytes."""


class Claims:
    """The table `claim`: rows are only added."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def last(self, upstream: str, pith_number: str, kind: str) -> ClaimRow | None:
        """Return what upstream said last.

        Raises:
            CorruptStoreError: `store.damaged` if it is not as it was written.
        """
        condition = "WHERE pith_number = ? AND upstream = ? AND kind = ? ORDER BY id DESC LIMIT 1"
        return next(self._rows(condition, (pith_number, upstream, kind)), None)

    def history(self, pith_number: str) -> list[ClaimRow]:
        """Return all that was ever said of a record, the oldest first; raises as `last`."""
        return list(self._rows("WHERE pith_number = ? ORDER BY upstream, kind, id", (pith_number,)))

    def note(self, claim: ClaimRow) -> None:
        """Keep what upstream said."""
        row = (*claim[:5], compress(claim.text))
        query = """
            INSERT INTO claim (upstream, pith_number, kind, digest, first_at, content, seal)
            VALUES (?, ?, ?, ?, ?, ?, ?)
        """
        self._conn.execute(query, (*row, seal(*row)))

    def faults(self) -> Iterator[int]:
        """Yield the ids of the rows that are not as they were written."""
        query = "SELECT id, upstream, pith_number, kind, digest, first_at, content, seal FROM claim"
        for row_id, *row, sealed in self._conn.execute(query):
            if seal(*row) != sealed:
                yield row_id

    def _rows(self, condition: str, arguments: tuple[str, ...]) -> Iterator[ClaimRow]:
        query = f"""
            SELECT upstream, pith_number, kind, digest, first_at, content, seal
            FROM claim {condition}
        """  # noqa: S608
        for *row, sealed in self._conn.execute(query, arguments):
            if seal(*row) != sealed:
                raise damaged("it is not as it was written", f"claim on {row[1]}")
            text = decompress(row[5])
            if sha256(text) != row[3]:
                raise damaged(f"it does not hash to {hexdigest(row[3])}", f"claim on {row[1]}")
            yield ClaimRow(row[0], row[1], row[2], row[3], row[4], text)
