"""Files of analysis copies that were not finished: a killed process leaves them beside the copy."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from mirror.engine.tables.origin import is_copy

__all__ = ["UNFINISHED_SUFFIX", "remove_unfinished", "unfinished_prefix"]

UNFINISHED_SUFFIX = ".partial"
_NAME_CHARACTERS = 40


def unfinished_prefix(name: str) -> str:
    """Return how the names of unfinished files of a copy begin; `OutputFile` names them so."""
    return f".{name[:_NAME_CHARACTERS]}."


def remove_unfinished(path: Path) -> None:
    """Delete what killed processes left beside a copy: unfinished copies and folders of parts.

    Call it only under the lock of the folder, so that none of them is in use. Any other file, and
    what cannot be deleted, stays.
    """
    target = Path(os.path.realpath(path))
    prefix = re.escape(unfinished_prefix(target.name))
    named = re.compile(f"{prefix}[a-z0-9_]{{8}}{re.escape(UNFINISHED_SUFFIX)}")
    with suppress(OSError):
        for one in [*target.parent.iterdir()]:
            if named.fullmatch(one.name) and not one.is_symlink():
                _remove(one)


def _remove(path: Path) -> None:
    if is_copy(path):
        path.unlink(missing_ok=True)
    elif path.is_dir() and all(one.name.isdecimal() for one in path.iterdir()):
        shutil.rmtree(path, ignore_errors=True)
