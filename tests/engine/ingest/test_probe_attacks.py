"""Bundles that are made up so that `mirror probe` proposes too much, or never ends."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirror.core.events.checks import check_event
from mirror.core.keys import KeySet
from mirror.core.record import parse_record
from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest import probe as probe_module
from mirror.engine.ingest.probe import probe_bundles
from mirror.probe import pre_images
from mirror.probe.pre_images import MAX_TRIES, SearchBudget, SignedSubset, strings, subsets, written
from mirror.probe.search import ProbeResult, ProfileEvidence, Sample, probe
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    citation,
    integrity,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
    without,
)
from tests.cli.conftest import BUNDLES
from tests.engine.ingest.test_probe import KEYS, found, objections, probed, samples
from tests.engine.invented_envelopes import (
    ALICE,
    RECORD,
    THREE,
    Said,
    digest,
    flat,
    in_a_wrapper,
    other_names,
    payload_alone,
    without_id,
    wrapped,
)
from tests.helpers import keys_of
from tests.shared import real_lines

CITED = [make_record(arxiv_id=f"2501.{number:05}") for number in range(3)]
"""Papers that others speak of."""
SIGNATURE = ALICE.sign(b"something else")
WRAPPED = "the payload is an event itself, with a payload of its own: a wrapped copy"


def _signed(body: Object, **unsigned: Any) -> Object:
    """An event whose signature is over its body, and what stands beside that."""
    return {**body, "signature": ALICE.sign(digest(body)), **unsigned}


def _refused(
    events: list[Object], keys: KeySet = KEYS, record: Object = RECORD
) -> list[ProfileEvidence]:
    """What explains some of the events, none of which may be proposed."""
    result = probed(events, keys, record)
    assert (None, []) == (result.found, result.alternatives)
    return result.refused


def _in_their_bundles(events: list[Object], records: list[Object]) -> ProbeResult:
    """What probing events in bundles of several records comes to."""
    both = zip(events, records, strict=True)
    return probe([one for event, record in both for one in samples([event], record)], KEYS)


@pytest.fixture
def nine_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let subsets leave out 9 members and 2 of inner objects, not 14 and 2: a 32nd of the work."""
    assert (14, 16) == (pre_images.MAX_MEMBERS, pre_images._CHOICES)
    monkeypatch.setattr(pre_images, "MAX_MEMBERS", 9)
    monkeypatch.setattr(pre_images, "_CHOICES", 11)


# Signatures that were made for something else ------------------------------------------------


def _real_receipts() -> list[tuple[Object, str]]:
    """Records of the registry, with its signature of each."""
    text = (BUNDLES / "facts" / "real.jsonl").read_bytes()
    facts = [oracle.parse(line) for line in text.splitlines() if line.strip()]
    return [
        (fact["canonical_record"], fact["receipts"][0]["signature_b64"])
        for fact in facts
        if fact.get("receipts")
    ]


ABOUT: Object = {
    "event_type": "author_claimed",
    "subject_pith_number": oracle.pith_number_of(RECORD),
    "created_at": "2026-01-01T00:00:00Z",
}
"""What somebody wants an event to say."""
CLOTHES: list[Callable[[Object], Object]] = [
    lambda record: {"payload": record, **ABOUT},
    lambda record: {**record, **ABOUT},
    lambda record: {**record, **ABOUT, "payload": {}},
    lambda record: {"payload": {**record, **ABOUT}},
    lambda record: {"payload": record, "event": ABOUT},
    lambda record: record,
]


@pytest.mark.parametrize("dress", CLOTHES)
def test_real_receipts_are_no_events(dress: Callable[[Object], Object]) -> None:
    """The registry signs digests of records: no type, subject and time of an event is in them."""
    receipts = _real_receipts()
    assert 10 == len(receipts)
    events = [{**dress(record), "signature": signature} for record, signature in receipts]
    for fit in _refused(events, keys_of()):
        assert {"type", "subject", "time"} & set(fit.unplaced)
    assert None is _in_their_bundles(events, [record for record, _ in receipts]).found


def test_a_record_that_names_another_in_its_id_is_no_event() -> None:
    """A registry that lets people choose ids would sign it, with a kind and a time."""
    number = oracle.pith_number_of(RECORD)
    records = [make_record(kind="author_claimed", arxiv_id=number, version=one) for one in (1, 2)]
    for dress in CLOTHES:
        events = [
            {**dress(record), "signature": make_receipt(record, ALICE)["signature_b64"]}
            for record in records
        ]
        assert not [fit for fit in _refused(events) if not fit.objections]


@pytest.mark.parametrize("digest_of", [digest, wrapped])
def test_findings_are_no_events(digest_of: Callable[[object], bytes]) -> None:
    """They name a type, and when something was looked at; but no record by its number."""
    findings = [integrity(hashlib.sha256(bytes([one])).hexdigest()) for one in range(3)]
    for finding in findings:
        finding["evidence"]["citing"] = oracle.pith_number_of(RECORD)
    events = [
        {**ABOUT, "payload": finding, "signature": ALICE.sign(digest_of(finding))}
        for finding in findings
    ]
    (fit,) = _refused(events)
    assert ("subject", "time") == fit.unplaced
    spread = [{**finding, "signature": ALICE.sign(digest_of(finding))} for finding in findings]
    assert all("subject" in fit.unplaced for fit in _refused(spread))


def test_real_findings_are_no_events() -> None:
    """S4: without their payload nothing is found; with it, they name no record."""
    events = [{**ABOUT, **line, "payload": {}} for line in real_lines("integrity_signatures")]
    assert [] == _refused(events, keys_of())
    (fit,) = _refused([{**ABOUT, **line} for line in real_lines("integrity_events")], keys_of())
    assert fit.profile.signature.signs is not None
    assert ("payload", True) == (
        fit.profile.signature.signs.of,
        fit.profile.signature.signs.ascii,
    )
    assert "subject" in fit.unplaced


def test_a_signature_over_a_digest_of_other_content_proves_nothing() -> None:
    """Whoever copies digest and signature can write anything beside them."""
    events = []
    for said in THREE:
        named = digest(["something else", said.number])
        body = without(flat(said, ALICE), "event_id", "signature_b64")
        events.append({**body, "sha256": named.hex(), "signature": ALICE.sign(named)})
    assert [] == _refused(events)


# Events that were signed, said to be others --------------------------------------------------


def _citing(cited: Object, day: int, make: Callable[[Said, Signer], Object] = flat) -> Object:
    """An event about one record that names another in its payload."""
    payload = citation(
        citing=oracle.pith_number_of(cited), pith_number=oracle.pith_number_of(cited)
    )
    said = Said("citation_signed", payload, f"2026-01-{day:02}T00:00:00Z", day)
    return make(said, ALICE)


@pytest.mark.parametrize("make", [flat, without_id, other_names, in_a_wrapper])
def test_a_record_that_an_event_cites_is_not_its_subject(
    make: Callable[[Said, Signer], Object],
) -> None:
    """Though the events lie in the bundles of the records that they cite."""
    events = [_citing(record, day, make) for day, record in enumerate(CITED, 1)]
    result = _in_their_bundles(events, CITED)
    assert result.found is None
    assert ["the signature covers no subject of the event"] == result.refused[0].objections
    assert (
        "/subject_pith_number" in found(events).profile.pointers["subject"] or make is other_names
    )


def test_a_record_that_an_event_cites_is_not_its_subject_by_any_name() -> None:
    """What has the form of a Pith Number can be the subject, and it is not alone."""
    events = []
    for day, record in enumerate(CITED, 1):
        body = without(_citing(record, day), "event_id", "signature_b64", "subject_pith_number")
        body |= {"paper": oracle.pith_number_of(RECORD), "other": oracle.pith_number_of(record)}
        events.append(_signed(body))
    assert ["subject"] == [*_in_their_bundles(events, CITED).refused[0].unplaced]
    assert ["the signature covers no subject of the event"] == objections(events)


def test_type_subject_and_time_in_a_payload_are_not_those_of_the_event() -> None:
    """A type, a subject and a time in a signed payload; the event's own have other names."""
    events = []
    for said in THREE:
        told = {**ABOUT, "subject_pith_number": oracle.pith_number_of(CITED[0])}
        body = {
            "kind": said.event_type,
            "paper": said.subject,
            "when": said.created_at,
            "payload": {**said.payload, **told},
        }
        events.append(_signed(body))
    places = found(events).profile.pointers
    assert ("/kind", "/paper", "/when") == (places["type"], places["subject"], places["time"])
    assert ["subject"] == [*_refused(events, record=CITED[0])[0].unplaced]


@pytest.mark.parametrize("outside", [{"event_type": "x.y"}, {"created_at": THREE[0].created_at}])
def test_a_payload_gives_no_type_or_time_where_the_event_has_one(outside: Object) -> None:
    """Where the event says a type or a time of its own, the payload speaks of something else."""
    events = [
        _signed({**outside, "payload": {**said.payload, **ABOUT, "note": said.number}})
        for said in THREE
    ]
    assert all(fit.unplaced for fit in _refused(events))


def test_a_type_in_the_signer_is_not_the_type_of_the_event() -> None:
    """A type that stands in the signer is the signer's."""
    events = []
    for said in THREE:
        body = without(without_id(said, ALICE), "signature", "key_id", "event_type")
        body |= {"action": said.event_type, "signer": {"type": "person", "key_id": ALICE.key_id}}
        events.append(_signed(body))
    assert "/action" == found(events).profile.pointers["type"]
    for event in events:
        del event["action"], event["signature"]
        event["signature"] = ALICE.sign(digest(event))
    assert ["the signature covers no type of the event"] == objections(events)


@pytest.mark.parametrize("name", ["payload", "event", "data", "x"])
@pytest.mark.parametrize("extra", [{}, ABOUT])
def test_a_wrapped_event_is_not_taken_for_another(name: str, extra: Object) -> None:
    """Its statement would be the whole event, and its signer one who says two things at once."""
    events = []
    for said in THREE:
        event = make_event(RECORD, ALICE, said.event_type, said.payload, said.created_at)
        proof = event.pop("signature")["signature_b64"]
        inner = without(event, "event_id")
        events.append({name: inner, "event_id": event["event_id"], "signature": proof, **extra})
    assert WRAPPED in objections(events)


def test_a_whole_event_in_another_object_proves_nothing() -> None:
    """Its signature is not over what stands around it."""
    events = [{**ABOUT, "payload": flat(said, ALICE)} for said in THREE]
    assert [] == _refused(events)


def test_unsigned_members_are_reported_and_not_read() -> None:
    """Members of the same names beside the signed ones mean nothing."""
    lies = {**ABOUT, "subject_pith_number": oracle.pith_number_of(CITED[0])}
    events = [{**payload_alone(said, ALICE), **lies} for said in THREE]
    fit = found(events)
    assert "/payload/subject_pith_number" == fit.profile.pointers["subject"]
    assert {f"/{name}" for name in ABOUT} < set(fit.unprotected)


def test_a_larger_payload_beside_the_one_that_is_signed_is_not_taken() -> None:
    """Nor one with a likelier name."""
    events = [{**other_names(said, ALICE), "payload": {"note": "x" * 500}} for said in THREE]
    expected = "what the event says could be changed without breaking the signature"
    assert [expected] == objections(events)


def test_only_the_key_that_an_event_names_can_sign_it() -> None:
    """Alice signs in Bob's name: both are trusted, and it is neither's."""
    events = [flat(said, Signer("alice", key_id="key-bob")) for said in THREE]
    assert [] == _refused(events, keys_of(ALICE, Signer("bob")))


def test_an_event_without_its_id_is_read_as_before() -> None:
    """E2's events without id: everything is read as it was meant, and nothing can be added."""
    events = []
    for said in THREE:
        event = make_event(RECORD, ALICE, said.event_type, said.payload, said.created_at)
        events.append(without(event, "event_id"))
    profile = found(events).profile
    assert profile.id is None
    changed = {**events[0], "payload": {}}
    assert "signature" == check_event(changed, profile, KEYS)


# Odd names and values ------------------------------------------------------------------------

ODD_NAMES = ["", "/", "~", "~1", "a/b", "\x00\n", "\u202e", "é", "\U0001f600", "\uff5e", "x" * 5000]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_events_with_odd_member_names_are_found(name: str) -> None:
    """Signed or not, with the signature beside them or below them."""
    signed = found([_signed({**without(flat(one, ALICE), "event_id", "signature_b64"), name: 1})
                    for one in THREE])  # fmt: skip
    assert () == signed.unprotected
    beside = found([{**flat(one, ALICE), name: one.number} for one in THREE])
    assert [name] == [one.replace("~1", "/").replace("~0", "~")[1:] for one in beside.unprotected]


@pytest.mark.usefixtures("nine_members")
@pytest.mark.parametrize("name", ["", "a/b", "~1"])
def test_a_signature_below_an_odd_name_is_found(name: str) -> None:
    """Among so many members that not every subset of them is tried."""
    events = []
    for said in THREE:
        body = without(flat(said, ALICE), "event_id", "signature_b64")
        body |= {f"z{number:02}": number for number in range(10)}
        signature = ALICE.sign(digest(body))
        events.append({**body, name: {name: signature, "by": said.number}})
    fit = found(events)
    assert (2, 1) == (fit.profile.signature.at.count("/"), len(fit.unprotected))
    assert fit.unprotected[0].endswith("/by")


def test_floats_are_hashed_as_their_rule_says() -> None:
    """V2: by themselves as in the whole event, however they are written."""
    odd = [1e-7, 1.0, -0.0, 1e16, 5e-324, 123456789.123456789]
    events = [
        _signed({**without(flat(said, ALICE), "event_id", "signature_b64"), "more": odd[: one + 1]})
        for one, said in enumerate(THREE)
    ]
    assert () == found(events).unprotected


def test_objects_without_content_are_not_events() -> None:
    """What is empty, or holds nothing that could be signed, is looked at in no time."""
    odd_ones: list[Object] = [{}, {"": {}}, {"signature": SIGNATURE}, {"payload": {}}]
    for odd in odd_ones:
        assert [] == _refused([odd, odd])


# Work that is made up ------------------------------------------------------------------------


def _worked(event: Object, most: int = 5000) -> SearchBudget:
    """What was tried of one event, for which nothing is found."""
    effort = SearchBudget(most=most)
    result = probe(samples([event]), KEYS, effort)
    assert (None, []) == (result.found, result.refused)
    return effort


def _deep(depth: int) -> Any:
    return {"a": _deep(depth - 1)} if depth else ALICE.sign(b"deep")


MADE_UP: dict[str, Object] = {
    "ten thousand members": {f"m{one}": one for one in range(10_000)},
    "ten thousand objects": {f"m{one}": {"x": {"y": one}} for one in range(10_000)},
    "sixty objects deep": _deep(60),
    "a text of a megabyte": {"payload": {"note": "x" * 1_000_000}},
    "a name of a megabyte": {"x" * 1_000_000: 1},
    "a thousand signatures": {
        f"m{one}": base64.b64encode(one.to_bytes(64, "big")).decode() for one in range(1000)
    },
    "a thousand signatures in an object": {
        "m": {f"m{one}": one.to_bytes(64, "big").hex() for one in range(1000)}
    },
    "four signatures in each of many objects": {
        f"m{one}": {f"x{other}": bytes([one, other] * 32).hex() for other in range(4)}
        for one in range(14)
    },
    "a thousand digests": {f"m{one}": f"sha256:{one:064x}" for one in range(1000)},
    "a thousand digests in objects": {f"m{one}": {"x": f"{one:064x}"} for one in range(1000)},
}


COMPLETE = {"sixty objects deep", "a text of a megabyte", "a name of a megabyte"}
"""Of these, everything is tried."""


@pytest.mark.parametrize("name", MADE_UP)
def test_the_number_of_tries_has_a_limit_that_is_reported(name: str) -> None:
    """However much there would be to try."""
    effort = _worked({**MADE_UP[name], "signature": SIGNATURE, "payload": {"a": 1}})
    assert effort.texts + effort.signatures <= 5000
    assert (name in COMPLETE) == (effort.bounds == [])
    assert len(effort.bounds) == len(set(effort.bounds)) <= 4


@pytest.mark.usefixtures("nine_members")
@pytest.mark.parametrize("name", ["a thousand digests", "four signatures in each of many objects"])
def test_the_number_of_subsets_has_a_limit(name: str) -> None:
    """Of all that could have been hashed, not more than can be kept in memory."""
    effort = SearchBudget()
    event = {**MADE_UP[name], "signature": SIGNATURE}
    count = sum(1 for _ in subsets(event, "", effort))
    assert 2**9 < count <= effort.texts <= 2 * 2**11


def test_a_large_text_counts_as_several_tries() -> None:
    """So that a megabyte takes no longer than many small ones."""
    small = _worked({"signature": SIGNATURE, "payload": {"note": "x"}, "a": 1, "b": 2}, 50)
    large = _worked({"signature": SIGNATURE, "payload": {"note": "x" * 10**6}, "a": 1, "b": 2}, 50)
    assert small.texts + small.signatures == 50
    assert large.texts + large.signatures < 10
    assert (
        ["the search ended after 50 tries; --max-tries allows more"] == small.bounds == large.bounds
    )


@pytest.mark.usefixtures("nine_members")
def test_every_subset_is_tried_though_a_large_payload_is_hashed_last() -> None:
    """Every subset is tried, though the payload is hashed last, and so anew each time."""
    event: Object = {f"m{one:02}": one for one in range(7)}
    event |= {"signature": SIGNATURE, "zpayload": {"text": "x" * 10_000}}
    assert 9 == len(event)
    effort = SearchBudget()
    result = probe(samples([event]), keys_of(), effort)
    assert (None, [], []) == (result.found, result.refused, effort.bounds)
    assert 2 * 2**9 == effort.texts  # all but nothing at all, and the payload alone
    assert 3 * 2**9 == effort.signatures  # half of them are without the signature
    assert 5 * 2**14 < MAX_TRIES  # with fourteen members, every subset is tried as well


def test_subsets_share_their_members() -> None:
    """Else a large payload would be in memory some thousand times."""
    event: Object = {f"m{one}": one for one in range(8)} | {"payload": {"text": "x" * 10_000}}
    tried = list(subsets(event, "/payload", SearchBudget()))
    large = {id(piece) for one in tried for piece in one.pieces if len(piece) > 10_000}
    assert (3, 1023) == (len(large), len(tried))


def test_of_a_thousand_copies_of_the_id_one_is_taken() -> None:
    """The likeliest by its name; the others are reported as unprotected."""
    events = []
    for said in THREE:
        event = flat(said, ALICE)
        copies = {f"c{one}": event["event_id"] for one in range(1000)}
        events.append({"aaa": copies, **event})
    fit = found(events)
    assert fit.profile.id is not None
    assert ("/event_id", ("/aaa",)) == (fit.profile.id.at, fit.unprotected)


@pytest.mark.usefixtures("nine_members")
def test_thousands_of_unsigned_members_are_each_reported() -> None:
    """Each is named as unprotected, and none is taken for anything."""
    events = [payload_alone(said, ALICE) for said in THREE]
    for event in events:
        event |= {f"m{one}": {"event_type": "x.y"} for one in range(2000)}
    fit = found(events)
    assert ("/payload/event_type", 2001) == (fit.profile.pointers["type"], len(fit.unprotected))


def test_of_hundreds_of_matching_digests_a_few_are_tried_as_ids() -> None:
    """Each is of other members; a few are tried as the id, and that is reported."""
    events = []
    for said in THREE:
        body = without(without_id(said, ALICE), "signature")
        body |= {f"m{one}": one + said.number for one in range(4)}
        parts = list(subsets(body, "", SearchBudget()))[:400]
        named = {f"d{one}": part.digest.hex() for one, part in enumerate(parts)}
        events.append(_signed(body, digests=named))
    result = probe(samples(events), KEYS, effort := SearchBudget())
    assert result.found is not None
    assert "more than 4 texts are digests: only the first were tried as ids" in effort.bounds


def test_of_many_shapes_of_events_the_commonest_are_searched() -> None:
    """It is reported that there are others."""
    junk = [{f"m{one}": 1, "signature": SIGNATURE} for one in range(30)]
    effort = SearchBudget()
    result = probe(samples([*junk, *(flat(said, ALICE) for said in THREE)]), KEYS, effort)
    assert result.found is None
    assert ["more than 8 sets of members that events have: only the commonest were searched"] == (
        effort.bounds
    )
    assert {3} == {fit.signatures for fit in result.refused}
    assert 31 == len(result.shapes)


# Bundles that are made up --------------------------------------------------------------------


def _bundles(folder: Path, *bundles: Object) -> ReadRequest:
    """A job that reads some bundles, and fails on any finding."""
    path = folder / "bundles.jsonl"
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    told: list[Finding] = []
    return ReadRequest([str(path)], told.append)


def test_events_beyond_the_sample_size_are_not_searched(tmp_path: Path) -> None:
    """And that is reported."""
    job = _bundles(tmp_path, make_bundle(RECORD, [flat(said, ALICE) for said in THREE]))
    for most, bounds in ((3, []), (2, ["there are more than 2 events; --sample-size allows more"])):
        effort = SearchBudget()
        result, types = probe_bundles(job, KEYS, most, effort)
        assert (most, bounds, []) == (result.events, effort.bounds, types)
        assert result.is_settled


def test_events_beyond_the_limit_of_bytes_are_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would have to be in memory all at once."""
    assert 64 * 2**20 == probe_module.MAX_BYTES
    monkeypatch.setattr(probe_module, "MAX_BYTES", 68_000)
    large = [{"a": f"{one:<1000}"} for one in range(14)]
    job = _bundles(tmp_path, *[make_bundle(RECORD, large)] * 5)
    effort = SearchBudget(most=1)
    result, _ = probe_bundles(job, KEYS, 100, effort)
    assert 67 == result.events
    assert "the events after the first 67 are more than 68,000 bytes" in effort.bounds


def test_an_event_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """E1: as it would be in a merge."""
    said = [flat(one, ALICE) for one in THREE]
    most = 1_048_576 - len(oracle.canonical({"a": ""}))
    path = tmp_path / "bundle.json"
    path.write_bytes(
        to_json(make_bundle(RECORD, [*said, {"a": "x" * most}, {"a": "x" * (most + 1)}]))
    )
    told: list[Finding] = []
    result, _ = probe_bundles(
        ReadRequest([str(path)], told.append), KEYS, 10, SearchBudget(most=100)
    )
    assert (4, ["/events/4"]) == (result.events, [one.where for one in told])
    assert "its canonical bytes are 1048577, more than 1048576" == told[0].message


def test_every_one_of_many_events_is_checked_against_the_profile() -> None:
    """Every one of them: the last is forged, and so nothing is proposed."""
    said = [
        Said("x.y", {"a": one}, f"2026-01-01T00:{one // 60:02}:{one % 60:02}Z", one)
        for one in range(100)
    ]
    events = [flat(one, ALICE) for one in said]
    assert 100 == found(events).signatures
    events[-1]["payload"] = {"a": 0}
    assert ["1 of 100 events do not fit it"] == objections(events)


# What is written where -----------------------------------------------------------------------


def test_texts_are_found_three_objects_down_and_no_deeper() -> None:
    """And no deeper: what is further down is part of what somebody says."""
    event: Any = {"a": {"b": {"c": {"d": "x", "e": {"f": "y"}}, "l": [{"m": "z"}]}}}
    assert [("/a/b/c/d", "x")] == list(strings(event))


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("0" * 64, ""), ("sha256:" + "0" * 64, "sha256:"), ("urn:x/" + "0" * 64, "urn:x/")],
)
def test_a_digest_may_have_a_prefix(text: str, prefix: str) -> None:
    """It ends in a mark, and is not long."""
    (one,) = written({"a": text}, 32)
    assert ("/a", prefix, "hex", bytes(32)) == (
        one.at,
        one.spelling.prefix,
        one.spelling.encoding,
        one.data,
    )


@pytest.mark.parametrize("text", ["x" + "0" * 64, "0" * 63, "0" * 65, "x" * 24 + ":" + "0" * 64])
def test_texts_that_are_not_digests(text: str) -> None:
    """A digit more or less, no mark, a prefix of 25 characters."""
    assert [] == written({"a": text}, 32)


def _texts(found: list[SignedSubset]) -> set[bytes]:
    return {one.text for one in found}


def test_every_text_that_can_have_been_hashed_is_tried_once() -> None:
    """Every subset, bare and wrapped, and the payload alone: each text once."""
    event: Object = {"b": 1.0, "payload": {"x": 1}}
    tried = list(subsets(event, "/payload", SearchBudget()))
    bare = [{"b": 1.0}, {"payload": {"x": 1}}, event, {"x": 1}]
    both = [*bare, *({"payload": one} for one in (event, {"b": 1.0}, {"payload": {"x": 1}}))]
    assert {oracle.canonical(one) for one in both} == _texts(tried)
    assert len(both) == len(tried)
    for one in tried:
        assert hashlib.sha256(one.text).digest() == one.digest
        assert one.pre_image.text(event, "/payload") == one.text


def test_members_of_objects_that_can_be_left_out() -> None:
    """Texts that can be signatures or ids, each for itself and with others."""
    event: Object = {"a": {"s": SIGNATURE, "d": "0" * 64}, "payload": {"s": SIGNATURE}}
    tried = list(subsets(event, "/payload", SearchBudget()))
    images = {one.pre_image.excluded for one in tried if one.pre_image.of == "event"}
    assert {("/a/s",), ("/a/d",), ("/a/d", "/a/s"), ("/a",), (), ("/payload",)} < images
    assert not [less for less in images for pointer in less if pointer.startswith("/payload/")]


def test_a_sample_is_read_with_its_record() -> None:
    """The place names source, member, event and record."""
    (one,) = samples([flat(THREE[0], ALICE)])
    assert Sample("0", parse_record(RECORD), one.event) == one
