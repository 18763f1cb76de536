"""Titles and abstracts that are proved: they have the digest in their record (R5); never merged.

A record has only the digests of both texts. Who keeps a dump of metadata can prove its texts by
them, and the store keeps the texts for pages and searches. They are no facts of the registry: no
bundle and no state contains them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mirror.core.record import Record, text_digest
from mirror.errors import CorruptStoreError
from mirror.store.checked_table import CheckedTable
from mirror.store.records import Records

__all__ = ["PaperText", "PaperTextTable", "PaperTexts"]


class PaperText(NamedTuple):
    """A title or an abstract of a record."""

    pith_number: str
    kind: str
    """`title` or `abstract`."""
    text: str
    source: str
    """The name of the dump of metadata."""
    read_at: str
    """Known time: when it was stored, with microseconds."""

    @property
    def origin(self) -> str:
        """Where the text is from, in words."""
        return f"proved by its digest, read from {self.source} on {self.read_at[:10]}"

    def is_proved_by(self, record: Record) -> bool:
        """Whether the text has the digest in a record (R5)."""
        digest = record.title_sha256 if self.kind == "title" else record.abstract_sha256
        return bytes.fromhex(text_digest(self.text)) == digest


class PaperTexts(NamedTuple):
    """The proved texts of a record."""

    title: PaperText | None = None
    abstract: PaperText | None = None
    last_id: int = 0
    """The greatest id of their rows; 0 without any."""


_COLUMNS = "id, pith_number, kind, text, source, read_at"
_LISTED = "WHERE pith_number IN (SELECT value FROM json_each(?)) ORDER BY id"


class PaperTextTable:
    """The table `paper_text`: rows are only added. A damaged row raises when it is read.

    Ids ascend, so that a reader can follow the table; rows that go to quarantine are in the number
    `StoreVersion.quarantine`.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self.table = CheckedTable(conn, "paper_text", _COLUMNS, lambda row: f"{row[2]} of {row[1]}")

    # Reading ---------------------------------------------------------------------------------

    def of(self, pith_number: str) -> PaperTexts:
        """Return the texts of a record.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return self.many([pith_number]).get(pith_number, PaperTexts())

    def many(self, pith_numbers: Iterable[str]) -> dict[str, PaperTexts]:
        """Return the texts of several records by Pith Number, without those that have none.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        found: dict[str, PaperTexts] = {}
        for row_id, *columns in self.table.rows(_LISTED, [json.dumps([*pith_numbers])]):
            text = PaperText(*columns)
            before = found.get(text.pith_number, PaperTexts())
            found[text.pith_number] = (
                before._replace(title=text, last_id=row_id)
                if text.kind == "title"
                else before._replace(abstract=text, last_id=row_id)
            )
        return found

    def last_id(self) -> int:
        """Return the greatest id; 0 for an empty table."""
        return self.table.next_id() - 1

    def last_read_at(self) -> str | None:
        """Return the known time of the last text; None for an empty table.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        row = self.table.row("ORDER BY id DESC LIMIT 1")
        return None if row is None else PaperText(*row[1:]).read_at

    def changed_since(self, last_id: int) -> list[str]:
        """Return the Pith Numbers with texts after an id, ascending."""
        query = "SELECT DISTINCT pith_number FROM paper_text WHERE id > ? ORDER BY pith_number"
        return [row[0] for row in self._conn.execute(query, (last_id,))]

    def counts(self) -> dict[str, int]:
        """Return the number of texts by kind."""
        query = "SELECT kind, count(*) FROM paper_text GROUP BY kind ORDER BY kind"
        return dict(self._conn.execute(query))

    def unproved(self) -> Iterator[int]:
        """Yield the ids of intact rows whose text does not have the digest in the record.

        A text whose record is not in the store, or is damaged, cannot be compared.
        """
        records = Records(self._conn)
        for row_id, *columns in self.table.intact_rows("ORDER BY id", ()):
            text = PaperText(*columns)
            record = _record_of(records, text.pith_number)
            if record is not None and not text.is_proved_by(record):
                yield row_id

    # Writing ---------------------------------------------------------------------------------

    def add(self, texts: Iterable[PaperText]) -> list[PaperText]:
        """Add texts, one of each kind for a record; call within a transaction.

        Returns:
            Those that were added: the record had none of their kind.
        """
        added = []
        query = "SELECT 1 FROM paper_text WHERE pith_number = ? AND kind = ?"
        for text in texts:
            if self._conn.execute(query, text[:2]).fetchone() is None:
                self.table.add([(self.table.next_id(), *text)])
                added.append(text)
        return added


def _record_of(records: Records, pith_number: str) -> Record | None:
    record_id = records.numbered(pith_number)
    try:
        return None if record_id is None else records.get(record_id)
    except CorruptStoreError:
        return None  # it is named where records are checked
