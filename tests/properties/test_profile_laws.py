"""Verdicts under profiles: a plain second reading agrees, and strangers say nothing."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.events.event import EncodedEvent, InvalidEvent, ValidEvent
from mirror.core.events.verdict import ProfileVerdict, key_ids_of_event, restore_event, verify_event
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.merge import merge
from mirror.core.profile import MIRROR_V1, Profile
from mirror.core.profile_file import parse_profile, require_safe
from mirror.core.record import parse_record
from mirror.errors import FormatError
from tests import oracle
from tests.builders import Object, Signer, created, key_set_file, make_event, make_record, to_json
from tests.engine.invented_envelopes import (
    ALICE,
    INVENTED,
    RECORD,
    THREE,
    Invented,
    Said,
    linked,
    other_names,
    without_id,
)
from tests.helpers import code_of, keys_of
from tests.profiles import BOB, of_make, profile_of
from tests.properties.plain_profiles import changed, found, id_of, plainly, signed, spelled, steps

PARSED = parse_record(RECORD)
OTHER = make_record(arxiv_id="2401.99999")
TWIN = Signer("alice", key_id="a-twin", signer_id="twin")
EARLY = Signer("bob", key_id="early-bob", valid_until="2026-01-15T00:00:00Z")
CLERK = Signer("clerk", event_types=("author_claimed",))
NAMESAKE = Signer("bob", key_id=ALICE.fingerprint)
STRANGER = Signer("stranger")
KEY_SETS = ((ALICE, BOB), (ALICE, TWIN, BOB, EARLY), (CLERK, NAMESAKE, ALICE), (TWIN, EARLY))
SIGNERS = (ALICE, BOB, CLERK, STRANGER)
SAID = (
    *THREE,
    Said("record_created", created(RECORD, ALICE), "2026-04-01T00:00:00Z", 4),
    Said("author_claimed", {**THREE[0].payload, "signer_id": "twin"}, "2026-01-02T00:00:00Z", 5),
    Said("x.y", {"a": [1.0, 1e-7, "\u00e9"]}, "2026-05-01T00:00:00Z", 6),
    replace(THREE[0], record=OTHER),
)


# Worlds --------------------------------------------------------------------------------------


def sealed(event: Object, profile: Object, signer: Signer) -> Object:
    """An event with id and signature anew, where its shape has a place for them."""
    if profile["id"] is not None:
        event = changed(event, profile["id"]["at"], id_of(event, profile))
    data = base64.b64decode(signer.sign(signed(event, profile)))
    rule = profile["signature"]
    return changed(event, rule["at"], spelled(data, rule["spelling"]))


def pointers(value: Any, above: str = "") -> Iterator[str]:
    """Every place in an event."""
    if isinstance(value, dict):
        for name, member in value.items():
            place = f"{above}/{name.replace('~', '~0').replace('/', '~1')}"
            yield place
            yield from pointers(member, place)


NAMES = [
    one for signer in (ALICE, BOB, TWIN, EARLY, STRANGER)
    for one in (signer.key_id, signer.fingerprint, signer.public_key.hex())
]  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([
        *NAMES, None, 0, 1.0, -0.0, True, "", "x", [], {}, {"a": {}}, "\x00", "\U0001f600",
        "twin", "alice", "author_claimed", "No Type", "2026-01-01T00:00:00Z", "noon",
        oracle.pith_number_of(RECORD).lower(), oracle.record_digest(RECORD),
        oracle.record_digest(RECORD).upper(), oracle.pith_number_of(OTHER),
    ]),
    st.text(max_size=4),
)  # fmt: skip
STRAY = ["/signer_id", "/signer/signer_id", "/by/signer_id", "/", "/~1", "/~0", "/new", "/event_id",
         "/key_id", "/signer/key_id", "/signature", "/target", "/payload/receipt"]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, event: Object, *, most: int = 3) -> Object:
    """An event that somebody changed, as a whole or in some members."""
    for _ in range(draw(st.integers(0, most))):
        place = draw(st.sampled_from([*pointers(event), *STRAY]))
        if draw(st.booleans()):
            event = changed(event, place, draw(VALUES))
        else:
            event = changed(event, place, drop=True)
    return event


@st.composite
def made_by(draw: st.DrawFn, invented: Invented) -> Object:
    """An event of an envelope, with what its signer could have said otherwise."""
    signer = draw(st.sampled_from(SIGNERS))
    event = invented.event(draw(st.sampled_from(SAID)), signer)
    if draw(st.booleans()):
        event = draw(mutated(event))
        try:
            return sealed(event, profile_of(invented).to_value(), signer)
        except (AttributeError, TypeError, KeyError):
            return event  # nothing is left to be signed
    return event


def judged(event: Any, keys: KeySet) -> ValidEvent | InvalidEvent:
    """The verdict, which is recalled as it was reached."""
    raw = EncodedEvent.of(event)
    judgement = verify_event(raw, PARSED, keys)
    assert all(isinstance(name, str) for name in key_ids_of_event(judgement, keys))
    return judgement


def shown(event: ValidEvent | InvalidEvent) -> tuple[str, Any]:
    """A verdict as the plain reading gives it."""
    if isinstance(event, InvalidEvent):
        return event.profile, event.code
    if event.profile == MIRROR_V1.name:
        return event.profile, None
    said = {one: event.statement[one] for one in ("event_type", "target", "created_at", "payload")}
    return event.profile, (event.key_id, event.event_id, said)


# Laws ----------------------------------------------------------------------------------------


@given(st.data())
def test_verdicts_are_those_of_the_plain_implementation(data: st.DataObject) -> None:
    """Under any two profiles, of what was signed and then changed."""
    chosen = data.draw(st.lists(st.sampled_from(INVENTED), min_size=1, max_size=3, unique_by=id))
    signers = data.draw(st.sampled_from(KEY_SETS))
    mapped = data.draw(st.sampled_from([{}, {"No Type": "author_claimed", "x": "record_created"}]))
    profiles = [profile_of(one, f"p{place}", **mapped) for place, one in enumerate(chosen)]
    keys = keys_of(*signers).with_profiles(profiles)
    oracle_keys = oracle.load_keys(key_set_file(*signers))
    event = data.draw(made_by(chosen[0]))
    if data.draw(st.booleans()):
        event = data.draw(mutated(event, most=1))
    expected = plainly(event, oracle_keys, [one.to_value() for one in profiles])
    assert expected == shown(judged(event, keys))


def same_reading(*envelopes: Any) -> list[Profile]:
    """Profiles of envelopes that differ in what nothing covers, and read all else alike."""
    return [profile_of(of_make(one), f"p{place}") for place, one in enumerate(envelopes)]


def like_mirror_v1() -> Profile:
    """An envelope like that of E1, but without ids."""
    bare = profile_of(of_make(without_id), "like")
    places: Any = {**MIRROR_V1.pointers}
    signature = replace(bare.signature, at="/signature/signature_b64")
    return require_safe(replace(bare, pointers=places, signature=signature))


WORLDS: list[tuple[list[Any], list[Profile]]] = [
    ([one.make], [profile_of(one)]) for one in INVENTED
]
WORLDS += [
    ([linked, without_id], same_reading(linked, without_id)),
    ([linked, without_id], same_reading(without_id, linked)),
    ([lambda said, signer: make_event(RECORD, signer, said.event_type, said.payload,
                                      said.created_at)], [like_mirror_v1()]),
]  # fmt: skip


@given(st.data())
def test_tampered_copies_and_the_order_of_events_change_nothing(data: st.DataObject) -> None:
    """Whoever has no key can only add what is invalid, or what is there already."""
    makers, profiles = data.draw(st.sampled_from(WORLDS))
    signers = data.draw(st.sampled_from(KEY_SETS))
    keys = keys_of(*signers).with_profiles(profiles)
    events = [
        data.draw(st.sampled_from(makers))(said, data.draw(st.sampled_from(SIGNERS)))
        for said in data.draw(st.lists(st.sampled_from(SAID), min_size=1, max_size=3))
    ]
    copies = [data.draw(mutated(data.draw(st.sampled_from(events)))) for _ in range(3)]
    for copy in copies[:1]:  # what is easily forgotten: the id that it would have had
        hashed = hashlib.sha256(oracle.canonical(changed(copy, "/signature", drop=True)))
        copies.append(changed(copy, "/event_id", f"sha256:{hashed.hexdigest()}"))
    honest, forged = ([judged(one, keys) for one in some] for some in (events, copies))
    before = merge(PARSED, [], [], honest, keys)
    after = {
        merge(PARSED, [], [], data.draw(st.permutations([*honest, *honest, *forged])), keys).digest
        for _ in range(3)
    }
    assert 1 == len(after)
    assert before.core_digest == merge(PARSED, [], [], [*forged, *honest], keys).core_digest


@given(made_by(of_make(other_names)), st.sampled_from(KEY_SETS))
def test_events_valid_under_the_built_in_profile_stay_valid(
    event: Object, signers: tuple[Signer, ...]
) -> None:
    """A trusted profile changes no verdict that is valid without it."""
    plain_keys = keys_of(*signers)
    keys = plain_keys.with_profiles([like_mirror_v1(), profile_of(of_make(other_names))])
    for said, signer in itertools.product(SAID[:3], (ALICE, BOB)):
        one = make_event(RECORD, signer, said.event_type, said.payload, said.created_at)
        first, second = judged(one, plain_keys), judged(one, keys)
        if isinstance(first, ValidEvent):
            assert first == second
    again = EncodedEvent.of(event)
    judgement = verify_event(again, PARSED, keys)
    assert judgement == restore_event(again, kept(judgement), keys)


def kept(event: ValidEvent | InvalidEvent) -> Any:
    """A verdict as a store keeps it."""
    fault = (event.code, event.reason) if isinstance(event, InvalidEvent) else None
    if event.profile == MIRROR_V1.name:
        return fault
    key_id = event.key_id if isinstance(event, ValidEvent) else ""
    return ProfileVerdict(event.profile, key_id, fault)


# Any profile ---------------------------------------------------------------------------------

NEEDED = {
    "payload": {"claimant_id": "x", "a": 1},
    "type": "x.y",
    "subject": oracle.pith_number_of(RECORD),
    "time": "2026-01-01T00:00:00Z",
    "target": "record",
    "key": ALICE.key_id,
}
"""What an event may say at the places of a profile."""


@st.composite
def odd_profiles(draw: st.DrawFn) -> tuple[Object, Object]:
    """An event, and a profile that puts things elsewhere and leaves other things out."""
    invented = draw(st.sampled_from(INVENTED))
    value, event = profile_of(invented).to_value(), invented.event(THREE[0], ALICE)
    places = [*pointers(event), "/new", "/new/x", "/payload/new", "/"]
    names = [one[1:] for one in places if one.count("/") == 1]
    place, some = st.sampled_from(places), st.lists(st.sampled_from(places), max_size=3)
    changes: dict[str, st.SearchStrategy[Any]] = {
        **{f"/places/{role}": place for role in NEEDED},
        "/id": st.none(),
        "/id/hashes/less": some,
        "/id/hashes/only": st.lists(st.sampled_from(names), max_size=7),
        "/id/hashes/wrapped": st.booleans(),
        "/signature/at": place,
        "/signature/form": st.sampled_from(["digest", "hex", "canonical"]),
        "/signature/signs/less": some,
        "/signature/signs/only": st.lists(st.sampled_from(names), max_size=7),
        "/signature/signs/wrapped": st.booleans(),
        "/types": st.just({"x.y": "author_claimed"}),
    }
    for where in draw(st.lists(st.sampled_from(sorted(changes)), min_size=1, max_size=3)):
        value = changed(value, where, draw(changes[where]))
    return event, value


def put(event: Object, pointer: str, value: Any) -> Object:
    """An event that says something somewhere, whatever stood above."""
    for count in range(1, len(steps(pointer))):
        above = "/".join(pointer.split("/")[: count + 1])
        if not isinstance(found(event, above), dict):
            event = changed(event, above, {})
    return changed(event, pointer, value)


@settings(max_examples=settings().max_examples * 8 // 3)
@given(odd_profiles(), st.data())
def test_under_a_safe_profile_unsigned_changes_do_not_change_an_event(
    odd: tuple[Object, Object], data: st.DataObject
) -> None:
    """What was signed once says one thing, whatever is changed beside it; the plain reading too."""
    event, value = odd
    try:
        profile = require_safe(parse_profile(to_json(value)))
    except FormatError:
        return
    places: Any = profile.pointers
    value = profile.to_value()
    for role, said in NEEDED.items():
        place = places.get(role)
        if place is None:
            continue
        is_there = role == "payload" and isinstance(found(event, place), dict)
        if not is_there and data.draw(st.integers(0, 5)):
            event = put(event, place, said)
    signers = data.draw(st.sampled_from(KEY_SETS))
    keys = keys_of(*signers).with_profiles([profile])
    try:
        event = sealed(sealed(event, value, ALICE), value, ALICE)
    except (AttributeError, TypeError, KeyError):
        return  # nothing is left to be signed
    first = judged(event, keys)
    assert plainly(event, oracle.load_keys(key_set_file(*signers)), [value]) == shown(first)
    if isinstance(first, InvalidEvent):
        return
    for _ in range(3):
        copy = judged(data.draw(mutated(event)), keys)
        if isinstance(copy, ValidEvent):
            assert (copy.event_id, copy.statement, copy.source) == (
                first.event_id,
                first.statement,
                first.source,
            )


# Files ---------------------------------------------------------------------------------------

PARTS: st.SearchStrategy[Any] = st.one_of(
    VALUES,
    st.sampled_from(["/payload", "/event_id", "/a/b", "/~", "a", "payload", "event", "id", "hex",
                     "digest", "canonical", "new", "sha256:", ["/event_id"], ["a"], [[]]]),
)  # fmt: skip


@st.composite
def profile_values(draw: st.DrawFn) -> Any:
    """A profile that somebody wrote, mostly wrong."""
    value = profile_of(draw(st.sampled_from(INVENTED))).to_value()
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([*pointers(value), "/types/x", "/places/target"]))
        value = changed(value, place, draw(PARTS), drop=draw(st.integers(0, 4)) == 0)
    return value


@given(profile_values(), st.data())
def test_any_profile_is_refused_or_does_no_harm(value: Any, data: st.DataObject) -> None:
    """With a code; and under one that is trusted, nothing raises."""
    file = to_json({"keys": [], "profiles": [value]})
    code = code_of(lambda: require_safe(parse_profile(to_json(value))))
    assert code in {None, "profile.shape", "profile.unsafe"}
    assert code == code_of(lambda: parse_key_set(file))
    if code is not None:
        return
    profile = parse_profile(to_json(value))
    assert profile == parse_profile(to_json(profile.to_value()))
    keys = keys_of(ALICE, BOB).with_profiles([profile])
    event = data.draw(made_by(data.draw(st.sampled_from(INVENTED))))
    for one in (event, data.draw(mutated(event)), data.draw(VALUES)):
        assert isinstance(judged(one, keys), ValidEvent | InvalidEvent)
