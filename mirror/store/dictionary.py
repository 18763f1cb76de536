"""What nearly every content and outline holds, as a dictionary for zstd: so short texts pack well.

It is part of the format: what was compressed with it can only be read with it. So it never
changes; another one would need another migration. Common things stand last, where zstd reaches
them cheapest.
"""

from __future__ import annotations

import orjson

from mirror.core.packed import pack
from mirror.core.values import Object, Value

__all__ = ["DICTIONARY"]

_TIME = "2026-05-18T00:00:00Z"
_EMPTY_LIST = "258153158e38e3291e3d48162225fcdb2d5a3ed65a07baac614ab91432fd4f57"
_LICENSE = "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"
_BUILDER = "pith-number-builder-2026-05-17-v1"
_KEY_ID = "pith-v1-2026-05"

_SIGNATURE: Object = {"algorithm": "ed25519", "signature_b64": "=="}
_SIGNER: Object = {
    "key_id": _KEY_ID,
    "public_key_fingerprint": "8d4b5ee74e4693bcd1df2446408b0d54",
    "signer_id": "pith.science",
    "signer_type": "pith_registry",
}
_METADATA: Object = {
    "abstract_canon_sha256": "",
    "cross_cats_sorted": ["cs.LG"],
    "license": _LICENSE,
    "primary_cat": "math.",
    "submitted_at": "2017-05-27T08:10:40Z",
    "title_canon_sha256": "",
}
_SOURCE: Object = {"id": "1705.", "kind": "arxiv", "version": 1}
_RECORD: Object = {"metadata": _METADATA, "schema_version": "1.0", "source": _SOURCE}
_RECEIPT: Object = {
    "algorithm": "ed25519",
    "builder": _BUILDER,
    "key_id": _KEY_ID,
    "kind": "pith_receipt",
    "signature_b64": "==",
    "signed_at": "2026-05-18T00:00:00.000000Z",
}
_EMPTY: Object = {"count": 0, "items": [], "snapshot_sha256": _EMPTY_LIST}
_REFERENCE: Object = {
    "arxiv_id": None,
    "cited_pith_number": "pith:2017:",
    "index": 1,
    "resolved": False,
    "title": "",
}
_UNRESOLVED: Object = {**_REFERENCE, "cited_pith_number": None, "index": 2}
_SNAPSHOT: Object = {
    "author_claims": {"count": 0, "snapshot_sha256": _EMPTY_LIST, "strong_count": 0},
    "builder_version": _BUILDER,
    "claims": _EMPTY,
    "formal_canon": {"evidence_count": 0, "snapshot_sha256": _EMPTY_LIST},
    "paper": {
        "abstract_excerpt": "We the of and in to that for is with on this by are",
        "authors_text": "",
        "cross_cats": ["cs."],
        "headline": "",
        "license": _LICENSE,
        "primary_cat": "cs.",
        "submitted_at": "2017-05-27T08:10:40Z",
        "title": "",
    },
    "references": {
        "count": 6,
        "internal_anchors": 1,
        "resolved_work": 2,
        "sample": [_REFERENCE, _UNRESOLVED],
        "snapshot_sha256": "",
    },
    "source": _SOURCE,
    "verdict": {
        "created_at": None,
        "id": None,
        "model_set": {},
        "one_line_summary": "",
        "pipeline_version": None,
        "pith_extraction_headline": "",
        "strongest_claim": "",
        "weakest_assumption": "",
    },
}


def _event(event_type: str, target: str, payload: Object) -> Object:
    return {
        "created_at": _TIME,
        "event_id": "sha256:",
        "event_type": event_type,
        "payload": payload,
        "signature": _SIGNATURE,
        "signer": _SIGNER,
        "subject_pith_number": "pith:20",
        "target": target,
    }


_WORDS: list[Value] = ["asserted", "cites", "claimed", "orcid", "strong", "https://", "withdrawn"]
_OTHERS: list[Value] = [
    _event(name, target, dict.fromkeys(members.split(), ""))
    for name, target, members in (
        ("timestamp_anchored", "record", "method digest proof_b64 calendar"),
        ("storage_attested", "record", "archive url captured_at"),
        ("author_claimed", "record", "claimant_id method strength status"),
        ("citation_signed", "record", "citing asserted_by relationship status claim_id"),
        ("replication_recorded", "record", "kind asserted_by url status claim_id"),
        (
            "pith.integrity.v1",
            "integrity",
            (
                "event_type detector detector_version finding_type verdict_class severity"
                " arxiv_id evidence_hash evidence audited_at"
            ),
        ),
        ("challenge_filed", "record", "challenge_id asserted_by about note status"),
    )
]
_ALIASES: list[Value] = [
    ["arxiv", "1705.", _TIME],
    ["arxiv_version", "1705.v1", _TIME],
    ["doi", "10.48550/arxiv.1705.", _TIME],
    ["pith_short_12", "", _TIME],
    ["pith_short_16", "", _TIME],
    ["pith_short_8", "", _TIME],
]
_CREATED: Object = {"canonical_record": _RECORD, "canonical_sha256": "", "receipt": _RECEIPT}
_OUTLINE: Object = {
    "state_type": "pith_open_graph_state",
    "state_version": "1.0",
    "pith_number": "pith:20",
    "merge_version": "pith-open-graph-merge-v1",
    "event_count": 2,
    "valid_event_count": 2,
    "invalid_event_count": 0,
    "equivocation_count": 0,
    "current": {
        "canonical_record": None,
        "source_aliases": [
            {"alias_kind": kind, "alias_value": value, "created_at": _TIME}
            for kind, value, _ in [item for item in _ALIASES if isinstance(item, list)]
        ],
        "graph_snapshots": [
            {
                "event_id": "sha256:",
                "target": "graph",
                "created_at": _TIME,
                "signer": _SIGNER,
                "payload": None,
            }
        ],
        "receipt": {name: one for name, one in _RECEIPT.items() if name != "builder"},
        "timestamps": [],
        "storage_attestations": [],
        "author_claims": [],
        "citations": [],
        "replications": [],
        "integrity_findings": [],
        "challenges": [],
        "other_events": [],
    },
    "equivocations": [],
    "invalid_events": [],
    "retired_events": [],
}

DICTIONARY = b"".join(
    [
        *(pack(value) for value in (*_WORDS, *_OTHERS)),
        orjson.dumps(_OUTLINE),
        pack(_RECORD),
        pack(_ALIASES),
        pack(_event("graph_snapshot", "graph", {"graph_snapshot": _SNAPSHOT})),
        pack(_event("record_created", "record", _CREATED)),
    ]
)
"""The bytes, for a dictionary of zstd's kind "raw content"."""
