"""Events: envelope, digest, verdict and types (E1 to E4, S3)."""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import combinations
from typing import Any

import pytest

from mirror.core.events.checks import EVENT_CODES, KEY_FREE_CODES
from mirror.core.events.event import (
    EncodedEvent,
    InvalidEvent,
    ValidEvent,
)
from mirror.core.events.types import EVENT_TYPES
from mirror.core.events.verdict import key_ids_of_event, verify_event
from mirror.core.record import parse_record
from tests import oracle
from tests.builders import (
    EVENT_TARGETS,
    NOON,
    Object,
    Signer,
    author_claim,
    citation,
    created,
    key_set_file,
    make_event,
    make_receipt,
    make_record,
    payload_of,
    replication,
    sign_event,
    sign_event_again,
    timestamp,
    without,
)
from tests.helpers import keys_of, verdict

RECORD = make_record()
OTHER_RECORD = make_record(arxiv_id="2401.99999")

ALICE = Signer("alice")
BOB = Signer("bob")
CLAIMER = Signer(
    "claimer",
    event_types=("author_claimed", "x.y"),
    valid_from="2026-01-01T00:00:00Z",
    valid_until="2027-01-01T00:00:00Z",
)
SIGNERS = (ALICE, BOB, CLAIMER)
KEYS = keys_of(*SIGNERS)
ORACLE_KEYS = oracle.load_keys(key_set_file(*SIGNERS))


def code(event: Any) -> str | None:
    """The verdict on a value, on which the oracle agrees."""
    found = verdict(event, RECORD, KEYS)
    assert oracle.verdict(event, RECORD, ORACLE_KEYS) == found
    return found


def valid(event: Object) -> ValidEvent:
    """An event that must be valid, judged."""
    judged = verify_event(EncodedEvent.of(event), parse_record(RECORD), KEYS)
    assert isinstance(judged, ValidEvent)
    return judged


def claim(**members: Any) -> Object:
    """A valid event, but for `members` of its envelope, which are signed with it."""
    return sign_event(
        {**make_event(RECORD, ALICE, "author_claimed", author_claim()), **members}, ALICE
    )


def with_signature(**members: Any) -> Object:
    """A valid event with other members in `signature`, which nothing signs."""
    event = claim()
    return {**event, "signature": {**event["signature"], **members}}


# E1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event_type", [*EVENT_TARGETS, "x.y", "a" * 64, "_", "0", "."])
def test_a_valid_event_of_each_type(event_type: str) -> None:
    """E1 to E4: what the builders make is valid, of types that E4 names and of others."""
    payload = payload_of(event_type, RECORD, ALICE)
    assert code(make_event(RECORD, ALICE, event_type, payload)) is None


@pytest.mark.parametrize(
    "members",
    [
        {"more": [1.0, None, {"a": {}}]},
        {"target": "t"},
        {"target": "\U0001f600" * 128},
        {"payload": {}},
        {"signer": ALICE.signer_value(more=1)},
        {"created_at": "1969-12-31T23:59:59.999999+00:00"},
    ],
)
def test_what_the_envelope_allows(members: Object) -> None:
    """E1: 128 code points, other members of the event and of its signer."""
    event = make_event(RECORD, ALICE, "x.y", {"a": 1})
    assert code(sign_event({**event, **members}, ALICE)) is None


NOT_TEXT: list[Any] = [None, 1, True, [], {}]
EVENT_ID = "sha256:" + "0" * 64
SHAPE_FAULTS: dict[str, list[Any]] = {
    "event_type": [*NOT_TEXT, "", "a" * 65, "A", "a-b", "a b", "a\n", "\u00e9", "\u0661"],
    "subject_pith_number": [*NOT_TEXT, "", "pith:XAVCN2MA", oracle.pith_number_of(RECORD) + "\n"],
    "target": [*NOT_TEXT, "", "x" * 129, "\U0001f600" * 129],
    "payload": [None, 1, "x", [], [{}], True],
    "created_at": NOT_TEXT,
    "signer": [None, "alice", [], {}],
    "event_id": [*NOT_TEXT, "", "0" * 64, EVENT_ID[:-1], EVENT_ID + "0", EVENT_ID + "\n"],
    "signature": [None, "x", [], True, 1],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in SHAPE_FAULTS.items() for value in values]
)
def test_a_member_of_another_type_pattern_or_size(name: str, value: Any) -> None:
    """E1, E3 `event.shape`."""
    event = claim() if name in {"event_id", "signature"} else claim(**{name: value})
    assert code({**event, name: value}) == "event.shape"


@pytest.mark.parametrize(
    "event_id", ["SHA256:" + "0" * 64, "sha256:" + "A" * 64, "sha512:" + "0" * 64]
)
def test_an_event_id_of_another_pattern(event_id: str) -> None:
    """E1, E3 `event.shape`."""
    assert code({**claim(), "event_id": event_id}) == "event.shape"


@pytest.mark.parametrize("name", list(SHAPE_FAULTS))
def test_a_member_is_missing(name: str) -> None:
    """E1, E3 `event.shape`."""
    assert code(without(claim(), name)) == "event.shape"


@pytest.mark.parametrize("name", list(ALICE.signer_value()))
@pytest.mark.parametrize("value", [*NOT_TEXT, ""])
def test_the_signers_members_are_non_empty_strings(name: str, value: Any) -> None:
    """E1, E3 `event.shape`."""
    assert code(claim(signer=ALICE.signer_value(**{name: value}))) == "event.shape"
    assert code(claim(signer=without(ALICE.signer_value(), name))) == "event.shape"


@pytest.mark.parametrize("value", [*NOT_TEXT, "x", 1.0, [claim()]])
def test_an_event_is_an_object(value: Any) -> None:
    """E1, E3: any JSON value gets a verdict."""
    assert code(value) == "event.shape"


@pytest.mark.parametrize("created_at", ["", "yesterday", "2026-02-29T00:00:00Z"])
def test_created_at_is_only_a_string_at_first(created_at: str) -> None:
    """E3: what is no time is `event.time`, and `event.shape` only if no string."""
    assert code(claim(created_at=created_at)) == "event.time"


def _nested(levels: int) -> Object:
    payload: Object = {}
    for level in range(levels - 1):
        payload = {"a": payload} if level % 2 else {"a": [payload][0]}
    return payload


@pytest.mark.parametrize(("levels", "expected"), [(1, None), (32, None), (33, "event.shape")])
def test_a_payload_nests_at_most_32_deep(levels: int, expected: str | None) -> None:
    """E1: itself being 1."""
    assert expected == code(make_event(RECORD, ALICE, "x.y", _nested(levels)))


def test_arrays_count_as_nesting() -> None:
    """E1: 31 arrays in the payload are the most."""
    deep = json.loads("[" * 31 + "]" * 31)
    assert code(make_event(RECORD, ALICE, "x.y", {"a": deep})) is None
    assert code(make_event(RECORD, ALICE, "x.y", {"a": [deep]})) == "event.shape"


def test_nesting_outside_the_payload_does_not_count() -> None:
    """E1: it is the depth of `payload` that is limited; V1 limits the rest."""
    deep = json.loads("[" * 50 + "]" * 50)
    assert code(make_event(RECORD, ALICE, "x.y", {}, more=deep)) is None


@pytest.mark.parametrize(("excess", "expected"), [(0, None), (1, "event.shape")])
@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600", "\n"])
def test_an_event_has_at_most_a_mebibyte(letter: str, excess: int, expected: str | None) -> None:
    """E1: 1,048,576 canonical bytes, `event_id` and `signature` included."""
    width = len(oracle.canonical(letter)) - 2
    bare = len(oracle.canonical(make_event(RECORD, ALICE, "x.y", {"pad": ""})))
    letters, rest = divmod(1_048_576 + excess - bare, width)
    event = make_event(RECORD, ALICE, "x.y", {"pad": letter * letters + "x" * rest})
    raw = EncodedEvent.of(event)
    assert 1_048_576 + excess == len(raw.encoded)
    judged = verify_event(raw, parse_record(RECORD), KEYS)
    assert expected == (judged.code if isinstance(judged, InvalidEvent) else None)


# E2 ------------------------------------------------------------------------------------------


def test_the_digest_leaves_out_id_and_signature_and_nothing_else() -> None:
    """E2: sha256 of the canonical bytes of the rest."""
    event = claim(more=1.0)
    rest = json.dumps(
        without(event, "event_id", "signature"),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    expected = hashlib.sha256(rest.encode()).hexdigest()
    assert expected == EncodedEvent.of(event).event_digest().hex()
    assert f"sha256:{expected}" == event["event_id"]
    assert (
        expected
        == EncodedEvent.of({**event, "event_id": 1, "signature": None}).event_digest().hex()
    )


def test_the_digest_of_a_literal_event() -> None:
    """E2: a vector that no change of the builders moves."""
    event: Object = {"created_at": "2026-01-01T00:00:00Z", "payload": {"b": 1.0, "a": [1, True]}}
    literal = b'{"created_at":"2026-01-01T00:00:00Z","payload":{"a":[1,true],"b":1.0}}'
    assert hashlib.sha256(literal).digest() == EncodedEvent.of(event).event_digest()


@pytest.mark.parametrize(
    "members",
    [
        {"event_id": EVENT_ID},
        {"payload": author_claim(strength="weak")},
        {"created_at": "2026-01-01T12:00:00+00:00"},
        {"target": "graph"},
        {"more": 1},
        {"signer": ALICE.signer_value(more=1)},
    ],
)
def test_every_member_is_covered_by_the_digest(members: Object) -> None:
    """E2, E3 `event.id`: whatever changes after signing, unknown members too."""
    assert code({**claim(), **members}) == "event.id"


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0.0, -0.0), (0, None)])
def test_values_that_python_calls_equal_have_other_ids(one: Any, other: Any) -> None:
    """E2, V2: a payload in which they are exchanged is another event."""
    event = make_event(RECORD, ALICE, "x.y", {"n": one})
    assert code(event) is None
    assert code({**event, "payload": {"n": other}}) == "event.id"


def test_the_order_of_members_does_not_matter() -> None:
    """E2, V2: the digest is of canonical bytes."""
    event = claim()
    assert code({name: event[name] for name in reversed(event)}) is None


# E3 ------------------------------------------------------------------------------------------

CODES = (
    "event.shape",
    "event.id",
    "event.subject",
    "event.time",
    "event.key_unknown",
    "event.key_mismatch",
    "event.key_window",
    "event.signature",
    "event.role",
    "event.payload",
)


def test_the_codes_stand_in_the_order_of_e3() -> None:
    """E3: and the first four need no key."""
    assert CODES == EVENT_CODES
    assert set(CODES[:4]) == KEY_FREE_CODES


FAULTY_MEMBERS: dict[str, Object] = {
    "event.subject": {"subject_pith_number": oracle.pith_number_of(OTHER_RECORD)},
    "event.key_window": {"created_at": "2027-01-01T00:00:00Z"},
    "event.time": {"created_at": "yesterday"},
    "event.role": {"event_type": "challenge_filed"},
    "event.payload": {"payload": {}},
}


def faulty(codes: tuple[str, ...]) -> Object:
    """An event that fails each of `codes`, and none before the first of them."""
    event = make_event(RECORD, CLAIMER, "author_claimed", author_claim())
    if "event.role" in codes and "event.payload" not in codes:
        event["payload"] = payload_of("challenge_filed", RECORD, CLAIMER)
    for name, members in FAULTY_MEMBERS.items():
        if name in codes:
            event.update(members)
    if "event.key_mismatch" in codes:
        event["signer"] = CLAIMER.signer_value(signer_type="robot")
    if "event.key_unknown" in codes:
        event["signer"] = {**event["signer"], "key_id": "key-nobody"}
    if "event.shape" in codes:
        event["target"] = ""
    event = sign_event(event, ALICE if "event.signature" in codes else CLAIMER)
    return {**event, "event_id": EVENT_ID} if "event.id" in codes else event


@pytest.mark.parametrize("expected", CODES)
def test_each_code_alone(expected: str) -> None:
    """E3: one fault, one code."""
    assert expected == code(faulty((expected,)))


@pytest.mark.parametrize("codes", [*combinations(CODES, 2), *combinations(CODES, 3), CODES])
def test_the_first_check_that_fails_gives_the_code(codes: tuple[str, ...]) -> None:
    """E3: in the order of the rule, for all pairs and triples."""
    assert codes[0] == code(faulty(codes))


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        ("2025-12-31T23:59:59.999999Z", "event.key_window"),
        ("2026-01-01T00:00:00.000000+00:00", None),
        ("2026-12-31T23:59:59.999999Z", None),
        ("2027-01-01T00:00:00Z", "event.key_window"),
    ],
)
def test_the_validity_window_applies_to_created_at(created_at: str, expected: str | None) -> None:
    """E3 `event.key_window`: from inclusive, until exclusive."""
    event = make_event(RECORD, CLAIMER, "author_claimed", author_claim(), created_at)
    assert expected == code(event)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"key_id": "alice"}, "event.key_unknown"),
        ({"key_id": "KEY-ALICE"}, "event.key_unknown"),
        ({"key_id": "key-bob"}, "event.key_mismatch"),
        ({"public_key_fingerprint": BOB.fingerprint}, "event.key_mismatch"),
        ({"public_key_fingerprint": ALICE.fingerprint.upper()}, "event.key_mismatch"),
        ({"public_key_fingerprint": ALICE.public_key.hex()}, "event.key_mismatch"),
        ({"signer_id": "bob"}, "event.key_mismatch"),
        ({"signer_type": "pith_registry"}, "event.key_mismatch"),
        (BOB.signer_value(), "event.signature"),
    ],
)
def test_a_signer_that_differs_from_the_key_is_refused(members: Object, expected: str) -> None:
    """E3 `event.key_unknown`, `event.key_mismatch`; or the right signer of another key."""
    assert expected == code(claim(signer=ALICE.signer_value(**members)))


GOOD = claim()["signature"]["signature_b64"]


@pytest.mark.parametrize(
    "members",
    [
        {"algorithm": "Ed25519"},
        {"algorithm": None},
        {"more": 1},
        {"key_id": "key-alice"},
        {"signature_b64": None},
        {"signature_b64": 1},
        {"signature_b64": ""},
        {"signature_b64": GOOD + "\n"},
        {"signature_b64": GOOD.rstrip("=")},
        {"signature_b64": GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + "=="},
        {"signature_b64": ALICE.sign(EncodedEvent.of(claim()).event_digest().hex().encode())},
        {"signature_b64": ALICE.sign(claim()["event_id"].encode())},
        {"signature_b64": BOB.sign(EncodedEvent.of(claim()).event_digest())},
        {
            "signature_b64": base64.b64encode(
                oracle.signature_with_large_s(base64.b64decode(GOOD))
            ).decode()
        },
    ],
)
def test_a_signature_that_is_not_as_in_e1_or_does_not_verify(members: Object) -> None:
    """E1, S1, S3, V6, E3 `event.signature`."""
    assert code(with_signature(**members)) == "event.signature"


@pytest.mark.parametrize("signature", [{}, {"algorithm": "ed25519"}, {"signature_b64": GOOD}])
def test_a_signature_has_exactly_two_members(signature: Object) -> None:
    """E1, E3 `event.signature`: an object of whatever shape passes `event.shape`."""
    assert code({**claim(), "signature": signature}) == "event.signature"


def test_an_event_signs_the_raw_digest() -> None:
    """S3: the raw 32 bytes, as every signature of the registry does."""
    event = claim()
    digest = bytes.fromhex(event["event_id"].removeprefix("sha256:"))
    expected = base64.b64encode(oracle.sign(ALICE.seed, digest)).decode()
    assert expected == event["signature"]["signature_b64"]
    assert code(sign_event_again(event, ALICE)) is None


def test_a_receipt_cannot_pass_as_an_events_signature() -> None:
    """S3: the digests' pre-images differ."""
    receipt = make_receipt(RECORD, ALICE)
    assert code(with_signature(signature_b64=receipt["signature_b64"])) == "event.signature"


def test_a_role_covers_types_that_e4_does_not_name() -> None:
    """E3 `event.role`."""
    assert code(make_event(RECORD, CLAIMER, "x.y", {})) is None
    assert code(make_event(RECORD, CLAIMER, "x.z", {})) == "event.role"


# E4 ------------------------------------------------------------------------------------------


def test_the_types_and_their_targets() -> None:
    """E4: the table's first two columns."""
    assert {name: kind.target for name, kind in EVENT_TYPES.items()} == EVENT_TARGETS


@pytest.mark.parametrize("event_type", list(EVENT_TARGETS))
@pytest.mark.parametrize("target", ["record", "graph", "integrity", "event", "Record", "other"])
def test_each_type_has_one_target(event_type: str, target: str) -> None:
    """E4 column 2."""
    payload = payload_of(event_type, RECORD, ALICE)
    expected = None if target == EVENT_TARGETS[event_type] else "event.payload"
    assert expected == code(make_event(RECORD, ALICE, event_type, payload, target=target))


ANY = object()
"""Stands for: any string, the empty one too."""

MUST_HOLD: dict[tuple[str, str], Any] = {
    ("timestamp_anchored", "method"): ["opentimestamps", "rfc3161", "other"],
    ("timestamp_anchored", "digest"): [oracle.record_digest(RECORD)],
    ("timestamp_anchored", "proof_b64"): ["AA==", "YWJj"],
    ("storage_attested", "archive"): ANY,
    ("storage_attested", "url"): ANY,
    ("storage_attested", "captured_at"): [NOON, "0001-01-01T00:00:00.5+00:00"],
    ("author_claimed", "claimant_id"): ANY,
    ("author_claimed", "method"): ["orcid", "apple", "x", "email", "key"],
    ("author_claimed", "strength"): ["strong", "weak"],
    ("author_claimed", "status"): ["claimed", "withdrawn"],
    ("citation_signed", "citing"): ANY,
    ("citation_signed", "asserted_by"): ANY,
    ("citation_signed", "relationship"): [
        "supports",
        "refutes",
        "extends",
        "uses_method",
        "depends_on",
        "replaces",
        "compares",
        "cites",
    ],
    ("citation_signed", "status"): ["asserted", "withdrawn"],
    ("replication_recorded", "kind"): ["replication", "falsification", "formal_bridge"],
    ("replication_recorded", "asserted_by"): ANY,
    ("replication_recorded", "url"): ANY,
    ("replication_recorded", "status"): ["asserted", "withdrawn"],
    ("pith.integrity.v1", "event_type"): ["pith.integrity.v1"],
    ("pith.integrity.v1", "detector"): ANY,
    ("pith.integrity.v1", "detector_version"): ["0.0.0", "10.20.30", "01.1.1"],
    ("pith.integrity.v1", "finding_type"): ANY,
    ("pith.integrity.v1", "verdict_class"): [
        "incontrovertible",
        "cross_source",
        "threshold_with_margin",
        "rescinded",
    ],
    ("pith.integrity.v1", "severity"): ["critical", "advisory", "informational"],
    ("pith.integrity.v1", "arxiv_id"): ANY,
    ("pith.integrity.v1", "evidence_hash"): ["0" * 64, "f" * 64],
    ("pith.integrity.v1", "audited_at"): [NOON],
    ("challenge_filed", "challenge_id"): ANY,
    ("challenge_filed", "asserted_by"): ANY,
    ("challenge_filed", "about"): ["claim", "reference", "attribution", "data_point", "figure"],
    ("challenge_filed", "note"): ANY,
    ("challenge_filed", "status"): ["open", "withdrawn"],
    ("event_revoked", "event_id"): [EVENT_ID, "sha256:" + "f" * 64],
    ("event_revoked", "reason"): ANY,
}
MUST_BE_OBJECTS = [("graph_snapshot", "graph_snapshot"), ("pith.integrity.v1", "evidence")]
MEMBERS = {
    *MUST_HOLD,
    *MUST_BE_OBJECTS,
    *(("record_created", name) for name in ("canonical_record", "canonical_sha256", "receipt")),
}


def changed(event_type: str, /, **members: Any) -> Object:
    """An event of a type with some members of its payload replaced."""
    payload = {**payload_of(event_type, RECORD, ALICE), **members}
    return make_event(RECORD, ALICE, event_type, payload)


@pytest.mark.parametrize(("event_type", "name"), list(MUST_HOLD))
def test_values_that_are_allowed(event_type: str, name: str) -> None:
    """E4 column 3: where values are listed, each of them; else any string."""
    allowed = MUST_HOLD[event_type, name]
    for value in ["", "x", "\U0001f600"] if allowed is ANY else allowed:
        assert code(changed(event_type, **{name: value})) is None, value


@pytest.mark.parametrize(("event_type", "name"), list(MUST_HOLD))
def test_values_that_are_not_allowed(event_type: str, name: str) -> None:
    """E4 column 3: no other strings where values are listed, and no other types."""
    allowed = MUST_HOLD[event_type, name]
    others: list[Any] = [None, 1, 1.0, True, [], {}]
    if allowed is not ANY:
        others += [
            "",
            "x" if name != "method" else "y",
            allowed[0].upper() + "X",
            allowed[0] + "\n",
        ]
        others.append([allowed[0]])
    for value in others:
        assert code(changed(event_type, **{name: value})) == "event.payload", value


@pytest.mark.parametrize(("event_type", "name"), MUST_BE_OBJECTS)
def test_members_that_are_objects(event_type: str, name: str) -> None:
    """E4 column 3."""
    assert code(changed(event_type, **{name: {}})) is None
    others: list[Any] = [None, 1, "x", True, [], [{}]]
    for value in others:
        assert code(changed(event_type, **{name: value})) == "event.payload", value


@pytest.mark.parametrize(("event_type", "name"), sorted(MEMBERS))
def test_members_that_must_be_there(event_type: str, name: str) -> None:
    """E4 column 3."""
    payload = without(payload_of(event_type, RECORD, ALICE), name)
    assert code(make_event(RECORD, ALICE, event_type, payload)) == "event.payload"


def test_all_members_of_the_table_are_tested() -> None:
    """E4: the table of the code names the members that these tests do."""
    expected = {(name, member) for name, kind in EVENT_TYPES.items() for member in kind.members}
    assert expected == MEMBERS


OPTIONAL = [
    ("timestamp_anchored", "calendar"),
    ("citation_signed", "claim_id"),
    ("replication_recorded", "claim_id"),
]


@pytest.mark.parametrize(("event_type", "name"), OPTIONAL)
def test_an_optional_member_may_be_absent_not_null(event_type: str, name: str) -> None:
    """E4: it is a string, the empty one too."""
    assert code(changed(event_type)) is None
    for value in ["", "x"]:
        assert code(changed(event_type, **{name: value})) is None
    for other in NOT_TEXT:
        assert code(changed(event_type, **{name: other})) == "event.payload", other


@pytest.mark.parametrize("event_type", list(EVENT_TARGETS))
@pytest.mark.parametrize("value", [None, 1.0, [{}], "x"])
def test_members_not_named_may_be_there_and_be_anything(event_type: str, value: Any) -> None:
    """E4: the optional members of one type are not those of another."""
    extra = {"more": value} if event_type in dict(OPTIONAL) else {"calendar": value, "claim_id": 1}
    assert code(changed(event_type, **extra)) is None


@pytest.mark.parametrize(
    "version", ["1", "1.0", "1.0.0.0", "v1.0.0", "1.0.x", "1..0", "\u0661.0.0"]
)
def test_a_detector_version_has_three_numbers(version: str) -> None:
    """E4 `pith.integrity.v1`."""
    assert code(changed("pith.integrity.v1", detector_version=version)) == "event.payload"


def test_a_timestamp_is_of_this_record() -> None:
    """E4 `timestamp_anchored`: `digest` = canonical_sha256."""
    payload = timestamp(OTHER_RECORD)
    assert code(make_event(RECORD, ALICE, "timestamp_anchored", payload)) == "event.payload"


@pytest.mark.parametrize(
    "members",
    [
        {"canonical_record": OTHER_RECORD},
        {"canonical_record": {**RECORD, "more": None}},
        {"canonical_record": {**RECORD, "source": {**RECORD["source"], "version": 1.0}}},
        {"canonical_record": {**RECORD, "source": {**RECORD["source"], "version": True}}},
        {"canonical_record": None},
        {"canonical_sha256": oracle.record_digest(OTHER_RECORD)},
        {"canonical_sha256": oracle.record_digest(RECORD).upper()},
        {"canonical_sha256": None},
        {"receipt": None},
        {"receipt": []},
        {"receipt": make_receipt(OTHER_RECORD, ALICE)},
        {"receipt": make_receipt(RECORD, ALICE, kind="receipt")},
        {"receipt": make_receipt(RECORD, ALICE, key_id="key-nobody")},
        {"receipt": make_receipt(RECORD, CLAIMER)},
    ],
)
def test_a_creation_of_something_else(members: Object) -> None:
    """E4 `record_created`: the record equal by V2, its hash, a receipt that passes S2."""
    event = make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE, **members))
    assert code(event) == "event.payload"


def test_a_creation_may_hold_the_receipt_of_another_key() -> None:
    """E4: it must pass S2, and who signs the event does not matter."""
    shuffled = dict(reversed(RECORD.items()))
    payload = created(RECORD, BOB, canonical_record=shuffled)
    assert code(make_event(RECORD, ALICE, "record_created", payload)) is None


SLOT_KEYS: list[tuple[str, Object, list[str | None]]] = [
    ("record_created", created(RECORD, ALICE), []),
    ("graph_snapshot", payload_of("graph_snapshot", RECORD, ALICE), []),
    ("timestamp_anchored", timestamp(RECORD, "other"), ["other", None]),
    ("timestamp_anchored", timestamp(RECORD, calendar="c"), ["opentimestamps", "c"]),
    (
        "storage_attested",
        {"archive": "a", "url": "u", "captured_at": NOON},
        ["a", "u"],
    ),
    ("author_claimed", author_claim("me"), ["me"]),
    ("citation_signed", citation("c", "cites", asserted_by="a"), ["a", "c", "cites", None]),
    (
        "citation_signed",
        citation("c", "cites", asserted_by="a", claim_id=""),
        ["a", "c", "cites", ""],
    ),
    ("replication_recorded", replication("u", asserted_by="a"), ["a", "replication", None, "u"]),
    (
        "replication_recorded",
        replication("u", "falsification", asserted_by="a", claim_id="i"),
        ["a", "falsification", "i", "u"],
    ),
    ("pith.integrity.v1", payload_of("pith.integrity.v1", RECORD, ALICE), ["e" * 64]),
    ("challenge_filed", payload_of("challenge_filed", RECORD, ALICE), ["challenge-1"]),
    ("event_revoked", payload_of("event_revoked", RECORD, ALICE), []),
    ("x.y", {"claimant_id": "me"}, []),
]


@pytest.mark.parametrize(("event_type", "payload", "expected"), SLOT_KEYS)
def test_slot_keys(event_type: str, payload: Object, expected: list[str | None]) -> None:
    """E4 column 4: null for an absent member, which is not the empty string."""
    event = make_event(RECORD, ALICE, event_type, payload)
    assert expected == list(valid(event).slot_key)
    assert expected == oracle.slot_key(event)


# Verdicts as data ----------------------------------------------------------------------------


def test_a_valid_event_has_what_the_merge_needs() -> None:
    """M1 to M5: instant, id, authority, key, slot."""
    event = claim(created_at="1970-01-01T00:00:01.5Z")
    judged = valid(event)
    assert (1_500_000, event["event_id"]) == (judged.instant, judged.event_id)
    assert oracle.canonical(author_claim()) == judged.payload_text
    expected: tuple[object, ...] = (
        "author_claimed",
        ("alice", "person"),
        "key-alice",
        author_claim(),
    )
    assert expected == (judged.event_type, judged.authority, judged.key_id, judged.payload)
    assert hashlib.sha256(oracle.canonical(event)).digest() == judged.digest
    assert ValidEvent.of(event, judged.digest) == judged


@pytest.mark.parametrize(
    ("event_type", "members", "expected"),
    [
        ("author_claimed", {"status": "withdrawn"}, True),
        ("author_claimed", {"status": "claimed"}, False),
        ("citation_signed", {"status": "withdrawn"}, True),
        ("replication_recorded", {"status": "withdrawn"}, True),
        ("challenge_filed", {"status": "withdrawn"}, True),
        ("pith.integrity.v1", {"verdict_class": "rescinded"}, True),
        ("pith.integrity.v1", {"status": "withdrawn"}, False),
        ("storage_attested", {"status": "withdrawn"}, False),
        ("timestamp_anchored", {"status": "withdrawn"}, False),
        ("graph_snapshot", {"status": "withdrawn"}, False),
        ("record_created", {"status": "withdrawn"}, False),
        ("x.y", {"status": "withdrawn"}, False),
    ],
)
def test_which_payloads_are_withdrawals(
    event_type: str, members: Object, *, expected: bool
) -> None:
    """M5: `status` only for the types where E4 lists it."""
    assert expected == valid(changed(event_type, **members)).is_withdrawn


def test_an_invalid_event_keeps_value_digest_code_and_reason() -> None:
    """M10: the digest is of the value, whatever it is."""
    judged = verify_event(EncodedEvent.of([1.0]), parse_record(RECORD), KEYS)
    assert isinstance(judged, InvalidEvent)
    expected = ([1.0], hashlib.sha256(b"[1.0]").digest(), "event.shape")
    assert expected == (judged.value, judged.digest, judged.code)
    assert judged.reason != ""


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (claim(), {"key-alice"}),
        (faulty(("event.key_unknown",)), {"key-nobody"}),
        (faulty(("event.payload",)), {"key-claimer"}),
        (faulty(("event.time",)), set()),
        (None, set()),
        (
            make_event(RECORD, ALICE, "record_created", created(RECORD, BOB)),
            {"key-alice", "key-bob"},
        ),
        (make_event(RECORD, ALICE, "record_created", {"receipt": 1}), {"key-alice"}),
        (make_event(RECORD, ALICE, "record_created", {"receipt": {"key_id": 1}}), {"key-alice"}),
        (make_event(RECORD, ALICE, "x.y", created(RECORD, BOB)), {"key-alice"}),
    ],
)
def test_the_keys_that_a_verdict_may_depend_on(event: Any, expected: set[str]) -> None:
    """E3, S2: no change of other keys can change the verdict."""
    judged = verify_event(EncodedEvent.of(event), parse_record(RECORD), KEYS)
    assert expected == key_ids_of_event(judged, KEYS)
