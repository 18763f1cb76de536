"""What is in a store, counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from mirror.store.counters import Counters

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
    events_by_profile: dict[str, int]
    """Valid or not, verified under a trusted profile; the others under the built-in one."""
    equivocations: int
    stale: int
    """Records whose state lags behind their facts."""
    last_fact_at: str | None
    """When the last fact that was new here came."""
    last_source: str | None


def read_status(conn: sqlite3.Connection) -> Status:
    """Say what is in the store; it takes no longer for a large one."""
    counts = Counters(conn).counts()
    receipts, events = _by_code(counts, "receipt "), _by_code(counts, "event ")
    query = "SELECT started_at, source FROM run ORDER BY id DESC LIMIT 1"
    last = conn.execute(query).fetchone() or (None, None)
    return Status(
        records=counts["records"],
        alias_claims=counts["alias_claims"],
        receipts_verified=counts["receipts"] - sum(receipts.values()),
        receipts_refused=receipts,
        events_valid=counts["events"] - sum(events.values()),
        events_invalid=events,
        events_by_profile=_by_code(counts, "profile "),
        equivocations=counts["equivocations"],
        stale=int(conn.execute("SELECT count(*) FROM stale").fetchone()[0]),
        last_fact_at=last[0],
        last_source=last[1],
    )


def _by_code(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(counts.items())
        if name.startswith(prefix)
    }
