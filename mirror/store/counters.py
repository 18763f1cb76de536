"""Counts of everything, kept with every change, so that a store of any size can be asked."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping

from mirror.core.profile import MIRROR_V1
from mirror.store.arrivals import VerdictRow

__all__ = ["Counters", "count_verdicts"]


def count_verdicts(rows: Iterable[VerdictRow]) -> Counter[str]:
    """Count verdicts by kind and code (`event event.id`), and by profile (`profile NAME`)."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row.code:
            counts[f"{row.kind} {row.code}"] += 1
        if row.profile not in {"", MIRROR_V1.name}:
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
        """Return every count."""
        return Counter(dict(self._conn.execute("SELECT name, count FROM counter WHERE count != 0")))

    def add(self, counts: Mapping[str, int]) -> None:
        """Add to counts, or take away."""
        query = """
            INSERT INTO counter VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET count = count + excluded.count
        """
        self._conn.executemany(query, [(name, count) for name, count in counts.items() if count])

    def recount(self) -> None:
        """Count everything anew."""
        counts = self.actual()
        self._conn.execute("DELETE FROM counter")
        self.add(counts)

    def actual(self) -> Counter[str]:
        """Return what there is, by counting it."""
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
