"""Verdicts under trusted profiles: E3's checks in E3's order, whatever the envelope."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from mirror.core.events.event import MAX_EVENT_BYTES, EncodedEvent, InvalidEvent, ValidEvent
from mirror.core.events.profiled_event import ProfiledEvent
from mirror.core.events.types import is_event_id
from mirror.core.events.verdict import (
    ANY_KEY,
    ProfileVerdict,
    key_ids_of_event,
    restore_event,
    valid_under,
    verify_event,
)
from mirror.core.keys import BUILT_IN, KeySet, parse_key, parse_key_set
from mirror.core.merge import merge
from mirror.core.profile import INTEGRITY_V1, MIRROR_V1, Encoding, Profile, SignedContent
from mirror.core.profile_file import (
    NEEDED,
    keeps_id,
    loose_members,
    parse_profile,
    read_alike,
    require_safe,
    weaknesses,
)
from mirror.core.record import parse_record
from mirror.core.shape import objects_in
from mirror.errors import FormatError
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    author_claim,
    created,
    integrity,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    sign_event,
    to_json,
    without,
)
from tests.engine.invented_envelopes import (
    ALICE,
    INVENTED,
    RECORD,
    THREE,
    USUAL,
    Invented,
    Said,
    by_fingerprint,
    by_nobody,
    digest,
    flat,
    in_the_signer,
    integer_ids,
    other_names,
    payload_alone,
    without_id,
)
from tests.helpers import code_of, keys_of, verified
from tests.profiles import BOB, of_make, profile_of, trusting

PARSED = parse_record(RECORD)


def judged(event: Any, keys: KeySet) -> ValidEvent | InvalidEvent:
    """The verdict on one value."""
    return verify_event(EncodedEvent.of(event), PARSED, keys)


def code(event: Any, keys: KeySet) -> tuple[str, str]:
    """The profile and the code of the verdict; no code if it is valid."""
    found = judged(event, keys)
    return found.profile, found.code if isinstance(found, InvalidEvent) else ""


ENVELOPES = pytest.mark.parametrize("invented", INVENTED, ids=[one.name for one in INVENTED])


# What is valid -------------------------------------------------------------------------------


def keeps(invented: Invented) -> bool:
    """Whether one id of this envelope can be only one event's."""
    place = {**USUAL, **invented.places}["key"]
    return invented.id_at is not None and place not in {"", *invented.unprotected}


@ENVELOPES
def test_an_event_has_the_same_statement_in_any_envelope(invented: Invented) -> None:
    """In the members of E1, so that no other rule knows of envelopes."""
    keys = trusting(profile_of(invented))
    for said, event in zip(THREE, invented.events(), strict=True):
        assert code(event, keys_of(ALICE))[0] == MIRROR_V1.name
        found = judged(event, keys)
        assert isinstance(found, ValidEvent)
        assert ("new", event, EncodedEvent.of(event).digest) == (
            found.profile,
            found.value,
            found.digest,
        )
        payload = event["payload"] if "payload" in event else event["body"]
        assert oracle.canonical(payload) == found.payload_text
        plain = judged(make_event(RECORD, ALICE, said.event_type, payload, said.created_at), keys)
        assert isinstance(plain, ValidEvent)
        for name in ("event_type", "instant", "key_id", "authority", "payload", "slot_key"):
            assert getattr(plain, name) == getattr(found, name), name
        for name in ("target", "created_at", "payload", "event_type"):
            assert dict(plain.statement)[name] == dict(found.statement)[name], name
        signer = plain.statement["signer"]
        assert {**signer, **found.statement["signer"]} == signer
        assert is_event_id(found.event_id)
        own = Encoding(*invented.id_is).read(event.get((invented.id_at or "")[1:]))
        assert keeps(invented) == (found.event_id == f"sha256:{(own or b'').hex()}")


@ENVELOPES
def test_ids_are_one_for_each_signed_text_and_key(invented: Invented) -> None:
    """Events that differ in what is signed, or in who signed it, never have one id."""
    keys = trusting(profile_of(invented))
    events = [judged(one, keys) for one in (*invented.events(), *invented.events(BOB))]
    assert 6 == len({one.event_id for one in events if isinstance(one, ValidEvent)})


def test_unsigned_members_change_nothing() -> None:
    """A stranger may write there; what the event says, and its id, stay."""
    for make, change in (
        (other_names, {"proof": {"alg": "rsa", "more": 1}}),
        (payload_alone, {"key": 1, "subject_pith_number": "x"}),
    ):
        keys = trusting(profile_of(of_make(make)))
        event = make(THREE[0], ALICE)
        more = {
            name: {**event[name], **value} if isinstance(value, dict) else value
            for name, value in change.items()
        }
        first, second = judged(event, keys), judged({**event, **more}, keys)
        assert isinstance(first, ValidEvent)
        assert isinstance(second, ValidEvent)
        assert (first.event_id, first.statement) == (second.event_id, second.statement)


def test_the_registry_keeps_its_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an id does not say who signed, it is the registry's; others' is another event."""
    profile = profile_of(of_make(by_nobody))
    registry = replace(parse_key(ALICE.key_value()), key_id=BUILT_IN.key_id)
    event = by_nobody(THREE[0], ALICE)
    read = ProfiledEvent(event, profile, keys_of(ALICE))
    assert keeps_id(profile)
    assert event["event_id"] != read.statement(registry)["event_id"]
    monkeypatch.setattr("mirror.core.events.profiled_event.BUILT_IN", registry)
    assert event["event_id"] == read.statement(registry)["event_id"]


def test_where_no_key_is_trusted_no_event_is_valid() -> None:
    """K2, E3: whether the envelope names a key or not."""
    for make in (flat, by_nobody):
        profile = profile_of(of_make(make))
        keys = KeySet((), [profile], built_in=False)
        event = judged(make(THREE[0], ALICE), keys)
        assert isinstance(event, InvalidEvent)
        assert event.code == "event.key_unknown"


def test_the_built_in_profile_comes_first_and_then_names() -> None:
    """An event that fits several is verified under the first."""
    profile = profile_of(of_make(without_id))
    keys = trusting(replace(profile, name="b"), replace(profile, name="a"))
    assert ("a", "") == code(without_id(THREE[0], ALICE), keys)
    event = make_event(RECORD, ALICE, "author_claimed", author_claim())
    whole = Profile(
        "whole",
        MIRROR_V1.pointers,
        MIRROR_V1.id,
        replace(MIRROR_V1.signature, beside=None),
    )
    assert (MIRROR_V1.name, "") == code(event, trusting(whole))
    loose = {**event, "signature": {**event["signature"], "more": 1}}
    assert (MIRROR_V1.name, "event.signature") == code(loose, keys_of(ALICE))
    assert ("whole", "") == code(loose, trusting(whole))


def test_one_signed_text_in_two_profiles_is_one_event_in_any_order() -> None:
    """Read differently, the first profile's reading counts: the state does not ask who came."""
    places: Any = {**MIRROR_V1.pointers, "target": "/other_target"}
    other = Profile("other", places, MIRROR_V1.id, replace(MIRROR_V1.signature, beside=None))
    event = make_event(RECORD, ALICE, "x.y", {"a": 1})
    event = sign_event({**event, "other_target": "elsewhere"}, ALICE)
    loose = {**event, "signature": {**event["signature"], "more": 1}}
    keys = trusting(other, replace(other, name="another"))
    events = [judged(one, keys) for one in (event, loose)]
    assert [MIRROR_V1.name, "another"] == [one.profile for one in events]
    for some in ([loose], [event, loose]):
        verdicts = [judged(one, keys) for one in some]
        states = {
            merge(PARSED, [], [], order, keys).digest for order in itertools.permutations(verdicts)
        }
        assert 1 == len(states)
    (shown,) = objects_in(merge(PARSED, [], [], events, keys).lists["other_events"])
    assert "record" == shown["target"]


def test_a_type_of_another_name() -> None:
    """A person says what it means; then its payload must fit, and its key may have to."""
    event = without_id(replace(THREE[0], event_type="Author Claim!"), ALICE)
    invented = of_make(without_id)
    assert (MIRROR_V1.name, "event.shape") == code(event, trusting(profile_of(invented)))
    types = {"Author Claim!": "author_claimed"}
    keys = trusting(profile_of(invented, **types))
    found = judged(event, keys)
    assert isinstance(found, ValidEvent)
    claimant = author_claim()["claimant_id"]
    assert ("author_claimed", (claimant,)) == (found.event_type, found.slot_key)
    wrong = without_id(replace(THREE[0], event_type="Author Claim!", payload={}), ALICE)
    assert ("new", "event.payload") == code(wrong, keys)
    clerk = Signer("alice", event_types=("citation_signed",))
    narrow = trusting(profile_of(invented, **types), signers=(clerk,))
    assert ("new", "event.role") == code(event, narrow)


def test_a_type_that_e4_does_not_name_has_a_target_all_the_same() -> None:
    """Where the envelope has no place for one."""
    event = without_id(replace(THREE[0], event_type="x.y"), ALICE)
    found = judged(event, trusting(profile_of(of_make(without_id))))
    assert isinstance(found, ValidEvent)
    assert ("record", "x.y") == (found.statement["target"], found.event_type)


def test_the_target_of_a_finding_follows_from_its_type() -> None:
    """E4 allows just one."""
    event = without_id(
        replace(THREE[0], event_type="pith.integrity.v1", payload=integrity()), ALICE
    )
    found = judged(event, trusting(profile_of(of_make(without_id))))
    assert isinstance(found, ValidEvent)
    assert "integrity" == found.statement["target"]


def test_a_revocation_in_another_envelope() -> None:
    """It names the id that the event has."""
    keys = trusting(profile_of(of_make(flat)))
    claim = flat(THREE[0], ALICE)
    body = replace(THREE[1], event_type="event_revoked", payload=revocation(claim["event_id"]))
    event = without({**flat(body, ALICE)}, "event_id", "signature_b64")
    event["target"] = "event"
    event_id = f"sha256:{digest(event).hex()}"
    event = {**event, "event_id": event_id, "signature_b64": ALICE.sign(digest(event))}
    events = [judged(one, keys) for one in (claim, event)]
    retired = merge(PARSED, [], [], events, keys).value["retired_events"]
    assert [{"event_id": claim["event_id"], "reason": "revoked", "by": [event_id]}] == retired


# What is not ---------------------------------------------------------------------------------

OTHER = make_record(arxiv_id="2401.99999")


def test_every_check_in_its_order() -> None:
    """Each has its code, and those before it are passed."""
    invented = of_make(in_the_signer)
    profile = profile_of(invented)
    keys = trusting(profile)

    def signed(said: Said = THREE[0], signer: Signer = ALICE, **members: Any) -> Object:
        body = in_the_signer(said, signer)
        body = {**without(body, "event_id"), **members}
        body["signer"] = without(body["signer"], "signature")
        event_id = f"sha256:{digest(body).hex()}"
        body["signer"]["signature"] = signer.sign(digest(body))
        return {**body, "event_id": event_id}

    assert ("new", "") == code(signed(), keys)
    late = keys_of(Signer("alice", valid_from="2027-01-01T00:00:00Z"))
    clerk = keys_of(Signer("alice", event_types=("x.y",)))
    event = signed()
    cases: list[tuple[Object, KeySet, str]] = [
        ({**event, "event_id": "sha256:" + "0" * 64}, keys, "event.id"),
        (signed(replace(THREE[0], record=OTHER)), keys, "event.subject"),
        (signed(replace(THREE[0], created_at="noon")), keys, "event.time"),
        (signed(signer=Signer("carol")), keys, "event.key_unknown"),
        (
            signed(signer=ALICE, created_at="2026-01-01T00:00:00Z"),
            late.with_profiles([profile]),
            "event.key_window",
        ),
        (
            {**event, "signer": {**event["signer"], "signature": BOB.sign(b"")}},
            keys,
            "event.signature",
        ),
        ({**event, "signer": {**event["signer"], "signature": "x"}}, keys, "event.signature"),
        (event, clerk.with_profiles([profile]), "event.role"),
        (signed(replace(THREE[0], payload={})), keys, "event.payload"),
    ]
    assert [expected for *_, expected in cases] == [code(one, some)[1] for one, some, _ in cases]
    assert {"new"} == {code(one, some)[0] for one, some, _ in cases}
    wrong = {"key_id": ALICE.key_id, "name": "alice", "signer_id": "somebody else"}
    body = {**without(event, "event_id", "signer"), "signer": wrong}
    body["event_id"] = f"sha256:{digest(body).hex()}"
    body["signer"] = {**wrong, "signature": ALICE.sign(digest(without(body, "event_id")))}
    assert ("new", "event.key_mismatch") == code(body, keys)


def test_a_finding_names_the_profile() -> None:
    """Whose rule it was."""
    event = {**flat(THREE[0], ALICE), "event_id": "sha256:" + "0" * 64}
    (found,) = verified(make_bundle(RECORD, [event]), trusting(profile_of(of_make(flat)))).findings
    assert ("event.id", "/events/0") == (found.code, found.where)
    assert found.message.endswith(" (read as the profile new says)")


def test_what_an_event_must_have() -> None:
    """E1, at the places of the profile."""
    profile = profile_of(of_make(flat))
    keys = trusting(profile)
    event = flat(THREE[0], ALICE)
    deep: Any = {}
    for _ in range(32):
        deep = {"a": deep}
    cases: list[Any] = [
        [],
        without(event, "event_type"),
        {**event, "event_type": "No Type"},
        {**event, "payload": []},
        {**event, "payload": deep},
        {**event, "target": "x" * 129},
        {**event, "key_id": ""},
        {**event, "created_at": 1},
        {**event, "event_id": 1},
        without(event, "signature_b64"),
        {**event, "note": "x" * MAX_EVENT_BYTES},
    ]
    for changed in cases:
        assert (MIRROR_V1.name, "event.shape") == code(changed, keys)


def test_a_subject_may_be_the_digest_of_the_record() -> None:
    """It names the record as well as its Pith Number does."""
    profile = profile_of(of_make(without_id))
    body = without(without_id(THREE[0], ALICE), "signature")
    body["subject_pith_number"] = PARSED.canonical_sha256
    event = {**body, "signature": ALICE.sign(digest(body))}
    assert ("new", "") == code(event, trusting(profile))


def test_of_several_keys_the_one_that_passes_most_checks_counts() -> None:
    """An envelope need not say which key it was, and a fingerprint can be of two."""
    profile = profile_of(of_make(by_nobody))
    event = by_nobody(THREE[0], ALICE)
    clerk = Signer("alice", event_types=("x.y",))
    assert ("new", "event.role") == code(event, trusting(profile, signers=(BOB, clerk)))
    assert ("new", "event.signature") == code(event, trusting(profile, signers=(BOB,)))
    before = Signer("alice", key_id="a", valid_until="2020-01-01T00:00:00Z")
    named = profile_of(of_make(by_fingerprint))
    found = judged(by_fingerprint(THREE[0], ALICE), trusting(named, signers=(before, ALICE)))
    assert isinstance(found, ValidEvent)
    assert ALICE.key_id == found.key_id


def test_an_event_of_no_profile_gets_the_verdict_of_the_built_in_one() -> None:
    """Of verdicts that pass as many checks, the built-in profile's is given."""
    keys = trusting(profile_of(of_make(flat)))
    event = make_event(RECORD, Signer("carol"), "author_claimed", author_claim())
    assert (MIRROR_V1.name, "event.key_unknown") == code(event, keys)


# Verdicts that are remembered ----------------------------------------------------------------


@ENVELOPES
def test_a_stored_verdict_gives_the_same_event(invented: Invented) -> None:
    """Valid or not."""
    keys = trusting(profile_of(invented))
    event = invented.event(THREE[0], ALICE)
    raw = EncodedEvent.of(event)
    assert verify_event(raw, PARSED, keys) == restore_event(
        raw, ProfileVerdict("new", ALICE.key_id, None), keys
    )
    fault = ("event.id", "because")
    expected = InvalidEvent(event, raw.digest, *fault, "new")
    assert expected == restore_event(raw, ProfileVerdict("new", "", fault), keys)
    for missing in (keys_of(ALICE), KeySet((), [profile_of(invented)])):
        with pytest.raises(KeyError):
            valid_under(event, raw.digest, ProfileVerdict("new", ALICE.key_id, None), missing)


def test_the_keys_that_a_verdict_may_depend_on() -> None:
    """Under any of the profiles: a change of one of them can lift it or end it."""
    keys = trusting(profile_of(of_make(flat)), profile_of(of_make(by_fingerprint), "z"))
    event = flat(THREE[0], ALICE)
    assert {ALICE.key_id} == key_ids_of_event(judged(event, keys), keys)
    event = by_fingerprint(THREE[0], ALICE)
    assert {ALICE.key_id, ALICE.fingerprint} == key_ids_of_event(judged(event, keys), keys)
    stranger = by_fingerprint(THREE[0], Signer("carol"))
    expected = {Signer("carol").fingerprint}
    assert expected == key_ids_of_event(judged(stranger, keys), keys)
    anybody = trusting(profile_of(of_make(by_nobody)))
    assert {ANY_KEY} == key_ids_of_event(judged({}, anybody), anybody)
    assert set() == key_ids_of_event(judged({}, keys), keys)
    receipt = make_receipt(RECORD, Signer("carol"))
    said = replace(THREE[0], event_type="record_created", payload=created(RECORD, ALICE))
    event = flat(replace(said, payload={**said.payload, "receipt": receipt}), ALICE)
    found = judged(event, keys)
    assert isinstance(found, InvalidEvent)
    assert "event.payload" == found.code
    assert {ALICE.key_id, "key-carol"} == key_ids_of_event(found, keys)


# What may be trusted -------------------------------------------------------------------------

SAFE = profile_of(of_make(flat))


def unsafe(profile: Profile, expected: str) -> None:
    """Assert that a profile is refused for one thing."""
    assert expected in "; ".join(weaknesses(profile))
    with pytest.raises(FormatError) as caught:
        require_safe(profile, "/profiles/0")
    assert ("profile.unsafe", "/profiles/0") == (caught.value.code, caught.value.where)


@pytest.mark.parametrize("role", NEEDED)
def test_required_fields_must_have_a_pointer(role: Any) -> None:
    """Without a type, a paper, a time and a payload there is nothing to be said."""
    places: Any = {name: place for name, place in SAFE.pointers.items() if name != role}
    unsafe(replace(SAFE, pointers=places), f"no place for the {role} of an event")


@pytest.mark.parametrize("role", [*NEEDED, "target"])
@pytest.mark.parametrize("below", ["", "/x"])
def test_all_fields_must_be_signed(role: Any, below: str) -> None:
    """All of it."""
    signs = SignedContent("event", ("/event_id", "/signature_b64", f"{SAFE.pointers[role]}{below}"))
    signature = replace(SAFE.signature, signs=signs)
    unsafe(replace(SAFE, signature=signature), f"does not cover the {role} of an event")


def test_members_that_are_taken_by_name() -> None:
    """What is not taken is not signed."""
    names = ("event_type", "subject_pith_number", "created_at", "target", "payload")
    for only, missing in ((names, ""), (names[1:], "the type"), ((), "the payload")):
        signature = replace(SAFE.signature, signs=SignedContent("event", (), only))
        profile = replace(SAFE, signature=signature)
        if missing:
            unsafe(profile, f"does not cover {missing}")
        else:
            assert profile is require_safe(profile)
            (loose,) = loose_members(profile)
            assert loose.startswith("every member outside the members event_type, ")
    inside = profile_of(of_make(payload_alone))
    only_some = replace(inside.signature, signs=SignedContent("payload", (), ("event_type",)))
    unsafe(replace(inside, signature=only_some), "does not cover the payload")
    outside: Any = {**inside.pointers, "type": "/event_type"}
    unsafe(replace(inside, pointers=outside), "does not cover the type")
    assert ["every member outside the payload"] == loose_members(inside)


def test_a_digest_that_is_only_named_proves_nothing() -> None:
    """S4: nothing in a finding shows what was hashed."""
    places = SAFE.pointers
    unsafe(
        replace(INTEGRITY_V1, name="x", pointers=places, id=SAFE.id),
        "only names the digest that is signed",
    )


@pytest.mark.parametrize("name", ["", "mirror-v1", "integrity-v1", "-", "a b", "x" * 65, "é"])
def test_a_name_is_plain_and_new(name: str) -> None:
    """It stands in files, logs and tables."""
    unsafe(replace(SAFE, name=name), "its name must be")


def test_two_fields_cannot_have_one_pointer() -> None:
    """A digest of a record looks like a type."""
    places: Any = {**SAFE.pointers, "type": SAFE.pointers["subject"]}
    unsafe(replace(SAFE, pointers=places), "two things")


def test_profiles_that_read_one_text_differently() -> None:
    """Somebody who passes events on could choose between them."""
    form = replace(SAFE.signature, form="hex")
    inside = profile_of(of_make(payload_alone))
    no_target: Any = {role: place for role, place in SAFE.pointers.items() if role != "target"}
    for other, expected in (
        (SAFE, True),
        (inside, True),
        (replace(SAFE, signature=form, types={"a": "citation_signed"}), True),
        (replace(SAFE, types={"a": "citation_signed"}), False),
        (replace(SAFE, pointers=no_target), False),
    ):
        assert expected == read_alike(SAFE, other) == read_alike(other, SAFE)


def test_a_type_of_e4_means_itself() -> None:
    """Whatever a file says that it stands for."""
    keys = trusting(profile_of(of_make(without_id), author_claimed="citation_signed"))
    found = judged(without_id(THREE[0], ALICE), keys)
    assert isinstance(found, ValidEvent)
    assert "author_claimed" == found.event_type


def test_which_ids_are_one_for_one_text() -> None:
    """Those that are a digest of just what is signed."""
    kept = [one.make.__name__ for one in INVENTED if keeps_id(profile_of(one))]
    others = {"integer_ids", "without_id"}
    assert {one.make.__name__ for one in INVENTED} - others == set(kept)
    identity = SAFE.id
    assert identity is not None
    wider = replace(identity, hashes=SignedContent("event", ("/event_id",)))
    assert not keeps_id(replace(SAFE, id=wider))
    assert not keeps_id(INTEGRITY_V1)
    assert [] == loose_members(SAFE)
    assert ["/seq"] == loose_members(profile_of(next(o for o in INVENTED if "/seq" in o.less)))
    assert [] == loose_members(profile_of(of_make(integer_ids)))


# Key sets ------------------------------------------------------------------------------------


def key_set(*profiles: Any, **members: Any) -> bytes:
    """A key set file."""
    values = [one.to_value() if isinstance(one, Profile) else one for one in profiles]
    return to_json({"keys": [ALICE.key_value()], "profiles": values, **members})


def test_a_key_set_file_holds_profiles() -> None:
    """And its digest covers them; without any, it is that of the keys (K3)."""
    mapped = replace(SAFE, types={"a": "citation_signed"})
    found = parse_key_set(key_set(mapped))
    assert (mapped,) == found.profiles
    assert mapped == found.profile("new") == parse_profile(to_json(mapped.to_value()))
    assert found.profile("other") is None
    plain = parse_key_set(to_json({"keys": [ALICE.key_value()]}))
    assert plain.digest == parse_key_set(key_set()).digest == keys_of(ALICE).digest
    assert digest(found.to_value()).hex() == found.digest
    assert 3 == len({plain.digest, found.digest, parse_key_set(key_set(SAFE)).digest})
    again = parse_key_set(to_json(found.to_value()))
    assert (found.digest, found.profiles) == (again.digest, again.profiles)
    assert ("a", "b") == tuple(
        one.name
        for one in parse_key_set(key_set(replace(SAFE, name="b"), replace(SAFE, name="a"))).profiles
    )


def test_a_fault_in_a_profile_refuses_the_whole_file() -> None:
    """With its place."""
    bare = without(SAFE.to_value(), "name")
    for data, expected, where in (
        (key_set(profiles={}), "keys.shape", "/profiles"),
        (key_set(SAFE, bare), "profile.shape", "/profiles/1/name"),
        (key_set(replace(SAFE, name="")), "profile.unsafe", "/profiles/0"),
        (key_set(SAFE, replace(SAFE, types={"a": "b"})), "profile.conflict", ""),
        (key_set({**SAFE.to_value(), "types": {"a": 1}}), "profile.shape", "/profiles/0/types/a"),
        (key_set({**SAFE.to_value(), "types": 1}), "profile.shape", "/profiles/0/types"),
    ):
        with pytest.raises(FormatError) as caught:
            parse_key_set(data)
        assert (expected, where) == (caught.value.code, caught.value.where)
    keys = trusting(SAFE)
    assert "profile.conflict" == code_of(
        lambda: keys.with_added(trusting(replace(SAFE, types={"a": "b"})))
    )
