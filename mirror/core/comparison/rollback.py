"""What upstream said of a record before, against what it says now: does it take anything back?

Facts are only ever added (section 5): an event that was valid stays valid or is retired by name, a
count of events never falls, a record never changes. Whoever says less than before lost data, or
hides it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import cast

from mirror.core.comparison.causes import COUNTS, Cause, shown_entries, shown_events
from mirror.core.comparison.diff import differences
from mirror.core.values import Object, Value, canonical, is_integer, sha256

__all__ = ["rollbacks"]


def rollbacks(before: Object, after: Object, retired: Collection[str] = ()) -> list[Cause]:
    """Return what a state, or a bundle, takes back of what was said before.

    Args:
        before: A state as `parse_claim` returned it, or a bundle (B1).
        after: A later one of the same record and kind.
        retired: Event ids that a state need not show, for they are known to be retired (M11).
    """
    found = [*_of_record(before, after), *_of_counts(before, after)]
    lost = (_events(before) - _events(after)).difference(retired)
    text = "was shown and is gone" + _unless_retired(before, after)
    found += [Cause("rollback.event", f"{one} {text}") for one in sorted(lost)]
    changed = {*_told_otherwise(before, after), *_held_otherwise(before, after)}
    text = "is shown with another content than before"
    found += [Cause("rollback.event", f"{one} {text}") for one in sorted(changed)]
    return found


def _of_record(before: Object, after: Object) -> Iterator[Cause]:
    was, now = _records(before), _records(after)
    if was and now and was != now:
        yield Cause("rollback.record", "the canonical record changed")


def _records(said: Object) -> list[bytes]:
    """Return the canonical bytes of the records that a state or a bundle prints."""
    current = said.get("current")
    holders = (current if isinstance(current, dict) else {}, said)
    return [canonical(one["canonical_record"]) for one in holders if "canonical_record" in one]


def _of_counts(before: Object, after: Object) -> Iterator[Cause]:
    for name in COUNTS:
        was, now = before.get(name), after.get(name)
        if is_integer(was) and is_integer(now) and now < was:
            yield Cause("rollback.count", f"{name} fell from {was} to {now}")


# Events --------------------------------------------------------------------------------------


def _events(said: Object) -> set[str]:
    """Return the ids of the events that a state shows, or that a bundle holds."""
    return {*shown_events(said), *_events_by_id(said)}


def _unless_retired(before: Object, after: Object) -> str:
    """Say what else may have become of an event, where a state does not say what it retired."""
    if _events_by_id(before) or isinstance(after.get("retired_events"), list):
        return ""
    return "; whether it was retired is not said: the bundle will tell"


def _told_otherwise(before: Object, after: Object) -> Iterator[str]:
    """Yield the ids of events that two states show with different contents."""
    now = shown_entries(after)
    for event_id, entry in shown_entries(before).items():
        if event_id in now and differences(entry.value, now[event_id].value).found:
            yield event_id


def _held_otherwise(before: Object, after: Object) -> Iterator[str]:
    """Yield the ids under which one bundle holds a content that the other does not."""
    now = _events_by_id(after)
    for event_id, contents in _events_by_id(before).items():
        if event_id in now and contents - now[event_id]:
            yield event_id


def _events_by_id(bundle: Object) -> dict[str, set[bytes]]:
    """Return the digests of the events of a bundle, less their signatures, by the id they bear."""
    events = bundle.get("events")
    held: dict[str, set[bytes]] = defaultdict(set)
    for event in events if isinstance(events, list) else ():
        event_id = event.get("event_id") if isinstance(event, dict) else None
        if isinstance(event_id, str):
            signed = {**cast("Object", event), "signature": None}
            held[event_id].add(sha256(canonical(cast("Value", signed))))
    return held
