"""Known times: when a transaction stores facts, or changes whom this mirror trusts."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from mirror.core.point_in_time import PointInTime
from mirror.core.values import instant, time_text

__all__ = ["SETTLED_S", "after_stored", "known_time"]

SETTLED_S = 60
"""Seconds after which nothing more is stored with an earlier time.

A transaction takes its known time before it ends, and is seen by others after its end.
"""


def known_time(conn: sqlite3.Connection) -> str:
    """Return the known time of what a transaction stores now, with microseconds."""
    return after_stored(conn, time_text(datetime.now(UTC), microseconds=True))


def after_stored(conn: sqlite3.Connection, at: str) -> str:
    """Return a time, or the microsecond after the latest that is stored, if that is later.

    A clock that was set back changes neither the order of commits and changes of trust, nor what
    was known by an earlier time.
    """
    query = """
        SELECT max(
            coalesce((SELECT max(at) FROM trust), ''),
            coalesce((SELECT max(stored_at) FROM arrival_commit), '')
        )
    """
    latest = instant(conn.execute(query).fetchone()[0])
    return at if latest is None else max(at, PointInTime(latest + 1).text)
