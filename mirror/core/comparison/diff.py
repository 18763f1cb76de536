"""Structural diff of two states (M6).

A state may be partial: upstream prints fewer members than M6 has. A member that one side lacks is
listed and is no difference; a member of both must be equal. Objects are compared by the members
that both have, except those that the protocol treats as a whole: a record, a payload, a slot key.
Lists are compared item by item.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from mirror.core.json_pointer import join_pointer
from mirror.core.values import Object, Value, canonical

__all__ = [
    "Difference",
    "Differences",
    "Missing",
    "differences",
    "shown_value",
    "truncate",
]


class Missing:
    """No value."""


ABSENT = Missing()

_SHOWN, _SHOWN_OF_POINTER = 80, 200
"""Characters of a value, and of a pointer, that a sentence shows."""

_WHOLE = frozenset({"canonical_record", "payload", "slot_key"})
"""Members that are compared as a whole, so that a member missing in one is a difference."""

_IDENTITY = ("event_id", "alias_kind", "digest")
"""Members that identify an item of a list."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A member or item in which two states differ."""

    pointer: str
    """JSON Pointer (RFC 6901)."""
    here: Value | Missing
    upstream: Value | Missing

    @property
    def place(self) -> str:
        """The pointer, as part of a sentence; cut if it is long."""
        return truncate(self.pointer, _SHOWN_OF_POINTER)

    @property
    def sides(self) -> str:
        """Both values, as part of a sentence; cut if they are long."""
        return f"{shown_value(self.here)} here, {shown_value(self.upstream)} upstream"

    def to_value(self) -> Object:
        """Return it as it is printed, without the member of a side that has no value."""
        sides = {"here": self.here, "upstream": self.upstream}
        present = {name: one for name, one in sides.items() if not isinstance(one, Missing)}
        return {"pointer": self.pointer, **present}


@dataclass(slots=True)
class Differences:
    """The differences of two states, and the members that only one of them has."""

    found: list[Difference] = field(default_factory=list)
    """In the order of our state's members."""
    only_here: list[str] = field(default_factory=list)
    """Pointers to members that upstream does not print."""
    only_upstream: list[str] = field(default_factory=list)
    """Pointers to members that this mirror does not have."""


def differences(here: Object, upstream: Object) -> Differences:
    """Return where two states differ."""
    result = Differences()
    _walk_object(here, upstream, "", result)
    return result


def shown_value(value: Value | Missing) -> str:
    """Return a value as a sentence shows it: its canonical JSON, cut if it is long."""
    if isinstance(value, Missing):
        return "nothing"
    return truncate(canonical(value).decode(), _SHOWN)


def truncate(text: str, limit: int) -> str:
    """Return a text of at most so many characters, and how many it had."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def _walk(here: Value, upstream: Value, pointer: str, result: Differences) -> None:
    if isinstance(here, dict) and isinstance(upstream, dict):
        _walk_object(here, upstream, pointer, result)
    elif isinstance(here, list) and isinstance(upstream, list):
        _walk_list(here, upstream, pointer, result)
    else:
        result.found.extend(_within(here, upstream, pointer))


def _walk_object(here: Object, upstream: Object, pointer: str, result: Differences) -> None:
    for name, value in here.items():
        place = join_pointer(pointer, name)
        if name not in upstream:
            result.only_here.append(place)
        elif name in _WHOLE:
            result.found.extend(_within(value, upstream[name], place))
        else:
            _walk(value, upstream[name], place, result)
    result.only_upstream.extend(
        join_pointer(pointer, name) for name in upstream if name not in here
    )


def _walk_list(here: list[Value], upstream: list[Value], pointer: str, result: Differences) -> None:
    for index, (ours, theirs) in enumerate(zip(here, upstream, strict=False)):
        place = join_pointer(pointer, index)
        if not _are_same_item(ours, theirs):
            # From here on the items are different things: one difference is enough.
            result.found.extend(_identities(ours, theirs, place))
            return
        _walk(ours, theirs, place, result)
    if len(here) != len(upstream):
        end = min(len(here), len(upstream))
        rest = Difference(join_pointer(pointer, end), _at(here, end), _at(upstream, end))
        result.found.append(rest)


def _at(items: list[Value], index: int) -> Value | Missing:
    return items[index] if index < len(items) else ABSENT


def _are_same_item(here: Value, upstream: Value) -> bool:
    return not any(_identities(here, upstream, ""))


def _identities(here: Value, upstream: Value, pointer: str) -> Iterator[Difference]:
    """Yield the identifying members in which two items of a list differ."""
    if isinstance(here, dict) and isinstance(upstream, dict):
        for name in _IDENTITY:
            if name in here and name in upstream and here[name] != upstream[name]:
                yield Difference(join_pointer(pointer, name), here[name], upstream[name])


def _within(here: Value | Missing, upstream: Value | Missing, pointer: str) -> Iterator[Difference]:
    """Yield the first difference of two values that are compared as a whole."""
    for name, ours, theirs in _parts(here, upstream):
        if _differ(ours, theirs):
            yield from _within(ours, theirs, join_pointer(pointer, name))
            return
    if _differ(here, upstream):
        yield Difference(pointer, here, upstream)


def _parts(
    here: Value | Missing, upstream: Value | Missing
) -> Iterator[tuple[str | int, Value | Missing, Value | Missing]]:
    """Yield the members or items of two values, in pairs."""
    if isinstance(here, dict) and isinstance(upstream, dict):
        for name in sorted({*here, *upstream}):
            yield name, here.get(name, ABSENT), upstream.get(name, ABSENT)
    elif isinstance(here, list) and isinstance(upstream, list):
        for index, (ours, theirs) in enumerate(zip_longest(here, upstream, fillvalue=ABSENT)):
            yield index, ours, theirs


def _differ(here: Value | Missing, upstream: Value | Missing) -> bool:
    if isinstance(here, Missing) or isinstance(upstream, Missing):
        return here is not upstream
    return canonical(here) != canonical(upstream)
