"""Lists of records, by their last change, in pages that each need little memory.

A list has the records of the store at its first request. The place of a record is its last arrival
by then, so that no merge meanwhile moves it: nothing is missed, and nothing is listed twice. A
record that changes meanwhile is given as it is now, and is in the next incremental list, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mirror.core.point_in_time import PointInTime
from mirror.core.record import Record
from mirror.engine.harvest.datestamps import Datestamps
from mirror.engine.harvest.errors import HarvestError
from mirror.engine.harvest.sets import RowIds, SetList, is_member, set_specs
from mirror.engine.harvest.tokens import ListPosition
from mirror.store import Store

__all__ = [
    "ListPage",
    "RecordHeader",
    "Selection",
    "first_position",
    "header_of",
    "read_page",
    "resumed",
]

PAGE_RECORDS = 200
"""Most records of a page."""
PAGE_HEADERS = 1_000
"""Most headers of a page."""
PAGE_CHARACTERS = 4_000_000
"""Characters of headers and metadata after which a page ends."""
_SCANNED = 1_000
"""Records that are looked at in one query for those of a large set."""
_MARK_BYTES = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """The records that a harvester asks for; times are microseconds since 1970, inclusive."""

    set_spec: str = ""
    """Empty for all sets."""
    since: int | None = None
    until: int | None = None


class RecordHeader(NamedTuple):
    """A record in a list."""

    record_id: int
    record: Record
    datestamp: str
    set_specs: list[str]

    @property
    def identifier(self) -> str:
        """Its Pith Number, which is a URI."""
        return self.record.pith_number

    @property
    def size(self) -> int:
        """About how many characters it has; a record may be in thousands of sets."""
        return sum(map(len, self.set_specs)) + len("<setSpec></setSpec>") * len(self.set_specs)


class ListPage(NamedTuple):
    """A page of a list."""

    entries: list[tuple[RecordHeader, str]]
    """Each with its metadata; an empty text in a list of headers."""
    following: ListPosition | None
    """Where the next page begins; None after the last one."""


def header_of(store: Store, record_id: int, datestamps: Datestamps) -> RecordHeader | None:
    """Return the header of a record; None if the store holds no facts on it.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    datestamp = datestamps.of(record_id)
    if datestamp is None:
        return None
    record = store.records.get(record_id)
    return RecordHeader(record_id, record, datestamp, set_specs(record))


# Places --------------------------------------------------------------------------------------


def first_position(
    store: Store, sets: SetList, verb: str, prefix: str, selection: Selection
) -> ListPosition:
    """Return the place at which a list begins.

    Args:
        store: The store, in a snapshot.
        sets: Its sets.
        verb: The verb of the request.
        prefix: The metadata format.
        selection: The records.

    Raises:
        HarvestError: `noRecordsMatch` if that is known already.
        CorruptStoreError: `store.damaged`
    """
    bound = store.facts.last_arrival()
    changed = Datestamps(store).last_change_of_all
    after, until = 0, bound
    if selection.since is not None and selection.since > changed:
        after = _arrivals_by(store, selection.since - 1)
    if selection.until is not None:
        until = 0 if selection.until < changed else _arrivals_by(store, selection.until)
    size = _size(store, sets, selection.set_spec)
    if until <= after or size == 0:
        raise no_records()
    is_whole = (after, until) == (0, bound)
    return ListPosition(
        verb, prefix, selection.set_spec, bound, until, after, 0, size if is_whole else 0
    )


def _arrivals_by(store: Store, at: int) -> int:
    """Return the last arrival that was stored by an instant; 0 without one."""
    return store.version_at(PointInTime(at).text).arrival


def _size(store: Store, sets: SetList, set_spec: str) -> int:
    return sets.size(set_spec) if set_spec else store.status().records


def no_records() -> HarvestError:
    """Return the error for a list without records."""
    return HarvestError("noRecordsMatch", "no record fits these arguments")


def resumed(store: Store, position: ListPosition) -> ListPosition:
    """Return the place of a token, if it is one in this store.

    Raises:
        HarvestError: `badResumptionToken` if the store is another one, or facts were moved to
            quarantine.
    """
    last = store.facts.last_arrival()
    is_possible = 0 < position.after <= position.until <= position.bound <= last
    if not is_possible or position.mark != _mark(store, position.after):
        message = "the token is of another store, or facts were removed; begin the list again"
        raise HarvestError("badResumptionToken", message)
    return position


def _mark(store: Store, arrival: int) -> str:
    checksum = store.facts.checksum_of(arrival)
    return "" if checksum is None else checksum[:_MARK_BYTES].hex()


# Pages ---------------------------------------------------------------------------------------


def read_page(
    store: Store,
    sets: SetList,
    position: ListPosition,
    write: Callable[[RecordHeader], str] | None,
) -> ListPage:
    """Return the page of a list at a place.

    Args:
        store: The store, in a snapshot.
        sets: Its sets; read only for a list of a set.
        position: The place.
        write: Returns the metadata of a record; None for a list of headers.

    Raises:
        HarvestError: `noRecordsMatch` if no record is left.
        CorruptStoreError: `store.damaged`
    """
    entries: list[tuple[RecordHeader, str]] = []
    last, characters = position.after, 0
    most = PAGE_HEADERS if write is None else PAGE_RECORDS
    for arrival, header in _headers(store, sets, position, most + 1):
        if len(entries) >= most or characters >= PAGE_CHARACTERS:
            return ListPage(entries, _following(store, position, last, len(entries)))
        metadata = "" if write is None else write(header)
        entries.append((header, metadata))
        last, characters = arrival, characters + header.size + len(metadata)
    if not entries:
        raise no_records()
    return ListPage(entries, None)


def _following(store: Store, position: ListPosition, last: int, given: int) -> ListPosition:
    cursor = position.cursor + given
    return position._replace(after=last, cursor=cursor, mark=_mark(store, last))


def _headers(
    store: Store, sets: SetList, position: ListPosition, limit: int
) -> Iterator[tuple[int, RecordHeader]]:
    """Yield arrivals and headers of the records from a place on."""
    datestamps = Datestamps(store)
    members = sets.members(position.set_spec) if position.set_spec else None
    for arrival, record_id in _changes(store, members, position, limit):
        header = header_of(store, record_id, datestamps)
        if header is not None:
            yield arrival, header


def _changes(
    store: Store, members: RowIds | None, position: ListPosition, limit: int
) -> Iterator[tuple[int, int]]:
    """Yield last arrivals and row ids of at least so many records of a list, if it has them.

    Args:
        store: The store, in a snapshot.
        members: The records of the set; None for all.
        position: The place in the list.
        limit: How many are needed.
    """
    bound, until, after = position.bound, position.until, position.after
    if members is not None and _is_rare(len(members), store.records.last_id(), limit):
        yield from store.facts.last_changes_of(members, after, until, bound, limit)
        return
    at_once = limit if members is None else max(limit, _SCANNED)
    while True:
        found = store.facts.last_changes(after, until, bound, at_once)
        yield from (one for one in found if members is None or is_member(one[1], members))
        if len(found) < at_once:
            return
        after = found[-1][0]


def _is_rare(size: int, records: int, limit: int) -> bool:
    """Whether to look up every record of a set for each page takes less than to read all once."""
    return size * size <= records * limit
