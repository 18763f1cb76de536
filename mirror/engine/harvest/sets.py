"""Sets of records: by the year of the Pith Number, and by category.

`year` and `category` contain every record; `year:2025` and `category:math.AG` those of one year or
category. A record is in a set for each of its categories, the primary one and the cross-lists.
"""

from __future__ import annotations

import re
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from mirror.core.msgpack_values import unpack
from mirror.core.record import Record
from mirror.core.values import encode_integers, sha256
from mirror.store import Store, damaged

__all__ = [
    "MAX_CATEGORIES",
    "MAX_CATEGORY_BYTES",
    "RecordSet",
    "RowIds",
    "SetList",
    "is_member",
    "set_specs",
]

MAX_CATEGORY_BYTES = 100
"""Most bytes, in UTF-8, of a category that is a set."""

MAX_CATEGORIES = 100
"""Most categories of a record that are sets, the primary one first."""

_TOP = {"category": "All records, by category", "year": "All records, by year of submission"}
"""The names of the sets that contain the others."""

RowIds: TypeAlias = "array[int]"
"""Row ids of records, ascending."""

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_ESCAPE = re.compile("~([0-9a-f]{2})")


class RecordSet(NamedTuple):
    """A set as ListSets lists it."""

    spec: str
    """Its `setSpec`."""
    name: str


def set_specs(record: Record) -> list[str]:
    """Return the sets that a record is in, but those that contain all."""
    return _specs(record.pith_number[5:9], record.categories)


def is_member(record_id: int, members: RowIds) -> bool:
    """Whether a record is one of the members of a set."""
    at = bisect_left(members, record_id)
    return at < len(members) and members[at] == record_id


def _specs(year: str, categories: Iterable[str]) -> list[str]:
    listed = map(_category_spec, islice(dict.fromkeys(categories), MAX_CATEGORIES))
    return [f"year:{year}", *filter(None, listed)]


@lru_cache(maxsize=1024)
def _category_spec(category: str) -> str:
    """Return the set of a category; empty if it has none.

    Bytes that a `setSpec` cannot have are `~` and two hexadecimal digits.
    """
    data = category.encode()
    if not 0 < len(data) <= MAX_CATEGORY_BYTES:
        return ""
    written = [chr(byte) if byte in _PLAIN else f"~{byte:02x}" for byte in data]
    return f"category:{''.join(written)}"


def _name(spec: str) -> str:
    """Return the name of a set in words."""
    kind, _, written = spec.partition(":")
    if not written:
        return _TOP[kind]
    if kind == "year":
        return f"Submitted in {written}"
    category = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), written)
    return f"Category {category.encode('latin-1').decode()}"


class SetList:
    """The sets of a store and their members, in memory: each record is read once.

    A record takes 8 bytes for each of its sets: 300,000 records of 2.7 sets took 22 bytes each.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        """Guards all members below."""
        self._origin: tuple[int, int] | None = None
        """The generation of the file that was read, and its last row in quarantine."""
        self._last_id = 0
        self._members: defaultdict[str, RowIds] = defaultdict(_no_members)
        self._sorted: list[str] = []

    def update(self, store: Store, generation: int) -> None:
        """Read the records that were added since the last call; all, if some were removed.

        An interrupted call is continued by the next one. A damaged record interrupts each call
        until it is repaired: no list of a set leaves it out.

        Args:
            store: The store, in a snapshot.
            generation: Number of its file, which changes when the file is replaced.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        with self._lock:
            origin = (generation, store.version().quarantine)
            if origin != self._origin:
                self._origin, self._last_id = origin, 0
                self._members, self._sorted = defaultdict(_no_members), []
            try:
                for record_id, specs in _records_after(store, self._last_id):
                    for spec in specs:
                        self._members[spec].append(record_id)
                    self._last_id = record_id
            finally:
                if len(self._sorted) != len(self._members):
                    self._sorted = sorted(self._members)

    def after(self, spec: str, limit: int) -> list[RecordSet]:
        """Return the sets that follow one in the order of their specs; the first ones after ``."""
        with self._lock:
            listed = sorted([*_TOP, *self._sorted])
        first = bisect_right(listed, spec)
        return [RecordSet(one, _name(one)) for one in listed[first : first + limit]]

    def size(self, spec: str) -> int:
        """Return how many records are in a set; 0 if there is no such set."""
        members = self.members(spec)
        if members is not None:
            return len(members)
        with self._lock:
            years = (one for spec, one in self._members.items() if spec.startswith("year:"))
            return sum(map(len, years))

    def members(self, spec: str) -> RowIds | None:
        """Return the records of a set, none if there is no such set; None if it contains all."""
        if spec in _TOP:
            return None
        with self._lock:
            return self._members.get(spec, _no_members())


def _no_members() -> RowIds:
    return array("Q")


def _records_after(store: Store, record_id: int) -> Iterator[tuple[int, list[str]]]:
    for row_id, digest, value in store.records.values_after(record_id):
        where = f"record {row_id}"
        try:
            decoded: Any = unpack(value)
            metadata = decoded["metadata"]
            categories = [metadata["primary_cat"], *metadata["cross_cats_sorted"]]
            specs = _specs(metadata["submitted_at"][:4], categories)
            is_whole = sha256(encode_integers(decoded)) == digest
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(f"its value cannot be read: {error}", where) from error
        if not is_whole:
            raise damaged("its value does not hash to its digest", where)
        yield row_id, specs
