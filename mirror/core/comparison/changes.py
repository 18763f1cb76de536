"""Changes from one state of a record to a later one: what came, what went, what changed.

Both states are this mirror's own (M6). An event counts once, by its id: where the earlier state has
it, and where the later one does. No list is compared by position, because its order follows from
its items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mirror.core.comparison.diff import differences, shown_value
from mirror.core.events.summary import entry_summary
from mirror.core.events.types import LIST_NAMES
from mirror.core.shape import list_member, object_member, objects_member, text_member
from mirror.core.values import Object, Value, canonical, instant

__all__ = ["StateChange", "state_changes"]

_RETIRED = "retired_events"
_MAX_NAMED = 3
"""Most events that a sentence names; the value has all of them."""

_COUNTS = {
    "event_count": "events",
    "valid_event_count": "valid events",
    "invalid_event_count": "invalid events",
    "equivocation_count": "equivocations",
}


@dataclass(frozen=True, slots=True)
class StateChange:
    """A difference between two states of one record."""

    kind: str
    """`came`, `gone` or `changed`."""
    member: str
    """The list of `current`, or another member of the state: of a valid event, the list where it
    is or was in force, else `retired_events`."""
    event_id: str | None
    """None if it is not about one valid event."""
    words: str
    """One line for a person. Times in it are claimed. Strings in it may be anything."""
    before: Value
    """The member or item as the earlier state has it; None if it has none."""
    after: Value
    """The same of the later state."""

    def to_value(self) -> Object:
        """Return the change as JSON."""
        return {
            "kind": self.kind,
            "member": self.member,
            "event_id": self.event_id,
            "words": self.words,
            "before": self.before,
            "after": self.after,
        }


def state_changes(before: Object | None, after: Object) -> list[StateChange]:
    """Return the changes from one state to a later one; none if and only if they are equal.

    Args:
        before: The earlier state; None before the record was known.
        after: The later state, of the same record and the same version of the merge.
    """
    earlier = before or {}
    return [
        *_changes("canonical_record", earlier, after, _records, _record_words),
        *_changes("source_aliases", earlier, after, _aliases, _alias_words),
        *_changes("receipt", earlier, after, _receipts, _receipt_words),
        *_event_changes(_places(earlier), _places(after)),
        *_changes("equivocations", earlier, after, _equivocations, _equivocation_words),
        *_changes("invalid_events", earlier, after, _invalid_events, _invalid_words),
        *_count_changes(earlier, after),
    ]


_Items: TypeAlias = dict[str, Object]
"""The items of a member of a state, by what identifies each."""
_Words: TypeAlias = Callable[[str, Object | None, Object | None], str]


def _changes(
    member: str, before: Object, after: Object, items: Callable[[Object], _Items], words: _Words
) -> Iterator[StateChange]:
    earlier, later = items(before), items(after)
    for name in dict.fromkeys([*earlier, *later]):
        one, other = earlier.get(name), later.get(name)
        if canonical(one) != canonical(other):
            kind = "came" if one is None else "gone" if other is None else "changed"
            yield StateChange(kind, member, None, words(name, one, other), one, other)


def _current(state: Object) -> Object:
    return object_member(state, "current")


def _first_difference(before: Object, after: Object) -> str:
    first = differences(before, after).found[0]
    return f"{first.place}: {shown_value(first.here)} before, {shown_value(first.upstream)} after"


# The record, its aliases and its receipt -----------------------------------------------------


def _records(state: Object) -> _Items:
    record = object_member(_current(state), "canonical_record")
    return {text_member(state, "pith_number"): record} if record else {}


def _record_words(number: str, _before: Object | None, _after: Object | None) -> str:
    return f"the record {number}"


def _aliases(state: Object) -> _Items:
    aliases = objects_member(_current(state), "source_aliases")
    return {f"{one['alias_kind']}: {one['alias_value']}": one for one in aliases}


def _alias_words(name: str, before: Object | None, after: Object | None) -> str:
    times = [text_member(one, "created_at") or "none" for one in (before, after) if one]
    return f"{name}, claimed time {_and_then(times)}"


def _and_then(texts: list[str]) -> str:
    """Return one text, or how it was before and is after."""
    return texts[0] if len(texts) == 1 else f"{texts[0]} before, {texts[1]} after"


def _receipts(state: Object) -> _Items:
    receipt = object_member(_current(state), "receipt")
    return {"receipt": receipt} if receipt else {}


def _receipt_words(_name: str, before: Object | None, after: Object | None) -> str:
    if before and after:
        return f"the receipt, {_first_difference(before, after)}"
    return f"the receipt, signed with key {text_member(after or before, 'key_id')}"


# Events --------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where a state has a valid event."""

    member: str
    """A list of `current`, or `retired_events`."""
    item: Object

    @property
    def is_in_force(self) -> bool:
        return self.member != _RETIRED

    @property
    def reason(self) -> str:
        """Why the event is not in force; empty if it is."""
        if self.is_in_force:
            return ""
        reason, by = text_member(self.item, "reason"), list_member(self.item, "by")
        return f"{reason} by {_named(by)}" if by else f"{reason} by its signer"


def _named(ids: list[Value]) -> str:
    """Return the first of some event ids, and how many more there are."""
    more = len(ids) - _MAX_NAMED
    shown = ", ".join(map(str, ids[:_MAX_NAMED]))
    return f"{shown} and {more:,} more" if more > 0 else shown


def _places(state: Object) -> dict[str, _Place]:
    """Return where the valid events of a state are, by their ids."""
    lists = [(name, objects_member(_current(state), name)) for name in LIST_NAMES]
    lists.append((_RETIRED, objects_member(state, _RETIRED)))
    return {
        text_member(item, "event_id"): _Place(name, item) for name, items in lists for item in items
    }


def _event_changes(before: dict[str, _Place], after: dict[str, _Place]) -> Iterator[StateChange]:
    for event_id in dict.fromkeys([*before, *after]):
        one, other = before.get(event_id), after.get(event_id)
        if one is None:
            yield _event_change("came", event_id, one, other)
        elif other is None or one.is_in_force > other.is_in_force:
            yield _event_change("gone", event_id, one, other)
        elif one.is_in_force < other.is_in_force:
            yield _event_change("came", event_id, one, other)
        elif one.member != other.member or canonical(one.item) != canonical(other.item):
            yield _event_change("changed", event_id, one, other)


def _event_change(
    kind: str, event_id: str, before: _Place | None, after: _Place | None
) -> StateChange:
    places = [one for one in (after, before) if one is not None]
    place = next((one for one in places if one.is_in_force), places[0])
    items = [None if one is None else one.item for one in (before, after)]
    words = f"{_event_words(event_id, place)}{_reason_words(before, after)}"
    return StateChange(kind, place.member, event_id, words, *items)


def _event_words(event_id: str, place: _Place) -> str:
    if not place.is_in_force:
        return event_id
    return entry_summary(place.item, place.member).description


def _reason_words(before: _Place | None, after: _Place | None) -> str:
    if before is None:
        return f", {after.reason}" if after and after.reason else ""
    if after is None:
        return f", {before.reason}, is not valid" if before.reason else ", is not valid"
    if before.reason or after.reason:
        return f", {_and_then([before.reason or 'in force', after.reason or 'in force'])}"
    if before.member != after.member:  # another profile gives the event another type
        return f", {_and_then([f'in {before.member}', f'in {after.member}'])}"
    return f", {_first_difference(before.item, after.item)}"


# Equivocations, invalid events and counts ----------------------------------------------------


def _equivocations(state: Object) -> _Items:
    return {_group(one): one for one in objects_member(state, "equivocations")}


def _group(equivocation: Object) -> str:
    """Return what identifies a group of events: one instant can be written in two ways (M4)."""
    at = instant(text_member(equivocation, "created_at"))
    names = ("event_type", "slot_key", "signer_id", "signer_type")
    return canonical([at, *(equivocation[name] for name in names)]).decode()


def _equivocation_words(_group: str, before: Object | None, after: Object | None) -> str:
    one = after or before or {}
    ids = [_named(list_member(group, "event_ids")) for group in (before, after) if group]
    signer, at = text_member(one, "signer_id"), text_member(one, "created_at")
    kind = text_member(one, "event_type")
    return f"{signer} signed different {kind} events of one claimed time, {at}: {_and_then(ids)}"


def _invalid_events(state: Object) -> _Items:
    return {text_member(one, "digest"): one for one in objects_member(state, "invalid_events")}


def _invalid_words(digest: str, before: Object | None, after: Object | None) -> str:
    codes = [text_member(one, "code") for one in (before, after) if one]
    return f"the value with the digest {digest}, refused: {_and_then(codes)}"


def _count_changes(before: Object, after: Object) -> Iterator[StateChange]:
    for name, label in _COUNTS.items():
        one, other = before.get(name, 0), after[name]
        if one != other:
            words = f"{label}: {one} before, {other} after"
            yield StateChange("changed", name, None, words, one, other)
