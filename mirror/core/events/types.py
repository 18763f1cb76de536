"""The types of events, as a table (rule E4).

A row says what target and payload must be, what the event is about (the slot key), what withdraws
it, where a state lists it, and how it is shown to a person. Other modules ask the table; a rule
that is about a single type names it by a constant of this module. `table_of_types` returns the
rules of the table as data, for a verifier in another language.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, TypeGuard

from mirror.core.keys import KeySet
from mirror.core.receipt import check_receipt
from mirror.core.record import Record
from mirror.core.values import Object, Value, decode_base64, encode_integers, instant, is_digest

__all__ = [
    "CITATION",
    "EVENT_TYPES",
    "GRAPH_SNAPSHOT",
    "INTEGRITY",
    "LISTED_TYPES",
    "LIST_NAMES",
    "OTHER_EVENTS",
    "RECORD_CREATED",
    "REVOCATION",
    "STATUS_LISTS",
    "STORAGE",
    "TIME_STAMP",
    "EventType",
    "MemberCheck",
    "MemberKind",
    "PayloadContext",
    "is_event_id",
    "label_of",
    "list_label",
    "table_of_types",
]

CITATION = "citation_signed"
GRAPH_SNAPSHOT = "graph_snapshot"
INTEGRITY = "pith.integrity.v1"
RECORD_CREATED = "record_created"
REVOCATION = "event_revoked"
STORAGE = "storage_attested"
TIME_STAMP = "timestamp_anchored"
OTHER_EVENTS = "other_events"
"""Where a state lists the types that E4 does not name (M6)."""

_EVENT_ID = re.compile(r"sha256:[0-9a-f]{64}")


def is_event_id(value: Value) -> TypeGuard[str]:
    """Whether `value` is written as an event id is (E1)."""
    return isinstance(value, str) and _EVENT_ID.fullmatch(value) is not None


class PayloadContext(NamedTuple):
    """The record and the keys that a payload is checked against."""

    record: Record
    keys: KeySet


MemberKind: TypeAlias = Literal[
    "text",
    "object",
    "time",
    "digest",
    "base64",
    "event_id",
    "one_of",
    "version_number",
    "record",
    "record_digest",
    "receipt",
]
"""The kinds of value that E4 asks for: a string; an object; a time (V5); a digest (V3); base64
(V6); an event id (E1); one of some strings; three numbers with dots between them; the record of
the bundle (equal by V2); its `canonical_sha256`; a receipt that passes S2."""


@dataclass(frozen=True, slots=True)
class MemberCheck:
    """The kind of value that a member of a payload must be."""

    kind: MemberKind
    fits: Callable[[Value, PayloadContext], bool]
    """Whether a value is of the kind."""
    allowed: tuple[str, ...] = ()
    """The strings that `one_of` allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A row of E4."""

    label: str
    """Name for a person."""
    plural: str
    """The same of several events."""
    target: str
    members: dict[str, MemberCheck]
    """The required members of the payload."""
    optional: tuple[str, ...] = ()
    """Members that are strings or absent."""
    slot: tuple[str, ...] = ()
    """The payload members of the slot key; `()` for a log."""
    withdrawn: tuple[str, str] | None = None
    """The member, and its value by which the event withdraws its slot (M5)."""
    shown_in: str | None = None
    """The list of `current` that shows such events (M6); None for those that have no entry."""
    summary_fields: tuple[str, ...]
    """The payload members that summarise an event; those of a snapshot are of its paper."""
    status_flag: str | None = None
    """The flag of `verification_status` that such events claim."""

    def fault(self, target: Value, payload: Object, context: PayloadContext) -> str | None:
        """Return why target or payload does not fit this row, or None."""
        if target != self.target:
            return f'target must be "{self.target}"'
        for name, check in self.members.items():
            if name not in payload:
                return f"the payload lacks {name}"
            if not check.fits(payload[name], context):
                return f"{name} of the payload is not what E4 allows there"
        for name in self.optional:
            if not isinstance(payload.get(name, ""), str):
                return f"{name} of the payload must be a string or absent"
        return None

    def slot_key(self, payload: Object) -> tuple[str | None, ...]:
        """Return the slot key of a payload: None for an absent member; `()` for a log."""
        members = map(payload.get, self.slot)
        return tuple([one if isinstance(one, str) else None for one in members])

    def is_withdrawn(self, payload: Object) -> bool:
        """Whether `payload` withdraws what its slot says (M5)."""
        return self.withdrawn is not None and payload[self.withdrawn[0]] == self.withdrawn[1]

    def to_value(self) -> Object:
        """Return the rules of the row as data; `members` as lists of name, kind and `allowed`."""
        checks = self.members.items()
        return {
            "target": self.target,
            "members": [[name, one.kind, [*one.allowed]] for name, one in checks],
            "optional": [*self.optional],
            "slot": [*self.slot],
            "withdrawn": None if self.withdrawn is None else [*self.withdrawn],
            "shown_in": self.shown_in,
        }


# What members must be ------------------------------------------------------------------------


def _plain(kind: MemberKind, fits: Callable[[Value], bool]) -> MemberCheck:
    return MemberCheck(kind, lambda value, _context: fits(value))


def _one_of(*allowed: str) -> MemberCheck:
    return MemberCheck(
        "one_of", lambda value, _context: isinstance(value, str) and value in allowed, allowed
    )


_VERSION_NUMBER = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def _is_version_number(value: Value) -> bool:
    return isinstance(value, str) and _VERSION_NUMBER.fullmatch(value) is not None


def _is_record(value: Value, context: PayloadContext) -> bool:
    # A record holds no float, and a float is never spelled as an integer is.
    return encode_integers(value) == context.record.encoded


def _is_digest_of_record(value: Value, context: PayloadContext) -> bool:
    return value == context.record.canonical_sha256


def _is_receipt(value: Value, context: PayloadContext) -> bool:  # S2
    return check_receipt(value, context.record, context.keys) is None


_text = _plain("text", lambda value: isinstance(value, str))
_object = _plain("object", lambda value: isinstance(value, dict))
_time = _plain("time", lambda value: instant(value) is not None)
_digest = _plain("digest", is_digest)
_base64 = _plain("base64", lambda value: decode_base64(value) is not None)
_event_id = _plain("event_id", is_event_id)
_version_number = _plain("version_number", _is_version_number)
_record = MemberCheck("record", _is_record)
_record_digest = MemberCheck("record_digest", _is_digest_of_record)
_receipt = MemberCheck("receipt", _is_receipt)


# The table -----------------------------------------------------------------------------------

_STATUS_WITHDRAWN = ("status", "withdrawn")
_CITATION_KINDS = (
    "supports",
    "refutes",
    "extends",
    "uses_method",
    "depends_on",
    "replaces",
    "compares",
    "cites",
)
_VERDICT_CLASSES = ("incontrovertible", "cross_source", "threshold_with_margin", "rescinded")
_CHALLENGED = ("claim", "reference", "attribution", "data_point", "figure")

EVENT_TYPES: dict[str, EventType] = {
    RECORD_CREATED: EventType(
        label="record created",
        plural="records created",
        target="record",
        members={
            "canonical_record": _record,
            "canonical_sha256": _record_digest,
            "receipt": _receipt,
        },
        summary_fields=("canonical_sha256",),
    ),
    GRAPH_SNAPSHOT: EventType(
        label="graph snapshot",
        plural="graph snapshots",
        target="graph",
        members={GRAPH_SNAPSHOT: _object},
        shown_in="graph_snapshots",
        summary_fields=("title", "authors_text"),
    ),
    TIME_STAMP: EventType(
        label="timestamp",
        plural="timestamps",
        target="record",
        members={
            "method": _one_of("opentimestamps", "rfc3161", "other"),
            "digest": _record_digest,
            "proof_b64": _base64,
        },
        optional=("calendar",),
        slot=("method", "calendar"),
        shown_in="timestamps",
        summary_fields=("method", "calendar"),
        status_flag="externally_anchored",
    ),
    STORAGE: EventType(
        label="stored copy",
        plural="stored copies",
        target="record",
        members={"archive": _text, "url": _text, "captured_at": _time},
        slot=("archive", "url"),
        shown_in="storage_attestations",
        summary_fields=("archive", "url", "captured_at"),
        status_flag="storage_verified",
    ),
    "author_claimed": EventType(
        label="author claim",
        plural="author claims",
        target="record",
        members={
            "claimant_id": _text,
            "method": _one_of("orcid", "apple", "x", "email", "key"),
            "strength": _one_of("strong", "weak"),
            "status": _one_of("claimed", "withdrawn"),
        },
        slot=("claimant_id",),
        withdrawn=_STATUS_WITHDRAWN,
        shown_in="author_claims",
        summary_fields=("claimant_id", "method", "strength", "status"),
        status_flag="author_attested",
    ),
    CITATION: EventType(
        label="citation",
        plural="citations",
        target="record",
        members={
            "citing": _text,
            "asserted_by": _text,
            "relationship": _one_of(*_CITATION_KINDS),
            "status": _one_of("asserted", "withdrawn"),
        },
        optional=("claim_id",),
        slot=("asserted_by", "citing", "relationship", "claim_id"),
        withdrawn=_STATUS_WITHDRAWN,
        shown_in="citations",
        summary_fields=("citing", "relationship", "claim_id", "asserted_by", "status"),
    ),
    "replication_recorded": EventType(
        label="replication",
        plural="replications",
        target="record",
        members={
            "kind": _one_of("replication", "falsification", "formal_bridge"),
            "asserted_by": _text,
            "url": _text,
            "status": _one_of("asserted", "withdrawn"),
        },
        optional=("claim_id",),
        slot=("asserted_by", "kind", "claim_id", "url"),
        withdrawn=_STATUS_WITHDRAWN,
        shown_in="replications",
        summary_fields=("kind", "url", "claim_id", "asserted_by", "status"),
    ),
    INTEGRITY: EventType(
        label="integrity finding",
        plural="integrity findings",
        target="integrity",
        members={
            "event_type": _one_of(INTEGRITY),
            "detector": _text,
            "detector_version": _version_number,
            "finding_type": _text,
            "verdict_class": _one_of(*_VERDICT_CLASSES),
            "severity": _one_of("critical", "advisory", "informational"),
            "arxiv_id": _text,
            "evidence_hash": _digest,
            "evidence": _object,
            "audited_at": _time,
        },
        slot=("evidence_hash",),
        withdrawn=("verdict_class", "rescinded"),
        shown_in="integrity_findings",
        summary_fields=(
            "severity",
            "finding_type",
            "verdict_class",
            "ref_index",
            "detected_doi",
            "detected_arxiv_id",
            "snippet",
            "note",
            "detector",
            "audited_at",
        ),
    ),
    "challenge_filed": EventType(
        label="challenge",
        plural="challenges",
        target="record",
        members={
            "challenge_id": _text,
            "asserted_by": _text,
            "about": _one_of(*_CHALLENGED),
            "note": _text,
            "status": _one_of("open", "withdrawn"),
        },
        slot=("challenge_id",),
        withdrawn=_STATUS_WITHDRAWN,
        shown_in="challenges",
        summary_fields=("about", "note", "asserted_by", "status"),
    ),
    REVOCATION: EventType(
        label="revocation",
        plural="revocations",
        target="event",
        members={"event_id": _event_id, "reason": _text},
        summary_fields=("event_id", "reason"),
    ),
}
"""The types of E4 in its order."""

LISTED_TYPES = {kind.shown_in: name for name, kind in EVENT_TYPES.items() if kind.shown_in}
"""The event type of each list of `current` (M6) that holds one type only, in the order of E4."""

LIST_NAMES = (*LISTED_TYPES, OTHER_EVENTS)
"""The lists of `current` that hold events, in M6 order."""

STATUS_LISTS = {
    kind.status_flag: kind.shown_in
    for kind in EVENT_TYPES.values()
    if kind.status_flag and kind.shown_in
}
"""The list of `current` that holds the claims of each flag of `verification_status`."""


def table_of_types() -> Object:
    """Return the rules of the table as data: by type what `EventType.to_value` gives."""
    return {name: kind.to_value() for name, kind in EVENT_TYPES.items()}


def label_of(event_type: str) -> str:
    """Return the name of a type for a person; of one that E4 does not name, the type itself."""
    kind = EVENT_TYPES.get(event_type)
    return event_type if kind is None else kind.label


def list_label(name: str) -> str:
    """Return the name of a list of `current` for a person."""
    return "other events" if name == OTHER_EVENTS else EVENT_TYPES[LISTED_TYPES[name]].plural
