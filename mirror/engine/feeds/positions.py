"""Positions in a feed, and the part of the store that a feed is about."""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from mirror.errors import FormatError

__all__ = ["NEWEST", "FeedPosition", "FeedScope", "entry_id", "parse_position"]


class FeedPosition(NamedTuple):
    """The place of an entry; those of later entries are greater, and none ever changes.

    Arrivals have ascending numbers. A change of trust comes after the last arrival that was stored
    before it.
    """

    arrival: int
    trust: int = 0
    """The last line of the log of trusted keys that a change of trust wrote; 0 for an arrival."""

    @property
    def text(self) -> str:
        """The position as `parse_position` reads it: `12` or `12.3`."""
        return f"{self.arrival}.{self.trust}" if self.trust else f"{self.arrival}"


NEWEST = FeedPosition(1 << 62)
"""The position after all entries."""

_POSITION = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")


class FeedScope(NamedTuple):
    """The subject of a feed: everything, unless a record or a category is named."""

    record_id: int = 0
    category: str | None = None


def parse_position(text: str) -> FeedPosition:
    """Return the position that a text names.

    Raises:
        FormatError: `request.before`
    """
    match = _POSITION.fullmatch(text)
    if match is None:
        hint = "follow the link `next` of a page of the feed"
        raise FormatError("request.before", f"not a position: {text[:40]!r}", hint=hint)
    return FeedPosition(int(match[1]), int(match[2] or 0))


def entry_id(*parts: object) -> str:
    """Return the permanent id of an entry (RFC 4287 section 4.2.6), a URN of RFC 9562 section 5.5.

    Args:
        parts: All that makes the entry different from every other, of any mirror.
    """
    return f"urn:uuid:{uuid5(NAMESPACE_URL, ' '.join(map(str, parts)))}"
