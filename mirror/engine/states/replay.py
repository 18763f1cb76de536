"""Updates stale records: verifies their facts where necessary, and merges them into states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from mirror.core.keys import KeySet
from mirror.core.rules import RULES
from mirror.engine.batching import pages
from mirror.engine.native_engine import Engine, engine_for, tree_nodes
from mirror.engine.process_pool import StoreTask
from mirror.engine.states.current import replay, verify_arrival
from mirror.engine.thread_pool import map_in_order
from mirror.errors import CorruptStoreError
from mirror.store import StaleRecord, StateColumns, Store, state_columns

__all__ = ["merge_records", "process_stale", "update_states", "update_tree", "verify_record"]

_CHUNK = 200


def verify_record(store: Store, record_id: int, keys: KeySet) -> None:
    """Verify all facts of a record again, and store the verdicts and their totals."""
    record = store.records.get(record_id)
    verified = []
    for row in store.facts.arrivals(record_id):
        contents = row.contents()
        verified.append((row, contents, verify_arrival(record, row, contents, keys)))
    store.facts.replace_verdicts(record_id, verified, keys)


def update_states(store: Store, keys: KeySet, stale: Iterable[StaleRecord]) -> None:
    """Verify and merge stale records; call within a transaction.

    Args:
        store: The store.
        keys: Its key set.
        stale: The records.
    """
    for one in stale:
        if one.needs_verdicts or store.states.needs_verdicts(one.record_id):
            verify_record(store, one.record_id, keys)
        store.states.save(one.record_id, replay(store.facts.load(one.record_id), keys))


def process_stale(
    store: Store,
    on_damage: Callable[[StaleRecord, CorruptStoreError], None] | None = None,
    progress: Callable[[int], None] = lambda _records: None,
) -> None:
    """Update every stale record, each chunk in a transaction of its own.

    The keys are read within the transaction, so no other keys are used.

    Args:
        store: The store.
        on_damage: Receives the records whose facts are damaged and which stay stale; if None, the
            error is raised.
        progress: Receives numbers of records that were updated.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    with store.transaction():
        store.states.require_rules(RULES)
    if store.states.stale(1):
        _merge_many(store, progress)
        _update_states_one_by_one(store, on_damage, progress)
    update_tree(store)


def update_tree(store: Store) -> None:
    """Update the tree over all states, unless a state is damaged: then a repair does it."""
    with suppress(CorruptStoreError), store.transaction():
        store.state_tree.update(tree_nodes)


def _update_states_one_by_one(
    store: Store,
    on_damage: Callable[[StaleRecord, CorruptStoreError], None] | None,
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
                    if on_damage is None:
                        raise
                    on_damage(one, error)
        if not stale:
            return
        after = stale[-1].record_id
        progress(len(stale))


# Many states at once -------------------------------------------------------------------------

MERGE_RECORDS = 500
"""Records that one process merges at a time."""
_FEW_MERGES = 4


def _merge_many(store: Store, progress: Callable[[int], None]) -> None:
    """Merge the records that need no verification, on every core if they are many.

    A record that changes meanwhile, or cannot be read, stays stale.
    """
    if store.path is None:
        return
    with store.snapshot():
        version, keys = store.trust_log.version, store.trust_log.key_set()
    ids = pages(store.states.to_merge, MERGE_RECORDS, int)
    with StoreTask(store.path, partial(merge_records, keys, engine_for(keys))) as task:
        for rows in map_in_order(ids, task, few=_FEW_MERGES):
            with store.transaction():
                if store.trust_log.version != version:
                    return
                store.states.save_merged(rows)
            progress(len(rows))


_MergedRow: TypeAlias = tuple[int, StateColumns | None, bytes]
"""Id of a record, its state, and the checksum of its totals; None for a state that is stored."""


def merge_records(
    keys: KeySet, engine: Engine | None, store: Store, record_ids: Sequence[int]
) -> list[_MergedRow]:
    """Return the ids of records with their states and the checksums of their totals.

    Damaged records are left out.
    """
    rows = [] if engine is None else _merge_natively(engine, store, record_ids)
    merged = {row[0] for row in rows}
    for record_id in record_ids:
        if record_id in merged:
            continue
        with suppress(CorruptStoreError):
            state = replay(store.facts.load(record_id), keys)
            rows.append((record_id, state_columns(state), store.facts.totals(record_id).checksum))
    return rows


def _merge_natively(engine: Engine, store: Store, record_ids: Sequence[int]) -> list[_MergedRow]:
    """Return the rows of the records that the native engine can merge.

    A record whose state is right, and whose citations are not, is left to Python: the native
    engine compresses no outline that is stored.
    """
    stored, states = store.stored_records.rows(record_ids), store.stored_records.states(record_ids)
    citing = store.citations.citing_many(record_ids)
    merged = engine.replay([(record, states.get(one)) for one, record in stored.items()])
    return [
        (record_id, None if is_stored else state, record.totals[3])
        for (record_id, record), (state, is_stored) in zip(stored.items(), merged, strict=True)
        if state is not None and (not is_stored or state.citing == citing.get(record_id, ()))
    ]
