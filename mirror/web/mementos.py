"""Mementos of a record (RFC 7089): their addresses, their choice by time, and links between them.

A memento of a second is what was known by the end of that second, which is its datetime. A record
has one for each second in which its state may have changed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from mirror.core.point_in_time import PointInTime, parse_point_in_time
from mirror.core.values import time_text
from mirror.errors import FormatError
from mirror.web.representation import http_date

__all__ = [
    "LINK_FORMAT",
    "MementoAddresses",
    "MementoSeconds",
    "Original",
    "current_links",
    "datetime_of",
    "end_of",
    "parse_accept_datetime",
    "second_of",
]

LINK_FORMAT = "application/link-format"
_SECOND = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})")
_HTTP_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)


class Original(Enum):
    """An original resource of a record, which is its own TimeGate (RFC 7089 pattern 1.1).

    The value is the end of its path.
    """

    PAGE = ""
    STATE = "/state.json"
    BUNDLE = "/bundle.json"


# Seconds -------------------------------------------------------------------------------------


def end_of(second: str) -> PointInTime:
    """Return the end of a second.

    Args:
        second: 14 digits: year, month, day, hour, minute and second in UTC.

    Raises:
        FormatError: `request.time`
    """
    match = _SECOND.fullmatch(second)
    if match is None:
        raise _not_a_second(second)
    year, month, day, hour, minute, last = match.groups()
    try:
        return parse_point_in_time(f"{year}-{month}-{day}T{hour}:{minute}:{last}.999999Z")
    except FormatError:
        raise _not_a_second(second) from None


def _not_a_second(text: str) -> FormatError:
    hint = "write 14 digits: year, month, day, hour, minute and second in UTC"
    return FormatError("request.time", f"not a time: {text[:40]!r}", hint=hint)


def second_of(at: str) -> str:
    """Return the second, 14 digits, of a time as this program writes it."""
    return re.sub(r"[^0-9]", "", at)[:14]


def datetime_of(second: str) -> datetime:
    """Return the datetime of a memento."""
    return datetime.strptime(f"{second}Z", "%Y%m%d%H%M%S%z").astimezone(UTC)


def parse_accept_datetime(text: str) -> str:
    """Return the second that a client asks for (RFC 7089 section 2.1.1), 14 digits.

    Raises:
        FormatError: `request.accept_datetime`
    """
    try:
        if _HTTP_DATE.fullmatch(text) is not None:
            return second_of(time_text(parsedate_to_datetime(text)))
    except ValueError:
        pass
    hint = "write a time of HTTP, such as `Mon, 01 Jun 2026 12:00:00 GMT`"
    message = f"Accept-Datetime is not a time of HTTP: {text[:40]!r}"
    raise FormatError("request.accept_datetime", message, hint=hint)


@dataclass(frozen=True, slots=True)
class MementoSeconds:
    """The seconds of the mementos of a record."""

    all: Sequence[str]
    """14 digits each, ascending; empty if it is not known when the record changed."""

    @staticmethod
    def of(times: Iterable[str]) -> MementoSeconds:
        """Return the seconds of known times, which ascend and have microseconds."""
        return MementoSeconds(list(dict.fromkeys(second_of(one) for one in times)))

    def last_by(self, second: str) -> str | None:
        """Return the last one that is no later than a second; None if all are later."""
        index = bisect_right(self.all, second)
        return self.all[index - 1] if index else None

    def after(self, second: str) -> Sequence[str]:
        """Return all that are later than a second."""
        return self.all[bisect_right(self.all, second) :]

    def ends(self) -> dict[str, list[str]]:
        """Return the first and the last memento, each with its relation types."""
        found: dict[str, list[str]] = {}
        for relation, one in zip(("first", "last"), (*self.all[:1], *self.all[-1:]), strict=False):
            found.setdefault(one, []).append(relation)
        return found

    def relations(self, second: str) -> dict[str, list[str]]:
        """Return first, previous, this, next and last memento, each with its relation types."""
        index, found = self.all.index(second), self.ends()
        for relation, place in (("prev", index - 1), ("", index), ("next", index + 1)):
            if 0 <= place < len(self.all):
                found.setdefault(self.all[place], []).append(relation)
        return {one: [*filter(None, names), "memento"] for one, names in found.items()}


# Addresses and links -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MementoAddresses:
    """The addresses of an original resource, its TimeMap and its mementos."""

    base_url: str
    suffix: str
    """The 26 letters of the record's Pith Number."""
    original: Original

    @property
    def path(self) -> str:
        """The path of the original resource, which is its own TimeGate."""
        return f"/pith/{self.suffix}{self.original.value}"

    @property
    def timemap_path(self) -> str:
        """The path of the TimeMap."""
        return f"{self.path}/timemap"

    def memento_path(self, second: str) -> str:
        """Return the path of a memento."""
        return f"/pith/{self.suffix}/at/{second}{self.original.value}"

    def url(self, path: str) -> str:
        """Return the absolute address of a path."""
        return f"{self.base_url}{path}"

    def links(self, seconds: MementoSeconds, second: str) -> str:
        """Return the Link header of a memento, or of a TimeGate that leads to it."""
        span = f'; from="{_date(seconds.all[0])}"; until="{_date(seconds.all[-1])}"'
        listed = self.memento_links(seconds.relations(second).items())
        return ", ".join([f"{current_links(self.url(self.path))}{span}", *listed])

    def memento_links(self, relations: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
        """Yield the links to mementos, with their relation types and datetimes."""
        for second, names in relations:
            url, rel = self.url(self.memento_path(second)), " ".join(names)
            yield f'<{url}>; rel="{rel}"; datetime="{_date(second)}"'


def current_links(url: str) -> str:
    """Return the Link header of the current original resource at an address."""
    timemap = f'<{url}/timemap>; rel="timemap"; type="{LINK_FORMAT}"'
    return f'<{url}>; rel="original timegate", {timemap}'


def _date(second: str) -> str:
    return http_date(datetime_of(second))
