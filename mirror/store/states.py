"""States: derived from the facts, stored with their digests, marked stale by new facts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from mirror.core.events.event import ValidEvent
from mirror.core.merge import State, by_id, fill
from mirror.core.values import Object, decode
from mirror.errors import CorruptStoreError, FormatError
from mirror.store.arrival_codec import compress, decompress
from mirror.store.arrivals import RecordTotals
from mirror.store.checked_table import CheckedTable, Row
from mirror.store.citations import CitationIndex, citing_names
from mirror.store.counters import Counters
from mirror.store.facts import Facts
from mirror.store.records import damaged, required
from mirror.store.state_tree import StateTree
from mirror.store.stored_records import json_list

__all__ = [
    "SEEN_RECORDS",
    "StaleRecord",
    "StateColumns",
    "StateRow",
    "States",
    "outline_of",
    "state_columns",
    "state_table",
]


@dataclass(frozen=True, slots=True)
class StateRow:
    """A stored state."""

    pith_number: str
    suffix: str
    text: bytes
    """The text of M13."""


@dataclass(frozen=True, slots=True)
class StaleRecord:
    """A record whose state is older than its facts."""

    record_id: int
    needs_verdicts: bool
    """Whether its verdicts are stale, too."""
    is_queued: bool = True
    """False if it is not marked as stale, but its state is missing or is that of other facts."""


SEEN_RECORDS = "CREATE TEMP TABLE seen_record (record_id INTEGER PRIMARY KEY)"
"""Makes the table of the records that a connection saw; outside of transactions, which may end
without a commit."""


class StateColumns(NamedTuple):
    """The columns of a state in the table `state`, the outline last, and the works that cite it."""

    digest: bytes
    core_digest: bytes
    valid_event_count: int
    invalid_event_count: int
    equivocation_count: int
    outline: bytes
    """Compressed."""
    citing: tuple[str, ...] = ()
    """The names of the works whose citations are in force, ascending (`core.identifier`)."""


def state_columns(state: State) -> StateColumns:
    """Return the columns of a state."""
    return StateColumns(
        state.raw_digest,
        state.raw_core_digest,
        state.count("valid_event_count"),
        state.count("invalid_event_count"),
        state.count("equivocation_count"),
        compress(state.outline),
        citing_names(state.citing),
    )


_MANY_REFUSED = 500
"""Number of failed events of one record from which reading its facts is slow."""


_COLUMNS = """
    record_id, digest, core_digest, valid_event_count, invalid_event_count, equivocation_count,
    totals_checksum, outline
"""


def state_table(conn: sqlite3.Connection) -> CheckedTable:
    """Return the table `state`; its rows end with the compressed outline."""
    return CheckedTable(conn, "state", _COLUMNS, lambda row: f"state of record {row[0]}")


def outline_of(row: Row) -> Object:
    """Return the outline in a row of `state`.

    Raises:
        CorruptStoreError: `store.damaged` if it cannot be read.
    """
    try:
        outline = decode(decompress(row[-1]))
    except (ValueError, FormatError) as error:
        raise damaged(f"it cannot be read: {error}", f"state of record {row[0]}") from error
    return cast("Object", outline)  # the checksum matches


class States:
    """The tables `state` and `stale`, and the index of citations that follows the states."""

    def __init__(self, conn: sqlite3.Connection, facts: Facts) -> None:
        self._conn = conn
        self._table = state_table(conn)
        self._facts = facts
        self._citations = CitationIndex(conn)

    def mark_all_for_verdicts(self) -> None:
        """Mark every record: its verdicts and its state are stale.

        This empties `key_dependency`: no change of a key needs to find a record that will be
        verified again under all keys that are trusted then.
        """
        self._conn.execute("INSERT OR REPLACE INTO stale SELECT id, 1 FROM record")
        self._conn.execute("DELETE FROM key_dependency")
        self._conn.execute("DELETE FROM verdict WHERE arrival_id NOT IN (SELECT id FROM arrival)")
        for table in ("record_totals", "state", "stale", "citation"):
            self._conn.execute(
                f"DELETE FROM {table} WHERE record_id NOT IN (SELECT id FROM record)"  # noqa: S608
            )
        StateTree(self._conn).clear()  # records may be gone

    def mark_for_event_verdicts(self) -> None:
        """Mark the records with an event that did not pass under the built-in profile."""
        query = """
            INSERT OR REPLACE INTO stale
            SELECT DISTINCT record_id, 1 FROM verdict JOIN arrival ON arrival.id = arrival_id
            WHERE kind = 'event'
        """
        self._conn.execute(query)

    def has_rules(self, version: str) -> bool:
        """Whether every verdict and state is of these rules, or is marked as stale."""
        return self._conn.execute("SELECT version FROM rules").fetchall() == [(version,)]

    def require_rules(self, version: str) -> None:
        """Mark every record unless its verdicts and state are of these rules."""
        if self.has_rules(version):
            return
        self.mark_all_for_verdicts()
        self._conn.execute("DELETE FROM rules")
        self._conn.execute("INSERT INTO rules VALUES (?)", (version,))

    def mark_all_for_merge(self) -> None:
        """Mark every record: its state is stale, its verdicts are not."""
        self._conn.execute("INSERT OR IGNORE INTO stale SELECT id, 0 FROM record")

    def stale(self, limit: int, after: int = 0) -> list[StaleRecord]:
        """Return stale records, ascending by id.

        Args:
            limit: At most so many.
            after: Only those with a greater id.
        """
        query = """
            SELECT record_id, needs_verdicts FROM stale WHERE record_id > ?
            ORDER BY record_id LIMIT ?
        """
        found = self._conn.execute(query, (after, limit)).fetchall()
        return [StaleRecord(record_id, bool(needs_verdicts)) for record_id, needs_verdicts in found]

    def to_merge(self, after: int, limit: int) -> list[int]:
        """Return the ids of stale records with current verdicts, ascending.

        Args:
            after: Only greater ids.
            limit: At most so many.
        """
        query = "SELECT record_id FROM stale WHERE needs_verdicts = 0 AND record_id > ? LIMIT ?"
        return [row[0] for row in self._conn.execute(query, (after, limit))]

    def save_merged(self, rows: Sequence[tuple[int, StateColumns | None, bytes]]) -> None:
        """Write states that other processes merged, where no facts came since.

        Args:
            rows: Each with its record's id and the checksum of the totals that it was made from;
                None for a state that is stored already as it was made.
        """
        checksums = self._current_checksums([row[0] for row in rows])
        current = [row for row in rows if checksums.get(row[0]) == row[2]]
        self._replace([(one, state, totals) for one, state, totals in current if state is not None])
        ids = [(row[0],) for row in current if row[1] is None]
        self._conn.executemany("DELETE FROM stale WHERE record_id = ?", ids)

    def _current_checksums(self, record_ids: Sequence[int]) -> dict[int, bytes]:
        """Return the checksums of the totals of records whose verdicts are current."""
        query = """
            SELECT record_id, checksum FROM record_totals
            WHERE record_id IN (SELECT value FROM json_each(?))
                AND NOT EXISTS (
                    SELECT 1 FROM stale
                    WHERE stale.record_id = record_totals.record_id AND needs_verdicts
                )
        """
        return dict(self._conn.execute(query, (json_list(record_ids),)))

    def _replace(self, rows: Sequence[tuple[int, StateColumns, bytes]]) -> None:
        """Write states of records, which are not stale any more; `rows` as in `add`."""
        ids = [row[0] for row in rows]
        before = self._equivocations(ids)
        self._citations.drop(ids)
        self.add(rows)
        self._conn.executemany("DELETE FROM stale WHERE record_id = ?", [(one,) for one in ids])
        after = sum(columns.equivocation_count for _, columns, _ in rows)
        Counters(self._conn).add({"equivocations": after - before})

    def _equivocations(self, record_ids: Sequence[int]) -> int:
        """Return the number of equivocations in the stored states of records."""
        query = """
            SELECT equivocation_count FROM state
            WHERE record_id IN (SELECT value FROM json_each(?))
        """
        return sum(count for (count,) in self._conn.execute(query, (json_list(record_ids),)))

    def needs_verdicts(self, record_id: int) -> bool:
        """Whether the verdicts on a record are marked as stale."""
        query = "SELECT needs_verdicts FROM stale WHERE record_id = ?"
        row = self._conn.execute(query, (record_id,)).fetchone()
        return row is not None and bool(row[0])

    def staleness(self, record_id: int) -> StaleRecord | None:
        """Return how a record is stale, or None if its state is current."""
        query = "SELECT needs_verdicts FROM stale WHERE record_id = ?"
        row = self._conn.execute(query, (record_id,)).fetchone()
        if row is not None:
            return StaleRecord(record_id, bool(row[0]))
        query = "SELECT totals_checksum FROM state WHERE record_id = ?"
        made = self._conn.execute(query, (record_id,)).fetchone()
        if made == (RecordTotals.load(self._conn, record_id).checksum,):
            return None
        return StaleRecord(record_id, needs_verdicts=False, is_queued=False)

    def save(self, record_id: int, state: State) -> None:
        """Write the state of a record, which is not stale any more."""
        totals = RecordTotals.load(self._conn, record_id)
        self._replace([(record_id, state_columns(state), totals.checksum)])

    def add(self, rows: Sequence[tuple[int, StateColumns, bytes]]) -> None:
        """Write states of records without entries in the index of citations.

        Args:
            rows: Each with its record's id and the checksum of the totals it was made from.
        """
        rows_of_table = [
            (one, *columns[:5], totals, columns.outline)  # as the table has them
            for one, columns, totals in rows
        ]
        self._table.add(rows_of_table, "REPLACE")
        self._citations.add([(one, columns.citing) for one, columns, _ in rows])
        StateTree(self._conn).enqueue(record_id for record_id, _, _ in rows)

    def mark_stale(self, record_ids: Iterable[int]) -> None:
        """Mark records with new facts."""
        rows = [(record_id,) for record_id in record_ids]
        self._conn.executemany("INSERT OR IGNORE INTO stale VALUES (?, 0)", rows)

    def digest(self, record_id: int) -> bytes:
        """Return the digest of a record's state, 32 raw bytes (M12)."""
        query = "SELECT digest FROM state WHERE record_id = ?"
        row = self._conn.execute(query, (record_id,)).fetchone()
        return bytes(required(row, f"state of record {record_id}")[0])

    def core_digests(self, record_ids: Iterable[int]) -> dict[int, tuple[bytes, int]]:
        """Return core digest (M12, raw) and number of invalid events of stored states, by record.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        condition = "WHERE record_id IN (SELECT value FROM json_each(?))"
        rows = self._table.rows(condition, (json_list(list(record_ids)),))
        return {row[0]: (row[2], row[4]) for row in rows}

    def current_digest(self, record_id: int) -> bytes | None:
        """Return the digest of a record's state, or None if the record is stale."""
        query = """
            SELECT digest FROM state JOIN record_totals USING (record_id)
            WHERE record_id = ? AND totals_checksum = record_totals.checksum
                AND NOT EXISTS (SELECT 1 FROM stale WHERE stale.record_id = state.record_id)
        """
        row = self._conn.execute(query, (record_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def text(self, record_id: int) -> bytes:
        """Return the state of a record as M13 writes it; its digest (M12) is computed and compared.

        Raises:
            CorruptStoreError: `store.damaged` if the state or one of its facts is damaged, or the
                digest of the state is not the stored one.
        """
        row = self._row(record_id)
        facts = self._facts.load(record_id)
        where = f"state of {facts.record.pith_number}"
        valid = by_id(event for event in facts.events if isinstance(event, ValidEvent))
        payloads = {event_id: event.payload_text for event_id, event in valid.items()}
        try:
            text, digest = fill(decompress(row[-1]), facts.record, payloads)
        except (ValueError, KeyError, TypeError, FormatError) as error:
            raise damaged(f"it cannot be read: {error}", where) from error
        if digest != row[1]:
            raise damaged("digest mismatch", where)
        return text

    def outline(self, record_id: int) -> Object:
        """Return the state of a record without record and payloads; does not read its facts.

        It may be stale.

        Raises:
            CorruptStoreError: `store.damaged` if it is damaged or missing.
        """
        return outline_of(self._row(record_id))

    def columns(self, record_id: int) -> StateColumns | None:
        """Return the stored columns, the outline decompressed; None if they are damaged."""
        try:
            _, digest, core_digest, *counts, _, outline = self._row(record_id)
            valid, invalid, equivocations = counts
            outline = decompress(outline)
            return StateColumns(digest, core_digest, valid, invalid, equivocations, outline)
        except (ValueError, CorruptStoreError):
            return None

    def _row(self, record_id: int) -> Row:
        """Return the columns of a state; raises `store.damaged` if it is missing or damaged."""
        row = self._table.row("WHERE record_id = ?", (record_id,))
        if row is None:
            raise damaged("state is missing", f"state of record {record_id}")
        return row

    def has_many_refused(self, record_id: int) -> bool:
        """Whether so many of a record's events failed that a list of records leaves them out."""
        query = """
            SELECT events - coalesce(valid_event_count, 0)
            FROM record_totals LEFT JOIN state USING (record_id) WHERE record_id = ?
        """
        row = self._conn.execute(query, (record_id,)).fetchone()
        return row is not None and int(row[0]) > _MANY_REFUSED

    # Records seen in this run ----------------------------------------------------------------

    def mark_seen(self, record_ids: Iterable[int]) -> None:
        """Add records to those that this connection saw."""
        rows = [(record_id,) for record_id in record_ids]
        self._conn.executemany("INSERT OR IGNORE INTO seen_record VALUES (?)", rows)

    def mark_ranges_seen(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Add all records from the first id to the last of each range."""
        query = "INSERT OR IGNORE INTO seen_record SELECT id FROM record WHERE id BETWEEN ? AND ?"
        self._conn.executemany(query, ranges)

    def seen_count(self) -> int:
        """Return how many records this connection saw."""
        return int(self._conn.execute("SELECT count(*) FROM seen_record").fetchone()[0])

    def seen_equivocations(self) -> int:
        """Return the number of equivocations in the states of those records."""
        query = """
            SELECT coalesce(sum(equivocation_count), 0)
            FROM state JOIN seen_record USING (record_id)
        """
        return int(self._conn.execute(query).fetchone()[0])

    def seen_states(self) -> Iterator[StateRow]:
        """Yield the states of those records, ascending by Pith Number."""
        query = """
            SELECT year, suffix, id
            FROM seen_record JOIN record ON record.id = seen_record.record_id
            ORDER BY year, suffix, id
        """
        for year, suffix, record_id in self._conn.execute(query):
            yield StateRow(f"pith:{year}:{suffix}", suffix, self.text(record_id))
