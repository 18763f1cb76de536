"""Stores of made-up states, for tests of the tree over them: many records in little time."""

from __future__ import annotations

import random
from collections.abc import Iterable

from mirror.core.record import suffix_of
from mirror.core.rules import RULES
from mirror.core.transparency.merkle import Leaf
from mirror.store import StateColumns, Store

__all__ = ["fill", "make_leaves", "write_states"]


def make_leaves(count: int, seed: int = 0) -> list[Leaf]:
    """The leaves of as many made-up records, in no order."""
    chance = random.Random(seed)
    return [(chance.randbytes(32), chance.randbytes(32)) for _ in range(count)]


def fill(store: Store, leaves: Iterable[Leaf]) -> None:
    """Add records and states with these digests, which nothing stands behind, and place them."""
    leaves, first = list(leaves), store.records.last_id() + 1
    with store.transaction():
        if store.records.last_id() == 0:
            store.states.require_rules(RULES)
        store.records.add(
            (row_id, (digest, "2024", suffix_of(digest), "arxiv", f"2401.{row_id:05}", 1, b""))
            for row_id, (digest, _) in enumerate(leaves, first)
        )
        store.counters.add({"records": len(leaves)})
        write_states(store, dict(enumerate((core for _, core in leaves), first)))
        store.state_tree.update()


def write_states(store: Store, core_digests: dict[int, bytes]) -> None:
    """Write the states of records, by id; call within a transaction."""
    rows = [
        (row_id, StateColumns(core, core, 0, 0, 0, b""), bytes(16))
        for row_id, core in core_digests.items()
    ]
    store.states.add(rows)
