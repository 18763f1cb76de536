"""Cache of sources already read, bags already merged, and exports, by digests of their content.

It saves work and gives the base of an increment; nothing else depends on it. It is cleared whenever
facts may be gone. A damaged row counts as missing.
"""

from __future__ import annotations

import sqlite3

from mirror.store.checked_table import CheckedTable

__all__ = ["SourceCache"]


class SourceCache:
    """The tables `source_cache`, `merged_bag` and `exported_bag`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._results = CheckedTable(conn, "source_cache", "key, result")
        self._merged = CheckedTable(conn, "merged_bag", "manifest_digest, source, read_at")
        columns = "root, last_arrival_id, manifest_digest, description, exported_at"
        self._exported = CheckedTable(conn, "exported_bag", columns)

    def get(self, key: bytes) -> bytes | None:
        """Return the result of reading a source, or None."""
        found = self._results.intact_rows("WHERE key = ?", (key,))
        return next((result for _, result in found), None)

    def put(self, key: bytes, result: bytes) -> None:
        """Store the result of reading a source.

        Args:
            key: A digest of all that the result depends on.
            result: In any form that the caller reads.
        """
        self._results.add([(key, result)], "REPLACE")

    def put_bag(self, manifest_digest: bytes, source: str, at: str) -> None:
        """Store that all of a bag is merged; SHA-256 of its manifest, raw."""
        self._merged.add([(manifest_digest, source, at)], "IGNORE")

    def has_bag(self, manifest_digest: bytes) -> bool:
        """Whether all of such a bag is merged."""
        return any(self._merged.intact_rows("WHERE manifest_digest = ?", (manifest_digest,)))

    def put_root(
        self, root: bytes, last_arrival: int, manifest_digest: bytes, description: str, at: str
    ) -> None:
        """Store an export of the whole store; the first with a root is the one that stays.

        Args:
            root: Root of the states, raw.
            last_arrival: The last arrival that was exported.
            manifest_digest: SHA-256 of the bag's manifest, raw.
            description: The content of the bag, in words.
            at: Time of the export.
        """
        row = (root, last_arrival, manifest_digest, description, at)
        self._exported.add([row], "IGNORE")

    def root(self, root: bytes) -> tuple[int, bytes, str] | None:
        """Return last arrival, manifest digest and description of the export with a root (raw)."""
        for row in self._exported.intact_rows("WHERE root = ?", (root,)):
            _, last_arrival, manifest_digest, description, _ = row
            return last_arrival, manifest_digest, description
        return None

    def clear(self) -> None:
        """Clear it, with the state of syncs: facts that were read may be gone."""
        for table in ("source_cache", "sync_state", "merged_bag", "exported_bag"):
            self._conn.execute(f"DELETE FROM {table}")  # noqa: S608
