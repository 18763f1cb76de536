"""What somebody could try under a trusted profile: to speak for others, twice, or out of turn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mirror.core.events.event import EncodedEvent, InvalidEvent, ValidEvent
from mirror.core.events.integrity_finding import findings_of
from mirror.core.events.verdict import key_ids_of_event, verify_event
from mirror.core.keys import BUILT_IN, KeySet, parse_key
from mirror.core.merge import State, merge
from mirror.core.profile import MIRROR_V1, Profile, SignedContent
from mirror.core.profile_file import require_safe
from mirror.core.record import parse_record
from mirror.core.values import canonical
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_event,
    sign_event_again,
    snapshot,
    without,
)
from tests.core.events.test_integrity_finding import finding
from tests.engine.invented_envelopes import (
    ALICE,
    INVENTED,
    RECORD,
    THREE,
    by_fingerprint,
    by_nobody,
    digest,
    flat,
    in_the_signer,
    linked,
    over_bytes_with_the_id,
    payload_alone,
    without_id,
)
from tests.profiles import BOB, of_make, profile_of, trusting

PARSED = parse_record(RECORD)
TWIN = Signer("alice", key_id="a-twin", signer_id="twin")


def judged(event: Any, keys: KeySet) -> ValidEvent | InvalidEvent:
    """The verdict on one value."""
    return verify_event(EncodedEvent.of(event), PARSED, keys)


def valid(event: Any, keys: KeySet) -> ValidEvent:
    """An event that is valid."""
    found = judged(event, keys)
    assert isinstance(found, ValidEvent)
    return found


def state(events: Sequence[Any], keys: KeySet) -> State:
    """The state of these events, which is the same in every order."""
    verdicts = [judged(one, keys) for one in events]
    states = [merge(PARSED, [], [], some, keys) for some in itertools.permutations(verdicts)]
    assert 1 == len({one.digest for one in states})
    return states[0]


# Who speaks ----------------------------------------------------------------------------------


def test_an_unsigned_name_does_not_choose_between_two_names_of_one_key() -> None:
    """Where the signature does not cover the name, the first that may have signed speaks."""
    keys = trusting(profile_of(of_make(payload_alone)), signers=(ALICE, TWIN))
    event = payload_alone(THREE[0], ALICE)
    copies = [event, {**event, "key_id": TWIN.key_id}, {**event, "key_id": ALICE.fingerprint}]
    assert {TWIN.key_id} == {valid(one, keys).key_id for one in copies}
    assert state(copies, keys).core_digest == state([event], keys).core_digest
    late = Signer("alice", key_id="a-twin", valid_from="2027-01-01T00:00:00Z")
    clerk = Signer("alice", key_id="b-twin", event_types=("x.y",))
    keys = trusting(profile_of(of_make(payload_alone)), signers=(ALICE, late, clerk))
    assert ALICE.key_id == valid(event, keys).key_id


def test_an_unsigned_member_does_not_choose_the_key() -> None:
    """It can only be wrong."""
    profile = profile_of(of_make(by_fingerprint))
    signs = SignedContent("event", ("/event_id", "/signature", "/signer/signer_id"))
    profile = require_safe(
        replace(profile, id=None, signature=replace(profile.signature, signs=signs))
    )
    keys = trusting(profile, signers=(ALICE, TWIN))
    event = by_fingerprint(THREE[0], ALICE)
    copies = [
        {**event, "signer": {**event["signer"], "signer_id": name}}
        for name in (ALICE.signer_id, TWIN.signer_id, "somebody")
    ]
    assert {TWIN.key_id} == {valid(one, keys).key_id for one in (event, *copies[:2])}
    assert "event.key_mismatch" == getattr(judged(copies[2], keys), "code", "")
    assert state([event, *copies], keys).core_digest == state([event], keys).core_digest


def test_a_signed_member_chooses_the_key() -> None:
    """Of two keys of one fingerprint, the one that the event says."""
    keys = trusting(profile_of(of_make(by_fingerprint)), signers=(ALICE, TWIN))
    event = without(by_fingerprint(THREE[0], ALICE), "event_id", "signature")
    for signer in (ALICE, TWIN):
        body = {**event, "signer": {**event["signer"], "signer_id": signer.signer_id}}
        event_id, signed = f"sha256:{digest(body).hex()}", ALICE.sign(digest(body))
        found = valid({**body, "event_id": event_id, "signature": signed}, keys)
        assert signer.key_id == found.key_id


def test_a_key_that_is_called_as_another_is_named_by_its_own_name_alone() -> None:
    """Otherwise one text that two keys signed would be two events of one id."""
    namesake = Signer("bob", key_id=ALICE.fingerprint)
    keys = trusting(profile_of(of_make(by_fingerprint)), signers=(ALICE, namesake))
    event = by_fingerprint(THREE[0], ALICE)
    signed = BOB.sign(digest(without(event, "event_id", "signature")))
    copy = {**event, "signature": signed}
    assert "event.signature" == getattr(judged(event, keys), "code", "")
    assert namesake.key_id == valid(copy, keys).key_id
    assert 1 == state([event, copy], keys).count("valid_event_count")


@pytest.mark.parametrize("value", [[], {}, [[]], None, 1, 1.5, True, "", "\x00", "\U0001f600"])
def test_a_key_may_be_named_by_anything(value: Any) -> None:
    """It names no key then, and the verdict rests on none that cannot be written down."""
    keys = trusting(profile_of(of_make(flat)), profile_of(of_make(in_the_signer), "z"))
    event = {**flat(THREE[0], ALICE), "key_id": value, "signer": {"key_id": value}}
    found = judged(event, keys)
    assert isinstance(found, InvalidEvent)
    assert key_ids_of_event(found, keys) <= {value if isinstance(value, str) else ""}


# One signed text is one event ----------------------------------------------------------------


def like_mirror_v1() -> Profile:
    """The envelope of E1, but without ids."""
    bare = profile_of(of_make(without_id))
    signature = replace(bare.signature, at="/signature/signature_b64")
    return require_safe(replace(bare, pointers={**MIRROR_V1.pointers}, signature=signature))


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [("author_claimed", author_claim()), ("graph_snapshot", snapshot()), ("x.y", {"a": 1.5})],
)
def test_an_event_of_e1_is_not_doubled_without_its_id(event_type: str, payload: Object) -> None:
    """Whoever drops the id of an event makes no second event, which would replace the first."""
    keys = trusting(like_mirror_v1())
    event = make_event(RECORD, ALICE, event_type, payload)
    bare = without(event, "event_id")
    assert ["mirror-v1", "new"] == [valid(one, keys).profile for one in (event, bare)]
    assert valid(event, keys).event_id == valid(bare, keys).event_id
    again = sign_event_again(event, ALICE)
    assert state([event, bare, again], keys).core_digest == state([event], keys).core_digest


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_an_event_is_not_doubled_with_an_id(names: tuple[str, str]) -> None:
    """Whoever adds the id that it would have in another trusted envelope."""
    makers = zip((linked, without_id), names, strict=True)
    keys = trusting(*[profile_of(of_make(make), name) for make, name in makers])
    event = without_id(THREE[0], ALICE)
    copy = {**event, "event_id": f"sha256:{digest(without(event, 'signature')).hex()}"}
    assert {*names} == {valid(one, keys).profile for one in (event, copy)}
    assert state([event, copy], keys).core_digest == state([event], keys).core_digest


def test_a_signature_that_is_moved_makes_no_other_event() -> None:
    """Of what one key signed once, the reading of the first profile counts."""
    first = profile_of(of_make(over_bytes_with_the_id), "a")
    moved_to = replace(first.signature, at="/signature/b64")
    keys = trusting(first, require_safe(replace(first, name="b", id=None, signature=moved_to)))
    event = over_bytes_with_the_id(THREE[0], ALICE)
    moved = {**event, "signature": {"b64": event["signature"]}}
    assert ["a", "b"] == [valid(one, keys).profile for one in (event, moved)]
    assert state([event, moved], keys).core_digest == state([event], keys).core_digest


def test_what_two_keys_signed_are_two_events() -> None:
    """And each of them once, however often it comes."""
    keys = trusting(profile_of(of_make(by_nobody)))
    event = by_nobody(THREE[0], ALICE)
    copy = {**event, "signature": by_nobody(THREE[0], BOB)["signature"]}
    assert 2 == state([event, copy, event], keys).count("valid_event_count")
    assert {ALICE.key_id, BOB.key_id} == {valid(one, keys).key_id for one in (event, copy)}


def test_no_other_event_has_the_id_of_an_event_of_the_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who signs the same text under a profile where it names another key."""
    registry = replace(parse_key(ALICE.key_value()), key_id=BUILT_IN.key_id)
    for module in ("keys", "events.profiled_event", "merge"):
        monkeypatch.setattr(f"mirror.core.{module}.BUILT_IN", registry)
    anybody = profile_of(of_make(by_nobody), "z")
    named = replace(anybody, name="a", pointers={**anybody.pointers, "key": "/owner"})
    keys = KeySet([parse_key(BOB.key_value())], [anybody, require_safe(named)])
    body = {**without(by_nobody(THREE[0], ALICE), "event_id", "signature"), "owner": BOB.key_id}
    event_id = f"sha256:{digest(body).hex()}"
    event, other = (
        {**body, "event_id": event_id, "signature": one.sign(digest(body))} for one in (ALICE, BOB)
    )
    assert ["z", "a"] == [valid(one, keys).profile for one in (event, other)]
    assert state([event, other], keys).core_digest == state([event], keys).core_digest


@pytest.mark.parametrize("invented", INVENTED, ids=[one.name for one in INVENTED])
def test_an_id_and_a_signature_are_spelled_in_one_way(invented: Any) -> None:
    """Another spelling of the same bytes is no other copy of the event, but an invalid one."""
    keys = trusting(profile_of(invented))
    event = invented.event(THREE[0], ALICE)
    own = [] if invented.id_at is None else [invented.id_at]
    for place in (*own, invented.signature_at):
        *above, last = place.split("/")[1:]
        holder = event[above[0]] if above else event
        text = holder[last]
        for other in (text.swapcase(), f"{text}=", f"{text}\n", f" {text}", text.rstrip("="), ""):
            if other == text:
                continue
            changed = {**holder, last: other}
            copy = {**event, above[0]: changed} if above else changed
            assert isinstance(judged(copy, keys), InvalidEvent), (place, other)
    assert canonical(event) == canonical(valid(event, keys).value)


# Findings ------------------------------------------------------------------------------------


def test_a_finding_within_a_finding_is_not_left_out() -> None:
    """If it bears a signature of its own; the payload of a finding is part of that finding."""
    inner = finding(payload_sha256="0" * 64)
    payload = {"event_type": "pith.integrity.v1", "detector": "x"}
    cases: list[Any] = [
        (finding(findings=[inner]), ["", "/findings/0"]),
        ([finding(evidence={"of": inner}, payload=payload)], ["/0", "/0/evidence/of"]),
        (finding(payload=payload), [""]),
    ]
    for document, expected in cases:
        assert expected == [one.where for one in findings_of(document)]
