"""The trusted keys, as a log of what was added and removed, and when."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from mirror.core.keys import Key, KeySet, parse_key
from mirror.core.packed import pack, unpack
from mirror.store.records import damaged
from mirror.store.seal import EMPTY, seal

__all__ = ["Trust", "TrustChange"]


@dataclass(frozen=True, slots=True)
class TrustChange:
    """A line of the log."""

    at: str
    action: str
    """`add` or `remove`."""
    key: Key


class Trust:
    """The table `trust`. The built-in key is in every key set and never in the log."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        (version,) = self._conn.execute("SELECT coalesce(max(id), 0) FROM trust").fetchone()
        return cast("int", version)

    def log(self) -> list[TrustChange]:
        """Return every change, the oldest first.

        Raises:
            CorruptStoreError: `store.damaged` if a line is not as it was written.
        """
        return list(self._changes())

    def key_set(self) -> KeySet:
        """Return the built-in key and those that were added and not removed since."""
        added: dict[str, Key] = {}
        for change in self.log():
            if change.action == "add":
                added[change.key.key_id] = change.key
            else:
                added.pop(change.key.key_id, None)
        return KeySet(added.values())

    def note(self, action: str, keys: Iterable[Key], at: str) -> None:
        """Write changes to the log."""
        query = "INSERT INTO trust (at, action, key_id, value, seal) VALUES (?, ?, ?, ?, ?)"
        for key in keys:
            row = (at, action, key.key_id, pack(key.to_value()))
            self._conn.execute(query, (*row, seal(self._last_seal(), *row)))

    def _last_seal(self) -> bytes:
        """Return the seal of the last line: each line seals the one before it, too."""
        query = "SELECT seal FROM trust ORDER BY id DESC LIMIT 1"
        row = self._conn.execute(query).fetchone()
        return EMPTY if row is None else cast("bytes", row[0])

    def _changes(self) -> Iterator[TrustChange]:
        last = EMPTY
        query = "SELECT id, seal, at, action, key_id, value FROM trust ORDER BY id"
        for change_id, sealed, *row in self._conn.execute(query):
            if seal(last, *row) != sealed:
                what = "a line in the log of trusted keys, or before it, is not as it was written"
                raise damaged(what, f"trust {change_id}")
            last = sealed
            at, action, _, value = row
            yield TrustChange(at, action, _key(value))


@lru_cache(maxsize=1024)
def _key(value: bytes) -> Key:
    """Return the key of a line; to look whether its point is on the curve takes long each time."""
    return parse_key(unpack(value))
