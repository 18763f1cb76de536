"""A state as a person reads it: what is claimed, and who vouches for it."""

from __future__ import annotations

from typing import cast

from mirror.cli.console import plural
from mirror.core.record import Record
from mirror.core.values import Object, Value

__all__ = ["state_rows"]

_LISTS = {
    "graph_snapshots": "graph snapshots",
    "timestamps": "timestamps",
    "storage_attestations": "stored at",
    "author_claims": "author claims",
    "citations": "citations",
    "replications": "replications",
    "integrity_findings": "integrity findings",
    "challenges": "challenges",
    "other_events": "other events",
}
"""The lists of `current` (M6), as they are headed for people."""

_TELLING = {
    "timestamps": ("method", "calendar"),
    "storage_attestations": ("archive", "url", "captured_at"),
    "author_claims": ("claimant_id", "method", "strength"),
    "citations": ("relationship", "citing", "asserted_by", "claim_id"),
    "replications": ("kind", "url", "asserted_by", "claim_id"),
    "integrity_findings": ("severity", "finding_type", "verdict_class", "detector"),
    "challenges": ("about", "note", "asserted_by"),
}
"""The payload members that tell a person what an event says."""


def state_rows(state: Value, record: Record) -> dict[str, str | list[str]]:
    """Return names and values for a table.

    Args:
        state: A state (M6).
        record: Its record.
    """
    members = cast("Object", state)
    current = cast("Object", members["current"])
    rows: dict[str, str | list[str]] = {
        "Pith Number": record.pith_number,
        "canonical SHA-256": record.canonical_sha256,
        "source": f"{record.source['kind']} {record.source['id']} v{record.source['version']}",
        **_metadata(record),
        "aliases": list(map(_alias, _objects(current["source_aliases"]))),
        "receipt": _receipt(current["receipt"]),
        "events": _counts(members),
    }
    for name, heading in _LISTS.items():
        if entries := _objects(current[name]):
            rows[heading] = [_entry(entry, _TELLING.get(name, ())) for entry in entries]
    return {**rows, **_oddities(members)}


def _objects(value: Value) -> list[Object]:
    return cast("list[Object]", value)


def _metadata(record: Record) -> dict[str, str]:
    metadata = cast("Object", record.value["metadata"])
    categories = [metadata["primary_cat"], *cast("list[Value]", metadata["cross_cats_sorted"])]
    return {
        "submitted": str(metadata["submitted_at"]),
        "categories": " ".join(map(str, categories)),
        "license": str(metadata["license"]),
    }


def _alias(alias: Object) -> str:
    since = alias["created_at"] or "at no known time"
    return f"{alias['alias_kind']}: {alias['alias_value']} (claimed {since})"


def _receipt(receipt: Value) -> str:
    if receipt is None:
        return "none: no key that is trusted here vouches for this record"
    members = cast("Object", receipt)
    at = members["signed_at"]
    when = f"at {at}, as an event signs" if at else "at a time that nothing signs"
    return f"verified: signed with key {members['key_id']} {when}"


def _counts(state: Object) -> str:
    return (
        f"{state['valid_event_count']} valid, {state['invalid_event_count']} invalid, "
        f"{plural(cast('int', state['equivocation_count']), 'equivocation')}"
    )


def _entry(event: Object, telling: tuple[str, ...]) -> str:
    payload = cast("Object", event["payload"])
    signer = cast("Object", event["signer"])
    words = [str(payload[name]) for name in telling if name in payload]
    kind = [str(event["event_type"])] if "event_type" in event else []
    says = " ".join(kind + words) or str(event["event_id"])
    return f"{event['created_at']} {says} — {signer['signer_id']}"


def _oddities(state: Object) -> dict[str, list[str]]:
    """Return what is not in `current`, and why (M9 to M11)."""
    retired = [
        " ".join([str(one["event_id"]), str(one["reason"]), *_by(one)])
        for one in _objects(state["retired_events"])
    ]
    invalid = [f"{one['digest']} {one['code']}" for one in _objects(state["invalid_events"])]
    double = [
        f"{one['signer_id']} said two things at {one['created_at']}: {one['event_type']} "
        + ", ".join(cast("list[str]", one["event_ids"]))
        for one in _objects(state["equivocations"])
    ]
    named = {"retired": retired, "invalid": invalid, "equivocations": double}
    return {name: lines for name, lines in named.items() if lines}


def _by(retired: Object) -> list[str]:
    ids = cast("list[str]", retired["by"])
    return [f"by {', '.join(ids)}"] if ids else []
