"""Numbered migrations: each runs once, in a transaction with its own record.

sqlite-utils runs them. Only a store that is new or of an older version needs them, so this module
is imported for such a store alone. sqlite-utils is loaded without the libraries for data frames
that it imports where they are installed: they take 0.4 seconds.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mirror.store.commits import Commits
from mirror.store.schema import (
    APPLICATION_ID,
    MIGRATION_SET,
    is_current,
    is_empty,
    statements,
)

__all__ = ["migrate"]

_FRAMES = ("numpy", "pandas")


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Make modules unavailable to imports, except those that are loaded or being loaded."""
    absent = [] if "distributed" in sys.modules else [n for n in names if n not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment] # importlib's mark: not to be found
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _without(_FRAMES):
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

_MIGRATIONS = Migrations(MIGRATION_SET)


def _execute(db: Database, migration: str) -> None:
    for statement in statements(migration):
        db.conn.execute(statement)


@_MIGRATIONS()
def m0001_initial_schema(db: Database) -> None:
    """Make all tables."""
    _execute(db, "m0001_initial_schema")


@_MIGRATIONS()
def m0002_evidence_in_time(db: Database) -> None:
    """Make the tables for evidence in time; earlier arrivals count as known when their run began.

    The time when they were stored is not known.
    """
    _execute(db, "m0002_evidence_in_time")
    Commits(db.conn).add_earlier()


@_MIGRATIONS()
def m0003_paper_texts(db: Database) -> None:
    """Make the table of proved titles and abstracts; the search index includes them."""
    _execute(db, "m0003_paper_texts")


def migrate(conn: sqlite3.Connection) -> None:
    """Bring a store, new or old, to this version's schema, in one transaction.

    Raises:
        SchemaVersionError: If the file is another program's, a newer version's, or of a version
            before the first release.
    """
    conn.execute("BEGIN IMMEDIATE")
    try:
        if is_empty(conn):  # still, now that no other process can be making it
            conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        is_current(conn)  # raises for a store of another version
        _MIGRATIONS.apply(Database(conn, execute_plugins=False))
    except BaseException:
        conn.rollback()
        raise
    conn.commit()
