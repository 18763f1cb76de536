"""Runs one statement of SQL on an analysis copy: it can only read, and its work is limited.

SQLite asks before it compiles an action (https://www.sqlite.org/c3ref/set_authorizer.html): only
reading is allowed. Limits of SQLite bound the size of values and statements, and a statement that
runs for too long is interrupted.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from mirror.core.escaping import escape_name
from mirror.engine.tables.origin import Origin, is_copy, opened_copy, origin_in
from mirror.engine.tables.statement_errors import limit_error, statement_error
from mirror.errors import QueryError, SourceError

__all__ = ["VALUE_BYTES", "Cell", "CopyReader", "QueryRows", "Statement", "open_copy"]

Cell: TypeAlias = str | int | float | bytes | None
"""A value of a row."""

VALUE_BYTES = 64 << 20
"""Bytes of the largest value or row."""
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 20,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
"""Limits of one connection: https://www.sqlite.org/limits.html."""
_CACHE_KIB = 64 * 1024
_STEPS_BETWEEN_CALLS = 10_000

_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_PRAGMA = sqlite3.SQLITE_PRAGMA
_BY_VIRTUAL_TABLES = frozenset(
    {(_PRAGMA, "data_version"), (sqlite3.SQLITE_UPDATE, "sqlite_master")}
)
"""SQLite asks for these while it declares a virtual table. Neither can be used to write: the pragma
only without a value, and the schema cannot be updated at all."""
_UNSAFE_FUNCTIONS = frozenset(
    {"load_extension", "fts3_tokenizer", "readfile", "writefile", "fsdir", "edit"}
)
"""Functions that load code, take addresses or touch files, in some builds of SQLite."""
_ACTIONS = {
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DELETE: "DELETE",
    sqlite3.SQLITE_INSERT: "INSERT",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_SAVEPOINT: "SAVEPOINT",
    sqlite3.SQLITE_TRANSACTION: "a transaction",
    sqlite3.SQLITE_UPDATE: "UPDATE",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT, VALUES or EXPLAIN."""

    sql: str
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    """Values of its parameters, by name without the colon."""
    time_limit_s: float = 60.0
    """Seconds that SQLite may work on it; waiting for the reader of rows does not count."""


@contextmanager
def open_copy(path: Path) -> Iterator[CopyReader]:
    """Open an analysis copy for reading; all answers are of one version of it.

    Raises:
        SourceError: `tables.absent`, `tables.version`, `tables.damaged` or `tables.busy`.
    """
    where, hint = escape_name(str(path)), "run the command without --no-refresh"
    if not is_copy(path):
        raise SourceError("tables.absent", "there are no tables here", where=where, hint=hint)
    with opened_copy(path) as conn:
        conn.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        conn.execute("PRAGMA cell_size_check = ON")
        conn.execute("PRAGMA query_only = ON")
        conn.execute("PRAGMA trusted_schema = OFF")  # what its schema calls must be harmless
        conn.execute("BEGIN")
        origin = origin_in(conn)
        if origin is None:
            message = "another version of mirror made these tables"
            raise SourceError("tables.version", message, where=where, hint=hint)
        for category, limit in _LIMITS.items():
            conn.setlimit(category, limit)
        yield CopyReader(conn, origin)


class WorkClock:
    """Counts the time that SQLite works on a statement, and knows its limit."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._used_s = 0.0
        self._started: float | None = None
        """When the work that goes on now began."""

    def start(self) -> None:
        """Work begins."""
        self._started = time.monotonic()

    def stop(self) -> None:
        """Work ends."""
        if self._started is not None:
            self._used_s += time.monotonic() - self._started
        self._started = None

    def overdue_s(self) -> float:
        """Return for how many seconds SQLite has been working beyond the limit; 0 at rest."""
        started = self._started
        if started is None:
            return 0.0
        return max(0.0, self._used_s + time.monotonic() - started - self.limit_s)


class CopyReader:
    """An open analysis copy."""

    def __init__(self, conn: sqlite3.Connection, origin: Origin) -> None:
        """Use `open_copy`."""
        self._conn = conn
        self.origin = origin
        """The version of the store that it has."""
        self._clock = WorkClock(0)

    def overdue_s(self) -> float:
        """Return for how many seconds the last statement has been at work beyond its limit.

        SQLite is interrupted between two of its steps. One step, such as a search in a large value,
        can take long: then only the end of the process helps.
        """
        return self._clock.overdue_s()

    def run(self, statement: Statement) -> QueryRows:
        """Run a statement.

        Raises:
            QueryError: `query.sql`, or `query.denied` if it would do more than read.
            QueryLimitError: `query.limit`, also while its rows are read.
        """
        self._clock = WorkClock(statement.time_limit_s)
        return QueryRows(self._conn, statement, self._clock)


class QueryRows(Iterator[tuple[Cell, ...]]):
    """The rows of a statement, read one by one."""

    columns: tuple[str, ...]
    """Their names, each once: a second `a` is `a_2`."""

    def __init__(self, conn: sqlite3.Connection, statement: Statement, clock: WorkClock) -> None:
        """Use `CopyReader.run`."""
        self._statement = statement
        self._clock = clock
        self._denied = ""
        conn.set_authorizer(self._authorize)
        conn.set_progress_handler(self._is_over, _STEPS_BETWEEN_CALLS)
        clock.start()
        try:
            self._cursor = conn.execute(statement.sql, dict(statement.parameters))
        except _ERRORS as error:
            raise self._translated(error) from error
        finally:
            clock.stop()
        if self._cursor.description is None:
            hint = 'give one SELECT: mirror query "SELECT * FROM dictionary"'
            raise QueryError("query.sql", "there is no statement that gives rows", hint=hint)
        self.columns = _distinct([one[0] for one in self._cursor.description])

    def __next__(self) -> tuple[Cell, ...]:
        """Return the next row.

        Raises:
            QueryError: As `CopyReader.run`.
        """
        self._clock.start()
        try:
            row: tuple[Cell, ...] | None = next(self._cursor, None)
        except _ERRORS as error:
            raise self._translated(error) from error
        finally:
            self._clock.stop()
        if row is None:
            raise StopIteration
        return row

    def _is_over(self) -> bool:
        return self._clock.overdue_s() > 0

    def _authorize(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        """Allow what reads, and what table-valued functions and full-text search need."""
        is_own = (action, first) in _BY_VIRTUAL_TABLES and (second is None or action != _PRAGMA)
        if action in _READING or is_own:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            if str(second).lower() not in _UNSAFE_FUNCTIONS:
                return sqlite3.SQLITE_OK
            self._denied = self._denied or f"the function {second}"
        self._denied = self._denied or _ACTIONS.get(action, "a change")
        return sqlite3.SQLITE_DENY

    def _translated(self, error: Exception) -> BaseException:
        """Return the error of a statement; of a damaged copy the same one, for `opened_copy`."""
        code = getattr(error, "sqlite_errorcode", 0)
        if self._denied:
            message = f"the statement would do more than read tables: {self._denied}"
            return QueryError("query.denied", message, hint="give one SELECT")
        if code == sqlite3.SQLITE_INTERRUPT and not self._is_over():
            return KeyboardInterrupt()  # which the progress handler cannot raise itself
        if code == sqlite3.SQLITE_INTERRUPT:
            return limit_error(f"it ran for more than {self._statement.time_limit_s:g} seconds")
        return statement_error(self._statement.sql, error)


_ERRORS = (sqlite3.Error, sqlite3.Warning, MemoryError, ValueError)
"""Errors of running a statement; `ValueError` if its text cannot be encoded."""


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Return names, each once."""
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        free = (one for one in numbered if one not in found and one not in names)
        found.append(next(free) if name in found else name)
    return tuple(found)
