"""Makes an analysis copy of a store, and brings it up to date.

A copy is a SQLite file with the tables of `schema.py`. A new one is written beside its path and
renamed when it is complete; an existing one is changed in one transaction. So an interrupted run
leaves the old copy whole.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mirror.engine.atomic_file import OutputFile
from mirror.engine.process_pool import StoreTask
from mirror.engine.states.root import update_root
from mirror.engine.tables.citing import resolve_citations
from mirror.engine.tables.folder_lock import locked_folder
from mirror.engine.tables.native_rows import native_tables
from mirror.engine.tables.origin import (
    APPLICATION_ID,
    Origin,
    damaged_copy,
    is_copy,
    opened_copy,
    read_origin,
    require_same_store,
)
from mirror.engine.tables.parts import PAGE_BYTES, PartTask, add_part, write_part, write_records
from mirror.engine.tables.schema import (
    FULL_TEXT,
    OF_RECORDS,
    TABLES,
    create_statements,
    dictionary_rows,
    index_statements,
)
from mirror.engine.tables.store_rows import add_upstream_statements, replace_findings, replace_keys
from mirror.engine.tables.unfinished_files import (
    UNFINISHED_SUFFIX,
    remove_unfinished,
    unfinished_prefix,
)
from mirror.engine.thread_pool import map_in_order
from mirror.errors import OutputError, StoreError
from mirror.store import Store

__all__ = ["CopyResult", "beside", "update_copy"]

_PART_RECORDS = 1_000
"""Records whose rows are written together."""
_FEW_PARTS = 4
"""For up to so many parts, no process and no thread is started."""
_FEW_CHANGED = 4_000
_MOST_CHANGED = 0.3
"""Share of changed records from which making a new copy is faster."""
_CACHE_KIB = 16 * 1024
_ROWS_ANALYZED = 1_000
"""Rows of each index from which SQLite estimates how selective it is."""

_Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """A copy, and how it was brought up to date."""

    path: Path
    origin: Origin
    is_new: bool
    """Whether all of it was written."""
    records_changed: int
    """Records whose rows were written."""


def beside(path: Path) -> Path:
    """Return the path of the copy that `mirror query` keeps beside a store."""
    return path.with_name(f"{path.stem}.tables{path.suffix}")


def update_copy(
    store: Store,
    path: Path,
    inputs: tuple[Path, ...] = (),
    progress: _Progress = lambda _records: None,
) -> CopyResult:
    """Make an analysis copy of a store, or bring the one at a path up to date.

    The states of the store are updated first.

    Args:
        store: The store, open for writing.
        path: The copy.
        inputs: Files that this run reads, which are never replaced.
        progress: Receives numbers of records whose rows were written.

    Raises:
        OutputError: `output.exists` or `output.refused` if the file is no copy of this store;
            `output.failed` if it cannot be written.
        SourceError: `tables.damaged` or `tables.busy` if the existing copy cannot be read.
        StoreError: `store.behind` if a merge goes on.
        sqlite3.Error: Of the store; `open_store` gives it a code.
        CorruptStoreError: `store.damaged`
    """
    found = _unchanged(store, path, inputs)
    if found is not None:
        return found
    with locked_folder(path) as is_locked:
        if is_locked:
            remove_unfinished(path)
        return _unchanged(store, path, inputs) or _change(store, path, inputs, progress)


def _unchanged(store: Store, path: Path, inputs: tuple[Path, ...]) -> CopyResult | None:
    """Return the result for a copy that is up to date; None for any other, or none."""
    update_root(store)
    before = _checked_origin(store, path, inputs)
    if before is None:
        return None
    with store.snapshot():
        if before.is_current(Origin.of(store)):
            return CopyResult(path, before, is_new=False, records_changed=0)
    return None


def _change(store: Store, path: Path, inputs: tuple[Path, ...], progress: _Progress) -> CopyResult:
    before = _checked_origin(store, path, inputs)
    if before is not None:
        with store.snapshot():
            now = Origin.of(store)
            with opened_copy(path) as conn:
                changed = _changed(store, before, conn)
            if changed is not None and len(changed) <= _few(before.records):
                with _transaction(path) as conn:
                    _replace_records(conn, store, changed)
                    _write_store_tables(conn, store, before, now)
                progress(len(changed))
                return CopyResult(path, now, is_new=False, records_changed=len(changed))
    return _make(store, path, inputs, progress)


def _checked_origin(store: Store, path: Path, inputs: tuple[Path, ...]) -> Origin | None:
    """Return the origin of an existing copy of this store; None for none, or an outdated one.

    Raises:
        OutputError, SourceError: See `update_copy`.
    """
    if not is_copy(path):
        OutputFile(path, inputs=inputs).check()
        _require_no_journal(path)
        return None
    origin = read_origin(path)
    if origin is not None:
        with store.snapshot():
            require_same_store(store, origin, path)
    return origin


def _require_no_journal(path: Path) -> None:
    """Refuse a path where SQLite would take an old journal for one of the new file."""
    journal = Path(f"{path}-journal")
    if journal.exists():
        message = f"beside it is {journal.name}, the journal of a file that is gone"
        hint = "delete the journal, or name another file"
        raise OutputError("output.refused", message, where=str(path), hint=hint)


def _few(records: int) -> float:
    """Return up to how many changed records an update is faster than a new copy."""
    return _MOST_CHANGED * records + _FEW_CHANGED


# A new copy ------------------------------------------------------------------------------------


def _make(store: Store, path: Path, inputs: tuple[Path, ...], progress: _Progress) -> CopyResult:
    out = OutputFile(path, force=True, inputs=inputs, may_replace=frozenset({APPLICATION_ID}))
    with out.open() as file, _opened(Path(file.name), _NEW) as conn:
        for statement in create_statements():
            conn.execute(statement)
        with store.snapshot():
            start, record_ids = Origin.of(store), array("q", store.records.in_number_order())
        _add_records(conn, store, record_ids, path, progress)
        for statement in index_statements():
            conn.execute(statement)
        conn.execute(f"INSERT INTO {FULL_TEXT} ({FULL_TEXT}) VALUES ('rebuild')")  # noqa: S608
        resolve_citations(conn, only_changed=False)
        now = _catch_up(conn, store, start, path)
        conn.executemany(_DICTIONARY_INSERT, dictionary_rows())
        conn.execute(f"PRAGMA analysis_limit = {_ROWS_ANALYZED}")
        conn.execute("ANALYZE")
    return CopyResult(path, now, is_new=True, records_changed=len(record_ids))


def _add_records(
    conn: sqlite3.Connection,
    store: Store,
    record_ids: array[int],
    path: Path,
    progress: _Progress,
) -> None:
    """Write the rows of all records: parts of them on every core, which are added."""
    if store.path is None or len(record_ids) <= _PART_RECORDS:
        with store.snapshot():
            write_records(conn, store, record_ids)
        progress(len(record_ids))
        return
    target = Path(os.path.realpath(path))
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=unfinished_prefix(target.name), suffix=UNFINISHED_SUFFIX
    ) as folder:
        tasks = (
            PartTask(record_ids[first : first + _PART_RECORDS], Path(folder, str(first)))
            for first in range(0, len(record_ids), _PART_RECORDS)
        )
        with StoreTask(store.path, partial(write_part, native_tables())) as work:
            for part in map_in_order(tasks, work, few=_FEW_PARTS):
                add_part(conn, part.path)
                progress(len(part.record_ids))


def _catch_up(conn: sqlite3.Connection, store: Store, start: Origin, path: Path) -> Origin:
    """Write again what changed while the parts were made, each from a snapshot of its own.

    Raises:
        StoreError: `store.behind` if trusted keys, or the rules, changed meanwhile.
    """
    update_root(store)
    with store.snapshot():
        now, changed = Origin.of(store), _changed(store, start, conn)
        if changed is None:
            message = "the trusted keys changed while the store was read"
            hint = "run the command again"
            raise StoreError("store.behind", message, where=str(path), hint=hint)
        _replace_records(conn, store, changed)
        _write_store_tables(conn, store, None, now)
    return now


# Changes ---------------------------------------------------------------------------------------


def _changed(store: Store, before: Origin, conn: sqlite3.Connection) -> set[int] | None:
    """Return the ids of records that changed since a copy was made; None if any may have.

    A change of trust, of the rules or of the quarantine may change any record.
    """
    if before.version.differs_by_more_than_arrivals(store.version()):
        return None
    query = "SELECT record_id FROM arrival NOT INDEXED WHERE id > ?"
    changed = {one for (one,) in store.connection.execute(query, (before.last_arrival,))}
    changed |= _checked(store, before, conn)
    named = store.storage_checks.since(before.last_storage_check)
    named |= {*store.paper_texts.changed_since(before.last_paper_text)}
    changed |= {one for one in map(store.records.numbered, named) if one is not None}
    return changed


def _checked(store: Store, before: Origin, conn: sqlite3.Connection) -> set[int]:
    """Return the ids of records whose time-stamps have other results than in a copy."""
    if store.anchors.checksum == before.anchors:
        return set()
    now = {(*check,): record_id for record_id, *check in store.anchors.checks()}
    query = """
        SELECT event_id, check_status, checked_at, pith_number FROM timestamps
        WHERE check_status IS NOT NULL
    """
    copied = {(*check,): number for *check, number in conn.execute(query)}
    gone = (store.records.numbered(copied[one]) for one in copied.keys() - now.keys())
    changed = {now[one] for one in now.keys() - copied.keys()}
    return changed | {one for one in gone if one is not None}


def _replace_records(conn: sqlite3.Connection, store: Store, changed: set[int]) -> None:
    """Write the rows of changed records in place of the old ones."""
    if not changed:
        return
    conn.execute("CREATE TEMP TABLE changed (pith_number TEXT PRIMARY KEY) WITHOUT ROWID")
    numbers = ((store.records.get(one).pith_number,) for one in sorted(changed))
    conn.executemany("INSERT INTO changed VALUES (?)", numbers)
    conn.execute(_FORGET_WORDS)
    for table in reversed(OF_RECORDS):
        conn.execute(f"DELETE FROM {table.name} WHERE {_IS_CHANGED}")  # noqa: S608
    write_records(conn, store, sorted(changed))
    conn.execute(_ADD_WORDS)
    resolve_citations(conn, only_changed=True)


def _write_store_tables(
    conn: sqlite3.Connection, store: Store, before: Origin | None, now: Origin
) -> None:
    """Bring the tables of the whole store up to date; `changed` has the changed records."""
    replace_findings(conn, store)
    replace_keys(conn, store)
    add_upstream_statements(conn, store, 0 if before is None else before.last_upstream_statement)
    conn.execute("DELETE FROM about")
    conn.executemany("INSERT INTO about VALUES (?, ?)", now.rows())


_IS_CHANGED = "pith_number IN (SELECT pith_number FROM changed)"
_FORGET_WORDS = f"""
    INSERT INTO {FULL_TEXT} ({FULL_TEXT}, rowid, text)
    SELECT 'delete', id, text FROM texts WHERE {_IS_CHANGED}
"""  # noqa: S608
_ADD_WORDS = f"""
    INSERT INTO {FULL_TEXT} (rowid, text) SELECT id, text FROM texts WHERE {_IS_CHANGED}
"""  # noqa: S608
_DICTIONARY_INSERT = next(one.insert for one in TABLES if one.name == "dictionary")

# The file --------------------------------------------------------------------------------------

_NEW = f"""
    PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA page_size = {PAGE_BYTES};
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA application_id = {APPLICATION_ID}
"""
"""A new file is thrown away if it is not finished."""
_BUSY_MS = 30_000


class _CopyFileError(Exception):
    """An error of SQLite in the copy; one in the store passes as it is."""


class _CopyConnection(sqlite3.Connection):
    """A connection to the copy whose errors differ from those of the store."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as error:
            raise _CopyFileError from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Execute a statement for each of some rows, which may be read from the store."""
        of_rows: list[sqlite3.Error] = []
        try:
            return super().executemany(sql, _watched(parameters, of_rows))
        except sqlite3.Error as error:
            if error in of_rows:
                raise
            raise _CopyFileError from error


def _watched(rows: Iterable[Any], errors: list[sqlite3.Error]) -> Iterator[Any]:
    try:
        yield from rows
    except sqlite3.Error as error:
        errors.append(error)
        raise


@contextmanager
def _opened(path: Path, settings: str) -> Iterator[sqlite3.Connection]:
    """Open a copy for writing.

    Raises:
        OutputError: `output.failed` if it cannot be written.
        SourceError: `tables.damaged`
        sqlite3.Error: Of the store.
    """
    with _copy_errors(path), closing(_connect(path)) as conn:
        for setting in settings.split(";"):
            conn.execute(setting)
        yield conn


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, isolation_level=None, factory=_CopyConnection)
    except sqlite3.Error as error:
        raise _CopyFileError from error


@contextmanager
def _copy_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _CopyFileError as fault:
        error = fault.__cause__
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise damaged_copy(path, str(error)) from error
        hint = "check the folder, its permissions and the disk; nothing was changed"
        if code == sqlite3.SQLITE_BUSY:
            hint = "another process reads it for a long time: wait for its end; nothing was changed"
        raise OutputError("output.failed", str(error), where=str(path), hint=hint) from error


@contextmanager
def _transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing copy; commit all writes of the block, or none."""
    with _opened(
        path, f"PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA busy_timeout = {_BUSY_MS}"
    ) as conn:
        conn.execute("BEGIN IMMEDIATE")
        yield conn
        conn.execute("COMMIT")
