"""What `mirror probe` finds: envelopes that were made up, and near misses that must not pass."""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import orjson
import pytest

from mirror.core.events.checks import check_event
from mirror.core.keys import KeySet
from mirror.core.profile import MIRROR_V1, Profile
from mirror.core.profile_file import parse_profile
from mirror.core.record import parse_record
from mirror.core.values import decode
from mirror.probe.pre_images import SearchBudget
from mirror.probe.search import ProbeResult, ProfileEvidence, Sample, probe
from tests import oracle
from tests.builders import Object, Signer, citation, make_event, make_record, to_json, without
from tests.engine.invented_envelopes import (
    ALICE,
    INVENTED,
    RECORD,
    THREE,
    USUAL,
    Invented,
    Said,
    base64url,
    digest,
    flat,
    numbered,
    of_several_shapes,
    other_names,
    padded,
    payload_alone,
    signature,
    without_id,
)
from tests.helpers import keys_of

MALLORY = Signer("mallory", key_id=ALICE.key_id)
"""Whom nobody trusts, and who uses another's name."""
KEYS = keys_of(ALICE)

ENVELOPES = pytest.mark.parametrize("invented", INVENTED, ids=[one.name for one in INVENTED])


def samples(events: Sequence[Any], record: Object = RECORD) -> list[Sample]:
    """Events as they are read from a bundle of a record."""
    about = parse_record(record)
    values = [decode(to_json(event)) for event in events]
    return [
        Sample(str(index), about, value)
        for index, value in enumerate(values)
        if isinstance(value, dict)
    ]


def probed(events: Sequence[Any], keys: KeySet = KEYS, record: Object = RECORD) -> ProbeResult:
    """What probing events of one record comes to."""
    return probe(samples(events, record), keys)


def found(events: Sequence[Any], keys: KeySet = KEYS, record: Object = RECORD) -> ProfileEvidence:
    """The one profile that must be proposed for some events."""
    result = probed(events, keys, record)
    assert result.is_settled
    assert result.found is not None
    return result.found


def objections(events: Sequence[Any], keys: KeySet = KEYS, record: Object = RECORD) -> list[str]:
    """Why the likeliest profile is not proposed: there must be one, and none may be."""
    result = probed(events, keys, record)
    assert result.found is None
    return result.refused[0].objections


@cache
def _probed(invented: Invented) -> ProbeResult:
    """The result of probing three events in an envelope, which several tests look at."""
    return probed(invented.events())


def _found(invented: Invented) -> ProfileEvidence:
    result = _probed(invented)
    assert result.is_settled
    assert result.found is not None
    return result.found


# Envelopes that are found --------------------------------------------------------------------


@ENVELOPES
def test_an_envelope_is_found(invented: Invented) -> None:
    """Three events that have nothing in common prove it, and nothing else fits."""
    result = _probed(invented)
    assert ([], True, 0) == (result.alternatives, result.is_settled, result.explained)
    assert result.found is not None
    fit = result.found
    assert (3, 3, ("key-alice",)) == (fit.events, fit.signatures, fit.keys)
    assert (invented.id_at is not None) * 3 == fit.ids
    assert [] == [*fit.objections, *fit.unexplained, *fit.covered_by_id_alone]


@ENVELOPES
def test_the_rule_of_the_signature_and_all_places_are_found(invented: Invented) -> None:
    """What is signed, in which form, how it is spelled, what stands where, what is unprotected."""
    fit = _found(invented)
    rule, identity = fit.profile.signature, fit.profile.id
    signed = identity.hashes if rule.form == "id" and identity is not None else rule.signs
    assert signed is not None
    assert (invented.words, invented.form) == (signed.words, rule.form)
    assert invented.signature_at == rule.at
    assert invented.signature_is == (rule.spelling.prefix, rule.spelling.encoding)
    assert {**USUAL, **invented.places} == {"key": "", **fit.profile.pointers}
    assert invented.unprotected == fit.unprotected


@ENVELOPES
def test_the_rule_of_the_id_is_found(invented: Invented) -> None:
    """Where it stands, how it is spelled, and that it covers just what is signed."""
    identity = _found(invented).profile.id
    if invented.id_at is None:
        assert identity is None
        return
    assert identity is not None
    assert invented.id_at == identity.at
    assert invented.id_is == (identity.spelling.prefix, identity.spelling.encoding)
    less = {*invented.less, *([invented.id_at] if invented.less else [])}
    assert less == set(identity.hashes.excluded)


@ENVELOPES
def test_a_profile_that_is_written_and_read_is_the_same(invented: Invented) -> None:
    """It is read again as it was, and all events are as it says."""
    profile = _found(invented).profile
    again = parse_profile(orjson.dumps(profile.to_value()))
    assert profile == again
    assert [None] * 3 == [check_event(event, again, KEYS) for event in invented.events()]


@ENVELOPES
def test_a_profile_holds_for_events_that_it_was_not_found_from(invented: Invented) -> None:
    """Two events prove it for a third, and a copy of that with another payload is refused."""
    *two, third = invented.events()
    if invented.make is of_several_shapes:  # the third alone shows that something is left out
        two, third = [invented.events()[1], third], two[0]
    profile = found(two).profile
    assert check_event(third, profile, KEYS) is None
    assert check_event(_with_another_payload(third), profile, KEYS) in {"id", "signature"}


def test_an_encoding_that_one_event_does_not_show_is_found_by_others() -> None:
    """The first may have no `+` and no `_` in it; the others tell which it is."""
    bodies = [{**without(padded(THREE[0], ALICE), "event_id", "signature"), "n": n}
              for n in range(200)]  # fmt: skip
    events = [
        {**body, "signature": base64.urlsafe_b64encode(signature(ALICE, digest(body))).decode()}
        for body in bodies
    ]
    plain = [one for one in events if not {"-", "_"} & {*one["signature"]}][:2]
    other = next(one for one in events if {"-", "_"} & {*one["signature"]})
    assert 2 == len(plain)
    assert "base64url-padded" == found([*plain, other]).profile.signature.spelling.encoding
    assert "base64" == found(plain).profile.signature.spelling.encoding


def test_a_key_that_events_do_not_name_is_found_among_several() -> None:
    """Every trusted key is tried, and those that signed are reported."""
    bob = Signer("bob")
    events = [
        without_id(said, signer) for said, signer in zip(THREE, (ALICE, bob, ALICE), strict=True)
    ]
    for event in events:
        del event["key_id"]
    for event, signer in zip(events, (ALICE, bob, ALICE), strict=True):
        del event["signature"]
        event["signature"] = signer.sign(digest(event))
    fit = found(events, keys_of(ALICE, bob, Signer("carol")))
    assert (("key-alice", "key-bob"), False) == (fit.keys, "key" in fit.profile.pointers)


def test_events_that_the_built_in_profile_explains() -> None:
    """They need no search, and prove it."""
    events = [make_event(RECORD, ALICE, said.event_type, said.payload) for said in THREE]
    result = probed(events)
    assert (3, 3, 0) == (result.events, result.explained, result.effort.texts)
    assert result.found is not None
    assert (MIRROR_V1, 3, 3) == (result.found.profile, result.found.ids, result.found.signatures)
    assert ("/signature/algorithm",) == result.found.unprotected
    assert probed(events[:1]).found is None
    assert probed([]).found is None


def test_events_of_two_envelopes_of_which_one_is_built_in() -> None:
    """The search is for the others."""
    events = [make_event(RECORD, ALICE, "x.y", {"a": 1}), *(flat(said, ALICE) for said in THREE)]
    result = probed(events)
    assert (4, 1) == (result.events, result.explained)
    assert result.found is not None
    assert 3 == result.found.events


def _as_mirror_v1_in_ascii(said: Said) -> Object:
    """E1 to E3, but for the form in which it is hashed."""
    event = without(
        make_event(RECORD, ALICE, said.event_type, said.payload, said.created_at),
        "event_id",
        "signature",
    )
    hashed = hashlib.sha256(oracle.canonical_ascii(event)).digest()
    sealed = {"algorithm": "ed25519", "signature_b64": ALICE.sign(hashed)}
    return {**event, "event_id": f"sha256:{hashed.hex()}", "signature": sealed}


def test_the_built_in_envelope_in_ascii_form() -> None:
    """V7: what is all ASCII passes as built in; the others show that they are escaped."""
    third = Said("x.y", {"\x7f": "\u2028"}, "2026-04-01T00:00:00Z", 4)
    result = probed([_as_mirror_v1_in_ascii(said) for said in (*THREE, third)])
    assert {"mirror-v1": 2} == result.by_profile
    assert result.found is not None
    profile, signs = result.found.profile, result.found.profile.signature.signs
    assert signs is not None
    assert profile.id is not None
    assert (True, True, False) == (
        signs.ascii,
        profile.id.hashes.ascii,
        result.found.is_ascii_only,
    )
    assert [] == result.alternatives


def test_events_that_are_all_ascii_are_taken_as_canonical_bytes() -> None:
    """It is taken as V2, and that is said; what no signature covers does not count."""
    events = [{**flat(said, ALICE), "seen": "\xe9"} for said in (THREE[0], THREE[2])]
    fit = found(events)
    assert (True, False) == (fit.is_ascii_only, fit.profile.signature.signs.ascii)  # type: ignore[union-attr]
    assert not found([flat(said, ALICE) for said in THREE]).is_ascii_only


def test_id_and_signature_may_cover_different_forms() -> None:
    """V2 for the one, V7 for the other: each is looked at by itself."""
    events = []
    for said in THREE:
        body = without(flat(said, ALICE), "event_id", "signature_b64")
        signed = hashlib.sha256(oracle.canonical_ascii(body)).digest()
        identity = f"sha256:{hashlib.sha256(oracle.canonical(body)).hexdigest()}"
        events.append({**body, "event_id": identity, "sig": ALICE.sign(signed)})
    fit = found(events)
    assert fit.profile.id is not None
    assert fit.profile.signature.signs is not None
    assert (3, 3) == (fit.ids, fit.signatures)
    assert (False, True) == (fit.profile.id.hashes.ascii, fit.profile.signature.signs.ascii)


def test_two_new_envelopes_at_once_are_not_found() -> None:
    """A profile that explains some events only is reported, and not proposed."""
    events = [
        flat(THREE[0], ALICE),
        flat(THREE[1], ALICE),
        *(other_names(one, ALICE) for one in THREE),
    ]
    result = probed(events)
    assert result.found is None
    assert {(2, 5), (3, 5)} == {(fit.signatures, fit.events) for fit in result.refused}


def test_a_forged_event_does_not_hide_the_envelope_of_the_others() -> None:
    """Though it is the shortest, and so the first that is searched."""
    forged = {**flat(THREE[0], MALLORY), "payload": {}}
    events = [forged, *(flat(said, ALICE) for said in THREE)]
    result = probed(events)
    assert result.found is None
    (fit,) = result.refused
    assert (3, ("0",), ["1 of 4 events do not fit it"]) == (
        fit.signatures,
        fit.unexplained,
        fit.objections,
    )


def test_ids_are_reported_even_if_no_trusted_key_signed() -> None:
    """So that one sees that only a key is missing."""
    result = probed([other_names(said, ALICE) for said in THREE], keys_of())
    assert (None, []) == (result.found, result.refused)
    assert [("/hash", "the event less /hash, /proof")] == [
        (rule.at, rule.hashes.words) for rule in result.hashed
    ]


def test_a_digest_of_the_payload_is_reported_and_not_taken_as_the_id() -> None:
    """Two events with one payload have one such digest."""
    events = [{**flat(said, ALICE), "event_id": said.number} for said in THREE]
    for event in events:
        event["payload_sha256"] = digest(event["payload"]).hex()
        del event["signature_b64"]
        event["signature_b64"] = ALICE.sign(digest(event))
    result = probed(events)
    assert result.found is not None
    assert result.found.profile.id is None
    assert [("/payload_sha256", "the payload")] == [
        (rule.at, rule.hashes.words) for rule in result.hashed
    ]


def test_members_that_only_the_id_covers_are_reported() -> None:
    """Whoever changes what only the id covers makes another id for the same event."""
    events = [{**without_id(said, ALICE), "seen": str(said.number)} for said in THREE]
    events = [{**event, "event_id": f"sha256:{digest(event).hex()}"} for event in events]
    fit = found(events)
    assert (("/seen",), ["/seen"]) == (fit.unprotected, fit.covered_by_id_alone)


def test_every_member_that_is_left_out_is_named() -> None:
    """However far down it stands, and as a whole where nothing of it is covered."""
    events = []
    for said in THREE:
        event = without_id(said, ALICE)
        spare = base64.b64encode(bytes([said.number]) * 64).decode()
        events.append({**event, "by": {"the": {"way": spare}}, "seen": {"at": "now", "by": {}}})
    fit = found(events)
    assert {"/by", "/seen"} == set(fit.unprotected)


def test_members_left_out_of_a_signed_object_are_named() -> None:
    """A second signature three objects down, which nothing covers."""
    events = []
    for said in THREE:
        event = without_id(said, ALICE)
        del event["signature"]
        event["by"] = {"the": {"way": 1}}
        event["signature"] = ALICE.sign(digest(event))
        event["by"] = {"the": {"way": 1, "twice": base64url(bytes([said.number]) * 64)}}
        events.append(event)
    assert ("/by/the/twice",) == found(events).unprotected


# Near misses ---------------------------------------------------------------------------------


def _with_another_payload(event: Object) -> Object:
    changed = copy.deepcopy(event)
    changed["body" if "body" in event else "payload"]["changed"] = True
    return changed


def _changed(invented: Invented) -> list[Object]:
    """One member of one event."""
    first, *others = invented.events()
    return [_with_another_payload(first), *others]


def _forged(invented: Invented) -> list[Object]:
    """Somebody else signed one event."""
    return [*invented.events()[:2], invented.event(THREE[2], MALLORY)]


def _alone(invented: Invented) -> list[Object]:
    """One event proves nothing."""
    return invented.events()[:1]


def _three_times(invented: Invented) -> list[Object]:
    """Nor does it if it is there three times."""
    return invented.events()[:1] * 3


def _alike(invented: Invented) -> list[Object]:
    """Nor do copies that differ in what the signature does not cover."""
    first = invented.events()[0]
    return [{**first, "seen_at_no": number} for number in range(3)]


def _respelled(
    invented: Invented, change: Callable[[bytes], bytes], events: list[Object]
) -> list[Object]:
    """Events with another signature."""
    *above, name = invented.signature_at.split("/")[1:]
    prefix, encoding = invented.signature_is
    for event in events:
        holder = event[above[0]] if above else event
        data = change(_read(holder[name].removeprefix(prefix), encoding))
        holder[name] = prefix + _spelled(data, encoding)
    return events


def _read(text: str, encoding: str) -> bytes:
    if encoding.startswith("hex"):
        return bytes.fromhex(text)
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "==")


def _spelled(data: bytes, encoding: str) -> str:
    if encoding.startswith("hex"):
        return data.hex().upper() if encoding == "hex-upper" else data.hex()
    if encoding == "base64url-padded":
        return base64.urlsafe_b64encode(data).decode()
    return base64url(data) if encoding == "base64url" else base64.b64encode(data).decode()


def _flipped(invented: Invented) -> list[Object]:
    """A bit of one signature, in R or in S."""
    first, second, third = copy.deepcopy(invented.events())
    _respelled(invented, lambda data: bytes([data[0] ^ 1]) + data[1:], [second])
    _respelled(invented, lambda data: data[:40] + bytes([data[40] ^ 4]) + data[41:], [third])
    return [first, second, third]


def _with_large_s(invented: Invented) -> list[Object]:
    """S + L in place of S, in all of them (S1)."""
    return _respelled(invented, oracle.signature_with_large_s, copy.deepcopy(invented.events()))


NEAR_MISSES = [
    _changed,
    _forged,
    _alone,
    _three_times,
    _alike,
    _flipped,
    _with_large_s,
]


@ENVELOPES
@pytest.mark.parametrize("miss", NEAR_MISSES, ids=[one.__name__[1:] for one in NEAR_MISSES])
def test_a_near_miss_is_not_accepted(
    invented: Invented, miss: Callable[[Invented], list[Object]]
) -> None:
    """Neither as the profile nor as another one."""
    result = probed(miss(invented))
    assert (None, []) == (result.found, result.alternatives)


@ENVELOPES
@pytest.mark.parametrize(
    ("signer", "keys"),
    [(MALLORY, KEYS), (ALICE, keys_of())],
    ids=["under the name of a trusted one", "under its own name"],
)
def test_a_key_that_is_not_trusted_proves_nothing(
    invented: Invented, signer: Signer, keys: KeySet
) -> None:
    """Whatever an event says of it: no signature is found in one event, so none in several."""
    result = probed([invented.event(THREE[invented.ascii], signer)], keys)
    assert (None, [], []) == (result.found, result.alternatives, result.refused)


@pytest.mark.parametrize(
    ("miss", "expected"),
    [
        (_changed, "1 of 3 events do not fit it"),
        (_forged, "1 of 3 events do not fit it"),
        (_flipped, "2 of 3 events do not fit it"),
        (_alone, "fewer than 2 different events prove it"),
        (_three_times, "fewer than 2 different events prove it"),
        (_alike, "fewer than 2 different events prove it"),
    ],
)
def test_a_near_miss_is_refused_with_a_reason(
    miss: Callable[[Invented], list[Object]], expected: str
) -> None:
    """In words, and the events that do not fit are named."""
    assert expected in objections(miss(INVENTED[0]))
    result = probed(_changed(INVENTED[0]))
    assert ("0",) == result.refused[0].unexplained


def test_signatures_that_only_some_libraries_accept() -> None:
    """S1: one that holds only with the cofactor, though a trusted key made it."""
    events = [without_id(said, ALICE) for said in THREE]
    for event in events:
        del event["signature"]
        edge = oracle.sign_cofactored_only(ALICE.seed, digest(event))
        event["signature"] = base64.b64encode(edge).decode()
    result = probed(events)
    assert (None, []) == (result.found, result.refused)


def test_a_signature_that_every_key_of_small_order_accepts() -> None:
    """S1: R of small order and S of zero."""
    for point in oracle.small_order_encodings():
        edge = base64.b64encode(point + bytes(32)).decode()
        events = [{**without_id(said, ALICE), "signature": edge} for said in THREE]
        result = probed(events)
        assert (None, []) == (result.found, result.refused)


# What must be under the signature ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "role"),
    [("event_type", "type"), ("subject_pith_number", "subject"), ("created_at", "time")],
)
def test_unsigned_type_subject_and_time_are_not_taken(name: str, role: str) -> None:
    """An event must say its type, subject and time under the signature."""
    events = []
    for said in THREE:
        event = without_id(said, ALICE)
        value = event.pop(name)
        del event["signature"]
        events.append({**event, "signature": ALICE.sign(digest(event)), name: value})
    assert [f"the signature covers no {role} of the event"] == objections(events)


def test_an_unsigned_payload_is_not_taken() -> None:
    """Nor one that is not there."""
    events = []
    for said in THREE:
        event = without_id(said, ALICE)
        payload = event.pop("payload")
        del event["signature"]
        events.append({**event, "signature": ALICE.sign(digest(event)), "payload": payload})
    expected = "what the event says could be changed without breaking the signature"
    assert [expected] == objections(events)
    for event in events:
        del event["payload"]
    assert ["the signature covers no payload of the event"] == objections(events)


def test_the_subject_must_be_the_record_of_the_bundle() -> None:
    """Not another, and not the short form, which several records can have."""
    events = [flat(said, ALICE) for said in THREE]
    expected = ["the signature covers no subject of the event"]
    assert expected == objections(events, record=make_record(arxiv_id="2401.99999"))
    short = [{**event} for event in events]
    for event in short:
        del event["event_id"], event["signature_b64"]
        event["subject_pith_number"] = oracle.short_pith_number_of(RECORD)
        event["signature_b64"] = ALICE.sign(digest(event))
    assert expected == objections(short)
    for event in short:
        del event["signature_b64"]
        event["subject_pith_number"] = oracle.record_digest(RECORD)
        event["signature_b64"] = ALICE.sign(digest(event))
    assert "/subject_pith_number" == found(short).profile.pointers["subject"]


def test_subject_and_time_of_other_names_are_found_if_only_one_text_fits() -> None:
    """A time and a Pith Number show what they are; a type does not."""
    events = []
    for said in THREE:
        body = {
            "kind": said.event_type,
            "paper": said.subject,
            "when": said.created_at,
            "payload": said.payload,
        }
        events.append({**body, "sig": ALICE.sign(digest(body))})
    places = found(events).profile.pointers
    assert ("/kind", "/paper", "/when") == (places["type"], places["subject"], places["time"])
    for event in events:
        del event["sig"]
        event["until"] = event["when"]
        event["sig"] = ALICE.sign(digest(event))
    assert ["the signature covers no time of the event"] == objections(events)


def test_two_signatures_are_two_profiles() -> None:
    """Who signed an event must be clear: neither is to be relied on."""
    bob = Signer("bob")
    events = []
    for said in THREE:
        body = {name: value for name, value in flat(said, ALICE).items() if name != "key_id"}
        del body["event_id"], body["signature_b64"]
        signed = {"first": ALICE.sign(digest(body)), "second": bob.sign(digest(body))}
        events.append({**body, **signed})
    result = probed(events, keys_of(ALICE, bob))
    assert result.found is not None
    assert (1, False) == (len(result.alternatives), result.is_settled)


def test_one_signature_in_two_places_is_one() -> None:
    """Its first place is taken, and the other named as unprotected."""
    events = [without_id(said, ALICE) for said in THREE]
    fit = found([{**event, "copy": event["signature"]} for event in events])
    assert ("/signature", ("/copy",)) == (fit.profile.signature.at, fit.unprotected)


# What is searched ----------------------------------------------------------------------------


def test_progress_is_reported_after_every_thousand_tries() -> None:
    """So that telling it takes no time."""
    told: list[int] = []
    effort = SearchBudget(told.append)
    events = [numbered(said, ALICE) for said in THREE]
    probe(samples(events), keys_of(), effort)
    tried = effort.texts + effort.signatures
    assert tried > 5000
    assert [1000] * (tried // 1000) == told


def _profile_of(make: Callable[..., Object]) -> Profile:
    return found([make(said, ALICE) for said in THREE]).profile


def test_a_profile_of_one_envelope_refuses_events_of_another() -> None:
    """Their signatures are over other bytes."""
    profile = _profile_of(payload_alone)
    for make in (flat, other_names, without_id):
        event = make(THREE[0], ALICE)
        assert check_event(event, profile, KEYS) in {"id", "key", "signature"}


def test_the_type_must_be_as_e1_says() -> None:
    """Capitals and spaces are not taken for one."""
    said = [
        make_event(RECORD, ALICE, "Not A Type", citation(), f"2026-01-0{day}T00:00:00Z")
        for day in (1, 2)
    ]
    for event in said:
        event["signature"]["more"] = event["signature"].pop("signature_b64")
    assert ["the signature covers no type of the event"] == objections(said)
