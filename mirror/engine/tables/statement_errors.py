"""Errors of a statement of SQL: what is wrong, where in its text, and what to do."""

from __future__ import annotations

import difflib
import re
import sqlite3

from mirror.engine.tables.schema import FULL_TEXT, TABLES
from mirror.errors import QueryError, QueryLimitError

__all__ = ["limit_error", "statement_error"]

_OF_COPY = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB}
)
"""Codes of errors that are no fault of the statement."""
_TOKEN = re.compile(
    r'near "(.+)": syntax error|unrecognized token: "(.+)"'
    r"|(?:no such (?:column|table|function)|ambiguous column name): (.+)",
    re.DOTALL,
)
"""Messages of SQLite that name a part of the statement."""
_MISSING = re.compile(r"no such (column|table): (?:.*\.)?(.+)", re.DOTALL)
_DICTIONARY = 'mirror query "SELECT * FROM dictionary" lists all tables and columns'
_ONE = "run each statement on its own; WITH … AS (…) joins several into one"
_SHOWN = 3

_NAMES = [*(one.name for one in TABLES), FULL_TEXT]
_COLUMNS = {name: [one.name for one in TABLES if name in one.names] for one in TABLES
            for name in one.names}  # fmt: skip
"""Columns, each with the tables that have it."""


def limit_error(reason: str) -> QueryLimitError:
    """Return the error of a statement that exceeds a limit."""
    hint = "the rows so far are not all of them; ask for less, or see --time-limit"
    return QueryLimitError("query.limit", reason, hint=hint)


def statement_error(sql: str, error: Exception) -> Exception:
    """Return the error that a failed statement is reported as.

    Args:
        sql: The statement.
        error: The error of SQLite or of its Python module.

    Returns:
        `query.sql` or `query.limit`; the same error if the copy is at fault.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _OF_COPY:
        return error
    if isinstance(error, MemoryError) or code == sqlite3.SQLITE_NOMEM:
        return limit_error("it needs more memory than there is")
    if code == sqlite3.SQLITE_FULL:
        return limit_error("no room for its temporary files: set TMPDIR to a folder with room")
    if isinstance(error, sqlite3.DataError):  # SQLITE_TOOBIG has no code there before Python 3.13
        return limit_error(f"a value or the statement is too large: {error}")
    message = str(error)
    return QueryError("query.sql", message, where=_place(sql, message), hint=_hint(message))


def _place(sql: str, message: str) -> str:
    """Return line and column of the part that a message names, if it occurs once."""
    match = _TOKEN.fullmatch(message)
    token = next(filter(None, match.groups()), "") if match else ""
    if not token or sql.count(token) != 1:
        return ""
    before = sql[: sql.index(token)]
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _hint(message: str) -> str:
    match = _MISSING.fullmatch(message)
    if match is not None:
        return _near_names(match[1], match[2])
    if "one statement" in message:
        return _ONE
    if "decode to UTF-8" in message:
        return "a value is no text in UTF-8: show it with hex()"
    if "binding" in message.lower():
        return "give each :NAME in the statement with --param NAME=VALUE"
    return _DICTIONARY


def _near_names(kind: str, name: str) -> str:
    """Return a hint with the names that are like one that does not exist."""
    if kind == "table":
        near = difflib.get_close_matches(name, _NAMES, _SHOWN, cutoff=0.5)
        return (
            f"{'did you mean ' if near else 'tables: '}{', '.join(near or _NAMES)}; {_DICTIONARY}"
        )
    near = [name] if name in _COLUMNS else difflib.get_close_matches(name, _COLUMNS, _SHOWN)
    found = [f"{one} ({', '.join(_COLUMNS[one][:_SHOWN])})" for one in near]
    return f"columns like it: {', '.join(found)}; {_DICTIONARY}" if found else _DICTIONARY
