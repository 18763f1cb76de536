"""Writes the rows of records into tables: straight into a copy, or into a part of it.

Processes write parts, which are then added to the copy without passing through Python.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mirror.engine.batching import batched
from mirror.engine.tables.record_rows import RecordExtras, StoredCheck, rows_of
from mirror.engine.tables.schema import OF_RECORDS, create_statements
from mirror.engine.tables.table import Table
from mirror.engine.thread_pool import few_collections
from mirror.store import Store, damaged
from mirror.store.paper_texts import PaperTexts
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
    """Records whose rows one process writes."""

    record_ids: array[int]
    path: Path
    """The new file for them."""


def write_part(store: Store, task: PartTask) -> PartTask:
    """Write the rows of records to a new file; return the task."""
    with closing(sqlite3.connect(task.path, isolation_level=None)) as conn:
        conn.executescript(_UNSAFE)
        for statement in create_statements(OF_RECORDS):
            conn.execute(statement)
        conn.execute("BEGIN")
        write_records(conn, store, task.record_ids)
        conn.execute("COMMIT")
    return task


def add_part(conn: sqlite3.Connection, path: Path) -> None:
    """Add the rows of a part to a copy, and delete the part."""
    conn.execute("ATTACH ? AS part", (str(path),))
    for table in OF_RECORDS:
        conn.execute(_copy_statement(table))
    conn.execute("DETACH part")
    path.unlink()


def _copy_statement(table: Table) -> str:
    if table.key:  # without names, SQLite copies the rows of equal tables without decoding them
        return f"INSERT INTO main.{table.name} SELECT * FROM part.{table.name}"  # noqa: S608
    names = ", ".join(table.names)
    return f"INSERT INTO main.{table.name} ({names}) SELECT {names} FROM part.{table.name}"  # noqa: S608


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
    numbers = {one.id: one.record.pith_number for one in records}
    checks = {
        (numbers[one.record_id], one.event_id): StoredCheck(one.status, one.checked_at)
        for one in store.anchors.of_records(numbers)
    }
    for one in store.storage_checks.last_of(numbers.values()):
        checks[one.pith_number, one.event_id] = StoredCheck(one.status, one.at)
    return RecordExtras(_proved_texts(store, records), checks)


def _proved_texts(store: Store, records: list[WholeRecord]) -> dict[str, PaperTexts]:
    """Return the kept titles and abstracts.

    Raises:
        CorruptStoreError: `store.damaged` if one does not have the digest in its record (R5).
    """
    by_number = {one.record.pith_number: one.record for one in records}
    found = store.paper_texts.many(by_number)
    for number, texts in found.items():
        for one in (texts.title, texts.abstract):
            if one is not None and not one.is_proved_by(by_number[number]):
                raise damaged(f"its {one.kind} does not have the digest in the record", number)
    return found
