"""What a competent person writes in an hour to check a bag and keep what is in it.

    python -m benchmark.baseline_script BAG KEYS DB

It shares nothing with `mirror`: tarfile, json, cryptography and sqlite3, one thread, one pass. It
checks what can make a bundle false (hashes, ids, keys, signatures) and keeps bundles, events with
their verdicts, and a current state of each record. It leaves out what an hour does not reach: the
manifests of the bag, strict JSON, the shapes of E4, bundles that come twice, equivocations, seals,
and going on after an interruption.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import sqlite3
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Object = dict[str, Any]

_COMMIT_EVERY = 1000

_SLOTS = {
    "timestamp_anchored": ("method", "calendar"),
    "storage_attested": ("archive", "url"),
    "author_claimed": ("claimant_id",),
    "citation_signed": ("asserted_by", "citing", "relationship", "claim_id"),
    "replication_recorded": ("asserted_by", "kind", "claim_id", "url"),
    "pith.integrity.v1": ("evidence_hash",),
    "challenge_filed": ("challenge_id",),
}

_TABLES = """
CREATE TABLE bundle (pith_number TEXT PRIMARY KEY, sha256 TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE event (
    event_id TEXT NOT NULL, pith_number TEXT NOT NULL, fault TEXT, text TEXT NOT NULL
);
CREATE INDEX event_of ON event (pith_number);
CREATE TABLE state (pith_number TEXT PRIMARY KEY, text TEXT NOT NULL);
"""


def main(bag: Path, keys_path: Path, db: Path) -> None:
    """Check and keep every bundle of a bag; print what was counted."""
    keys = {key["key_id"]: _Key(key) for key in json.loads(keys_path.read_text())["keys"]}
    counts: Counter[str] = Counter()
    conn = sqlite3.connect(db)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.executescript(_TABLES)
    for bundle in _bundles(bag):
        _take(bundle, keys, conn, counts)
        if counts["records"] % _COMMIT_EVERY == 0:
            conn.commit()
    conn.commit()
    conn.close()
    print(json.dumps(counts))


def _bundles(bag: Path) -> Iterator[Object]:
    with tarfile.open(bag, "r|") as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and member.name.endswith("/bundle.json"):
                yield json.load(file)


def _take(
    bundle: Object, keys: dict[str, _Key], conn: sqlite3.Connection, counts: Counter[str]
) -> None:
    record, number = bundle["canonical_record"], bundle["pith_number"]
    digest = _sha256(record)
    if digest.hex() != bundle["canonical_sha256"] or not _is_number_of(number, record, digest):
        counts["refused"] += 1
        return
    faults = [_fault(event, bundle, digest, keys, counts) for event in bundle["events"]]
    conn.execute("INSERT INTO bundle VALUES (?, ?, ?)", (number, digest.hex(), _dumps(bundle)))
    rows = [
        (event["event_id"], number, fault, _dumps(event))
        for event, fault in zip(bundle["events"], faults, strict=True)
    ]
    conn.executemany("INSERT INTO event VALUES (?, ?, ?, ?)", rows)
    valid = [event for event, fault in zip(bundle["events"], faults, strict=True) if not fault]
    conn.execute("INSERT INTO state VALUES (?, ?)", (number, _dumps(_state(record, valid, keys))))
    counts.update(records=1, valid_events=len(valid), invalid_events=len(rows) - len(valid))


# Verifying -----------------------------------------------------------------------------------


class _Key:
    def __init__(self, value: Object) -> None:
        raw = bytes.fromhex(value["public_key_hex"])
        self.fingerprint = hashlib.sha256(raw).hexdigest()[:32]
        self.value = value
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    def may_sign(self, event_type: str) -> bool:
        return "*" in self.value["event_types"] or event_type in self.value["event_types"]

    def has_signed(self, digest: bytes, signature_b64: str) -> bool:
        try:
            self._key.verify(base64.b64decode(signature_b64, validate=True), digest)
        except (InvalidSignature, binascii.Error):
            return False
        return True


def _dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _sha256(value: Any) -> bytes:
    return hashlib.sha256(_dumps(value).encode()).digest()


def _is_number_of(number: str, record: Object, digest: bytes) -> bool:
    year, suffix = record["metadata"]["submitted_at"][:4], base64.b32encode(digest)[:26].decode()
    return number == f"pith:{year}:{suffix}"


def _fault(
    event: Object, bundle: Object, digest: bytes, keys: dict[str, _Key], counts: Counter[str]
) -> str | None:
    """Return why an event does not count, or None."""
    signed = {name: event[name] for name in event if name not in ("event_id", "signature")}
    event_digest = _sha256(signed)
    if event["event_id"] != f"sha256:{event_digest.hex()}":
        return "id"
    if event["subject_pith_number"] != bundle["pith_number"]:
        return "subject"
    key = keys.get(event["signer"]["key_id"])
    if key is None or event["signer"]["public_key_fingerprint"] != key.fingerprint:
        return "key"
    counts["signatures"] += 1
    if not key.has_signed(event_digest, event["signature"]["signature_b64"]):
        return "signature"
    if not key.may_sign(event["event_type"]):
        return "role"
    if event["event_type"] == "record_created":
        return _fault_of_receipt(event["payload"]["receipt"], digest, keys, counts)
    return None


def _fault_of_receipt(
    receipt: Object, digest: bytes, keys: dict[str, _Key], counts: Counter[str]
) -> str | None:
    key = keys.get(receipt["key_id"])
    if key is None or not key.may_sign("record_created"):
        return "receipt"
    counts["signatures"] += 1
    return None if key.has_signed(digest, receipt["signature_b64"]) else "receipt"


# The current state ---------------------------------------------------------------------------


def _state(record: Object, events: list[Object], keys: dict[str, _Key]) -> Object:
    """Return the last word of each slot that is not revoked or withdrawn."""
    events.sort(key=lambda event: (event["created_at"], event["event_id"]))
    revoked = _revoked(events, keys)
    slots = {_slot(event): event for event in events}
    shown = [event for event in slots.values() if event["event_id"] not in revoked]
    current: dict[str, list[Object]] = {}
    for event in shown:
        if event["payload"].get("status") != "withdrawn":
            current.setdefault(event["event_type"], []).append(event)
    return {"canonical_record": record, "event_count": len(events), "current": current}


def _slot(event: Object) -> tuple[str | None, ...]:
    """Return what an event speaks of; events of other types stand for themselves."""
    members = _SLOTS.get(event["event_type"])
    if members is None:
        return (event["event_id"],)
    said = (event["payload"].get(name) for name in members)
    return (event["signer"]["signer_id"], event["event_type"], *said)


def _revoked(events: list[Object], keys: dict[str, _Key]) -> set[str]:
    by_id = {event["event_id"]: event for event in events}
    revoked = set()
    for event in events:
        target = by_id.get(event["payload"].get("event_id", ""))
        if event["event_type"] == "event_revoked" and target is not None:
            key = keys[event["signer"]["key_id"]].value
            if key["may_revoke_others"] or event["signer"] == target["signer"]:
                revoked.add(target["event_id"])
    return revoked


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
