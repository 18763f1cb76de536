"""What upstream takes back of what it said before; whoever only adds takes nothing back."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.comparison.rollback import rollbacks
from mirror.core.keys import KeySet
from mirror.core.merge import merge_bundles
from mirror.core.values import decode
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_record,
    revocation,
    sign_event_again,
    snapshot,
    without,
)
from tests.helpers import composed_of, keys_of, merged, verified
from tests.properties import strategies as worlds_of
from tests.properties.strategies import World, json_values

RECORD = make_record()
ALICE = Signer("alice")
JUDGE = Signer("judge", may_revoke_others=True)
KEYS = keys_of(ALICE, JUDGE)

GRAPH = make_event(RECORD, ALICE, "graph_snapshot", snapshot())
CLAIM = make_event(RECORD, ALICE, "author_claimed", author_claim())
NEWER_CLAIM = make_event(
    RECORD, ALICE, "author_claimed", author_claim(strength="weak"), "2026-01-02T12:00:00Z"
)
REVOCATION = make_event(RECORD, JUDGE, "event_revoked", revocation(GRAPH["event_id"]))
G, C = GRAPH["event_id"], CLAIM["event_id"]


def state(*events: Any, keys: KeySet = KEYS) -> Any:
    """What an honest upstream prints that holds these events."""
    return merged([make_bundle(RECORD, events)], keys).value


def bundle(*events: Any, **members: Any) -> Any:
    """The bundle that it gives out."""
    return make_bundle(RECORD, events, **members)


def in_part(value: Any, *lists: str) -> Any:
    """A state as the registry was seen to print it, with these lists of `current`."""
    told = without(value, "equivocations", "invalid_events", "retired_events")
    return {**told, "current": {name: value["current"][name] for name in lists}}


def found(before: Any, after: Any, retired: Sequence[str] = ()) -> list[tuple[str, str]]:
    """What was taken back, as (code, text)."""
    return [(one.code, one.text) for one in rollbacks(before, after, retired)]


# States --------------------------------------------------------------------------------------


def test_additions_are_no_rollback() -> None:
    """Events that are superseded or revoked by later ones are still named."""
    grown = [(), (GRAPH,), (GRAPH, CLAIM), (GRAPH, CLAIM, NEWER_CLAIM, REVOCATION)]
    for before, after in pairwise(grown):
        assert found(state(*before), state(*after)) == []
        assert found(bundle(*before), bundle(*after)) == []


def test_an_event_that_is_gone_is_named_and_so_is_each_count_that_fell() -> None:
    """An honest merge of less shows less, and counts less."""
    assert found(state(GRAPH, CLAIM), state(CLAIM)) == [
        ("rollback.count", "event_count fell from 2 to 1"),
        ("rollback.count", "valid_event_count fell from 2 to 1"),
        ("rollback.event", f"{G} was shown and is gone"),
    ]


def test_an_event_that_is_gone_is_found_though_the_counts_are_kept_up() -> None:
    """Whoever hides an event may well not hide it from the counts."""
    before = state(GRAPH, CLAIM)
    after = copy.deepcopy(before)
    after["current"]["graph_snapshots"] = []
    assert found(before, after) == [("rollback.event", f"{G} was shown and is gone")]


def test_a_revocation_that_is_gone_is_found() -> None:
    """What was revoked never comes back (M3)."""
    causes = found(state(GRAPH, REVOCATION), state(GRAPH))
    assert ("rollback.event", f"{REVOCATION['event_id']} was shown and is gone") in causes


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("event_count", 2, 1),
        ("valid_event_count", 1, 0),
        ("invalid_event_count", 3, 2),
        ("equivocation_count", 1, 0),
    ],
)
def test_a_count_that_fell_is_reported(name: str, was: int, now: int) -> None:
    """Facts are only ever added."""
    assert found({name: was}, {name: now}) == [
        ("rollback.count", f"{name} fell from {was} to {now}")
    ]
    assert found({name: now}, {name: was}) == []
    assert found({name: was}, {name: was}) == []


@pytest.mark.parametrize(
    ("was", "now"), [(True, False), (2.0, 1.0), (2, "1"), (None, 1), (2, None)]
)
def test_only_integers_are_counts(was: Any, now: Any) -> None:
    """Whatever else stands there cannot fall."""
    assert found({"event_count": was}, {"event_count": now}) == []


def test_a_record_that_changed_is_reported() -> None:
    """One number, two records: at most one of them hashes to it."""
    before, after = state(), state()
    after["current"]["canonical_record"] = make_record("Another")
    assert found(before, after) == [("rollback.record", "the canonical record changed")]
    del after["current"]["canonical_record"]
    assert found(before, after) == []
    assert found(after, before) == []


def test_an_event_with_other_members_is_named() -> None:
    """One id is one content."""
    before = state(GRAPH)
    after = copy.deepcopy(before)
    after["current"]["graph_snapshots"][0]["payload"] = {}
    text = f"{G} is shown with another content than before"
    assert found(before, after) == [("rollback.event", text)]
    # To print more of it, or less, is not to take it back.
    del after["current"]["graph_snapshots"][0]["payload"]
    assert found(before, after) == []
    assert found(after, before) == []


def test_an_event_may_go_if_it_is_known_to_be_retired() -> None:
    """A state in part shows no retired events: who holds the revocation knows."""
    before = in_part(state(GRAPH), "graph_snapshots")
    after = in_part(state(GRAPH, REVOCATION), "graph_snapshots")
    text = "was shown and is gone; the state does not say whether it was retired; the bundle does"
    assert found(before, after) == [("rollback.event", f"{G} {text}")]
    assert found(before, after, [G]) == []


def test_a_missing_list_is_a_rollback_of_its_events() -> None:
    """Left out or gone, nobody can see it."""
    before = state(GRAPH)
    assert [code for code, _ in found(before, in_part(before))] == ["rollback.event"]


# Bundles -------------------------------------------------------------------------------------


def test_an_event_that_is_gone_from_a_bundle_is_named() -> None:
    """Retired or not: a bundle holds everything."""
    assert found(bundle(GRAPH, CLAIM), bundle(CLAIM)) == [
        ("rollback.event", f"{G} was shown and is gone")
    ]


def test_an_event_whose_content_was_swapped_under_its_id_is_named() -> None:
    """The id alone would hide it."""
    after = bundle({**GRAPH, "payload": snapshot({})})
    text = f"{G} is shown with another content than before"
    assert found(bundle(GRAPH), after) == [("rollback.event", text)]
    both = bundle(GRAPH, {**GRAPH, "payload": snapshot({})})
    assert found(bundle(GRAPH), both) == []


def test_another_signature_of_the_same_event_is_no_rollback() -> None:
    """It is one event (M1)."""
    assert found(bundle(GRAPH), bundle(sign_event_again(GRAPH, ALICE))) == []


def test_a_record_that_changed_in_a_bundle_is_reported() -> None:
    """Though the number is the same."""
    after = bundle(canonical_record=make_record("Another"))
    assert found(bundle(), after) == [("rollback.record", "the canonical record changed")]


def test_junk_in_events_is_no_event() -> None:
    """What bears no id cannot be missed."""
    junk: list[Any] = [None, 7, "x", [], {}, {"event_id": 7}]
    assert found(bundle(*junk), bundle()) == []
    assert found(bundle(*junk, GRAPH), bundle(GRAPH, *junk)) == []


# Who would hide it ---------------------------------------------------------------------------


@pytest.mark.parametrize("members", [{"events": []}, {"events": 7}, {"bundle_type": "x"}])
def test_a_state_cannot_pass_as_a_bundle(members: Object) -> None:
    """Members that a state has not do not take its lists out of sight."""
    before, after = ({**one, **members} for one in (state(GRAPH), state()))
    assert ("rollback.event", f"{G} was shown and is gone") in found(before, after)


@pytest.mark.parametrize("current", [{}, 7, None, {"canonical_record": RECORD}])
def test_a_bundle_cannot_pass_as_a_state(current: Any) -> None:
    """Nor the other way round."""
    before = bundle(GRAPH, current=current)
    after = bundle(current=current, canonical_record=make_record("Another"))
    assert [code for code, _ in found(before, after)] == ["rollback.record", "rollback.event"]


# Laws ----------------------------------------------------------------------------------------


@st.composite
def growing(draw: st.DrawFn) -> list[World]:
    """Worlds, each with all that the one before it had."""
    world = draw(worlds_of.worlds())
    cuts = sorted(draw(st.lists(st.integers(0, len(world.events)), min_size=1, max_size=3)))
    return [World(world.events[:cut], world.receipts, world.claims) for cut in cuts] + [world]


@given(growing())
def test_law_additions_are_no_rollback(worlds: list[World]) -> None:
    """True of every state on the way, and of every bundle."""
    judged = [verified(world.bundle(), worlds_of.KEYS) for world in worlds]
    states = [merge_bundles([one], worlds_of.KEYS).value for one in judged]
    bundles: list[Any] = [decode(composed_of([one])) for one in judged]
    for said in (states, bundles):
        for index, before in enumerate(said):
            for after in said[index:]:
                assert rollbacks(before, after) == []


@given(worlds_of.worlds(), st.data())
def test_law_every_removed_event_is_found(world: World, data: st.DataObject) -> None:
    """An event that is taken out of a bundle, and any that a state showed."""
    ids = {one["event_id"] for one in world.events if isinstance(one, dict) and "event_id" in one}
    if not ids:
        return
    gone = data.draw(st.sampled_from(sorted(ids)))
    left = [
        one for one in world.events if not (isinstance(one, dict) and one.get("event_id") == gone)
    ]
    less = World(left, world.receipts, world.claims)
    text = f"{gone} was shown and is gone"
    assert [("rollback.event", text)] == found(world.bundle(), less.bundle())
    before, after = (merged([one.bundle()], worlds_of.KEYS).value for one in (world, less))
    assert found(before, after)


_NAMES = st.sampled_from(
    ["current", "events", "retired_events", "canonical_record", "graph_snapshots", "event_id",
     "by", "event_count", "payload"]
)  # fmt: skip
_HOSTILE = st.dictionaries(
    _NAMES,
    st.recursive(
        json_values(),
        lambda one: st.lists(one, max_size=3) | st.dictionaries(_NAMES, one, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


@given(_HOSTILE, _HOSTILE)
def test_law_any_two_documents_can_be_checked(before: Any, after: Any) -> None:
    """Whatever stands where."""
    assert all(cause.text for cause in rollbacks(before, after))
    assert rollbacks(before, before) == []
