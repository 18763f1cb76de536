"""A store with everything that an evidence file may hold, and files that lie."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror.core.record import Record
from mirror.core.transparency.signed_note import make_signer
from mirror.core.values import canonical, sha256
from mirror.engine.anchors.headers import add_headers
from mirror.engine.evidence.document import make_evidence
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.root import update_root
from mirror.engine.states.trust import add_keys
from mirror.engine.transparency.checkpoints import make_checkpoint
from mirror.store import CheckpointProof, Store, UpstreamStatementRow, open_store
from tests.builders import (
    NOON,
    Object,
    Signer,
    author_claim,
    citation,
    created,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    revocation,
    timestamp,
    to_json,
)
from tests.chains import chain
from tests.helpers import keys_of
from tests.proofs import in_block, path, promised, stamp

REGISTRY, AUTHOR = Signer("registry"), Signer("author")
NOTARY = make_signer("mirror.example/pith", bytes(32))
HEIGHT = 840_000
NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)


def _bundle(record: Object, headers: list[bytes]) -> Object:
    """A bundle with a receipt, time-stamps, a revocation, and events that are refused."""
    digest = Record(record).digest
    proof, (end,) = stamp(digest, (path(), in_block(HEIGHT)))
    headers.append(end)
    pending, _ = stamp(digest, (path("2"), promised()))
    claim = make_event(record, AUTHOR, "author_claimed", author_claim())
    events: list[Any] = [
        make_event(record, REGISTRY, "record_created", created(record, REGISTRY)),
        make_event(record, REGISTRY, "timestamp_anchored", _stamped(record, proof, "a")),
        make_event(record, REGISTRY, "timestamp_anchored", _stamped(record, pending, "b")),
        make_event(record, REGISTRY, "timestamp_anchored", timestamp(record, method="other")),
        make_event(record, AUTHOR, "citation_signed", citation()),
        claim,
        make_event(record, AUTHOR, "event_revoked", revocation(claim["event_id"])),
        make_event(record, Signer("stranger"), "author_claimed", author_claim()),
        {"not": "an event"},
    ]
    return make_bundle(
        record,
        events,
        receipts=[make_receipt(record, REGISTRY)],
        source_aliases=make_claims(record),
    )


def _stamped(record: Object, proof: bytes, calendar: str) -> Object:
    return timestamp(record, proof_b64=base64.b64encode(proof).decode(), calendar=calendar)


def make_sample_store(folder: Path) -> Path:
    """Make the store; its first record has everything."""
    db, ends = folder / "mirror.db", list[bytes]()
    record = make_record()
    bundle = _bundle(record, ends)
    others = [make_bundle(make_record(arxiv_id=f"2402.{number:05}"), []) for number in range(20)]
    lines = folder / "bundles.jsonl"
    lines.write_bytes(b"".join(to_json(one) + b"\n" for one in (bundle, *others)))
    with open_store(db) as store:
        add_keys(store, keys_of(REGISTRY, AUTHOR))
        ingest(store, ReadRequest([str(lines)], lambda _finding: None))
        _stamp_checkpoint(store, ends)
        with store.transaction():
            add_headers(store, io.BytesIO(b"".join(chain(ends))), HEIGHT)
            said = canonical({"a state": "of upstream"})
            number = Record(record).pith_number
            store.upstream_history.append(
                UpstreamStatementRow("https://r.example", number, "state", sha256(said), NOON, said)
            )
    return db


def _stamp_checkpoint(store: Store, ends: list[bytes]) -> None:
    digest = sha256(make_checkpoint(store, NOTARY, NOW).encode())
    proof, (end,) = stamp(digest, (path("3"), in_block(HEIGHT + 1)))
    ends.append(end)
    with store.transaction():
        store.checkpoint_proofs.append(CheckpointProof(digest, NOON, (), proof))


def sample_evidence(db: Path) -> Object:
    """The evidence of the record that has everything."""
    with open_store(db) as store:
        update_root(store)
        with store.snapshot():
            record_id = store.records.by_source("2401.00001")[0]
            return make_evidence(store, record_id, NOTARY.verifier)


def smaller(evidence: Object) -> Object:
    """The same document with one time-stamp in place of all events and receipts.

    Its state does not follow from its bundle; all else is as it was.
    """
    bundle = json.loads(evidence["bundle"])
    bundle.update(events=bundle["events"][1:2], receipts=[])
    return {**evidence, "bundle": json.dumps(bundle)}


def _without_event(kind: str) -> Callable[[Object], None]:
    def change(document: Object) -> None:
        bundle = json.loads(document["bundle"])
        bundle["events"] = [one for one in bundle["events"] if one.get("event_type") != kind]
        document["bundle"] = json.dumps(bundle)

    return change


def _in_text(name: str, old: str, new: str) -> Callable[[Object], None]:
    def change(document: Object) -> None:
        assert old in document[name]
        document[name] = document[name].replace(old, new, 1)

    return change


def _in_proof(name: str, value: Any) -> Callable[[Object], None]:
    return lambda document: document["inclusion_proof"].update({name: value})


def _in_checkpoint(name: str, change: Callable[[str], Any]) -> Callable[[Object], None]:
    def changed(document: Object) -> None:
        document["checkpoint"][name] = change(document["checkpoint"][name])

    return changed


def _other_headers(document: Object) -> None:
    first, second = document["headers"]
    first["header"], second["header"] = second["header"], first["header"]


LIES: dict[str, tuple[Callable[[Object], None], str]] = {
    "another record": (lambda one: one.update(pith_number=f"pith:2024:{'A' * 26}"), "record"),
    "an event is left out": (_without_event("citation_signed"), "state"),
    "a revocation is left out": (_without_event("event_revoked"), "state"),
    "another state": (_in_text("state", '"asserted"', '"withdrawn"'), "state"),
    "another record in the bundle": (_in_text("bundle", "cs.DL", "cs.AI"), "readable"),
    "another key": (_in_text("key_set", "registry", "registrx"), "state"),
    "another root": (_in_proof("root", "00" * 32), "inclusion"),
    "no path": (_in_proof("path", []), "inclusion"),
    "a wrong path": (_in_proof("path", [{"g": "00"}]), "inclusion"),
    "another core": (_in_proof("core_digest", "00" * 32), "inclusion"),
    "another key set": (_in_proof("key_set_digest", "00" * 32), "key set"),
    "another time in the note": (
        _in_checkpoint("note", lambda note: note.replace("2026-", "2025-")), "checkpoint signature"
    ),
    "another root in the note": (
        _in_checkpoint("note", lambda note: "\n".join(
            [*note.split("\n")[:2], base64.b64encode(bytes(32)).decode(), *note.split("\n")[3:]]
        )), "checkpoint root",
    ),
    "no note": (_in_checkpoint("note", lambda _note: "x"), "checkpoint"),
    "another mirror": (
        _in_checkpoint("verifier", lambda _key: make_signer("m", b"1" * 32).verifier.text),
        "checkpoint signature",
    ),
    "no key": (_in_checkpoint("verifier", lambda _key: "no key"), "checkpoint signature"),
    "a broken proof": (
        _in_checkpoint("time_stamp_b64", lambda proof: proof[:-8]), "checkpoint time-stamp"
    ),
    "other headers": (_other_headers, "checkpoint time-stamp"),
}  # fmt: skip
"""Changes of the document, each with the check that must fail."""
