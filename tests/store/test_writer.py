"""Parcels: whatever a store held when they were made, each fact is written once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from mirror.engine.states.current import bundle_text, current_text
from mirror.engine.states.replay import update_states
from mirror.store import InsertCounts, SourceRun, Store, StoredFacts, open_store
from mirror.store.arrival_codec import unpack_contents
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
)
from tests.helpers import composed_of, ids_in, keys_of, merged, new_facts_of, take, verified

AUTHOR = Signer("author")
KEYS = keys_of(AUTHOR)
RECORD = make_record()
RUN = ("a source", "2026-01-01")


def _event(claimant: str, at: str = "2026-01-01T00:00:00Z") -> Object:
    return make_event(RECORD, AUTHOR, "author_claimed", author_claim(claimant), at)


EVENTS: list[Any] = [_event("a"), _event("a", "2026-01-01T00:00:01Z"), _event("b"), 1, 1.0, "x"]
RECEIPTS: list[Any] = [make_receipt(RECORD, AUTHOR), None, {"n": 1.5}]
CLAIMS = make_claims(RECORD)

BUNDLES = [
    make_bundle(RECORD, EVENTS[:3], RECEIPTS[:1], CLAIMS[:2]),
    make_bundle(RECORD, EVENTS[2:5], RECEIPTS, CLAIMS),
    make_bundle(RECORD, [*EVENTS, EVENTS[0]], None, [CLAIMS[0], CLAIMS[0]]),
]
ALL = InsertCounts(1, len(CLAIMS), len(RECEIPTS), len(EVENTS))


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory, with a transaction open."""
    with open_store(None) as opened, opened.transaction():
        yield opened


def _facts(store: Store) -> list[tuple[int, int, int]]:
    """Claims, receipts and events of each arrival."""
    query = "SELECT content FROM arrival ORDER BY id"
    found = [unpack_contents(content) for (content,) in store.connection.execute(query)]
    return [(len(one.claims), len(one.receipts), len(one.events)) for one in found]


def _assert_whole(store: Store) -> None:
    """Assert that the store holds the union of all bundles, and that all of it adds up."""
    update_states(store, KEYS, store.states.stale(10))
    (record_id,) = ids_in(store)
    assert store.counters.actual() == store.counters.counts()
    assert store.states.stale(10) == []
    expected = merged(BUNDLES, KEYS)
    with_keys = current_text(store, record_id, KEYS)
    assert expected.text == store.states.text(record_id) == with_keys
    assert composed_of([verified(one, KEYS) for one in BUNDLES]) == bundle_text(store, record_id)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_bundles_written_in_turn_add_each_fact_once(order: tuple[int, ...], store: Store) -> None:
    """The second brings what the first did not; a repeat brings nothing, and no arrival."""
    total = InsertCounts()
    for index in (*order, *order):
        _, new = take(store, BUNDLES[index], KEYS, SourceRun(*RUN))
        total.add(new)
    assert total == ALL
    assert len(_facts(store)) <= 3
    assert [sum(kind) for kind in zip(*_facts(store), strict=True)] == [6, 3, 6]
    _assert_whole(store)


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_bundles_verified_before_others_were_written_add_each_fact_once(
    order: tuple[int, ...],
    flush: bool,  # noqa: FBT001
    with_state: bool,  # noqa: FBT001
    store: Store,
) -> None:
    """New facts may be stored meanwhile by another bundle, even of the same batch."""
    writer, total = store.batch_writer(), InsertCounts()
    made = [new_facts_of(BUNDLES[at], KEYS, StoredFacts(), with_state=with_state) for at in order]
    for new_facts in (*made, *made):
        total.add(writer.add(new_facts, SourceRun(*RUN), "a member").new)
        if flush:
            writer.flush()
    writer.flush()
    assert total == ALL
    assert [sum(kind) for kind in zip(*_facts(store), strict=True)] == [6, 3, 6]
    _assert_whole(store)


@pytest.mark.parametrize("with_state", [False, True])
def test_a_new_record_is_stale_unless_its_state_came_with_it(
    with_state: bool,  # noqa: FBT001
    store: Store,
) -> None:
    """And is stale as soon as more comes."""
    writer = store.batch_writer()
    record_id, new, _, is_stale = writer.add(
        new_facts_of(BUNDLES[0], KEYS, StoredFacts(), with_state=with_state),
        SourceRun(*RUN),
        "a member",
    )
    writer.flush()
    assert new == InsertCounts(1, 2, 1, 3)
    assert is_stale != with_state
    assert is_stale == ([record_id] == [one.record_id for one in store.states.stale(10)])
    if with_state:
        assert merged(BUNDLES[:1], KEYS).text == store.states.text(record_id)
    take(store, BUNDLES[1], KEYS, SourceRun(*RUN))
    assert [one.record_id for one in store.states.stale(10)] == [record_id]


def test_many_records_are_written_at_once(store: Store) -> None:
    """Each with its own facts, whatever came between."""
    records = [make_record(arxiv_id=f"2401.{number:05}") for number in range(20)]
    values = [
        make_bundle(one, [make_event(one, AUTHOR, "author_claimed", author_claim()), number])
        for number, one in enumerate(records)
    ]
    writer = store.batch_writer()
    for value in [*values, *values[::3]]:
        new_facts = new_facts_of(value, KEYS, StoredFacts(), with_state=True)
        writer.add(new_facts, SourceRun(*RUN), "a member")
    writer.flush()
    assert store.records.count() == 20
    assert store.counters.actual() == store.counters.counts()
    texts = {store.states.text(record_id) for record_id in ids_in(store)}
    assert {merged([value], KEYS).text for value in values} == texts


def test_a_bundle_without_facts_adds_its_record(store: Store) -> None:
    """Once."""
    bundle = make_bundle(RECORD, [], None, [])
    record_id, new = take(store, bundle, KEYS, SourceRun(*RUN))
    assert (InsertCounts(1), [(0, 0, 0)]) == (new, _facts(store))
    assert (record_id, InsertCounts()) == take(store, bundle, KEYS, SourceRun(*RUN))
    assert [(0, 0, 0)] == _facts(store)
    update_states(store, KEYS, store.states.stale(10))
    assert merged([bundle], KEYS).text == store.states.text(record_id)


def test_an_index_of_keys_leaves_out_the_one_that_never_changes(store: Store) -> None:
    """Only records whose verdicts a change of trust may affect."""
    stranger = Signer("stranger")
    built_in = Signer("x", key_id="pith-v1-2026-05", signer_id="pith.science")
    events = [
        _event("a"),
        make_event(RECORD, stranger, "author_claimed", author_claim()),
        make_event(RECORD, built_in, "author_claimed", author_claim()),
    ]
    receipts = [make_receipt(RECORD, Signer("of a receipt")), make_receipt(RECORD, built_in)]
    record_id, _ = take(store, make_bundle(RECORD, events, receipts), KEYS, SourceRun(*RUN))
    query = "SELECT key_id, record_id FROM key_dependency ORDER BY key_id"
    found = store.connection.execute(query).fetchall()
    names = ["key-author", "key-of a receipt", "key-stranger"]
    assert [(name, record_id) for name in names] == found
    assert [record_id] == store.facts.depending_on(["key-stranger", "key-author"])
    assert [] == store.facts.depending_on(["pith-v1-2026-05", "nobody"])
