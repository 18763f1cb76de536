"""Current state, events and bundle of one record, from the facts of the store.

Nothing is stored here; `replay` updates the states that are stale.
"""

from __future__ import annotations

from mirror.core.composed import compose
from mirror.core.events.event import EncodedEvent, Event
from mirror.core.events.verdict import verify_event
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge
from mirror.core.receipt import verify_receipt
from mirror.core.record import Record
from mirror.core.state_view import StateView, parse_state
from mirror.store import ArrivalContents, ArrivalRow, RecordFacts, Store, Verdicts, damaged

__all__ = [
    "bundle_of",
    "bundle_text",
    "current_events",
    "current_facts",
    "current_text",
    "replay",
    "state_with",
    "verify_arrival",
]


def replay(facts: RecordFacts, keys: KeySet) -> State:
    """Merge the facts of a record."""
    return merge(facts.record, facts.receipts, facts.alias_claims, facts.events, keys)


def verify_arrival(
    record: Record, row: ArrivalRow, contents: ArrivalContents, keys: KeySet
) -> Verdicts:
    """Verify the facts of an arrival again, from their values.

    Raises:
        CorruptStoreError: `store.damaged` if a value does not hash to its digest.
    """
    receipts = [verify_receipt(value, record, keys) for _, value in contents.receipts]
    raws = [EncodedEvent.of(value) for _, value in contents.events]
    digests = [*(one.digest for one in receipts), *(raw.digest for raw in raws)]
    if digests != [digest for digest, _ in (*contents.receipts, *contents.events)]:
        where = f"arrival {row.id} of {record.pith_number}"
        raise damaged("a value does not hash to its digest", where)
    return Verdicts(receipts, [verify_event(raw, record, keys) for raw in raws])


def current_text(store: Store, record_id: int, keys: KeySet | None = None) -> bytes:
    """Return the state of a record as M13 writes it.

    The stored state is returned if it is up to date and was made under the same keys; else the
    facts are merged, and nothing is stored.

    Args:
        store: The store.
        record_id: The record.
        keys: The trusted keys; None for the key set of the store.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    is_own = keys is None or keys.digest == store.trust_log.key_set().digest
    if is_own and store.states.staleness(record_id) is None:
        return store.states.text(record_id)  # not slowed down by reading the log of keys
    keys = store.trust_log.key_set() if keys is None else keys
    return replay(current_facts(store, record_id, keys), keys).text


def state_with(store: Store, record_id: int, name: str) -> StateView | None:
    """Return the state of a record if a list of `current` holds events; else None.

    Where few records have such events, only the outline of the state is read for the others.

    Args:
        store: The store.
        record_id: The record.
        name: The list (M6).

    Raises:
        CorruptStoreError: `store.damaged`
    """
    is_current = store.states.staleness(record_id) is None
    if is_current and not StateView(store.states.outline(record_id)).entries(name):
        return None
    state = parse_state(current_text(store, record_id))
    return state if state.entries(name) else None


def current_events(store: Store, record_id: int, keys: KeySet | None = None) -> list[Event]:
    """Return the events of a record with their verdicts; arguments and errors as `current_text`."""
    return current_facts(store, record_id, keys).events


def current_facts(store: Store, record_id: int, keys: KeySet | None = None) -> RecordFacts:
    """Return the facts of a record with their verdicts, verified again where necessary.

    Arguments and errors as `current_text`.
    """
    own, stale = store.trust_log.key_set(), store.states.staleness(record_id)
    keys = own if keys is None else keys
    must_verify = stale is not None and stale.needs_verdicts
    if keys.digest == own.digest and not must_verify:
        return store.facts.load(record_id)
    return _verified_facts(store, record_id, keys, check_totals=not must_verify)


def _verified_facts(
    store: Store, record_id: int, keys: KeySet, *, check_totals: bool
) -> RecordFacts:
    """Verify the facts of a record again, without storing the verdicts."""
    record = store.records.get(record_id)
    if check_totals:
        rows = store.facts.rows(record_id)
    else:
        rows = [(row, row.contents()) for row in store.facts.arrivals(record_id)]
    facts = RecordFacts(record, [], [], [])
    for row, contents in rows:
        facts.add(contents, verify_arrival(record, row, contents, keys))
    return facts


def bundle_text(store: Store, record_id: int, until: int | None = None) -> bytes:
    """Return the composed bundle of a record, one line of JSON (B6).

    Args:
        store: The store.
        record_id: The record.
        until: The last arrival to include; None for all.
    """
    return bundle_of(store.facts.load(record_id, until=until))


def bundle_of(facts: RecordFacts) -> bytes:
    """Return the composed bundle of facts, one line of JSON (B6)."""
    return compose(facts.record, facts.alias_claims, facts.receipts, facts.events)
