"""Labels and explanations of codes, checks, claims and levels on pages."""

from __future__ import annotations

from mirror.core.verification_status import Level

__all__ = ["CHECKS", "CLAIMS", "CODES", "ERRORS", "EVENT_STATUSES", "LEVELS", "RELATIONSHIPS"]

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

CHECKS = {
    "event.shape": "form",
    "event.id": "id",
    "event.subject": "subject",
    "event.time": "time",
    "event.key_unknown": "known key",
    "event.key_mismatch": "details of the key",
    "event.key_window": "window of the key",
    "event.signature": "signature",
    "event.role": "role of the key",
    "event.payload": "content",
}
"""The checks that an event passes (E3), by the code of the one that fails, in their order."""

CLAIMS = {
    "externally_anchored": ("timestamp", "A proof that the record existed at some time."),
    "storage_verified": ("stored copy", "A copy of the record at an archive."),
    "author_attested": ("author", "A person who claims to be an author of the paper."),
    "references_resolved": ("references", "All references of the paper lead to known works."),
    "formal_links_present": ("formal links", "Links from the paper to formal proofs."),
}
"""The kinds of claims (`claim_statuses`): a name, and what such a claim says."""

LEVELS = {
    Level.NONE: ("none", "No trusted key signed such a claim."),
    Level.CLAIMED: (
        "claimed, not checked here",
        "A trusted key signed the claim. This mirror verified the signature and nothing else.",
    ),
    Level.CHECKED: ("checked here", "This mirror checked it itself."),
}
"""The levels of a claim: in short, and what each means."""

EVENT_STATUSES = {
    "in force": "It stands.",
    "superseded": "Another event is the signer's last word on the same thing.",
    "withdrawn": "The signer took it back.",
    "revoked": "A revocation names it, and what is revoked never comes back.",
    "refused": "It failed a check, and nothing rests on it.",
}
"""What became of an event, and what that means (M3, M5, M10, M11)."""

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
    "keys.unknown": "This mirror does not trust that key.",
    "http.not_found": "There is no page at this address.",
    "http.method_not_allowed": "This mirror is only read: GET and HEAD, nothing else.",
    "store.damaged": "Something in this mirror's store is not as it was written. It is not shown "
    "until it is whole again.",
    "store.busy": "The store is being written. Try again in a moment.",
}
"""What happened, for those who meet an error."""
