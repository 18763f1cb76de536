"""The rule that a code or a member of a state is about.

The codes are those of section 9 of the protocol, where each group names its rules; here is for
each code of one bundle or key set the one that a person reads first. Pointers are of M6.
"""

from __future__ import annotations

__all__ = ["RULES_OF_CODES", "RULES_OF_MEMBERS", "TITLES"]

RULES_OF_CODES = {
    "json.syntax": "V1",
    "json.duplicate_key": "V1",
    "json.number": "V1",
    "json.surrogate": "V1",
    "json.depth": "V1",
    "bundle.shape": "B1",
    "bundle.type": "B2",
    "bundle.version": "B2",
    "record.shape": "R1",
    "record.digest": "R2",
    "record.number": "R3",
    "bundle.short": "B3",
    "bundle.source": "B3",
    "bundle.alias": "B3",
    "receipt.shape": "S2",
    "receipt.key_unknown": "S2",
    "receipt.role": "S2",
    "receipt.key_window": "S2",
    "receipt.signature": "S1",
    "event.shape": "E1",
    "event.id": "E2",
    "event.subject": "E3",
    "event.time": "V5",
    "event.key_unknown": "E3",
    "event.key_mismatch": "E3",
    "event.key_window": "E3",
    "event.signature": "S1",
    "event.role": "K2",
    "event.payload": "E4",
    "keys.shape": "K2",
    "keys.conflict": "K2",
}
"""The rule of each code that one bundle or key set can have."""

RULES_OF_MEMBERS = {
    "/invalid_events": "M10",
    "/valid_event_count": "M1",
    "/event_count": "M1",
    "/invalid_event_count": "M1",
    "/retired_events": "M11",
    "/equivocations": "M4",
    "/equivocation_count": "M4",
    "/current/source_aliases": "M7",
    "/current/receipt": "M8",
    "/current": "M6",
    "": "M6",
}
"""The rule of each member of a state, by the beginning of its JSON Pointer; the first that fits."""

TITLES = {
    "V1": "strict JSON",
    "V2": "canonical bytes",
    "V3": "digest",
    "V4": "payload digest",
    "V5": "times",
    "V6": "strict base64",
    "R1": "the shape of a record",
    "R2": "the hash of a record",
    "R3": "the Pith Number",
    "R4": "aliases",
    "K2": "the key set",
    "K3": "the digest of the key set",
    "S1": "which signatures are accepted",
    "S2": "receipts",
    "S3": "the signature of an event",
    "E1": "the envelope of an event",
    "E2": "the id of an event",
    "E3": "the verdict on an event",
    "E4": "types of events",
    "M1": "distinct events",
    "M2": "the order of events",
    "M3": "revocation",
    "M4": "equivocation",
    "M5": "slots",
    "M6": "the members of a state",
    "M7": "aliases in the state",
    "M8": "the receipt in the state",
    "M9": "equivocations in the state",
    "M10": "invalid events in the state",
    "M11": "retired events in the state",
    "M12": "digests of a state",
    "M13": "the text of a state",
    "B1": "the shape of a bundle",
    "B2": "reasons to refuse a bundle",
    "B3": "faults that are only reported",
    "root": "the root of all states",
    "compare": "causes of differences",
}
"""The subject of each rule that the conformance kit covers."""
