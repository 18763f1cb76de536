"""State of a record as a table for a person: claims, signers and verification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mirror.cli.output import plural
from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.summary import (
    EventSummary,
    claimed_headline,
    entry_summary,
    event_summary,
)
from mirror.core.events.types import (
    CITATION,
    EVENT_TYPES,
    LIST_NAMES,
    OTHER_EVENTS,
    STATUS_LISTS,
    list_label,
)
from mirror.core.record import Record
from mirror.core.state_view import EventEntry, RetiredEvent, StateView
from mirror.core.values import Object
from mirror.core.verification_status import CheckedClaims, claim_statuses
from mirror.engine.titles import title_of
from mirror.store import PaperTexts

__all__ = ["state_rows"]

_Item = TypeVar("_Item")

MAX_LISTED = 50
"""Items of one list that the table shows; the rest are counted."""
_MAX_RETIRING = 3
"""Retiring events shown for one retired event."""

_SNAPSHOT_FLAGS = {"references_resolved": "references", "formal_links_present": "formal links"}
"""Headings of the flags of `verification_status` that graph snapshots claim."""

_ELSEWHERE = {*STATUS_LISTS.values(), EVENT_TYPES[CITATION].shown_in}
"""Lists of `current` (M6) that are shown with a flag, or in a table of their own."""


def state_rows(
    state: StateView,
    record: Record,
    events: Callable[[], Iterable[Event]],
    checked: CheckedClaims = CheckedClaims(),  # noqa: B008 - it cannot be changed
    kept: PaperTexts = PaperTexts(),  # noqa: B008
) -> dict[str, str | list[str]]:
    """Return names and values for a table.

    Args:
        state: A state (M6).
        record: Its record.
        events: Reads all events of the record; called if any is not in force.
        checked: The results of checks of its claims.
        kept: Its proved texts.
    """
    rows: dict[str, str | list[str]] = {
        "Pith Number": record.pith_number,
        "canonical SHA-256": record.canonical_sha256,
        "source": f"{record.source['kind']} {record.source['id']} v{record.source['version']}",
        **_texts(state, record, kept),
        **_metadata(record),
        "aliases": [_alias(one) for one in state.source_aliases],
        "receipt": _receipt(state.receipt),
        **_claims(state, checked),
        "events": _counts(state),
    }
    if state.count("event_count"):
        rows["times of events"] = "as their signers claim"
    for name in LIST_NAMES:
        if name not in _ELSEWHERE and (entries := state.entries(name)):
            rows[list_label(name)] = _entries(entries, name, checked)
    return {**rows, **_not_in_force(state, events)}


def _texts(state: StateView, record: Record, kept: PaperTexts) -> dict[str, str | list[str]]:
    rows: dict[str, str | list[str]] = {}
    if title := title_of(kept, record, state):
        rows["title"] = [title.text, f"({title.origin})"]
    if abstract := kept.abstract:
        rows["abstract"] = [abstract.text, f"({abstract.origin})"]
    return rows


def _metadata(record: Record) -> dict[str, str]:
    return {
        "submitted": record.metadata["submitted_at"],
        "categories": " ".join(record.categories),
        "license": record.metadata["license"] or "none given",
    }


def _alias(alias: Object) -> str:
    created_at = alias["created_at"]
    claimed = f"claimed {created_at}" if created_at else "no claimed time"
    return f"{alias['alias_kind']}: {alias['alias_value']} ({claimed})"


def _receipt(receipt: Object | None) -> str:
    if receipt is None:
        return "none: no trusted key signed this record"
    at = receipt["signed_at"]
    when = f"at the claimed time {at}, by a signed event" if at else "at an unsigned time"
    return f"verified: signed with key {receipt['key_id']} {when}"


def _claims(state: StateView, checked: CheckedClaims) -> dict[str, list[str]]:
    rows = {}
    for flag, status in claim_statuses(state, checked.counts).items():
        name = STATUS_LISTS.get(flag)
        heading = _SNAPSHOT_FLAGS[flag] if name is None else list_label(name)
        entries = [] if name is None else _entries(state.entries(name), name, checked)
        rows[heading] = [status.words, *entries]
    return rows


def _counts(state: StateView) -> str:
    valid, invalid = state.count("valid_event_count"), state.count("invalid_event_count")
    equivocations = plural(state.count("equivocation_count"), "equivocation")
    return f"{valid} valid, {invalid} invalid, {equivocations}"


# Events in force -----------------------------------------------------------------------------


def _entries(entries: Sequence[EventEntry], name: str, checked: CheckedClaims) -> list[str]:
    lines = []
    for one in entries[:MAX_LISTED]:
        lines.append(_entry(entry_summary(one.value, name), name))
        if (result := checked.results.get(one.event_id)) is not None:
            lines.append(f"  {result}")
    return [*lines, *_more(entries)]


def _entry(event: EventSummary, name: str) -> str:
    kind = f"{event.event_type} " if name == OTHER_EVENTS else ""
    text = event.text or f"event {event.event_id}"
    return f"{event.created_at} {kind}{text} — signed by {event.signer_id}"


def _more(items: Sequence[object]) -> list[str]:
    hidden = len(items) - MAX_LISTED
    return [f"… and {hidden:,} more; --json prints all of them"] if hidden > 0 else []


# Events that are not in force, and equivocations ---------------------------------------------


def _not_in_force(state: StateView, events: Callable[[], Iterable[Event]]) -> dict[str, list[str]]:
    """Return the retired and invalid events, and equivocations (M9 to M11)."""
    if not (state.retired_events or state.invalid_events or state.equivocations):
        return {}
    valid, refused = _by_name(events())
    equivocations = list(zip(state.equivocations, state.equivocating_ids, strict=True))
    rows = {
        "retired": _lines(state.retired_events, lambda one: _retired(one, valid)),
        "refused": _lines(state.invalid_events, lambda one: _refused(one, refused)),
        "equivocations": _lines(equivocations, lambda one: _equivocation(*one, valid)),
    }
    return {name: lines for name, lines in rows.items() if lines}


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


def _lines(items: Sequence[_Item], describe: Callable[[_Item], Iterator[str]]) -> list[str]:
    return [line for one in items[:MAX_LISTED] for line in describe(one)] + _more(items)


def _retired(retired: RetiredEvent, valid: dict[str, EventSummary]) -> Iterator[str]:
    yield valid[retired.event_id].headline
    yield f"  event {retired.event_id}"
    if not retired.by:
        yield f"  {retired.reason} by its own signer, in this event"
    for one in retired.by[:_MAX_RETIRING]:
        yield f"  {retired.reason} by {valid[one].headline}"
        yield f"    event {one}"
    if (hidden := len(retired.by) - _MAX_RETIRING) > 0:
        yield f"  and {hidden:,} more"


def _refused(refused: Object, events: dict[str, InvalidEvent]) -> Iterator[str]:
    event = events[str(refused["digest"])]
    yield f"{event.code}: {event.reason}"
    yield f"  not verified: {claimed_headline(event)}"
    yield f"  value with the digest {refused['digest']}"


def _equivocation(
    group: Object, event_ids: list[str], valid: dict[str, EventSummary]
) -> Iterator[str]:
    yield f"{group['signer_id']} signed different events of one time, {group['created_at']}:"
    for event_id in event_ids[:MAX_LISTED]:
        yield f"  {valid[event_id].headline}"
        yield f"    event {event_id}"
