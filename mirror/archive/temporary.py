"""Errors of the temporary folder, which a person must be able to tell from those of a source."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from mirror.errors import SourceError

__all__ = ["naming_temporary_folder", "temporary_error"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Why a write fails where a read cannot."""
_SQLITE_FOLDERS = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 - those that SQLite tries


def temporary_error(error: OSError | sqlite3.Error) -> SourceError | None:
    """Return the error to report if `error` is one of writing a temporary file; else None.

    Args:
        error: Met while a source was read, and its temporary files and databases written.
    """
    if isinstance(error, sqlite3.Error):
        return _error(_sqlite_folder(), str(error))
    if error.errno in _FULL:
        return _error(tempfile.gettempdir(), error.strerror or str(error))
    return None


@contextmanager
def naming_temporary_folder() -> Iterator[None]:
    """Report a full disk within as one of the temporary folder.

    Raises:
        SourceError: `temporary.unwritable`
    """
    try:
        yield
    except OSError as error:
        found = temporary_error(error)
        if found is None:
            raise
        raise found from error


def _error(folder: str, reason: str) -> SourceError:
    message = f"the temporary folder {folder} cannot be written: {reason}"
    hint = "make room there, or set TMPDIR to a folder on a disk that has room"
    return SourceError("temporary.unwritable", message, where=folder, hint=hint)


def _sqlite_folder() -> str:
    """Return where SQLite puts temporary files (https://sqlite.org/tempfiles.html section 5)."""
    named = [os.environ[name] for name in ("SQLITE_TMPDIR", "TMPDIR") if os.environ.get(name)]
    usable = (one for one in (*named, *_SQLITE_FOLDERS) if os.access(one, os.W_OK | os.X_OK))
    return next(usable, named[0] if named else ".")
