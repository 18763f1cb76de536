"""Facts on records: alias claims, receipts and events, each stored once, with their sources.

Facts are stored by arrival: one row holds all new facts of a bundle. Rows are only added; adding a
stored fact again changes nothing. The verdicts on facts are in a table of their own and can be
replaced.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import orjson

from mirror.core.bundle import AliasClaim
from mirror.core.events.event import Event
from mirror.core.keys import KeySet
from mirror.core.profile import MIRROR_V1
from mirror.core.receipt import Receipt
from mirror.core.record import Record
from mirror.store.arrival_codec import ArrivalContents, decompress
from mirror.store.arrivals import (
    ArrivalRow,
    RecordTotals,
    VerdictRow,
    Verdicts,
    group_verdicts,
    key_ids_of,
    ungroup_verdicts,
    verdict_rows_of,
)
from mirror.store.commits import Commits
from mirror.store.counters import Counters, count_verdicts
from mirror.store.records import Records, damaged, required
from mirror.store.stored_facts import StoredFacts, StoredFactsCache
from mirror.store.trust_log import TrustLog

__all__ = ["NAME_CHARACTERS", "Facts", "RecordFacts", "indexed_name"]


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """All stored facts of one record, with their stored verdicts."""

    record: Record
    alias_claims: list[AliasClaim]
    receipts: list[Receipt]
    events: list[Event]

    def add(self, contents: ArrivalContents, verdicts: Verdicts) -> None:
        """Add the facts of an arrival with their verdicts."""
        self.alias_claims.extend(contents.claims)
        self.receipts.extend(verdicts.receipts)
        self.events.extend(verdicts.events)


_NOBODY = KeySet()
_COLUMNS = "id, record_id, run_id, member, content, checksum"
NAME_CHARACTERS = 128
_ANY_ARRIVAL = 1 << 62


class Facts:
    """The tables of facts and verdicts."""

    def __init__(self, conn: sqlite3.Connection, records: Records) -> None:
        self._conn = conn
        self._records = records
        self._cache = StoredFactsCache()

    # Loading ---------------------------------------------------------------------------------

    def load(self, record_id: int, after: int = 0, until: int | None = None) -> RecordFacts:
        """Return all facts of a record with their verdicts.

        Args:
            record_id: The record.
            after: Only those that arrived later than this arrival.
            until: Only those that arrived no later than this one; None for all.

        Raises:
            CorruptStoreError: `store.damaged` if their checksums do not match.
        """
        record = self._records.get(record_id)
        facts = RecordFacts(record, [], [], [])
        for row, contents in self.rows(record_id):
            if row.id <= after or (until is not None and row.id > until):
                continue
            facts.add(contents, self.with_verdicts(row, contents))
        return facts

    def with_verdicts(self, row: ArrivalRow, contents: ArrivalContents) -> Verdicts:
        """Return the facts of an arrival with their verdicts.

        Raises:
            CorruptStoreError: As `load`.
        """
        keys = TrustLog(self._conn).ever_trusted() if row.has_profile_verdicts else _NOBODY
        return row.with_verdicts(contents, keys)

    def stored_facts(self, digest: bytes, suffix: str | None = None) -> StoredFacts:
        """Return the stored facts of the record with this `canonical_sha256` (raw).

        The result is valid until the next call, which may add to it. `suffix` is that of the
        Pith Number, if it is known already.

        Raises:
            CorruptStoreError: As `load`.
        """
        record_id = self._records.find(digest, suffix)
        if record_id is None:
            return StoredFacts()
        stored = self._cache.pop(record_id) or StoredFacts(record_id)
        stored.add(self._with_contents(record_id, stored.last_arrival))
        if stored.totals != RecordTotals.load(self._conn, record_id):
            stored = StoredFacts(record_id)
            stored.add(self.rows(record_id))
        self._cache.put(record_id, stored)
        return stored

    def rows(self, record_id: int) -> list[tuple[ArrivalRow, ArrivalContents]]:
        """Return all arrivals of a record with their contents, compared with its totals.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        rows = self._with_contents(record_id)
        if RecordTotals.of(rows) != RecordTotals.load(self._conn, record_id):
            message = "the facts or verdicts do not match the totals of the record"
            raise damaged(message, f"record {record_id}")
        return rows

    def _with_contents(
        self, record_id: int, after: int = 0
    ) -> list[tuple[ArrivalRow, ArrivalContents]]:
        return [(row, row.contents()) for row in self.arrivals(record_id, after)]

    def arrivals(self, record_id: int, after: int = 0) -> list[ArrivalRow]:
        """Return all arrivals of a record, or those after one, not compared with its totals."""
        query = f"SELECT {_COLUMNS} FROM arrival WHERE record_id = ? AND id > ? ORDER BY id"  # noqa: S608
        found = self._conn.execute(query, (record_id, after)).fetchall()
        return [
            ArrivalRow(row_id, record, run, member, content, checksum, self._verdict_rows(row_id))
            for row_id, record, run, member, content, checksum in found
        ]

    def arrival(self, arrival_id: int) -> ArrivalRow:
        """Return one arrival, not compared with the totals of its record.

        Raises:
            CorruptStoreError: `store.damaged` if it is missing.
        """
        query = f"SELECT {_COLUMNS} FROM arrival WHERE id = ?"  # noqa: S608
        row = self._conn.execute(query, (arrival_id,)).fetchone()
        _, record, run, member, content, checksum = required(row, f"arrival {arrival_id}")
        verdicts = self._verdict_rows(arrival_id)
        return ArrivalRow(arrival_id, record, run, member, content, checksum, verdicts)

    def arrivals_with(
        self, texts: Iterable[bytes], record_id: int | None = None
    ) -> Iterator[tuple[int, bool]]:
        """Yield the id of every arrival, and whether one of some byte strings is in its content.

        An arrival with an event of a trusted profile always counts: the id of such an event need
        not be in it. Each content is decompressed, and none is decoded.

        Args:
            texts: The byte strings.
            record_id: Only arrivals of this record; None for all.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        condition = "" if record_id is None else "WHERE record_id = :record"
        query = f"""
            SELECT id, content, EXISTS (
                SELECT 1 FROM verdict WHERE arrival_id = arrival.id AND kind = 'event'
                AND profile <> :built_in
            ) FROM arrival {condition} ORDER BY id
        """  # noqa: S608
        parameters = {"record": record_id, "built_in": MIRROR_V1.name}
        wanted = list(texts)
        for arrival_id, content, has_foreign in self._conn.execute(query, parameters):
            packed = _decompressed(content, arrival_id)
            yield arrival_id, bool(has_foreign) or any(text in packed for text in wanted)

    def contents(self, arrival_id: int) -> ArrivalContents:
        """Return the facts of one arrival.

        Raises:
            CorruptStoreError: `store.damaged` if its content cannot be read.
        """
        query = "SELECT record_id, content FROM arrival WHERE id = ?"
        row = self._conn.execute(query, (arrival_id,)).fetchone()
        record_id, content = required(row, f"arrival {arrival_id}")
        return ArrivalRow(arrival_id, record_id, 0, "", content, b"", []).contents()

    def _verdict_rows(self, arrival_id: int) -> list[VerdictRow]:
        query = """
            SELECT kind, profile, key_id, code, reason, positions, count
            FROM verdict WHERE arrival_id = ?
        """
        rows = self._conn.execute(query, (arrival_id,))
        return [one for row in rows for one in ungroup_verdicts(row)]

    def last_arrival_at(self, record_id: int | None = None) -> str | None:
        """Return when the last arrival of one record or of all was stored."""
        return Commits(self._conn).stored_at(self.last_arrival(record_id))

    def changes(self, after: int, limit: int) -> list[tuple[int, str, str, str]]:
        """Return (arrival id, year, suffix, time) of the arrivals after one, ascending."""
        query = """
            SELECT arrival.id, year, suffix, started_at
            FROM arrival JOIN record ON record.id = record_id JOIN run ON run.id = run_id
            WHERE arrival.id > ? ORDER BY arrival.id LIMIT ?
        """
        return self._conn.execute(query, (after, limit)).fetchall()

    def last_changes(self, after: int, until: int, bound: int, limit: int) -> list[tuple[int, int]]:
        """Return (arrival id, record id) of records by their last arrival, ascending.

        New arrivals after `bound` change nothing in this order.

        Args:
            after: Only records whose last arrival follows this one.
            until: Only records whose last arrival is this one or before it.
            bound: The last arrival that counts, not before `until`: later ones are as if they were
                not.
            limit: At most so many.
        """
        query = """
            SELECT id, record_id FROM arrival NOT INDEXED
            WHERE id > :after AND id <= :until AND id = (
                SELECT max(later.id) FROM arrival AS later
                WHERE later.record_id = arrival.record_id AND later.id <= :bound
            ) ORDER BY id LIMIT :limit
        """
        parameters = {"after": after, "until": until, "bound": bound, "limit": limit}
        return self._conn.execute(query, parameters).fetchall()

    def last_changes_of(
        self, record_ids: Iterable[int], after: int, until: int, bound: int, limit: int
    ) -> list[tuple[int, int]]:
        """Return the same as `last_changes` of some records: each of them is looked up."""
        query = """
            SELECT (
                SELECT max(id) FROM arrival WHERE record_id = value AND id <= :bound
            ) AS last, value FROM json_each(:records)
            WHERE last > :after AND last <= :until ORDER BY last LIMIT :limit
        """
        parameters = {"after": after, "until": until, "bound": bound, "limit": limit}
        records = orjson.dumps([*record_ids]).decode()
        return self._conn.execute(query, {**parameters, "records": records}).fetchall()

    def checksum_of(self, arrival_id: int) -> bytes | None:
        """Return the stored checksum of an arrival; None if there is no such arrival."""
        query = "SELECT checksum FROM arrival WHERE id = ?"
        row = self._conn.execute(query, (arrival_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def suffixes_since(self, after: int) -> list[str]:
        """Return the suffixes of records with later arrivals, and source ids as long as a suffix.

        A record with several arrivals is repeated. The result is one row: at each row that SQLite
        returns, a thread waits for the interpreter's lock if others are computing.
        """
        query = """
            SELECT json_group_array(suffix),
                json_group_array(source_id) FILTER (WHERE length(source_id) = length(suffix))
            FROM arrival JOIN record ON record.id = record_id WHERE arrival.id > ?
        """
        suffixes, source_ids = self._conn.execute(query, (after,)).fetchone()
        return [*orjson.loads(suffixes), *orjson.loads(source_ids)]

    def arrived_since(self, after: int) -> Iterator[tuple[int, int]]:
        """Yield (record id, number of arrivals) of the arrivals after one, ascending by record."""
        # Without an index: that of the records would read every arrival.
        query = """
            SELECT record_id, count(*) FROM arrival NOT INDEXED WHERE id > ?
            GROUP BY record_id ORDER BY record_id
        """
        return self._conn.execute(query, (after,))

    def last_arrival(self, record_id: int | None = None, until: int = _ANY_ARRIVAL) -> int:
        """Return the id of the last arrival of one record or of all; 0 without any.

        Args:
            record_id: The record; None for all.
            until: The last arrival of a record that counts.
        """
        query = "SELECT coalesce(max(id), 0) FROM arrival"
        if record_id is None:
            return int(self._conn.execute(query).fetchone()[0])
        query += " WHERE record_id = ? AND id <= ?"
        return int(self._conn.execute(query, (record_id, until)).fetchone()[0])

    def first_arrival(self, record_id: int) -> int:
        """Return the id of a record's first arrival; 0 if it has none."""
        query = "SELECT coalesce(min(id), 0) FROM arrival WHERE record_id = ?"
        return int(self._conn.execute(query, (record_id,)).fetchone()[0])

    def totals(self, record_id: int) -> RecordTotals:
        """Return the stored totals of a record."""
        return RecordTotals.load(self._conn, record_id)

    def depending_on(self, key_ids: Iterable[str]) -> list[int]:
        """Return the ids of the records with a verdict that may depend on a key of these names."""
        query = "SELECT record_id FROM key_dependency WHERE key_id = ?"
        names = {indexed_name(key_id) for key_id in key_ids}
        found = {row[0] for name in names for row in self._conn.execute(query, (name,))}
        return sorted(found)

    def depends_on(self, record_id: int, name: str) -> bool:
        """Return whether a verdict on a record may depend on a key of this name."""
        query = "SELECT 1 FROM key_dependency WHERE key_id = ? AND record_id = ?"
        found = self._conn.execute(query, (indexed_name(name), record_id)).fetchone()
        return found is not None

    def depends_on_profiles(self, record_id: int) -> bool:
        """Return whether a record has an event that did not pass under the built-in profile."""
        query = """
            SELECT 1 FROM arrival JOIN verdict ON arrival.id = arrival_id
            WHERE record_id = ? AND kind = 'event' LIMIT 1
        """
        return self._conn.execute(query, (record_id,)).fetchone() is not None

    # Verdicts --------------------------------------------------------------------------------

    def replace_verdicts(
        self,
        record_id: int,
        arrivals: Sequence[tuple[ArrivalRow, ArrivalContents, Verdicts]],
        keys: KeySet,
    ) -> None:
        """Replace the verdicts on a record's facts, and its totals.

        Args:
            record_id: The record.
            arrivals: All its arrivals with their new verdicts.
            keys: The key set under which they were verified.
        """
        totals, change = RecordTotals(), Counter[str]()
        for row, contents, verdicts in arrivals:
            change.subtract(count_verdicts(row.verdict_rows))
            verdict_rows = list(verdict_rows_of(verdicts))
            change.update(count_verdicts(verdict_rows))
            self._conn.execute("DELETE FROM verdict WHERE arrival_id = ?", (row.id,))
            self.add_verdicts([(row.id, one) for one in verdict_rows])
            self.add_key_dependencies(
                [(key_id, record_id) for key_id in key_ids_of(verdicts, keys)]
            )
            totals.add(row, contents, verdict_rows)
        totals.save(self._conn, record_id)
        Counters(self._conn).add(change)

    def add_verdicts(self, rows: Iterable[tuple[int, VerdictRow]]) -> None:
        """Add the verdicts on arrivals, each with the arrival's id."""
        query = "INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        by_arrival = groupby(rows, key=itemgetter(0))
        self._conn.executemany(query, (
            (arrival_id, *row)
            for arrival_id, verdicts in by_arrival
            for row in group_verdicts(one for _, one in verdicts)
        ))  # fmt: skip

    def add_key_dependencies(self, rows: Iterable[tuple[str, int]]) -> None:
        """Add the key ids that the verdicts on a record may depend on."""
        self._conn.executemany(
            "INSERT OR IGNORE INTO key_dependency VALUES (?, ?)",
            [(indexed_name(key_id), record_id) for key_id, record_id in rows],
        )


def _decompressed(content: bytes, arrival_id: int) -> bytes:
    try:
        return decompress(content) if content else b""
    except ValueError as error:
        message = f"its content cannot be read: {error}"
        raise damaged(message, f"arrival {arrival_id}") from error


def indexed_name(key_id: str) -> str:
    """Return the first characters of the name of a key: those that the index holds.

    An event may name a key by a megabyte. If two names begin alike, a change of one key verifies
    the events of the other again, with the same verdict.
    """
    return key_id[:NAME_CHARACTERS]
