"""Summaries of events: what a person reads of one, whatever stands in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirror.core.events.event import EncodedEvent, Event, InvalidEvent
from mirror.core.events.summary import (
    EventSummary,
    claimed_headline,
    entry_summary,
    event_summary,
)
from mirror.core.events.verdict import verify_event
from mirror.core.keys import parse_key_set
from mirror.core.record import parse_record
from tests.builders import (
    NOON,
    Object,
    Signer,
    citation,
    integrity,
    key_set_file,
    make_event,
    make_record,
    payload_of,
    snapshot,
)
from tests.shared import shared

RECORD = make_record()
ALICE = Signer("alice")


def judged(value: Any) -> Event:
    """A value of a bundle's `events` with its verdict."""
    keys = parse_key_set(key_set_file(ALICE))
    return verify_event(EncodedEvent.of(value), parse_record(RECORD), keys)


def summary(event_type: str, payload: Any) -> EventSummary:
    """The summary of a valid event."""
    return event_summary(judged(make_event(RECORD, ALICE, event_type, payload)))


def test_a_valid_event() -> None:
    """Type, time, signer, id, and what it says; a status only where it takes back."""
    event = make_event(RECORD, ALICE, "citation_signed", citation("arxiv:1"))
    fields = (
        ("citing", "arxiv:1"),
        ("relationship", "supports"),
        ("asserted_by", citation()["asserted_by"]),
    )
    expected = EventSummary(
        event["event_id"], "citation_signed", NOON, "alice", "key-alice", fields
    )
    assert expected == event_summary(judged(event))
    withdrawn = summary("citation_signed", citation("arxiv:1", status="withdrawn"))
    assert withdrawn.fields[-1] == ("status", "withdrawn")


@pytest.mark.parametrize(
    "value",
    [None, 7, "x", [], {}, {"event_type": 7, "created_at": [], "signer": "me", "payload": "x"}],
)
def test_a_value_that_is_no_event(value: Any) -> None:
    """It has no field, and is no error."""
    assert EventSummary("", "", "", "", "", ()) == event_summary(judged(value))


def test_an_invalid_event_is_summarised_by_its_members() -> None:
    """With another signature it is refused, and can be described."""
    event = make_event(RECORD, ALICE, "citation_signed", citation("arxiv:1"))
    forged = {**event, "signature": {"algorithm": "ed25519", "signature_b64": "AA=="}}
    assert event_summary(judged(event)) == event_summary(judged(forged))


def test_a_snapshot_is_summarised_by_its_paper() -> None:
    """Its title and authors."""
    paper = {"title": "On mirrors", "authors_text": "A. Author", "year": 2024}
    assert (("title", "On mirrors"), ("authors_text", "A. Author")) == summary(
        "graph_snapshot", snapshot({"paper": paper})
    ).fields
    assert summary("graph_snapshot", snapshot({})).fields == ()


def test_a_payload_without_a_value_to_show_is_known_by_its_members() -> None:
    """Such as a graph without a paper; eight names at most."""
    assert summary("graph_snapshot", snapshot({"paper": 7})).fields == (("members", "paper"),)
    assert summary("graph_snapshot", snapshot()).fields == (
        ("members", "aliases, claims, references"),
    )
    many = summary("x.y", {f"m{n}": [] for n in range(9)})
    assert many.fields == (("members", "m0, m1, m2, m3, m4, m5, m6, m7, …"),)


def test_a_type_that_is_not_named_shows_its_first_members() -> None:
    """Four at most; empty and compound ones are left out."""
    payload = {"a": 1, "b": "", "c": {}, "d": 2.5, "e": "unseen"}
    assert (("a", "1"), ("d", "2.5")) == summary("x.y", payload).fields


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ({"ref_index": 21, "reconstructed_doi": "10.1/x", "printed_excerpt": "doi: 10.1 /x"},
         ["21", "10.1/x", "doi: 10.1 /x"]),
        ({"ref_index": 0, "doi": "10.1/x", "arxiv_id": "2401.1", "raw_excerpt": "words"},
         ["0", "10.1/x", "2401.1", "words"]),
        ({}, []),
    ],
)  # fmt: skip
def test_an_integrity_finding_names_its_reference(
    evidence: dict[str, Any], expected: list[str]
) -> None:
    """From its payload, else from its evidence."""
    found = dict(summary("pith.integrity.v1", integrity(evidence=evidence)).fields)
    names = ("ref_index", "detected_doi", "detected_arxiv_id", "snippet")
    assert expected == [found[name] for name in names if name in found]
    payload = integrity(evidence=evidence, ref_index=5, detected_doi="10.2/y")
    said = dict(summary("pith.integrity.v1", payload).fields)
    assert ("5", "10.2/y") == (said["ref_index"], said["detected_doi"])


def test_real_integrity_findings_name_their_reference() -> None:
    """Every one that upstream published with its payload."""
    lines = shared("real/integrity_events.jsonl").read_text().splitlines()
    payloads = [one["payload"] for one in map(json.loads, lines) if one.get("payload")]
    assert payloads
    for payload in payloads:
        said = dict(entry_summary({"payload": payload}, "integrity_findings").fields)
        assert str(payload["ref_index"]) == said["ref_index"]
        assert payload["detected_doi"] == said["detected_doi"]


def test_an_entry_of_a_state_is_summarised_by_its_list() -> None:
    """Lists of one type do not repeat it; that of other types does (M6)."""
    entry: Object = {"payload": payload_of("storage_attested", RECORD, ALICE)}
    assert entry_summary(entry, "storage_attestations").event_type == "storage_attested"
    other = entry_summary({"event_type": "x.y", "payload": {"a": 1}}, "other_events")
    assert ("x.y", "1") == (other.event_type, other.fields[0][1])


def test_headlines() -> None:
    """One line: the claimed time, what it says, and who signed, or claims to have."""
    event = make_event(RECORD, ALICE, "citation_signed", citation("arxiv:1", asserted_by="me"))
    said = f"{NOON} citation_signed: arxiv:1 supports this record (asserted by me)"
    assert event_summary(judged(event)).headline == f"{said} — signed by alice"
    times = f", claimed time {NOON}"
    without_time = said.removeprefix(f"{NOON} ")
    found = event_summary(judged(event))
    assert found.description == f"{without_time} — signed by alice{times}"
    assert found.claimed_description == f"{without_time} — claims to be signed by alice{times}"
    assert summary("x.y", {}).statement == "x.y"
    for value, expected in [
        ({**event, "signature": {}}, f"{said} — claims to be signed by alice"),
        ({"event_type": "x.y"}, "no time x.y: nothing"),
        ([7], "[7]"),
    ]:
        refused = judged(value)
        assert isinstance(refused, InvalidEvent)
        assert claimed_headline(refused) == expected
