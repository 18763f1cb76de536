"""Writes the tables of an analysis copy to a folder, one file a table: Parquet or JSON Lines.

The folder is written beside its path and renamed when it is complete. Its file `about.json` says
what it is of, and that it may be replaced.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.engine.batching import batched
from mirror.engine.tables.copy import CopyResult, beside, update_copy
from mirror.engine.tables.origin import Origin, opened_copy, require_same_store
from mirror.engine.tables.record_rows import Row
from mirror.engine.tables.schema import TABLES
from mirror.engine.tables.table import Table
from mirror.engine.tables.table_files import Rows, Writer, writer_of
from mirror.errors import OutputError
from mirror.store import Store

__all__ = ["ABOUT", "write_folder"]

ABOUT = "about.json"
"""The file with the origin of the tables."""

_MADE_BY = {"made_by": "mirror tables"}
_ABOUT_BYTES = 1 << 16
"""More than such a file has."""
_BATCH = 5_000
"""Rows that are in memory as Python values, at most."""
_BATCH_CHARACTERS = 1 << 24
"""Characters in them, from which there are fewer."""
_UNCHANGED = "name another folder; nothing was changed in this one"

_Progress = Callable[[int], None]


def write_folder(
    store: Store, folder: Path, form: str, progress: _Progress = lambda _records: None
) -> CopyResult:
    """Write all tables to a folder, from the copy beside the store, which is updated first.

    Args:
        store: The store, a file that is open for writing.
        folder: The folder. An older one of this store is replaced.
        form: `parquet` or `jsonl`.
        progress: Receives numbers of records that were written to the copy.

    Raises:
        OutputError: `output.exists` or `output.refused` if the path is not a folder of such files
            of this store; `output.failed` if it cannot be written; `tables.missing` if the library
            for Parquet is not installed. Otherwise see `update_copy`.
    """
    if store.path is None:
        raise ValueError("a store in memory has no copy beside it")
    writer, copy = writer_of(form), beside(store.path)
    inputs = (store.path, copy)
    with _translate_os_errors(folder):
        target = Path(os.path.realpath(folder))
        _check(store, target, inputs)
        update_copy(store, copy, (store.path,), progress)
        with tempfile.TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".partial"
        ) as work:
            new = Path(work, "new")
            new.mkdir()
            origin = _write(copy, new, writer, form)
            _check(store, target, inputs)
            _rename(new, target, Path(work, "old"))
    return CopyResult(folder, origin, is_new=True, records_changed=origin.records)


def _write(copy: Path, folder: Path, writer: Writer, form: str) -> Origin:
    """Write the files of one version of the copy; return its origin."""
    with opened_copy(copy) as conn:
        conn.execute("BEGIN")
        about = dict(conn.execute("SELECT name, value FROM about"))
        for table in TABLES:
            path = folder / f"{table.name}.{form}"
            writer(path, table, _rows(conn, table), about)
            _sync(path)
    text = json.dumps({**_MADE_BY, **about}, indent=1, ensure_ascii=False) + "\n"
    (folder / ABOUT).write_text(text, "utf-8")
    _sync(folder / ABOUT)
    origin = Origin.parse(about)
    assert origin is not None, "the copy was made by this version"  # noqa: S101
    return origin


def _rows(conn: sqlite3.Connection, table: Table) -> Iterator[Rows]:
    names = ", ".join(one.name for one in table.all_columns)
    order = ", ".join(table.primary_key)
    found = conn.execute(f"SELECT {names} FROM {table.name} ORDER BY {order}")  # noqa: S608
    return batched(found, _BATCH, _characters, _BATCH_CHARACTERS)


def _characters(row: Row) -> int:
    return sum(len(one) for one in row if isinstance(one, str))


# The folder ------------------------------------------------------------------------------------


def _check(store: Store, folder: Path, inputs: tuple[Path, ...]) -> None:
    """Check that a folder may be written: missing, empty, or of this store.

    Raises:
        OutputError: See `write_folder`.
    """
    if folder.exists() and not folder.is_dir():
        raise _error("output.exists", "it is a file, and these tables are a folder", folder)
    if any(Path(os.path.realpath(one)).is_relative_to(folder) for one in inputs):
        raise _error("output.refused", "this command reads a file in it", folder)
    if not folder.exists():
        return
    names = {one.name for one in folder.iterdir()}
    if not names:
        return
    if ABOUT not in names:
        raise _error("output.exists", f"it exists and has no {ABOUT} of such tables", folder)
    about = _read_about(folder)
    if strange := sorted(names - _file_names()):
        message = f"it has a file that `mirror tables` does not write: {strange[0]}"
        raise _error("output.refused", message, folder)
    origin = Origin.parse(about)
    if origin is not None:
        with store.snapshot():
            require_same_store(store, origin, folder)


def _file_names() -> set[str]:
    return {ABOUT} | {f"{one.name}.{form}" for one in TABLES for form in ("parquet", "jsonl")}


def _read_about(folder: Path) -> dict[str, str]:
    """Return the origin that a folder has.

    Raises:
        OutputError: `output.refused` if its file is none of ours.
    """
    with (folder / ABOUT).open("rb") as file:
        content = file.read(_ABOUT_BYTES)
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not _MADE_BY.items() <= found.items():
        raise _error("output.refused", f"its {ABOUT} was not written by `mirror tables`", folder)
    return {name: str(value) for name, value in found.items()}


def _rename(new: Path, target: Path, old: Path) -> None:
    """Give a new folder its name, and the older one another; back again, if that fails."""
    if not target.exists():
        new.rename(target)
        return
    mode = target.stat().st_mode
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise
    target.chmod(mode)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _error(code: str, message: str, folder: Path) -> OutputError:
    return OutputError(code, message, where=str(folder), hint=_UNCHANGED)


@contextmanager
def _translate_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "check the folder, its permissions and the disk"
        reason = error.strerror or str(error)
        raise OutputError("output.failed", reason, where=str(path), hint=hint) from error
