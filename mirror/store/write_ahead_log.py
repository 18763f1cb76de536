"""The write-ahead log beside a store, which may belong to another file.

SQLite reads a file together with the `-wal` beside it. If a copy of a store replaces a damaged one
and the old `-wal` is still there, the intact copy looks corrupt.

Source: https://sqlite.org/howtocorrupt.html section 1.4.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mirror.errors import CorruptStoreError
from mirror.store.arrivals import ArrivalRow
from mirror.store.readonly import BESIDE, has_log
from mirror.store.records import Records
from mirror.store.row_checksum import row_checksum

__all__ = ["file_alone_holds_more", "move_aside", "take_file_alone"]


def move_aside(path: Path, aside: Path) -> None:
    """Rename a store and the files beside it."""
    for ending in ("", *BESIDE):
        old = path.with_name(path.name + ending)
        if old.exists():
            old.replace(aside.with_name(aside.name + ending))


def take_file_alone(path: Path, aside: Path) -> None:
    """Rename a store to `aside`, and put a copy of the file without its log in its place."""
    fresh = path.with_name(f".{path.name}.alone")
    shutil.copyfile(path, fresh)
    move_aside(path, aside)
    fresh.replace(path)


def file_alone_holds_more(path: Path) -> bool:
    """Whether the file has intact facts that are missing when it is read with its log.

    Facts are only added, so a log that belongs to the file hides none of them.
    """
    if not has_log(path):
        return False
    with closing(_open(path, "mode=ro&immutable=1")) as alone:
        facts = set(_intact_facts(alone))
    with closing(_open(path, "mode=ro")) as together:
        facts.difference_update(_intact_facts(together))
    return bool(facts)


def _open(path: Path, query: str) -> sqlite3.Connection:
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?{query}", uri=True, isolation_level=None)
    conn.text_factory = lambda text: text.decode("utf-8", "replace")
    return conn


def _intact_facts(conn: sqlite3.Connection) -> Iterator[bytes]:
    """Yield a digest of each record and arrival that is readable and intact."""
    records = Records(conn)
    for record_id in _ids(conn, "record"):
        try:
            yield records.get(record_id).digest
        except (sqlite3.Error, CorruptStoreError):
            continue
    for arrival_id in _ids(conn, "arrival"):
        query = "SELECT id, record_id, run_id, member, content, checksum FROM arrival WHERE id = ?"
        try:
            *row, checksum = conn.execute(query, (arrival_id,)).fetchone()
            if ArrivalRow.checksum_of(*row) == checksum:
                yield row_checksum("arrival", checksum)
        except (sqlite3.Error, TypeError):
            continue


def _ids(conn: sqlite3.Connection, table: str) -> Iterator[int]:
    """Yield the ids of rows, up to the first page that cannot be read."""
    after = 0
    query = f"SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT 1000"  # noqa: S608
    try:
        while ids := [row[0] for row in conn.execute(query, (after,)).fetchall()]:
            yield from ids
            after = ids[-1]
    except sqlite3.Error:
        return
