"""Queries for the findings in a store, by code, with their sources."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from mirror.store.acknowledgements import IN_FORCE, CoveredFindings
from mirror.store.counters import Counters
from mirror.store.positions import parse_positions, parse_runs, runs_of
from mirror.store.records import damaged

__all__ = ["CodeCount", "FindingFilter", "FindingQueries", "FindingRow", "FindingSource"]


class FindingRow(NamedTuple):
    """Facts of one arrival that failed a check, a record that equivocates, or a damaged row."""

    at: int
    """Start of the next page: the id of the arrival, record or quarantine row."""
    pith_number: str
    """Empty if the record of a damaged row is not known."""
    suffix: str
    total: int
    reason: str
    """The reason of the first of them."""
    arrived_at: str
    """Empty if it does not belong to a single arrival."""
    source: str = ""
    member: str = ""
    known: int = 0
    """How many of them are acknowledged."""


class FindingFilter(NamedTuple):
    """Which findings to list or to acknowledge; nothing chosen means all."""

    code: str = ""
    record_id: int = 0
    source: str = ""
    """The name of the source, as its run has it."""


class CodeCount(NamedTuple):
    """Findings of one code."""

    total: int
    known: int


class FindingSource(NamedTuple):
    """Source of an arrival, and when it was read."""

    at: str
    source: str


_PAGE = 500
"""Findings that are read at once."""

# The outer loop is over the ranges, because there may be many verdicts.
_KNOWN_VERDICTS = """
    acknowledged_finding AS known CROSS JOIN verdict ON verdict.arrival_id = known.subject_id
    AND verdict.kind = known.kind AND verdict.code = known.code
"""
_SUM_KNOWN = "coalesce(sum(positions_within(verdict.positions, known.first, known.last)), 0)"
_FACTS = """
    verdict JOIN arrival ON arrival.id = verdict.arrival_id
    JOIN run ON run.id = arrival.run_id
"""
_CHOSEN = """
    verdict.code != '' AND (:code = '' OR verdict.code = :code)
    AND (:record_id = 0 OR arrival.record_id = :record_id)
    AND (:source = '' OR run.source = :source)
"""
_OF_ARRIVAL = """
    verdict.code = :code AND verdict.arrival_id = next.id
"""
# The next arrival with the code, by index: however many verdicts one arrival has, it is one step.
_NEXT = """
    CASE WHEN :record_id = 0 THEN
        (SELECT min(arrival_id) FROM verdict
         WHERE code = :code AND arrival_id > {after})
    ELSE
        (SELECT min(arrival.id) FROM arrival
         WHERE record_id = :record_id AND arrival.id > {after} AND EXISTS (
             SELECT 1 FROM verdict WHERE code = :code
             AND arrival_id = arrival.id))
    END
"""
_EQUIVOCAL = """
    equivocation_count > 0 AND :code IN ('', 'equivocation') AND :source = ''
    AND (:record_id = 0 OR record_id = :record_id)
"""
_KNOWN_EQUIVOCATIONS = f"""
    coalesce((SELECT sum(max(0, min(k.last + 1, equivocation_count) - k.first))
              FROM acknowledged_finding AS k
              WHERE k.kind = 'state' AND k.subject_id = record_id AND {IN_FORCE}), 0)
"""  # noqa: S608
_OWN = "('pith:' || record.year || ':' || record.suffix)"
_DAMAGED = f"""
    :code IN ('', 'store.damaged') AND :source = '' AND (:record_id = 0 OR
    pith_number = (SELECT {_OWN} FROM record WHERE id = :record_id))
"""  # noqa: S608
_KNOWN_DAMAGE = f"""
    EXISTS (SELECT 1 FROM acknowledged_finding AS k
            WHERE k.kind = 'quarantine' AND k.subject_id = quarantine.id AND {IN_FORCE})
"""  # noqa: S608


class FindingQueries:
    """Counts and pages of findings."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        conn.create_function("positions_within", 3, _positions_within, deterministic=True)

    # Counts ----------------------------------------------------------------------------------

    def counts(self, only: FindingFilter) -> dict[str, CodeCount]:
        """Return how many findings there are of each code; the codes ascend."""
        totals = self._totals(only)
        known = self._known(only)
        return {code: CodeCount(totals[code], known[code]) for code in sorted(totals)}

    def _totals(self, only: FindingFilter) -> Counter[str]:
        totals = self._counters(only) if only[1:] == (0, "") else self._counted(only)
        query = f"SELECT sum(equivocation_count) FROM state WHERE {_EQUIVOCAL}"  # noqa: S608
        totals["equivocation"] += self._number(query, only)
        query = f"SELECT count(*) FROM quarantine WHERE {_DAMAGED}"  # noqa: S608
        totals["store.damaged"] += self._number(query, only)
        return +totals

    def _counters(self, only: FindingFilter) -> Counter[str]:
        """Return the counts from the counters: they cost the same for a store of any size."""
        totals: Counter[str] = Counter()
        for name, count in Counters(self._conn).counts().items():
            fact, _, code = name.partition(" ")
            if fact in {"event", "receipt"} and code and only.code in {"", code}:
                totals[code] += count
        return totals

    def _counted(self, only: FindingFilter) -> Counter[str]:
        query = f"SELECT code, sum(count) FROM {_FACTS} WHERE {_CHOSEN} GROUP BY code"  # noqa: S608
        return Counter(dict(self._conn.execute(query, only._asdict())))

    def _known(self, only: FindingFilter) -> Counter[str]:
        query = f"""
            SELECT verdict.code, {_SUM_KNOWN} FROM {_KNOWN_VERDICTS}
            JOIN arrival ON arrival.id = verdict.arrival_id JOIN run ON run.id = arrival.run_id
            WHERE {IN_FORCE} AND {_CHOSEN} GROUP BY verdict.code
        """  # noqa: S608
        known = Counter(dict(self._conn.execute(query, only._asdict())))
        query = f"SELECT sum({_KNOWN_EQUIVOCATIONS}) FROM state WHERE {_EQUIVOCAL}"  # noqa: S608
        known["equivocation"] += self._number(query, only)
        query = f"SELECT count(*) FROM quarantine WHERE {_DAMAGED} AND {_KNOWN_DAMAGE}"  # noqa: S608
        known["store.damaged"] += self._number(query, only)
        return known

    def _number(self, query: str, only: FindingFilter) -> int:
        return int(self._conn.execute(query, only._asdict()).fetchone()[0] or 0)

    # Pages -----------------------------------------------------------------------------------

    def all(self, only: FindingFilter) -> Iterator[FindingRow]:
        """Yield all findings of one code, in the order of `page`, which reads them."""
        after = 0
        while page := self.page(only, after, _PAGE):
            yield from page
            after = page[-1].at

    def page(self, only: FindingFilter, after: int, limit: int) -> list[FindingRow]:
        """Return findings of one code, ascending by arrival, record or row.

        Args:
            only: The code, and perhaps a record and a source.
            after: Only those whose `at` is greater.
            limit: At most so many.
        """
        if only.code == "equivocation":
            return self._equivocations(only, after, limit)
        if only.code == "store.damaged":
            return self._moved_aside(only, after, limit)
        return self._of_code(only, after, limit)

    def _of_code(self, only: FindingFilter, after: int, limit: int) -> list[FindingRow]:
        query = f"""
            WITH RECURSIVE next (id) AS (
                SELECT {_NEXT.format(after=":after")}
                UNION ALL
                SELECT {_NEXT.format(after="next.id")} FROM next WHERE next.id IS NOT NULL
            )
            SELECT next.id, {_OWN}, record.suffix,
                   (SELECT sum(count) FROM verdict WHERE {_OF_ARRIVAL}),
                   (SELECT min(reason) FROM verdict WHERE {_OF_ARRIVAL}),
                   run.started_at, run.source, arrival.member,
                   (SELECT {_SUM_KNOWN} FROM {_KNOWN_VERDICTS}
                    WHERE known.subject_id = next.id AND {_OF_ARRIVAL} AND {IN_FORCE})
            FROM next JOIN arrival ON arrival.id = next.id
            JOIN record ON record.id = arrival.record_id JOIN run ON run.id = arrival.run_id
            WHERE :source = '' OR run.source = :source
            LIMIT :limit
        """  # noqa: S608
        return self._findings(query, only, after, limit)

    def _equivocations(self, only: FindingFilter, after: int, limit: int) -> list[FindingRow]:
        query = f"""
            SELECT record_id, {_OWN}, suffix, equivocation_count, '', '', '', '',
                   {_KNOWN_EQUIVOCATIONS}
            FROM state JOIN record ON record.id = record_id
            WHERE {_EQUIVOCAL} AND record_id > :after ORDER BY record_id LIMIT :limit
        """  # noqa: S608
        return self._findings(query, only, after, limit)

    def _moved_aside(self, only: FindingFilter, after: int, limit: int) -> list[FindingRow]:
        query = f"""
            SELECT id, coalesce(pith_number, ''), coalesce(substr(pith_number, 11), ''), 1,
                   table_name || ': ' || reason, found_at, '', '', {_KNOWN_DAMAGE}
            FROM quarantine WHERE {_DAMAGED} AND id > :after ORDER BY id LIMIT :limit
        """  # noqa: S608
        return self._findings(query, only, after, limit)

    def _findings(
        self, query: str, only: FindingFilter, after: int, limit: int
    ) -> list[FindingRow]:
        chosen = {**only._asdict(), "after": after, "limit": limit}
        return [FindingRow(*row) for row in self._conn.execute(query, chosen)]

    def moved_aside(self) -> int:
        """Return how many rows are in quarantine."""
        return int(self._conn.execute("SELECT count(*) FROM quarantine").fetchone()[0])

    def last_moved_aside_at(self) -> str | None:
        """Return when a row was last put into quarantine; None if there is none."""
        row = self._conn.execute("SELECT max(found_at) FROM quarantine").fetchone()
        return None if row[0] is None else str(row[0])

    # To acknowledge --------------------------------------------------------------------------

    def new(self, only: FindingFilter) -> list[CoveredFindings]:
        """Return the chosen findings that are not acknowledged yet, in ranges of positions.

        Raises:
            CorruptStoreError: `store.damaged` if a verdict cannot be read.
        """
        states = f"""
            SELECT 'state', record_id, 'equivocation', {_KNOWN_EQUIVOCATIONS},
                   equivocation_count - 1
            FROM state WHERE {_EQUIVOCAL} AND {_KNOWN_EQUIVOCATIONS} < equivocation_count
        """  # noqa: S608
        rows = f"""
            SELECT 'quarantine', id, 'store.damaged', 0, 0 FROM quarantine
            WHERE {_DAMAGED} AND NOT {_KNOWN_DAMAGE}
        """  # noqa: S608
        chosen = only._asdict()
        others = [
            CoveredFindings(*row)
            for one in (states, rows)
            for row in self._conn.execute(one, chosen)
        ]
        return [*self._new_verdicts(only), *others]

    def _new_verdicts(self, only: FindingFilter) -> Iterator[CoveredFindings]:
        query = f"""
            SELECT verdict.arrival_id, verdict.kind, verdict.code, positions, count
            FROM {_FACTS} WHERE {_CHOSEN} ORDER BY verdict.arrival_id, verdict.kind, verdict.code
        """  # noqa: S608
        rows = self._conn.execute(query, only._asdict())
        for (arrival_id, fact, code), group in groupby(rows, key=itemgetter(0, 1, 2)):
            try:
                found = {one for row in group for one in parse_positions(*row[3:])}
            except ValueError as error:
                raise damaged("a verdict cannot be read", f"arrival {arrival_id}") from error
            for first, last in self._known_ranges(fact, arrival_id, code):
                found.difference_update(range(first, last + 1))
            for first, last in runs_of(found):
                yield CoveredFindings(fact, arrival_id, code, first, last)

    def _known_ranges(self, fact: str, arrival_id: int, code: str) -> list[tuple[int, int]]:
        query = f"""
            SELECT first, last FROM acknowledged_finding
            WHERE subject_id = ? AND kind = ? AND code = ? AND {IN_FORCE}
        """  # noqa: S608
        return self._conn.execute(query, (arrival_id, fact, code)).fetchall()

    # Origins ---------------------------------------------------------------------------------

    def origins(self, record_id: int) -> dict[int, FindingSource]:
        """Return the source of each arrival of a record, by arrival."""
        query = """
            SELECT arrival.id, started_at, source FROM arrival JOIN run ON run.id = run_id
            WHERE record_id = ?
        """
        rows = self._conn.execute(query, (record_id,))
        return {arrival: FindingSource(at, source) for arrival, at, source in rows}


def _positions_within(positions: str, first: int, last: int) -> int:
    """Return how many of the positions in a row of `verdict` are in a range; 0 if it is damaged."""
    try:
        runs = parse_runs(positions)
    except ValueError:
        return 0
    return sum(max(0, min(last, end) - max(first, start) + 1) for start, end in runs)
