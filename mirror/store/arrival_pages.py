"""Pages of arrivals, the newest first: of all records, of one, or of those with some bytes."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import zstandard

from mirror.store.arrival_codec import decompress

__all__ = ["ArrivalFilter", "ArrivalHead", "ArrivalPages", "ScannedArrivals"]


class ArrivalHead(NamedTuple):
    """An arrival in a list, without its content."""

    id: int
    record_id: int
    started_at: str
    """When its run started; empty if the run is missing."""
    checksum: bytes
    """The stored checksum of its row."""
    size: int
    """Bytes of its content, decompressed; those that are stored if that is not known."""


class ArrivalFilter(NamedTuple):
    """Which arrivals to return; nothing chosen means all."""

    record_id: int = 0
    text: bytes = b""
    """A byte string in the value of the record."""
    finding: bytes = b""
    """If given, only arrivals that may have a finding: with a verdict that is stored, of a record
    with equivocations, or with this byte string in their content; and damaged and long ones."""


class ScannedArrivals(NamedTuple):
    """The arrivals that were found in a part of the store."""

    found: list[ArrivalHead]
    """Descending."""
    last: int
    """The lowest id that was looked at; 0 if there is no arrival before it."""


LONG_CONTENT_BYTES = 64 << 10
"""Length from which a content, compressed, is not read for a list."""
_FRAME_HEADER_BYTES = 18
_COLUMNS = f"""
    arrival.id, arrival.record_id, coalesce(run.started_at, ''), arrival.checksum,
    length(arrival.content),
    CASE WHEN length(arrival.content) <= {LONG_CONTENT_BYTES}
    THEN substr(arrival.content, 1, {_FRAME_HEADER_BYTES}) END
"""
"""SQLite knows the length of a long content without reading it."""


_HOLDS_TEXT = "(:text = x'' OR instr(record.value, :text) > 0)"
_MAY_HOLD_FINDING = f"""
    (:finding = x''
     OR EXISTS (SELECT 1 FROM verdict WHERE verdict.arrival_id = arrival.id)
     OR EXISTS (SELECT 1 FROM state WHERE state.record_id = arrival.record_id
                AND equivocation_count > 0)
     OR length(arrival.content) > {LONG_CONTENT_BYTES}
     OR content_holds(arrival.content, :finding))
"""  # noqa: S608


class ArrivalPages:
    """Queries for the arrivals before one, in descending order."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        conn.create_function("content_holds", 2, _holds, deterministic=True)

    def before(self, arrival_id: int, limit: int, record_id: int = 0) -> list[ArrivalHead]:
        """Return at most `limit` arrivals with lower ids, of one record or of all (0)."""
        condition = "AND arrival.record_id = :record" if record_id else ""
        query = f"""
            SELECT {_COLUMNS} FROM arrival LEFT JOIN run ON run.id = arrival.run_id
            WHERE arrival.id < :before {condition} ORDER BY arrival.id DESC LIMIT :limit
        """  # noqa: S608
        chosen = {"before": arrival_id, "record": record_id, "limit": limit}
        return [_head(row) for row in self._conn.execute(query, chosen)]

    def scan(self, chosen: ArrivalFilter, before: int, limit: int, most: int) -> ScannedArrivals:
        """Return arrivals with lower ids than `before` that a filter chooses.

        Args:
            chosen: The filter.
            before: Only arrivals with lower ids.
            limit: At most so many are returned.
            most: At most so many are looked at.
        """
        of_record = "AND record_id = :record_id" if chosen.record_id else ""
        looked_at = f"""
            SELECT id FROM arrival WHERE id < :before {of_record} ORDER BY id DESC LIMIT :most
        """  # noqa: S608
        query = f"""
            SELECT {_COLUMNS} FROM ({looked_at}) AS near JOIN arrival ON arrival.id = near.id
            LEFT JOIN record ON record.id = arrival.record_id
            LEFT JOIN run ON run.id = arrival.run_id
            WHERE {_HOLDS_TEXT} AND {_MAY_HOLD_FINDING} ORDER BY near.id DESC LIMIT :limit
        """  # noqa: S608
        values = {**chosen._asdict(), "before": before, "limit": limit, "most": most}
        found = [_head(row) for row in self._conn.execute(query, values)]
        query = f"SELECT coalesce(min(id), 0) FROM ({looked_at})"  # noqa: S608
        last = found[-1].id if len(found) == limit else self._number(query, values)
        query = f"SELECT EXISTS (SELECT 1 FROM arrival WHERE id < :before {of_record})"  # noqa: S608
        has_more = self._number(query, {"before": last, "record_id": chosen.record_id})
        return ScannedArrivals(found, last if has_more else 0)

    def refused(self, arrival_id: int) -> list[tuple[str, str, int]]:
        """Return (`event` or `receipt`, code, number) of the facts of an arrival that failed."""
        query = """
            SELECT kind, code, sum(count) FROM verdict WHERE arrival_id = ? AND code != ''
            GROUP BY kind, code ORDER BY kind, code
        """
        return self._conn.execute(query, (arrival_id,)).fetchall()

    def last_by(self, at: str) -> int:
        """Return the id of the last arrival that was stored by a time; 0 without one.

        Args:
            at: The time, written with microseconds.
        """
        query = (
            "SELECT coalesce(max(last_arrival_id), 0) FROM arrival_commit WHERE stored_at <= :at"
        )
        return self._number(query, {"at": at})

    def last_changes(self, after: int, until: int) -> list[tuple[str, str | None]]:
        """Return suffix and known time of the last arrival of records, ascending by row id.

        Args:
            after: Only records with greater row ids.
            until: Only those up to this row id.
        """
        query = """
            SELECT suffix, (
                SELECT stored_at FROM arrival_commit WHERE last_arrival_id >= (
                    SELECT max(arrival.id) FROM arrival WHERE record_id = record.id
                ) ORDER BY last_arrival_id LIMIT 1
            ) FROM record WHERE id > ? AND id <= ? ORDER BY id
        """
        return self._conn.execute(query, (after, until)).fetchall()

    def _number(self, query: str, chosen: dict[str, object]) -> int:
        return int(self._conn.execute(query, chosen).fetchone()[0])


def _holds(content: bytes, text: bytes) -> bool:
    """Return whether a content holds a byte string, or is damaged."""
    try:
        return bool(content) and text in decompress(content)
    except ValueError:
        return True


def _head(row: tuple[int, int, str, bytes, int, bytes | None]) -> ArrivalHead:
    row_id, record_id, started_at, checksum, stored, frame = row
    return ArrivalHead(row_id, record_id, started_at, checksum, _size(stored, frame))


def _size(stored: int, frame: bytes | None) -> int:
    try:
        return max(stored, zstandard.frame_content_size(frame or b""))
    except zstandard.ZstdError:
        return stored  # damaged, which shows when it is read
