"""Summary of an event for a person: type, claimed time, signer, and the main payload members.

A summary copies strings out of a value and proves nothing. That of an invalid event must be shown
as not verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from mirror.core.comparison.diff import truncate
from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.types import EVENT_TYPES, GRAPH_SNAPSHOT, INTEGRITY, LISTED_TYPES
from mirror.core.shape import object_member, text_member
from mirror.core.values import Object, Value, canonical

__all__ = ["EventSummary", "claimed_headline", "entry_summary", "event_summary"]

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
_MAX_VALUE = 200
"""Characters shown of one value."""
_MAX_HEADLINE = 600
"""Characters shown of an invalid event."""

_PHRASES = {
    "claim_id": " (claim “{}”)",
    "asserted_by": " (asserted by {})",
    "status": " ({})",
    "relationship": " {} this record",
    "event_id": " revokes {}:",
}
"""Words around the values of some members of payloads that E4 names."""


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

    @property
    def text(self) -> str:
        """The fields in one line; empty if there are none."""
        phrases = _PHRASES if self.event_type in EVENT_TYPES else {}
        fields = (
            phrases.get(name, " {}").format(truncate(value, _MAX_VALUE))
            for name, value in self.fields
        )
        return "".join(fields).strip()

    @property
    def statement(self) -> str:
        """The type and the fields in one line."""
        return f"{self.event_type}: {self.text}" if self.text else self.event_type

    @property
    def description(self) -> str:
        """The type, the fields, the signer and the claimed time in one line."""
        return self._described("signed by")

    @property
    def claimed_description(self) -> str:
        """The same of an event whose signature is not verified."""
        return self._described("claims to be signed by")

    def _described(self, signed_by: str) -> str:
        signer, claimed = self.signer_id or "nobody", self.created_at or "none"
        return f"{self.statement} — {signed_by} {signer}, claimed time {claimed}"

    @property
    def headline(self) -> str:
        """The claimed time, the type, the fields and the signer in one line."""
        return f"{self.created_at} {self.statement} — signed by {self.signer_id}"


def event_summary(event: Event) -> EventSummary:
    """Return the summary of an event, valid or not."""
    value = event.value
    if isinstance(event, ValidEvent):
        value = cast("Object", event.statement)  # a TypedDict is an object
    return _summary(value, text_member(value, "event_type"))


def claimed_headline(event: InvalidEvent) -> str:
    """Return what an invalid event claims in one line, or the beginning of its value."""
    claimed = event_summary(event)
    if not claimed.event_type:
        return truncate(canonical(event.value).decode(), _MAX_VALUE)
    signer = f" — claims to be signed by {claimed.signer_id}" if claimed.signer_id else ""
    text, time = claimed.text or "nothing", claimed.created_at or "no time"
    return truncate(f"{time} {claimed.event_type}: {text}{signer}", _MAX_HEADLINE)


def entry_summary(entry: Object, list_name: str) -> EventSummary:
    """Return the summary of an event as a list of `current` holds it (M6)."""
    return _summary(entry, LISTED_TYPES.get(list_name) or text_member(entry, "event_type"))


def _summary(event: Value, event_type: str) -> EventSummary:
    signer = object_member(event, "signer")
    return EventSummary(
        event_id=text_member(event, "event_id"),
        event_type=event_type,
        created_at=text_member(event, "created_at"),
        signer_id=text_member(signer, "signer_id"),
        key_id=text_member(signer, "key_id"),
        fields=_fields(event_type, object_member(event, "payload")),
    )


def _fields(event_type: str, payload: Object) -> tuple[tuple[str, str], ...]:
    if event_type == GRAPH_SNAPSHOT:
        graph = object_member(payload, GRAPH_SNAPSHOT)
        payload = object_member(graph, "paper") or graph
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
    evidence = object_member(payload, "evidence")
    held = (evidence.get(one) for one in _IN_EVIDENCE.get(name, ()))
    return next((one for one in held if one is not None), None)


def _tells(name: str, value: Value) -> bool:
    """Whether a member is worth showing: a scalar, and a status only where it takes back."""
    if name == "status":
        return value == "withdrawn"
    return isinstance(value, str | int | float) and value != ""
