"""What upstream said of a record before, against what it says now: does it take anything back?

Facts are only ever added (section 5): an event that was valid stays valid or is retired by name, a
count of events never falls, a record never changes. Whoever says less than before lost data, or
hides it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import cast

from mirror.core.compare import Cause, shown_events
from mirror.core.values import Object, Value, canonical, is_integer

__all__ = ["rollbacks"]

_COUNTS = ("event_count", "valid_event_count", "invalid_event_count", "equivocation_count")


def rollbacks(before: Object, after: Object, retired: Collection[str] = ()) -> list[Cause]:
    """Return what a state, or a bundle, takes back of what was said before.

    Args:
        before: A state as `parse_claim` returned it, or a bundle (B1).
        after: A later one of the same record and kind.
        retired: Event ids that a state need not show, for they are known to be retired (M11).
    """
    found = [*_of_record(before, after), *_of_counts(before, after)]
    lost = (_events(before) - _events(after)).difference(retired)
    found += [Cause("rollback.event", f"{one} was shown and is gone") for one in sorted(lost)]
    return found


def _of_record(before: Object, after: Object) -> Iterator[Cause]:
    was, now = _record(before), _record(after)
    if was is not None and now is not None and canonical(was) != canonical(now):
        yield Cause("rollback.record", "the canonical record changed")


def _of_counts(before: Object, after: Object) -> Iterator[Cause]:
    for name in _COUNTS:
        was, now = before.get(name), after.get(name)
        if is_integer(was) and is_integer(now) and cast("int", now) < cast("int", was):
            yield Cause("rollback.count", f"{name} fell from {was} to {now}")


def _record(said: Object) -> Value:
    holder = said.get("current")
    return (holder if isinstance(holder, dict) else said).get("canonical_record")


def _events(said: Object) -> set[str]:
    """Return the ids of the events that a state shows, or that a bundle holds."""
    events = said.get("events")
    if not isinstance(events, list):
        return shown_events(said)
    ids = [one.get("event_id") for one in events if isinstance(one, dict)]
    return {one for one in ids if isinstance(one, str)}
