"""Past states: what a store knew about a record at a time, under the keys that it trusted then.

Facts are only added and trust is a log, so the facts that were stored by a time and the keys that
were trusted then give the state of that time again. The rules are always those of today.

*Known* is when this mirror stored a fact. *Claimed* is the time that a signer wrote into it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.events.summary import event_summary
from mirror.core.keys import KeySet
from mirror.core.point_in_time import PointInTime
from mirror.core.shape import text_member
from mirror.core.values import instant
from mirror.engine.states.current import current_facts, current_text, replay, verify_arrival
from mirror.engine.states.reverify import KeySetChange
from mirror.errors import LookUpError
from mirror.store import (
    ArrivalContents,
    ArrivalRow,
    RecordFacts,
    Store,
    StoreVersion,
    Verdicts,
)

__all__ = [
    "claimed_until",
    "keys_at",
    "past_arrivals",
    "past_facts",
    "past_text",
    "require_known",
]


def keys_at(store: Store, version: StoreVersion) -> KeySet:
    """Return the keys and profiles that were trusted at a version of the store.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    return store.trust_log.key_set(until=version.trust)


def require_known(store: Store, record_id: int, version: StoreVersion, at: PointInTime) -> None:
    """Check that a record was known at a version of the store.

    Raises:
        LookUpError: `lookup.not_yet`
    """
    first = store.facts.first_arrival(record_id)
    if first <= version.arrival:
        return
    known = store.commits.stored_at(first)
    number = store.records.get(record_id).pith_number
    message = f"{number} was not known here by {at.words}"
    hint = f"this mirror first stored it at {known}" if known else ""
    raise LookUpError("lookup.not_yet", message, hint=hint)


def past_facts(
    store: Store, record_id: int, version: StoreVersion, keys: KeySet | None = None
) -> RecordFacts:
    """Return the facts of a record that were stored by a version, verified under the keys of then.

    Args:
        store: The store.
        record_id: The record.
        version: The version of the store.
        keys: Other keys than those that were trusted then.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    keys = keys_at(store, version) if keys is None else keys
    is_last = version.arrival >= store.facts.last_arrival(record_id)
    if is_last and store.states.needs_verdicts(record_id):
        return current_facts(store, record_id, keys)
    facts = RecordFacts(store.records.get(record_id), [], [], [])
    for _, contents, verdicts in past_arrivals(store, record_id, version, keys):
        facts.add(contents, verdicts)
    return facts


def past_arrivals(
    store: Store, record_id: int, version: StoreVersion, keys: KeySet
) -> Iterator[tuple[ArrivalRow, ArrivalContents, Verdicts]]:
    """Yield the arrivals of a record that were stored by a version, with verdicts under `keys`.

    Stored verdicts are kept where they cannot depend on a key that differs from those of today.

    Arguments and errors as `past_facts`.
    """
    record, must_verify = store.records.get(record_id), store.states.needs_verdicts(record_id)
    change = KeySetChange(store.trust_log.key_set(), keys)
    for row, contents in store.facts.rows(record_id):
        if row.id > version.arrival:
            return
        if must_verify:
            yield row, contents, verify_arrival(record, row, contents, keys)
            continue
        kept = store.facts.with_verdicts(row, contents)
        yield row, contents, change.verdicts(record, row, contents, kept)


def past_text(
    store: Store, record_id: int, version: StoreVersion, keys: KeySet | None = None
) -> bytes:
    """Return the state of a record at a version of the store, as M13 writes it.

    Arguments and errors as `past_facts`.
    """
    keys = keys_at(store, version) if keys is None else keys
    is_last = version.arrival >= store.facts.last_arrival(record_id)
    if is_last and keys.digest == store.trust_log.key_set().digest:
        return current_text(store, record_id, keys)
    return replay(past_facts(store, record_id, version, keys), keys).text


def claimed_until(facts: RecordFacts, at: PointInTime) -> RecordFacts:
    """Return the facts that claim a time no later than `at`: their signers' words, not verified.

    Facts without a valid time are left out: nobody claims that they are of that time.
    """
    return RecordFacts(
        facts.record,
        [one for one in facts.alias_claims if _is_by(one.created_at, at)],
        [one for one in facts.receipts if _is_by(text_member(one.value, "signed_at"), at)],
        [one for one in facts.events if _is_by(event_summary(one).created_at, at)],
    )


def _is_by(claimed: str, at: PointInTime) -> bool:
    found = instant(claimed)
    return found is not None and found <= at.instant
