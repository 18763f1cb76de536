"""The dates at which this mirror's knowledge of a record changed, and the changes since one."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.comparison.changes import state_changes
from mirror.core.rules import RULES
from mirror.core.state_view import StateView
from mirror.core.values import time_text
from mirror.web.mementos import MementoAddresses, MementoSeconds, Original, datetime_of
from mirror.web.pages.change_lines import ChangeLine, change_lines

__all__ = ["DateLink", "DatesView", "PastView", "dates_of", "past_of"]

MAX_DATES = 50
"""Dates that a page lists, the last ones."""
MAX_CHANGES = 200
"""Differences from today that a page lists."""


@dataclass(frozen=True, slots=True)
class DateLink:
    """A date at which the knowledge of a record changed."""

    at: str
    """The known time, with seconds."""
    path: str
    """The path of the page of that time."""
    is_shown: bool
    """Whether it is the time of this page."""


@dataclass(frozen=True, slots=True)
class DatesView:
    """The dates of a record."""

    listed: list[DateLink]
    """The last ones, the latest first."""
    more: int
    """How many earlier ones are not listed."""
    timemap_path: str
    form_path: str

    @property
    def last_day(self) -> str:
        """The day of the last change; empty without any."""
        return self.listed[0].at[:10] if self.listed else ""


def dates_of(suffix: str, seconds: MementoSeconds, shown: str = "") -> DatesView:
    """Return the dates of a record.

    Args:
        suffix: The 26 letters of its Pith Number.
        seconds: The seconds of its mementos.
        shown: The second of the page; empty for the current page.
    """
    addresses = MementoAddresses("", suffix, Original.PAGE)
    listed = [_link(addresses, one, shown) for one in seconds.all[: -MAX_DATES - 1 : -1]]
    more = len(seconds.all) - len(listed)
    return DatesView(listed, more, addresses.timemap_path, f"{addresses.path}/at")


def _link(addresses: MementoAddresses, second: str, shown: str = "") -> DateLink:
    at = time_text(datetime_of(second))
    return DateLink(at, addresses.memento_path(second), is_shown=second == shown)


@dataclass(frozen=True, slots=True)
class PastView:
    """The time of a past page, its neighbours, and what differs from today."""

    at: str
    """The known time, with seconds: the page has what was known by the end of this second."""
    path: str
    """The path of this page."""
    previous: DateLink | None
    following: DateLink | None
    rules: str
    """The rules of then if they were others than those of today; `unknown` if they are not known;
    else empty."""
    changes: list[ChangeLine]
    """The first changes from the state of then to that of today."""
    more_changes: int
    """How many more there are."""


def past_of(
    suffix: str,
    seconds: MementoSeconds,
    second: str,
    rules: str,
    states: tuple[StateView, StateView],
) -> PastView:
    """Return the time of a past page, and what differs from today.

    Args:
        suffix: The 26 letters of the record's Pith Number.
        seconds: The seconds of its mementos.
        second: The second of the page, one of them.
        rules: The rules of then; empty if they are not known.
        states: The states of then and of today.
    """
    addresses, index = MementoAddresses("", suffix, Original.PAGE), seconds.all.index(second)
    before, after = seconds.all[:index][-1:], seconds.all[index + 1 :][:1]
    changes = list(change_lines(state_changes(states[0].value, states[1].value)))
    shown = _link(addresses, second)
    return PastView(
        at=shown.at,
        path=shown.path,
        previous=_link(addresses, before[0]) if before else None,
        following=_link(addresses, after[0]) if after else None,
        rules="" if rules == RULES else rules or "unknown",
        changes=changes[:MAX_CHANGES],
        more_changes=max(0, len(changes) - MAX_CHANGES),
    )
