"""Payloads of E4 for a made-up paper, and the graph snapshot that upstream attaches to each."""

from __future__ import annotations

import base64
import hashlib
from random import Random
from typing import Any, Final

from benchmark import texts
from benchmark.papers import Object, Paper, arxiv_id, canonical
from benchmark.signers import Signer

BUILDER: Final = "pith-number-builder-2026-05-17-v1"


def digest_of(value: Any) -> str:
    """Return the payload digest of a part of a graph snapshot (V4)."""
    return hashlib.sha256(canonical({"payload": value})).hexdigest()


def made_up_digest(rng: Random) -> str:
    """Return 64 hexadecimal digits that are the digest of nothing."""
    return rng.randbytes(32).hex()


def created(paper: Paper, signer: Signer, at: str) -> Object:
    """Return the payload of `record_created`, with its receipt (S2)."""
    receipt = {
        "kind": "pith_receipt",
        "key_id": signer.key_id,
        "algorithm": "ed25519",
        "signed_at": at,
        "builder": BUILDER,
        "signature_b64": signer.sign(paper.digest),
    }
    return {
        "canonical_record": paper.record,
        "canonical_sha256": paper.digest.hex(),
        "receipt": receipt,
    }


# graph_snapshot: members and their sizes as upstream's have them ------------------------------


def snapshot(paper: Paper, rng: Random) -> Object:
    """Return the payload of `graph_snapshot`."""
    references = [_reference(index, rng) for index in range(1, rng.randint(1, 9))]
    claims = [_claim(index, rng) for index in range(rng.choice((0, 0, 1, 3)))]
    return {
        "graph_snapshot": {
            "paper": _paper_part(paper),
            "claims": {"count": len(claims), "items": claims, "snapshot_sha256": digest_of(claims)},
            "source": paper.record["source"],
            "verdict": _verdict(rng),
            "references": _references_part(references),
            "formal_canon": {"evidence_count": 0, "snapshot_sha256": digest_of([])},
            "author_claims": {"count": 0, "strong_count": 0, "snapshot_sha256": digest_of([])},
            "builder_version": BUILDER,
        }
    }


def _paper_part(paper: Paper) -> Object:
    metadata = paper.record["metadata"]
    return {
        "title": paper.title,
        "license": metadata["license"],
        "headline": "",
        "cross_cats": metadata["cross_cats_sorted"],
        "primary_cat": metadata["primary_cat"],
        "authors_text": paper.authors,
        "submitted_at": metadata["submitted_at"],
        "abstract_excerpt": paper.abstract[:600],
    }


def _references_part(references: list[Object]) -> Object:
    return {
        "count": len(references),
        "sample": references,
        "resolved_work": sum(reference["resolved"] for reference in references),
        "snapshot_sha256": digest_of(references),
        "internal_anchors": sum(bool(one["cited_pith_number"]) for one in references),
    }


def _reference(index: int, rng: Random) -> Object:
    resolved = rng.random() < 0.6
    suffix = base64.b32encode(rng.randbytes(20))[:26].decode()
    number = f"pith:{rng.randint(1995, 2026)}:{suffix}"
    return {
        "index": index,
        "title": texts.title(rng),
        "arxiv_id": arxiv_id(rng) if resolved else None,
        "cited_pith_number": number if resolved and rng.random() < 0.5 else None,
        "resolved": resolved,
    }


def _claim(index: int, rng: Random) -> Object:
    text = texts.words(rng, rng.randint(10, 25))
    return {"claim_id": f"C{index + 1}", "kind": "result", "text": text, "status": "extracted"}


def _verdict(rng: Random) -> Object:
    has_one = rng.random() < 0.3
    return {
        "id": made_up_digest(rng)[:32] if has_one else None,
        "model_set": {},
        "created_at": None,
        "strongest_claim": texts.words(rng, 14) if has_one else "",
        "one_line_summary": texts.words(rng, 18) if has_one else "",
        "pipeline_version": None,
        "weakest_assumption": "",
        "pith_extraction_headline": "",
    }


# The other types ------------------------------------------------------------------------------


def timestamp(paper: Paper, rng: Random) -> Object:
    """Return the payload of `timestamp_anchored`; such a proof is some hundred bytes."""
    return {
        "method": "opentimestamps",
        "calendar": "https://calendar.example",
        "digest": paper.digest.hex(),
        "proof_b64": base64.b64encode(rng.randbytes(rng.randint(150, 400))).decode(),
    }


def storage(paper: Paper) -> Object:
    """Return the payload of `storage_attested`."""
    url = f"https://archive.example/web/2026/https://registry.example/pith/{paper.suffix}"
    return {"archive": "archive.example", "url": url, "captured_at": "2026-05-20T11:00:00Z"}


def author_claim(author: Signer, status: str = "claimed") -> Object:
    """Return the payload of `author_claimed`."""
    return {
        "claimant_id": author.signer_id,
        "method": "orcid",
        "strength": "strong",
        "status": status,
    }


def citation(author: Signer, citing: str, **members: str) -> Object:
    """Return the payload of `citation_signed`."""
    return {
        "citing": citing,
        "asserted_by": author.signer_id,
        "relationship": "extends",
        "status": "asserted",
        **members,
    }


def replication(author: Signer, rng: Random) -> Object:
    """Return the payload of `replication_recorded`."""
    return {
        "kind": "replication",
        "asserted_by": author.signer_id,
        "url": f"https://code.example/{made_up_digest(rng)[:12]}",
        "status": "asserted",
        "note": texts.words(rng, 20),
    }


def integrity(paper: Paper, rng: Random) -> Object:
    """Return the payload of `pith.integrity.v1`; its score is the one float of a bundle."""
    return {
        "event_type": "pith.integrity.v1",
        "detector": "doi_compliance",
        "detector_version": "1.0.0",
        "finding_type": "broken_identifier",
        "verdict_class": "cross_source",
        "severity": "advisory",
        "arxiv_id": paper.record["source"]["id"],
        "evidence_hash": made_up_digest(rng),
        "evidence": {"snippet": texts.words(rng, 12), "score": rng.randint(501, 999) / 1000},
        "audited_at": "2026-05-19T23:17:27.287442+00:00",
    }


def challenge(author: Signer, rng: Random) -> Object:
    """Return the payload of `challenge_filed`."""
    return {
        "challenge_id": f"challenge-{made_up_digest(rng)[:8]}",
        "asserted_by": author.signer_id,
        "about": "claim",
        "note": texts.words(rng, 25),
        "status": "open",
    }


def revocation(event_id: str) -> Object:
    """Return the payload of `event_revoked`."""
    return {"event_id": event_id, "reason": "signed by mistake"}
