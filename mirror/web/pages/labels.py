"""Labels and explanations of codes, checks, claims and levels on pages."""

from __future__ import annotations

from mirror.core.verification_status import Level

__all__ = ["CHECKS", "CLAIMS", "CODES", "ERRORS", "EVENT_STATUSES", "LEVELS", "RELATIONSHIPS"]

CODES = {
    "event.shape": "The event does not have the members that the protocol requires.",
    "event.id": "The event’s id is not the digest of its content: the event was changed.",
    "event.subject": "The event is about another record.",
    "event.time": "The event’s time is not a valid time.",
    "event.key_unknown": "No key that is trusted here has the key id in the event.",
    "event.key_mismatch": "The signer in the event is not the owner of the key.",
    "event.key_window": "The event’s time is outside the validity period of its key.",
    "event.signature": "The signature does not verify with the key that the event names.",
    "event.role": "The key may not sign events of this type.",
    "event.payload": "The payload does not fit the event’s type.",
    "receipt.shape": "The receipt does not have the members that the protocol requires.",
    "receipt.key_unknown": "No key that is trusted here has the key id in the receipt.",
    "receipt.role": "The key may not sign receipts.",
    "receipt.key_window": "The receipt’s time is outside the validity period of its key.",
    "receipt.signature": "The signature does not verify with the key that the receipt names.",
    "equivocation": "One signer signed two different statements on the same subject at the same "
    "instant.",
}
"""Explanations of the codes of receipts, events and equivocations (S2, E3, M4)."""

CHECKS = {
    "event.shape": "form",
    "event.id": "id",
    "event.subject": "subject",
    "event.time": "time",
    "event.key_unknown": "known key",
    "event.key_mismatch": "details of the key",
    "event.key_window": "validity period of the key",
    "event.signature": "signature",
    "event.role": "role of the key",
    "event.payload": "content",
}
"""Names of the checks of an event (E3) by their code, in order."""

CLAIMS = {
    "externally_anchored": ("timestamp", "A proof that the record existed at some time."),
    "storage_verified": ("stored copy", "A copy of the record at an archive."),
    "author_attested": ("author", "A person who claims to be an author of the paper."),
    "references_resolved": (
        "references",
        "All references of the paper are resolved to known works.",
    ),
    "formal_links_present": ("formal links", "Links from the paper to formal proofs."),
}
"""The kinds of claims (`claim_statuses`): name and explanation."""

LEVELS = {
    Level.NONE: ("none", "No trusted key signed such a claim."),
    Level.CLAIMED: (
        "claimed, not checked here",
        "A trusted key signed the claim. This mirror verified the signature and nothing else.",
    ),
    Level.CHECKED: ("checked here", "This mirror checked the claim itself."),
}
"""The levels of a claim: name and explanation."""

EVENT_STATUSES = {
    "in force": "It counts.",
    "superseded": "A later event of the signer on the same subject replaced it.",
    "withdrawn": "The signer withdrew it.",
    "revoked": "A revocation names it; a revoked event never counts again.",
    "refused": "It failed a check and counts for nothing.",
}
"""The statuses of an event, with explanations (M3, M5, M10, M11)."""

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
"""The relationship of a citing work to the cited one (E4), in words."""

ERRORS = {
    "lookup.unknown": "This mirror has no record of that name. It may be mistyped, or the record "
    "was never merged here.",
    "lookup.ambiguous": "The name matches several records.",
    "lookup.not_yet": "This mirror had not stored the record by that time.",
    "limit.past": "The record has so many facts that its past is not merged for a page.",
    "keys.unknown": "This mirror does not trust that key.",
    "http.not_found": "There is no page at this address.",
    "http.method_not_allowed": "This server allows GET and HEAD only.",
    "store.damaged": "A part of this mirror's store is damaged. It is not shown until it is "
    "repaired.",
    "store.busy": "The store is being written. Try again in a moment.",
}
"""Explanations of the codes of errors."""
