"""Summary of an event for a person: type, claimed time, signer, and the main payload members.

A summary copies strings out of a value and proves nothing. Whoever shows that of an invalid event
marks every field as not verified.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.events.event import Event, ValidEvent
from mirror.core.events.types import EVENT_TYPES, GRAPH_SNAPSHOT, INTEGRITY, LISTED_TYPES
from mirror.core.values import Object, Value

__all__ = ["EventSummary", "entry_summary", "event_summary"]

_IN_EVIDENCE = {
    "ref_index": ("ref_index",),
    "detected_doi": ("doi", "reconstructed_doi"),
    "detected_arxiv_id": ("arxiv_id",),
    "snippet": ("raw_excerpt", "printed_excerpt", "snippet"),
}
"""Where the `evidence` of an integrity finding holds a member that its payload lacks."""
_OTHER_MEMBERS = 4
"""Members shown of a payload whose type E4 does not name."""
_MAX_NAMES = 8
"""Names of members shown of a payload without a value to show."""


@dataclass(frozen=True, slots=True)
class EventSummary:
    """Main fields of an event; a field that the value lacks is empty."""

    event_id: str
    event_type: str
    created_at: str
    """The time that the event claims."""
    signer_id: str
    key_id: str
    fields: tuple[tuple[str, str], ...]
    """Names and values of payload members."""


def event_summary(event: Event) -> EventSummary:
    """Return the summary of an event, valid or not."""
    value = event.statement if isinstance(event, ValidEvent) else event.value
    members = value if isinstance(value, dict) else {}
    return _summary(members, _text(members, "event_type"))


def entry_summary(entry: Object, list_name: str) -> EventSummary:
    """Return the summary of an event as a list of `current` holds it (M6)."""
    return _summary(entry, LISTED_TYPES.get(list_name) or _text(entry, "event_type"))


def _summary(event: Object, event_type: str) -> EventSummary:
    signer = _object(event, "signer")
    return EventSummary(
        event_id=_text(event, "event_id"),
        event_type=event_type,
        created_at=_text(event, "created_at"),
        signer_id=_text(signer, "signer_id"),
        key_id=_text(signer, "key_id"),
        fields=_fields(event_type, _object(event, "payload")),
    )


def _fields(event_type: str, payload: Object) -> tuple[tuple[str, str], ...]:
    if event_type == GRAPH_SNAPSHOT:
        graph = _object(payload, GRAPH_SNAPSHOT)
        payload = _object(graph, "paper") or graph
    kind = EVENT_TYPES.get(event_type)
    names = tuple(payload)[:_OTHER_MEMBERS] if kind is None else kind.summary_fields
    found = [(name, _member(payload, name, event_type)) for name in names]
    fields = tuple((name, str(value)) for name, value in found if _tells(name, value))
    return fields or _member_names(payload)


def _member_names(payload: Object) -> tuple[tuple[str, str], ...]:
    """Return the names of the members where no value can be shown."""
    shown = [*payload][:_MAX_NAMES] + (["…"] if len(payload) > _MAX_NAMES else [])
    return (("members", ", ".join(shown)),) if shown else ()


def _member(payload: Object, name: str, event_type: str) -> Value:
    """Return a payload member; of an integrity finding, else the one of its evidence."""
    value = payload.get(name)
    if value is not None or event_type != INTEGRITY:
        return value
    evidence = _object(payload, "evidence")
    held = (evidence.get(one) for one in _IN_EVIDENCE.get(name, ()))
    return next((one for one in held if one is not None), None)


def _tells(name: str, value: Value) -> bool:
    """Whether a member is worth showing: a scalar, and a status only where it takes back."""
    if name == "status":
        return value == "withdrawn"
    return isinstance(value, str | int | float) and value != ""


def _object(value: Object, name: str) -> Object:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Object, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
