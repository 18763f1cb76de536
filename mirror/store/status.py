"""What is in a store, counted."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = ["Status", "read_status"]


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of facts and verdicts."""

    records: int
    alias_claims: int
    receipts_verified: int
    receipts_refused: dict[str, int]
    """By code of S2."""
    events_valid: int
    events_invalid: dict[str, int]
    """By code of E3."""
    equivocations: int
    stale: int
    """Records whose state lags behind their facts."""
    last_run_at: str | None
    last_source: str | None


def read_status(conn: sqlite3.Connection) -> Status:
    """Count what is in the store."""
    receipts = _by_code(conn, "receipt_verdict")
    events = _by_code(conn, "event_verdict")
    query = "SELECT started_at, source FROM run ORDER BY id DESC LIMIT 1"
    last = conn.execute(query).fetchone() or (None, None)
    return Status(
        records=_number(conn, "SELECT count(*) FROM record"),
        alias_claims=_number(conn, "SELECT count(*) FROM alias_claim"),
        receipts_verified=receipts.pop(None, 0),
        receipts_refused={str(code): count for code, count in receipts.items()},
        events_valid=events.pop(None, 0),
        events_invalid={str(code): count for code, count in events.items()},
        equivocations=_number(conn, "SELECT coalesce(sum(equivocation_count), 0) FROM state"),
        stale=_number(conn, "SELECT count(*) FROM stale"),
        last_run_at=last[0],
        last_source=last[1],
    )


def _number(conn: sqlite3.Connection, query: str) -> int:
    return int(conn.execute(query).fetchone()[0])


def _by_code(conn: sqlite3.Connection, table: str) -> dict[str | None, int]:
    query = f"SELECT code, count(*) FROM {table} GROUP BY code ORDER BY code"  # noqa: S608
    return dict(conn.execute(query).fetchall())
