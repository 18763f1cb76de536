"""The trusted keys, as a log of what was added and removed, and when."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from mirror.core.keys import Key, KeySet, parse_key
from mirror.store.packing import pack, unpack
from mirror.store.records import damaged
from mirror.store.seal import seal

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
        query = "SELECT id, at, action, key_id, value, seal FROM trust ORDER BY id"
        return [_change(*row) for row in self._conn.execute(query)]

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
        rows = [(at, action, key.key_id, pack(key.to_value())) for key in keys]
        query = "INSERT INTO trust (at, action, key_id, value, seal) VALUES (?, ?, ?, ?, ?)"
        self._conn.executemany(query, [(*row, seal(*row)) for row in rows])


def _change(  # noqa: PLR0913, PLR0917 - the columns of the table
    change_id: int, at: str, action: str, key_id: str, value: bytes, sealed: bytes
) -> TrustChange:
    if seal(at, action, key_id, value) != sealed:
        raise damaged(
            "a line in the log of trusted keys is not as it was written", f"trust {change_id}"
        )
    return TrustChange(at, action, parse_key(unpack(value)))
