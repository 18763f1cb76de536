"""The records of a store as one side of a comparison."""

from __future__ import annotations

from collections.abc import Collection

from mirror.core.comparison.causes import UNIDENTIFIED_CODES, LocalRecord, retired_events
from mirror.core.events.event import Event, ValidEvent
from mirror.core.state_view import parse_state
from mirror.engine.states.current import current_text
from mirror.store import Store

__all__ = ["local_record", "retired_ids"]


def local_record(store: Store, record_id: int) -> LocalRecord:
    """Return the state and the events of a record.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = parse_state(current_text(store, record_id)).value
    events = store.facts.load(record_id).events
    valid = frozenset(one.event_id for one in events if isinstance(one, ValidEvent))
    return LocalRecord(state=state, valid=valid, refused=_refused(events))


def _refused(events: Collection[Event]) -> dict[str, str]:
    """Return the codes of the invalid events by the event ids that they claim."""
    invalid = [one for one in events if not isinstance(one, ValidEvent)]
    refused: dict[str, str] = {}
    # If several events claim one id, the one whose digest matches the id is used.
    for one in sorted(invalid, key=lambda one: one.code not in UNIDENTIFIED_CODES):
        claimed = one.value.get("event_id") if isinstance(one.value, dict) else None
        if isinstance(claimed, str):
            refused[claimed] = one.code
    return refused


def retired_ids(store: Store, record_id: int) -> set[str]:
    """Return the ids of the retired events of a record, which no state need show (M11).

    Raises:
        CorruptStoreError: `store.damaged`
    """
    return set(retired_events(parse_state(current_text(store, record_id)).value))
