"""How many keys, profiles and names a file may hold: each costs time at every event."""

from __future__ import annotations

from mirror.errors import LimitError

__all__ = ["MAX_KEYS", "MAX_NAMES", "MAX_PROFILES", "require_at_most"]

MAX_KEYS = 1_000
"""Keys of a key set, or of a list of who may sign notes."""
MAX_PROFILES = 100
"""Profiles of a key set."""
MAX_NAMES = 1_000
"""Names in one list of a key or profile."""


def require_at_most(count: int, most: int, what: str, where: str = "") -> None:
    """Check a number of things before they are read.

    Args:
        count: How many there are.
        most: How many there may be.
        what: Their name, in the plural.
        where: The place of their list.

    Raises:
        LimitError: `limit.count` (B4)
    """
    if count > most:
        message = f"{count:,} {what}, more than {most:,}"
        raise LimitError("limit.count", message, where=where)
