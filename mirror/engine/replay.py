"""From facts to states: merge each record whose state lags behind its facts."""

from __future__ import annotations

from mirror.core.event import RawEvent, judge
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge
from mirror.core.receipt import judge_receipt
from mirror.store import RecordFacts, Store

__all__ = ["current_text", "derive_stale", "replay"]

_CHUNK = 500


def replay(facts: RecordFacts, keys: KeySet) -> State:
    """Return the state that the facts of a record come to."""
    return merge(facts.record, facts.receipts, facts.alias_claims, facts.events, keys)


def derive_stale(store: Store, keys: KeySet) -> None:
    """Bring every stale state up to date; call within a transaction.

    Args:
        store: The store.
        keys: Its key set.
    """
    while record_ids := store.derived.stale(_CHUNK):
        for record_id in record_ids:
            store.derived.save(record_id, replay(store.facts.load(record_id), keys))


def current_text(store: Store, record_id: int, keys: KeySet) -> bytes:
    """Return the state of a record under `keys`, as M13 writes it.

    It is the stored one if that is up to date and was made under the same keys; else it is made
    from the facts, and not stored.
    """
    trusted = store.trust.key_set()
    if keys.digest == trusted.digest and not store.derived.is_stale(record_id):
        return store.derived.text(record_id)
    facts = store.facts.load(record_id)
    return replay(facts if keys.digest == trusted.digest else _judge_again(facts, keys), keys).text


def _judge_again(facts: RecordFacts, keys: KeySet) -> RecordFacts:
    record = facts.record
    receipts = [judge_receipt(receipt.value, record, keys) for receipt in facts.receipts]
    events = [judge(RawEvent.of(event.value), record, keys) for event in facts.events]
    return RecordFacts(record, facts.alias_claims, receipts, events)
