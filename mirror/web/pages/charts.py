"""Charts: bars of ranked numbers, and columns over time. Numbers in, coordinates out.

Series differ by their filling, not by their hue, and each chart has a table below it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from mirror.engine.figures.numbers import NamedCounts
from mirror.engine.figures.periods import PeriodCounts, Unit
from mirror.web.pages.escaping import escape_hidden
from mirror.web.pages.timeline import Lane, Tick

__all__ = ["Bar", "BarChart", "TimeChart", "TimeLane", "bar_chart", "share", "time_chart"]

_LEFT, _RIGHT = 214, 680
"""Where bars and columns begin and end; names stand before, numbers after."""
_ONLY_LEFT = 8
"""Where the columns of a single row begin, which has no name before it."""
_ROW, _BAR = 26, 16
"""Height of a row of bars, and of a bar."""
_NAME = 32
"""Room for a name beside a bar, in small letters."""
_LONGEST = 200
"""Most characters of a string from outside that are looked at."""
_SMALLEST = 1.5
"""Least length of what is not zero, so that it can be seen."""


class BarSegment(NamedTuple):
    """One series within a bar."""

    series: int
    x: float
    width: float


class Bar(NamedTuple):
    """A row of a bar chart."""

    name: str
    y: float
    segments: list[BarSegment]
    end: float
    number: str


class BarChart(NamedTuple):
    """A bar for each name."""

    bars: list[Bar]

    @property
    def height(self) -> int:
        """Height in SVG user units."""
        return _ROW * len(self.bars) + 8


def bar_chart(
    rows: Iterable[NamedCounts],
    number: Callable[[int], str],
    most: int | None = None,
    others: NamedCounts | None = None,
) -> BarChart:
    """Return the bars of numbers.

    Args:
        rows: Names with their numbers, in order.
        number: Writes the sum of a row.
        most: The sum that has the full length; the greatest if None.
        others: The names without a bar, together: a line that has none either, because it would be
            longer than all.
    """
    listed = list(rows)
    scale = most or max((one.total for one in listed), default=0) or 1
    bars = []
    for index, one in enumerate(listed):
        segments = list(_segments(one.counts, (_RIGHT - _LEFT) / scale))
        end = segments[-1].x + segments[-1].width if segments else _LEFT
        y = _ROW * index + _ROW / 2 + 4
        bars.append(Bar(short_name(one.name), y, segments, round(end, 1), number(one.total)))
    if others is not None:
        said = f"{number(others.total)} together (no bar)"
        bars.append(Bar(others.name, _ROW * len(listed) + _ROW / 2 + 4, [], _LEFT, said))
    return BarChart(bars)


def _segments(counts: Sequence[int], unit: float) -> Iterator[BarSegment]:
    x = float(_LEFT)
    for series, count in enumerate(counts):
        if count:
            width = max(count * unit, _SMALLEST)
            yield BarSegment(series, round(x, 1), round(width, 1))
            x += width


def short_name(name: str) -> str:
    """Return a string from outside as it fits beside a bar: without its middle if it is long."""
    shown = escape_hidden(name, _LONGEST) or "(empty)"
    if sum(map(_width, shown)) <= _NAME:
        return shown
    return f"{_beginning(shown)}…{_beginning(shown[::-1])[::-1]}"


def _beginning(name: str) -> str:
    """Return the characters at the beginning that fit half of the room."""
    room = _NAME / 2 - 1
    for at, one in enumerate(name):
        room -= _width(one)
        if room < 0:
            return name[:at]
    return name


def _width(one: str) -> float:
    """Return about how wide a character is, in small letters."""
    if unicodedata.east_asian_width(one) in {"W", "F"}:
        return 2
    return 1.4 if one.isupper() or one in "mw@%<>+" else 1


def share(count: int, total: int) -> str:
    """Return a number and its share; 0 % and 100 % are exact."""
    if total == 0:
        return f"{count:,}"
    percent = count * 100 / total
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{count:,} ({'under 1' if percent < 1 else 'over 99'} %)"
    return f"{count:,} ({percent:.0f} %)"


# Columns over time -----------------------------------------------------------------------------

_TOP = 14
_LANE, _GAP = 30, 14
_ONLY_LANE = 150
"""Height of the columns of one row among several, and of a single row."""
_WIDEST, _WIDEST_STEP = 36, 60
"""Widest column, and greatest distance from one to the next: few columns stand at the left."""
_TICKS: dict[Unit, tuple[int, tuple[int, ...]]] = {
    "year": (12, (1, 2, 5, 10, 25)),
    "month": (8, (1, 2, 3, 6, 12)),
    "day": (6, (1, 2, 5, 7, 14)),
}
"""Most labels on the axis, and the steps from one to the next."""


class TimeLane(NamedTuple):
    """A row of columns with a scale of its own."""

    lane: Lane
    """Its name, and the line that its columns stand on."""
    total: str
    path: str
    """All columns."""
    levels: list[Tick]
    """Heights with their numbers; `x` is the vertical position."""


class TimeChart(NamedTuple):
    """Rows of columns over one true axis of time."""

    lanes: list[TimeLane]
    ticks: list[Tick]
    left: float
    """Where the columns begin; names stand before."""

    @property
    def bottom(self) -> float:
        """The line that the last columns stand on."""
        return self.lanes[-1].lane.y if self.lanes else 0

    @property
    def height(self) -> float:
        """Height in SVG user units."""
        return self.bottom + 30


def time_chart(counts: PeriodCounts, label: Callable[[str], str]) -> TimeChart:
    """Return the columns of numbers over time.

    Args:
        counts: The numbers.
        label: Returns the name of a row for people.
    """
    if counts.last < counts.first:
        return TimeChart([], [], _LEFT)
    is_only = len(counts.rows) == 1
    left, height = (_ONLY_LEFT, _ONLY_LANE) if is_only else (_LEFT, _LANE)
    step = (_RIGHT - left) / (counts.last - counts.first + 1)
    axis = _Axis(counts.first, left, min(step, _WIDEST_STEP))
    lanes = []
    for index, name in enumerate(counts.rows):
        base = _TOP + height + index * (height + _GAP)
        lane = Lane(base, label(name))
        lanes.append(_time_lane(lane, counts, name, axis, height))
    return TimeChart(lanes, list(_ticks(counts, axis)), left)


class _Axis(NamedTuple):
    """A true axis of time."""

    first: int
    left: float
    step: float

    def middle(self, period: int) -> float:
        """Return the horizontal position of a period."""
        return self.left + (period - self.first + 0.5) * self.step


def _time_lane(lane: Lane, counts: PeriodCounts, name: str, axis: _Axis, height: float) -> TimeLane:
    row = counts.rows[name]
    most = max(row.values(), default=0)
    levels = _levels(most) if height == _ONLY_LANE else [most] if most else []
    top = max([most, *levels], default=0) or 1
    width = min(axis.step * 0.8, _WIDEST)
    columns = []
    for period, count in row.items():
        x = axis.middle(period) - width / 2
        tall = max(count * height / top, _SMALLEST)
        columns.append(f"M{x:.1f} {lane.y}v-{tall:.1f}h{width:.1f}v{tall:.1f}z")
    heights = [Tick(round(lane.y - one * height / top, 1), f"{one:,}") for one in levels]
    return TimeLane(lane, f"{counts.total(name):,}", "".join(columns), heights)


def _levels(most: int) -> list[int]:
    """Return some round numbers up to about a greatest one, which the last one reaches."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            step = factor * power
            if most <= 4 * step:
                return [step * one for one in range(1, -(-most // step) + 1)]
        power *= 10


def _ticks(counts: PeriodCounts, axis: _Axis) -> Iterator[Tick]:
    """Yield the labels of the axis, at round years and months."""
    most, steps = _TICKS[counts.unit]
    periods = range(counts.first, counts.last + 1)
    every = next((one for one in steps if len(periods) <= most * one), steps[-1])
    start = counts.first if counts.unit == "day" else -(-counts.first // every) * every
    for period in range(start, counts.last + 1, every):
        yield Tick(round(axis.middle(period), 1), counts.name(period))
