"""The steps of a record's history as rows of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from mirror.core.comparison.changes import StateChange
from mirror.engine.history.change_times import trust_changes_of
from mirror.engine.history.record_history import record_history
from mirror.engine.history.steps import (
    ArrivalStep,
    EventStep,
    HistoryStep,
    StatementStep,
    TrustStep,
)
from mirror.engine.public_names import public_source
from mirror.store import Store
from mirror.web.pages.change_lines import change_lines

__all__ = ["StepLine", "StepView", "steps_of"]

MAX_STEPS = 50
"""Steps on a page, the last ones."""
MAX_LINES = 20
"""Lines of one kind in a row."""
MAX_WORK = 1000
"""Most facts that are merged for the steps of a page, each in every step: about 30 ms."""
_TAKEN = {"add": "trusted", "remove": "no longer trusted"}
_COUNTED = frozenset(
    {"event_count", "valid_event_count", "invalid_event_count", "equivocation_count"}
)


@dataclass(frozen=True, slots=True)
class StepLine:
    """A line of a step."""

    text: str
    is_verified: bool = True
    """False if it repeats words of an event that failed a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step of a record's history."""

    known_at: str
    """Empty if it is not known."""
    source: str
    came: Sequence[StepLine]
    """Facts, changes of trust, or a statement of an upstream."""
    did: Sequence[StepLine]
    """Effects on the state."""
    before: str
    """The state digest before; empty before the record was known."""
    after: str
    rules: str
    """The rules of then, if they were others than those of today."""


def steps_of(store: Store, record_id: int, until: str = "") -> list[StepView] | None:
    """Return the last steps of a record's history, the latest first.

    Each step costs a merge.

    Args:
        store: The store.
        record_id: The record.
        until: The last known time that counts, with microseconds; empty for all.

    Returns:
        None if the record has too many facts and steps.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    arrivals = len(store.facts.arrivals(record_id))
    steps = arrivals + len(trust_changes_of(store, record_id))
    if steps * store.facts.totals(record_id).facts > MAX_WORK:
        return None
    found = record_history(store, record_id)
    known = takewhile(lambda step: not until or step.known_at <= until, found)
    return [_view(step) for step in [*known][: -MAX_STEPS - 1 : -1]]


def _view(step: HistoryStep) -> StepView:
    source, came, did = _parts(step)
    return StepView(
        known_at=step.known_at,
        source=source,
        came=_first(came),
        did=_first(did),
        before=step.state_before or "",
        after=step.state_after or "",
        rules=step.rules if step.has_other_rules else "",
    )


def _parts(step: HistoryStep) -> tuple[str, list[StepLine], list[StepLine]]:
    """Return source, what came, and what it did."""
    if isinstance(step, ArrivalStep):
        return public_source(step.source), [*_facts(step)], [*_effects(step)]
    if isinstance(step, TrustStep):
        return "trusted keys", [*_trust(step)], [*_changes(step.changes)]
    return public_source(step.upstream), [StepLine(f"stated a {step.kind}")], [*_taken_back(step)]


def _facts(step: ArrivalStep) -> Iterator[StepLine]:
    yield from map(_event, step.events)
    for one in step.receipts:
        verdict = f"refused, {one.code}: {one.reason}" if one.code else "verified"
        yield StepLine(f"receipt, {verdict}: key {one.key_id or 'none'}", is_verified=not one.code)
    if step.alias_claims:
        yield StepLine(f"claimed times of {len(step.alias_claims):,} aliases")


def _event(event: EventStep) -> StepLine:
    if event.status == "refused":
        text = f"refused, {event.code}: {event.summary.claimed_description}"
        return StepLine(text, is_verified=False)
    return StepLine(f"{event.status}: {event.summary.description}")


def _effects(step: ArrivalStep) -> Iterator[StepLine]:
    """Yield the effects of events on others, and the changes that no event of the step explains."""
    own = {event.summary.event_id for event in step.events if event.status != "refused"}
    for event in step.events:
        yield from (StepLine(f"{one.reason} {one.event_id}") for one in event.effects)
    yield from _changes([
        one for one in step.changes
        if one.event_id not in own and one.member not in {*_COUNTED, "invalid_events"}
    ])  # fmt: skip


def _trust(step: TrustStep) -> Iterator[StepLine]:
    for one in step.trust:
        kind = "profile" if one.is_profile else "key"
        yield StepLine(f"{_TAKEN[one.action]}: {kind} {one.name}")


def _taken_back(step: StatementStep) -> Iterator[StepLine]:
    yield from (StepLine(f"took back: {one}") for one in step.took_back)


def _changes(changes: Sequence[StateChange]) -> Iterator[StepLine]:
    for one in change_lines(changes):
        yield StepLine(f"{one.kind} {one.member}: {one.words}")


def _first(lines: list[StepLine]) -> list[StepLine]:
    hidden = len(lines) - MAX_LINES
    more = [StepLine(f"and {hidden:,} more")] if hidden > 0 else []
    return lines[:MAX_LINES] + more
