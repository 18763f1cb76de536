"""Proofs of OpenTimestamps that checkpoints existed, one row for each version of a proof.

Rows are only added, and the last one of a checkpoint counts. It has all that the ones before it
had. A row names the SHA-256 of the signed note, which is what the proof is about.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from mirror.store.checked_table import CheckedTable

__all__ = ["CheckpointProof", "CheckpointProofs"]


class CheckpointProof(NamedTuple):
    """A version of the proof of a checkpoint."""

    digest: bytes
    """SHA-256 of the signed note, raw."""
    at: str
    """When it was stored."""
    calendars: tuple[str, ...]
    """Addresses of the calendars that the operator named so far."""
    proof: bytes
    """A detached time-stamp file."""


class CheckpointProofs:
    """The table `checkpoint_proof`. A damaged row raises when it is read."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        columns = "id, digest, at, calendars, proof"
        self.table = CheckedTable(conn, "checkpoint_proof", columns)

    def append(self, proof: CheckpointProof) -> None:
        """Add a version; call within a transaction."""
        calendars = " ".join(proof.calendars)
        row = (self.table.next_id(), proof.digest, proof.at, calendars, proof.proof)
        self.table.add([row])

    def last(self, digest: bytes) -> CheckpointProof | None:
        """Return the version that counts, or None.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        row = self.table.row("WHERE digest = ? ORDER BY id DESC LIMIT 1", (digest,))
        if row is None:
            return None
        _, _, at, calendars, proof = row
        return CheckpointProof(digest, at, tuple(calendars.split()), proof)
