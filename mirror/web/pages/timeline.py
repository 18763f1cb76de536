"""Every event of a record: what it says, what became of it, and all of them as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from mirror.core.events.event import Event
from mirror.core.events.summary import event_summary
from mirror.core.events.types import EVENT_TYPES, label_of
from mirror.core.profile import MIRROR_V1
from mirror.core.values import Object, Value, instant
from mirror.web.pages.record_data import ArrivalView, RecordDetails

__all__ = ["Arc", "Dot", "EventView", "Lane", "Tick", "Timeline", "draw", "events_of"]

MAX_SHOWN = 250
"""Events of one kind, valid or invalid, that a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event as the page shows it. Fields of an invalid event are not verified."""

    anchor: str
    event_id: str
    event_type: str
    label: str
    created_at: str
    at: int | None
    """`created_at` in microseconds; None if it is no time."""
    signer: str
    key_id: str
    says: list[tuple[str, str]]
    status: str
    """A name in `FATES`."""
    code: str
    """Of an invalid one (E3)."""
    reason: str
    profile: str
    """Under which it was judged; empty for the built-in one."""
    by: list[str]
    """The ids of the events that retired it."""
    is_double: bool
    """Whether it is one side of an equivocation."""
    arrived_at: str
    source: str


def events_of(dossier: RecordDetails) -> list[EventView]:
    """Return the events of a record in the order of M2; those without a time last."""
    reader = _EventReader(dossier)
    views: dict[str, EventView] = {}
    for arrival in dossier.arrivals:
        for event in arrival.verdicts.events:
            view = reader.view(arrival, event)
            # Values with one id and two signatures are one event (M1).
            views.setdefault(event.digest.hex() if view.code else view.event_id, view)
    return sorted(views.values(), key=lambda one: (one.at is None, one.at or 0, one.event_id))


def events_to_show(events: list[EventView]) -> list[EventView]:
    """Return so many of the events as fit a page, valid ones not pushed out by invalid ones."""
    valid = [one for one in events if not one.code][-MAX_SHOWN:]
    invalid = [one for one in events if one.code][:MAX_SHOWN]
    kept = {one.anchor for one in (*valid, *invalid)}
    return [one for one in events if one.anchor in kept]


class _EventReader:
    """Reads events with the verdicts of the state."""

    def __init__(self, dossier: RecordDetails) -> None:
        state = dossier.state
        self._retired = {str(one["event_id"]): one for one in _objects(state["retired_events"])}
        self._codes = {str(one["digest"]): str(one["code"]) for one in _invalid(state)}
        self._reasons = dossier.reasons()
        self._double = {
            event_id
            for one in _objects(state["equivocations"])
            for event_id in cast("list[str]", one["event_ids"])
        }

    def view(self, arrival: ArrivalView, judged: Event) -> EventView:
        """Return what a page shows of one value of `events`."""
        digest, said = judged.digest, event_summary(judged)
        code = self._codes.get(digest.hex(), "")
        retired = {} if code else self._retired.get(said.event_id, {})
        return EventView(
            anchor=f"e-{digest.hex()[:16]}",
            event_id=said.event_id,
            event_type=said.event_type,
            label=label_of(said.event_type) or "not an event",
            created_at=said.created_at,
            at=instant(said.created_at),
            signer=said.signer_id,
            key_id=said.key_id,
            says=list(said.fields),
            status="refused" if code else str(retired.get("reason", "in force")),
            code=code,
            reason=self._reasons.get(digest, ""),
            profile="" if judged.profile == MIRROR_V1.name else judged.profile,
            by=cast("list[str]", retired.get("by", [])),
            is_double=not code and said.event_id in self._double,
            arrived_at=arrival.at,
            source=arrival.source,
        )


def _invalid(state: Object) -> list[Object]:
    return _objects(state["invalid_events"])


def _objects(value: Value) -> list[Object]:
    return cast("list[Object]", value)


# The picture ---------------------------------------------------------------------------------

WIDTH = 760
_LEFT = 150
_RIGHT = 735
_LANE = 30
_TOP = 24
_TICK_ROOM = 96
_NUDGE = 12


@dataclass(frozen=True, slots=True)
class Dot:
    """An event in the picture."""

    x: float
    y: float
    event: EventView


@dataclass(frozen=True, slots=True)
class Arc:
    """From an event to the one that retired it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A date under the picture."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The line of one type of event."""

    y: float
    label: str


@dataclass(slots=True)
class Timeline:
    """A picture of events: a line for each type, in the order of time, not to its scale."""

    lanes: list[Lane] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    arcs: list[Arc] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Units across."""
        return WIDTH

    @property
    def height(self) -> int:
        """Units down."""
        return _TOP + _LANE * len(self.lanes) + 34


def draw(events: list[EventView]) -> Timeline:
    """Return the picture of events in their order."""
    lanes = _lanes(events)
    picture = Timeline([Lane(y, label) for label, y in lanes.items()])
    places = _places(events)
    taken: set[tuple[float, float]] = set()
    for event in events:
        x, y = places[event.at], lanes[_lane_of(event)]
        while (x, y) in taken and x < _RIGHT:
            x += _NUDGE
        taken.add((x, y))
        picture.dots.append(Dot(x, y, event))
    picture.arcs.extend(_arcs(picture.dots))
    picture.ticks.extend(_ticks(events, places))
    return picture


def _lane_of(event: EventView) -> str:
    if event.code:
        return "refused"
    return label_of(event.event_type) if event.event_type in EVENT_TYPES else "other"


def _lanes(events: Iterable[EventView]) -> dict[str, float]:
    present = {_lane_of(event) for event in events}
    known = [kind.label for kind in EVENT_TYPES.values()]
    labels = [label for label in (*known, "other", "refused") if label in present]
    return {label: _TOP + _LANE * index for index, label in enumerate(labels)}


def _places(events: list[EventView]) -> dict[int | None, float]:
    """Return where each instant stands: in order, equally far apart."""
    instants = list(dict.fromkeys(event.at for event in events))
    step = (_RIGHT - _LEFT) / max(len(instants), 1)
    return {at: round(_LEFT + step * (index + 0.5), 1) for index, at in enumerate(instants)}


def _arcs(dots: list[Dot]) -> Iterator[Arc]:
    by_id = {dot.event.event_id: dot for dot in dots if not dot.event.code}
    for dot in dots:
        for event_id in dot.event.by:
            other = by_id.get(event_id)
            if other is not None:
                yield Arc(_path(dot, other), dot.event.status)


def _path(one: Dot, other: Dot) -> str:
    if one.y == other.y:
        middle, lift = (one.x + other.x) / 2, min(14.0, abs(other.x - one.x) / 2 + 6)
        return f"M{one.x} {one.y - 5} Q{middle} {one.y - 5 - lift} {other.x} {other.y - 5}"
    return f"M{one.x} {one.y} L{other.x} {other.y}"


def _ticks(events: list[EventView], places: dict[int | None, float]) -> Iterator[Tick]:
    """Yield the dates of valid events: what a refused one says of its time is not verified."""
    last, label = -_TICK_ROOM, ""
    for event in (one for one in events if not one.code):
        x = places[event.at]
        day = event.created_at[:10]
        if day != label and x - last >= _TICK_ROOM:
            last, label = int(x), day
            yield Tick(x, day)
