"""Integrity check of a store, and quarantine of damaged rows: the queries of `mirror check`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mirror.core.keys import BUILT_IN
from mirror.core.msgpack_values import pack
from mirror.errors import CorruptStoreError
from mirror.store.acknowledgements import AcknowledgementLog
from mirror.store.anchors import AnchorTable
from mirror.store.arrivals import ArrivalRow
from mirror.store.authorities import AuthorityLog
from mirror.store.block_headers import BlockHeaders
from mirror.store.checkpoint_proofs import CheckpointProofs
from mirror.store.checkpoints import CheckpointTable
from mirror.store.commits import Commits
from mirror.store.counters import Counters
from mirror.store.facts import indexed_name
from mirror.store.paper_texts import PaperTextTable
from mirror.store.schema import missing_tables
from mirror.store.search_index import SearchIndex
from mirror.store.state_tree import StateTree
from mirror.store.storage_checks import StorageChecks
from mirror.store.trust_log import TrustLog
from mirror.store.upstream_history import UpstreamHistory
from mirror.store.writer import SourceRun, run_table

__all__ = ["Damage", "IntegrityCheck", "first_damage"]

_ORPHANS = {
    "verdict": "arrival_id NOT IN (SELECT id FROM arrival)",
    "key_dependency": "record_id NOT IN (SELECT id FROM record)",
    "record_totals": "record_id NOT IN (SELECT id FROM record)",
    "state": "record_id NOT IN (SELECT id FROM record)",
    "stale": "record_id NOT IN (SELECT id FROM record)",
    "citation": "record_id NOT IN (SELECT id FROM record)",
    "anchor": "record_id NOT IN (SELECT id FROM record)",
}
"""Derived rows of facts that are not there."""

_OF_RECORD = (
    "key_dependency", "record_totals", "state", "stale", "citation", "anchor", "anchor_queue"
)  # fmt: skip
"""Derived tables with rows for a record."""

_WITHOUT_CHECKSUM = frozenset({
    "_sqlite_migrations", "check_progress", "counter", "quarantine", "rules"
})  # fmt: skip
"""Tables with text and without checksums."""

_MOVED_ALONE = frozenset({
    "arrival", "arrival_commit", "block_header", "checkpoint", "checkpoint_proof",
    "paper_text", "storage_check", "upstream_history",
})  # fmt: skip
"""Tables whose damaged rows go to quarantine without anything else.

The arrivals of a commit that is moved count as known from the next one on; if there is none, from
the repair on.
"""

_UNKNOWN = "unknown: damaged"
_MISMATCH = "checksum mismatch"


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged or missing row, or damage to the file."""

    table: str
    """The table; `sqlite` for the file, `origin` for an arrival whose run is missing."""
    row_id: int | None
    """The row's id, where it has one."""
    record_id: int | None
    pith_number: str | None
    reason: str
    content: tuple[object, ...] = ()
    """The columns of a damaged run, without its id; a repair reads other rows again."""
    is_known: bool = False
    """Whether it was acknowledged."""


def first_damage(conn: sqlite3.Connection) -> str:
    """Return the first damage in the file or its tables, as text; empty if none is found."""
    conn.set_progress_handler(None, 0)
    inspection = IntegrityCheck(conn)
    try:
        found = next(chain(inspection.check_file(quick=False), inspection.check_tables()), None)
    except (sqlite3.Error, CorruptStoreError, TypeError, ValueError) as error:
        return str(error)
    return "" if found is None else f"{found.table}: {found.reason}"


class IntegrityCheck:
    """Whole-table checks, and the rows that a repair takes out."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    # Looking ---------------------------------------------------------------------------------

    def check_file(self, *, quick: bool) -> Iterator[Damage]:
        """Yield the damage that SQLite finds in the file.

        Args:
            quick: Leave out whether indexes agree with their tables.
        """
        pragma = "quick_check" if quick else "integrity_check"
        try:
            for (line,) in self._conn.execute(f"PRAGMA {pragma}").fetchall():
                if line != "ok":
                    yield Damage("sqlite", None, None, None, str(line))
        except sqlite3.DatabaseError as error:
            yield Damage("sqlite", None, None, None, str(error))
        else:
            yield from () if quick else self._search_index()

    def _search_index(self) -> Iterator[Damage]:
        """Read every word of the search index, which SQLite's own check does not look into."""
        try:
            if SearchIndex(self._conn).is_whole():
                return
            why = "its tables do not agree"
        except sqlite3.DatabaseError as error:
            why = str(error)
        yield Damage("full_text", None, None, None, f"the search index: {why}")

    def check_tables(self) -> Iterator[Damage]:
        """Yield damaged runs and logs, and rows that refer to missing ones."""
        for table in missing_tables(self._conn):
            yield Damage("sqlite", None, None, None, f"the table {table} is missing")
        yield from self._text()
        yield from self._runs()
        try:
            TrustLog(self._conn).log()
        except CorruptStoreError as error:
            yield Damage("trust", None, None, None, f"{error.where}: {error.message}")
        try:
            AuthorityLog(self._conn).log()
        except CorruptStoreError as error:
            reason = f"{error.where}: {error.message}"
            yield Damage("timestamp_authority", None, None, None, reason)
        for table, row_id, parent, _ in self._conn.execute("PRAGMA foreign_key_check").fetchall():
            if table not in _ORPHANS:
                fact = "origin" if parent == "run" else table
                yield Damage(fact, row_id, None, None, f"the {parent} it belongs to is missing")
        for table, condition in _ORPHANS.items():
            query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608
            (count,) = self._conn.execute(query).fetchone()
            if count:
                yield Damage(table, None, None, None, f"{count} rows belong to no fact")
        yield from self._tree()
        yield from self._evidence()
        if not AnchorTable(self._conn).is_whole():
            yield Damage("anchor", None, None, None, "a result is damaged, missing or too many")
        tally = Counters(self._conn)
        if tally.counts() != tally.actual():
            yield Damage("counter", None, None, None, "the counters differ from the number of rows")

    def _tree(self) -> Iterator[Damage]:
        try:
            is_whole = StateTree(self._conn).is_whole()
        except CorruptStoreError:
            return  # a state that is damaged is named where records are checked
        if not is_whole:
            yield Damage("tree_node", None, None, None, "the tree differs from the states")

    def _evidence(self) -> Iterator[Damage]:
        """Yield damaged commits, statements of others, headers, texts and acknowledgements."""
        tables = (
            Commits(self._conn).table,
            UpstreamHistory(self._conn).table,
            CheckpointTable(self._conn).table,
            CheckpointProofs(self._conn).table,
            StorageChecks(self._conn).table,
            BlockHeaders(self._conn).table,
            PaperTextTable(self._conn).table,
        )
        for table in tables:
            for row in table.damaged_rows():
                yield Damage(table.name, row[0], None, None, _MISMATCH)
        for row_id in PaperTextTable(self._conn).unproved():
            reason = "it does not have the digest in its record"
            yield Damage("paper_text", row_id, None, None, reason)
        if Commits(self._conn).lacks_last():
            reason = "the last arrivals belong to no commit"
            yield Damage("arrival_commit", None, None, None, reason)
        for row_id in sorted(AcknowledgementLog(self._conn).damaged_ids()):
            yield Damage("acknowledgement", row_id, None, None, _MISMATCH)

    def _text(self) -> Iterator[Damage]:
        """Yield the tables without checksums that hold text which is not UTF-8.

        A command that does not look for damage could not read them at all.
        """
        for table in sorted(_WITHOUT_CHECKSUM.difference(missing_tables(self._conn))):
            factory, self._conn.text_factory = self._conn.text_factory, str
            try:
                self._conn.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            except sqlite3.OperationalError as error:
                yield Damage("sqlite", None, None, None, f"{table}: {error}")
            finally:
                self._conn.text_factory = factory

    def _runs(self) -> Iterator[Damage]:
        for row in run_table(self._conn).damaged_rows():
            yield Damage("run", row[0], None, None, _MISMATCH, tuple(row[1:]))

    def lacks_key_dependency(self, record_id: int, key_ids: Iterable[str]) -> bool:
        """Whether `key_dependency` lacks a key that a verdict of the record may depend on."""
        query = "SELECT 1 FROM key_dependency WHERE key_id = ? AND record_id = ?"
        return any(
            self._conn.execute(query, (indexed_name(key_id), record_id)).fetchone() is None
            for key_id in key_ids
        )

    def ids(self, part: int, of: int, after: int, limit: int) -> list[int]:
        """Return record ids of one part of the store, ascending.

        Args:
            part: 1 to `of`.
            of: How many parts there are.
            after: Only greater ids.
            limit: At most so many.
        """
        query = "SELECT id FROM record WHERE id > ? AND id % ? = ? ORDER BY id LIMIT ?"
        rows = self._conn.execute(query, (after, of, part - 1, limit)).fetchall()
        return [row[0] for row in rows]

    # Progress of a check ---------------------------------------------------------------------

    def resume_after(self, part: str) -> int:
        """Return the last record id of an unfinished check of a part; 0 without one."""
        query = "SELECT last_record_id FROM check_progress WHERE part = ?"
        row = self._conn.execute(query, (part,)).fetchone()
        return 0 if row is None else int(row[0])

    def record_progress(self, part: str, last_record_id: int | None) -> None:
        """Store where a check stopped; None if it finished."""
        if last_record_id is None:
            self._conn.execute("DELETE FROM check_progress WHERE part = ?", (part,))
        else:
            query = "INSERT OR REPLACE INTO check_progress VALUES (?, ?)"
            self._conn.execute(query, (part, last_record_id))

    # Quarantine ------------------------------------------------------------------------------

    def quarantined(self) -> list[tuple[str, str, str | None, str]]:
        """Return (found_at, table, pith_number, reason) of each row in quarantine."""
        query = "SELECT found_at, table_name, pith_number, reason FROM quarantine ORDER BY id"
        return self._conn.execute(query).fetchall()

    def last_found_at(self) -> str | None:
        """Return when a row was last moved to quarantine; None if none was."""
        query = "SELECT found_at FROM quarantine ORDER BY id DESC LIMIT 1"
        row = self._conn.execute(query).fetchone()
        return None if row is None else str(row[0])

    def quarantine(self, damage: Damage, at: str) -> None:
        """Move a damaged fact from its table to the quarantine, unchanged."""
        if damage.table == "record":
            self._move_record(damage, at)
        elif damage.table == "trust":
            self._move_trust(at)
        elif damage.table == "timestamp_authority":
            self._move_rows("timestamp_authority", "1", (), damage, at)
            AuthorityLog(self._conn).clear()  # none is trusted
        elif damage.table == "run":
            self._blank_run(damage, at)
        elif damage.table == "origin":
            self._blank_origin(damage)
        elif damage.table == "acknowledgement":
            self._move_acknowledgements(at)
        elif damage.table in _MOVED_ALONE:
            self._move_rows(damage.table, "id = ?", (damage.row_id,), damage, at)
            Commits(self._conn).cover()
        elif damage.table == "full_text":
            SearchIndex(self._conn).clear()  # the next search builds it again
        elif damage.table == "anchor":
            AnchorTable(self._conn).clear()

    def _quarantine_row(self, damage: Damage, table: str, row: Iterable[object], at: str) -> None:
        content = pack([one if isinstance(one, (int, str)) else _text(one) for one in row])
        query = """
            INSERT INTO quarantine (found_at, table_name, pith_number, reason, content)
            VALUES (?, ?, ?, ?, ?)
        """
        self._conn.execute(query, (at, table, damage.pith_number, damage.reason, content))

    def _move_rows(
        self, table: str, condition: str, arguments: tuple[object, ...], damage: Damage, at: str
    ) -> None:
        query = f"SELECT * FROM {table} WHERE {condition}"  # noqa: S608
        for row in self._conn.execute(query, arguments).fetchall():
            self._quarantine_row(damage, table, row, at)
            if table == "arrival":
                self._conn.execute("DELETE FROM verdict WHERE arrival_id = ?", (row[0],))
        self._conn.execute(f"DELETE FROM {table} WHERE {condition}", arguments)  # noqa: S608

    def _move_record(self, damage: Damage, at: str) -> None:
        """Move a damaged record with its facts: without it they cannot be verified."""
        self._move_rows("arrival", "record_id = ?", (damage.row_id,), damage, at)
        for table in _OF_RECORD:
            query = f"DELETE FROM {table} WHERE record_id = ?"  # noqa: S608
            self._conn.execute(query, (damage.row_id,))
        self._move_rows("record", "id = ?", (damage.row_id,), damage, at)

    def _move_trust(self, at: str) -> None:
        """Move a damaged log of trust, and fall back to the built-in key.

        The built-in key is not trusted either if the log may have removed it: a repair never trusts
        a key that a person removed.
        """
        damage = Damage("trust", None, None, None, "the log of trusted keys is damaged")
        trust = TrustLog(self._conn)
        is_lost = trust.may_lack_built_in()
        self._move_rows("trust", "1", (), damage, at)
        trust.clear()
        if is_lost:
            trust.append("remove", [BUILT_IN], at)

    def _move_acknowledgements(self, at: str) -> None:
        """Move a damaged log of acknowledgements: every finding is new again."""
        damage = Damage(
            "acknowledgement", None, None, None, "the log of acknowledgements is damaged"
        )
        self._move_rows("acknowledgement", "1", (), damage, at)
        self._conn.execute("DELETE FROM acknowledged_finding")

    def _blank_run(self, damage: Damage, at: str) -> None:
        """Replace a run by an unknown one: facts point to it, so the row stays."""
        self._quarantine_row(damage, "run", damage.content, at)
        run_table(self._conn).add([(damage.row_id, _UNKNOWN, _UNKNOWN)], "REPLACE")

    def _blank_origin(self, damage: Damage) -> None:
        """Give an unknown run to an arrival whose run is missing."""
        query = "SELECT id, record_id, member, content FROM arrival WHERE id = ?"
        row = self._conn.execute(query, (damage.row_id,)).fetchone()
        if row is None:  # it could not be saved
            return
        run_id = SourceRun(_UNKNOWN, _UNKNOWN).id(self._conn)
        row_id, record_id, member, content = row
        checksum = ArrivalRow.checksum_of(row_id, record_id, run_id, member, content)
        query = "UPDATE arrival SET run_id = ?, checksum = ? WHERE id = ?"
        self._conn.execute(query, (run_id, checksum, row_id))


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
