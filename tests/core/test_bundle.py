"""Bundles: shape, refusals, reports, and composed bundles (B1 to B3, B5, B6)."""

from __future__ import annotations

import json
from itertools import combinations, permutations
from typing import Any

import pytest

from mirror.core.bundle import (
    AliasClaim,
    Bundle,
    BundleLimits,
    StoredVerdicts,
    future_events,
    parse_bundle,
    verify_bundle,
)
from mirror.core.composed import compose, compose_members
from mirror.core.events.event import InvalidEvent, ValidEvent
from mirror.core.receipt import verify_receipt
from mirror.core.values import instant
from mirror.errors import FormatError, LimitError
from tests import oracle
from tests.builders import (
    NOON,
    Object,
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    to_json,
    without,
)
from tests.engine.invented_envelopes import flat
from tests.helpers import code_of, composed_of, findings, keys_of, verified
from tests.profiles import of_make, profile_of
from tests.shared import real_lines

RECORD = make_record()
ALICE = Signer("alice")
KEYS = keys_of(ALICE)
ORACLE_KEYS = oracle.load_keys(key_set_file(ALICE))
CLAIM = make_event(RECORD, ALICE, "author_claimed", author_claim())


def refusal(bundle: Any) -> str | None:
    """The code that refuses a bundle, on which the oracle agrees."""
    data = bundle if isinstance(bundle, bytes) else to_json(bundle)
    code = code_of(lambda: parse_bundle(data))
    assert oracle_refusal(data) == code
    return code


def oracle_refusal(data: bytes) -> str | None:
    """The code that the oracle refuses a bundle with."""
    try:
        oracle.read_bundle(data)
    except oracle.Refused as refused:
        return refused.code
    return None


def reported(bundle: Object) -> list[tuple[str, str]]:
    """(JSON Pointer, code) of what B3 reports, on which the oracle agrees."""
    found = findings(bundle, KEYS)
    assert oracle.findings(oracle.read_bundle(to_json(bundle)), ORACLE_KEYS) == found
    return found


# B1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bundle",
    [
        make_bundle(RECORD),
        make_bundle(RECORD, [CLAIM], [make_receipt(RECORD, ALICE)]),
        make_bundle(RECORD, receipts=[], alias_claims=[]),
        make_bundle(RECORD, more=1.0, history=[{}], events_total=7),
        dict(reversed(make_bundle(RECORD).items())),
    ],
)
def test_a_bundle_of_the_right_shape(bundle: Object) -> None:
    """B1: `receipts` is optional, other members are allowed, members stand in any order."""
    assert refusal(bundle) is None
    assert reported(bundle) == []


def test_a_bundle_is_parsed() -> None:
    """B1: its parts, in the order they came."""
    receipt = make_receipt(RECORD, ALICE)
    bundle = parse_bundle(to_json(make_bundle(RECORD, [CLAIM, 1], [receipt, 2])))
    assert bundle.record.value == RECORD
    assert [raw.value for raw in bundle.events] == [CLAIM, 1]
    assert (receipt, 2) == bundle.receipts
    assert make_claims(RECORD) == [claim.to_value() for claim in bundle.alias_claims]
    assert AliasClaim("arxiv", "2401.00001", NOON) == bundle.alias_claims[0]


NOT_TEXT: list[Any] = [None, 1, True, [], {}]
NOT_LIST: list[Any] = [None, 1, "x", {}, False]
SHAPE_FAULTS: dict[str, list[Any]] = {
    "bundle_type": NOT_TEXT,
    "bundle_version": [*NOT_TEXT, 1.0],
    "pith_number": NOT_TEXT,
    "short_pith_number": NOT_TEXT,
    "canonical_record": [None, "x", []],
    "canonical_sha256": NOT_TEXT,
    "source": [None, "x", []],
    "source_aliases": NOT_LIST,
    "events": NOT_LIST,
    "receipts": NOT_LIST,
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in SHAPE_FAULTS.items() for value in values]
)
def test_a_member_of_another_type(name: str, value: Any) -> None:
    """B1, B2 `bundle.shape`, with the JSON Pointer of the member."""
    bundle = {**make_bundle(RECORD), name: value}
    assert refusal(bundle) == "bundle.shape"
    with pytest.raises(FormatError) as refused:
        parse_bundle(to_json(bundle))
    assert f"/{name}" == refused.value.where


@pytest.mark.parametrize("name", list(without(SHAPE_FAULTS, "receipts")))
def test_a_member_is_missing(name: str) -> None:
    """B1, B2 `bundle.shape`."""
    assert refusal(without(make_bundle(RECORD), name)) == "bundle.shape"


@pytest.mark.parametrize("value", [None, 1, "x", [], [{}], True])
def test_a_bundle_is_an_object(value: Any) -> None:
    """B1, B2 `bundle.shape`."""
    assert refusal(value) == "bundle.shape"


# B2 ------------------------------------------------------------------------------------------

REFUSING: dict[str, Object] = {
    "bundle.shape": {"events": None},
    "bundle.type": {"bundle_type": "pith_open_graph_state"},
    "bundle.version": {"bundle_version": "1.1"},
    "record.shape": {"canonical_record": {**RECORD, "schema_version": "2.0"}},
    "record.digest": {"canonical_sha256": "0" * 64},
    "record.number": {"pith_number": "pith:2023:" + oracle.pith_number_of(RECORD)[10:]},
}


@pytest.mark.parametrize(
    "codes",
    [(code,) for code in REFUSING] + list(combinations(REFUSING, 2)) + [tuple(REFUSING)],
)
def test_the_first_fault_refuses_a_bundle(codes: tuple[str, ...]) -> None:
    """B2: each code alone, all pairs and all at once, in the order of the rule."""
    bundle = make_bundle(RECORD)
    for code in codes:
        bundle.update(REFUSING[code])
    assert codes[0] == refusal(bundle)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json.syntax"),
        (b'{"a":1,"a":2}', "json.duplicate_key"),
        (b'{"a":NaN}', "json.number"),
        (b'{"a":"\\ud800"}', "json.surrogate"),
        (b"[" * 65 + b"]" * 65, "json.depth"),
    ],
)
def test_the_codes_of_v1_come_before_all_others(data: bytes, code: str) -> None:
    """B2, V1."""
    assert code == refusal(data)


def test_a_fault_of_v1_anywhere_refuses_the_whole_bundle() -> None:
    """B2, V1: in an event as well, for there is no text left to trust."""
    good = to_json(make_bundle(RECORD, [CLAIM, {"n": 1}]))
    assert refusal(good) is None
    assert refusal(good.replace(b'{"n":1}', b'{"n":1e400}')) == "json.number"
    assert refusal(good.replace(b'{"n":1}', b'{"n":1,"n":1}')) == "json.duplicate_key"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bundle_type", ""),
        ("bundle_type", "pith_open_graph_bundle "),
        ("bundle_version", "1"),
        ("bundle_version", "1.0.0"),
        ("canonical_sha256", ""),
        ("canonical_sha256", oracle.record_digest(RECORD).upper()),
        ("canonical_sha256", oracle.record_digest(make_record(version=2))),
        ("pith_number", ""),
        ("pith_number", oracle.pith_number_of(RECORD).lower()),
        ("pith_number", oracle.short_pith_number_of(RECORD)),
        ("pith_number", oracle.pith_number_of(make_record(version=2))),
    ],
)
def test_derived_members_of_a_bundle_must_be_exact(name: str, value: str) -> None:
    """B2, R2, R3."""
    expected = {
        "bundle_type": "bundle.type",
        "bundle_version": "bundle.version",
        "canonical_sha256": "record.digest",
        "pith_number": "record.number",
    }
    assert expected[name] == refusal(make_bundle(RECORD, **{name: value}))


def test_the_fault_of_a_record_is_pointed_at() -> None:
    """R1, B2: from the bundle's own root."""
    record = make_record()
    record["metadata"]["license"] = None
    with pytest.raises(FormatError) as refused:
        parse_bundle(to_json({**make_bundle(RECORD), "canonical_record": record}))
    expected = ("record.shape", "/canonical_record/metadata/license")
    assert expected == (refused.value.code, refused.value.where)


# B3 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "short", ["", oracle.pith_number_of(RECORD), oracle.short_pith_number_of(RECORD).lower()]
)
def test_another_short_form_is_reported(short: str) -> None:
    """B3 `bundle.short`."""
    expected = [("/short_pith_number", "bundle.short")]
    assert expected == reported(make_bundle(RECORD, short_pith_number=short))


@pytest.mark.parametrize(
    "source",
    [
        {},
        {**RECORD["source"], "version": 1.0},
        {**RECORD["source"], "version": True},
        {**RECORD["source"], "more": None},
        {**RECORD["source"], "id": "2401.00002"},
    ],
)
def test_another_source_is_reported(source: Object) -> None:
    """B3 `bundle.source`: equal by V2, so 1 is neither 1.0 nor true."""
    assert reported(make_bundle(RECORD, source=source)) == [("/source", "bundle.source")]


def test_the_order_of_the_sources_members_does_not_matter() -> None:
    """B3, V2."""
    assert reported(make_bundle(RECORD, source=dict(reversed(RECORD["source"].items())))) == []


GOOD_CLAIM = make_claims(RECORD)[0]
BAD_CLAIMS: list[Any] = [
    None,
    1,
    "arxiv",
    [],
    {},
    without(GOOD_CLAIM, "alias_kind"),
    without(GOOD_CLAIM, "alias_value"),
    without(GOOD_CLAIM, "created_at"),
    {**GOOD_CLAIM, "alias_kind": None},
    {**GOOD_CLAIM, "alias_kind": ["arxiv"]},
    {**GOOD_CLAIM, "alias_value": 2401.00001},
    {**GOOD_CLAIM, "created_at": None},
    {**GOOD_CLAIM, "created_at": ""},
    {**GOOD_CLAIM, "created_at": "2026-02-29T00:00:00Z"},
    {**GOOD_CLAIM, "alias_kind": "arxiv_version"},
    {**GOOD_CLAIM, "alias_kind": "doi", "alias_value": "10.48550/arXiv.2401.00001"},
    {**GOOD_CLAIM, "alias_value": "2401.00002"},
    {**GOOD_CLAIM, "alias_kind": "pith_short_9"},
]


def test_an_invalid_alias_is_reported_and_not_merged() -> None:
    """B3 `bundle.alias`, once for each such item; the others are claims, repeats too."""
    items = [GOOD_CLAIM, *BAD_CLAIMS, {**GOOD_CLAIM, "more": 1}, GOOD_CLAIM]
    bundle = make_bundle(RECORD, alias_claims=items)
    expected = [
        (f"/source_aliases/{index + 1}", "bundle.alias") for index in range(len(BAD_CLAIMS))
    ]
    assert expected == reported(bundle)
    claims = parse_bundle(to_json(bundle)).alias_claims
    assert [claim.to_value() for claim in claims] == [GOOD_CLAIM] * 3


def test_receipts_and_events_are_reported_whatever_their_type() -> None:
    """B3: once for each item, receipts before events, equal items each time."""
    receipts = [make_receipt(RECORD, ALICE), None, None, make_receipt(RECORD, ALICE, key_id="k")]
    events = [CLAIM, [], [], {**CLAIM, "target": "graph"}, CLAIM]
    expected = [
        ("/receipts/1", "receipt.shape"),
        ("/receipts/2", "receipt.shape"),
        ("/receipts/3", "receipt.key_unknown"),
        ("/events/1", "event.shape"),
        ("/events/2", "event.shape"),
        ("/events/3", "event.id"),
    ]
    assert expected == reported(make_bundle(RECORD, events, receipts))


def test_everything_is_reported_in_the_order_of_the_bundle() -> None:
    """B3: header, aliases, receipts, events."""
    bundle = make_bundle(RECORD, [1], [2], [3], short_pith_number="", source={})
    expected = ["bundle.short", "bundle.source", "bundle.alias", "receipt.shape", "event.shape"]
    assert expected == [code for _, code in reported(bundle)]
    assert all(finding.message for finding in verified(bundle, KEYS).findings)


def test_verdicts_keep_the_order_of_the_events() -> None:
    """B3, M1: equal values get one verdict, and 1, 1.0 and true are not equal."""
    bundle = verified(make_bundle(RECORD, [1, CLAIM, 1.0, True, 1]), KEYS)
    kinds = [InvalidEvent, ValidEvent, InvalidEvent, InvalidEvent, InvalidEvent]
    assert kinds == [type(event) for event in bundle.events]
    assert bundle.events[0] is bundle.events[4]
    assert len({event.digest for event in bundle.events}) == 4


def test_a_known_verdict_is_not_computed_again() -> None:
    """B3: a store's verdicts of the same keys are taken as they are."""
    receipt = make_receipt(RECORD, ALICE)
    bundle = parse_bundle(to_json(make_bundle(RECORD, [CLAIM, 1], [receipt, 2])))
    receipt_digest = verify_receipt(receipt, bundle.record, KEYS).digest
    known = StoredVerdicts(
        receipts={receipt_digest: ("receipt.role", "remembered")},
        events={bundle.events[0].digest: ("event.role", "remembered")},
    )
    judged = verify_bundle(bundle, KEYS, known)
    assert judged.receipts[0].reason == "remembered"
    assert (
        InvalidEvent(CLAIM, bundle.events[0].digest, "event.role", "remembered") == judged.events[0]
    )
    passing = StoredVerdicts(receipts={receipt_digest: None})
    assert verify_bundle(bundle, KEYS, passing).receipts[0].code is None
    expected = ["receipt.role", "receipt.shape", "event.role", "event.shape"]
    assert expected == [finding.code for finding in judged.findings]


def test_real_bundle_heads() -> None:
    """B1 to B3: bundles around real records, with their real aliases, have no finding."""
    for head in real_lines("bundle_heads"):
        record = head["canonical_record"]
        bundle = make_bundle(record, alias_claims=head["source_aliases"])
        assert head["pith_number"] == bundle["pith_number"]
        assert reported(bundle) == []
        claims = parse_bundle(to_json(bundle)).alias_claims
        assert head["source_aliases"] == [claim.to_value() for claim in claims]


# B4 ------------------------------------------------------------------------------------------

LISTS = {"events": "events", "receipts": "receipts", "source_aliases": "alias_claims"}


@pytest.mark.parametrize("name", list(LISTS))
def test_more_items_than_a_mirror_accepts_refuse_a_bundle(name: str) -> None:
    """B4 `limit.count`: in any one list, valid or not; what is accepted is the same bundle."""
    items = {"events": [], "receipts": [], "alias_claims": [], LISTS[name]: [1, 2, 3]}
    data = to_json(make_bundle(RECORD, **items))
    assert parse_bundle(data) == parse_bundle(data, BundleLimits(items=3))
    with pytest.raises(LimitError) as refused:
        parse_bundle(data, BundleLimits(items=2))
    assert (refused.value.code, refused.value.where) == ("limit.count", f"/{name}")


def test_a_limit_of_items_is_for_each_list() -> None:
    """B4: and `receipts` may be absent."""
    data = to_json(make_bundle(RECORD, [1, 2], None, make_claims(RECORD)[:2]))
    assert len(parse_bundle(data, BundleLimits(items=2)).events) == 2


@pytest.mark.parametrize(("levels", "expected"), [(1, None), (8, None), (9, "limit.count")])
def test_a_bundle_deeper_than_a_mirror_accepts_is_refused(
    levels: int, expected: str | None
) -> None:
    """B4 `limit.count`: the bundle itself being 1, its `events` 2."""
    nested = json.loads("[" * levels + "]" * levels)
    data = to_json(make_bundle(RECORD, [nested]))
    assert expected == code_of(lambda: parse_bundle(data, BundleLimits(depth=10)))
    assert code_of(lambda: parse_bundle(data)) is None


MALFORMED: dict[str, list[Any]] = {
    "events": [{**CLAIM, "signature": 1}, without(CLAIM, "target"), {}, 1],
    "receipts": [{"kind": "pith_receipt"}, None, [], 1],
    "source_aliases": [
        {"alias_kind": "arxiv"},
        {**make_claims(RECORD)[0], "created_at": "x"},
        "",
        1,
    ],
}
"""Items that fail by their shape, for each list."""


@pytest.mark.parametrize("name", list(LISTS))
def test_a_bundle_that_is_mostly_malformed_is_refused(name: str) -> None:
    """B4 `limit.count`: more such items than are accepted, and more than half of the list."""
    good: dict[str, list[Any]] = {
        "events": [CLAIM] * 4,
        "receipts": [make_receipt(RECORD, Signer("stranger"))] * 4,
        "source_aliases": make_claims(RECORD)[:4],
    }
    argument = {"source_aliases": "alias_claims"}.get(name, name)

    def refused(valid: int, malformed: int, limit: int) -> str | None:
        items = {"events": [], argument: good[name][:valid] + MALFORMED[name][:malformed]}
        data = to_json(make_bundle(RECORD, **items))
        return code_of(lambda: parse_bundle(data, BundleLimits(invalid=limit)))

    assert refused(0, 3, 3) is None
    assert refused(0, 4, 3) == "limit.count"
    assert refused(3, 4, 3) == "limit.count"
    assert refused(4, 4, 3) is None  # half of it is something
    assert refused(0, 1, 0) == "limit.count"
    assert refused(4, 0, 0) is None


def test_events_in_the_envelope_of_a_trusted_profile_are_not_malformed() -> None:
    """B4: under it they are events, and may be valid."""
    invented = of_make(flat)
    data = to_json(make_bundle(RECORD, invented.events()))
    assert code_of(lambda: parse_bundle(data, BundleLimits(invalid=0))) == "limit.count"
    profiles = [profile_of(invented)]
    assert code_of(lambda: parse_bundle(data, BundleLimits(invalid=0, profiles=profiles))) is None


def test_a_record_larger_than_a_mirror_accepts_refuses_a_bundle() -> None:
    """B4 `limit.size`: R1 bounds no name in it, and names stand in every index."""
    record = make_record(arxiv_id="é" * 300)
    data, size = to_json(make_bundle(record)), len(oracle.canonical(record))
    assert code_of(lambda: parse_bundle(data, BundleLimits(record_bytes=size))) is None
    with pytest.raises(LimitError) as refused:
        parse_bundle(data, BundleLimits(record_bytes=size - 1))
    assert (refused.value.code, refused.value.where) == ("limit.size", "/canonical_record")


def test_a_receipt_larger_than_a_mirror_accepts_refuses_a_bundle() -> None:
    """B4 `limit.size`: it would stand in the first composed bundle of the record, whole."""
    receipt = {**make_receipt(RECORD, ALICE), "more": "é" * 100}
    data, size = to_json(make_bundle(RECORD, [], [receipt])), len(oracle.canonical(receipt))
    assert code_of(lambda: parse_bundle(data, BundleLimits(receipt_bytes=size))) is None
    with pytest.raises(LimitError) as refused:
        parse_bundle(data, BundleLimits(receipt_bytes=size - 1))
    assert (refused.value.code, refused.value.where) == ("limit.size", "/receipts/0")


# B5 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        ("2026-01-01T12:00:00Z", False),
        ("2026-01-02T12:00:00Z", False),
        ("2026-01-02T12:00:00.000001Z", True),
        ("9999-12-31T23:59:59Z", True),
        ("0001-01-01T00:00:00Z", False),
    ],
)
def test_valid_events_more_than_a_day_ahead_are_reported(
    created_at: str, *, expected: bool
) -> None:
    """B5 `event.future`: exactly a day is not more than a day."""
    now = instant(NOON)
    assert now is not None
    event = make_event(RECORD, ALICE, "author_claimed", author_claim(), created_at)
    bundle = verified(make_bundle(RECORD, [1, event]), KEYS)
    found = [(finding.where, finding.code) for finding in future_events(bundle, now)]
    assert [("/events/1", "event.future")] * expected == found


def test_invalid_events_ahead_are_not_reported() -> None:
    """B5: only valid ones."""
    event = make_event(RECORD, ALICE, "author_claimed", {}, "9999-12-31T23:59:59Z")
    bundle = verified(make_bundle(RECORD, [event]), KEYS)
    assert list(future_events(bundle, 0)) == []


# B6 ------------------------------------------------------------------------------------------


def at(created_at: Any, number: int = 0) -> Object:
    """A value of `events` that is no event, but claims a time."""
    return {"created_at": created_at, "n": number}


def members_of(*facts: Any) -> list[bytes]:
    """The members of a bag for some facts, each of which must be a bundle that B2 accepts."""
    members = list(compose_members(*facts))
    assert [None] * len(members) == [refusal(one) for one in members]
    return members


def facts_of(bundle: Any) -> tuple[Any, ...]:
    """What a bundle holds, as `compose` takes it."""
    found = verified(bundle, KEYS)
    return found.record, found.alias_claims, found.receipts, found.events


BULKY = make_bundle(
    RECORD,
    events=[*(make_event(RECORD, ALICE, f"x.{n}", {"n": "y" * n}) for n in range(9)), 1, "x"],
    receipts=[make_receipt(RECORD, ALICE), {"junk": "x" * 50}],
)


def test_what_fits_into_one_member_is_the_composed_bundle() -> None:
    """C2, B6: to the byte."""
    assert [compose(*facts_of(BULKY))] == members_of(*facts_of(BULKY))
    assert [compose(*facts_of(make_bundle(RECORD)))] == members_of(*facts_of(make_bundle(RECORD)))


@pytest.mark.parametrize(
    ("name", "least", "most"), [("BYTES", 2600, 9000), ("EVENTS", 1, 12), ("VALUES", 40, 400)]
)
def test_a_large_record_is_written_in_several_members(
    monkeypatch: pytest.MonkeyPatch, name: str, least: int, most: int
) -> None:
    """C2: claims and receipts in the first, the events in B6's order, nothing twice or lost."""
    whole = json.loads(compose(*facts_of(BULKY)))
    counts = []
    for limit in range(least, most, max(1, (most - least) // 12)):
        monkeypatch.setattr(f"mirror.core.composed.MEMBER_{name}", limit)
        texts = members_of(*facts_of(BULKY))
        members = [json.loads(text) for text in texts]
        assert whole["events"] == [event for one in members for event in one["events"]]
        assert (whole["source_aliases"], whole["receipts"]) == (
            members[0]["source_aliases"],
            members[0]["receipts"],
        )
        assert not any(one["source_aliases"] or "receipts" in one for one in members[1:])
        if name == "BYTES":
            assert all(len(text) <= limit or len(json.loads(text)["events"]) <= 1 for text in texts)
        merged = [verified(one, KEYS) for one in members]
        assert composed_of(merged) == compose(*facts_of(BULKY))
        counts.append(len(members))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 3
    assert 1 == counts[-1]


def test_a_member_is_filled_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """C2: it is one bundle as long as that does not exceed the limit."""
    for bundle in (BULKY, make_bundle(RECORD, events=[1, 2]), make_bundle(RECORD, receipts=[1])):
        size = len(compose(*facts_of(bundle)))
        monkeypatch.setattr("mirror.core.composed.MEMBER_BYTES", size)
        assert 1 == len(members_of(*facts_of(bundle)))
        monkeypatch.setattr("mirror.core.composed.MEMBER_BYTES", size - 1)
        assert 2 == len(members_of(*facts_of(bundle)))


def test_claims_and_receipts_that_fill_a_member_go_on_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C2: nobody signs them, so a stranger may bring any number."""
    times = [f"2026-01-01T00:00:00.{n:06}Z" for n in range(8)]
    claims = [claim for time in times for claim in make_claims(RECORD, time)]
    facts = facts_of(make_bundle(RECORD, [CLAIM], alias_claims=claims))
    monkeypatch.setattr("mirror.core.composed.MEMBER_BYTES", 3000)
    members = [json.loads(text) for text in members_of(*facts)]
    assert len(members) > 2
    assert [CLAIM] == [event for one in members for event in one["events"]]
    assert sorted(claims, key=to_json) == sorted(
        (claim for one in members for claim in one["source_aliases"]), key=to_json
    )


def test_a_composed_bundle_literally() -> None:
    """B6: B1's members in B1's order, each value canonical, one LF at the end."""
    record = make_record(cross_cats=["b", "\ufffd"])
    claims = make_claims(record, "2026-01-02T00:00:00Z")[:2]
    shuffled = dict(reversed(record.items()))
    bundle = make_bundle(shuffled, [{"b": 1.0, "a": 1}], None, list(reversed(claims)), more=1)
    composed = composed_of([verified(bundle, KEYS)])
    assert composed.endswith(b"\n")
    assert composed.count(b"\n") == 1
    members = json.loads(composed)
    expected = make_bundle(record, [{"a": 1, "b": 1.0}], None, claims)
    assert to_json({**expected, "canonical_record": members["canonical_record"]}) == composed[:-1]
    assert oracle.canonical(record) == to_json(members["canonical_record"])


def test_receipts_are_left_out_if_there_are_none() -> None:
    """B6: and an empty list is none."""
    cases: list[list[Any] | None] = [None, []]
    for receipts in cases:
        composed = composed_of([verified(make_bundle(RECORD, receipts=receipts), KEYS)])
        assert "receipts" not in json.loads(composed)


def test_composed_receipts_ascend_by_canonical_bytes() -> None:
    """B6: all distinct ones, those that fail S2 too."""
    receipts: list[Any] = [{"b": 1}, "x", 1.0, 1, None, {"a": 2}, 1, make_receipt(RECORD, ALICE)]
    composed = json.loads(composed_of([verified(make_bundle(RECORD, [], receipts), KEYS)]))
    expected = sorted(map(oracle.canonical, receipts[:6] + receipts[7:]))
    assert expected == [oracle.canonical(value) for value in composed["receipts"]]


def test_composed_events_ascend_by_instant_then_digest() -> None:
    """B6: those without a time come last; by digest of the value, not by event id."""
    dated = [
        at("0001-01-01T00:00:00Z"),
        at("1969-12-31T23:59:59.5Z"),
        at("1970-01-01T00:00:00+00:00"),
        CLAIM,
        at("9999-12-31T23:59:59Z"),
    ]
    undated: list[Any] = [at("no"), at(1), at(None), 1, 1.0, "x", None, [], {}]
    undated.sort(key=oracle_digest)
    bundle = verified(make_bundle(RECORD, [*reversed(undated), *reversed(dated), 1]), KEYS)
    composed = json.loads(composed_of([bundle]))
    assert list(map(oracle.canonical, dated + undated)) == [
        oracle.canonical(value) for value in composed["events"]
    ]


def oracle_digest(value: Any) -> str:
    """The digest of a value."""
    return str(oracle.merge([make_bundle(RECORD, [value])], [])["invalid_events"][0]["digest"])


def test_events_of_one_instant_ascend_by_digest() -> None:
    """B6: however the instant is spelled."""
    spellings = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0Z", "2026-01-01T00:00:00+00:00"]
    values = [at(spelling, number) for spelling in spellings for number in range(4)]
    composed = json.loads(composed_of([verified(make_bundle(RECORD, values), KEYS)]))
    expected = sorted(values, key=oracle_digest)
    assert expected == composed["events"]


def test_composed_aliases_are_the_distinct_claims_that_were_merged() -> None:
    """B6, B3: other members are gone, two spellings of one time are two claims."""
    spelled = {**GOOD_CLAIM, "created_at": NOON.replace("Z", "+00:00")}
    items = [GOOD_CLAIM, {**GOOD_CLAIM, "more": 1}, spelled, None, GOOD_CLAIM]
    composed = json.loads(composed_of([verified(make_bundle(RECORD, [], None, items), KEYS)]))
    assert [spelled, GOOD_CLAIM] == composed["source_aliases"]


def test_a_composed_bundle_depends_only_on_the_facts() -> None:
    """B6: any order of bundles, any key set and composing again give the same bytes."""
    parts = [
        make_bundle(RECORD, [CLAIM, 1], [make_receipt(RECORD, ALICE)], make_claims(RECORD)[:1]),
        make_bundle(RECORD, [at(NOON), 1.0, CLAIM], None, [], source={}),
        make_bundle(RECORD, [], [None], make_claims(RECORD, "2025-01-01T00:00:00Z")),
    ]
    expected = oracle.compose([oracle.read_bundle(to_json(part)) for part in parts])
    for keys in (KEYS, keys_of()):
        for order in permutations(parts):
            assert expected == composed_of([verified(part, keys) for part in order])
    again = verify_bundle(parse_bundle(expected), KEYS)
    assert expected == composed_of([again])


def test_a_composed_bundle_of_nothing_but_a_record() -> None:
    """B6: still a bundle."""
    bundle: Bundle = parse_bundle(to_json(make_bundle(RECORD, alias_claims=[])))
    composed = compose(bundle.record, [], [], [])
    assert oracle.canonical(make_bundle(RECORD, alias_claims=[])) == oracle.canonical(
        json.loads(composed)
    )
    assert refusal(composed) is None
