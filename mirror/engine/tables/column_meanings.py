"""Meanings of the columns that hold members of payloads (E4)."""

from __future__ import annotations

from mirror.core.events.types import (
    CITATION,
    INTEGRITY,
    RECORD_CREATED,
    REVOCATION,
    STORAGE,
    TIME_STAMP,
    MemberCheck,
)

__all__ = ["payload_meaning"]

_BY_MEMBER = {
    "asserted_by": "person or program that asserts it, as the signer writes it",
    "claim_id": "claim of the paper that it is about; NULL if it names none",
    "status": "status of the claim",
}
"""Members with one meaning in every type."""

_BY_TYPE = {
    RECORD_CREATED: {
        "canonical_sha256": "digest of the record, hexadecimal (R2)",
        "receipt": "receipt of the record (S2)",
    },
    TIME_STAMP: {
        "method": "kind of the proof",
        "digest": "digest of the record, hexadecimal (R2)",
        "calendar": "calendar that made the proof; NULL if it names none",
    },
    STORAGE: {
        "archive": "archive that has the capture, as the signer names it",
        "url": "URL of the capture",
        "captured_at": "time of the capture, as the signer writes it",
    },
    "author_claimed": {
        "claimant_id": "author, as the signer names it, such as an ORCID iD",
        "method": "way in which the author was identified",
        "strength": "strength of that",
    },
    CITATION: {
        "citing": "citing work, as the signer names it",
        "relationship": "relationship of the citing work to the record",
    },
    "replication_recorded": {
        "kind": "kind of the replication",
        "url": "URL of the replication",
    },
    INTEGRITY: {
        "detector": "program that made the finding",
        "detector_version": "version of that program",
        "finding_type": "kind of the finding",
        "verdict_class": "class of the verdict",
        "severity": "severity",
        "arxiv_id": "arXiv id of the paper, as the signer writes it",
        "evidence_hash": "digest of the evidence, hexadecimal",
        "evidence": "evidence",
        "audited_at": "time of the audit, as the signer writes it",
    },
    "challenge_filed": {
        "challenge_id": "id of the challenge, which its signer chose",
        "about": "part of the paper that it disputes",
        "note": "note in words",
    },
    REVOCATION: {
        "event_id": "id of the event that it revokes",
        "reason": "reason in words",
    },
}
"""Other members, by event type."""


def payload_meaning(event_type: str, member: str, check: MemberCheck | None) -> str:
    """Return the meaning of a member of a payload, with the values that it may have."""
    meaning = _BY_TYPE.get(event_type, {}).get(member) or _BY_MEMBER[member]
    allowed = check.allowed if check else ()
    return f"{meaning}: {', '.join(allowed)}" if allowed else meaning
