"""`mirror root`: the digest of all states."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.rules import MERGE_VERSION, RULES
from mirror.engine.native_engine import tree_nodes
from mirror.engine.states.replay import process_stale
from mirror.errors import StoreError
from mirror.store import Store, damaged

__all__ = ["StateRoot", "read_root", "update_root"]


@dataclass(frozen=True, slots=True)
class StateRoot:
    """Root of all states, with everything that a comparison of two roots needs (K3)."""

    root: str
    """Digest of the tree over all states (`core.transparency.merkle`), hexadecimal."""
    key_set_digest: str
    """Digest of the trusted keys and profiles (K3), hexadecimal."""
    merge_version: str
    records: int
    events_valid: int
    events_invalid: int


def read_root(store: Store) -> StateRoot:
    """Return the root of a store's states; call within a transaction or a snapshot.

    Raises:
        StoreError: `store.behind` if states or the tree are out of date.
        CorruptStoreError: `store.damaged`, also if a record is missing in the tree.
    """
    if _is_stale(store) or store.state_tree.lag():
        hint = "wait for the merge that is running, or run `mirror root` on the store"
        raise StoreError("store.behind", "the tree of states is out of date", hint=hint)
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
    """Update all states and the tree; cheap if they are up to date.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    if _is_stale(store):
        process_stale(store)
    if store.state_tree.lag():
        with store.transaction():
            store.state_tree.update(tree_nodes)


def _is_stale(store: Store) -> bool:
    """Whether a state is stale, or was made by other rules."""
    is_old = not store.states.has_rules(RULES) and store.records.last_id() > 0
    return is_old or bool(store.states.stale(1))
