"""From facts to verdicts to states: what is stale is brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mirror.core.event import Event, RawEvent, judge
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge
from mirror.core.receipt import Receipt, judge_receipt
from mirror.core.record import Record
from mirror.errors import CorruptStoreError
from mirror.store import JudgedRow, RecordFacts, RecordRows, Stale, Store

__all__ = ["bring_up_to_date", "current_text", "finish", "judge_rows", "replay"]

_CHUNK = 200


def replay(facts: RecordFacts, keys: KeySet) -> State:
    """Return the state that the facts of a record come to."""
    return merge(facts.record, facts.receipts, facts.alias_claims, facts.events, keys)


def judge_rows(
    record: Record, rows: Iterable[JudgedRow], keys: KeySet
) -> dict[JudgedRow, Event | Receipt]:
    """Return the verdicts on rows, reached anew from their values.

    Raises:
        CorruptStoreError: `store.damaged` if a value does not hash to its digest.
    """
    return {row: _judge_row(record, row, keys) for row in rows}


def _judge_row(record: Record, row: JudgedRow, keys: KeySet) -> Event | Receipt:
    value = row.whole_value(record.pith_number)
    if row.table == "event":
        return judge(RawEvent.of(value), record, keys)
    return judge_receipt(value, record, keys)


def bring_up_to_date(store: Store, keys: KeySet, stale: Iterable[Stale]) -> None:
    """Judge and merge stale records; call within a transaction.

    Args:
        store: The store.
        keys: Its key set.
        stale: The records.
    """
    for one in stale:
        if one.judge:
            rows = store.facts.unjudged(one.record_id)
            record = store.records.get(one.record_id)
            verdicts = judge_rows(record, (*rows.receipts, *rows.events), keys)
            store.facts.judge_anew(one.record_id, rows, verdicts)
        store.derived.save(one.record_id, replay(store.facts.load(one.record_id), keys))


def finish(
    store: Store,
    note: Callable[[Stale, CorruptStoreError], None] | None = None,
    progress: Callable[[int], None] = lambda _records: None,
) -> None:
    """Bring every stale record up to date, each chunk in a transaction of its own.

    The keys are read within the transaction, so that no verdict is reached under others.

    Args:
        store: The store.
        note: Takes the records whose facts are damaged, which stay as they were; None raises.
        progress: Told of records that were done.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    after = 0
    while True:
        with store.transaction():
            keys = store.trust.key_set()
            stale = store.derived.stale(_CHUNK, after)
            for one in stale:
                try:
                    bring_up_to_date(store, keys, [one])
                except CorruptStoreError as error:
                    if note is None:
                        raise
                    note(one, error)
        if not stale:
            return
        after = stale[-1].record_id
        progress(len(stale))


def current_text(store: Store, record_id: int, keys: KeySet) -> bytes:
    """Return the state of a record under `keys`, as M13 writes it.

    It is the stored one if that is up to date and was made under the same keys; else it is made
    from the facts, and not stored.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    same_keys = keys.digest == store.trust.key_set().digest
    stale = store.derived.staleness(record_id)
    if same_keys and stale is None:
        return store.derived.text(record_id)
    must_judge = stale is not None and stale.judge
    if same_keys and not must_judge:
        return replay(store.facts.load(record_id), keys).text
    rows = store.facts.unjudged(record_id) if must_judge else store.facts.rows(record_id)
    return replay(_judged_facts(store.records.get(record_id), rows, keys), keys).text


def _judged_facts(record: Record, rows: RecordRows, keys: KeySet) -> RecordFacts:
    """Return the facts of a record, judged anew and not stored."""
    receipts = judge_rows(record, rows.receipts, keys).values()
    events = judge_rows(record, rows.events, keys).values()
    return RecordFacts(
        record,
        [row.claim for row in rows.claims],
        [one for one in receipts if isinstance(one, Receipt)],
        [one for one in events if not isinstance(one, Receipt)],
    )
