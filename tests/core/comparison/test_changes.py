"""Changes between two states: complete, each once, and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.comparison.changes import StateChange, state_changes
from mirror.core.events.types import LIST_NAMES
from mirror.core.keys import KeySet
from mirror.core.values import canonical
from tests.builders import (
    NOON,
    Object,
    Signer,
    author_claim,
    citation,
    created,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    revocation,
)
from tests.helpers import keys_of, merged
from tests.properties.strategies import KEY_SETS, worlds

RECORD = make_record()
ALICE, BOB = Signer("alice"), Signer("bob")
KEYS = keys_of(ALICE)
NUMBER = make_bundle(RECORD)["pith_number"]
LATER = "2026-01-01T13:00:00Z"


def state(
    *events: Any,
    receipts: list[Object] | None = None,
    aliases: list[Object] | None = None,
    keys: KeySet = KEYS,
) -> Object:
    """The state of one bundle."""
    return merged([make_bundle(RECORD, events, receipts, aliases or [])], keys).value


def claim(created_at: str = NOON, signer: Signer = ALICE, **members: Any) -> Object:
    """An author claim; two of one signer are in one slot."""
    return make_event(RECORD, signer, "author_claimed", author_claim(**members), created_at)


def event_lines(before: Object | None, after: Object) -> list[tuple[str, str, str | None, str]]:
    """The changes of valid events, and what each says after the signer."""
    return [
        (one.kind, one.member, one.event_id, one.words.partition("claimed time ")[2] or one.words)
        for one in state_changes(before, after)
        if one.event_id
    ]


def words(before: Object | None, after: Object, member: str) -> list[str]:
    """What the changes of one member say."""
    return [
        f"{one.kind} {one.words}" for one in state_changes(before, after) if one.member == member
    ]


# Events --------------------------------------------------------------------------------------


def test_a_new_event_is_listed_with_its_summary() -> None:
    """With its signer and the time that it claims."""
    event = make_event(RECORD, ALICE, "citation_signed", citation("arxiv:1"))
    (change,) = [one for one in state_changes(state(), state(event)) if one.event_id]
    assert (change.kind, change.member, change.before) == ("came", "citations", None)
    assert change.words == (
        "citation_signed: arxiv:1 supports this record"
        " (asserted by https://orcid.org/0000-0002-1825-0097)"
        f" — signed by alice, claimed time {NOON}"
    )
    assert change.to_value()["after"] == state(event)["current"]["citations"][0]


def test_a_retired_event_is_listed_with_the_reason() -> None:
    """Superseded, revoked, or no longer valid; the one that supersedes comes."""
    first, second = claim(), claim(LATER)
    back = make_event(RECORD, ALICE, "event_revoked", revocation(first["event_id"]))
    one, other = first["event_id"], second["event_id"]
    assert event_lines(state(first), state(first, second)) == [
        ("gone", "author_claims", one, f"{NOON}, in force before, superseded by {other} after"),
        ("came", "author_claims", other, LATER),
    ]
    assert event_lines(state(first), state(first, back)) == [
        (
            "gone",
            "author_claims",
            one,
            f"{NOON}, in force before, revoked by {back['event_id']} after",
        )
    ]
    assert event_lines(state(first), state(first, keys=KeySet())) == [
        ("gone", "author_claims", one, f"{NOON}, is not valid")
    ]


def test_an_event_is_in_force_again() -> None:
    """The event that superseded it is no longer valid."""
    first, second = claim(), claim(LATER)
    before, after = state(first, second), state(first)
    assert event_lines(before, after) == [
        ("gone", "author_claims", second["event_id"], f"{LATER}, is not valid"),
        (
            "came",
            "author_claims",
            first["event_id"],
            f"{NOON}, superseded by {second['event_id']} before, in force after",
        ),
    ]


def test_retired_events_that_were_never_in_force() -> None:
    """Neither state shows what they say; the reason and the ids are named."""
    first, second = claim(), claim(LATER)
    back = make_event(RECORD, ALICE, "event_revoked", revocation(first["event_id"]))
    one, other = first["event_id"], second["event_id"]
    retired = ("came", "retired_events", one, f"{one}, superseded by {other}")
    assert retired in event_lines(state(), state(first, second))
    assert event_lines(state(first, second), state(first, second, back)) == [
        (
            "changed",
            "retired_events",
            one,
            f"{one}, superseded by {other} before, revoked by {back['event_id']} after",
        )
    ]
    assert ("gone", "retired_events", one, f"{one}, superseded by {other}, is not valid") in (
        event_lines(state(first, second), state())
    )


def test_a_withdrawal_is_by_its_signer() -> None:
    """M11 names no other event."""
    event = claim(status="withdrawn")
    event_id = event["event_id"]
    assert event_lines(state(), state(event)) == [
        ("came", "retired_events", event_id, f"{event_id}, withdrawn by its signer")
    ]


def test_many_revocations_are_counted() -> None:
    """A sentence names the first three; the value has them all."""
    event = claim()
    backs = [
        make_event(RECORD, ALICE, "event_revoked", revocation(event["event_id"], f"reason {one}"))
        for one in range(5)
    ]
    (change,) = [one for one in state_changes(state(event), state(event, *backs)) if one.event_id]
    assert change.words.endswith(" and 2 more after")
    assert isinstance(change.after, dict)
    assert change.after["by"] == sorted(one["event_id"] for one in backs)


@pytest.mark.parametrize(
    ("member", "value", "expected"),
    [
        ("target", "other", f'{NOON}, /target: "record" before, "other" after'),
        (None, None, f"{NOON}, in author_claims before, in other_events after"),
    ],
)
def test_one_id_with_other_members(member: str | None, value: str, expected: str) -> None:
    """A profile may read an id, and anything else, from where no signature covers it."""
    before, after = state(claim()), state(claim())
    current = after["current"]
    assert isinstance(current, dict)
    if member is None:
        current["author_claims"], current["other_events"] = [], current["author_claims"]
    else:
        current["author_claims"][0][member] = value
    assert [(kind, text) for kind, _, _, text in event_lines(before, after)] == [
        ("changed", expected)
    ]


# The rest ------------------------------------------------------------------------------------


def test_all_of_a_new_record_is_listed() -> None:
    """Its aliases, its events and the counts with it."""
    after = state(claim())
    changes = state_changes(None, after)
    assert [f"{one.kind} {one.member}" for one in changes] == [
        "came canonical_record",
        *["came source_aliases"] * 6,
        "came author_claims",
        "changed event_count",
        "changed valid_event_count",
    ]
    assert changes[0].words == f"the record {NUMBER}"
    assert changes[-1].words == "valid events: 0 before, 1 after"


def test_aliases_by_their_claimed_times() -> None:
    """One of which nobody claims a time has none."""
    aliases = make_claims(RECORD)[:1]
    assert words(state(), state(aliases=aliases), "source_aliases") == [
        f"changed arxiv: 2401.00001, claimed time none before, {NOON} after"
    ]


def test_receipts() -> None:
    """The key that signed; of another receipt the first difference."""
    receipt = make_receipt(RECORD, ALICE)
    with_receipt = state(receipts=[receipt])
    event = make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE))
    expected = "the receipt, signed with key key-alice"
    assert words(state(), with_receipt, "receipt") == [f"came {expected}"]
    assert words(with_receipt, state(), "receipt") == [f"gone {expected}"]
    assert words(with_receipt, state(event), "receipt") == [
        f'changed the receipt, /signed_at: null before, "{NOON}" after'
    ]


def test_equivocations_and_invalid_events() -> None:
    """A group grows, by one instant in any form; a value is refused with another code."""
    said = [claim(beside=one) for one in range(3)]
    ids = sorted(one["event_id"] for one in said)
    first, all_three = state(*said[:2]), state(*said)
    (grown,) = [one for one in state_changes(first, all_three) if one.member == "equivocations"]
    assert grown.kind == "changed"
    assert grown.words == (
        f"alice signed different author_claimed events of one claimed time, {NOON}: "
        f"{', '.join(sorted(one['event_id'] for one in said[:2]))} before, {', '.join(ids)} after"
    )
    unknown, forged = claim(signer=BOB), {**claim(signer=BOB), "signature": {}}
    (refused,) = words(state(), state(unknown), "invalid_events")
    assert refused.endswith("refused: event.key_unknown")
    (changed,) = words(state(forged), state(forged, keys=keys_of(BOB)), "invalid_events")
    assert changed.endswith("refused: event.key_unknown before, event.signature after")


# Laws ----------------------------------------------------------------------------------------


def applied(before: Object, changes: list[StateChange]) -> dict[str, bytes]:
    """All members of a state after the changes, each item by its canonical bytes."""
    items = parts(before)
    for one in changes:
        if one.before is not None:
            items.pop(key_of(one.member, one.before), None)
        if one.after is not None:
            items[key_of(one.member, one.after)] = canonical(one.after)
    return items


def key_of(member: str, item: Any) -> str:
    """What no two items of a state share; retired events are known by their reason."""
    if isinstance(item, dict) and "reason" in item:
        member = "retired_events"
    names = ("event_id", "digest", "alias_kind", "event_ids")
    name = next((one for one in names if isinstance(item, dict) and one in item), None)
    return f"{member} {item[name] if name else ''}"


def parts(state: Object) -> dict[str, bytes]:
    """All members of a state, the lists item by item."""
    return {key_of(name, item): canonical(item) for name, item in members_of(state)}


def members_of(state: Any) -> Iterator[tuple[str, Any]]:
    current = state["current"]
    counts = ("event_count", "valid_event_count", "invalid_event_count", "equivocation_count")
    yield from ((name, state[name]) for name in counts)
    yield "canonical_record", current["canonical_record"]
    if current["receipt"] is not None:
        yield "receipt", current["receipt"]
    for name in ("source_aliases", *LIST_NAMES):
        yield from ((name, one) for one in current[name])
    for name in ("equivocations", "invalid_events", "retired_events"):
        yield from ((name, one) for one in state[name])


@given(worlds(), worlds(), st.sampled_from(KEY_SETS), st.sampled_from(KEY_SETS))
def test_the_changes_lead_from_one_state_to_the_other(
    one: Any, other: Any, one_set: tuple[Signer, ...], other_set: tuple[Signer, ...]
) -> None:
    """Nothing is left out: they give the later state, and there is none if the states are equal."""
    before, after = (
        merged([one.bundle()], keys_of(*one_set)),
        merged([other.bundle()], keys_of(*other_set)),
    )
    changes = state_changes(before.value, after.value)
    assert applied(before.value, changes) == parts(after.value)
    assert (not changes) == (before.text == after.text)
    assert all(canonical(change.before) != canonical(change.after) for change in changes)
    ids = [change.event_id for change in changes if change.event_id]
    assert len(ids) == len({*ids})


@given(worlds())
def test_the_changes_from_nothing_are_the_state(world: Any) -> None:
    """A record that was not known comes with all that it has."""
    after = merged([world.bundle()], keys_of(*KEY_SETS[0])).value
    came = {
        key_of(one.member, one.after): canonical(one.after) for one in state_changes(None, after)
    }
    assert came == {name: text for name, text in parts(after).items() if text != canonical(0)}
