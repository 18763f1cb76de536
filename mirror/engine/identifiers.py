"""Looks up the records of a store that an identifier names (R3, R4).

Short forms can collide, and the versions of a paper share an arXiv id. So an identifier may name
several records; a function for one record then raises an error that lists them.
"""

from __future__ import annotations

from collections.abc import Callable

from mirror.core.escaping import escape_name
from mirror.core.identifier import Identifier, names_in, split_version
from mirror.errors import AmbiguousError, LookUpError
from mirror.store import Records

__all__ = ["find_all", "look_up"]

_LISTED = 10


def look_up(records: Records, identifier: str) -> int:
    """Return the row id of the one record that `identifier` names.

    Raises:
        LookUpError: `lookup.unknown`
        AmbiguousError: If several records have the name.
    """
    identifier = escape_name(identifier.strip())
    found = find_all(records, identifier)
    if not found:
        hint = "give a Pith Number or its first 8 letters, an arXiv id or a DOI"
        raise LookUpError("lookup.unknown", f"no record is named {identifier!r}", hint=hint)
    if len(found) > 1:
        raise _ambiguous(records, identifier, found)
    return found[0]


def _ambiguous(records: Records, identifier: str, found: list[int]) -> AmbiguousError:
    numbers = [records.get(record_id).pith_number for record_id in found[:_LISTED]]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    message = f"{identifier!r} names {len(found)} records: {', '.join(numbers)}{more}"
    return AmbiguousError(message, numbers)


def find_all(records: Records, identifier: str) -> list[int]:
    """Return the row ids of all records that `identifier` names."""
    found = (_LOOK_UPS[name.scheme](records, name) for name in names_in(escape_name(identifier)))
    return list(dict.fromkeys(record_id for record_ids in found for record_id in record_ids))


def _by_number(records: Records, name: Identifier) -> list[int]:
    found = records.by_suffix(name.value)
    if not name.year:
        return found
    prefix = f"pith:{name.year}:"
    return [one for one in found if records.get(one).pith_number.startswith(prefix)]


def _by_digest(records: Records, name: Identifier) -> list[int]:
    found = records.find(bytes.fromhex(name.value))
    return [] if found is None else [found]


def _by_source(records: Records, name: Identifier) -> list[int]:
    versioned = split_version(name.value)
    return [
        *records.by_source(name.value),
        *(records.by_source(*versioned) if versioned is not None else ()),
    ]


_LOOK_UPS: dict[str, Callable[[Records, Identifier], list[int]]] = {
    "pith": _by_number,
    "sha256": _by_digest,
    "source": _by_source,
}
