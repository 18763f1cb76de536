"""Evidence of one record as a JSON document: facts, state, and the proofs for them.

The document holds what a reader needs to verify the record alone. What was found here, such as
results of checks, is not in it: the reader finds the same.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from mirror.core.state_view import StateView, parse_state
from mirror.core.transparency.signed_note import Verifier, parse_note, verify_note
from mirror.core.values import Object, Value, canonical, time_text
from mirror.engine.anchors.headers import HeaderChain
from mirror.engine.anchors.time_stamps import OPENTIMESTAMPS, RFC3161, time_stamps_in
from mirror.engine.states.current import bundle_text, current_text
from mirror.engine.transparency.inclusion_proof import make_proof
from mirror.store import Store, StoredCheckpoint

__all__ = ["EVIDENCE_TYPE", "EVIDENCE_VERSION", "make_evidence"]

EVIDENCE_TYPE, EVIDENCE_VERSION = "pith_mirror_evidence", "1.0"


def make_evidence(store: Store, record_id: int, verifier: Verifier | None = None) -> Object:
    """Return the evidence of a record; call within a snapshot, with the root up to date.

    Args:
        store: The store.
        record_id: The record.
        verifier: The public key of this mirror, to include its last checkpoint as signed; without
            one the checkpoint is included, and the reader needs the key to check it.

    Raises:
        UntrustedNoteError: `note.signature` if the last checkpoint is not signed by `verifier`.
        StoreError: `store.behind` if states are out of date.
        CorruptStoreError: `store.damaged`
    """
    record, proof = store.records.get(record_id), make_proof(store, record_id)
    state = current_text(store, record_id)
    proofs = [*_bitcoin_proofs(parse_state(state))]
    checkpoint = _checkpoint(store, str(proof["root"]), verifier)
    if checkpoint is not None and checkpoint["time_stamp_b64"]:
        proofs.append(base64.b64decode(str(checkpoint["time_stamp_b64"])))
    return {
        "evidence_type": EVIDENCE_TYPE,
        "evidence_version": EVIDENCE_VERSION,
        "pith_number": record.pith_number,
        "made_at": time_text(datetime.now(UTC)),
        "key_set": canonical(store.trust_log.key_set().to_value()).decode(),
        "bundle": bundle_text(store, record_id).decode(),
        "state": state.decode(),
        "inclusion_proof": proof,
        "checkpoint": checkpoint,
        "headers": _headers(store, proofs),
        "authorities": _authorities(store, parse_state(state)),
        "upstream": _upstream(store, record.pith_number),
    }


def _bitcoin_proofs(state: StateView) -> Iterator[bytes]:
    for one in time_stamps_in(state):
        if one.method == OPENTIMESTAMPS:
            yield one.proof


def _checkpoint(store: Store, root: str, verifier: Verifier | None) -> Object | None:
    """Return the last checkpoint of this mirror if it is of this root; else None."""
    stored = store.checkpoints.last_own()
    if stored is None or stored.checkpoint.root.hex() != root:
        return None
    if verifier is not None:
        _require_signed(stored, verifier)
    proof = store.checkpoint_proofs.last(stored.digest)
    return {
        "note": stored.note,
        "verifier": None if verifier is None else verifier.text,
        "time_stamp_b64": None if proof is None else base64.b64encode(proof.proof).decode(),
    }


def _require_signed(stored: StoredCheckpoint, verifier: Verifier) -> None:
    """Check that a checkpoint is signed.

    Raises:
        UntrustedNoteError: `note.signature`
    """
    verify_note(parse_note(stored.note.encode()), [verifier])


def _headers(store: Store, proofs: Iterable[bytes]) -> list[Value]:
    """Return the block headers to which proofs lead, of those that are here."""
    from mirror.engine.anchors.opentimestamps import heights_in  # noqa: PLC0415 - a slow library

    chain, heights = HeaderChain(store), {one for proof in proofs for one in heights_in(proof)}
    found = ((height, chain.header(height)) for height in sorted(heights))
    return [
        {"height": height, "header": header.hex()} for height, header in found if header is not None
    ]


def _authorities(store: Store, state: StateView) -> list[Value]:
    """Return the trusted authorities, if a time-stamp in force has a token of one."""
    if all(one.method != RFC3161 for one in time_stamps_in(state)):
        return []
    from mirror.engine.anchors.authorities import trusted_authorities  # noqa: PLC0415 - as above

    return [
        {"name": one.name, "certificates": one.pem.decode()} for one in trusted_authorities(store)
    ]


def _upstream(store: Store, pith_number: str) -> list[Value]:
    """Return the last statement of each upstream and kind, with its text."""
    last = {(one.upstream, one.kind): one for one in store.upstream_history.history(pith_number)}
    return [
        {
            "upstream": one.upstream,
            "kind": one.kind,
            "first_read_at": one.first_read_at,
            "text": one.text.decode(),
        }
        for one in last.values()
    ]
