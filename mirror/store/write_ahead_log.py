"""The write-ahead log beside a store, which may be of another file.

SQLite reads a file together with the `-wal` beside it. After a copy of a store was put in the
place of a damaged one, the old `-wal` is still there, and makes the sound copy look broken.

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
from mirror.store.records import Records
from mirror.store.row_checksum import row_checksum

__all__ = ["file_alone_holds_more", "has_log", "move_aside", "take_file_alone"]

_ENDINGS = ("", "-wal", "-shm")


def has_log(path: Path) -> bool:
    """Whether a write-ahead log with something in it lies beside a store."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def move_aside(path: Path, aside: Path) -> None:
    """Give a store, its `-wal` and its `-shm` another name."""
    for ending in _ENDINGS:
        old = path.with_name(path.name + ending)
        if old.exists():
            old.replace(aside.with_name(aside.name + ending))


def take_file_alone(path: Path, aside: Path) -> None:
    """Keep a store as it is under the name `aside`, and leave a copy of it without its log."""
    fresh = path.with_name(f".{path.name}.alone")
    shutil.copyfile(path, fresh)
    move_aside(path, aside)
    fresh.replace(path)


def file_alone_holds_more(path: Path) -> bool:
    """Whether the file has sound facts that are not there when its log is read with it.

    Facts are never changed, only added: so a log that belongs to the file hides none of them.
    """
    if not has_log(path):
        return False
    with closing(_open(path, "mode=ro&immutable=1")) as alone:
        facts = set(_sound_facts(alone))
    with closing(_open(path, "mode=ro")) as together:
        facts.difference_update(_sound_facts(together))
    return bool(facts)


def _open(path: Path, query: str) -> sqlite3.Connection:
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?{query}", uri=True, isolation_level=None)
    conn.text_factory = lambda text: text.decode("utf-8", "replace")
    return conn


def _sound_facts(conn: sqlite3.Connection) -> Iterator[bytes]:
    """Yield what names each record and arrival that can be read and is as it was written."""
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
    """Yield the ids of rows, up to the first place that cannot be read."""
    after = 0
    query = f"SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT 1000"  # noqa: S608
    try:
        while ids := [row[0] for row in conn.execute(query, (after,)).fetchall()]:
            yield from ids
            after = ids[-1]
    except sqlite3.Error:
        return
