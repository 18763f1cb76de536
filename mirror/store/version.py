"""Version of a store: two versions show what may have changed between them.

A state changes only with its facts, or with a key that they name, unless the rules or the
quarantine changed.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

__all__ = ["StoreVersion", "read_version"]


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
