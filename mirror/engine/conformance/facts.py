"""Made-up papers with their events, receipts, alias claims and bundles: valid unless changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mirror.core.events.types import EVENT_TYPES
from mirror.core.record import parse_record, text_digest
from mirror.core.values import canonical, sha256
from mirror.engine.conformance.signing import Draft, SigningKey, base64_text

__all__ = ["NOON", "Paper", "key_file", "record_value", "sign", "text_of", "without"]

NOON = "2026-01-01T12:00:00Z"
"""When events are dated that say nothing else."""


def text_of(value: Any) -> bytes:
    """Return compact JSON, members in the order they have."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def without(value: Draft, *names: str) -> Draft:
    """Return a copy without these members."""
    return {name: one for name, one in value.items() if name not in names}


def key_file(*keys: SigningKey) -> bytes:
    """Return a key set file (K2)."""
    return text_of({"keys": [key.key_value() for key in keys]})


def record_value(number: int, **metadata: Any) -> Draft:
    """Return a canonical record (R1), another one for each number."""
    return {
        "metadata": {
            "abstract_canon_sha256": text_digest(f"Abstract {number}"),
            "cross_cats_sorted": ["cs.CR", "math.HO"],
            "license": "http://creativecommons.org/licenses/by/4.0/",
            "primary_cat": "cs.DL",
            "submitted_at": "2024-01-02T03:04:05Z",
            "title_canon_sha256": text_digest(f"Title {number}"),
            **metadata,
        },
        "schema_version": "1.0",
        "source": {"id": f"2699.{number:05}", "kind": "arxiv", "version": 1},
    }


def sign(event: Draft, key: SigningKey, *, again: bool = False) -> Draft:
    """Return a copy of an event with the id of its content and a signature (E2, S3).

    Args:
        event: Anything; its id and signature are replaced.
        key: The signer.
        again: Whether it is another signature than the usual one.
    """
    body = without(event, "event_id", "signature")
    digest = sha256(canonical(body))
    signature = key.sign_again(digest) if again else key.sign(digest)
    return {
        **body,
        "event_id": f"sha256:{digest.hex()}",
        "signature": {"algorithm": "ed25519", "signature_b64": base64_text(signature)},
    }


class Paper:
    """A record, and what is said about it."""

    def __init__(self, value: Draft) -> None:
        """Take the value of a record (R1)."""
        self.value = value
        self.record = parse_record(value)
        self._digest = bytes.fromhex(self.record.canonical_sha256)

    @property
    def digest(self) -> bytes:
        """The `canonical_sha256`, which receipts sign, 32 raw bytes."""
        return self._digest

    def receipt(self, key: SigningKey, signed_at: str = NOON, **changes: Any) -> Draft:
        """Return a receipt (S2)."""
        return {
            "kind": "pith_receipt",
            "key_id": key.key_id,
            "algorithm": "ed25519",
            "signed_at": signed_at,
            "signature_b64": base64_text(key.sign(self._digest)),
            **changes,
        }

    def event(
        self,
        key: SigningKey,
        event_type: str,
        payload: Any = None,
        created_at: Any = NOON,
        **changes: Any,
    ) -> Draft:
        """Return a signed event.

        Args:
            key: The signer.
            event_type: Any type.
            payload: One that fits the type if None.
            created_at: Any value.
            changes: Members that are replaced or added before it is signed.
        """
        kind = EVENT_TYPES.get(event_type)
        event = {
            "event_type": event_type,
            "subject_pith_number": self.record.pith_number,
            "target": "record" if kind is None else kind.target,
            "payload": self.payload(event_type, key) if payload is None else payload,
            "created_at": created_at,
            "signer": key.signer_value(),
            **changes,
        }
        return sign(event, key)

    def revocation(self, key: SigningKey, of: Draft, created_at: str = NOON) -> Draft:
        """Return an event that revokes another one (M3)."""
        payload = {"event_id": of["event_id"], "reason": "signed by mistake"}
        return self.event(key, "event_revoked", payload, created_at)

    def claim(self, kind: str = "arxiv", created_at: Any = NOON, value: str | None = None) -> Draft:
        """Return an alias claim (B3)."""
        alias = dict(self.record.aliases).get(kind, "") if value is None else value
        return {"alias_kind": kind, "alias_value": alias, "created_at": created_at}

    def bundle(
        self,
        events: Iterable[Any] = (),
        receipts: Iterable[Any] = (),
        claims: Iterable[Any] = (),
        **changes: Any,
    ) -> Draft:
        """Return a bundle (B1)."""
        return {
            "bundle_type": "pith_open_graph_bundle",
            "bundle_version": "1.0",
            "pith_number": self.record.pith_number,
            "short_pith_number": self.record.short_pith_number,
            "canonical_record": self.value,
            "canonical_sha256": self.record.canonical_sha256,
            "source": self.value["source"],
            "source_aliases": [*claims],
            "events": [*events],
            "receipts": [*receipts],
            **changes,
        }

    def payload(self, event_type: str, key: SigningKey, **changes: Any) -> Draft:
        """Return a payload that fits a type of E4; `{"n": 1}` for other types."""
        made: dict[str, Draft] = {
            "record_created": {
                "canonical_record": self.value,
                "canonical_sha256": self.record.canonical_sha256,
                "receipt": self.receipt(key),
            },
            "graph_snapshot": {"graph_snapshot": {"references": [{"arxiv_id": "2699.00001"}]}},
            "timestamp_anchored": {
                "method": "opentimestamps",
                "digest": self.record.canonical_sha256,
                "proof_b64": "cHJvb2Y=",
            },
            "storage_attested": {
                "archive": "an archive",
                "url": "https://archive.example/1",
                "captured_at": NOON,
            },
            "author_claimed": {
                "claimant_id": "author-1",
                "method": "orcid",
                "strength": "strong",
                "status": "claimed",
            },
            "citation_signed": {
                "citing": "arxiv:2699.00009",
                "asserted_by": "author-1",
                "relationship": "supports",
                "status": "asserted",
            },
            "replication_recorded": {
                "kind": "replication",
                "asserted_by": "author-1",
                "url": "https://replication.example/1",
                "status": "asserted",
            },
            "pith.integrity.v1": {
                "event_type": "pith.integrity.v1",
                "detector": "doi_compliance",
                "detector_version": "1.0.0",
                "finding_type": "broken_identifier",
                "verdict_class": "cross_source",
                "severity": "advisory",
                "arxiv_id": "2699.00001",
                "evidence_hash": "e" * 64,
                "evidence": {"snippet": "doi:10.0000/none"},
                "audited_at": NOON,
            },
            "challenge_filed": {
                "challenge_id": "challenge-1",
                "asserted_by": "author-1",
                "about": "claim",
                "note": "A case is missing.",
                "status": "open",
            },
            "event_revoked": {"event_id": f"sha256:{'0' * 64}", "reason": "signed by mistake"},
        }
        return {**made.get(event_type, {"n": 1}), **changes}
