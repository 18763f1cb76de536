"""What codes, types and fates are called on a page."""

from __future__ import annotations

__all__ = ["CODES", "ERRORS", "FATES", "RELATIONSHIPS", "TELLING", "TYPES"]

CODES = {
    "event.shape": "The event is not built as the protocol says.",
    "event.id": "The event’s id is not the digest of its content: it was changed after it was "
    "named.",
    "event.subject": "The event speaks of another record.",
    "event.time": "The event’s time is no time.",
    "event.key_unknown": "No key that is trusted here has the name that the event gives.",
    "event.key_mismatch": "The event says something of its key that is not so.",
    "event.key_window": "The event is dated outside the time in which its key counts.",
    "event.signature": "The signature is not one of this event by the key it names.",
    "event.role": "The key may not sign events of this type.",
    "event.payload": "What the event says does not fit its type.",
    "receipt.shape": "The receipt is not built as the protocol says.",
    "receipt.key_unknown": "No key that is trusted here has the name that the receipt gives.",
    "receipt.role": "The key may not sign receipts.",
    "receipt.key_window": "The receipt is dated outside the time in which its key counts.",
    "receipt.signature": "The signature is not one of this record by the key it names.",
    "equivocation": "One signer said two different things about the same matter at the same "
    "instant.",
}
"""The verdicts, and what each means (S2, E3, M4)."""

FATES = {
    "in force": "It stands.",
    "superseded": "The same signer spoke of the same thing again later.",
    "withdrawn": "The signer took it back.",
    "revoked": "A revocation names it, and what is revoked never comes back.",
    "refused": "It failed a check, and nothing rests on it.",
}
"""What became of an event, and what that means (M3, M5, M10, M11)."""

TYPES = {
    "record_created": "record created",
    "graph_snapshot": "graph snapshot",
    "timestamp_anchored": "timestamp",
    "storage_attested": "storage",
    "author_claimed": "author claim",
    "citation_signed": "citation",
    "replication_recorded": "replication",
    "pith.integrity.v1": "integrity finding",
    "challenge_filed": "challenge",
    "event_revoked": "revocation",
}
"""The types of E4 in its order."""

TELLING = {
    "record_created": ("canonical_sha256",),
    "timestamp_anchored": ("method", "calendar"),
    "storage_attested": ("archive", "url", "captured_at"),
    "author_claimed": ("claimant_id", "method", "strength", "status"),
    "citation_signed": ("relationship", "citing", "asserted_by", "claim_id", "status"),
    "replication_recorded": ("kind", "url", "asserted_by", "claim_id", "status"),
    "pith.integrity.v1": ("severity", "finding_type", "verdict_class", "detector", "audited_at"),
    "challenge_filed": ("about", "note", "asserted_by", "status"),
    "event_revoked": ("event_id", "reason"),
}
"""The payload members that tell a person what an event says."""

RELATIONSHIPS = {
    "supports": "supports",
    "refutes": "refutes",
    "extends": "extends",
    "uses_method": "uses the method of",
    "depends_on": "depends on",
    "replaces": "replaces",
    "compares": "compares itself with",
    "cites": "cites",
}
"""What a work that cites says of the one it cites (E4)."""

ERRORS = {
    "lookup.unknown": "This mirror holds no record of that name. It may have been mistyped, or "
    "the record never came here.",
    "lookup.ambiguous": "The name fits several records.",
    "http.not_found": "There is no page at this address.",
    "http.method_not_allowed": "This mirror is only read: GET and HEAD, nothing else.",
    "store.damaged": "Something in this mirror's store is not as it was written. It is not shown "
    "until it is whole again.",
    "store.busy": "The store is being written. Try again in a moment.",
}
"""What happened, for those who meet an error."""
