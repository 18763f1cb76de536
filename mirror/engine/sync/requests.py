"""What to ask for: names of records, and whether what came goes by them.

A name that the store knows is asked for by its suffix, which any registry must understand. Any
other is cut down to what stands in a path, and it is for the registry to know it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mirror.core.escaping import escape_name
from mirror.core.record import Record, is_pith_number, suffix_of
from mirror.core.redaction import redact
from mirror.core.values import is_digest
from mirror.engine.identifiers import find_all
from mirror.store import Store

__all__ = [
    "BundleRequest",
    "goes_by",
    "path_name",
    "read_names",
    "wish_of_number",
    "wishes_of",
    "wishes_of_all",
]

_PAGE = 500

_ADDRESS = re.compile(
    r"(?:https?://)?[^/\s]+/(?:\.well-known/)?(?:pith|abs|pdf)/|(?:https?://)?(?:dx\.)?doi\.org/",
    re.IGNORECASE,
)
_ENDING = re.compile(r"(?:/(?:bundle|state)\.json|\.json|\.pdf)?(?:[?#].*)?$")
_PREFIX = re.compile(r"(?:(?:arxiv|doi):\s*)?(?:10\.48550/arxiv\.)?", re.IGNORECASE)
_NUMBER = re.compile(r"(?:pith:(?:[0-9]{4}:)?)?([A-Z2-7]{8,26})", re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+:-]{3,79}")
_LONGEST = 1000


class BundleRequest(NamedTuple):
    """A bundle to ask for."""

    asked: str
    """As the person wrote it, or the Pith Number."""
    name: str
    """What stands in the path; empty if nothing can."""
    pith_number: str = ""
    """That of the record which must come; empty if any does that goes by the name."""
    is_known: bool = False
    """Whether the store has such a record."""


def read_names(text: str) -> list[str]:
    """Return the ids of a list: one a line; blank lines, and comments after `#`, are skipped."""
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def path_name(asked: str) -> str:
    """Return what stands for an id in a path, such as a suffix; empty if it is no id."""
    text = escape_name(asked.strip())
    if len(text) > _LONGEST:
        return ""
    name, is_address = _ADDRESS.subn("", text, count=1)
    name = _ENDING.sub("", name, count=1) if is_address else name
    name = _PREFIX.sub("", name, count=1).rstrip("/")
    if match := _NUMBER.fullmatch(name):
        return match[1].upper()
    if is_digest(name):
        return suffix_of(bytes.fromhex(name))
    return name if _ID.fullmatch(name) else ""


def wishes_of(
    store: Store, names: Iterable[str], was_asked: Callable[[str], bool]
) -> Iterator[BundleRequest]:
    """Yield what to ask for, each once.

    Args:
        store: What it knows by a name is asked for by its suffix.
        names: The ids.
        was_asked: Whether this upstream answered to a path name before; then it is asked by it
            again, for the ETag of an answer is good for one address only.
    """
    seen: set[str] = set()
    for asked in names:
        for wish in _wishes_of_one(store, asked, was_asked):
            if wish.name not in seen:
                seen.update([wish.name] if wish.name else [])
                yield wish


def _wishes_of_one(
    store: Store, asked: str, was_asked: Callable[[str], bool]
) -> Iterator[BundleRequest]:
    name, found = path_name(asked), find_all(store.records, asked)
    if not found or (was_asked(name) and not _NUMBER.fullmatch(name)):
        whole = asked.strip()
        number = whole if is_pith_number(whole) else ""
        yield BundleRequest(redact(escape_name(asked)), name, number, bool(found))
        return
    for record_id in found:
        record = store.records.get(record_id)
        yield BundleRequest(
            redact(escape_name(asked)), record.suffix, record.pith_number, is_known=True
        )


def wishes_of_all(store: Store) -> Iterator[BundleRequest]:
    """Yield a wish for each record of the store; not for those that come meanwhile."""
    after, last = 0, store.records.last_id()
    while page := store.records.page(after, _PAGE):
        for record_id, suffix, number in page:
            if record_id > last:
                return
            yield BundleRequest(number, suffix, number, is_known=True)
        after = page[-1][0]


def wish_of_number(store: Store, number: str) -> BundleRequest:
    """Return a wish for a record by its whole Pith Number."""
    suffix = number[-26:]
    return BundleRequest(number, suffix, number, is_known=bool(store.records.by_suffix(suffix)))


def goes_by(record: Record, wish: BundleRequest) -> bool:
    """Whether a record that came is the one that was asked for (R3, R4)."""
    if wish.pith_number:
        return record.pith_number == wish.pith_number
    if len(wish.name) == len(record.suffix) and _NUMBER.fullmatch(wish.name):
        return record.suffix == wish.name
    source, version = record.source["id"], record.source["version"]
    names = {str(source).lower(), f"{source}v{version}".lower()}
    return record.suffix.startswith(wish.name) or wish.name.lower() in names
