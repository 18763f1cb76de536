"""Completeness: how many records have what an archivist asks for."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from mirror.engine.anchors.result import AnchorStatus
from mirror.engine.storage.status import CaptureStatus

__all__ = ["CONDITIONS", "RecordCondition", "completeness_in"]


class RecordCondition(NamedTuple):
    """A condition that a record meets or not."""

    name: str
    meaning: str
    query: str
    """Counts the records that meet it: an expression over `records`, or a SELECT."""

    @property
    def is_column(self) -> bool:
        """Whether the query is an expression over `records`."""
        return not self.query.startswith("SELECT")


def _having(table: str, condition: str) -> str:
    return f"SELECT count(DISTINCT pith_number) FROM {table} WHERE {condition}"  # noqa: S608


CONDITIONS = (
    RecordCondition(
        "verified receipt",
        "a key that is trusted here signed the record, and the signature was verified",
        "receipt_key_id IS NOT NULL",
    ),
    RecordCondition(
        "title proved",
        "a title is known here whose digest is in the record",
        "title_status = 'proved'",
    ),
    RecordCondition(
        "title claimed only",
        "the only title is that of a signed graph snapshot, which nothing proves",
        "title_status = 'claimed'",
    ),
    RecordCondition("no title", "no title is known here", "title_status IS NULL"),
    RecordCondition(
        "graph snapshot",
        "a graph snapshot is in force",
        _having("graph_snapshots", "is_last"),
    ),
    RecordCondition(
        "time-stamp",
        "a time-stamp is in force; a claim until its proof is checked",
        _having("timestamps", "in_force"),
    ),
    RecordCondition(
        "time-stamp checked here",
        "the proof of one of them was checked here, and leads to a trusted time",
        _having("timestamps", f"in_force AND check_status = '{AnchorStatus.ANCHORED}'"),
    ),
    RecordCondition(
        "stored copy",
        "a storage attestation is in force; a claim until the archive is asked",
        _having("storage_attestations", "in_force"),
    ),
    RecordCondition(
        "stored copy found",
        "the archive had the capture when this mirror last asked",
        _having("storage_attestations", f"in_force AND check_status = '{CaptureStatus.PRESENT}'"),
    ),
    RecordCondition(
        "author claim",
        "somebody signed to be an author; in force, not checked here",
        _having("author_claims", "in_force"),
    ),
    RecordCondition(
        "compared with upstream",
        "a statement of an upstream on the record is stored",
        "SELECT count(DISTINCT u.pith_number) FROM upstream_statements AS u"
        " JOIN records USING (pith_number)",
    ),
    RecordCondition(
        "one source only",
        "all of its bundles came from one path or URL",
        "SELECT count(*) FROM (SELECT 1 FROM arrivals GROUP BY pith_number"
        " HAVING min(source) = max(source))",
    ),
    RecordCondition("no valid event", "no event passed every check", "events_valid = 0"),
    RecordCondition(
        "refused events", "one or more of its events failed a check", "events_invalid > 0"
    ),
    RecordCondition(
        "equivocations", "a signer contradicts itself about the record", "equivocations > 0"
    ),
)
"""The conditions, in the order in which they are shown."""

_COLUMNS = [one for one in CONDITIONS if one.is_column]
_COUNT_COLUMNS = f"""
    SELECT count(*), {", ".join(f"coalesce(sum({one.query}), 0)" for one in _COLUMNS)} FROM records
"""  # noqa: S608


def completeness_in(conn: sqlite3.Connection) -> tuple[int, dict[str, int]]:
    """Return the number of records of a copy, and how many meet each condition, by its name."""
    records, *counts = conn.execute(_COUNT_COLUMNS).fetchone()
    found = {one.name: int(count) for one, count in zip(_COLUMNS, counts, strict=True)}
    for one in CONDITIONS:
        if not one.is_column:
            found[one.name] = int(conn.execute(one.query).fetchone()[0])
    return int(records), {one.name: found[one.name] for one in CONDITIONS}
