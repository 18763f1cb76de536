"""Counts are kept with every change, and are at any time those of what is there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.keys import KeySet
from mirror.engine.findings import ReadRequest, Summary
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.current import current_text
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.replay import process_stale
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.store import Store, open_store
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.helpers import ids_in, keys_of, merged
from tests.properties.strategies import (
    ALICE,
    ALICES_OTHER_KEY,
    BOB,
    JUDGE,
    RECORD,
    groupings,
    worlds,
)

SIGNERS = (ALICE, ALICES_OTHER_KEY, BOB, JUDGE)

Step = list[Object] | Signer
"""Bundles are merged; a signer's key is added, or removed if it was there."""


@st.composite
def _steps(draw: st.DrawFn) -> list[Step]:
    """One world in several bundles, between them changes of trust, and some of it again."""
    bundles = draw(groupings(draw(worlds())))
    merges: list[Step] = [[bundle] for bundle in bundles]
    merges.append(draw(st.lists(st.sampled_from(bundles), max_size=3)))
    steps: list[Step] = [*merges, *draw(st.lists(st.sampled_from(SIGNERS), max_size=4))]
    return draw(st.permutations(steps))


def _merge(store: Store, folder: Path, bundles: list[Object]) -> Summary:
    path = folder / "bundles.jsonl"
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    return ingest(store, ReadRequest([str(path)], lambda _report: None))


def _turn(store: Store, signer: Signer) -> None:
    """Trust a signer from now on, or no longer."""
    if store.trust_log.key_set().get(signer.key_id) is None:
        add_keys(store, keys_of(signer))
    else:
        remove_keys(store, [signer.key_id])


def _expected(bundles: list[Object], keys: KeySet) -> dict[str, int]:
    """The counts of one record, from the oracle's state and the bundles themselves."""
    if not bundles:
        return {}
    state = merged(bundles, keys).value
    receipts = {oracle.canonical(one) for bundle in bundles for one in bundle.get("receipts", ())}
    claims = oracle.parse(oracle.compose(_read(bundles)))["source_aliases"]
    found: dict[str, Any] = {
        "records": 1,
        "alias_claims": len(claims),
        "receipts": len(receipts),
        "equivocations": state["equivocation_count"],
    }
    return {name: count for name, count in found.items() if count}


def _read(bundles: list[Object]) -> list[Any]:
    return [oracle.read_bundle(to_json(bundle)) for bundle in bundles]


@contextmanager
def _stores() -> Iterator[tuple[Path, list[Store]]]:
    """One store in memory and one on file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_store(None) as one, open_store(folder / "mirror.db") as other:
            yield folder, [one, other]


@settings(max_examples=settings().max_examples // 6)
@given(_steps())
def test_counters_equal_a_recount(steps: list[Step]) -> None:
    """After merges in any order, repeats, and keys that come and go, in memory and on file."""
    merged_so_far: list[Object] = []
    with _stores() as (folder, stores):
        for step in steps:
            for store in stores:
                if isinstance(step, Signer):
                    _turn(store, step)
                else:
                    _merge(store, folder, step)
                assert store.counters.actual() == store.counters.counts()
            merged_so_far += [] if isinstance(step, Signer) else step
            one, other = stores
            keys = one.trust_log.key_set()
            counts = one.counters.counts()
            assert counts == other.counters.counts()
            assert _expected(merged_so_far, keys).items() <= counts.items()
            assert one.status().events_valid == _valid_values(merged_so_far, one)
            for store in stores:
                texts = [current_text(store, one_id, keys) for one_id in ids_in(store)]
                assert texts == ([merged(merged_so_far, keys).text] if merged_so_far else [])


def _valid_values(bundles: list[Object], store: Store) -> int:
    """How many distinct values of `events` are valid: of one event there may be two signatures."""
    keys = [key.to_value() for key in store.trust_log.key_set()]
    distinct = {oracle.canonical(one): one for bundle in bundles for one in bundle["events"]}
    return sum(oracle.verdict(one, RECORD, keys) is None for one in distinct.values())


def test_equivocations_are_counted_as_they_appear_and_disappear(tmp_path: Path) -> None:
    """In one bundle or in two; with a key, and with the key gone."""
    record = make_record()
    twins = [
        make_event(record, ALICE, "author_claimed", author_claim(strength=strength))
        for strength in ("strong", "weak")
    ]
    apart = [make_bundle(record, [twin]) for twin in twins]
    for parts in ([apart[:1], apart[1:]], [apart], [[make_bundle(record, twins)]]):
        with open_store(None) as store:
            add_keys(store, keys_of(ALICE))
            for bundles in parts:
                _merge(store, tmp_path, bundles)
            assert store.counters.counts()["equivocations"] == store.status().equivocations == 1
            assert store.counters.actual() == store.counters.counts()
            remove_keys(store, [ALICE.key_id])
            assert "equivocations" not in store.counters.counts()
            add_keys(store, keys_of(ALICE))
            assert store.counters.counts()["equivocations"] == 1


def test_counters_can_be_recounted(tmp_path: Path) -> None:
    """From nothing, and to the same."""
    with open_store(None) as store:
        _merge(store, tmp_path, [make_bundle(make_record(), [1, 1.0], [None])])
        before = store.counters.counts()
        assert {"records": 1, "alias_claims": 6, "receipts": 1, "events": 2,
                "receipt receipt.shape": 1, "event event.shape": 2} == before  # fmt: skip
        with store.transaction():
            store.connection.execute("DELETE FROM counter")
            store.counters.recount()
        assert before == store.counters.counts()


@pytest.mark.parametrize("judge", [True, False])
def test_rebuild_restores_lost_counters(tmp_path: Path, *, judge: bool) -> None:
    """Whether verdicts are reached again, too, or not."""
    with open_store(None) as store:
        _merge(store, tmp_path, [make_bundle(make_record(), [1, 1.0], [None])])
        before = store.counters.counts()
        with store.transaction():
            store.counters.add({"records": 5, "event event.id": 1, "equivocations": -3})
        assert before != store.counters.counts()
        assert rebuild(store, verify=judge) == []
        assert before == store.counters.counts()


def test_an_interrupted_run_does_not_count_twice(tmp_path: Path) -> None:
    """States that lag behind are counted when they are made."""
    with open_store(None) as store:
        _merge(store, tmp_path, [make_bundle(make_record(), [1, 1.0], [None])])
        for mark in (store.states.mark_all_for_verdicts, store.states.mark_all_for_merge):
            with store.transaction():
                mark()
            process_stale(store)
            assert store.counters.actual() == store.counters.counts()
