"""The lock under which a process writes an analysis copy, so that only one does at a time.

SQLite's own locks are not enough where a new copy replaces the old one by its name: the rollback
journal of a process that still writes to the old file would be taken for one of the new file
(https://www.sqlite.org/howtocorrupt.html, section 1.4).
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mirror.core.escaping import escape_name

__all__ = ["locked_folder"]

_LOG = logging.getLogger(__name__)


@contextmanager
def locked_folder(path: Path) -> Iterator[bool]:
    """Hold the lock of the folder of a file (flock(2)); wait for it, and log that.

    The block gets whether it holds the lock.

    A folder needs no further file for its lock, and the lock ends with its process. On a file
    system without such locks there is none.

    Args:
        path: The file; a link is followed.
    """
    try:
        folder = os.open(Path(os.path.realpath(path)).parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # writing the file reports it
        yield False
        return
    try:
        yield _is_locked(folder, path)
    finally:
        os.close(folder)


def _is_locked(folder: int, path: Path) -> bool:
    """Lock a folder; return False on a file system without locks."""
    with suppress(OSError):
        _lock(folder, path)
        return True
    return False


def _lock(folder: int, path: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _LOG.warning("waiting for another process, which writes beside %s", escape_name(str(path)))
        fcntl.flock(folder, fcntl.LOCK_EX)
