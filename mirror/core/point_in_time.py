"""Points in time that a person names: a time (V5), or a date, which means its end in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mirror.core.values import instant, time_text
from mirror.errors import FormatError

__all__ = ["PointInTime", "parse_point_in_time"]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PointInTime:
    """A point in time; what happened at this instant is included."""

    instant: int
    """Microseconds since 1970-01-01T00:00:00Z."""
    is_date: bool = False
    """Whether it was given as a date, and is the end of that day."""

    @property
    def text(self) -> str:
        """The time with microseconds, in UTC; such texts sort like the times."""
        return time_text(_EPOCH + timedelta(microseconds=self.instant), microseconds=True)

    @property
    def words(self) -> str:
        """The time for a person; of a date, also what it means."""
        return f"{self.text}, the end of that day in UTC" if self.is_date else self.text


def parse_point_in_time(text: str) -> PointInTime:
    """Return the point in time that a person names.

    Args:
        text: A time as V5 writes it, such as `2026-06-01T12:00:00Z`, or a date: `2026-06-01`.

    Raises:
        FormatError: `request.time`
    """
    is_date = _DATE.fullmatch(text) is not None
    at = instant(f"{text}T23:59:59.999999Z" if is_date else text)
    if at is None:
        hint = "write a date such as 2026-06-01, or a time in UTC such as 2026-06-01T12:00:00Z"
        raise FormatError("request.time", f"not a time: {text[:40]!r}", hint=hint)
    return PointInTime(at, is_date)
