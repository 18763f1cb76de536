"""Reads the figures of an analysis copy, in bounded time, and never writes to it.

The copy is a file that anybody who may write the folder can replace. Whatever is wrong with it is
an `UnreadableCopyError` with one of a few reasons.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path

from mirror.engine.figures.numbers import Figures
from mirror.engine.figures.queries import figures_in
from mirror.engine.tables.origin import is_copy, origin_in

__all__ = ["CopyFault", "UnreadableCopyError", "read_figures"]

_STEPS = 20_000
"""Steps of SQLite's virtual machine between two looks at the clock: some hundred microseconds."""
_BUSY_MS = 500
"""How long a reading waits for a writer that is about to commit."""

_LOCKED = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
"""Primary result codes of a copy that is being written, or whose writer was killed."""


class CopyFault(StrEnum):
    """Reasons why figures cannot be read from a copy."""

    ABSENT = "absent"
    """There is no file."""
    FOREIGN = "foreign"
    """The file is no analysis copy, or one of another store."""
    OUTDATED = "outdated"
    """Another version of this program made it."""
    LOCKED = "locked"
    """It is being written, or its writer was killed."""
    SLOW = "slow"
    """Its numbers take longer to count than a request may."""
    CANCELLED = "cancelled"
    """Nobody waits for them any more."""
    DAMAGED = "damaged"
    """It cannot be read."""


class UnreadableCopyError(Exception):
    """No figures can be read from a copy."""

    def __init__(self, fault: CopyFault, message: str = "") -> None:
        super().__init__(message or fault)
        self.fault = fault


def read_figures(
    path: Path,
    most_s: float | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Figures:
    """Return the numbers of all figures from one version of a copy.

    Args:
        path: The copy.
        most_s: Most seconds that the queries may take together; None for no limit.
        is_cancelled: Asked now and then; stops the queries.

    Raises:
        UnreadableCopyError: If there are none.
    """
    if not is_copy(path):
        raise UnreadableCopyError(CopyFault.FOREIGN if path.exists() else CopyFault.ABSENT)
    ends_at = None if most_s is None else time.monotonic() + most_s

    def is_late() -> bool:
        return ends_at is not None and time.monotonic() > ends_at

    with _faults_translated(is_late), closing(_opened(path)) as conn:
        conn.set_progress_handler(lambda: is_late() or is_cancelled(), _STEPS)
        conn.execute("BEGIN")
        origin = origin_in(conn)
        if origin is None:
            raise UnreadableCopyError(CopyFault.OUTDATED)
        return figures_in(conn, origin)


def _opened(path: Path) -> sqlite3.Connection:
    """Open a copy, without rolling back what a killed process left: that would write to it."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    conn = sqlite3.connect(uri, uri=True, isolation_level=None)
    conn.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    conn.execute("PRAGMA trusted_schema = OFF")  # what its schema calls must be harmless
    return conn


@contextmanager
def _faults_translated(is_late: Callable[[], bool]) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            fault = CopyFault.SLOW if is_late() else CopyFault.CANCELLED
        else:
            fault = CopyFault.LOCKED if code in _LOCKED else CopyFault.DAMAGED
        raise UnreadableCopyError(fault, str(error)) from error
    except (ValueError, TypeError, ArithmeticError) as error:  # values that no run wrote
        raise UnreadableCopyError(CopyFault.DAMAGED, str(error)) from error
