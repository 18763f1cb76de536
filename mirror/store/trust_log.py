"""The trusted keys and profiles, as a log of what was added and removed, and when."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from mirror.core.keys import BUILT_IN, Key, KeySet, parse_key
from mirror.core.msgpack_values import pack, unpack
from mirror.core.profile import PROFILE_TYPE, Profile
from mirror.core.profile_file import read_profile, require_safe
from mirror.store.records import damaged
from mirror.store.row_checksum import EMPTY, row_checksum

__all__ = ["TrustChange", "TrustLog"]


@dataclass(frozen=True, slots=True)
class TrustChange:
    """A line of the log."""

    at: str
    action: str
    """`add` or `remove`."""
    what: Key | Profile

    @property
    def is_profile(self) -> bool:
        """Whether it is about a profile, not a key."""
        return isinstance(self.what, Profile)

    @property
    def name(self) -> str:
        """The id of the key, or the name of the profile."""
        return _name(self.what)


class TrustLog:
    """The table `trust`. The built-in key is trusted from the start; the log may remove it (K2)."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        (version,) = self._conn.execute("SELECT coalesce(max(id), 0) FROM trust").fetchone()
        return cast("int", version)

    def last_change_at(self) -> str | None:
        """Return the time of the last change, as the log has it; None if there was none."""
        row = self._conn.execute("SELECT at FROM trust ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def log(self) -> list[TrustChange]:
        """Return every change, the oldest first.

        Raises:
            CorruptStoreError: `store.damaged` if a line is not as it was written.
        """
        return list(self._changes())

    def key_set(self) -> KeySet:
        """Return what was added and not removed since, the built-in key from the start."""
        trusted: dict[tuple[bool, str], Key | Profile] = {(False, BUILT_IN.key_id): BUILT_IN}
        for change in self.log():
            place = change.is_profile, change.name
            if change.action == "add":
                trusted[place] = change.what
            else:
                trusted.pop(place, None)
        return _key_set(trusted.values(), built_in=False)

    def lacks_end(self) -> bool:
        """Whether the last lines of the log are not there, or all of it.

        No checksum shows that. But SQLite keeps the last id, of `AUTOINCREMENT`, in another table.
        """
        query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'trust'"
        (last,) = self._conn.execute(query).fetchone()
        return bool(last > self.version)

    def clear(self) -> None:
        """Begin the log anew; its lines were moved aside."""
        self._conn.execute("DELETE FROM trust")
        self._conn.execute("DELETE FROM sqlite_sequence WHERE name = 'trust'")

    def lost_built_in(self) -> bool:
        """Whether a log that is broken may have removed the built-in key.

        The last line that names it tells. If a line is missing, nobody knows what it said.
        """
        lines = self._conn.execute("SELECT id, action, name FROM trust ORDER BY id").fetchall()
        if self.lacks_end() or [line[0] for line in lines] != list(range(1, len(lines) + 1)):
            return True
        actions = [action for _, action, name in lines if name == BUILT_IN.key_id]
        return actions[-1:] == ["remove"]

    def ever(self) -> KeySet:
        """Return what is trusted and what was, of keys of one id the last.

        An event that was judged under a profile is read with it, until it is judged anew.
        """
        return _key_set({
            (change.is_profile, change.name): change.what for change in self.log()
        }.values())  # fmt: skip

    def append(self, action: str, changed: Iterable[Key | Profile], at: str) -> None:
        """Write changes to the log."""
        query = "INSERT INTO trust (at, action, name, value, checksum) VALUES (?, ?, ?, ?, ?)"
        for one in changed:
            row = (at, action, _name(one), pack(one.to_value()))
            self._conn.execute(query, (*row, row_checksum(self._last_checksum(), *row)))

    def _last_checksum(self) -> bytes:
        """Return the checksum of the last line; that of the next line covers it."""
        query = "SELECT checksum FROM trust ORDER BY id DESC LIMIT 1"
        row = self._conn.execute(query).fetchone()
        return EMPTY if row is None else cast("bytes", row[0])

    def _changes(self) -> Iterator[TrustChange]:
        last = EMPTY
        query = "SELECT id, checksum, at, action, name, value FROM trust ORDER BY id"
        for change_id, checksum, *row in self._conn.execute(query):
            if row_checksum(last, *row) != checksum:
                what = "a line in the log of trusted keys, or before it, is not as it was written"
                raise damaged(what, f"trust {change_id}")
            last = checksum
            at, action, _, value = row
            yield TrustChange(at, action, _trusted(value))
        if self.lacks_end():
            raise damaged("the last lines in the log of trusted keys are not there", "trust")


def _name(what: Key | Profile) -> str:
    return what.key_id if isinstance(what, Key) else what.name


def _key_set(trusted: Iterable[Key | Profile], *, built_in: bool = True) -> KeySet:
    listed = list(trusted)
    keys = [one for one in listed if isinstance(one, Key)]
    profiles = [one for one in listed if isinstance(one, Profile)]
    return KeySet(keys, profiles, built_in=built_in)


@lru_cache(maxsize=1024)
def _trusted(value: bytes) -> Key | Profile:
    """Return what a line is of; to look whether a key's point is on the curve takes long."""
    found = unpack(value)
    is_profile = isinstance(found, dict) and found.get("profile_type") == PROFILE_TYPE
    return require_safe(read_profile(found)) if is_profile else parse_key(found)
