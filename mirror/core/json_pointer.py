"""JSON Pointers into decoded JSON (RFC 6901).

Only members of objects are looked up: an item of a list has a pointer, and no function here
follows one into a list. So a pointer means one member, whatever an event puts in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from mirror.core.values import Object, Value

__all__ = [
    "escape_token",
    "get_pointer",
    "has_pointer",
    "is_below",
    "is_pointer",
    "join_pointer",
    "parent_pointer",
    "remove_pointers",
    "split_pointer",
]

_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")


def is_pointer(text: str) -> bool:
    """Whether a text is a JSON Pointer to a member, at any depth; the whole document is not one."""
    return _POINTER.fullmatch(text) is not None


def escape_token(name: str) -> str:
    """Return the name of a member as a reference token (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def join_pointer(pointer: str, name: str | int) -> str:
    """Return the pointer to a member or item of the value at `pointer` (RFC 6901 section 4)."""
    return f"{pointer}/{escape_token(str(name))}"


@lru_cache(maxsize=1024)  # a profile's pointers are followed into every event
def split_pointer(pointer: str) -> tuple[str, ...]:
    """Return the names of members that a pointer goes through, unescaped."""
    return tuple(one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:])


def parent_pointer(pointer: str) -> str:
    """Return the pointer to the object or list that holds a member or item."""
    return pointer.rpartition("/")[0]


def get_pointer(value: Value, pointer: str) -> Value:
    """Return the value at a pointer; None if there is none."""
    for name in split_pointer(pointer):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def has_pointer(value: Value, pointer: str) -> bool:
    """Whether an object has a member at a pointer, be it null."""
    *above, name = split_pointer(pointer)
    for one in above:
        value = value.get(one) if isinstance(value, dict) else None
    return isinstance(value, dict) and name in value


def remove_pointers(value: Object, pointers: Iterable[str]) -> Object:
    """Return a copy of an object without the members at some pointers."""
    for pointer in pointers:
        value = _without(value, split_pointer(pointer))
    return value


def _without(value: Object, names: Sequence[str]) -> Object:
    first, *rest = names
    if first not in value:
        return value
    if not rest:
        return {name: member for name, member in value.items() if name != first}
    inner = value[first]
    return {**value, first: _without(inner, rest)} if isinstance(inner, dict) else value


def is_below(pointers: Iterable[str], pointer: str) -> bool:
    """Whether a pointer is one of some pointers, or points into the value at one."""
    return any(pointer == one or pointer.startswith(f"{one}/") for one in pointers)
