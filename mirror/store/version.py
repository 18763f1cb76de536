"""How far a store has come: what changed since is found by holding two marks against each other.

A state changes with its facts, with a key that is named in them, or not at all, unless the rules
changed or damage was moved aside.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

__all__ = ["StoreVersion", "read_version"]


class StoreVersion(NamedTuple):
    """The last of everything that may change a state."""

    arrival: int
    trust: int
    quarantine: int
    rules: str

    def differs_by_more_than_arrivals(self, other: StoreVersion) -> bool:
        """Whether states may have changed of records that nothing came for."""
        return self[1:] != other[1:] or other.arrival < self.arrival


def read_version(conn: sqlite3.Connection) -> StoreVersion:
    """Return how far the store has come."""
    query = """
        SELECT (SELECT coalesce(max(id), 0) FROM arrival),
               (SELECT coalesce(max(id), 0) FROM trust),
               (SELECT coalesce(max(id), 0) FROM quarantine),
               (SELECT coalesce(max(version), '') FROM rules)
    """
    return StoreVersion(*conn.execute(query).fetchone())
