"""Counters of the whole store, updated with every change, and the status made from them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirror.core.profile import MIRROR_V1
from mirror.store.arrivals import VerdictRow

__all__ = ["Counters", "Status", "count_verdicts", "read_status"]


def count_verdicts(rows: Iterable[VerdictRow]) -> Counter[str]:
    """Count verdicts by kind and code (`event event.id`), and by profile (`profile NAME`)."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row.code:
            counts[f"{row.kind} {row.code}"] += 1
        if row.has_trusted_profile:
            counts[f"profile {row.profile}"] += 1
    return counts


class Counters:
    """The table `counter`.

    Its names are `records`, `alias_claims`, `receipts`, `events` and `equivocations`;
    `receipt <code>` and `event <code>` for what failed a check; and `profile <name>` for all
    events that were verified under a trusted profile.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def counts(self) -> Counter[str]:
        """Return every counter that is not 0."""
        return Counter(dict(self._conn.execute("SELECT name, count FROM counter WHERE count != 0")))

    def add(self, counts: Mapping[str, int]) -> None:
        """Add to counters; numbers may be negative."""
        query = """
            INSERT INTO counter VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET count = count + excluded.count
        """
        self._conn.executemany(query, [(name, count) for name, count in counts.items() if count])

    def recount(self) -> None:
        """Replace every counter by the actual number."""
        counts = self.actual()
        self._conn.execute("DELETE FROM counter")
        self.add(counts)

    def actual(self) -> Counter[str]:
        """Return the actual numbers, by counting rows."""
        query = """
            SELECT (SELECT count(*) FROM record), coalesce(sum(alias_claims), 0),
                   coalesce(sum(receipts), 0), coalesce(sum(events), 0),
                   (SELECT coalesce(sum(equivocation_count), 0) FROM state)
            FROM record_totals
        """
        names = ("records", "alias_claims", "receipts", "events", "equivocations")
        counts = Counter(dict(zip(names, self._conn.execute(query).fetchone(), strict=True)))
        query = """
            SELECT kind || ' ' || code, sum(count) FROM verdict WHERE code != '' GROUP BY 1
            UNION ALL
            SELECT 'profile ' || profile, sum(count) FROM verdict
            WHERE profile NOT IN ('', ?) GROUP BY 1
        """
        counts.update(dict(self._conn.execute(query, (MIRROR_V1.name,))))
        return +counts


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
    """Records whose state is out of date."""
    last_fact_at: str | None
    """When the source of the last new fact was read."""
    last_source: str | None


def read_status(conn: sqlite3.Connection) -> Status:
    """Return the status; the time does not depend on the size of the store."""
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
