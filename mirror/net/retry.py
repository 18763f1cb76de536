"""When to try again: pure functions of what happened, the time, and a random number."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mirror.net.config import ClientConfig

__all__ = ["MAX_WAIT_S", "parse_retry_after", "pause_before"]

MAX_WAIT_S = 300.0
"""The longest that a server may keep a run waiting between two tries."""

_YEAR_S = 366 * 86400.0
"""As good as never, and still a date that can be written."""
_DOUBLINGS = 60
"""After so many, any pause is at its cap, and 2 to their power is still a float."""


def pause_before(
    retry: int, politeness: ClientConfig, random: Callable[[], float], *, asked_s: float = 0.0
) -> float:
    """Return how many seconds to wait before a try.

    The pause is random from 0 to a bound that doubles ("full jitter"): clients that failed
    together must not come back together.

    Args:
        retry: Which one: 0 for the second try.
        politeness: Where the bound begins and ends.
        random: Gives numbers from 0 to 1.
        asked_s: What the server asked for; no pause is shorter.
    """
    doubled = politeness.backoff_seconds * 2.0 ** min(retry, _DOUBLINGS)
    return max(asked_s, random() * min(doubled, politeness.backoff_cap_seconds))


def parse_retry_after(text: str, now: datetime) -> float:
    """Return the seconds that a `Retry-After` asks for; 0 if it says nothing that can be read.

    Args:
        text: The header field: seconds, or a date (RFC 9110 section 10.2.3).
        now: What to count a date from; with a time zone.
    """
    if re.fullmatch(r"[0-9]+", text.strip()):
        return min(float(text), _YEAR_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), _YEAR_S)
