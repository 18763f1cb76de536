"""Copies of a whole store, made while others write (SQLite's online backup API)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

__all__ = ["IDENTITY", "copy_to", "count_facts", "facts_only_in"]

IDENTITY = {
    "run": "checksum",
    "record": "digest",
    "arrival": "checksum",
    "arrival_commit": "checksum",
    "trust": "checksum",
    "timestamp_authority": "checksum",
    "upstream_history": "checksum",
    "checkpoint": "checksum",
    "checkpoint_proof": "checksum",
    "storage_check": "checksum",
    "acknowledgement": "checksum",
    "block_header": "checksum",
    "paper_text": "checksum",
    "quarantine": "found_at",
}
"""The tables of facts, each with a column that, with `id`, identifies a row.

The checksum of an acknowledgement covers its rows in `acknowledged_finding`.
"""

_PAGES_AT_ONCE = 4096


def copy_to(
    conn: sqlite3.Connection, path: Path, progress: Callable[[int], None] = lambda _pages: None
) -> None:
    """Copy one state of a store to a file, which must be empty or absent.

    Call within a snapshot, so that the copy does not restart when others write.

    Args:
        conn: The store.
        path: The file.
        progress: Receives numbers of copied pages.
    """
    copied = 0

    def note(_status: int, remaining: int, total: int) -> None:
        nonlocal copied
        progress(total - remaining - copied)
        copied = total - remaining

    # The snapshot begins with the first read, not with the transaction.
    conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    with closing(sqlite3.connect(path)) as target:
        conn.backup(target, pages=_PAGES_AT_ONCE, progress=note)


def count_facts(conn: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each table of facts has."""
    return {table: _one(conn, f"SELECT count(*) FROM {table}") for table in IDENTITY}  # noqa: S608


def facts_only_in(conn: sqlite3.Connection, other: Path) -> dict[str, int]:
    """Return how many facts another store has that this one does not, by table.

    Only what is not 0; call outside of transactions.

    Raises:
        sqlite3.Error: If the other file cannot be read as a store.
    """
    conn.execute("ATTACH ? AS other", (f"{other.absolute().as_uri()}?mode=ro",))
    try:
        query = "SELECT name FROM other.sqlite_schema WHERE type = 'table'"
        there = {name for (name,) in conn.execute(query)}  # an older version has fewer tables
        found = {
            table: _one(conn, _query(table, one))
            for table, one in IDENTITY.items()
            if table in there
        }
    finally:
        conn.execute("DETACH other")
    return {table: count for table, count in found.items() if count}


def _query(table: str, column: str) -> str:
    return f"""
        SELECT count(*) FROM other.{table} AS there WHERE NOT EXISTS (
            SELECT 1 FROM main.{table} AS here
            WHERE here.id = there.id AND here.{column} = there.{column}
        )
    """  # noqa: S608 - names of our own tables


def _one(conn: sqlite3.Connection, query: str) -> int:
    return int(conn.execute(query).fetchone()[0])
