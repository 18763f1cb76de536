"""Numbers over time: days, months or years, whichever fit the figure, on a true axis.

Anybody can write any year into a time. So a figure spans at most `MOST_YEARS` years, those with
most of the numbers; earlier and later ones are counted at its ends.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

__all__ = ["MOST_YEARS", "DatedCount", "PeriodCounts", "Unit", "count_periods"]

MOST_YEARS = 50
_MOST_MONTHS = 48
_MONTHS = 12

Unit: TypeAlias = Literal["day", "month", "year"]

DatedCount: TypeAlias = tuple[str, str | None, int]
"""The name of a row; a date that ends with its day, its month or its year (`2026-05`), None for
none; and a number."""


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """Numbers in rows over periods of equal name: days, months or years."""

    unit: Unit = "year"
    first: int = 0
    """First period: a day (`date.toordinal`), a month (12 × year + month − 1), or a year."""
    last: int = -1
    """Last period; before the first if there are no numbers."""
    rows: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """Numbers by row and period, without zeros."""
    before: Mapping[str, int] = field(default_factory=dict)
    """Numbers before the first period, by row."""
    after: Mapping[str, int] = field(default_factory=dict)
    """Numbers after the last period, by row."""
    undated: Mapping[str, int] = field(default_factory=dict)
    """Numbers without a date, by row."""

    @property
    def periods(self) -> list[int]:
        """The periods that have a number in a row, ascending."""
        return sorted({period for row in self.rows.values() for period in row})

    def total(self, row: str) -> int:
        """Return the sum of a row, with what is before, after and undated."""
        ends = (self.before, self.after, self.undated)
        return sum(self.rows.get(row, {}).values()) + sum(one.get(row, 0) for one in ends)

    def name(self, period: int) -> str:
        """Return a period as dates have it: `2026`, `2026-05`, `2026-05-31`."""
        if self.unit == "day":
            return date.fromordinal(period).isoformat()
        if self.unit == "month":
            return f"{period // _MONTHS:04}-{period % _MONTHS + 1:02}"
        return f"{period:04}"


_Rows: TypeAlias = dict[str, Counter[int]]


def count_periods(
    dated: Iterable[DatedCount],
    order: Iterable[str],
    by_day: Callable[[str, str], Iterable[DatedCount]] | None = None,
) -> PeriodCounts:
    """Return numbers over the periods that fit them.

    Args:
        dated: Numbers by month, or by year if `by_day` is None.
        order: The names of all rows, in order; rows without numbers are left out.
        by_day: Returns the numbers of a range of months, by day.
    """
    months, undated = _by_month(dated)
    first, last = _most_years(months)
    before, inside, after = _split(months, first * _MONTHS, last * _MONTHS + _MONTHS - 1)
    found = [month for row in inside.values() for month in row]
    unit, rows = _in_units(inside, found, by_day)
    periods = [period for row in rows.values() for period in row]
    present = [one for one in order if one in months or one in undated]
    return PeriodCounts(
        unit,
        min(periods, default=0),
        max(periods, default=-1),
        {one: dict(sorted(rows.get(one, Counter()).items())) for one in present},
        before,
        after,
        undated,
    )


def _by_month(dated: Iterable[DatedCount]) -> tuple[_Rows, Counter[str]]:
    """Return numbers by month (a year counts as its January), and those without a date."""
    months: _Rows = defaultdict(Counter)
    undated: Counter[str] = Counter()
    for name, day, count in dated:
        if day is None:
            undated[name] += count
        else:
            year, _, month = day.partition("-")
            months[name][int(year) * _MONTHS + int(month or 1) - 1] += count
    return months, undated


def _most_years(months: _Rows) -> tuple[int, int]:
    """Return the first and the last of `MOST_YEARS` years in a row that have most numbers."""
    years: Counter[int] = Counter()
    for row in months.values():
        for month, count in row.items():
            years[month // _MONTHS] += count
    best, most, start, inside = 0, -1, 0, 0
    ordered = sorted(years)
    for year in ordered:
        inside += years[year]
        while ordered[start] <= year - MOST_YEARS:
            inside -= years[ordered[start]]
            start += 1
        if inside > most:
            best, most = year, inside
    return best - MOST_YEARS + 1, best


def _split(months: _Rows, first: int, last: int) -> tuple[Counter[str], _Rows, Counter[str]]:
    """Return numbers before, within and after a range of months."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    inside: _Rows = defaultdict(Counter)
    for name, row in months.items():
        for month, count in row.items():
            if first <= month <= last:
                inside[name][month] += count
            else:
                (before if month < first else after)[name] += count
    return before, inside, after


def _in_units(
    months: _Rows,
    found: list[int],
    by_day: Callable[[str, str], Iterable[DatedCount]] | None,
) -> tuple[Unit, _Rows]:
    if not found or by_day is None or max(found) - min(found) >= _MOST_MONTHS:
        return "year", _regrouped(months, lambda month: month // _MONTHS)
    if max(found) - min(found) <= 1:
        ends = (PeriodCounts("month").name(one) for one in (min(found), max(found)))
        days: _Rows = defaultdict(Counter)
        for name, day, count in by_day(*ends):
            days[name][date.fromisoformat(str(day)).toordinal()] += count
        return "day", days
    return "month", months


def _regrouped(months: _Rows, period_of: Callable[[int], int]) -> _Rows:
    rows: _Rows = defaultdict(Counter)
    for name, row in months.items():
        for month, count in row.items():
            rows[name][period_of(month)] += count
    return rows
