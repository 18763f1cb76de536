"""Counts of everything, kept with every change, so that a store of any size can be asked."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping

from mirror.store.arrivals import VerdictRow

__all__ = ["Counters", "count_faults"]


def count_faults(faults: Iterable[VerdictRow]) -> Counter[str]:
    """Count verdicts by what they are on and their code: `event event.id`."""
    return Counter([f"{fault.fact} {fault.code}" for fault in faults])


class Counters:
    """The table `tally`.

    Its names are `records`, `alias_claims`, `receipts`, `events`, `equivocations`, and for what
    did not pass `receipt <code>` and `event <code>`, and `reading <profile>` for all events that
    were judged under that.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def counts(self) -> Counter[str]:
        """Return every count."""
        return Counter(dict(self._conn.execute("SELECT name, count FROM tally WHERE count != 0")))

    def add(self, counts: Mapping[str, int]) -> None:
        """Add to counts, or take away."""
        query = """
            INSERT INTO tally VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET count = count + excluded.count
        """
        self._conn.executemany(query, [(name, count) for name, count in counts.items() if count])

    def recount(self) -> None:
        """Count everything anew."""
        counts = self.actual()
        self._conn.execute("DELETE FROM tally")
        self.add(counts)

    def actual(self) -> Counter[str]:
        """Return what there is, by counting it."""
        query = """
            SELECT (SELECT count(*) FROM record), coalesce(sum(alias_claims), 0),
                   coalesce(sum(receipts), 0), coalesce(sum(events), 0),
                   (SELECT coalesce(sum(equivocation_count), 0) FROM state)
            FROM ledger
        """
        names = ("records", "alias_claims", "receipts", "events", "equivocations")
        counts = Counter(dict(zip(names, self._conn.execute(query).fetchone(), strict=True)))
        query = "SELECT fact || ' ' || code, sum(count) FROM fault GROUP BY fact, code"
        counts.update(dict(self._conn.execute(query)))
        return +counts
