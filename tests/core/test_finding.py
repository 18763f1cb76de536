"""Integrity findings apart from bundles: that their digests are signed, and no more (S4)."""

from __future__ import annotations

from typing import Any

import pytest

from mirror.core.event import MAX_EVENT_BYTES
from mirror.core.finding import Finding, findings_of, judge_finding
from mirror.core.keys import BUILT_IN, KeySet
from tests.builders import Object, Signer, without
from tests.helpers import keys_of
from tests.shared import lines

ALICE = Signer("alice")
KEYS = keys_of(ALICE)
DIGEST = "ab" * 32


def finding(signer: Signer = ALICE, **members: Any) -> Object:
    """A finding as the registry prints one."""
    return {
        "arxiv_id": "2401.00001",
        "event_id": 7,
        "event_type": "pith.integrity.v1",
        "payload_sha256": DIGEST,
        "signature_b64": signer.sign(bytes.fromhex(DIGEST)),
        "signing_key_id": signer.key_id,
        "created_at": "2026-05-19T23:17:27.287442+00:00",
        **members,
    }


def code(value: Any, keys: KeySet = KEYS) -> str | None:
    """The code of a finding."""
    verdict = judge_finding(value, keys)
    return None if verdict is None else verdict[0]


def test_real_findings() -> None:
    """The registry signs the raw bytes of `payload_sha256`."""
    found = lines("real/integrity_signatures.jsonl")
    assert 4 == len(found)
    for one in found:
        assert code(one) is None
        assert "event.signature" == code({**one, "payload_sha256": "0" * 64})
        assert "event.signature" == code({**one, "signing_key_id": ALICE.key_id})
        unknown = {**one, "signing_key_id": "another"}
        assert "event.key_unknown" == code(unknown)
        assert code({**one, "signing_key_id": BUILT_IN.fingerprint}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (finding(), None),
        (finding(event_id=None, arxiv_id="changed", more=1), None),
        (None, "event.shape"),
        ([], "event.shape"),
        (without(finding(), "event_type"), "event.shape"),
        (finding(event_type="A B"), "event.shape"),
        (finding(payload_sha256="AB" * 32), "event.shape"),
        (finding(signature_b64=1), "event.shape"),
        (finding(created_at=None), "event.shape"),
        (finding(signing_key_id=1), "event.shape"),
        (finding(more="x" * MAX_EVENT_BYTES), "event.shape"),
        (finding(created_at="noon"), "event.time"),
        (finding(Signer("bob")), "event.key_unknown"),
        (finding(signature_b64="YQ=="), "event.signature"),
        (finding(signature_b64=Signer("bob").sign(b"")), "event.signature"),
        (finding(payload_sha256="0" * 64), "event.signature"),
    ],
)
def test_the_checks_in_their_order(value: Any, expected: str | None) -> None:
    """E3's, as far as there is something to check."""
    assert expected == code(value)


def test_what_a_key_may_sign_and_when() -> None:
    """K2; a fingerprint may be of two keys, one of which may do it."""
    late = Signer("alice", key_id="late", valid_from="2027-01-01T00:00:00Z")
    clerk = Signer("alice", event_types=("x.y",))
    assert "event.key_window" == code(finding(late), keys_of(late))
    assert "event.role" == code(finding(clerk), keys_of(clerk))
    named = finding(signing_key_id=ALICE.fingerprint)
    assert "event.role" == code(named, keys_of(late, clerk))
    free = Signer("alice", key_id="z")
    assert code(named, keys_of(late, clerk, free)) is None


def test_where_findings_stand_in_a_document() -> None:
    """Anywhere; and where one item of a list is one, all should be."""
    one, two = finding(), without(finding(), "event_type")
    bare = {"event_type": "pith.integrity.v1", "payload": {"event_type": "pith.integrity.v1"}}
    for document, expected in (
        (one, [("", one)]),
        ([1, two, None], [("/0", 1), ("/1", two), ("/2", None)]),
        ({"a": {"b~/": [[one]]}, "c": [bare]}, [("/a/b~0~1/0/0", one), ("/c/0", bare)]),
        ({"a": [1, {}], "payload_sha256": DIGEST}, []),
        ("x", []),
    ):
        assert expected == findings_of(document)  # type: ignore[arg-type]
    assert [Finding("", one)] == findings_of(one)
    bare = {"payload_sha256": DIGEST}
    document = {"a": one, "b": [bare, 1], "c": {"signature_b64": ""}}
    assert ["/a", "/b/0", "/b/1", "/c"] == [found.where for found in findings_of(document)]  # type: ignore[arg-type]
