"""Log of the trusted keys and profiles: additions and removals, with their times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

from mirror.core.keys import BUILT_IN, Key, KeySet, parse_key
from mirror.core.msgpack_values import pack, unpack
from mirror.core.profile import PROFILE_TYPE, Profile
from mirror.core.profile_file import read_profile, require_safe
from mirror.store.checked_table import ChainedTable
from mirror.store.known_time import after_stored
from mirror.store.records import damaged

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
        self._table = ChainedTable(conn, "trust", "id, at, action, name, value")

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._table.version

    def last_change_at(self) -> str | None:
        """Return the time of the last change; None if there was none."""
        row = self._conn.execute("SELECT at FROM trust ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def log(self) -> list[TrustChange]:
        """Return every change, the oldest first.

        Raises:
            CorruptStoreError: `store.damaged` if a line is damaged or missing.
        """
        changes = [
            TrustChange(at, action, _parse(value)) for _, at, action, _, value in self._table.rows()
        ]
        if self.is_truncated():
            raise damaged("the last lines of the log of trusted keys are missing", "trust")
        return changes

    def key_set(self, until: int | None = None) -> KeySet:
        """Return what was added and not removed since, the built-in key from the start.

        Args:
            until: The last line of the log that counts; None for all.
        """
        trusted = _trusted_at_first()
        for change in self.log()[:until]:
            _apply(change, trusted)
        return _key_set(trusted.values(), built_in=False)

    def key_sets(self) -> Iterator[tuple[list[TrustChange], KeySet]]:
        """Yield the changes of each transaction, and the key set after them, the oldest first.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        trusted = _trusted_at_first()
        for _, changes in groupby(self.log(), key=attrgetter("at")):
            listed = list(changes)
            for change in listed:
                _apply(change, trusted)
            yield listed, _key_set(trusted.values(), built_in=False)

    def is_truncated(self) -> bool:
        """Whether lines at the end of the log are missing; see `ChainedTable`."""
        return self._table.is_truncated()

    def clear(self) -> None:
        """Start an empty log; the lines of the old one are in quarantine."""
        self._table.clear()

    def may_lack_built_in(self) -> bool:
        """Whether a damaged log may have removed the built-in key.

        The last line on that key decides. If a line is missing, it may have been that one.
        """
        lines = self._conn.execute("SELECT id, action, name FROM trust ORDER BY id").fetchall()
        if self.is_truncated() or [line[0] for line in lines] != list(range(1, len(lines) + 1)):
            return True
        actions = [action for _, action, name in lines if name == BUILT_IN.key_id]
        return actions[-1:] == ["remove"]

    def ever_trusted(self) -> KeySet:
        """Return all that is or was trusted; of keys with one id the last.

        An event that was verified under a profile is read with it until it is verified again.
        """
        return _key_set({
            (change.is_profile, change.name): change.what for change in self.log()
        }.values())  # fmt: skip

    def append(self, action: str, changed: Iterable[Key | Profile], at: str) -> None:
        """Add changes to the log.

        Args:
            action: `add` or `remove`.
            changed: The keys and profiles.
            at: The current time, with microseconds; a clock that was set back changes no order.
        """
        first, at = self._table.next_id(), after_stored(self._conn, at)
        self._table.add(
            (first + number, at, action, _name(one), pack(one.to_value()))
            for number, one in enumerate(changed)
        )

    def date_again(self, after: int, at: str) -> None:
        """Give the last lines of the log another time, in the transaction that added them.

        Args:
            after: The last line before them.
            at: The current time, as for `append`.
        """
        query = "SELECT id, action, name, value FROM trust WHERE id > ? ORDER BY id"
        lines = self._conn.execute(query, (after,)).fetchall()
        self._conn.execute("DELETE FROM trust WHERE id > ?", (after,))
        at = after_stored(self._conn, at)
        self._table.add((row_id, at, *others) for row_id, *others in lines)


_Trusted: TypeAlias = dict[tuple[bool, str], Key | Profile]
"""The trusted keys and profiles, by whether it is a profile, and by name."""


def _trusted_at_first() -> _Trusted:
    return {(False, BUILT_IN.key_id): BUILT_IN}


def _apply(change: TrustChange, trusted: _Trusted) -> None:
    name = change.is_profile, change.name
    if change.action == "add":
        trusted[name] = change.what
    else:
        trusted.pop(name, None)


def _name(what: Key | Profile) -> str:
    return what.key_id if isinstance(what, Key) else what.name


def _key_set(trusted: Iterable[Key | Profile], *, built_in: bool = True) -> KeySet:
    listed = list(trusted)
    keys = [one for one in listed if isinstance(one, Key)]
    profiles = [one for one in listed if isinstance(one, Profile)]
    return KeySet(keys, profiles, built_in=built_in)


@lru_cache(maxsize=1024)
def _parse(value: bytes) -> Key | Profile:
    """Return the key or profile of a line; cached, because the check of a key's point is slow."""
    found = unpack(value)
    is_profile = isinstance(found, dict) and found.get("profile_type") == PROFILE_TYPE
    return require_safe(read_profile(found)) if is_profile else parse_key(found)
