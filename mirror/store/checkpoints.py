"""Signed notes on the roots of mirrors, ours and others', as they were read.

They are facts: none is ever changed or taken out, and the same note is kept once. Two that
contradict each other are both kept; they are each other's evidence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple, cast

from mirror.core.transparency.checkpoint import Checkpoint, parse_checkpoint
from mirror.core.transparency.signed_note import parse_note
from mirror.store.records import damaged
from mirror.store.row_checksum import Column, row_checksum

__all__ = ["CheckpointTable", "StoredCheckpoint"]

_COLUMNS = "id, origin, size, root, key_set_digest, at, note, read_at, is_own, checksum"


class StoredCheckpoint(NamedTuple):
    """A checkpoint that was kept."""

    checkpoint: Checkpoint
    note: str
    """As it was signed: the checkpoint's text, and the signatures below it."""
    read_at: str
    """When it was kept."""
    is_own: bool
    """Whether it was signed here."""


class CheckpointTable:
    """The table `checkpoint`. A row that is not as it was written raises when it is read."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def insert(self, checkpoint: Checkpoint, note: str, read_at: str, *, is_own: bool) -> bool:
        """Keep a note, unless it is there already; call within a transaction.

        Args:
            checkpoint: What the note says.
            note: It, with its signatures.
            read_at: Now.
            is_own: Whether it was signed here.

        Returns:
            Whether it is new.
        """
        query = "SELECT 1 FROM checkpoint WHERE origin = ? AND note = ?"
        if self._conn.execute(query, (checkpoint.origin, note)).fetchone() is not None:
            return False
        row = (self._next_id(), *_columns(checkpoint), note, read_at, int(is_own))
        places = ", ".join("?" * (len(row) + 1))
        query = f"INSERT INTO checkpoint ({_COLUMNS}) VALUES ({places})"  # noqa: S608
        self._conn.execute(query, (*row, row_checksum(*row)))
        return True

    def all(self) -> Iterator[StoredCheckpoint]:
        """Yield every note, the one that was kept first before the others.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return map(_kept, self._rows("ORDER BY id"))

    def of(self, origin: str) -> list[StoredCheckpoint]:
        """Return the notes of an origin, the one that was kept first before the others.

        Every row is looked at, also those of others: which origin it has may be what is damaged.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return [one for one in self.all() if one.checkpoint.origin == origin]

    def last_own(self) -> StoredCheckpoint | None:
        """Return the note that was signed here last, or None.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        rows = self._rows("WHERE is_own != 0 ORDER BY id DESC LIMIT 1")
        return next(map(_kept, rows), None)

    def damaged_ids(self) -> Iterator[int]:
        """Yield the ids of the rows that are not as they were written."""
        for row in self._rows("ORDER BY id"):
            if not _is_whole(row):
                yield cast("int", row[0])

    def _rows(self, condition: str) -> Iterator[tuple[Column, ...]]:
        query = f"SELECT {_COLUMNS} FROM checkpoint {condition}"  # noqa: S608
        return self._conn.execute(query)

    def _next_id(self) -> int:
        """Return the next row's id: it is checksum, too, for the order of notes follows from it."""
        query = "SELECT coalesce(max(id), 0) + 1 FROM checkpoint"
        return int(self._conn.execute(query).fetchone()[0])


def _columns(checkpoint: Checkpoint) -> tuple[Column, ...]:
    """Return what stands in columns of its own, for people who read the table with SQL."""
    basis = checkpoint.basis
    key_set_digest = b"" if basis is None else bytes.fromhex(basis[0])
    root = (checkpoint.origin, checkpoint.size, checkpoint.root)
    return (*root, key_set_digest, checkpoint.time or "")


def _is_whole(row: tuple[Column, ...]) -> bool:
    return row_checksum(*row[:-1]) == row[-1]


def _kept(row: tuple[Column, ...]) -> StoredCheckpoint:
    if not _is_whole(row):
        raise damaged("it is not as it was written", f"checkpoint {row[0]!r}")
    note, read_at, is_own = str(row[6]), str(row[7]), bool(row[8])
    return StoredCheckpoint(parse_checkpoint(parse_note(note.encode()).text), note, read_at, is_own)
