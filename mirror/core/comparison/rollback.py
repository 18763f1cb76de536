"""Rollback: a later statement of upstream that lacks something from an earlier one.

Facts are only added (section 5): a valid event stays valid or is retired by name, a count of events
never falls, a record never changes. A server that shows less than before lost data, or hides it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from mirror.core.comparison.causes import COUNTS, Cause, shown_entries, shown_events
from mirror.core.comparison.diff import differences
from mirror.core.shape import object_member, objects_member, text_member
from mirror.core.values import Object, canonical, is_integer, sha256

__all__ = ["rollbacks"]


def rollbacks(before: Object, after: Object, retired: Collection[str] = ()) -> list[Cause]:
    """Return what an earlier state or bundle shows and a later one does not.

    Args:
        before: A state as `parse_upstream_state` returned it, or a bundle (B1).
        after: A later one of the same record and kind.
        retired: Ids of events that are known to be retired (M11): a state need not show them.
    """
    found = [*_of_record(before, after), *_of_counts(before, after)]
    lost = (_events(before) - _events(after)).difference(retired)
    text = "was shown and is gone" + _unless_retired(before, after)
    found += [Cause("rollback.event", f"{one} {text}") for one in sorted(lost)]
    changed = {*_shown_otherwise(before, after), *_bundled_otherwise(before, after)}
    text = "is shown with another content than before"
    found += [Cause("rollback.event", f"{one} {text}") for one in sorted(changed)]
    return found


def _of_record(before: Object, after: Object) -> Iterator[Cause]:
    was, now = _records(before), _records(after)
    if was and now and was != now:
        yield Cause("rollback.record", "the canonical record changed")


def _records(said: Object) -> list[bytes]:
    """Return the canonical bytes of the records that a state or a bundle prints."""
    holders = object_member(said, "current"), said
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
    """Return a note for a state that does not list the events that it retired."""
    if _events_by_id(before) or isinstance(after.get("retired_events"), list):
        return ""
    return "; the state does not say whether it was retired; the bundle does"


def _shown_otherwise(before: Object, after: Object) -> Iterator[str]:
    """Yield the ids of events that two states show with different contents."""
    now = shown_entries(after)
    for event_id, entry in shown_entries(before).items():
        if event_id in now and differences(entry.value, now[event_id].value).found:
            yield event_id


def _bundled_otherwise(before: Object, after: Object) -> Iterator[str]:
    """Yield the ids under which the earlier bundle has a content that the later one lacks."""
    now = _events_by_id(after)
    for event_id, contents in _events_by_id(before).items():
        if event_id in now and contents - now[event_id]:
            yield event_id


def _events_by_id(bundle: Object) -> dict[str, set[bytes]]:
    """Return the digests of the events of a bundle, without signatures, by the id they claim."""
    held: dict[str, set[bytes]] = defaultdict(set)
    for event in objects_member(bundle, "events"):
        if event_id := text_member(event, "event_id"):
            held[event_id].add(sha256(canonical({**event, "signature": None})))
    return held
