"""Differences of a store between two known times: complete, and no more than what changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mirror.core.keys import BUILT_IN, KeySet
from mirror.engine.history.state_diff import StoreSide, state_diff, store_diff
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.store import Store, open_store
from tests.builders import make_record
from tests.engine.history.worlds import (
    AUTHOR,
    PROFILE,
    REGISTRY,
    claim,
    events_of,
    merge,
    now,
    step,
)
from tests.helpers import keys_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "mirror.db") as opened:
        yield opened


def digests(store: Store) -> dict[int, str]:
    """The state digests of all records, of now."""
    return {one: store.states.digest(one).hex() for one, _, _ in store.records.page(0, 100)}


@pytest.mark.parametrize("seed", range(5))
def test_the_records_listed_are_those_that_changed(store: Store, seed: int) -> None:
    """Of every time, all others have the state of then; the digests are those of then and now."""
    random, events = Random(seed), {number: events_of(number) for number in (1, 2, 3)}
    add_keys(store, keys_of(REGISTRY))
    taken: list[tuple[str, dict[int, str], int]] = []
    for _ in range(10):
        step(store, random, events)
        taken.append((now(), digests(store), store.version().arrival))
    today, last = digests(store), StoreSide.of(store, store.version())
    for at, then, arrival in taken:
        side = StoreSide.of(store, store.version_at(at))
        with store.snapshot():
            found = {one.pith_number: (one, new) for one, new in store_diff(store, side, last)}
        for record_id, digest in today.items():
            new = [row for row in store.facts.arrivals(record_id) if row.id > arrival]
            number = store.records.get(record_id).pith_number
            assert (number in found) == (bool(new) or then.get(record_id) != digest)
            if number in found:
                diff, arrivals = found[number]
                assert (diff.before, diff.after, arrivals) == (
                    then.get(record_id), digest, len(new),
                )  # fmt: skip
                assert bool(diff.changes) == (diff.before != diff.after)


def test_only_what_may_have_changed_is_read(store: Store) -> None:
    """Records with new facts, or that name a changed key; all, if it is the built-in key."""
    read: list[int] = []

    def compare(at: str) -> int:
        read.clear()
        sides = [StoreSide.of(store, one) for one in (store.version_at(at), store.version())]
        [*store_diff(store, sides[0], sides[1], read.append)]
        return len(read)

    for number in range(5):
        record = make_record(arxiv_id=f"2401.{number:05}")
        merge(store, *([claim(1, record=record)] if number < 2 else []), record=record)
    first = now()
    assert compare(first) == 0
    merge(store, "junk", record=make_record(arxiv_id="2401.00004"))
    assert compare(first) == 1
    add_keys(store, keys_of(AUTHOR))
    assert compare(first) == 3
    second = now()
    remove_keys(store, [BUILT_IN.key_id])
    assert compare(second) == 5
    third = now()
    add_keys(store, KeySet((), [PROFILE]))
    assert compare(third) == 5
    remove_keys(store, [AUTHOR.key_id])
    add_keys(store, keys_of(AUTHOR))
    assert compare(now()) == 0


def test_two_versions_of_one_record(store: Store) -> None:
    """Not known, then known, then trusted."""
    start = now()
    merge(store, claim(1))
    sides = [StoreSide.of(store, store.version_at(start)), StoreSide.of(store, store.version())]
    add_keys(store, keys_of(AUTHOR))
    sides.append(StoreSide.of(store, store.version()))
    came = state_diff(store, 1, sides[0], sides[1])
    assert (came.before, came.changes[0].member) == (None, "canonical_record")
    trusted = state_diff(store, 1, sides[1], sides[2])
    assert (trusted.before, trusted.after) == (came.after, store.states.digest(1).hex())
    assert trusted.counts() == {"came": 1, "gone": 1, "changed": 2}
    assert state_diff(store, 1, sides[0], sides[0]).changes == ()
    assert state_diff(store, 1, sides[2], sides[2]).counts() == {"came": 0, "gone": 0, "changed": 0}
