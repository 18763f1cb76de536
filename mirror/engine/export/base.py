"""Increments: bags that hold only what a base lacks, and name it (`mirror export --since`).

A base is a bag, identified by the SHA-256 of its `manifest-sha256.txt`. New facts are found by
comparing their digests with those in the bag; or, if the base is given by the root of the states
that this store exported, by the order of arrivals.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mirror.archive import Bag, Member, ReadLimits, open_source
from mirror.core.bundle import AliasClaim, parse_bundle
from mirror.core.values import canonical, is_digest, sha256
from mirror.errors import FormatError, LookUpError, SourceError
from mirror.store import RecordFacts, Store

__all__ = ["ExcludedFacts", "open_base"]


class ExcludedFacts(Protocol):
    """The base of an increment, whose facts are left out."""

    manifest: str
    """SHA-256 of the manifest of the base."""
    description: str
    """Description of its content, in words."""

    def lacks(self, store: Store, record_id: int, until: int) -> RecordFacts | None:
        """Return the facts of a record that the base lacks; None if it has them all.

        Args:
            store: The store.
            record_id: The record.
            until: The last arrival whose facts count.
        """

    def knows(self, store: Store, record_id: int) -> bool:
        """Whether the base holds a fact of a record."""


@contextmanager
def open_base(store: Store, since: str) -> Iterator[ExcludedFacts]:
    """Open a base.

    Args:
        store: The store that is exported.
        since: The path of a bag, or the root that `mirror export` printed for an earlier export.

    Raises:
        SourceError: If the bag cannot be read, or `since` is not a bag.
        LookUpError: `export.root_unknown`
    """
    if is_digest(since) and not Path(since).exists():
        found = store.source_cache.root(bytes.fromhex(since))
        if found is None:
            hint = "name the bag itself; this store did not export one with that root"
            raise LookUpError("export.root_unknown", f"no export had the root {since}", hint=hint)
        last_arrival, manifest, holds = found
        yield _ByArrival(manifest.hex(), holds, last_arrival)
        return
    with sqlite3.connect("") as db:
        yield _read_base(db, since)
    db.close()


@dataclass(slots=True)
class _ByArrival:
    manifest: str
    description: str
    last_arrival: int

    def lacks(self, store: Store, record_id: int, until: int) -> RecordFacts | None:
        """Return the facts that arrived after the base was exported; see `ExcludedFacts`."""
        if store.facts.last_arrival(record_id, until) <= self.last_arrival:
            return None
        return store.facts.load(record_id, after=self.last_arrival, until=until)

    def knows(self, store: Store, record_id: int) -> bool:
        """Whether a fact of a record arrived before the base was exported."""
        return store.facts.first_arrival(record_id) <= self.last_arrival


@dataclass(slots=True)
class _ByContent:
    manifest: str
    description: str
    db: sqlite3.Connection

    def lacks(self, store: Store, record_id: int, until: int) -> RecordFacts | None:
        """Return the facts that are not in the base; see `ExcludedFacts`."""
        facts = store.facts.load(record_id, until=until)
        digest = facts.record.digest
        lacking = RecordFacts(
            facts.record,
            [one for one in facts.alias_claims if not self._has(digest, _claim(one))],
            [one for one in facts.receipts if not self._has(digest, b"receipt" + one.digest)],
            [one for one in facts.events if not self._has(digest, b"event" + one.digest)],
        )
        is_whole = self._has(digest, b"") and not (
            lacking.alias_claims or lacking.receipts or lacking.events
        )
        return None if is_whole else lacking

    def knows(self, store: Store, record_id: int) -> bool:
        """Whether the base has a bundle of a record."""
        return self._has(store.records.get(record_id).digest, b"")

    def _has(self, record: bytes, fact: bytes) -> bool:
        query = "SELECT 1 FROM fact WHERE digest = ?"
        return self.db.execute(query, (sha256(record + fact),)).fetchone() is not None


def _claim(claim: AliasClaim) -> bytes:
    return b"claim" + canonical(list(claim))


def _read_base(db: sqlite3.Connection, since: str) -> _ByContent:
    """Read the digests of the facts in a bag into a temporary database."""
    db.execute("CREATE TABLE fact (digest BLOB PRIMARY KEY) WITHOUT ROWID")
    bag: Bag | None = None
    with open_source(since, ReadLimits()) as source:
        for item in source.items():
            if isinstance(item, Bag):
                bag = item
            elif isinstance(item, Member):
                _add_facts(db, item)
    if bag is None:
        hint = "the base of an increment must be a valid bag; run `mirror verify` on it"
        raise SourceError("export.base", "it is not a whole bag", where=since, hint=hint)
    return _ByContent(bag.manifest_sha256, bag.info.get("External-Description", ""), db)


def _add_facts(db: sqlite3.Connection, member: Member) -> None:
    try:
        bundle = parse_bundle(member.data, is_packed=member.is_packed)
    except FormatError:
        return  # nothing of a refused bundle was merged
    facts = [
        b"",
        *(_claim(claim) for claim in bundle.alias_claims),
        *(b"receipt" + sha256(canonical(receipt)) for receipt in bundle.receipts),
        *(b"event" + event.digest for event in bundle.events),
    ]
    rows = [(sha256(bundle.record.digest + fact),) for fact in facts]
    db.executemany("INSERT OR IGNORE INTO fact VALUES (?)", rows)
