"""Integrity findings apart from bundles: which words are signed, and which are not (S4)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.events.event import MAX_EVENT_BYTES
from mirror.core.events.integrity_finding import IntegrityFinding, findings_of, verify_finding
from mirror.core.keys import BUILT_IN, KeySet
from tests import oracle
from tests.builders import Object, Signer, integrity, key_set_file, without
from tests.helpers import keys_of
from tests.shared import real_lines

ALICE = Signer("alice")
KEYS = keys_of(ALICE)


def digest_of(value: Any) -> str:
    """Of the ASCII form (V7)."""
    return hashlib.sha256(oracle.canonical_ascii(value)).hexdigest()


def payload_of(**members: Any) -> Object:
    """A payload with its evidence, in text that is not ASCII."""
    payload = integrity(evidence={"snippet": "Poincar\xe9 \U0001f600\x7f"}, **members)
    hashed = {"d": payload["detector"], "e": payload["evidence"]}
    return {**payload, "evidence_hash": digest_of(hashed), **members}


def finding(signer: Signer = ALICE, payload: Object | None = None, **members: Any) -> Object:
    """A finding as the registry prints one."""
    payload = payload_of() if payload is None else payload
    digest = digest_of(payload)
    return {
        "arxiv_id": "2401.00001",
        "event_id": 7,
        "event_type": "pith.integrity.v1",
        "payload": payload,
        "payload_sha256": digest,
        "signature_b64": signer.sign(bytes.fromhex(digest)),
        "signing_key_id": signer.key_id,
        "created_at": "2026-05-19T23:17:27.287442+00:00",
        **members,
    }


def bare(signer: Signer = ALICE, **members: Any) -> Object:
    """The same without its payload."""
    return without(finding(signer, **members), "payload")


def codes(value: Any, keys: KeySet = KEYS) -> list[str]:
    """All codes of a finding."""
    return [code for code, _ in verify_finding(value, keys)]


# Real ones -----------------------------------------------------------------------------------


def test_a_long_name_is_not_repeated_for_each_finding_below_it() -> None:
    """Its beginning tells where they are; to repeat it would cost the square of the document."""
    found = findings_of({"é/" * 1000: [finding(), [finding()]]})
    name = "é~1" * 64
    assert [f"/{name}/0", f"/{name}/1"] == [one.where for one in found]


def test_real_findings_with_their_payload() -> None:
    """The registry signs the raw digest of the payload in ASCII form; one is not ASCII."""
    found = real_lines("integrity_events")
    assert any(not oracle.canonical(one["payload"]).isascii() for one in found)
    for one in found:
        payload = one["payload"]
        assert digest_of(payload) == one["payload_sha256"]
        hashed = {"d": payload["detector"], "e": payload["evidence"]}
        assert digest_of(hashed) == payload["evidence_hash"]
        assert [] == codes(one) == oracle.finding_codes(one, oracle.builtin_keys())
        changed = {**one, "payload": {**payload, "note": "changed"}}
        assert ["finding.payload"] == codes(changed)
        assert ["finding.unbound"] == codes(without(one, "payload"))


def test_real_findings_of_which_only_the_digest_is_known() -> None:
    """The digest is signed, and nothing ties it to words."""
    for one in real_lines("integrity_signatures"):
        assert ["finding.unbound"] == codes(one)
        assert ["finding.signature"] == codes({**one, "payload_sha256": "0" * 64})
        assert ["finding.signature"] == codes({**one, "signing_key_id": ALICE.key_id})
        assert ["finding.key_unknown"] == codes({**one, "signing_key_id": "another"})
        assert ["finding.unbound"] == codes({**one, "signing_key_id": BUILT_IN.fingerprint})


# Made up ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (finding(), []),
        (finding(event_id=-1, created_at="2000-01-01T00:00:00Z", arxiv_id="x", more=1), []),
        (finding(payload={}), []),
        (None, ["finding.shape"]),
        ([], ["finding.shape"]),
        (without(finding(), "event_type"), ["finding.shape"]),
        (finding(event_type="A B"), ["finding.shape"]),
        (finding(payload_sha256="AB" * 32), ["finding.shape"]),
        (finding(signature_b64=1), ["finding.shape"]),
        (finding(signing_key_id=1), ["finding.shape"]),
        (finding(created_at=None), ["finding.shape"]),
        (finding(created_at="noon"), ["finding.shape"]),
        (finding(event_id="7"), ["finding.shape"]),
        (finding(event_id=True), ["finding.shape"]),
        (finding(event_id=7.0), ["finding.shape"]),
        (without(finding(), "event_id"), ["finding.shape"]),
        ({**finding(), "payload": None}, ["finding.shape"]),
        ({**finding(), "payload": []}, ["finding.shape"]),
        (finding(more="x" * MAX_EVENT_BYTES), ["finding.shape"]),
        (finding(payload_sha256="0" * 64), ["finding.payload"]),
        ({**finding(), "payload": {"payload": payload_of()}}, ["finding.payload"]),
        (finding(Signer("bob")), ["finding.key_unknown"]),
        (finding(signature_b64="YQ=="), ["finding.signature"]),
        (finding(signature_b64=Signer("bob").sign(b"")), ["finding.signature"]),
        (finding(signature_b64=finding()["signature_b64"] + "\n"), ["finding.signature"]),
        (bare(), ["finding.unbound"]),
        (bare(signature_b64="YQ=="), ["finding.signature"]),
        (bare(Signer("bob")), ["finding.key_unknown"]),
        (finding(payload=payload_of(evidence_hash="0" * 64)), ["finding.evidence"]),
        (finding(payload=without(payload_of(), "evidence_hash")), ["finding.evidence"]),
        (finding(payload=without(payload_of(), "evidence")), ["finding.evidence"]),
        (finding(payload=payload_of(detector="other")), []),
        (
            {**finding(), "payload": payload_of(evidence_hash="0" * 64)},
            ["finding.payload", "finding.evidence"],
        ),
        (
            finding(Signer("bob"), payload=payload_of(evidence_hash="0" * 64)),
            ["finding.key_unknown", "finding.evidence"],
        ),
    ],
)
def test_the_checks_in_their_order(value: Any, expected: list[str]) -> None:
    """The first of four that fails; the evidence is reported beside it."""
    assert expected == codes(value)
    assert expected == oracle.finding_codes(value, oracle.load_keys(key_set_file(ALICE)))


def test_the_digest_is_of_the_ascii_form() -> None:
    """V7: one in the canonical form of records (V2) is not that of the payload."""
    payload = payload_of()
    digest = hashlib.sha256(oracle.canonical(payload)).hexdigest()
    signed = ALICE.sign(bytes.fromhex(digest))
    value = finding(payload_sha256=digest, signature_b64=signed)
    assert ["finding.payload"] == codes(value)


def test_what_a_key_may_sign_and_when() -> None:
    """K2: a key counts for what it may sign; a fingerprint may be of two keys, one of which may."""
    late = Signer("alice", key_id="late", valid_from="2027-01-01T00:00:00Z")
    clerk = Signer("alice", event_types=("x.y",))
    assert ["finding.key_unknown"] == codes(finding(late), keys_of(late))
    assert ["finding.key_unknown"] == codes(finding(clerk), keys_of(clerk))
    assert ["finding.key_unknown"] == codes(finding(clerk, event_type="x.y"), keys_of(clerk))
    assert ["finding.unbound"] == codes(bare(clerk, event_type="x.y"), keys_of(clerk))
    named = finding(signing_key_id=ALICE.fingerprint)
    assert ["finding.key_unknown"] == codes(named, keys_of(late, clerk))
    assert [] == codes(named, keys_of(late, clerk, Signer("alice", key_id="z")))


_CHANGES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, True, "", "x", "0" * 64, {}, [], "\xe9", {"evidence": "\xe9"}]
)


@given(
    st.sampled_from([finding(), bare(), finding(payload=payload_of(note="\u2028"))]),
    st.lists(st.tuples(st.sampled_from([*finding(), "payload/evidence"]), _CHANGES), max_size=2),
)
def test_the_oracle_agrees(value: Object, changes: list[tuple[str, Any]]) -> None:
    """Whatever is changed in a finding."""
    for name, other in changes:
        if name == "payload/evidence":
            value = {**value, "payload": {**payload_of(), "evidence": other}}
        else:
            value = {**value, name: other}
    assert oracle.finding_codes(value, oracle.load_keys(key_set_file(ALICE))) == codes(value)


# Where they stand ----------------------------------------------------------------------------


def test_where_findings_stand_in_a_document() -> None:
    """Anywhere; and where one item of a list is one, all should be."""
    one, two = bare(), without(bare(), "event_type")
    named = {"event_type": "pith.integrity.v1", "payload": {"event_type": "pith.integrity.v1"}}
    for document, expected in (
        (one, [("", one)]),
        ([1, two, None], [("/0", 1), ("/1", two), ("/2", None)]),
        ({"a": {"b~/": [[one]]}, "c": [named]}, [("/a/b~0~1/0/0", one), ("/c/0", named)]),
        ({"a": [1, {}], "payload_sha256": "ab" * 32}, []),
        ("x", []),
    ):
        assert expected == findings_of(document)  # type: ignore[arg-type]
    assert [IntegrityFinding("", one)] == findings_of(one)
    digest = {"payload_sha256": "ab" * 32}
    document = {"a": one, "b": [digest, 1], "c": {"signature_b64": ""}}
    assert ["/a", "/b/0", "/b/1", "/c"] == [found.where for found in findings_of(document)]  # type: ignore[arg-type]
