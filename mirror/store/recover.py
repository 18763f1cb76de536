"""Recovery of the readable rows of a file that SQLite finds corrupt, into a new file.

Readable rows are copied unchanged; a check afterwards compares their checksums. The corrupt file is
renamed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mirror.core.keys import BUILT_IN
from mirror.store.authorities import AuthorityLog
from mirror.store.copy import IDENTITY
from mirror.store.store import open_store
from mirror.store.trust_log import TrustLog
from mirror.store.write_ahead_log import move_aside

__all__ = ["TABLES", "recover"]

TABLES = (*IDENTITY, "acknowledged_finding")
"""The tables of facts."""


def recover(path: Path, aside: Path) -> None:
    """Put a new store with the readable facts of `path` in its place; the old one goes to `aside`.

    No other process may have the store open.

    Raises:
        StoreError: If not even its tables can be read.
    """
    fresh = path.with_name(f".{path.name}.recovered")
    _remove(fresh)
    with open_store(fresh):
        pass
    target = sqlite3.connect(fresh, isolation_level=None)
    # Read-only: a writer would checkpoint the log into the file on closing, and both are kept.
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    source.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        target.execute("PRAGMA foreign_keys = OFF")
        target.execute("BEGIN")
        for table in TABLES:
            _copy(source, target, table)
        # Which keys and authorities a lost line removed is not known (K2).
        if not _is_whole(source, "trust", TrustLog(source)):
            TrustLog(target).append("remove", [BUILT_IN], _now())
        if not _is_whole(source, "timestamp_authority", AuthorityLog(source)):
            AuthorityLog(target).distrust_all(_now())
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        source.close()
        target.close()
    move_aside(path, aside)
    fresh.replace(path)
    _remove(fresh)


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _is_whole(source: sqlite3.Connection, table: str, log: TrustLog | AuthorityLog) -> bool:
    try:
        source.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
        return not log.is_truncated()
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> None:
    for row in _readable(source, table):
        places = ", ".join("?" * len(row))
        _insert(target, f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)  # noqa: S608


def _insert(target: sqlite3.Connection, query: str, row: tuple[object, ...]) -> None:
    try:
        target.execute(query, row)
    except sqlite3.IntegrityError:
        return  # a column was lost: the row counts as unreadable


def _readable(source: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    """Yield the readable rows, skipping those that are not."""
    after, step = -1, 1  # the first block header has the id 0
    while after < _last_id(source, table):
        query = f"SELECT * FROM {table} WHERE id > ? ORDER BY id"  # noqa: S608
        try:
            for row in source.execute(query, (after,)):
                after, step = row[0], 1
                yield row
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            after, step = after + step, step * 2
        else:
            return


def _last_id(source: sqlite3.Connection, table: str) -> int:
    try:
        query = f"SELECT coalesce(max(id), 0) FROM {table}"  # noqa: S608
        return int(source.execute(query).fetchone()[0])
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return 1 << 40  # not known; the steps double, so the end is soon reached
