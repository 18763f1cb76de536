"""The figures of a store: `/figures`, and the same as one self-contained file."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from mirror.core.events.types import EVENT_TYPES, OTHER_EVENTS
from mirror.engine.figures.completeness import CONDITIONS
from mirror.engine.figures.numbers import Figures, NamedCounts, RankedCounts
from mirror.engine.figures.periods import MOST_YEARS, PeriodCounts
from mirror.engine.figures.queries import REFUSED
from mirror.engine.figures.reading import CopyFault
from mirror.web.pages.charts import BarChart, TimeChart, bar_chart, share, time_chart
from mirror.web.pages.labels import CODES

__all__ = ["fault_values", "figures_file", "figures_values"]

_COMMAND = "mirror figures figures.html --db STORE"
_RUN = "The operator of this mirror runs, with the path of the store:"
_FAULTS = {
    CopyFault.ABSENT: ("nobody has made the analysis copy of this store yet", _RUN),
    CopyFault.FOREIGN: (
        "the file beside the store is not an analysis copy of this store",
        (
            "The operator of this mirror moves that file away (its name ends in .tables.db if the "
            "store’s ends in .db), and then runs, with the path of the store:"
        ),
    ),
    CopyFault.OUTDATED: ("another version of this program made the analysis copy", _RUN),
    CopyFault.LOCKED: (
        "the analysis copy is being written",
        (
            "Try again in a moment. If that does not help, writing it was interrupted: the "
            "operator of this mirror runs, with the path of the store:"
        ),
    ),
    CopyFault.SLOW: (
        "counting them takes longer than a request may",
        "The operator of this mirror can write them to a file, for which there is no limit:",
    ),
    CopyFault.DAMAGED: (
        "the analysis copy is damaged",
        (
            "The operator of this mirror deletes the copy beside the store (its name ends in "
            ".tables.db if the store’s ends in .db; it holds nothing that the store lacks), and "
            "then runs, with the path of the store:"
        ),
    ),
    CopyFault.CANCELLED: ("counting them was stopped", "Try again. Or the operator runs:"),
}
"""Why there are no figures, and what to do."""


class RankedFigure(NamedTuple):
    """A chart of bars with the numbers of its table."""

    chart: BarChart
    counts: RankedCounts
    series: tuple[str, str]
    """The name of each series."""


class TimeFigure(NamedTuple):
    """A chart over time with the numbers of its table."""

    chart: TimeChart
    counts: PeriodCounts
    labels: dict[str, str]
    """The label of each row."""


def figures_values(figures: Figures) -> dict[str, object]:
    """Return the values of the template `figures_body.html`."""
    return {
        "figures": figures,
        "years": _over_time(figures.years),
        "categories": _ranked(figures.categories, ("primary", "cross-listed"), "categories"),
        "claimed": _over_time(figures.claimed),
        "known": _over_time(figures.known),
        "findings": _ranked(figures.findings, ("not acknowledged", "acknowledged"), "codes"),
        "signers": _ranked(figures.signers, ("in force", "retired"), "signers"),
        "cited": bar_chart(
            [NamedCounts(one.title or one.short_name, (one.citations,)) for one in figures.cited],
            _number,
        ),
        "complete": bar_chart(
            [NamedCounts(name, (count,)) for name, count in figures.completeness.items()],
            lambda number: share(number, figures.records),
            most=figures.records,
        ),
        "conditions": CONDITIONS,
        "most_years": MOST_YEARS,
        "command": _COMMAND,
        "share": share,
        "codes": CODES,
    }


def fault_values(fault: CopyFault | None) -> dict[str, object]:
    """Return the values of the page that says why there are no figures."""
    reason, advice = _FAULTS[fault or CopyFault.ABSENT]
    return {"figures": None, "reason": reason, "advice": advice, "command": _COMMAND}


def figures_file(figures: Figures, environment: Environment) -> bytes:
    """Return the figures as an HTML file that needs no other: no request, no script."""
    style = (files("mirror.web") / "static" / "style.css").read_text()
    page = environment.get_template("figures_file.html").render(
        figures_values(figures),
        style=Markup(style),  # noqa: S704 - our own style sheet
        links=False,
    )
    return page.encode("utf-8", "backslashreplace")


def _ranked(counts: RankedCounts, series: tuple[str, str], plural: str) -> RankedFigure:
    others = NamedCounts(f"{counts.others:,} other {plural}", counts.other_counts)
    chart = bar_chart(counts.rows, _number, others=others if counts.others else None)
    return RankedFigure(chart, counts, series)


def _number(number: int) -> str:
    return f"{number:,}"


def _over_time(counts: PeriodCounts) -> TimeFigure:
    labels = {name: _label(name) for name in counts.rows}
    return TimeFigure(time_chart(counts, labels.__getitem__), counts, labels)


def _label(name: str) -> str:
    if name in EVENT_TYPES:
        return EVENT_TYPES[name].plural
    return {OTHER_EVENTS: "other events", REFUSED: "refused events"}.get(name, name)
