"""Tables whose rows end with a checksum of their other columns.

Rows are written, read and compared only here, with three exceptions. Two are on the path of every
bundle: the checksum of an arrival covers a digest of its content, and that of `record_totals`
combines those of a record's arrivals and verdicts (`arrivals.py`). The third is the tree, which
reads states joined to their records (`state_tree.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from mirror.store.records import damaged
from mirror.store.row_checksum import EMPTY, Column, row_checksum

__all__ = ["ChainedTable", "CheckedTable", "Row", "is_intact"]

Row: TypeAlias = list[Any]
"""The columns of a row, without its checksum."""


def is_intact(row: Sequence[Column], checksum: object) -> bool:
    """Whether a row has the checksum that is stored with it."""
    return row_checksum(*row) == checksum


class CheckedTable:
    """A table with a checksum in each row."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        name: str,
        columns: str,
        where: Callable[[Row], str] | None = None,
    ) -> None:
        """Name the table.

        Args:
            conn: The store.
            name: The name of the table.
            columns: Its columns except `checksum`, separated by commas, in the order in which
                the checksum covers them.
            where: Describes a row in an error; by default the table's name and the first column.
        """
        self._conn = conn
        self.name = name
        self._where = where or (lambda row: f"{name} {row[0]}")
        self._select = f"SELECT {columns}, checksum FROM {name}"  # noqa: S608
        places = "?, " * (columns.count(",") + 1)
        self._insert = f"INTO {name} ({columns}, checksum) VALUES ({places}?)"

    # Reading ---------------------------------------------------------------------------------

    def rows(self, condition: str = "", arguments: Iterable[Column] = ()) -> Iterator[Row]:
        """Yield rows.

        Args:
            condition: SQL after the name of the table.
            arguments: The values of its parameters.

        Raises:
            CorruptStoreError: `store.damaged` at a row whose checksum does not match.
        """
        for row, intact in self._compared(condition, arguments):
            if not intact:
                raise damaged("checksum mismatch", self._where(row))
            yield row

    def row(self, condition: str, arguments: Iterable[Column] = ()) -> Row | None:
        """Return the first row, or None; raises as `rows`."""
        return next(self.rows(condition, arguments), None)

    def intact_rows(self, condition: str, arguments: Iterable[Column] = ()) -> Iterator[Row]:
        """Yield the rows whose checksum matches: in caches, a damaged row counts as missing."""
        return (row for row, intact in self._compared(condition, arguments) if intact)

    def damaged_rows(self) -> Iterator[Row]:
        """Yield the rows whose checksum does not match."""
        return (row for row, intact in self._compared() if not intact)

    def _compared(
        self, condition: str = "", arguments: Iterable[Column] = ()
    ) -> Iterator[tuple[Row, bool]]:
        found = self._conn.execute(f"{self._select} {condition}", tuple(arguments))
        for *row, checksum in found:
            yield row, is_intact(row, checksum)

    def next_id(self) -> int:
        """Return the id of the next row: the checksum covers it, so SQLite cannot choose it."""
        query = f"SELECT coalesce(max(id), 0) + 1 FROM {self.name}"  # noqa: S608
        next_id: int = self._conn.execute(query).fetchone()[0]
        return next_id

    # Writing ---------------------------------------------------------------------------------

    def add(self, rows: Iterable[Sequence[Column]], on_conflict: str = "ABORT") -> None:
        """Add rows.

        Args:
            rows: Their columns, without checksums.
            on_conflict: SQLite's conflict clause for existing keys: `ABORT`, `IGNORE` or `REPLACE`.
        """
        with_checksums = [(*row, row_checksum(*row)) for row in rows]
        self._conn.executemany(f"INSERT OR {on_conflict} {self._insert}", with_checksums)


class ChainedTable(CheckedTable):
    """A log: the checksum of a line covers the line before it, too.

    Reads are of all lines in their order, without a condition.
    """

    @property
    def version(self) -> int:
        """The id of the last line: a number that grows with every change; 0 without lines."""
        return self.next_id() - 1

    def is_truncated(self) -> bool:
        """Whether lines at the end of the log are missing, or all of it.

        No checksum shows that, but SQLite stores the last id, of `AUTOINCREMENT`, in another table.
        """
        query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
        (last,) = self._conn.execute(query, (self.name,)).fetchone()
        return bool(last > self.version)

    def clear(self) -> None:
        """Start an empty log; the lines of the old one are in quarantine."""
        self._conn.execute(f"DELETE FROM {self.name}")  # noqa: S608
        self._conn.execute("DELETE FROM sqlite_sequence WHERE name = ?", (self.name,))

    def _compared(
        self, _condition: str = "", _arguments: Iterable[Column] = ()
    ) -> Iterator[tuple[Row, bool]]:
        last = EMPTY
        for *row, checksum in self._conn.execute(f"{self._select} ORDER BY id"):
            yield row, is_intact((last, *row), checksum)
            last = checksum

    def add(self, rows: Iterable[Sequence[Column]], on_conflict: str = "ABORT") -> None:
        """Add lines at the end; see `CheckedTable.add`."""
        query = f"SELECT checksum FROM {self.name} ORDER BY id DESC LIMIT 1"  # noqa: S608
        (last,) = self._conn.execute(query).fetchone() or (EMPTY,)
        for row in rows:
            last = row_checksum(last, *row)
            self._conn.execute(f"INSERT OR {on_conflict} {self._insert}", (*row, last))
