"""Events of an arrival as steps of a history: the status of each, and its effects on others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from mirror.core.comparison.changes import StateChange
from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.summary import event_summary
from mirror.core.shape import list_member, text_member
from mirror.core.values import Object
from mirror.engine.history.steps import EventEffect, EventStep

__all__ = ["ValidMessages", "effects_of", "event_step"]


class ValidMessages:
    """The signed messages of a record's valid events, each of which counts once (M1)."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._seen: set[object] = set()
        for event in events:
            if isinstance(event, ValidEvent):
                self.add(event)

    def add(self, event: ValidEvent) -> bool:
        """Add the message of an event; return whether it was there."""
        names = {event.event_id, event.source}
        is_repeat = not self._seen.isdisjoint(names)
        self._seen |= names
        return is_repeat


def event_step(
    event: Event,
    retired: Mapping[str, Object],
    effects: Mapping[str, list[EventEffect]],
    messages: ValidMessages,
) -> EventStep:
    """Return the step of one event of an arrival.

    Args:
        event: The event.
        retired: The `retired_events` of the state after the arrival, by id.
        effects: The effects of the arrival's events, by id.
        messages: The messages of the valid events so far; the event's own is added.
    """
    summary, digest = event_summary(event), event.digest.hex()
    if isinstance(event, InvalidEvent):
        return EventStep(
            digest=digest, summary=summary, status="refused", code=event.code, reason=event.reason
        )
    if messages.add(event):
        return EventStep(digest=digest, summary=summary, status="repeat")
    found = retired.get(event.event_id)
    return EventStep(
        digest=digest,
        summary=summary,
        status=text_member(found, "reason") or "in force",
        by=tuple(map(str, list_member(found, "by"))),
        effects=tuple(effects.get(event.event_id, ())),
    )


def effects_of(changes: Iterable[StateChange]) -> dict[str, list[EventEffect]]:
    """Return which events others superseded or revoked in changes of a state, by these others."""
    effects: dict[str, list[EventEffect]] = defaultdict(list)
    for change in changes:
        if change.event_id is None or change.after is None:
            continue
        before = {*map(str, list_member(change.before, "by"))}
        for retiring in map(str, list_member(change.after, "by")):
            if retiring not in before:
                effect = EventEffect(text_member(change.after, "reason"), change.event_id)
                effects[retiring].append(effect)
    return effects
