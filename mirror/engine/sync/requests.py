"""Which records to request from a remote server, and under which name.

A record of the store is requested by its suffix, which every registry must understand. Any other
identifier is reduced to the name that goes into the path, and the registry may know it or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mirror.core.escaping import escape_name
from mirror.core.identifier import is_named, names_in, path_name
from mirror.core.record import Record, is_pith_number, suffix_in
from mirror.core.redaction import redact
from mirror.engine.batching import pages
from mirror.engine.identifiers import find_all
from mirror.store import Store

__all__ = [
    "RecordRequest",
    "is_requested",
    "read_identifiers",
    "request_all",
    "request_for",
    "request_number",
    "requests_for",
]

_PAGE = 500


class RecordRequest(NamedTuple):
    """A record to request from a remote server."""

    asked: str
    """The identifier as the person wrote it, or the Pith Number."""
    name: str
    """The name in the path; empty if the identifier can name no record."""
    pith_number: str = ""
    """Pith Number that the response must have; empty if any record of that name will do."""
    is_known: bool = False
    """Whether the store has such a record."""

    @property
    def record(self) -> str:
        """The Pith Number if it is known, else the identifier: how findings name the record."""
        return self.pith_number or self.asked


def read_identifiers(text: str) -> list[str]:
    """Return the identifiers of a list, one a line, without blank lines and `#` comments."""
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def request_for(identifier: str) -> RecordRequest:
    """Return the request for a record that the store does not have."""
    text = escape_name(identifier.strip())
    return RecordRequest(redact(text), path_name(text), text if is_pith_number(text) else "")


def requests_for(
    store: Store, identifiers: Iterable[str], was_requested: Callable[[str], bool]
) -> Iterator[RecordRequest]:
    """Yield the requests for some identifiers, each once.

    Args:
        store: The store, whose records are requested by their suffixes.
        identifiers: The identifiers; one that several records have gives a request for each.
        was_requested: Whether this server answered to a name before. If so, the name is requested
            again, because the ETag of that response is valid for its URL only.
    """
    seen: set[str] = set()
    for identifier in identifiers:
        for request in _requests_for_one(store, identifier, was_requested):
            if request.name not in seen:
                seen.update([request.name] if request.name else [])
                yield request


def _requests_for_one(
    store: Store, identifier: str, was_requested: Callable[[str], bool]
) -> Iterator[RecordRequest]:
    request, found = request_for(identifier), find_all(store.records, identifier)
    is_source = all(one.scheme == "source" for one in names_in(request.name))
    if not found or (is_source and was_requested(request.name)):
        yield request._replace(is_known=bool(found))
        return
    for record_id in found:
        record = store.records.get(record_id)
        yield RecordRequest(request.asked, record.suffix, record.pith_number, is_known=True)


def request_all(store: Store) -> Iterator[RecordRequest]:
    """Yield the requests for all records that the store has now."""
    last = store.records.last_id()
    for page in pages(store.records.page, _PAGE, lambda row: row[0]):
        for record_id, suffix, number in page:
            if record_id > last:
                return
            yield RecordRequest(number, suffix, number, is_known=True)


def request_number(store: Store, number: str) -> RecordRequest:
    """Return the request for a record by its whole Pith Number."""
    suffix = suffix_in(number)
    return RecordRequest(number, suffix, number, is_known=bool(store.records.by_suffix(suffix)))


def is_requested(record: Record, request: RecordRequest) -> bool:
    """Whether a record in a response is the one that was requested (R3, R4)."""
    if request.pith_number:
        return record.pith_number == request.pith_number
    return is_named(record, request.name)
