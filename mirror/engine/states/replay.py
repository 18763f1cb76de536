"""From facts to verdicts to states: what is stale is brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mirror.core.events.event import EncodedEvent, Event
from mirror.core.events.verdict import verify_event
from mirror.core.keys import KeySet
from mirror.core.merge import RULES, State, merge
from mirror.core.receipt import verify_receipt
from mirror.core.record import Record
from mirror.engine.process_pool import map_in_processes
from mirror.errors import CorruptStoreError
from mirror.store import (
    ArrivalContents,
    ArrivalRow,
    RecordFacts,
    StaleRecord,
    StateColumns,
    Store,
    Verdicts,
    damaged,
    open_store,
    state_columns,
)

__all__ = [
    "current_events",
    "current_facts",
    "current_text",
    "process_stale",
    "replay",
    "update_states",
    "update_tree",
    "verify_arrival",
    "verify_record",
]

_CHUNK = 200


def replay(facts: RecordFacts, keys: KeySet) -> State:
    """Return the state that the facts of a record come to."""
    return merge(facts.record, facts.receipts, facts.alias_claims, facts.events, keys)


def verify_arrival(
    record: Record, row: ArrivalRow, contents: ArrivalContents, keys: KeySet
) -> Verdicts:
    """Return the verdicts on the facts of an arrival, reached anew from their values.

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


def verify_record(store: Store, record_id: int, keys: KeySet) -> None:
    """Reach all verdicts on a record's facts anew, whatever its ledger says."""
    record = store.records.get(record_id)
    judged = []
    for row in store.facts.arrivals(record_id):
        contents = row.contents()
        judged.append((row, contents, verify_arrival(record, row, contents, keys)))
    store.facts.reverify(record_id, judged, keys)


def update_states(store: Store, keys: KeySet, stale: Iterable[StaleRecord]) -> None:
    """Judge and merge stale records; call within a transaction.

    Args:
        store: The store.
        keys: Its key set.
        stale: The records.
    """
    for one in stale:
        if one.needs_verdicts or store.states.must_judge(one.record_id):
            verify_record(store, one.record_id, keys)
        store.states.save(one.record_id, replay(store.facts.load(one.record_id), keys))


def process_stale(
    store: Store,
    note: Callable[[StaleRecord, CorruptStoreError], None] | None = None,
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
    with store.transaction():
        store.states.require_rules(RULES)
    _merge_many(store, progress)
    _update_states_one_by_one(store, note, progress)
    update_tree(store)


def update_tree(store: Store) -> None:
    """Bring the tree over all states up to date; where one is damaged, it waits for a repair."""
    with suppress(CorruptStoreError), store.transaction():
        store.state_tree.update()


def _update_states_one_by_one(
    store: Store,
    note: Callable[[StaleRecord, CorruptStoreError], None] | None,
    progress: Callable[[int], None],
) -> None:
    after = 0
    while True:
        with store.transaction():
            keys = store.trust_log.key_set()
            stale = store.states.stale(_CHUNK, after)
            for one in stale:
                try:
                    update_states(store, keys, [one])
                except CorruptStoreError as error:
                    if note is None:
                        raise
                    note(one, error)
        if not stale:
            return
        after = stale[-1].record_id
        progress(len(stale))


# Many states at once -------------------------------------------------------------------------

MERGE_RECORDS = 500
"""Records that one process merges at a time."""
_FEW_MERGES = 4


def _merge_many(store: Store, progress: Callable[[int], None]) -> None:
    """Merge on every core the records that need nothing else, if they are many.

    What changes meanwhile, or cannot be read, is left to whoever goes through the rest.
    """
    if store.path is None:
        return
    with store.snapshot():
        version, keys = store.trust_log.version, store.trust_log.key_set()
    for rows in map_in_processes(
        _ids_to_merge(store), _StateWorker(store.path, keys), few=_FEW_MERGES
    ):
        with store.transaction():
            if store.trust_log.version != version:
                return
            store.states.save_merged(rows)
        progress(len(rows))


def _ids_to_merge(store: Store) -> Iterator[list[int]]:
    after = 0
    while ids := store.states.to_merge(MERGE_RECORDS, after):
        yield ids
        after = ids[-1]


@dataclass(frozen=True, slots=True)
class _StateWorker:
    """Makes states from the facts of a store, in any process."""

    path: Path
    keys: KeySet

    def __call__(self, record_ids: list[int]) -> list[tuple[int, StateColumns, bytes]]:
        with open_store(self.path, read_only=True) as store, store.snapshot():
            made = [self._merge(store, record_id) for record_id in record_ids]
        return [row for row in made if row is not None]

    def _merge(self, store: Store, record_id: int) -> tuple[int, StateColumns, bytes] | None:
        try:
            state = replay(store.facts.load(record_id), self.keys)
            return record_id, state_columns(state), store.facts.ledger(record_id).seal
        except CorruptStoreError:
            return None


def current_text(store: Store, record_id: int, keys: KeySet | None = None) -> bytes:
    """Return the state of a record as M13 writes it.

    It is the stored one if that is up to date and was made under the same keys; else it is made
    from the facts, and not stored.

    Args:
        store: The store.
        record_id: The record.
        keys: Whom to trust; None for the store's own key set.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    own = store.trust_log.key_set()
    is_own = keys is None or keys.digest == own.digest
    if is_own and store.states.staleness(record_id) is None:
        return store.states.text(record_id)
    return replay(current_facts(store, record_id, keys), own if keys is None else keys).text


def current_events(store: Store, record_id: int, keys: KeySet | None = None) -> list[Event]:
    """Return the events of a record with their verdicts; arguments and errors as `current_text`."""
    return current_facts(store, record_id, keys).events


def current_facts(store: Store, record_id: int, keys: KeySet | None = None) -> RecordFacts:
    """Return the facts of a record with their verdicts, the stored ones or reached anew.

    Arguments and errors as `current_text`.
    """
    own, stale = store.trust_log.key_set(), store.states.staleness(record_id)
    keys = own if keys is None else keys
    must_judge = stale is not None and stale.needs_verdicts
    if keys.digest == own.digest and not must_judge:
        return store.facts.load(record_id)
    return _verified_facts(store, record_id, keys, trusting_ledger=not must_judge)


def _verified_facts(
    store: Store, record_id: int, keys: KeySet, *, trusting_ledger: bool
) -> RecordFacts:
    """Return the facts of a record, judged anew and not stored."""
    record = store.records.get(record_id)
    if trusting_ledger:
        rows = store.facts.rows(record_id)
    else:
        rows = [(row, row.contents()) for row in store.facts.arrivals(record_id)]
    facts = RecordFacts(record, [], [], [])
    for row, contents in rows:
        judged = verify_arrival(record, row, contents, keys)
        facts.alias_claims.extend(contents.claims)
        facts.receipts.extend(judged.receipts)
        facts.events.extend(judged.events)
    return facts
