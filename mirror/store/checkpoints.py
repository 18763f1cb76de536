"""Signed notes on the roots of mirrors, this one and others, as they were read.

They are facts: no note is changed or removed, and each is stored once. Of two that contradict each
other both are stored: together they are the evidence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from mirror.core.transparency.checkpoint import Checkpoint, parse_checkpoint
from mirror.core.transparency.signed_note import parse_note
from mirror.core.values import sha256
from mirror.store.checked_table import CheckedTable
from mirror.store.row_checksum import Column

__all__ = ["CheckpointTable", "StoredCheckpoint"]


class StoredCheckpoint(NamedTuple):
    """A stored checkpoint."""

    checkpoint: Checkpoint
    note: str
    """The checkpoint's text and the signatures below it, unchanged."""
    read_at: str
    is_own: bool
    """Whether this mirror signed it."""
    number: int
    """Its place in the order of all stored ones, from 1."""

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the note, raw: what a time-stamp is about."""
        return sha256(self.note.encode())


class CheckpointTable:
    """The table `checkpoint`. A damaged row raises when it is read."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        columns = "id, origin, size, root, key_set_digest, at, note, read_at, is_own"
        self.table = CheckedTable(conn, "checkpoint", columns)

    def insert(self, checkpoint: Checkpoint, note: str, read_at: str, *, is_own: bool) -> bool:
        """Add a note, unless it is stored already; call within a transaction.

        Args:
            checkpoint: The content of the note.
            note: The note with its signatures.
            read_at: The current time.
            is_own: Whether this mirror signed it.

        Returns:
            Whether it is new.
        """
        query = "SELECT 1 FROM checkpoint WHERE origin = ? AND note = ?"
        if self._conn.execute(query, (checkpoint.origin, note)).fetchone() is not None:
            return False
        # The order of notes follows from the id, so the checksum covers it.
        row = (self.table.next_id(), *_columns(checkpoint), note, read_at, int(is_own))
        self.table.add([row])
        return True

    def all(self) -> Iterator[StoredCheckpoint]:
        """Yield every note in the order in which they were stored.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return self._notes("ORDER BY id")

    def of(self, origin: str) -> list[StoredCheckpoint]:
        """Return the notes of an origin in the order in which they were stored.

        Every row is compared, also those of other origins: the origin may be what is damaged.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return [one for one in self.all() if one.checkpoint.origin == origin]

    def last_own(self) -> StoredCheckpoint | None:
        """Return the last note that this mirror signed, or None.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return next(self._notes("WHERE is_own != 0 ORDER BY id DESC LIMIT 1"), None)

    def numbered(self, number: int) -> StoredCheckpoint | None:
        """Return the note of a number, or None.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return next(self._notes("WHERE id = ?", number), None)

    def _notes(self, condition: str, *arguments: int) -> Iterator[StoredCheckpoint]:
        for row in self.table.rows(condition, arguments):
            note, read_at, is_own = row[6:]
            checkpoint = parse_checkpoint(parse_note(note.encode()).text)
            yield StoredCheckpoint(checkpoint, note, read_at, bool(is_own), row[0])


def _columns(checkpoint: Checkpoint) -> tuple[Column, ...]:
    """Return the columns that repeat the note's content, for people who read the table with SQL."""
    basis = checkpoint.basis
    key_set_digest = b"" if basis is None else bytes.fromhex(basis[0])
    root = (checkpoint.origin, checkpoint.size, checkpoint.root)
    return (*root, key_set_digest, checkpoint.time or "")
