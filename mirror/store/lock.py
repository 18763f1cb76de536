"""The write lock of a store: waiting for it, and the process that holds it."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from mirror.core.escaping import escape_name

__all__ = ["begin", "holder"]

_LOG = logging.getLogger(__name__)

QUIET_MS = 1000
"""Milliseconds to wait for another process that writes before a warning is logged."""

_WAL_WRITE_LOCK = 120
"""The byte of the `-shm` file that a writer locks (SQLite's WAL file format, section 2.3)."""
_RESERVED_BYTE = 0x40000001
"""The byte of the database that a writer without a WAL locks."""
_LOCKS = Path("/proc/locks")


def begin(conn: sqlite3.Connection, path: Path | None) -> None:
    """Begin a transaction that writes; wait for the lock up to `busy_timeout`.

    After a second a warning is logged, with the process that holds the lock if it is known.

    Args:
        conn: The store.
        path: Its file; None for memory.

    Raises:
        sqlite3.OperationalError: `SQLITE_BUSY` on timeout.
    """
    (limit,) = conn.execute("PRAGMA busy_timeout").fetchone()
    try:
        conn.execute(f"PRAGMA busy_timeout = {min(limit, QUIET_MS)}")
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if path is None or limit <= QUIET_MS or error.sqlite_errorname != "SQLITE_BUSY":
            raise
        _LOG.warning(
            "waiting for %s, which writes to %s; up to %d s",
            holder(path) or "another process",
            escape_name(str(path)),
            limit // 1000,
        )
        conn.execute(f"PRAGMA busy_timeout = {limit - QUIET_MS}")
        conn.execute("BEGIN IMMEDIATE")
    finally:
        conn.execute(f"PRAGMA busy_timeout = {limit}")


def holder(path: Path) -> str:
    """Return the process that holds the write lock of a store; empty if it is not known.

    Linux lists the locks on files in `/proc/locks` (proc_locks(5)).
    """
    try:
        wanted = {
            _inode(Path(f"{os.path.realpath(path)}-shm")): _WAL_WRITE_LOCK,
            _inode(path): _RESERVED_BYTE,
        }
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return ""
    found = (_pid_of(line.split(), wanted) for line in lines)
    return next((_process_name(pid) for pid in found if pid > 0), "")


def _inode(path: Path) -> str:
    """Return device and inode of a file as `/proc/locks` writes them; empty if it is missing."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return ""
    return f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"


def _pid_of(words: list[str], wanted: dict[str, int]) -> int:
    """Return the process of a line such as `1: POSIX ADVISORY WRITE 7 fe:01:9 120 120`, or 0."""
    if len(words) != 8 or words[3] != "WRITE" or words[5] not in wanted:
        return 0
    byte, first, last = wanted[words[5]], int(words[6]), words[7]
    is_held = first <= byte and (last == "EOF" or byte <= int(last))
    return int(words[4]) if is_held else 0


def _process_name(pid: int) -> str:
    """Return number and program of a process, without arguments: they may hold a password."""
    try:
        program = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({program})"
