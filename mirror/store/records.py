"""The table of records: adding them, and finding them by whatever they are called."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import cast

from mirror.core.record import Record
from mirror.core.values import Object
from mirror.errors import CorruptStoreError
from mirror.store.packing import pack, unpack

__all__ = ["Records", "damaged"]


def damaged(what: str, where: str) -> CorruptStoreError:
    """Return the error for a fact that is not as it was written."""
    hint = "run `mirror check` to find all that is damaged, then `mirror check --repair`"
    return CorruptStoreError("store.damaged", what, where=where, hint=hint)


class Records:
    """The table `record`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def add(self, record: Record, arrival_id: int) -> int:
        """Add a record that is not there yet; return its row id."""
        row = (*_columns(record), pack(record.value), arrival_id)
        query = """
            INSERT INTO record
                (digest, pith_number, suffix, kind, source_id, version, value, arrival_id)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """
        return cast("int", self._conn.execute(query, row).lastrowid)

    def find(self, digest: bytes) -> int | None:
        """Return the row id of the record with this `canonical_sha256` (32 raw bytes), or None."""
        query = "SELECT id FROM record WHERE digest = ?"
        row = self._conn.execute(query, (digest,)).fetchone()
        return None if row is None else cast("int", row[0])

    def get(self, record_id: int) -> Record:
        """Return a record.

        Raises:
            CorruptStoreError: `store.damaged` if a column is not as it was written.
        """
        query = """
            SELECT digest, pith_number, suffix, kind, source_id, version, value
            FROM record WHERE id = ?
        """
        row = self._conn.execute(query, (record_id,)).fetchone()
        if row is None:
            raise damaged("it is not there", f"record {record_id}")
        *columns, value = row
        where = f"record {record_id}, {columns[1]}"
        try:
            record = Record(cast("Object", unpack(value)))
            is_whole = tuple(columns) == _columns(record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(f"its value cannot be read: {error}", where) from error
        if not is_whole:
            raise damaged("its value does not hash to its digest and names", where)
        return record

    def count(self) -> int:
        """Return how many records there are."""
        return cast("int", self._conn.execute("SELECT count(*) FROM record").fetchone()[0])

    def all_ids(self) -> Iterator[int]:
        """Yield the row id of every record, ascending by Pith Number."""
        for (record_id,) in self._conn.execute("SELECT id FROM record ORDER BY pith_number, id"):
            yield record_id

    def in_bag_order(self, record_ids: Collection[int] | None) -> Iterator[tuple[str, int]]:
        """Yield (suffix, id) of the given records or of all, ascending by suffix, each once."""
        if record_ids is None:
            yield from self._conn.execute("SELECT suffix, id FROM record ORDER BY suffix, id")
            return
        query = "SELECT suffix, id FROM record WHERE id = ?"
        yield from sorted({self._conn.execute(query, (one,)).fetchone() for one in record_ids})

    def by_suffix(self, prefix: str) -> list[int]:
        """Return the ids of the records whose suffix begins with `prefix`, in capital letters."""
        query = "SELECT id FROM record WHERE suffix >= ? AND suffix < ? ORDER BY pith_number, id"
        # `[` follows `Z` and every digit, so this bounds the words that begin with the prefix.
        return [row[0] for row in self._conn.execute(query, (prefix, prefix + "["))]

    def by_source(self, source_id: str, version: int | None = None) -> list[int]:
        """Return the ids of the records of a source id, and of one version if that is given."""
        query = """
            SELECT id FROM record WHERE source_id = ? AND version = coalesce(?, version)
            ORDER BY pith_number, id
        """
        return [row[0] for row in self._conn.execute(query, (source_id, version))]


def _columns(record: Record) -> tuple[object, ...]:
    """Return the columns that follow from a record's value."""
    source = record.source
    number = (record.digest, record.pith_number, record.suffix)
    return (*number, source["kind"], source["id"], source["version"])
