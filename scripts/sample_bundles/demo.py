"""Eight made-up records that cite each other and show every rule of the merge, all of it valid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sample_bundles import demo_records as records
from sample_bundles.demo_log import Log, claims_of
from sample_bundles.expected import Sample
from sample_bundles.files import bag, path_in_bag
from sample_bundles.keys import AUTHOR, AUTHOR_NEXT, LIBRARY, OLD_REGISTRY, REGISTRY
from tests import builders, oracle
from tests.builders import Object, Signer, make_bundle, make_receipt

_DESCRIPTION: Final = "Eight made-up records under demo-keys.json, a set of published test keys."

_AUTHOR_ID: Final = "https://orcid.org/0000-0002-1825-0097"


def demo_sample() -> Sample:
    """Return the bag of all made-up records."""
    bundles = [
        _fixed_points(),
        _cascades(),
        _holography(),
        _snails(),
        _negative_result(),
        _transcription(),
        make_bundle(records.UNTOUCHED, alias_claims=[]),
    ]
    members = {path_in_bag(bundle["pith_number"]): builders.to_json(bundle) for bundle in bundles}
    members.update(_in_another_hand(members))
    members.update(_split())
    return Sample("demo.tar", bag(members, _DESCRIPTION), members, needs_demo_keys=True)


# The records, one by one ---------------------------------------------------------------------


def _fixed_points() -> Object:
    """Aliases around F, the first of two `record_created`, slots of one and two authorities."""
    log = Log(records.FIXED_POINTS)
    log.create(REGISTRY, "2026-03-02T08:00:00Z", "2026-03-02T07:59:59.5Z")  # too late: M8
    log.create(REGISTRY, "2026-03-01T09:00:00.250000+00:00", "2026-03-01T09:00:00.125Z")
    graph = records.graph_of(records.FIXED_POINTS, [records.CASCADES, records.HOLOGRAPHY])
    log.add(REGISTRY, "graph_snapshot", "2026-03-01T09:00:01Z", builders.snapshot(graph))
    weights = {"weights": {"smallest": 1e-07, "largest": 1e16, "half": 0.5, "nothing": -0.0}}
    log.add(REGISTRY, "graph_snapshot", "2026-04-01T09:00:01Z", builders.snapshot(weights))
    _anchor(log)
    _store(log)
    weak = builders.author_claim(_AUTHOR_ID, method="email", strength="weak")
    log.add(AUTHOR, "author_claimed", "2026-03-05T10:00:00Z", weak)
    log.add(AUTHOR_NEXT, "author_claimed", "2026-03-06T10:00:00Z", builders.author_claim())
    log.add(LIBRARY, "author_claimed", "2026-03-05T12:00:00Z", weak)  # two authorities, two slots
    log.events.append(log.events[0])  # a repetition is the same event (M1)
    receipt = make_receipt(log.record, REGISTRY, "2026-03-05T00:00:00Z")
    return log.bundle(_claims_around_f(log.record), [receipt])


def _claims_around_f(record: Object) -> list[Object]:
    """Alias times before F, at F so cut, after it, and one instant in two spellings."""
    zulu, offset = "2026-05-18T12:00:00Z", "2026-05-18T12:00:00+00:00"
    at_f = "2026-03-01T09:00:00Z"
    return [
        *claims_of(record, "2026-03-01T08:59:59Z", "2026-02-01T00:00:00Z", zulu, at_f),
        *claims_of(record, "2026-04-01T00:00:00Z", "2026-02-02T00:00:00Z", offset),
        *claims_of(record, "2026-03-09T00:00:00.5Z"),
    ]


def _store(log: Log) -> None:
    """Copies in two archives, one attested twice."""
    url = "https://archive.example/2699.00001"
    first = builders.storage(url=url, captured_at="2026-03-03T00:00:00Z")
    log.add(LIBRARY, "storage_attested", "2026-05-04T00:00:00Z", first)
    again = builders.storage(url=url, captured_at="2026-05-03T00:00:00.75+00:00")
    log.add(LIBRARY, "storage_attested", "2026-05-05T00:00:00Z", again)
    elsewhere = builders.storage("tape.example", "tape:2699.00001", "2026-03-04T00:00:00Z")
    log.add(LIBRARY, "storage_attested", "2026-03-04T06:00:00Z", elsewhere)


def _anchor(log: Log) -> None:
    """Timestamps with and without the optional `calendar`, one of them superseded."""
    calendar = "https://calendar.example"
    first = builders.timestamp(log.record, calendar=calendar, note="pending")
    log.add(LIBRARY, "timestamp_anchored", "2026-03-01T10:00:00Z", first)
    full = builders.timestamp(log.record, calendar=calendar, block=947_031)
    log.add(LIBRARY, "timestamp_anchored", "2026-03-02T10:00:00.000001Z", full)
    bare = builders.timestamp(log.record)
    log.add(LIBRARY, "timestamp_anchored", "2026-03-01T10:00:00.500Z", bare)
    other = builders.timestamp(log.record, "rfc3161")
    log.add(REGISTRY, "timestamp_anchored", "2026-03-01T11:00:00Z", other)


def _cascades() -> Object:
    """Citations: asserted, withdrawn, asserted again; claim ids; a withdrawal that is revoked."""
    log = Log(records.CASCADES)
    mistaken = log.create(REGISTRY, "2026-02-10T08:00:00Z")
    log.create(REGISTRY, "2026-02-11T08:00:00.999999Z")
    log.revoke(REGISTRY, mistaken, "2026-02-10T09:00:00Z", "Datum verwechselt – zurückgezogen")
    citing = records.FIXED_POINTS
    log.cite(AUTHOR, "2026-03-10T00:00:00Z", citing, relationship="uses_method")
    log.cite(AUTHOR, "2026-03-11T00:00:00Z", citing, relationship="uses_method", claim_id="thm-1")
    log.cite(AUTHOR, "2026-03-12T00:00:00Z", citing, relationship="uses_method", claim_id="")
    _withdraw_citations(log)
    same = builders.citation(oracle.pith_number_of(records.SNAILS), "cites")
    log.add(AUTHOR, "citation_signed", "2026-03-21T00:00:00Z", same)
    log.add(AUTHOR, "citation_signed", "2026-03-21T00:00:00Z", same, client="no equivocation: M4")
    return log.bundle(claims_of(log.record, *["2026-02-11T08:00:00Z"] * 6))


def _withdraw_citations(log: Log) -> None:
    """A slot that is filled again, one that is empty, and one whose withdrawal is revoked."""
    extended = {"relationship": "extends", "claim_id": "théorème-2"}
    again, compared, refuted = records.FIXED_POINTS, records.TRANSCRIPTION, records.HOLOGRAPHY
    log.cite(AUTHOR, "2026-03-13T00:00:00Z", again, **extended)
    log.cite(AUTHOR_NEXT, "2026-03-14T00:00:00Z", again, **extended, status="withdrawn")
    log.cite(AUTHOR, "2026-03-15T00:00:00+00:00", again, **extended, note="после проверки")
    compares = {"relationship": "compares"}
    log.cite(AUTHOR, "2026-03-16T00:00:00Z", compared, **compares)
    log.cite(AUTHOR, "2026-03-17T00:00:00Z", compared, **compares, status="withdrawn")
    refutes = {"relationship": "refutes"}
    log.cite(AUTHOR, "2026-03-18T00:00:00Z", refuted, **refutes)
    last = log.cite(AUTHOR, "2026-03-19T00:00:00Z", refuted, **refutes, status="withdrawn")
    log.revoke(AUTHOR, last, "2026-03-20T00:00:00Z", "the slot stays empty: M5")
    log.cite(LIBRARY, "2026-03-18T00:00:00Z", refuted, **refutes)  # another authority's slot


def _holography() -> Object:
    """Integrity findings, superseded, rescinded and equivocal; challenges; an old-style id."""
    log = Log(records.HOLOGRAPHY)
    log.create(OLD_REGISTRY, "2025-01-01T00:00:00Z")  # the first instant of the key's window
    graph = builders.snapshot(records.graph_of(log.record, []))
    log.add(OLD_REGISTRY, "graph_snapshot", "2025-12-31T23:59:59.999999Z", graph)  # the last
    _find_faults(log)
    _dispute(log)
    log.cite(AUTHOR, "2026-04-15T00:00:00Z", records.SNAILS, relationship="cites")
    return log.bundle(claims_of(log.record, *["2025-01-01T00:00:00Z"] * 3))


def _find_faults(log: Log) -> None:
    """One finding that stands, one rescinded, one superseded, and an equivocation."""

    def find(created_at: str, name: str, verdict_class: str, severity: str = "advisory") -> None:
        payload = builders.integrity(
            oracle.payload_digest(name),
            verdict_class,
            severity=severity,
            arxiv_id="hep-th/9901234",
            evidence={"snippet": name, "score": 0.5},
        )
        log.add(LIBRARY, "pith.integrity.v1", created_at, payload)

    find("2026-04-01T00:00:00Z", "doi:10.0000/gone", "incontrovertible", "critical")
    find("2026-04-02T00:00:00Z", "doi:10.0000/moved", "threshold_with_margin")
    find("2026-04-03T00:00:00Z", "doi:10.0000/moved", "rescinded")
    find("2026-04-04T00:00:00Z", "doi:10.0000/twice", "threshold_with_margin")
    find("2026-04-05T00:00:00Z", "doi:10.0000/twice", "cross_source")
    find("2026-04-06T00:00:00Z", "doi:10.0000/either", "cross_source", "critical")
    find("2026-04-06T00:00:00.000+00:00", "doi:10.0000/either", "cross_source")


def _dispute(log: Log) -> None:
    """One challenge that is open, one withdrawn, and one revoked by the author's other key."""

    def dispute(created_at: str, name: str, about: str, **members: Any) -> Object:
        payload = builders.challenge(name, about=about, **members)
        return log.add(AUTHOR, "challenge_filed", created_at, payload)

    dispute("2026-04-10T00:00:00Z", "lemma-2", "claim", note="Lemma 2 lacks a case: θ = 0.")
    dispute("2026-04-11T00:00:00Z", "figure-3", "figure")
    dispute("2026-04-12T00:00:00Z", "figure-3", "figure", status="withdrawn")
    mistaken = dispute("2026-04-13T00:00:00Z", "reference-7", "reference")
    log.revoke(AUTHOR_NEXT, mistaken, "2026-04-14T00:00:00Z", "wrong reference")


def _snails() -> Object:
    """Replications, revocations with a right and without, an equivocation with a revoked event."""
    log = Log(records.SNAILS)
    log.create(REGISTRY, "2026-01-01T00:00:00+00:00")  # the first instant of the key's window
    _revoke(log)
    _replicate(log)
    log.cite(AUTHOR, "2026-02-08T00:00:00Z", records.CASCADES, relationship="depends_on")
    return log.bundle(claims_of(log.record, "2026-01-01T00:00:00.25Z", "2025-12-31T23:59:59.75Z"))


def _revoke(log: Log) -> None:
    """Revocations without a right, of a revocation, and twice with a right."""
    snapshot = builders.snapshot(records.graph_of(log.record, [records.HOLOGRAPHY]))
    graph = log.add(REGISTRY, "graph_snapshot", "2026-01-02T00:00:00Z", snapshot)
    powerless = log.revoke(AUTHOR, graph, "2026-01-03T00:00:00Z", "no right: has no effect")
    log.revoke(AUTHOR, powerless, "2026-01-04T00:00:00Z", "not revocable: has no effect")
    log.revoke(REGISTRY, powerless, "2026-01-05T00:00:00Z", "not even by a registry")
    stored = builders.storage("tape.example", "tape:ER-2699/4", "2026-01-05T00:00:00Z")
    tape = log.add(LIBRARY, "storage_attested", "2026-01-06T00:00:00Z", stored)
    log.revoke(LIBRARY, tape, "2026-01-07T00:00:00Z", "the tape is lost")
    log.revoke(REGISTRY, tape, "2026-01-01T00:00:00Z", "by another, and dated before it")


def _replicate(log: Log) -> None:
    """All kinds, one withdrawn, and an equivocation whose last word is revoked."""

    def replicate(signer: Signer, created_at: str, name: str, **members: Any) -> Object:
        payload = builders.replication(f"https://lab.example/{name}", **members)
        return log.add(signer, "replication_recorded", created_at, payload)

    replicate(AUTHOR, "2026-02-01T00:00:00Z", "snails", effect=0.5, p=1e-07)
    replicate(AUTHOR, "2026-02-02T00:00:00Z", "snails", claim_id="h1", kind="falsification")
    replicate(LIBRARY, "2026-02-03T00:00:00Z", "lean", kind="formal_bridge", asserted_by="Ł. Ń.")
    replicate(AUTHOR, "2026-02-04T00:00:00Z", "shells")
    replicate(AUTHOR, "2026-02-05T00:00:00Z", "shells", status="withdrawn")
    pair = [
        replicate(AUTHOR, "2026-02-06T00:00:00.5Z", "tide", outcome=outcome)
        for outcome in ("succeeded", "failed")
    ]
    last = max(pair, key=lambda event: str(event["event_id"]))  # M2: the slot's last word
    log.revoke(AUTHOR, last, "2026-02-07T00:00:00Z", "I said both: the slot shows neither")


def _negative_result() -> Object:
    """No F, since the one `record_created` is revoked; a receipt from the bundle."""
    log = Log(records.NEGATIVE_RESULT)
    created = log.create(OLD_REGISTRY, "2025-07-01T00:00:00Z")
    log.revoke(REGISTRY, created, "2026-01-15T00:00:00Z", "the builder was wrong")
    unseen = {"event_id": f"sha256:{'0' * 64}"}
    log.revoke(AUTHOR, unseen, "2026-02-14T00:00:00Z", "of an event that nobody here has seen")
    log.cite(AUTHOR, "2026-02-15T00:00:00Z", records.SNAILS, relationship="replaces")
    receipts = [
        make_receipt(log.record, REGISTRY, "2026-01-16T00:00:00Z", builder="demo-builder-1"),
        make_receipt(log.record, OLD_REGISTRY, "2025-07-01T00:00:00Z", builder="demo-builder-0"),
    ]
    claims = claims_of(log.record, "2025-07-01T00:00:00Z", "2020-01-01T00:00:00.000001+00:00")
    return log.bundle(claims, receipts)


def _transcription() -> Object:
    """Unknown types, free targets and envelopes, and text beyond ASCII."""
    log = Log(records.TRANSCRIPTION)
    log.create(REGISTRY, "2026-02-20T00:00:00Z")
    shelf = "library.shelfmark.v1"
    log.add(LIBRARY, shelf, "2026-02-21T00:00:00Z", {"shelf": "Ω 12"}, target="book")
    wrong = log.add(LIBRARY, shelf, "2026-02-21T00:00:00Z", {"shelf": "Ω 13"}, target="book")
    log.revoke(LIBRARY, wrong, "2026-02-22T00:00:00Z", "no equivocation: the type is unknown")
    for status in ("open", "withdrawn"):  # means nothing in an unknown type
        note = {"status": status, "note": "Treffpunkt: Café, 量子 ☕", "mean_minutes": 12.5}
        log.add(LIBRARY, "reading_group.note", "2026-02-23T18:00:00Z", note, target="é" * 128)
    names = {"\U0001f600": 1, "\ue000": 2, "\x7f": 3, "\u2028": 4, 'a"\\/\b\f\n\r\t\x1f': -0.0}
    log.add(
        REGISTRY,
        "registry.example.census",
        "2026-02-24T00:00:00Z",
        {"names": names},
        client="an unknown member of the envelope, kept and signed",
    )
    log.cite(AUTHOR, "2026-02-25T00:00:00Z", records.NEGATIVE_RESULT, relationship="supports")
    return log.bundle(claims_of(log.record, *["2026-02-20T00:00:00Z"] * 6))


# How the bundles are written -----------------------------------------------------------------


def _in_another_hand(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return one bundle again as another publisher might write it: the same values (V2)."""
    path = path_in_bag(oracle.pith_number_of(records.SNAILS))
    text = json.dumps(json.loads(members[path]), indent=1, ensure_ascii=True)
    return {path: text.replace(": 1e-07", ": 0.10E-6").replace(": 0.5", ": 5e-1").encode()}


def _split() -> dict[str, bytes]:
    """Return two bundles of one record, with one event in both and one signed twice."""
    log = Log(records.SPLIT_LOG)
    created = log.create(REGISTRY, "2026-03-20T00:00:00.5Z")
    early = builders.author_claim(_AUTHOR_ID, method="x", strength="weak")
    first = log.add(AUTHOR, "author_claimed", "2026-03-21T00:00:00Z", early)
    log.cite(AUTHOR, "2026-03-22T00:00:00Z", records.FIXED_POINTS, relationship="supports")
    front = log.bundle(
        claims_of(log.record, "2026-03-22T00:00:00Z", "2026-03-21T00:00:00+00:00"),
        [make_receipt(log.record, REGISTRY, "2026-03-20T00:00:00Z")],
    )
    rest = Log(records.SPLIT_LOG)
    rest.events = [created, builders.sign_event_again(first, AUTHOR)]
    rest.add(AUTHOR_NEXT, "author_claimed", "2026-03-23T00:00:00Z", builders.author_claim())
    rest.create(OLD_REGISTRY, "2025-11-01T00:00:00Z")  # earlier: F and the receipt are its
    back = rest.bundle(
        claims_of(log.record, "2026-03-21T00:00:00Z", "2026-03-21T00:00:00Z"),
        [make_receipt(log.record, OLD_REGISTRY, "2025-10-31T00:00:00Z")],
    )
    number = front["pith_number"]
    return {
        path_in_bag(number): builders.to_json(front),
        path_in_bag(number, "more.bundle.json"): builders.to_json(back),
    }
