"""Deterministic test data: made-up keys from fixed seeds, and records, events and bundles by rule.

Nothing in here is random, reads a clock or imports `mirror`: the rules come from the oracle, only
the signing from `cryptography`, because the oracle's own is slow. What a builder makes is valid
unless the caller asks for something else. Make faulty data by changing a member and, where its id
and signature shall fit again, by `sign_event`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import oracle

Object = dict[str, Any]

NOON = "2026-01-01T12:00:00Z"
"""When events are dated that say nothing else."""

SUBMITTED_AT = "2024-01-02T03:04:05Z"

EVENT_TARGETS = {
    "record_created": "record",
    "graph_snapshot": "graph",
    "timestamp_anchored": "record",
    "storage_attested": "record",
    "author_claimed": "record",
    "citation_signed": "record",
    "replication_recorded": "record",
    "pith.integrity.v1": "integrity",
    "challenge_filed": "record",
    "event_revoked": "event",
}
"""The types of E4 in its order, with their target; other types get `record`."""


def to_json(value: Any) -> bytes:
    """Compact JSON, members in the order they have."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def without(value: Object, *names: str) -> Object:
    """A copy without these members."""
    return {name: item for name, item in value.items() if name not in names}


# Keys ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signer:
    """A made-up key, the same on every machine: its seed is the SHA-256 of its name."""

    name: str
    _: KW_ONLY
    key_id: str = ""
    """`key-<name>` if not given."""
    signer_id: str = ""
    """`<name>` if not given; two signers with one id and type are one authority."""
    signer_type: str = "person"
    valid_from: str | None = None
    valid_until: str | None = None
    event_types: tuple[str, ...] = ("*",)
    may_revoke_others: bool | None = None
    """None leaves the member out of the key set file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_id", self.key_id or f"key-{self.name}")
        object.__setattr__(self, "signer_id", self.signer_id or self.name)

    @property
    def seed(self) -> bytes:
        """The 32-byte Ed25519 seed."""
        return hashlib.sha256(f"mirror test key {self.name}".encode()).digest()

    @cached_property
    def _private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def public_key(self) -> bytes:
        """The raw 32-byte public key."""
        return self._private_key.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """The first 32 hexadecimal digits of sha256(key) (K1)."""
        return hashlib.sha256(self.public_key).hexdigest()[:32]

    def key_value(self, **overrides: Any) -> Object:
        """The key as a member of a key set file (K2)."""
        value: Object = {
            "key_id": self.key_id,
            "algorithm": "ed25519",
            "public_key_hex": self.public_key.hex(),
            "signer_id": self.signer_id,
            "signer_type": self.signer_type,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "event_types": list(self.event_types),
        }
        if self.may_revoke_others is not None:
            value["may_revoke_others"] = self.may_revoke_others
        return {**value, **overrides}

    def signer_value(self, **overrides: Any) -> Object:
        """The `signer` of an event (E1)."""
        return {
            "key_id": self.key_id,
            "public_key_fingerprint": self.fingerprint,
            "signer_id": self.signer_id,
            "signer_type": self.signer_type,
            **overrides,
        }

    def sign(self, digest: bytes) -> str:
        """The signature of raw bytes in base64."""
        return base64.b64encode(self._private_key.sign(digest)).decode()

    def sign_with_nonce(self, digest: bytes, nonce: int) -> str:
        """Another signature of the same bytes in base64, as valid as that of `sign` (slow)."""
        return base64.b64encode(oracle.sign_with_nonce(self.seed, digest, nonce)).decode()


def key_set_file(*signers: Signer) -> bytes:
    """A key set file (K2)."""
    return to_json({"keys": [signer.key_value() for signer in signers]})


# Records -------------------------------------------------------------------------------------


def text_digest(text: str) -> str:
    """The digest of a title or abstract (R5)."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()


def make_record(
    title: str = "On mirrors",
    abstract: str = "What a mirror shows is the other way round.",
    arxiv_id: str = "2401.00001",
    version: int = 1,
    *,
    kind: str = "arxiv",
    submitted_at: str = SUBMITTED_AT,
    primary_cat: str = "cs.DL",
    cross_cats: Sequence[str] = ("cs.CR", "math.HO"),
    license: str = "http://creativecommons.org/licenses/by/4.0/",  # noqa: A002
) -> Object:
    """A canonical record (R1)."""
    return {
        "metadata": {
            "abstract_canon_sha256": text_digest(abstract),
            "cross_cats_sorted": list(cross_cats),
            "license": license,
            "primary_cat": primary_cat,
            "submitted_at": submitted_at,
            "title_canon_sha256": text_digest(title),
        },
        "schema_version": "1.0",
        "source": {"id": arxiv_id, "kind": kind, "version": version},
    }


def make_receipt(record: Object, signer: Signer, signed_at: str = NOON, **overrides: Any) -> Object:
    """A receipt (S2)."""
    return {
        "kind": "pith_receipt",
        "key_id": signer.key_id,
        "algorithm": "ed25519",
        "signed_at": signed_at,
        "signature_b64": signer.sign(bytes.fromhex(oracle.record_digest(record))),
        **overrides,
    }


# Events --------------------------------------------------------------------------------------


def make_event(
    record: Object,
    signer: Signer,
    event_type: str,
    payload: Any,
    created_at: str = NOON,
    *,
    target: str | None = None,
    **extra_members: Any,
) -> Object:
    """An event with its id and signature (E1, E2, S3); `target` is that of E4 if not given.

    Args:
        record: The canonical record that the event speaks of.
        signer: Who signs, and whose key the envelope names.
        event_type: Any type.
        payload: As a function below makes it, or anything.
        created_at: Any string.
        target: Any string.
        extra_members: Put into the envelope before signing; may replace `subject_pith_number`.
    """
    event = {
        "event_type": event_type,
        "subject_pith_number": oracle.pith_number_of(record),
        "target": EVENT_TARGETS.get(event_type, "record") if target is None else target,
        "payload": payload,
        "created_at": created_at,
        "signer": signer.signer_value(),
        **extra_members,
    }
    return sign_event(event, signer)


def sign_event(event: Object, signer: Signer) -> Object:
    """A copy of `event`, whatever is in it, with the id of its content and a fitting signature."""
    digest = oracle.event_digest(event)
    return {
        **event,
        "event_id": f"sha256:{digest}",
        "signature": {
            "algorithm": "ed25519",
            "signature_b64": signer.sign(bytes.fromhex(digest)),
        },
    }


def sign_event_again(event: Object, signer: Signer, nonce: int = 12345) -> Object:
    """The same event with another valid signature: one event by M1, another value."""
    digest = bytes.fromhex(oracle.event_digest(event))
    signature_b64 = signer.sign_with_nonce(digest, nonce)
    return {**event, "signature": {"algorithm": "ed25519", "signature_b64": signature_b64}}


# Payloads of E4, in its order ----------------------------------------------------------------


def created(record: Object, signer: Signer, signed_at: str = NOON, **overrides: Any) -> Object:
    """The payload of `record_created`, with a receipt by `signer`."""
    return {
        "canonical_record": record,
        "canonical_sha256": oracle.record_digest(record),
        "receipt": make_receipt(record, signer, signed_at),
        **overrides,
    }


def snapshot(graph: Any = None, **overrides: Any) -> Object:
    """The payload of `graph_snapshot`; `graph` is made up if None."""
    made_up = {"aliases": [], "claims": [], "references": [{"arxiv_id": "1706.03762"}]}
    return {"graph_snapshot": made_up if graph is None else graph, **overrides}


def timestamp(record: Object, method: str = "opentimestamps", **overrides: Any) -> Object:
    """The payload of `timestamp_anchored`; `calendar` is absent unless given."""
    proof = base64.b64encode(b"a proof of time").decode()
    digest = oracle.record_digest(record)
    return {"method": method, "digest": digest, "proof_b64": proof, **overrides}


def storage(
    archive: str = "web.archive.org",
    url: str = "https://web.archive.org/web/2026/https://pith.science/pith/X",
    captured_at: str = "2026-01-01T11:00:00Z",
    **overrides: Any,
) -> Object:
    """The payload of `storage_attested`."""
    return {"archive": archive, "url": url, "captured_at": captured_at, **overrides}


def author_claim(
    claimant_id: str = "https://orcid.org/0000-0002-1825-0097",
    status: str = "claimed",
    method: str = "orcid",
    strength: str = "strong",
    **overrides: Any,
) -> Object:
    """The payload of `author_claimed`."""
    return {
        "claimant_id": claimant_id,
        "method": method,
        "strength": strength,
        "status": status,
        **overrides,
    }


def citation(
    citing: str = "arxiv:2501.00002",
    relationship: str = "supports",
    status: str = "asserted",
    asserted_by: str = "https://orcid.org/0000-0002-1825-0097",
    **overrides: Any,
) -> Object:
    """The payload of `citation_signed`; `claim_id` is absent unless given."""
    return {
        "citing": citing,
        "asserted_by": asserted_by,
        "relationship": relationship,
        "status": status,
        **overrides,
    }


def replication(
    url: str = "https://example.org/replication",
    kind: str = "replication",
    status: str = "asserted",
    asserted_by: str = "https://orcid.org/0000-0002-1825-0097",
    **overrides: Any,
) -> Object:
    """The payload of `replication_recorded`; `claim_id` is absent unless given."""
    return {"kind": kind, "asserted_by": asserted_by, "url": url, "status": status, **overrides}


def integrity(
    evidence_hash: str = "e" * 64, verdict_class: str = "cross_source", **overrides: Any
) -> Object:
    """The payload of `pith.integrity.v1`."""
    return {
        "event_type": "pith.integrity.v1",
        "detector": "doi_compliance",
        "detector_version": "1.0.0",
        "finding_type": "broken_identifier",
        "verdict_class": verdict_class,
        "severity": "advisory",
        "arxiv_id": "2401.00001",
        "evidence_hash": evidence_hash,
        "evidence": {"snippet": "doi:10.0000/none"},
        "audited_at": "2026-01-01T11:30:00Z",
        **overrides,
    }


def challenge(
    challenge_id: str = "challenge-1",
    status: str = "open",
    about: str = "claim",
    **overrides: Any,
) -> Object:
    """The payload of `challenge_filed`."""
    return {
        "challenge_id": challenge_id,
        "asserted_by": "https://orcid.org/0000-0002-1825-0097",
        "about": about,
        "note": "Lemma 2 lacks a case.",
        "status": status,
        **overrides,
    }


def revocation(event_id: str, reason: str = "signed by mistake", **overrides: Any) -> Object:
    """The payload of `event_revoked`."""
    return {"event_id": event_id, "reason": reason, **overrides}


def payload_of(event_type: str, record: Object, signer: Signer) -> Object:
    """A payload that fits any type of E4, the same each time; `{}` for other types."""
    payloads = {
        "record_created": created(record, signer),
        "graph_snapshot": snapshot(),
        "timestamp_anchored": timestamp(record),
        "storage_attested": storage(),
        "author_claimed": author_claim(),
        "citation_signed": citation(),
        "replication_recorded": replication(),
        "pith.integrity.v1": integrity(),
        "challenge_filed": challenge(),
        "event_revoked": revocation("sha256:" + "0" * 64),
    }
    return payloads.get(event_type, {})


# Bundles -------------------------------------------------------------------------------------


def make_claims(record: Object, created_at: str = NOON) -> list[Object]:
    """An alias claim for each alias of the record (R4)."""
    return [
        {"alias_kind": kind, "alias_value": value, "created_at": created_at}
        for kind, value in oracle.aliases_of(record)
    ]


def make_bundle(
    record: Object,
    events: Sequence[Any] = (),
    receipts: Sequence[Any] | None = None,
    alias_claims: Sequence[Any] | None = None,
    **overrides: Any,
) -> Object:
    """A bundle (B1); `receipts` is left out if None, `alias_claims` are all of R4's if None."""
    bundle: Object = {
        "bundle_type": "pith_open_graph_bundle",
        "bundle_version": "1.0",
        "pith_number": oracle.pith_number_of(record),
        "short_pith_number": oracle.short_pith_number_of(record),
        "canonical_record": record,
        "canonical_sha256": oracle.record_digest(record),
        "source": record["source"],
        "source_aliases": make_claims(record) if alias_claims is None else list(alias_claims),
        "events": list(events),
    }
    if receipts is not None:
        bundle["receipts"] = list(receipts)
    return {**bundle, **overrides}
