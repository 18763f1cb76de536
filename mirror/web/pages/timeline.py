"""The events of a record with their status, as a table and as a diagram."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mirror.core.events.event import Event
from mirror.core.events.summary import event_summary
from mirror.core.events.types import EVENT_TYPES, label_of
from mirror.core.profile import is_built_in
from mirror.core.shape import text_member
from mirror.core.values import instant
from mirror.web.pages.record_data import ArrivalView, RecordDetails

__all__ = ["Arc", "Dot", "EventView", "Lane", "Tick", "Timeline", "draw", "events_of"]

MAX_SHOWN = 250
"""Most valid events, and most invalid ones, on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event on the page of a record. Fields of an invalid event are unverified."""

    anchor: str
    event_id: str
    event_type: str
    label: str
    created_at: str
    at: int | None
    """`created_at` in microseconds; None if it is not a valid time."""
    signer: str
    key_id: str
    fields: list[tuple[str, str]]
    status: str
    """A key of `EVENT_STATUSES`."""
    code: str
    """Code of an invalid event (E3); else empty."""
    reason: str
    profile: str
    """The profile under which it was verified; empty for the built-in one."""
    retired_by: tuple[str, ...]
    """Ids of the events that retired it."""
    is_equivocation: bool
    """True if it is part of an equivocation (M4)."""
    arrived_at: str
    source: str


def events_of(details: RecordDetails) -> list[EventView]:
    """Return the events of a record in the order of M2; those without a valid time last."""
    builder = _ViewBuilder(details)
    views: dict[str, EventView] = {}
    for arrival in details.arrivals:
        for event in arrival.verdicts.events:
            view = builder.view(arrival, event)
            # Values with the same id and different signatures are one event (M1).
            views.setdefault(event.digest.hex() if view.code else view.event_id, view)
    return sorted(views.values(), key=lambda one: (one.at is None, one.at or 0, one.event_id))


def events_to_show(events: list[EventView]) -> list[EventView]:
    """Return the last valid events and the first invalid ones, as many as a page shows."""
    valid = [one for one in events if not one.code][-MAX_SHOWN:]
    invalid = [one for one in events if one.code][:MAX_SHOWN]
    anchors = {one.anchor for one in (*valid, *invalid)}
    return [one for one in events if one.anchor in anchors]


class _ViewBuilder:
    """Combines events with the verdicts of the state."""

    def __init__(self, details: RecordDetails) -> None:
        state = details.state
        self._retired = {one.event_id: one for one in state.retired_events}
        self._codes = {
            text_member(one, "digest"): text_member(one, "code") for one in state.invalid_events
        }
        self._reasons = details.reasons()
        self._equivocation_ids = {one for ids in state.equivocating_ids for one in ids}

    def view(self, arrival: ArrivalView, event: Event) -> EventView:
        """Return the view of one value of `events`."""
        digest, summary = event.digest, event_summary(event)
        code = self._codes.get(digest.hex(), "")
        retired = None if code else self._retired.get(summary.event_id)
        return EventView(
            anchor=f"e-{digest.hex()[:16]}",
            event_id=summary.event_id,
            event_type=summary.event_type,
            label=label_of(summary.event_type) or "not an event",
            created_at=summary.created_at,
            at=instant(summary.created_at),
            signer=summary.signer_id,
            key_id=summary.key_id,
            fields=list(summary.fields),
            status="refused" if code else retired.reason if retired else "in force",
            code=code,
            reason=self._reasons.get(digest, ""),
            profile="" if is_built_in(event.profile) else event.profile,
            retired_by=retired.by if retired else (),
            is_equivocation=not code and summary.event_id in self._equivocation_ids,
            arrived_at=arrival.at,
            source=arrival.source,
        )


# Diagram -------------------------------------------------------------------------------------

WIDTH = 760
_LEFT = 150
_RIGHT = 735
_LANE = 30
_TOP = 24
_TICK_ROOM = 96
_NUDGE = 12


@dataclass(frozen=True, slots=True)
class Dot:
    """An event in the diagram."""

    x: float
    y: float
    event: EventView


@dataclass(frozen=True, slots=True)
class Arc:
    """A line from an event to the one that retired it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A date below the diagram."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The row of one event type."""

    y: float
    label: str


@dataclass(slots=True)
class Timeline:
    """A diagram of events with a row for each type, in order of time but not to scale."""

    lanes: list[Lane] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    arcs: list[Arc] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Width in SVG user units."""
        return WIDTH

    @property
    def height(self) -> int:
        """Height in SVG user units."""
        return _TOP + _LANE * len(self.lanes) + 34


def draw(events: list[EventView]) -> Timeline:
    """Return the diagram of events."""
    lanes = _lanes(events)
    timeline = Timeline([Lane(y, label) for label, y in lanes.items()])
    positions = _positions(events)
    taken: set[tuple[float, float]] = set()
    for event in events:
        x, y = positions[event.at], lanes[_lane_of(event)]
        while (x, y) in taken and x < _RIGHT:
            x += _NUDGE
        taken.add((x, y))
        timeline.dots.append(Dot(x, y, event))
    timeline.arcs.extend(_arcs(timeline.dots))
    timeline.ticks.extend(_ticks(events, positions))
    return timeline


def _lane_of(event: EventView) -> str:
    if event.code:
        return "refused"
    return label_of(event.event_type) if event.event_type in EVENT_TYPES else "other"


def _lanes(events: Iterable[EventView]) -> dict[str, float]:
    present = {_lane_of(event) for event in events}
    known = [kind.label for kind in EVENT_TYPES.values()]
    labels = [label for label in (*known, "other", "refused") if label in present]
    return {label: _TOP + _LANE * index for index, label in enumerate(labels)}


def _positions(events: list[EventView]) -> dict[int | None, float]:
    """Return the horizontal position of each instant: in order, at equal distances."""
    instants = list(dict.fromkeys(event.at for event in events))
    step = (_RIGHT - _LEFT) / max(len(instants), 1)
    return {at: round(_LEFT + step * (index + 0.5), 1) for index, at in enumerate(instants)}


def _arcs(dots: list[Dot]) -> Iterator[Arc]:
    by_id = {dot.event.event_id: dot for dot in dots if not dot.event.code}
    for dot in dots:
        for event_id in dot.event.retired_by:
            other = by_id.get(event_id)
            if other is not None:
                yield Arc(_line(dot, other), dot.event.status)


def _line(one: Dot, other: Dot) -> str:
    if one.y == other.y:
        middle, lift = (one.x + other.x) / 2, min(14.0, abs(other.x - one.x) / 2 + 6)
        return f"M{one.x} {one.y - 5} Q{middle} {one.y - 5 - lift} {other.x} {other.y - 5}"
    return f"M{one.x} {one.y} L{other.x} {other.y}"


def _ticks(events: list[EventView], positions: dict[int | None, float]) -> Iterator[Tick]:
    """Yield the dates of valid events; the time of a refused event is unverified."""
    last, label = -_TICK_ROOM, ""
    for event in (one for one in events if not one.code):
        x = positions[event.at]
        day = event.created_at[:10]
        if day != label and x - last >= _TICK_ROOM:
            last, label = int(x), day
            yield Tick(x, day)
