"""The names of records (R3, R4), in one spelling each: what an identifier may mean.

An identifier is what a person or an event writes to name a record: a Pith Number or its beginning,
an arXiv id with or without version, a DOI, `canonical_sha256`, or the address of any of these. An
identifier means a record just if one of `names_in(identifier)` is among `names_of(record)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mirror.core.record import Record, suffix_of
from mirror.core.values import is_digest

__all__ = ["Identifier", "is_named", "names_in", "names_of", "path_name", "split_version"]

_LONGEST = 1000
"""Characters of an identifier; no address of a record is longer."""
_SHORTEST_PREFIX, _SUFFIX_LETTERS = 8, 26
_GREATEST_VERSION = 999_999_999
"""The longest source id with a version that is recognised."""

_URL = re.compile(
    r"(?:https?://)?(?:[^/]+/(?:\.well-known/)?pith/|(?:[a-z]+\.)?arxiv\.org/(?:abs|pdf)/"
    r"|(?:dx\.)?doi\.org/)",
    re.IGNORECASE,
)
_ENDING = re.compile(r"(?:/(?:bundle|state)\.json|\.json|\.pdf)?(?:[?#].*)?$")
_PREFIX = re.compile(r"(?:arxiv|doi):\s*", re.IGNORECASE)
_DOI = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:pith:(?:([0-9]{4}):)?)?([A-Z2-7]{8,26})", re.IGNORECASE | re.ASCII)
_VERSIONED = re.compile(r"(.+)v([1-9][0-9]{0,8})", re.DOTALL)
_PATH_NAME = re.compile(r"(?!.*//)[A-Za-z0-9][A-Za-z0-9._/+:-]{3,79}")
"""A source id that can be requested; the address of another web site is not one."""


class Identifier(NamedTuple):
    """A name of a record."""

    scheme: str
    """`pith`, `sha256` or `source`."""
    value: str
    """The first 8 to 26 letters of the suffix, in capitals; `canonical_sha256` in hexadecimal; a
    source id, alone or with `v` and the version."""
    year: str = ""
    """The year of a Pith Number, if it is given."""

    def __str__(self) -> str:
        """Return the one spelling of the name."""
        return ":".join(filter(None, (self.scheme, self.year, self.value)))


def names_in(identifier: str) -> list[Identifier]:
    """Return the names that an identifier may be, each once; none if it can name no record."""
    identifier = identifier.strip()
    if len(identifier) > _LONGEST:
        return []
    text, is_url = _URL.subn("", identifier, count=1)
    text = _ENDING.sub("", text, count=1) if is_url else text
    text = _PREFIX.sub("", text, count=1).rstrip("/")
    return list(dict.fromkeys(_names(text)))


def _names(text: str) -> Iterator[Identifier]:
    if number := _NUMBER.fullmatch(text):
        yield Identifier("pith", number[2].upper(), number[1] or "")
    if is_digest(text):
        yield Identifier("sha256", text)
    if doi := _DOI.fullmatch(text):
        yield Identifier("source", doi[1])
    if text:
        yield Identifier("source", text)


def path_name(identifier: str) -> str:
    """Return the name by which a registry is asked for a record; empty if there can be none.

    It is the suffix or its beginning, for a digest too, and otherwise the source id.
    """
    for name in names_in(identifier)[:1]:
        if name.scheme == "sha256":
            return suffix_of(bytes.fromhex(name.value))
        if name.scheme == "pith" or _PATH_NAME.fullmatch(name.value):
            return name.value
    return ""


def split_version(source_id: str) -> tuple[str, int] | None:
    """Return id and version of an id such as `1705.09786v3`; None if it ends in no version."""
    match = _VERSIONED.fullmatch(source_id)
    return (match[1], int(match[2])) if match else None


def is_named(record: Record, name: str) -> bool:
    """Whether a name of `path_name` is one of a record's, in whatever case.

    A whole suffix is no other record's name, even if that calls its source so.
    """
    names = names_in(name)
    if any(one.scheme == "pith" and len(one.value) == _SUFFIX_LETTERS for one in names):
        return record.suffix == name.upper()
    spellings = {str(one).lower() for one in names}
    return not spellings.isdisjoint(str(one).lower() for one in names_of(record))


def names_of(record: Record) -> list[Identifier]:
    """Return every name of a record that `names_in` may give."""
    year, suffix = record.pith_number[5:9], record.suffix
    source_id, version = record.source["id"], record.source["version"]
    names = [Identifier("sha256", record.canonical_sha256), Identifier("source", source_id)]
    if version <= _GREATEST_VERSION:
        names.append(Identifier("source", f"{source_id}v{version}"))
    for letters in range(_SHORTEST_PREFIX, _SUFFIX_LETTERS + 1):
        names += [Identifier("pith", suffix[:letters]), Identifier("pith", suffix[:letters], year)]
    return names
