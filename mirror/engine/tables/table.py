"""A table and its columns, each with its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Column", "Table", "integer", "text"]


class Column(NamedTuple):
    """A column."""

    name: str
    type: str
    """`TEXT` or `INTEGER`."""
    meaning: str
    references: str = ""
    """Table and column that it refers to: `records(pith_number)`."""
    is_required: bool = False
    """Whether it is never NULL."""

    @property
    def definition(self) -> str:
        """The column in a CREATE statement."""
        required = " NOT NULL" if self.is_required else ""
        references = f" REFERENCES {self.references}" if self.references else ""
        return f"{self.name} {self.type}{required}{references}"


_ROW_NUMBER = Column("id", "INTEGER", "number of the row in this copy", is_required=True)


@dataclass(frozen=True, slots=True)
class Table:
    """A table."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    """The columns of the primary key; none for a table with an `id` that SQLite chooses."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """The columns of each further index."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that are written."""
        return tuple(one.name for one in self.columns)

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The columns that a reader finds: with the `id` that SQLite chooses."""
        return self.columns if self.key else (_ROW_NUMBER, *self.columns)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key, in which the rows are ordered."""
        return self.key or (_ROW_NUMBER.name,)

    @property
    def create(self) -> str:
        """The CREATE statement."""
        parts = [one.definition for one in self.all_columns]
        parts.append(f"PRIMARY KEY ({', '.join(self.primary_key)})")
        ending = " STRICT" if self._has_rowid else " STRICT, WITHOUT ROWID"
        return f"CREATE TABLE {self.name} (\n    {f',{chr(10)}    '.join(parts)}\n){ending}"

    @property
    def _has_rowid(self) -> bool:
        """Whether the key is one integer; if not, the table is stored in its order."""
        types = {one.name: one.type for one in self.all_columns}
        return [types[name] for name in self.primary_key] == ["INTEGER"]

    @property
    def has_integer_key(self) -> bool:
        """Whether the key is an integer that is written, and not chosen by SQLite."""
        return bool(self.key) and self._has_rowid

    # Parts -----------------------------------------------------------------------------------

    @property
    def create_part(self) -> str:
        """The CREATE statement in a part: without a key, if that is not an integer."""
        if self.has_integer_key:
            return self.create
        return f"CREATE TABLE {self.name} ({', '.join(self.names)})"

    @property
    def add_part(self) -> str:
        """The statement that adds all rows of the same table in the database `part`.

        Without names, SQLite copies the rows of equal tables without decoding them.
        """
        if self.has_integer_key:
            return f"INSERT INTO main.{self.name} SELECT * FROM part.{self.name}"  # noqa: S608
        names = ", ".join(self.names)
        return f"INSERT INTO main.{self.name} ({names}) SELECT {names} FROM part.{self.name}"  # noqa: S608

    @property
    def insert(self) -> str:
        """The INSERT statement, with a parameter for each column."""
        places = ", ".join("?" for _ in self.columns)
        return f"INSERT INTO {self.name} ({', '.join(self.names)}) VALUES ({places})"  # noqa: S608


def text(name: str, meaning: str, references: str = "", *, required: bool = False) -> Column:
    """Return a column of text."""
    return Column(name, "TEXT", meaning, references, required)


def integer(name: str, meaning: str, references: str = "", *, required: bool = False) -> Column:
    """Return a column of integers."""
    return Column(name, "INTEGER", meaning, references, required)
