"""The root of all states at an earlier version of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

from mirror.core.events.event import InvalidEvent
from mirror.core.keys import KeySet
from mirror.core.rules import MERGE_VERSION
from mirror.core.transparency import merkle
from mirror.engine.process_pool import StoreTask
from mirror.engine.states.current import replay
from mirror.engine.states.past import keys_at, past_facts
from mirror.engine.states.root import StateRoot
from mirror.engine.thread_pool import map_in_order
from mirror.store import Store, StoreVersion

__all__ = ["past_root"]

_RECORDS = 500
"""Records that one process or thread reads at a time."""
_FEW = 4
_DEPTH = 4
"""Digits of the nodes that are computed from leaves: of a million records, each has about 15."""


class _PastLeaf(NamedTuple):
    """A state of an earlier version."""

    record: bytes
    """`canonical_sha256`, raw."""
    core_digest: bytes
    """M12, raw."""
    events_valid: int
    events_invalid: int


def past_root(
    store: Store, version: StoreVersion, progress: Callable[[int], None] = lambda _records: None
) -> StateRoot:
    """Return the root that a store had at an earlier version, under the keys trusted then.

    States that did not change since are read; the others are merged again, with today's rules. If
    other keys were trusted, the facts that name a changed key are verified again.

    Args:
        store: The store; its states must be up to date (`update_root`), and it must be a file.
        version: The version.
        progress: Receives numbers of records.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    keys = keys_at(store, version)
    valid = invalid = records = 0

    def counted() -> Iterator[merkle.Leaf]:
        nonlocal valid, invalid, records
        for leaves in _leaves(store, version, keys):
            progress(len(leaves))
            records += len(leaves)
            for leaf in leaves:
                valid, invalid = valid + leaf.events_valid, invalid + leaf.events_invalid
                yield leaf.record, leaf.core_digest

    root = _root(counted())
    return StateRoot(root.hex(), keys.digest, MERGE_VERSION, records, valid, invalid)


def _root(leaves: Iterable[merkle.Leaf]) -> bytes:
    """Return the root of leaves that ascend by suffix, a few of which are held in memory."""
    nodes = {
        prefix: merkle.subtree(group, _DEPTH)
        for _, some in groupby(leaves, key=_letters)
        for prefix, group in groupby(sorted(some), key=_prefix)
    }
    *_, top = merkle.levels_above(nodes, _DEPTH)
    return top[""].digest


def _letters(leaf: merkle.Leaf) -> int:
    """Return the bits of the first three letters of a suffix: letters do not sort as digits do."""
    return int.from_bytes(leaf[0][:2]) >> 1


def _prefix(leaf: merkle.Leaf) -> str:
    return leaf[0].hex()[:_DEPTH]


# Leaves --------------------------------------------------------------------------------------


def _leaves(store: Store, version: StoreVersion, keys: KeySet) -> Iterator[list[_PastLeaf]]:
    """Yield the leaves of all records that were known, ascending by suffix."""
    work = partial(_leaves_of, version, keys)
    if store.path is None:
        yield from (work(store, ids) for ids in _ids(store))
        return
    with StoreTask(store.path, work) as task:
        yield from map_in_order(_ids(store), task, few=_FEW)


def _ids(store: Store) -> Iterator[list[int]]:
    after = ("", 0)
    while page := store.records.page_of_bag(after, _RECORDS):
        yield [record_id for _, record_id in page]
        after = page[-1]


def _leaves_of(
    version: StoreVersion, keys: KeySet, store: Store, record_ids: Sequence[int]
) -> list[_PastLeaf]:
    stored = {}
    if keys.digest == store.trust_log.key_set().digest:
        stored = store.states.core_digests(record_ids)
    known = [one for one in record_ids if store.facts.first_arrival(one) <= version.arrival]
    return [_leaf(store, one, version, keys, stored.get(one)) for one in known]


def _leaf(
    store: Store,
    record_id: int,
    version: StoreVersion,
    keys: KeySet,
    stored: tuple[bytes, int] | None,
) -> _PastLeaf:
    """Return the leaf of a record.

    Args:
        store: The store.
        record_id: The record.
        version: The version.
        keys: The keys that were trusted then.
        stored: Core digest and number of invalid events of its state of today, if that is under
            the same keys.
    """
    is_unchanged = store.facts.last_arrival(record_id) <= version.arrival
    if stored is not None and is_unchanged and store.states.staleness(record_id) is None:
        core, invalid = stored
        events = store.facts.totals(record_id).events
        return _PastLeaf(store.records.get(record_id).digest, core, events - invalid, invalid)
    facts = past_facts(store, record_id, version, keys)
    invalid = sum(isinstance(event, InvalidEvent) for event in facts.events)
    core = replay(facts, keys).raw_core_digest
    return _PastLeaf(facts.record.digest, core, len(facts.events) - invalid, invalid)
