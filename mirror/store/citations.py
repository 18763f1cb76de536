"""Index of citations, from the citing work to the cited records.

A citation is an event of the cited record (E4) and names the citing work; this table finds it by
that name. It is derived from the citations in force and updated with each state that is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from mirror.core.identifier import names_in, names_of
from mirror.core.record import Record
from mirror.store.stored_records import json_list

__all__ = ["CitationIndex", "citing_names"]


def citing_names(citing: Iterable[str]) -> tuple[str, ...]:
    """Return every name of the works that citations name, as text, ascending and each once."""
    return tuple(sorted({str(name) for one in citing for name in names_in(one)}))


class CitationIndex:
    """The table `citation`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def drop(self, record_ids: Iterable[int]) -> None:
        """Delete the citations of these records."""
        query = "DELETE FROM citation WHERE record_id = ?"
        self._conn.executemany(query, [(record_id,) for record_id in record_ids])

    def add(self, rows: Iterable[tuple[int, Iterable[str]]]) -> None:
        """Add citations of records.

        Args:
            rows: Record ids, each with the names (`core.identifier.Identifier`, as text) of the
                works that cite the record.
        """
        named = [(name, record_id) for record_id, names in rows for name in names]
        if named:
            self._conn.executemany("INSERT OR IGNORE INTO citation VALUES (?, ?)", named)

    def citing(self, record_id: int) -> tuple[str, ...]:
        """Return the names of the works that cite a record, ascending."""
        return self.citing_many([record_id]).get(record_id, ())

    def citing_many(self, record_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
        """Return the same for each record that is cited."""
        query = """
            SELECT record_id, citing_name FROM citation
            WHERE record_id IN (SELECT value FROM json_each(?)) ORDER BY 1, 2
        """
        rows = self._conn.execute(query, (json_list(record_ids),))
        groups = groupby(rows, key=itemgetter(0))
        return {record_id: tuple([name for _, name in group]) for record_id, group in groups}

    def cited_count(self, record_id: int, record: Record) -> int:
        """Return how many other records `record`, whose row id is given, cites by any name."""
        condition, arguments = _cited_by(record_id, record)
        query = f"SELECT count(DISTINCT record_id) FROM citation WHERE {condition}"  # noqa: S608
        return int(self._conn.execute(query, arguments).fetchone()[0])

    def cited(self, record_id: int, record: Record, limit: int) -> list[int]:
        """Return the row ids of the first of these records, ascending by Pith Number.

        Args:
            record_id: The row id of `record`.
            record: The one that cites.
            limit: At most so many.
        """
        condition, arguments = _cited_by(record_id, record)
        query = f"""
            SELECT DISTINCT id FROM citation JOIN record ON record.id = record_id
            WHERE {condition} ORDER BY year, suffix, id LIMIT ?
        """  # noqa: S608
        return [row[0] for row in self._conn.execute(query, (*arguments, limit))]


def _cited_by(record_id: int, record: Record) -> tuple[str, list[object]]:
    names = [str(name) for name in names_of(record)]
    return f"citing_name IN ({', '.join('?' * len(names))}) AND record_id != ?", [*names, record_id]
