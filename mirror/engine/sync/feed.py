"""Feed of another mirror: the Pith Numbers of its records in the order of their last change."""

from __future__ import annotations

from typing import NamedTuple

from mirror.core.record import is_pith_number
from mirror.core.shape import ObjectReader, read_object
from mirror.core.values import decode
from mirror.net import MirrorClient
from mirror.store import Change

__all__ = ["ChangesPage", "last_change", "parse_page", "read_page"]

MAX_CHANGES = 1000
"""Changes on a page."""
_SHAPE = "feed.shape"
_HIGHEST = 2**53 - 1
_LONGEST_TIME = 64


class ChangesPage(NamedTuple):
    """A page of the feed."""

    changes: list[Change]
    """Ascending by number."""
    more: bool
    """Whether a page follows."""
    next: int
    """The number of the change before the next page."""


def read_page(remote: MirrorClient, since: int, limit: int = MAX_CHANGES) -> ChangesPage:
    """Return the changes of a mirror that follow a change, given by its number.

    Raises:
        UpstreamError: If the page cannot be read; `upstream.feed` if it is not a page of changes.
    """
    return remote.get_changes(since, limit, lambda data: parse_page(data, since, limit))


def parse_page(data: bytes, since: int, limit: int) -> ChangesPage:
    """Parse a page of `/mirror/changes`.

    Args:
        data: The page.
        since: The number of the change that was requested to precede the page.
        limit: The most changes that were requested.

    Raises:
        FormatError: V1 codes, or `feed.shape`.
    """
    reader = read_object(decode(data), _SHAPE)
    changes = [_change(one) for one in reader.objects("changes")]
    numbers = [since, *(one.number for one in changes)]
    if numbers != sorted(set(numbers)) or len(changes) > limit:
        raise reader.fault(f"must be at most {limit} changes, ascending by number", "changes")
    more = reader.boolean("more")
    if reader.value.get("next") != numbers[-1]:
        raise reader.fault("must be the number of the last change", "next")
    if more and not changes:
        raise reader.fault("must not be true on an empty page", "more")
    return ChangesPage(changes, more, numbers[-1])


def _change(reader: ObjectReader) -> Change:
    number, pith_number = reader.integer("change"), reader.text("pith_number")
    at = reader.text("at")
    if not 0 < number <= _HIGHEST:
        raise reader.fault(f"must be from 1 to {_HIGHEST}", "change")
    if not is_pith_number(pith_number):
        raise reader.fault("must be a Pith Number", "pith_number")
    if len(at) > _LONGEST_TIME:
        raise reader.fault("must be a time", "at")
    return Change(number, pith_number, at)


def last_change(remote: MirrorClient) -> Change | None:
    """Return the last change of a mirror, or None; a binary search in some dozens of requests.

    Raises:
        UpstreamError: If a page cannot be read.
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
