"""`mirror root` and `mirror prove`: one digest for all states, and proofs that lead to it."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.merge import MERGE_VERSION, RULES
from mirror.engine.states.replay import process_stale
from mirror.errors import StoreError
from mirror.store import Store, damaged

__all__ = ["StateRoot", "read_root", "update_root"]


@dataclass(frozen=True, slots=True)
class StateRoot:
    """What a mirror says of all its states at once; each part of it is needed to compare (K3)."""

    root: str
    """Of the tree over all states (`core.tree`), hexadecimal."""
    key_set_digest: str
    """K3, hexadecimal."""
    merge_version: str
    records: int
    events_valid: int
    events_invalid: int


def read_root(store: Store) -> StateRoot:
    """Return the root of a store's states; call within a transaction or a snapshot.

    Raises:
        StoreError: `store.behind` if states or the tree lag behind the facts.
        CorruptStoreError: `store.damaged`, also if a record has no place in the tree.
    """
    if _lags(store) or store.state_tree.lag():
        hint = "wait for the merge that is running, or run `mirror root` on the store"
        raise StoreError("store.behind", "the tree lags behind the facts", hint=hint)
    status, node = store.status(), store.state_tree.node()
    if node.size != status.records:
        raise damaged(f"of {status.records} records, {node.size} are in the tree", "tree")
    return StateRoot(
        root=node.digest.hex(),
        key_set_digest=store.trust_log.key_set().digest,
        merge_version=MERGE_VERSION,
        records=node.size,
        events_valid=status.events_valid,
        events_invalid=sum(status.events_invalid.values()),
    )


def update_root(store: Store) -> None:
    """Make all states and the tree follow the facts; cheap where they do already.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    if _lags(store):
        process_stale(store)
    if store.state_tree.lag():
        with store.transaction():
            store.state_tree.update()


def _lags(store: Store) -> bool:
    """Whether a state waits to be made, or was made by other rules."""
    is_old = not store.states.has_rules(RULES) and store.records.last_id() > 0
    return is_old or bool(store.states.stale(1))
