"""A bundle with something hostile in every place where a string may stand, and the key of it."""

from __future__ import annotations

from pathlib import Path

from tests.builders import (
    Object,
    Signer,
    author_claim,
    challenge,
    citation,
    created,
    integrity,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    replication,
    revocation,
    snapshot,
    storage,
    timestamp,
    to_json,
)
from tests.web.conftest import make_store

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
BIDI = "\u202egnp.exe\u2066\u2067\u200b\u00ad\ufeff\u3164\x00\x1b[31m"
QUOTES = "\"'><svg/onload=alert(1)>&lt;b&gt;{{7*7}}{% raw %}"
URL = "javascript:alert(document.domain)//https://x"
LONG = "ᚠW" * 5000
ZALGO = "e" + "\u0301" * 300
EVIL = f"{SCRIPT}{BIDI}{QUOTES}{ZALGO}{LONG}"
SHORTER = EVIL[:1500]
"""Fits into a receipt, whose size is limited."""

SIGNER = Signer("mallory", key_id=f"key {SCRIPT}{BIDI}", signer_id=f"who {QUOTES}{BIDI}",
                signer_type=f"what {SCRIPT}", event_types=("*", EVIL))  # fmt: skip
STRANGER = Signer("stranger", key_id=EVIL, signer_id=EVIL, signer_type=EVIL)


def hostile_record() -> Object:
    """A record that is all but one long attack."""
    return make_record(
        "A title", arxiv_id=f"{SCRIPT}{BIDI}{QUOTES}", license=URL,
        primary_cat=SCRIPT, cross_cats=sorted([BIDI, EVIL[:4000], QUOTES]),
    )  # fmt: skip


def _graph() -> Object:
    paper = {"title": EVIL, "authors_text": BIDI + EVIL, "abstract_excerpt": EVIL, "license": URL}
    references = [{"raw": EVIL, "arxiv_id": URL}, {"title": SCRIPT, "doi": EVIL}, {"raw": LONG}]
    return {
        "paper": paper,
        "references": {"count": 3, "sample": [*references, EVIL, 7]},
        "builder_version": EVIL,
    }


def _events(record: Object) -> list[object]:
    payloads = {
        "record_created": created(record, SIGNER, builder_version=EVIL),
        "graph_snapshot": snapshot(_graph()),
        "timestamp_anchored": timestamp(record, calendar=URL),
        "storage_attested": storage(SCRIPT, URL),
        "author_claimed": author_claim(EVIL),
        "citation_signed": citation(URL, asserted_by=EVIL, claim_id=BIDI),
        "replication_recorded": replication(
            "https://x\u202e@evil.example/" + EVIL, asserted_by=URL
        ),
        "pith.integrity.v1": integrity(detector=EVIL, finding_type=SCRIPT, arxiv_id=BIDI),
        "challenge_filed": challenge(EVIL, note=EVIL, asserted_by=URL),
        "event_revoked": revocation("sha256:" + "0" * 64, EVIL),
        "mallory.event": {EVIL: EVIL, SCRIPT: URL, "list": [EVIL], BIDI: 7},
    }
    valid = [make_event(record, SIGNER, name, payload) for name, payload in payloads.items()]
    valid.append(make_event(record, SIGNER, "citation_signed", citation(SCRIPT + EVIL)))
    refused = make_event(record, SIGNER, "citation_signed", citation(), created_at=EVIL)
    unknown = make_event(record, STRANGER, "citation_signed", citation(EVIL))
    return [*valid, refused, unknown, EVIL, None, 7, [EVIL], {EVIL: EVIL}, {"event_type": EVIL}]


def hostile_store(folder: Path) -> tuple[Path, str]:
    """A store of the bundle and its key; its path, and the record's suffix."""
    record = hostile_record()
    receipts = [{"kind": "pith_receipt", "algorithm": "ed25519", "key_id": SHORTER}, SHORTER]
    bundle = make_bundle(record, _events(record), receipts)
    (folder / "keys.json").write_bytes(key_set_file(SIGNER))
    (folder / f"{SCRIPT[:8]}.json").write_bytes(to_json(bundle))
    store = make_store(
        folder / "mirror.db", folder / f"{SCRIPT[:8]}.json", keys=folder / "keys.json"
    )
    return store, bundle["pith_number"][-26:]
