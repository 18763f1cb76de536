"""State of a record as a table for a person: claims, signers and verification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from mirror.cli.output import plural
from mirror.core.comparison.diff import truncate
from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.summary import EventSummary, entry_summary, event_summary
from mirror.core.events.types import (
    CITATION,
    EVENT_TYPES,
    LIST_NAMES,
    OTHER_EVENTS,
    STATUS_LISTS,
    list_label,
)
from mirror.core.record import Record
from mirror.core.state_view import StateView
from mirror.core.values import Object, Value, canonical
from mirror.core.verification_status import claim_statuses

__all__ = ["state_rows"]

MAX_LISTED = 50
"""Items of one list that the table shows; the rest are counted."""
_MAX_RETIRING = 3
"""Retiring events shown for one retired event."""
_MAX_VALUE = 200
"""Characters shown of one value."""
_MAX_FACE = 600
"""Characters shown of an invalid event."""

_SNAPSHOT_FLAGS = {"references_resolved": "references", "formal_links_present": "formal links"}
"""Headings of the flags of `verification_status` that graph snapshots claim."""

_PHRASES = {
    "claim_id": " (claim “{}”)",
    "asserted_by": " (said by {})",
    "status": " ({})",
    "relationship": " {} this record",
    "event_id": " revokes {}:",
}
"""Words around the values of some members of payloads that E4 names."""

_ELSEWHERE = {*STATUS_LISTS.values(), EVENT_TYPES[CITATION].shown_in}
"""Lists of `current` (M6) that are shown with a flag, or in a table of their own."""


def state_rows(
    state: Value, record: Record, events: Callable[[], Iterable[Event]]
) -> dict[str, str | list[str]]:
    """Return names and values for a table.

    Args:
        state: A state (M6).
        record: Its record.
        events: Reads all events of the record; called if any is not in force.
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
        **_claims(members),
        "events": _counts(members),
    }
    for name in LIST_NAMES:
        if name not in _ELSEWHERE and (entries := _objects(current[name])):
            rows[list_label(name)] = _entries(entries, name)
    return {**rows, **_not_in_force(members, events)}


def _objects(value: Value) -> list[Object]:
    return cast("list[Object]", value)


def _metadata(record: Record) -> dict[str, str]:
    return {
        "submitted": record.metadata["submitted_at"],
        "categories": " ".join(record.categories),
        "license": record.metadata["license"] or "none given",
    }


def _alias(alias: Object) -> str:
    since = alias["created_at"] or "at no known time"
    return f"{alias['alias_kind']}: {alias['alias_value']} (claimed {since})"


def _receipt(receipt: Value) -> str:
    if receipt is None:
        return "none: no trusted key signed this record"
    members = cast("Object", receipt)
    at = members["signed_at"]
    when = f"at {at}, as a signed event says" if at else "at an unsigned time"
    return f"verified: signed with key {members['key_id']} {when}"


def _claims(state: Object) -> dict[str, list[str]]:
    current = cast("Object", state["current"])
    rows = {}
    for flag, status in claim_statuses(StateView(state)).items():
        name = STATUS_LISTS.get(flag)
        heading = _SNAPSHOT_FLAGS[flag] if name is None else list_label(name)
        entries = [] if name is None else _entries(_objects(current[name]), name)
        rows[heading] = [status.words, *entries]
    return rows


def _counts(state: Object) -> str:
    return (
        f"{state['valid_event_count']} valid, {state['invalid_event_count']} invalid, "
        f"{plural(cast('int', state['equivocation_count']), 'equivocation')}"
    )


# Events in force -----------------------------------------------------------------------------


def _entries(entries: list[Object], name: str) -> list[str]:
    lines = [_entry(entry_summary(one, name), name) for one in entries[:MAX_LISTED]]
    return [*lines, *_more(entries)]


def _entry(event: EventSummary, name: str) -> str:
    kind = f"{event.event_type} " if name == OTHER_EVENTS else ""
    says = _says(event) or f"event {event.event_id}"
    return f"{event.created_at} {kind}{says} — signed by {event.signer_id}"


def _more(items: list[Object]) -> list[str]:
    hidden = len(items) - MAX_LISTED
    return [f"… and {hidden:,} more; --json names each"] if hidden > 0 else []


# Events that are not in force, and equivocations ---------------------------------------------


def _not_in_force(state: Object, events: Callable[[], Iterable[Event]]) -> dict[str, list[str]]:
    """Return the retired and refused events, and equivocations (M9 to M11)."""
    if not any(state[name] for name in ("retired_events", "invalid_events", "equivocations")):
        return {}
    valid, refused = _by_name(events())
    named = {
        "retired": _lines(state["retired_events"], lambda one: _retired(one, valid)),
        "refused": _lines(state["invalid_events"], lambda one: _refused(one, refused)),
        "equivocations": _lines(state["equivocations"], lambda one: _equivocation(one, valid)),
    }
    return {name: lines for name, lines in named.items() if lines}


def _by_name(events: Iterable[Event]) -> tuple[dict[str, EventSummary], dict[str, InvalidEvent]]:
    """Return the summaries of valid events by id, and invalid events by digest."""
    valid: dict[str, EventSummary] = {}
    refused: dict[str, InvalidEvent] = {}
    for event in events:
        if isinstance(event, ValidEvent):
            valid.setdefault(event.event_id, event_summary(event))
        else:
            refused[event.digest.hex()] = event
    return valid, refused


def _lines(value: Value, describe: Callable[[Object], Iterator[str]]) -> list[str]:
    items = _objects(value)
    return [line for one in items[:MAX_LISTED] for line in describe(one)] + _more(items)


def _retired(retired: Object, valid: dict[str, EventSummary]) -> Iterator[str]:
    event_id, reason = str(retired["event_id"]), str(retired["reason"])
    yield _face(valid[event_id])
    yield f"  event {event_id}"
    by = cast("list[str]", retired["by"])
    if not by:
        yield f"  {reason} by its own signer, in this event"
    for one in by[:_MAX_RETIRING]:
        yield f"  {reason} by {_face(valid[one])}"
        yield f"    event {one}"
    if len(by) > _MAX_RETIRING:
        yield f"  and {len(by) - _MAX_RETIRING:,} more"


def _refused(refused: Object, events: dict[str, InvalidEvent]) -> Iterator[str]:
    event = events[str(refused["digest"])]
    yield f"{event.code}: {event.reason}"
    yield f"  not verified: {_claimed_face(event)}"
    yield f"  value with the digest {refused['digest']}"


def _equivocation(double: Object, valid: dict[str, EventSummary]) -> Iterator[str]:
    yield f"{double['signer_id']} signed different events of one moment, {double['created_at']}:"
    for event_id in cast("list[str]", double["event_ids"])[:MAX_LISTED]:
        yield f"  {_face(valid[event_id])}"
        yield f"    event {event_id}"


def _face(event: EventSummary) -> str:
    says = f": {said}" if (said := _says(event)) else ""
    return f"{event.created_at} {event.event_type}{says} — signed by {event.signer_id}"


def _says(event: EventSummary) -> str:
    """Return the summary fields of an event in one line."""
    phrases = _PHRASES if event.event_type in EVENT_TYPES else {}
    said = (
        phrases.get(name, " {}").format(truncate(value, _MAX_VALUE)) for name, value in event.fields
    )
    return "".join(said).strip()


def _claimed_face(event: InvalidEvent) -> str:
    """Return the claimed members of an invalid event, or the beginning of its value."""
    said = event_summary(event)
    if not said.event_type:
        return truncate(canonical(event.value).decode(), _MAX_VALUE)
    signer = f" — claims to be signed by {said.signer_id}" if said.signer_id else ""
    face = f"{said.created_at or 'no time'} {said.event_type}: {_says(said) or 'nothing'}{signer}"
    return truncate(face, _MAX_FACE)
