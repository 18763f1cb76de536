"""What was read before: whole sources, by what is in them, and bags, by their manifests.

It saves work and says what an increment rests on; nothing else depends on it. It is forgotten
whenever facts may be gone.
"""

from __future__ import annotations

import sqlite3
from typing import cast

from mirror.store.row_checksum import Column, row_checksum

__all__ = ["SourceCache"]


class SourceCache:
    """The tables `source_cache`, `merged_bag` and `exported_bag`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def get(self, key: bytes) -> bytes | None:
        """Return what was remembered of a reading, or None; what is damaged is not remembered."""
        query = "SELECT key, result, checksum FROM source_cache WHERE key = ?"
        row = self._whole(query, key)
        return None if row is None else cast("bytes", row[1])

    def put(self, key: bytes, outcome: bytes) -> None:
        """Keep what a reading came to.

        Args:
            key: A digest of all that the outcome follows from.
            outcome: In whatever form the caller reads.
        """
        query = "INSERT OR REPLACE INTO source_cache VALUES (?, ?, ?)"
        self._conn.execute(query, (key, outcome, row_checksum(key, outcome)))

    def put_bag(self, manifest: bytes, source: str, at: str) -> None:
        """Note that all of a bag is in the store, by the SHA-256 of its manifest (raw)."""
        query = "INSERT OR IGNORE INTO merged_bag VALUES (?, ?, ?, ?)"
        row = (manifest, source, at)
        self._conn.execute(query, (*row, row_checksum(*row)))

    def has_bag(self, manifest: bytes) -> bool:
        """Whether all of such a bag was merged."""
        query = "SELECT * FROM merged_bag WHERE manifest_digest = ?"
        return self._whole(query, manifest) is not None

    def put_root(
        self, root: bytes, last_arrival: int, manifest: bytes, holds: str, at: str
    ) -> None:
        """Note an export of the whole store; of several with one root, the first is kept.

        Args:
            root: Of the states, raw.
            last_arrival: The last of those that were exported.
            manifest: SHA-256 of the bag's manifest, raw.
            holds: What is in the bag, in words.
            at: When.
        """
        query = "INSERT OR IGNORE INTO exported_bag VALUES (?, ?, ?, ?, ?, ?)"
        row = (root, last_arrival, manifest, holds, at)
        self._conn.execute(query, (*row, row_checksum(*row)))

    def root(self, root: bytes) -> tuple[int, bytes, str] | None:
        """Return last arrival, manifest and description of the export that had a root (raw)."""
        query = "SELECT * FROM exported_bag WHERE root = ?"
        row = self._whole(query, root)
        return None if row is None else cast("tuple[int, bytes, str]", row[1:4])

    def _whole(self, query: str, key: bytes) -> tuple[Column, ...] | None:
        """Return the row of a key if it is as it was written; its checksum is the last column."""
        row = self._conn.execute(query, (key,)).fetchone()
        return None if row is None or row_checksum(*row[:-1]) != row[-1] else tuple(row[:-1])

    def clear(self) -> None:
        """Forget every reading: facts that it brought may be gone."""
        for table in ("source_cache", "sync_state", "merged_bag", "exported_bag"):
            self._conn.execute(f"DELETE FROM {table}")  # noqa: S608
