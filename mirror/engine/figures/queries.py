"""The queries over an analysis copy that make the numbers of all figures."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from mirror.core.events.types import EVENT_TYPES, OTHER_EVENTS
from mirror.engine.figures.completeness import completeness_in
from mirror.engine.figures.numbers import CitedRecord, Figures, NamedCounts, RankedCounts
from mirror.engine.figures.periods import DatedCount, count_periods
from mirror.engine.tables.origin import Origin
from mirror.engine.tables.schema import TABLE_OF_TYPE

__all__ = ["MOST_NAMES", "REFUSED", "figures_in"]

MOST_NAMES = 20
"""Most categories, codes, signers or records that a figure names."""
REFUSED = "refused"
"""The row of refused events over known time."""

_CHARACTERS = 400
"""Most characters of a string from outside."""

# Ranks: greatest numbers first, equal ones in the order of their names ---------------------------

_RANKED = f"""
    SELECT substr(name, 1, {_CHARACTERS}), one, two,
           count(*) OVER (), sum(one) OVER (), sum(two) OVER ()
    FROM ({{}}) WHERE one + two > 0 ORDER BY one + two DESC, name LIMIT {MOST_NAMES}
"""  # noqa: S608
_CATEGORIES = """
    SELECT category AS name, sum(is_primary) AS one, sum(NOT is_primary) AS two
    FROM record_categories GROUP BY category
"""
_FINDINGS = """
    SELECT code AS name, sum(count - acknowledged) AS one, sum(acknowledged) AS two
    FROM findings GROUP BY code
"""
_SIGNERS = """
    SELECT signer_id AS name, sum(status = 'in force') AS one,
           sum(status IN ('superseded', 'revoked', 'withdrawn')) AS two
    FROM events WHERE signer_id IS NOT NULL GROUP BY signer_id
"""
_REFUSED_WITH_SIGNER = """
    SELECT count(*) FROM events WHERE signer_id IS NOT NULL AND status = 'refused'
"""


def _ranked(conn: sqlite3.Connection, grouped: str) -> RankedCounts:
    rows = conn.execute(_RANKED.format(grouped)).fetchall()
    if not rows:
        return RankedCounts()
    names, *sums = rows[0][3:]
    shown = tuple(NamedCounts(str(name), (int(one), int(two))) for name, one, two, *_ in rows)
    others = [int(total) - sum(one.counts[at] for one in shown) for at, total in enumerate(sums)]
    return RankedCounts(shown, int(names) - len(shown), tuple(others))


_CITED = f"""
    SELECT pith_number, substr(coalesce(title, ''), 1, {_CHARACTERS}), coalesce(title_status, ''),
           citations_in_force,
           (SELECT count(DISTINCT signer_id) FROM citations
            WHERE citations.pith_number = records.pith_number AND in_force),
           count(*) OVER (), sum(citations_in_force) OVER ()
    FROM records WHERE citations_in_force > 0
    ORDER BY citations_in_force DESC, pith_number LIMIT {MOST_NAMES}
"""  # noqa: S608

# Numbers over time -----------------------------------------------------------------------------

_YEARS = "SELECT 'records', printf('%04d', year), count(*) FROM records GROUP BY year"
# Grouped in the order of an index first: many events have one known time.
_KNOWN = """
    SELECT CASE status WHEN 'refused' THEN 'refused' ELSE event_type END,
           substr(known_at, 1, :characters), sum(number)
    FROM (SELECT event_type, status, known_at, count(*) AS number FROM events
          GROUP BY event_type, status, known_at)
    WHERE status != 'repeat' AND ({condition}) GROUP BY 1, 2
"""
_CLAIMED = """
    SELECT substr(claimed_at, 1, :characters), count(*) FROM {table} WHERE {condition} GROUP BY 1
"""
_TABLES = {**TABLE_OF_TYPE, OTHER_EVENTS: OTHER_EVENTS}
_ORDER = (*EVENT_TYPES, OTHER_EVENTS, REFUSED)
_MONTH, _DAY = 7, 10
"""Characters of a time up to its month, and up to its day."""


def _known(conn: sqlite3.Connection, first: str = "", last: str = "") -> Iterator[DatedCount]:
    """Yield events by type and month; by day if a range of months is given."""
    query = _KNOWN.format(condition=_condition("known_at", first))
    for name, day, count in conn.execute(query, _arguments(first, last)):
        yield name if name in _ORDER else OTHER_EVENTS, day, count


def _claimed(conn: sqlite3.Connection, first: str = "", last: str = "") -> Iterator[DatedCount]:
    """Yield valid events by type and month; by day if a range of months is given."""
    for name, table in _TABLES.items():
        query = _CLAIMED.format(table=table, condition=_condition("claimed_at", first))
        for day, count in conn.execute(query, _arguments(first, last)):
            yield name, day, count


def _condition(column: str, first: str) -> str:
    return f"{column} >= :first AND {column} < :last || '~'" if first else "1"


def _arguments(first: str, last: str) -> dict[str, str | int]:
    return {"first": first, "last": last, "characters": _DAY if first else _MONTH}


# All of them -----------------------------------------------------------------------------------


def figures_in(conn: sqlite3.Connection, origin: Origin) -> Figures:
    """Return the numbers of all figures; call within a transaction.

    Args:
        conn: An analysis copy.
        origin: The version that it has.

    Raises:
        sqlite3.Error: If it is damaged, locked or interrupted.
    """
    records, completeness = completeness_in(conn)
    cited = conn.execute(_CITED).fetchall()
    return Figures(
        origin=origin,
        records=records,
        years=count_periods(_rows(conn, _YEARS), ("records",)),
        categories=_ranked(conn, _CATEGORIES),
        claimed=count_periods(_claimed(conn), _ORDER, lambda *ends: _claimed(conn, *ends)),
        known=count_periods(_known(conn), _ORDER, lambda *ends: _known(conn, *ends)),
        findings=_ranked(conn, _FINDINGS),
        signers=_ranked(conn, _SIGNERS),
        refused_with_signer=conn.execute(_REFUSED_WITH_SIGNER).fetchone()[0],
        cited=tuple(CitedRecord(*row[:5]) for row in cited),
        cited_records=cited[0][5] if cited else 0,
        citations=cited[0][6] if cited else 0,
        completeness=completeness,
    )


def _rows(conn: sqlite3.Connection, query: str) -> Iterable[DatedCount]:
    return conn.execute(query)
