"""The merge is a pure function of sets, and the oracle's (M1 to M13, B6)."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mirror.core.bundle import parse_bundle, verify_bundle
from mirror.core.events.event import EncodedEvent, InvalidEvent
from mirror.core.events.verdict import key_ids_of_event, verify_event
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge_bundles
from tests import oracle
from tests.builders import Object, Signer, key_set_file, make_bundle
from tests.helpers import composed_of, findings, keys_of, merged, verified
from tests.properties.strategies import (
    KEY_SETS,
    KEYS,
    ORACLE_KEYS,
    RECORD,
    World,
    as_read,
    claims,
    groupings,
    junk,
    receipts,
    worlds,
)

Signers = tuple[Signer, ...]


def outcome(state: State) -> tuple[bytes, str, str]:
    """All that a state says."""
    return state.text, state.digest, state.core_digest


def composed(bundles: Sequence[Object], keys: KeySet = KEYS) -> bytes:
    """The composed bundle of several."""
    return composed_of([verified(bundle, keys) for bundle in bundles])


@given(worlds(), st.sampled_from(KEY_SETS))
def test_the_state_is_the_oracles(world: World, signers: Signers) -> None:
    """M1 to M13, B3, B6: text, digests, findings and composed bundle, under any key set."""
    keys, oracle_keys = keys_of(*signers), oracle.load_keys(key_set_file(*signers))
    read = as_read([world.bundle()])
    expected = oracle.merge(read, oracle_keys)
    state = merged([world.bundle()], keys)
    assert oracle.state_text(expected) == state.text
    assert oracle.state_digest(expected) == state.digest
    assert oracle.core_digest(read, oracle_keys) == state.core_digest
    assert oracle.findings(read[0], oracle_keys) == findings(world.bundle(), keys)
    assert oracle.compose(read) == composed([world.bundle()], keys)


@given(st.data())
def test_order_grouping_and_repeats_do_not_matter(data: st.DataObject) -> None:
    """M1, B6: any order, in any number of bundles, again and again: one state, one composition."""
    world = data.draw(worlds())
    one, other = data.draw(groupings(world)), data.draw(groupings(world))
    expected = outcome(merged([world.bundle()], KEYS))
    assert expected == outcome(merged(one, KEYS))
    assert expected == outcome(merged([*other, *one, *other], KEYS))
    assert composed(one) == composed([*other, *one])


@given(st.data())
def test_groupings_are_merged_as_the_oracle_merges_them(data: st.DataObject) -> None:
    """M1 to M13: several bundles at once."""
    bundles = data.draw(groupings(data.draw(worlds())))
    read = as_read(bundles)
    assert oracle.state_text(oracle.merge(read, ORACLE_KEYS)) == merged(bundles, KEYS).text
    assert oracle.compose(read) == composed(bundles)


@given(st.data())
def test_stepwise_equals_at_once(data: st.DataObject) -> None:
    """M1, B6: what is composed after each bundle carries all that the next step needs."""
    bundles = data.draw(groupings(data.draw(worlds())))
    so_far = verified(bundles[0], KEYS)
    for bundle in bundles[1:]:
        so_far = verify_bundle(parse_bundle(composed_of([so_far, verified(bundle, KEYS)])), KEYS)
    assert outcome(merged(bundles, KEYS)) == outcome(merge_bundles([so_far], KEYS))


@given(worlds(), st.sampled_from(KEY_SETS))
def test_a_composed_bundle_has_the_same_state(world: World, signers: Signers) -> None:
    """B6: composed under one key set, it merges to the same state under every other."""
    data = composed([world.bundle()], keys_of(*signers))
    for others in KEY_SETS:
        keys = keys_of(*others)
        again = verify_bundle(parse_bundle(data), keys)
        assert outcome(merged([world.bundle()], keys)) == outcome(merge_bundles([again], keys))
        assert data == composed_of([again])


@given(
    worlds(),
    st.lists(junk(), max_size=3),
    st.lists(receipts(), max_size=3),
    st.lists(claims(), max_size=3),
)
def test_noise_never_moves_the_core_digest(
    world: World, values: list[object], copies: list[object], times: list[object]
) -> None:
    """M12: junk events, copied receipts and unsigned alias times."""
    noise = make_bundle(RECORD, values, copies, times, source={}, short_pith_number="")
    alone, noisy = merged([world.bundle()], KEYS), merged([world.bundle(), noise], KEYS)
    assert alone.core_digest == noisy.core_digest


@given(worlds(), st.sampled_from(KEY_SETS))
def test_a_verdict_depends_only_on_the_keys_that_the_fact_names(
    world: World,
    signers: Signers,
) -> None:
    """E3, S2: with only those keys of the set, or with all, the verdict is one."""
    bundle = parse_bundle(composed([world.bundle()]))
    keys = keys_of(*signers)
    for raw in bundle.events:
        judged = verify_event(raw, bundle.record, keys)
        named = key_ids_of_event(judged, KeySet())
        fewer = keys_of(*(signer for signer in signers if signer.key_id in named))
        again = verify_event(EncodedEvent.of(raw.value), bundle.record, fewer)
        assert _code(judged) == _code(again)


def _code(judged: object) -> str | None:
    return judged.code if isinstance(judged, InvalidEvent) else None


@given(worlds())
def test_counts_add_up(world: World) -> None:
    """M1, M6, M11: each distinct event is shown, retired, a log without entry, or invalid."""
    state = oracle.parse(merged([world.bundle()], KEYS).text)
    lists = [part for part in state["current"].values() if isinstance(part, list)]
    shown = [entry["event_id"] for part in lists[1:] for entry in part]
    gone = [entry["event_id"] for entry in state["retired_events"]]
    assert state["valid_event_count"] + state["invalid_event_count"] == state["event_count"]
    assert len(state["invalid_events"]) == state["invalid_event_count"]
    assert len(state["equivocations"]) == state["equivocation_count"]
    assert len({*shown, *gone}) == len(shown) + len(gone)
    assert len(shown) + len(gone) <= state["valid_event_count"]
