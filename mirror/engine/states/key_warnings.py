"""Warnings about keys to trust: types, times and names that are allowed and rarely intended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from difflib import get_close_matches

from mirror.core.events.types import EVENT_TYPES
from mirror.core.keys import Key
from mirror.core.values import instant, time_text

__all__ = ["key_warnings", "name_warnings"]


def key_warnings(keys: Iterable[Key]) -> Iterator[str]:
    """Yield a sentence for each property of a key that is allowed and rarely intended."""
    now = instant(time_text(datetime.now(UTC), microseconds=True)) or 0
    listed = list(keys)
    for key in listed:
        for one in key.event_types:
            if one != "*" and one not in EVENT_TYPES:
                near = get_close_matches(one, EVENT_TYPES, 1)
                meant = f"; is {near[0]} meant?" if near else ""
                yield f"key {key.key_id} may sign {one!r}, which is not an event type of E4{meant}"
        if not key.event_types:
            yield f"key {key.key_id} may sign nothing: its event_types are empty"
        yield from _window_warnings(key, now)
    yield from name_warnings(listed, listed)


def _window_warnings(key: Key, now: int) -> Iterator[str]:
    start, end = instant(key.valid_from), instant(key.valid_until)
    if start is not None and end is not None and end <= start:
        yield f"key {key.key_id} is never valid: it ends before it begins"
    elif end is not None and end <= now:
        yield f"key {key.key_id} was valid until {key.valid_until}: nothing later counts"
    elif start is not None and start > now:
        yield f"key {key.key_id} is valid only from {key.valid_from} on"


def name_warnings(keys: Iterable[Key], trusted: Iterable[Key]) -> Iterator[str]:
    """Yield a sentence for each pair of names of one public key."""
    names: dict[str, list[str]] = {}
    for key_id, public_key in sorted({(key.key_id, key.public_key_hex) for key in trusted}):
        names.setdefault(public_key, []).append(key_id)
    reported = set[str]()
    for key in keys:
        first, *others = names.get(key.public_key_hex, [key.key_id])
        for other in others if key.key_id == first else [key.key_id]:
            if other != first and other not in reported:
                reported.add(other)
                yield f"keys {first} and {other} are one public key under two names"
