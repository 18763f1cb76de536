"""Version of a store: two versions show what may have changed between them.

A state changes only with its facts, or with a key that they name, unless the rules or the
quarantine changed.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from mirror.store.commits import Commits

__all__ = ["CHANGED_SINCE", "StoreVersion", "read_version", "version_at"]


class StoreVersion(NamedTuple):
    """The last ids of all that a state may depend on, and the rules."""

    arrival: int
    trust: int
    quarantine: int
    rules: str

    def differs_by_more_than_arrivals(self, other: StoreVersion) -> bool:
        """Whether states of records without new arrivals may have changed."""
        return self[1:] != other[1:] or other.arrival < self.arrival


def read_version(conn: sqlite3.Connection) -> StoreVersion:
    """Return the version of the store."""
    query = """
        SELECT (SELECT coalesce(max(id), 0) FROM arrival),
               (SELECT coalesce(max(id), 0) FROM trust),
               (SELECT coalesce(max(id), 0) FROM quarantine),
               (SELECT coalesce(max(version), '') FROM rules)
    """
    return StoreVersion(*conn.execute(query).fetchone())


def version_at(conn: sqlite3.Connection, at: str) -> StoreVersion:
    """Return the version that the store had at a time: what it knew, and whom it trusted.

    Its rules are those of the last commit by then, empty if they are not known. What
    is in quarantine today counts as never known.

    Args:
        conn: The store.
        at: The time, written with microseconds.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    now, commits = read_version(conn), Commits(conn)
    query = "SELECT coalesce(max(id), 0) FROM trust WHERE at <= ?"
    (trust,) = conn.execute(query, (at,)).fetchone()
    commit = commits.last(at)
    if commit is None:
        return now._replace(arrival=0, trust=trust, rules="")
    is_last = commit == commits.last()
    arrival = now.arrival if is_last else commit.last_arrival_id
    return now._replace(arrival=arrival, trust=trust, rules=commit.rules)


CHANGED_SINCE = """
    SELECT record_id FROM arrival {} WHERE id > ?
    UNION SELECT record_id FROM key_dependency
          WHERE key_id IN (SELECT name FROM trust WHERE id > ?)
"""
"""SQL for the ids of records whose state may have changed since an arrival and a change of trust,
under the same rules and the same quarantine; `{}` is how to find the arrivals."""
