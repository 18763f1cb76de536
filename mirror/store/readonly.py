"""Reading a store where nothing may be written beside it.

SQLite's write-ahead log needs a file of shared memory, `-shm`, even to be read
(https://sqlite.org/wal.html, "Read-Only Databases"):

- With `-wal` and `-shm`, a process that may only read them sees all that others commit.
- Without a log, the file alone is the whole store. It is read without locks (`immutable`), and its
  version is compared afterwards: if another process wrote meanwhile, the result may mix two states
  and is not used.
- With a log but without shared memory, committed data cannot be read: `store.unreadable`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from mirror.core.escaping import escape_name
from mirror.errors import StoreError

__all__ = ["BESIDE", "FileVersion", "changed", "file_version", "has_log", "unlocked_version"]

BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""

_TRIES = 5
_PAUSE_S = 0.02
"""The last reader of a log removes its shared memory a moment before the log."""


class FileVersion(NamedTuple):
    """Identity of a file, and when it was last written."""

    device: int
    inode: int
    size: int
    modified_ns: int


def file_version(path: Path) -> FileVersion:
    """Return the version of the file at `path`; raises OSError if it is missing."""
    found = os.stat(path)  # noqa: PTH116 - called for each response of a server: twice as fast
    return FileVersion(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def has_log(path: Path) -> bool:
    """Whether a write-ahead log beside the store may hold what the file lacks."""
    try:
        return os.stat(f"{path}-wal").st_size > 0  # noqa: PTH116
    except OSError:
        return False


def changed(path: Path, version: FileVersion) -> bool:
    """Whether anybody wrote to the store, or replaced it, since the file was of this version."""
    try:
        return has_log(path) or file_version(path) != version
    except OSError:
        return True


def unlocked_version(path: Path, error: sqlite3.Error) -> FileVersion | None:
    """Return the version of a file that can be read without locks now, else None.

    Args:
        path: The store, which could not be opened the usual way.
        error: Why.

    Raises:
        StoreError: `store.unreadable` if its log cannot be read.
    """
    for _ in range(_TRIES):
        version = file_version(path)
        if not has_log(path):
            return version
        if Path(f"{path}-shm").exists():
            return None
        time.sleep(_PAUSE_S)
    raise StoreError(
        "store.unreadable",
        f"committed data is in {path.name}-wal, and to read it a file must be made beside it",
        where=escape_name(str(path)),
        hint="run `mirror status` once as a user who may write to the folder of the store",
    ) from error
