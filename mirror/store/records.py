"""The table of records, found by digest, number, suffix or source."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

from mirror.core.msgpack_values import pack, unpack
from mirror.core.record import Record, suffix_of
from mirror.errors import CorruptStoreError

__all__ = ["RecordColumns", "Records", "checked_record", "columns_of", "damaged", "required"]

_Row = TypeVar("_Row", bound=tuple[Any, ...])

RecordColumns: TypeAlias = tuple[bytes, str, str, str, str, int, bytes]
"""The columns of a record after its id."""


def damaged(what: str, where: str) -> CorruptStoreError:
    """Return the error for a damaged row."""
    hint = "run `mirror check` to find all that is damaged, then `mirror check --repair`"
    return CorruptStoreError("store.damaged", what, where=where, hint=hint)


def required(row: _Row | None, where: str) -> _Row:
    """Return a row that must exist.

    Raises:
        CorruptStoreError: `store.damaged` if it is missing.
    """
    if row is None:
        raise damaged("row is missing", where)
    return row


def checked_record(record_id: int, columns: RecordColumns | None) -> Record:
    """Return a record from its columns.

    Raises:
        CorruptStoreError: `store.damaged` if there are none, or one does not match the value.
    """
    *names, value = required(columns, f"record {record_id}")
    where = f"record {record_id}, pith:{names[1]}:{names[2]}"
    try:
        decoded: Any = unpack(value)
        record = Record(decoded)
        is_whole = tuple(names) == _names(record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(f"its value cannot be read: {error}", where) from error
    if not is_whole:
        raise damaged("its value does not hash to its digest and names", where)
    return record


def columns_of(record: Record) -> RecordColumns:
    """Return the columns that follow from a record's value, and the value."""
    return (*_names(record), pack(record.value))


class Records:
    """The table `record`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def add(self, rows: Iterable[tuple[int, RecordColumns]]) -> None:
        """Add new records, each with its row id."""
        query = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._conn.executemany(query, [(row_id, *columns) for row_id, columns in rows])

    def last_id(self) -> int:
        """Return the greatest row id; 0 for an empty table."""
        query = "SELECT coalesce(max(id), 0) FROM record"
        return int(self._conn.execute(query).fetchone()[0])

    def sample(self) -> list[int]:
        """Return the row ids of a few records: the first, one in the middle, and the last."""
        query = """
            SELECT min(id) FROM record
            UNION SELECT min(id) FROM record WHERE id > (SELECT max(id) / 2 FROM record)
            UNION SELECT max(id) FROM record
        """
        return [row[0] for row in self._conn.execute(query) if row[0] is not None]

    def find(self, digest: bytes, suffix: str | None = None) -> int | None:
        """Return the row id of a record, or None.

        Args:
            digest: Its `canonical_sha256`, 32 raw bytes.
            suffix: The suffix that follows from it, if that is known already.
        """
        query = "SELECT id FROM record WHERE suffix = ? AND digest = ?"
        row = self._conn.execute(query, (suffix or suffix_of(digest), digest)).fetchone()
        return None if row is None else int(row[0])

    def get(self, record_id: int) -> Record:
        """Return a record.

        Raises:
            CorruptStoreError: `store.damaged` if a column does not match the value.
        """
        query = """
            SELECT digest, year, suffix, kind, source_id, version, value
            FROM record WHERE id = ?
        """
        return checked_record(record_id, self._conn.execute(query, (record_id,)).fetchone())

    def suffix(self, record_id: int) -> str:
        """Return the suffix of a stored record."""
        query = "SELECT suffix FROM record WHERE id = ?"
        row = self._conn.execute(query, (record_id,)).fetchone()
        return str(required(row, f"record {record_id}")[0])

    def count(self) -> int:
        """Return how many records there are, by counting them."""
        return int(self._conn.execute("SELECT count(*) FROM record").fetchone()[0])

    def in_bag_order(self, record_ids: Collection[int] | None) -> Iterator[tuple[str, int]]:
        """Yield (suffix, id) of the given records or of all, ascending by suffix, each once."""
        if record_ids is None:
            yield from self._conn.execute("SELECT suffix, id FROM record ORDER BY suffix, id")
            return
        query = "SELECT suffix, id FROM record WHERE id = ?"
        yield from sorted(
            required(self._conn.execute(query, (one,)).fetchone(), f"record {one}")
            for one in set(record_ids)
        )

    def in_number_order(self) -> Iterator[int]:
        """Yield the row ids of all records, ascending by Pith Number."""
        rows = self._conn.execute("SELECT id FROM record ORDER BY year, suffix, id")
        return (record_id for (record_id,) in rows)

    def page_of_bag(self, after: tuple[str, int], limit: int) -> list[tuple[str, int]]:
        """Return (suffix, id) of at most `limit` records after one, in the order of a bag."""
        query = """
            SELECT suffix, id FROM record WHERE (suffix, id) > (?, ?) ORDER BY suffix, id LIMIT ?
        """
        return self._conn.execute(query, (*after, limit)).fetchall()

    def by_suffix(self, prefix: str) -> list[int]:
        """Return the ids of the records whose suffix begins with `prefix`, in capital letters."""
        query = "SELECT id FROM record WHERE suffix >= ? AND suffix < ? ORDER BY year, suffix, id"
        # `[` follows `Z` and every digit, so this bounds the words that begin with the prefix.
        return [row[0] for row in self._conn.execute(query, (prefix, prefix + "["))]

    def page(self, after: int, limit: int) -> list[tuple[int, str, str]]:
        """Return (row id, suffix, Pith Number) of records with greater ids, ascending by id."""
        query = "SELECT id, suffix, year FROM record WHERE id > ? ORDER BY id LIMIT ?"
        rows = self._conn.execute(query, (after, limit)).fetchall()
        return [(row_id, suffix, f"pith:{year}:{suffix}") for row_id, suffix, year in rows]

    def values_after(self, after: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield row id, digest and value in MessagePack of records with greater ids, ascending."""
        query = "SELECT id, digest, value FROM record WHERE id > ? ORDER BY id"
        return self._conn.execute(query, (after,))

    def numbered(self, pith_number: str) -> int | None:
        """Return the row id of a record by its whole Pith Number, or None."""
        _, year, suffix = pith_number.split(":")
        query = "SELECT id FROM record WHERE suffix = ? AND year = ?"
        row = self._conn.execute(query, (suffix, year)).fetchone()
        return None if row is None else int(row[0])

    def by_source(self, source_id: str, version: int | None = None) -> list[int]:
        """Return the ids of the records of a source id, and of one version if that is given."""
        query = """
            SELECT id FROM record WHERE source_id = ? AND version = coalesce(?, version)
            ORDER BY year, suffix, id
        """
        return [row[0] for row in self._conn.execute(query, (source_id, version))]


def _names(record: Record) -> tuple[bytes, str, str, str, str, int]:
    source = record.source
    return (
        record.digest,
        record.pith_number[5:9],
        record.suffix,
        source["kind"],
        source["id"],
        source["version"],
    )
