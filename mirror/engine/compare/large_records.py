"""Groups the members of a bag that belong to one record (C2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgpack

from mirror.archive import Member, RefusedMember

__all__ = ["RecordMembers", "group_by_record"]

RecordMembers: TypeAlias = tuple[Member, ...] | RefusedMember
"""The members of one record, or a refused member."""

_FILE = re.compile(r"(.*/[A-Z2-7]{26}/)(?:[0-9]{4,}\.)?bundle\.json")
_HEAD_BYTES = 512
"""First bytes of a packed bundle; they contain its Pith Number if it has B1's order."""
_HEAD_MEMBERS = 4


def group_by_record(items: Iterable[Member | RefusedMember]) -> Iterator[RecordMembers]:
    """Yield the members of a source, successive members of one record together."""
    group: list[Member] = []
    name: str | None = None
    for item in items:
        found = _record_of(item) if isinstance(item, Member) else None
        if group and (found is None or found != name):
            yield tuple(group)
            group = []
        name = found
        if isinstance(item, RefusedMember):
            yield item
        else:
            group.append(item)
    if group:
        yield tuple(group)


def _record_of(member: Member) -> str | None:
    """Return a name of the record of a member in a bag; None if there is none."""
    if member.is_packed:
        return _packed_number(member.data)
    match = _FILE.fullmatch(member.name)
    return None if match is None else match[1]


def _packed_number(data: bytes) -> str | None:
    """Return the Pith Number at the start of a packed bundle; the rest may be invalid."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data[:_HEAD_BYTES])
    try:
        for _ in range(min(unpacker.read_map_header(), _HEAD_MEMBERS)):
            name, value = unpacker.unpack(), unpacker.unpack()
            if name == "pith_number":
                return value if isinstance(value, str) else None
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        pass  # the parser reports the fault
    return None
