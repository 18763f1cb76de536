"""Search index of records, by title, by abstract, and by words in their states.

It is derived from states and never read as a fact: results are compared with the facts before they
are shown (`excerpts`), so an error in it can only hide a record. Merging does not write it:
`enqueue_changes` queues the records that may have changed since the version of the store that it
indexed last, and `index` indexes them.

The full text stores no texts (FTS5's `content = ''`). To delete words, FTS5 needs the texts that
were inserted, so these are stored beside it, compressed.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from mirror.core.msgpack_values import pack, unpack
from mirror.errors import CorruptStoreError
from mirror.store.arrival_codec import compress, decompress
from mirror.store.counters import Counters
from mirror.store.paper_texts import PaperTextTable
from mirror.store.records import damaged
from mirror.store.version import CHANGED_SINCE, StoreVersion, read_version

__all__ = [
    "MATCH_BEGINS",
    "MATCH_ENDS",
    "IndexEntry",
    "IndexedText",
    "SearchIndex",
    "excerpts",
    "searchable",
]

MATCH_BEGINS, MATCH_ENDS = "\x02", "\x03"
"""Marks around matched words in an excerpt; `searchable` text contains neither."""

_EXCERPT_WORDS = 24
_FAR_BEHIND = 100_000
"""Number of new arrivals from which a scan of an index is faster than a lookup of each."""


class IndexedText(NamedTuple):
    """The indexed texts of a record, normalised by `searchable`."""

    names: str
    """Its number, aliases and categories."""
    title: str
    """Its proved title, or else those that graph snapshots claim."""
    texts: str
    """Its proved abstract, and all other texts in its state."""


class IndexEntry(NamedTuple):
    """Index entry of a record."""

    record_id: int
    state_digest: bytes
    """Digest of the indexed state, raw."""
    title_digest: bytes
    """R5, raw."""
    abstract_digest: bytes
    """R5, raw."""
    has_verified_receipt: bool
    """Whether that state shows a receipt (M8)."""
    last_paper_text_id: int
    """The greatest id of a proved text of the record that `texts` includes; 0 without one."""
    texts: IndexedText


class _IndexedVersion(NamedTuple):
    """Version of all that index entries may depend on."""

    store: StoreVersion
    last_paper_text_id: int


def searchable(text: str) -> str:
    """Return `text` normalised for the index, without invisible characters.

    Ligatures and full-width letters become plain ones (NFKC); characters that only format, such
    as soft hyphens and those that turn the direction of writing, go; runs of white space and
    control characters become one space.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_display, unicodedata.normalize("NFKC", text)))
    return " ".join(text.split())


def _display(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return " " if category in {"Cc", "Cs"} else character


class SearchIndex:
    """The tables `index_entry`, `full_text`, `index_queue` and `index_version`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    # Changes of the store -------------------------------------------------------------------

    def enqueue_changes(self) -> None:
        """Queue every record that may have changed since the last time."""
        now = self._current_version()
        query, arguments = self._outdated(self._indexed_version(), now)
        self._conn.execute(f"INSERT OR IGNORE INTO index_queue {query}", arguments)
        self._conn.execute(
            f"""
            DELETE FROM index_queue WHERE record_id NOT IN (SELECT record_id FROM stale)
            AND record_id IN (
                SELECT record_id FROM index_entry JOIN state USING (record_id)
                JOIN record ON record.id = record_id
                WHERE state_digest = state.digest AND last_paper_text_id = {_LAST_TEXT}
            )
            """  # noqa: S608
        )
        self._conn.execute("DELETE FROM index_version")
        query = f"INSERT INTO index_version ({_VERSION}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
        self._conn.execute(query, (*now.store, now.last_paper_text_id))

    def is_current(self) -> bool:
        """Whether nothing changed since the last `enqueue_changes`, and nothing is queued."""
        return self._indexed_version() == self._current_version() and not self._lag(limit=1)

    def unindexed(self) -> int:
        """Return how many records may have changed since they were indexed, or never were."""
        if self._indexed_version() is None:
            return Counters(self._conn).counts()["records"]
        return self._lag(limit=-1)

    def _lag(self, limit: int) -> int:
        query, arguments = self._outdated(self._indexed_version(), self._current_version())
        counting = f"SELECT count(*) FROM ({query} LIMIT {limit})"  # noqa: S608
        return int(self._conn.execute(counting, arguments).fetchone()[0])

    def queued(self, after: int, limit: int) -> list[int]:
        """Return the ids of queued records that can be indexed now, ascending.

        Args:
            after: Only greater ids.
            limit: At most so many.
        """
        query = """
            SELECT record_id FROM index_queue
            WHERE record_id > ? AND record_id NOT IN (SELECT record_id FROM stale)
            ORDER BY record_id LIMIT ?
        """
        return [row[0] for row in self._conn.execute(query, (after, limit))]

    def _indexed_version(self) -> _IndexedVersion | None:
        row = self._conn.execute(f"SELECT {_VERSION} FROM index_version").fetchone()  # noqa: S608
        return None if row is None else _IndexedVersion(StoreVersion(*row[:-1]), row[-1])

    def _current_version(self) -> _IndexedVersion:
        return _IndexedVersion(read_version(self._conn), PaperTextTable(self._conn).last_id())

    @staticmethod
    def _outdated(
        indexed: _IndexedVersion | None, now: _IndexedVersion
    ) -> tuple[str, tuple[int, ...]]:
        """Return a query for the ids of all records whose entry may be out of date.

        A state changes only with its facts, or with a key that they name, unless the rules or the
        quarantine changed. A record with a stale state will change, too. A text in quarantine may
        have been one of the entry.
        """
        if indexed is None:
            return _ALL_OUTDATED, ()
        before, after = indexed.store, now.store
        if (before.quarantine, before.rules) != (after.quarantine, after.rules):
            return _ALL_OUTDATED, ()
        plan = _SCAN if after.arrival - before.arrival > _FAR_BEHIND else "NOT INDEXED"
        since = (before.arrival, before.trust, indexed.last_paper_text_id)
        return _OUTDATED_SINCE.format(plan), since

    # Writing ---------------------------------------------------------------------------------

    def index(self, entry: IndexEntry) -> bool:
        """Index a record, if its state is still that of the entry.

        Returns:
            Whether it was; if not, it stays queued.
        """
        query = """
            SELECT 1 FROM state WHERE record_id = ?1 AND digest = ?2
            AND NOT EXISTS (SELECT 1 FROM stale WHERE record_id = ?1)
        """
        if self._conn.execute(query, entry[:2]).fetchone() is None:
            return False
        self._remove(entry.record_id)
        query = "INSERT INTO full_text (rowid, names, title, texts) VALUES (?, ?, ?, ?)"
        self._conn.execute(query, (entry.record_id, *entry.texts))
        query = f"INSERT INTO index_entry ({_ENTRY}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        self._conn.execute(query, (*entry[:-1], compress(pack(list(entry.texts)))))
        return True

    def drop_if_gone(self, record_id: int) -> None:
        """Delete a record from the index and the queue if it is not in the store any more."""
        query = "SELECT 1 FROM record WHERE id = ?"
        if self._conn.execute(query, (record_id,)).fetchone() is None:
            self._remove(record_id)

    def _remove(self, record_id: int) -> None:
        try:
            texts = self.texts(record_id)
        except CorruptStoreError:
            self.clear()  # the words of this record are not known any more
            return
        if texts is not None:
            query = """
                INSERT INTO full_text (full_text, rowid, names, title, texts)
                VALUES ('delete', ?, ?, ?, ?)
            """
            self._conn.execute(query, (record_id, *texts))
            self._conn.execute("DELETE FROM index_entry WHERE record_id = ?", (record_id,))
        self._conn.execute("DELETE FROM index_queue WHERE record_id = ?", (record_id,))

    def is_whole(self) -> bool:
        """Whether all words can be read, and belong to the number of indexed records.

        Every record has the word `pith`: its number begins with it.

        Raises:
            sqlite3.DatabaseError: If they cannot be read.
        """
        self._conn.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.word "
            "USING fts5vocab ('main', 'full_text', 'row')"
        )
        query = """
            SELECT (SELECT count(*) FROM index_entry),
                   (SELECT count(*) FROM full_text_docsize
                    WHERE id IN (SELECT record_id FROM index_entry)),
                   (SELECT count(*) FROM full_text_docsize),
                   (SELECT coalesce(sum(doc), 0) FROM word WHERE term = 'pith'),
                   (SELECT max(doc) FROM word)
        """
        indexed, *counts, _ = self._conn.execute(query).fetchone()
        query = "SELECT bm25(full_text) FROM full_text WHERE full_text MATCH 'pith' LIMIT 1"
        self._conn.execute(query).fetchone()
        return bool(counts == [indexed] * 3)

    def clear(self) -> None:
        """Delete everything: the next `enqueue_changes` queues every record."""
        try:
            self._conn.execute("INSERT INTO full_text (full_text) VALUES ('delete-all')")
        except sqlite3.DatabaseError:
            self._replace_tables()
        for table in ("index_entry", "index_queue", "index_version"):
            self._conn.execute(f"DELETE FROM {table}")  # noqa: S608

    def _replace_tables(self) -> None:
        """Replace the tables of an index that FTS5 cannot open by those of an empty one."""
        with closing(_new_full_text()) as fresh:
            for table in (
                "full_text_docsize",
                "full_text_idx",
                "full_text_data",
                "full_text_config",
            ):
                rows = fresh.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                self._conn.execute(f"DELETE FROM {table}")  # noqa: S608
                for row in rows:
                    places = ", ".join("?" * len(row))
                    self._conn.execute(f"INSERT INTO {table} VALUES ({places})", row)  # noqa: S608

    # Reading ---------------------------------------------------------------------------------

    def matching(self, expression: str) -> Iterator[int]:
        """Yield the ids of records that match an expression of FTS5, the best first.

        Those that match equally well come in the order of their Pith Numbers.

        Raises:
            CorruptStoreError: `store.damaged` if the index cannot be read.
        """
        query = f"""
            SELECT record.id FROM full_text JOIN record ON record.id = full_text.rowid
            WHERE full_text MATCH ?
            ORDER BY bm25(full_text, {_WEIGHTS}), year, suffix, record.id
        """  # noqa: S608
        try:
            for (record_id,) in self._conn.execute(query, (expression,)):
                yield record_id
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname.startswith("SQLITE_CORRUPT"):
                raise damaged(f"the search index cannot be read: {error}", "full_text") from error
            raise

    def by_digests(self, column: str, digests: Iterable[bytes], limit: int) -> list[int]:
        """Return the ids of records with one of these digests, those with a verified receipt first.

        Args:
            column: `title_digest` or `abstract_digest`.
            digests: R5, raw.
            limit: At most so many for each.
        """
        query = f"""
            SELECT record.id FROM index_entry JOIN record ON record.id = record_id
            WHERE {column} = ? ORDER BY has_verified_receipt DESC, year, suffix, record.id LIMIT ?
        """  # noqa: S608
        rows = [row for one in digests for row in self._conn.execute(query, (one, limit))]
        return list(dict.fromkeys(row[0] for row in rows))

    def texts(self, record_id: int) -> IndexedText | None:
        """Return the indexed texts of a record; None if it is not indexed.

        Raises:
            CorruptStoreError: `store.damaged` if it cannot be read.
        """
        query = "SELECT texts FROM index_entry WHERE record_id = ?"
        row = self._conn.execute(query, (record_id,)).fetchone()
        if row is None:
            return None
        try:
            texts: Any = unpack(decompress(row[0]))
            return IndexedText(*texts)
        except (ValueError, TypeError) as error:
            raise damaged(f"it cannot be read: {error}", f"index_entry {record_id}") from error

    def verified_first(self, record_ids: Iterable[int]) -> list[int]:
        """Return the ids in their order, but first those whose indexed state shows a receipt."""
        query = "SELECT 1 FROM index_entry WHERE record_id = ? AND has_verified_receipt = 1"
        return sorted(
            record_ids, key=lambda one: self._conn.execute(query, (one,)).fetchone() is None
        )


_VERSION = "last_arrival_id, last_trust_id, last_quarantine_id, rules, last_paper_text_id"
_ENTRY = """
    record_id, state_digest, title_digest, abstract_digest, has_verified_receipt,
    last_paper_text_id, texts
"""
_LAST_TEXT = """(
    SELECT coalesce(max(id), 0) FROM paper_text
    WHERE paper_text.pith_number = 'pith:' || record.year || ':' || record.suffix
)"""
_SCAN = "INDEXED BY arrival_by_record"
_OUTDATED_SINCE = f"""
    SELECT record_id FROM index_queue
    UNION SELECT record_id FROM stale
    UNION {CHANGED_SINCE}
    UNION SELECT record.id FROM paper_text
          JOIN record ON suffix = substr(pith_number, 11) AND year = substr(pith_number, 6, 4)
          WHERE paper_text.id > ?
"""  # noqa: S608
_ALL_OUTDATED = f"""
    SELECT record_id FROM index_queue
    UNION SELECT record_id FROM stale
    UNION SELECT record.id FROM record
          LEFT JOIN state ON state.record_id = record.id
          LEFT JOIN index_entry ON index_entry.record_id = record.id
          WHERE index_entry.state_digest IS NULL OR index_entry.state_digest IS NOT state.digest
             OR index_entry.last_paper_text_id <> {_LAST_TEXT}
    UNION SELECT record_id FROM index_entry WHERE record_id NOT IN (SELECT id FROM record)
"""  # noqa: S608

_WEIGHTS = "1.0, 5.0, 1.0"
"""Weights of a word in names, titles and texts."""

# Excerpts ------------------------------------------------------------------------------------


def excerpts(expression: str, found: Iterable[tuple[int, IndexedText]]) -> dict[int, str]:
    """Return excerpts around the matched words, by record id; only of records that match.

    Args:
        expression: An expression of FTS5.
        found: Records with their current texts.
    """
    with closing(_new_full_text()) as conn:
        query = "INSERT INTO full_text (rowid, names, title, texts) VALUES (?, ?, ?, ?)"
        conn.executemany(query, [(record_id, *texts) for record_id, texts in found])
        query = """
            SELECT rowid, snippet(full_text, -1, ?, ?, '…', ?) FROM full_text
            WHERE full_text MATCH ?
        """
        arguments = (MATCH_BEGINS, MATCH_ENDS, _EXCERPT_WORDS, expression)
        return dict(conn.execute(query, arguments))


def _new_full_text() -> sqlite3.Connection:
    """Return a database in memory with an empty full text that stores its texts."""
    conn = sqlite3.connect(":memory:")
    conn.execute(
        "CREATE VIRTUAL TABLE full_text USING fts5 "
        "(names, title, texts, tokenize = 'unicode61 remove_diacritics 2')"
    )
    return conn
