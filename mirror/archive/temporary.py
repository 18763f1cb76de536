"""Errors of the temporary folder, reported apart from errors of a source."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from mirror.errors import SourceError

__all__ = ["temporary_error", "translate_temporary_errors"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of writing, never of reading."""
_SQLITE_FOLDERS = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 - the folders SQLite tries


def temporary_error(error: OSError | sqlite3.Error) -> SourceError | None:
    """Return the error to report if writing a temporary file caused `error`; else None.

    Args:
        error: Raised while reading a source and writing temporary files and databases.
    """
    if isinstance(error, sqlite3.Error):
        return _error(_sqlite_folder(), str(error))
    if error.errno in _FULL:
        return _error(tempfile.gettempdir(), error.strerror or str(error))
    return None


@contextmanager
def translate_temporary_errors() -> Iterator[None]:
    """Convert the error of a full disk to one that names the temporary folder.

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
    hint = "free space there, or set TMPDIR to a folder on a disk with free space"
    return SourceError("temporary.unwritable", message, where=folder, hint=hint)


def _sqlite_folder() -> str:
    """Return SQLite's folder for temporary files (https://sqlite.org/tempfiles.html section 5)."""
    named = [os.environ[name] for name in ("SQLITE_TMPDIR", "TMPDIR") if os.environ.get(name)]
    usable = (one for one in (*named, *_SQLITE_FOLDERS) if os.access(one, os.W_OK | os.X_OK))
    return next(usable, named[0] if named else ".")
