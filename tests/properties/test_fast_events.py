"""Judging the quick way: an event passes exactly if the checks of E3, one by one, let it pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.bundle import StoredVerdicts, parse_bundle, verify_bundle
from mirror.core.events.checks import CHECKS, BundledEvent, is_valid_fast, run_checks
from mirror.core.events.event import EncodedEvent, InvalidEvent, ValidEvent
from mirror.core.events.verdict import restore_event, verify_event
from mirror.core.keys import KeySet
from mirror.core.msgpack_values import pack
from mirror.core.profile import MIRROR_V1
from mirror.core.receipt import Fault
from mirror.core.record import Record, parse_record
from tests import oracle
from tests.builders import (
    EVENT_TARGETS,
    NOON,
    Object,
    Signer,
    make_bundle,
    make_event,
    make_record,
    payload_of,
    sign_event,
    sign_event_again,
    to_json,
    without,
)
from tests.helpers import keys_of
from tests.properties.strategies import KEYS as WORLD_KEYS
from tests.properties.strategies import RECORD as WORLD_RECORD
from tests.properties.strategies import World, json_values, junk, worlds

RECORD = make_record()
PARSED = parse_record(RECORD)

ALICE = Signer("alice")
BOB = Signer("bob")
CLERK = Signer("clerk", event_types=("author_claimed", "x.y"))
GUEST = Signer("guest", valid_from="2026-01-01T00:00:01Z", valid_until="2026-01-01T00:00:02Z")
STRANGER = Signer("stranger")
KEYS = keys_of(ALICE, BOB, CLERK, GUEST)
SIGNERS = (ALICE, BOB, CLERK, GUEST, STRANGER)

TYPES = [*EVENT_TARGETS, "x.y"]


def by_the_table(raw: EncodedEvent, record: Record, keys: KeySet) -> Fault:
    """The first check of E3 that fails under the built-in profile."""
    key, fault = run_checks(BundledEvent.of(raw, record, keys, MIRROR_V1), CHECKS)
    assert (key is None) == (fault is not None)
    return fault


def agree(event: Any) -> Fault:
    """The verdict on a value, on which both ways agree."""
    raw = EncodedEvent.of(event)
    passes = is_valid_fast(raw, PARSED, KEYS)
    fault = by_the_table(raw, PARSED, KEYS)
    if raw.is_plain:
        assert passes == (fault is None), fault
    else:
        assert not passes or fault is None, fault
    judged = verify_event(raw, PARSED, KEYS)
    assert restore_event(raw, fault, KEYS) == judged
    assert isinstance(judged, InvalidEvent) == (fault is not None)
    return fault


def valid(event_type: str, signer: Signer = ALICE) -> Object:
    """A valid event of a type."""
    return make_event(RECORD, signer, event_type, payload_of(event_type, RECORD, signer))


# One member at a time ------------------------------------------------------------------------

GONE: Any = object()
"""Stands for: the member is left out."""

OTHERS: list[Any] = [
    GONE, None, True, False, 0, 1, 1.0, -1, "", "x", "record", "sha256:" + "0" * 64, NOON, "*",
    oracle.pith_number_of(make_record(version=2)), "key-bob",
    [], {}, ["x"], {"x": 1}, [{}], {"algorithm": "ed25519"},
]  # fmt: skip


def _replaced(value: Object, path: tuple[str, ...], other: Any) -> Object:
    name, *rest = path
    if rest:
        return {**value, name: _replaced(value[name], tuple(rest), other)}
    return without(value, name) if other is GONE else {**value, name: other}


def _paths_of_envelope(event: Object) -> Iterator[tuple[str, ...]]:
    """Yield where the members of an event stand, and those of its signer and signature."""
    yield from ((name,) for name in event)
    for outer in ("signer", "signature"):
        yield from ((outer, name) for name in [*event[outer], "more"])


def _paths_of_type(event: Object) -> Iterator[tuple[str, ...]]:
    """Yield where the members stand whose values depend on the type."""
    yield from (("event_type",), ("target",), ("payload",))
    yield from (("payload", name) for name in [*event["payload"], "more"])
    yield from (("payload", "receipt", name) for name in event["payload"].get("receipt", {}))


def _codes(event: Object, paths: Iterable[tuple[str, ...]]) -> set[str | None]:
    """The verdicts on an event with each member gone, or of another type or value.

    Each stands there with the old signature, with a new one, and with a new one of other content.
    """
    codes = set()
    for path in paths:
        for other in OTHERS:
            changed = _replaced(event, path, other)
            signed = sign_event(changed, ALICE)
            for one in (changed, signed, {**signed, path[0]: changed.get(path[0])}):
                codes.add((agree(one) or (None,))[0])
    return codes


@pytest.mark.parametrize("event_type", ["record_created", "x.y"])
def test_any_member_of_the_envelope_with_any_value(event_type: str) -> None:
    """E3: whatever the type is."""
    event = valid(event_type)
    assert agree(event) is None
    codes = _codes(event, _paths_of_envelope(event))
    assert {None, "event.shape", "event.id", "event.subject", "event.time", "event.key_unknown",
            "event.key_mismatch", "event.signature"} <= codes  # fmt: skip


@pytest.mark.parametrize("event_type", TYPES)
def test_any_member_of_the_payload_with_any_value(event_type: str) -> None:
    """E3, E4: and another type or target."""
    event = valid(event_type)
    assert agree(event) is None
    codes = _codes(event, _paths_of_type(event))
    assert {None, "event.shape", "event.id"} <= codes
    assert ("event.payload" in codes) == (event_type in EVENT_TARGETS)


@pytest.mark.parametrize("value", [None, True, 1, 1.0, "", "x", [], {}, [valid("x.y")]])
def test_values_that_are_not_events(value: Any) -> None:
    """E1: any JSON value gets a verdict."""
    assert agree(value) is not None


# Many members at once ------------------------------------------------------------------------

Mutation = Callable[[Object, Any], Object]


def _put(name: str) -> Mutation:
    return lambda event, value: {**event, name: value}


def _put_within(outer: str, name: str) -> Mutation:
    return lambda event, value: (
        {**event, outer: {**event[outer], name: value}}
        if isinstance(event.get(outer), dict)
        else event
    )


def _sign_as(signer: Signer) -> Mutation:
    return lambda event, _value: sign_event({**event, "signer": signer.signer_value()}, signer)


MUTATIONS: list[Mutation] = [
    lambda event, _value: event,
    lambda event, _value: sign_event(event, ALICE),
    lambda event, _value: sign_event(event, BOB),
    lambda event, _value: sign_event_again(event, ALICE),
    lambda event, _value: dict(reversed(event.items())),
    *(_sign_as(signer) for signer in SIGNERS),
    *(_put(name) for name in valid("x.y")),
    *(_put_within("signer", name) for name in ALICE.signer_value()),
    *(_put_within("signature", name) for name in ("algorithm", "signature_b64", "more")),
    *(_put_within("payload", name) for name in ("status", "method", "url", "receipt", "more")),
    _put("more"),
]

_names = st.text(st.characters(codec="utf-8"), max_size=3)
_values = (
    st.sampled_from([other for other in OTHERS if other is not GONE])
    | st.sampled_from(TYPES)
    | st.sampled_from(["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "1e5", "\u02cb", "\u0280"])
    | st.sampled_from([signer.key_id for signer in SIGNERS])
    | st.sampled_from([signer.fingerprint for signer in SIGNERS])
    | st.sampled_from([signer.signer_value() for signer in SIGNERS])
    | json_values()
)


@given(
    st.sampled_from(TYPES),
    st.sampled_from(SIGNERS),
    st.lists(st.tuples(st.sampled_from(MUTATIONS), _values), max_size=4),
)
def test_any_mutations_of_an_event(
    event_type: str, signer: Signer, changes: list[tuple[Mutation, Any]]
) -> None:
    """E3: any mutations, signed again before, between, after them or not at all."""
    event = valid(event_type, signer)
    for mutate, value in changes:
        event = mutate(event, value)
        agree(event)


@given(json_values() | st.dictionaries(st.sampled_from(list(valid("x.y"))), json_values()))
def test_any_json_value(value: Any) -> None:
    """E1: what only looks like an event, too."""
    assert agree(value) is not None


@given(worlds())
def test_verdicts_of_a_bundle_are_those_of_its_events(world: World) -> None:
    """E3: the verdicts of a bundle are those of the slow way, each."""
    bundle = parse_bundle(to_json(make_bundle(WORLD_RECORD, world.events)))
    for raw, judged in zip(bundle.events, verify_bundle(bundle, WORLD_KEYS).events, strict=True):
        fault = by_the_table(raw, bundle.record, WORLD_KEYS)
        assert restore_event(raw, fault, KEYS) == judged


# Borders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 2, 127, 128, 129])
@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600", "\u02cb"])
def test_targets_of_any_length(letter: str, length: int) -> None:
    """E1: 1 to 128 code points, whatever they weigh in bytes."""
    event = make_event(RECORD, ALICE, "x.y", {}, target=letter * length)
    assert (agree(event) is None) == (1 <= length <= 128)


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [("x.y", True), ("a", True), ("_", True), ("a" * 64, True), ("", False), ("a" * 65, False),
     ("A", False), ("x-y", False), ("x.y\n", False), ("\u0661", False), ("record_created ", False),
     ("*", False)],
)  # fmt: skip
def test_types_that_e4_does_not_name(event_type: str, *, expected: bool) -> None:
    """E1: by their pattern alone."""
    assert (agree(make_event(RECORD, ALICE, event_type, {})) is None) == expected


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.name)
@pytest.mark.parametrize(
    "created_at",
    [NOON, "2026-01-01T00:00:00.999999Z", "2026-01-01T00:00:01+00:00",
     "2026-01-01T00:00:01.999999Z", "2026-01-01T00:00:02Z", "2026-02-29T00:00:00Z", ""],
)  # fmt: skip
def test_validity_windows_and_roles_of_keys(
    event_type: str, signer: Signer, created_at: str
) -> None:
    """K2: from inclusive, until exclusive; and only what the key may sign."""
    payload = payload_of(event_type, RECORD, ALICE)
    fault = agree(make_event(RECORD, signer, event_type, payload, created_at))
    in_window = created_at in {"2026-01-01T00:00:01+00:00", "2026-01-01T00:00:01.999999Z"}
    is_time = "2026-01-0" in created_at
    may_sign = signer.event_types == ("*",) or event_type in signer.event_types
    knows = signer is not STRANGER and (signer is not GUEST or in_window)
    assert (fault is None) == (is_time and may_sign and knows)


def _nested(levels: int, *, lists: bool) -> Any:
    value: Any = "["
    for _ in range(levels):
        value = [value] if lists else {"{": value}
    return value


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("inner", [0, 1, 30, 31, 32, 40])
@pytest.mark.parametrize("more", [1, 1.5, "[" * 99, [[]] * 40])
def test_payloads_of_any_depth(inner: int, lists: bool, more: Any) -> None:  # noqa: FBT001
    """E1: 32 is the most, itself being 1; brackets in strings and beside each other are none."""
    payload = {"a": _nested(inner, lists=lists), "b": more, "[": 1}
    fault = agree(make_event(RECORD, ALICE, "x.y", payload))
    assert (fault is None) == (1 + inner <= 32)


@pytest.mark.parametrize("excess", [-1, 0, 1, 2])
@pytest.mark.parametrize("number", [1, 1.5])
def test_events_of_about_a_mebibyte(number: float, excess: int) -> None:
    """E1: 1,048,576 canonical bytes are the most, with a float and without."""
    bare = make_event(RECORD, ALICE, "x.y", {"n": number, "pad": ""})
    length = 1_048_576 + excess - len(oracle.canonical(bare))
    payload = {"n": number, "pad": "x" * length}
    event = {**without(bare, "event_id", "signature"), "payload": payload}
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).digest()
    signature = {"algorithm": "ed25519", "signature_b64": ALICE.sign(digest)}
    fault = agree({**event, "event_id": f"sha256:{digest.hex()}", "signature": signature})
    assert (fault is None) == (excess <= 0)


@pytest.mark.parametrize("place", ["payload", "signer", "more"])
@pytest.mark.parametrize("number", [1e-7, 1e16, 0.1, -0.0])
def test_an_event_with_a_float(place: str, number: float) -> None:
    """V2: outside the payload it is verified the slow way; wherever it is, it may be valid."""
    event = valid("x.y")
    members = event.get(place, {})
    signed = sign_event({**event, place: {**members, "n": [number]}}, ALICE)
    assert EncodedEvent.of(signed).is_plain == (place == "payload")
    assert agree(signed) is None
    assert agree({**signed, place: {**members, "n": [2 * number or 1.0]}}) is not None


@pytest.mark.parametrize("text", ["\u02cb", "\u0280", "\U0001f3ca", "a" * 0xCA, "a" * 0xCB])
def test_bytes_that_only_look_like_a_float(text: str) -> None:
    """Such an event may be taken for one with a float, and gets the same verdict."""
    assert agree(make_event(RECORD, ALICE, "x.y", {"a": text, "b": 0xCA, "c": 0xCB})) is None


# Encoding ------------------------------------------------------------------------------------

_members = st.sampled_from(["payload", "event_id", "signature", "signer", "a", "\u02cb"])
_events = st.dictionaries(_members, json_values(), max_size=6) | st.builds(
    lambda event, name, value: {**event, name: value},
    st.sampled_from([valid(event_type) for event_type in TYPES]),
    _members,
    json_values(),
)


def _holds_float(value: Any) -> bool:
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        return any(map(_holds_float, children))
    return isinstance(value, float)


@given(_events | junk() | json_values())
def test_an_event_is_encoded_and_hashed_by_the_rule(value: Any) -> None:
    """V2, E2: part by part or at once, the bytes are those of the oracle."""
    raw = EncodedEvent.of(value)
    assert oracle.canonical(value) == raw.encoded
    assert hashlib.sha256(oracle.canonical(value)).digest() == raw.digest
    assert pack(value) == raw.packed
    payload = value.get("payload") if isinstance(value, dict) else None
    assert oracle.canonical(payload) == raw.payload_text
    if isinstance(value, dict):
        outside = {name: member for name, member in value.items() if name != "payload"}
        assert not raw.is_plain or not _holds_float(outside)
        assert oracle.event_digest(value) == raw.event_digest().hex()


# Verdicts that were reached before -----------------------------------------------------------


@given(worlds())
def test_stored_verdicts_give_the_same_events_and_receipts(world: World) -> None:
    """B3: what a store knows of each value gives the very events and receipts again."""
    bundle = parse_bundle(to_json(world.bundle()))
    first = verify_bundle(bundle, WORLD_KEYS)
    receipts = {
        one.digest: None if one.code is None else (one.code, one.reason) for one in first.receipts
    }
    events = {
        one.digest: (one.code, one.reason) if isinstance(one, InvalidEvent) else None
        for one in first.events
    }
    known = StoredVerdicts(receipts, events)
    assert first == verify_bundle(bundle, keys_of(), known)


def test_a_valid_event_is_restored_from_its_value_and_digest() -> None:
    """A store keeps value and digest; what the merge asks for follows from them."""
    for event_type in TYPES:
        event = valid(event_type)
        judged = verify_event(EncodedEvent.of(event), PARSED, KEYS)
        assert isinstance(judged, ValidEvent)
        assert ValidEvent.of(event, judged.digest) == judged
