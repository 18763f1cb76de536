"""Changes of one record, and of all records of a store, from one version of the store to another.

A version says what was stored and who was trusted by a known time. The rules are those of today.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import merge
from itertools import chain, groupby
from operator import itemgetter

from mirror.core.comparison.changes import StateChange, state_changes
from mirror.core.keys import KeySet
from mirror.core.state_view import parse_state
from mirror.core.values import Object, canonical, hexdigest
from mirror.engine.batching import pages
from mirror.engine.states.past import keys_at, past_text
from mirror.engine.states.reverify import KeySetChange
from mirror.store import Store, StoreVersion

__all__ = ["StateDiff", "StoreSide", "state_diff", "store_diff"]

_PAGE = 500


@dataclass(frozen=True, slots=True)
class StoreSide:
    """A version of a store, and the keys that were trusted then."""

    version: StoreVersion
    keys: KeySet

    @classmethod
    def of(cls, store: Store, version: StoreVersion) -> StoreSide:
        """Return the side of a version.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return cls(version, keys_at(store, version))


@dataclass(frozen=True, slots=True)
class StateDiff:
    """The difference of two states of one record."""

    pith_number: str
    before: str | None
    """The state digest (M12) at the earlier version; None if the record was not known then."""
    after: str | None
    """The same at the later version."""
    changes: tuple[StateChange, ...]

    def counts(self) -> dict[str, int]:
        """Return how many things came, went and changed."""
        counted = Counter(one.kind for one in self.changes)
        return {kind: counted[kind] for kind in ("came", "gone", "changed")}


def state_diff(store: Store, record_id: int, before: StoreSide, after: StoreSide) -> StateDiff:
    """Return the changes of a record from one version of the store to a later one.

    Args:
        store: The store; call within a snapshot.
        record_id: The row id of the record.
        before: The earlier version.
        after: The later version.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    number = store.records.get(record_id).pith_number
    texts = [_text(store, record_id, side) for side in (before, after)]
    one, other = map(_value, texts)
    digests = _digest(one), _digest(other)
    changes = () if digests[0] == digests[1] or other is None else state_changes(one, other)
    return StateDiff(number, *digests, tuple(changes))


def _text(store: Store, record_id: int, side: StoreSide) -> bytes | None:
    if store.facts.first_arrival(record_id) > side.version.arrival:
        return None
    return past_text(store, record_id, side.version, side.keys)


def _value(text: bytes | None) -> Object | None:
    return None if text is None else parse_state(text).value


def _digest(state: Object | None) -> str | None:
    return None if state is None else hexdigest(canonical(state))


# All records ---------------------------------------------------------------------------------


def store_diff(
    store: Store,
    before: StoreSide,
    after: StoreSide,
    progress: Callable[[int], None] = lambda _records: None,
) -> Iterator[tuple[StateDiff, int]]:
    """Yield each record that changed from one version to the present one, with its new arrivals.

    A record changed if facts arrived or its state is another one. Only the records are read that
    have new arrivals, or whose verdicts may depend on a key that was added or removed: all of them
    if that is the built-in key or a profile. They are in the order in which they were first stored.

    Args:
        store: The store; call within a snapshot.
        before: The earlier version.
        after: The present version.
        progress: Receives numbers of records that were read.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    for record_id, arrivals in _may_have_changed(store, before, after):
        found = state_diff(store, record_id, before, after)
        progress(1)
        if arrivals or found.changes:
            yield found, arrivals


def _may_have_changed(
    store: Store, before: StoreSide, after: StoreSide
) -> Iterator[tuple[int, int]]:
    """Yield (record id, number of new arrivals), ascending by id."""
    touched = ((one, 0) for one in _touched(store, KeySetChange(before.keys, after.keys)))
    found = merge(store.facts.arrived_since(before.version.arrival), touched)
    for record_id, rows in groupby(found, key=itemgetter(0)):
        yield record_id, sum(arrivals for _, arrivals in rows)


def _touched(store: Store, change: KeySetChange) -> Iterable[int]:
    """Return the ids of the records whose verdicts may depend on a change, ascending."""
    if change.is_empty:
        return ()
    if change.names is None:
        return chain.from_iterable(pages(partial(store.integrity.ids, 1, 1), _PAGE, int))
    return store.facts.depending_on(change.names)
