"""Which record an identifier names (R3, R4): any alias, any short form, or a URL that ends in one.

Short forms can collide and versions share an arXiv id: an identifier that fits several records is
an error that lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mirror.archive import shown
from mirror.core.values import is_digest
from mirror.errors import LookUpError
from mirror.store import Records

__all__ = ["find_all", "look_up"]

_LISTED = 10
_LONGEST = 1000
"""Characters of a name; no address of a record is longer."""

_URL = re.compile(
    r"(?:https?://)?(?:[^/]+/(?:\.well-known/)?pith/|(?:www\.)?arxiv\.org/(?:abs|pdf)/"
    r"|(?:dx\.)?doi\.org/)",
    re.IGNORECASE,
)
_ENDING = re.compile(r"(?:/(?:bundle|state)\.json|\.json|\.pdf)?(?:[?#].*)?$")
_PREFIX = re.compile(r"(?:arxiv|doi):\s*", re.IGNORECASE)
_DOI = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"pith:(?:([0-9]{4}):)?([A-Z2-7]{8,26})", re.IGNORECASE)
_SUFFIX = re.compile(r"[A-Z2-7]{8,26}", re.IGNORECASE)
_VERSIONED = re.compile(r"(.+)v([1-9][0-9]{0,8})")


def look_up(records: Records, identifier: str) -> int:
    """Return the row id of the one record that `identifier` names.

    Raises:
        LookUpError: `lookup.unknown`, or `lookup.ambiguous` with the choices.
    """
    identifier = shown(identifier.strip())
    found = find_all(records, identifier)
    if not found:
        hint = "take a Pith Number or its first 8 letters, an arXiv id or a DOI"
        raise LookUpError("lookup.unknown", f"no record is named {identifier!r}", hint=hint)
    if len(found) > 1:
        raise LookUpError("lookup.ambiguous", _choices(records, identifier, found))
    return found[0]


def _choices(records: Records, identifier: str, found: list[int]) -> str:
    numbers = [records.get(record_id).pith_number for record_id in found[:_LISTED]]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"{identifier!r} names {len(found)} records: {', '.join(numbers)}{more}"


def find_all(records: Records, identifier: str) -> list[int]:
    """Return the row ids of all records that `identifier` names."""
    identifier = shown(identifier.strip())
    if len(identifier) > _LONGEST:
        return []
    name, is_url = _URL.subn("", identifier, count=1)
    name = _ENDING.sub("", name, count=1) if is_url else name
    name = _PREFIX.sub("", name, count=1).rstrip("/")
    ways: list[Callable[[Records, str], list[int]]] = [_by_number, _by_digest, _by_doi, _by_source]
    return list(dict.fromkeys(record_id for way in ways for record_id in way(records, name)))


def _by_number(records: Records, name: str) -> list[int]:
    match = _NUMBER.fullmatch(name)
    if match is None:
        return records.by_suffix(name.upper()) if _SUFFIX.fullmatch(name) else []
    year, suffix = match.groups()
    found = records.by_suffix(suffix.upper())
    if year is None:
        return found
    prefix = f"pith:{year}:"
    return [one for one in found if records.get(one).pith_number.startswith(prefix)]


def _by_digest(records: Records, name: str) -> list[int]:
    found = records.find(bytes.fromhex(name)) if is_digest(name) else None
    return [] if found is None else [found]


def _by_doi(records: Records, name: str) -> list[int]:
    match = _DOI.fullmatch(name)
    return _by_source(records, match[1]) if match else []


def _by_source(records: Records, name: str) -> list[int]:
    match = _VERSIONED.fullmatch(name)
    versioned = records.by_source(match[1], int(match[2])) if match else []
    return [*records.by_source(name), *versioned]
