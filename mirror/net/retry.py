"""Pauses between retries: pure functions of the failure, the time, and a random number."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mirror.net.config import ClientConfig

__all__ = ["MAX_WAIT_S", "parse_retry_after", "pause_before"]

MAX_WAIT_S = 300.0
"""The longest pause that a server may ask for."""

_YEAR_S = 366 * 86400.0
"""The longest time of a `Retry-After` that is represented."""
_DOUBLINGS = 60
"""Doublings after which every pause has reached its cap; 2 to their power is still a float."""


def pause_before(
    retry: int, config: ClientConfig, random: Callable[[], float], *, asked_s: float = 0.0
) -> float:
    """Return the seconds to wait before a retry.

    The pause is random, from 0 to a bound that doubles ("full jitter"), so that clients that
    failed at the same time do not retry at the same time.

    Args:
        retry: The number of the retry, from 0.
        config: The first bound, and its cap.
        random: Returns numbers from 0 to 1.
        asked_s: The pause that the server asks for; the result is not shorter.
    """
    doubled = config.backoff_seconds * 2.0 ** min(retry, _DOUBLINGS)
    return max(asked_s, random() * min(doubled, config.backoff_cap_seconds))


def parse_retry_after(text: str, now: datetime) -> float:
    """Return the seconds that a `Retry-After` asks for; 0 if it cannot be parsed.

    Args:
        text: The header field: seconds, or a date (RFC 9110 section 10.2.3).
        now: The current time, with a time zone.
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
