"""The feed of another mirror: what came to it, in the order in which it came."""

from __future__ import annotations

from typing import NamedTuple, cast

from mirror.core.record import is_pith_number
from mirror.core.values import Object, Value, decode, is_integer
from mirror.errors import FormatError
from mirror.net import MirrorClient
from mirror.store import Change

__all__ = ["ChangesPage", "last_change", "parse_page", "read_page"]

MAX_CHANGES = 1000
"""Changes on a page."""
_HIGHEST = 2**53 - 1
_LONGEST_TIME = 64


class ChangesPage(NamedTuple):
    """A page of the feed."""

    changes: list[Change]
    """Ascending by number."""
    more: bool
    """Whether there are more after it."""
    next: int
    """After which change they come."""


def read_page(remote: MirrorClient, since: int, limit: int = MAX_CHANGES) -> ChangesPage:
    """Return the changes of a mirror that follow a change, given by its number.

    Raises:
        UpstreamError: If the page cannot be read; `upstream.feed` if it is not a page of changes.
    """
    return remote.get_changes(since, limit, lambda data: parse_page(data, since, limit))


def parse_page(data: bytes, since: int, limit: int) -> ChangesPage:
    """Return the page that `/mirror/changes` answers.

    Raises:
        FormatError: V1 codes, or `feed.shape`.
    """
    value = decode(data)
    if not isinstance(value, dict) or not isinstance(value.get("changes"), list):
        raise FormatError("feed.shape", "it is not an object with a list of changes")
    changes = [_change(one) for one in cast("list[Value]", value["changes"])]
    numbers = [since, *(one.number for one in changes)]
    if numbers != sorted(set(numbers)) or len(changes) > limit:
        raise FormatError("feed.shape", "its changes are not in their order, or too many")
    more = value.get("more")
    if not isinstance(more, bool) or value.get("next") != numbers[-1]:
        raise FormatError("feed.shape", "it does not say where it goes on")
    if more and not changes:
        raise FormatError("feed.shape", "it says that there is more, and does not give it")
    return ChangesPage(changes, more, numbers[-1])


def _change(value: Value) -> Change:
    entry: Object = value if isinstance(value, dict) else {}
    number, pith_number, at = (entry.get(name) for name in ("change", "pith_number", "at"))
    if not is_integer(number) or not 0 < number <= _HIGHEST:
        raise FormatError("feed.shape", "a change has no number")
    if not is_pith_number(pith_number):
        raise FormatError("feed.shape", "a change names no record")
    if not isinstance(at, str) or len(at) > _LONGEST_TIME:
        raise FormatError("feed.shape", "a change has no time")
    return Change(number, pith_number, at)


def last_change(remote: MirrorClient) -> Change | None:
    """Return the last change of a mirror, found in some dozens of requests; None if it has none.

    Raises:
        UpstreamError: As `read_page`.
    """
    last: Change | None = None
    low, high, step, is_bounded = 0, _HIGHEST, 1, False  # no change is after `high`
    while low < high:
        page = read_page(remote, low + step - 1, 1)
        if page.changes:
            last = page.changes[0]
            if not page.more:
                return last
            low, step = last.number, step * 2
        else:
            high, is_bounded = low + step - 1, True
        step = min(max(1, (high - low + 1) // 2), high if is_bounded else step)
    return last
