"""Writes the rows of records into tables: straight into a copy, or into a part of it.

Processes, or threads with the native engine, write parts, which are then added to the copy without
passing through Python.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mirror.engine.batching import batched
from mirror.engine.tables.native_rows import NativeTables, fill_citing
from mirror.engine.tables.record_extras import last_checks, proved_texts
from mirror.engine.tables.record_rows import RecordExtras, rows_of
from mirror.engine.tables.schema import OF_RECORDS
from mirror.engine.thread_pool import few_collections
from mirror.store import Store
from mirror.store.whole_records import WholeRecord, whole_records

__all__ = ["BATCH_RECORDS", "PAGE_BYTES", "PartTask", "add_part", "write_part", "write_records"]

BATCH_RECORDS = 250
"""Records that are in memory together."""

PAGE_BYTES = 16 * 1024
"""Larger pages than usual take less time to fill."""

_UNSAFE = f"""
    PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
"""
"""For files that are thrown away if they are not finished."""


class PartTask(NamedTuple):
    """Records whose rows are written together."""

    record_ids: array[int]
    path: Path
    """The new file for them."""


def write_part(native: NativeTables | None, store: Store, task: PartTask) -> PartTask:
    """Write the rows of records to a new file; return the task.

    Args:
        native: The native engine, if it is used.
        store: The store.
        task: The records and the file.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    left = task.record_ids
    if native is not None:
        left = native.write(store, task.record_ids, task.path)
    with closing(sqlite3.connect(task.path, isolation_level=None)) as conn:
        conn.executescript(f"{_UNSAFE} BEGIN;")
        if native is not None:
            fill_citing(conn)
        else:
            for table in OF_RECORDS:
                conn.execute(table.create_part)
        write_records(conn, store, left)
        conn.execute("COMMIT")
    return task


def add_part(conn: sqlite3.Connection, path: Path) -> None:
    """Add the rows of a part to a copy, and delete the part."""
    conn.execute("ATTACH ? AS part", (str(path),))
    conn.execute("BEGIN")
    for table in OF_RECORDS:
        conn.execute(table.add_part)
    conn.execute("COMMIT")
    conn.execute("DETACH part")
    path.unlink()


def write_records(conn: sqlite3.Connection, store: Store, record_ids: Sequence[int]) -> None:
    """Add the rows of records to tables that have none of them.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    keys = store.trust_log.ever_trusted()
    inserts = {table.name: table.insert for table in OF_RECORDS}
    with few_collections():
        for batch in batched(record_ids, BATCH_RECORDS):
            records = list(whole_records(store.connection, batch))
            for name, rows in rows_of(records, keys, _extras(store, records)).items():
                conn.executemany(inserts[name], rows)


def _extras(store: Store, records: list[WholeRecord]) -> RecordExtras:
    """Return what is known about records beside facts and states."""
    by_number = {one.record.pith_number: one.record for one in records}
    numbers = {one.id: one.record.pith_number for one in records}
    return RecordExtras(
        proved_texts(store, by_number, by_number.__getitem__), last_checks(store, numbers)
    )
