"""Standard input, which may be closed or unreadable."""

from __future__ import annotations

import sys
from typing import BinaryIO

from mirror.errors import SourceError

__all__ = ["read_standard_input", "standard_input"]


def standard_input() -> BinaryIO:
    """Return standard input.

    Raises:
        SourceError: `source.unreadable` if it is closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise _unreadable("standard input is closed")
    return sys.stdin.buffer


def read_standard_input(limit_bytes: int = -1) -> bytes:
    """Return the content of standard input, at most `limit_bytes` of it; -1 for no limit.

    Raises:
        SourceError: `source.unreadable` if it is closed, a folder, or cannot be read.
    """
    try:
        return standard_input().read(limit_bytes)
    except OSError as error:
        raise _unreadable(error.strerror or str(error)) from error


def _unreadable(reason: str) -> SourceError:
    hint = "give it a file (< FILE) or a pipe"
    return SourceError("source.unreadable", reason, where="-", hint=hint)
