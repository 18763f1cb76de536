"""`mirror find`: records by name, by title, or by words in what is said of them.

The index is derived and brought up to date when somebody searches, not when something is merged.
What it finds is held against the facts as they are now before it is shown; so an index that lags
behind, or is damaged, can only make something be missed, and how much it lags behind is said.

Anybody can merge an unsigned record that claims any arXiv id and any title. So every hit says
whether it has a verified receipt, and of several records of one name those come first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import cast

from mirror.core.events.event import ValidEvent
from mirror.core.events.types import LIST_NAMES, REVOCATION
from mirror.core.record import Record, text_digest
from mirror.core.values import Object, Value, decode, instant
from mirror.engine.identifiers import find_all
from mirror.engine.process_pool import map_in_processes
from mirror.engine.search.citations import count_cited_by
from mirror.engine.search.results import RecordSummary, SearchHit, SearchResult
from mirror.engine.states.current import current_text
from mirror.errors import CorruptStoreError
from mirror.store import Store, open_store
from mirror.store.search_index import (
    MATCH_BEGINS,
    MATCH_ENDS,
    IndexedText,
    IndexEntry,
    excerpts,
    searchable,
)

__all__ = [
    "RecordSummary",
    "SearchHit",
    "SearchResult",
    "encodable",
    "find",
    "resolve_name",
    "standing_of",
    "update_index",
]


def find(store: Store, query: str, limit: int = 20, start: int = 0) -> SearchResult:
    """Search a store: first by name, then by title, then by words, the best first.

    Args:
        store: The store; it is only read.
        query: A name of a record (`look_up`), a title (R5), or words, all of which must be there:
            `"of words"` in quotes is a phrase, `word*` begins with `word`. Nothing else in it has
            a meaning of its own.
        limit: At most so many hits.
        start: How many hits to pass over first; they are looked at all the same.

    Raises:
        CorruptStoreError: `store.damaged` if a record that was found is not as it was written.
    """
    end = start + limit
    hits = list(islice(_hits(store, encodable(query), end), start, end + 1))
    return SearchResult(hits[:limit], len(hits) > limit, store.search_index.unindexed())


def _hits(store: Store, query: str, limit: int) -> Iterator[SearchHit]:
    seen: set[int] = set()
    for matched_by, record_ids in _exact(store, query, limit + 1):
        for record_id in record_ids:
            if record_id not in seen:
                seen.add(record_id)
                yield _look(store, record_id).hit(store, matched_by)
    yield from _by_words(store, _expression(query), seen, limit + 1)


# By name or title ----------------------------------------------------------------------------

_NAME_CHARACTERS = 1000
"""The longest text that is tried as a name."""


def _exact(store: Store, query: str, limit: int) -> Iterator[tuple[str, list[int]]]:
    yield "id", resolve_name(store, query)
    digest = bytes.fromhex(text_digest(query))
    found = store.search_index.by_digests("title_digest", [digest], limit)
    yield "title hash", [one for one in found if _has_title(store.records.get(one), digest)]


def resolve_name(store: Store, name: str) -> list[int]:
    """Return the row ids of all records of a name, those with a receipt in the index first."""
    if not 0 < len(name) <= _NAME_CHARACTERS:
        return []
    return store.search_index.verified_first(find_all(store.records, encodable(name)))


def _has_title(record: Record, digest: bytes) -> bool:
    return record.title_sha256 == digest


def encodable(text: str) -> str:
    """Return `text` with what no UTF-8 can say spelled out; no record holds any of that."""
    return text.encode("utf-8", "backslashreplace").decode()


# By words ------------------------------------------------------------------------------------

_TERMS = 64
"""Words and phrases of a query that are looked for; a longer one is a text, and these do."""
_TERM_CHARACTERS = 200
_TERM = re.compile(r'"([^"]*)"(\*?)|([^\s"]+)')


def _by_words(store: Store, expression: str, seen: set[int], batch: int) -> Iterator[SearchHit]:
    """Yield what the index finds and the facts confirm."""
    if not expression:
        return
    found = (one for one in store.search_index.matching(expression) if one not in seen)
    while ids := list(islice(found, batch)):
        views = [_look(store, record_id) for record_id in ids]
        texts = excerpts(expression, [(one.record_id, one.texts()) for one in views])
        for view in views:
            if view.record_id in texts:
                yield view.hit(store, "text", _pieces(texts[view.record_id]))


def _pieces(excerpt: str) -> tuple[str, ...]:
    return tuple(re.split(f"[{MATCH_BEGINS}{MATCH_ENDS}]", excerpt))


def _expression(query: str) -> str:
    """Return a query in FTS5's language, in which nothing but its words is left of it."""
    terms = (
        _term(phrase or word.rstrip("*"), is_prefix=bool(star) or word.endswith("*"))
        for phrase, star, word in _TERM.findall(query)
    )
    return " AND ".join(islice(dict.fromkeys(term for term in terms if term), _TERMS))


def _term(words: str, *, is_prefix: bool) -> str:
    """Return words as one string of FTS5; empty if no letter and no digit is in them."""
    text = searchable(words).replace('"', " ")[:_TERM_CHARACTERS]
    if not any(map(str.isalnum, text)):
        return ""
    return f'"{text}"*' if is_prefix else f'"{text}"'


# What a record is found by -------------------------------------------------------------------

_NAMES_CHARACTERS, _TITLE_CHARACTERS, _TEXTS_CHARACTERS = 2_000, 2_000, 16_000
"""Of a record that are indexed; together 20,000."""
_BETWEEN = " · "
_SHORTEST = 3
_OPAQUE = re.compile(r"(?:sha256:)?[0-9A-Fa-f]{32,}|[A-Za-z0-9+/]{40,}={0,2}")
"""Hashes, keys and signatures: nobody looks for a part of them."""


@dataclass(frozen=True, slots=True)
class _IndexedRecord:
    """A record and its state, as they are now."""

    record_id: int
    record: Record
    state: Object
    reasons: list[str]
    """Why events were revoked."""

    @classmethod
    def of(cls, store: Store, record_id: int, text: bytes | None = None) -> _IndexedRecord:
        """Look at a record.

        Args:
            store: The store.
            record_id: The record.
            text: Its state, if that was read already.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        if text is None:
            text = current_text(store, record_id)
        state = cast("Object", decode(text.rstrip(b"\n")))
        return cls(
            record_id, store.records.get(record_id), state, _reasons(store, record_id, state)
        )

    @property
    def current(self) -> Object:
        return cast("Object", self.state["current"])

    def standing(self) -> RecordSummary:
        return _standing(self.record, self.current)

    def hit(self, store: Store, matched_by: str, excerpt: tuple[str, ...] = ()) -> SearchHit:
        titles = self._titles()
        return SearchHit(
            self.standing(),
            titles[-1] if titles else "",
            matched_by,
            count_cited_by(self.state),
            store.citations.cited_count(self.record_id, self.record),
            excerpt,
        )

    def texts(self) -> IndexedText:
        titles = list(dict.fromkeys(self._titles()))
        names = list(dict.fromkeys(_names(self.record)))
        seen = {*titles, *names}
        return IndexedText(
            _joined(names, _NAMES_CHARACTERS),
            _joined(titles, _TITLE_CHARACTERS),
            _joined(
                [one for one in dict.fromkeys(self._event_texts()) if one not in seen],
                _TEXTS_CHARACTERS,
            ),
        )

    def _titles(self) -> list[str]:
        """Return what graph snapshots call the paper, in M2 order."""
        snapshots = cast("list[Object]", self.current["graph_snapshots"])
        found = [
            _at_pointer(one, "payload", "graph_snapshot", "paper", "title") for one in snapshots
        ]
        return [one for one in found if isinstance(one, str) and one]

    def _event_texts(self) -> Iterator[str]:
        """Yield every text of the events that the state shows, and of what revoked others."""
        for name in LIST_NAMES:
            for event in cast("list[Object]", self.current[name]):
                yield from filter(_is_text, _strings(event["payload"]))
        yield from self.reasons


@dataclass(frozen=True, slots=True)
class _KeptEntry:
    """A record with many events that failed: what is said of it is as it was indexed last.

    Its facts are not read, since anybody can add to them what takes long to read.
    """

    record_id: int
    record: Record
    outline: Object
    has_verified_receipt: bool
    indexed: IndexedText

    @classmethod
    def of(cls, store: Store, record_id: int) -> _KeptEntry:
        """Look at a record; raises as `_IndexedRecord.of`."""
        record, outline = store.records.get(record_id), store.states.outline(record_id)
        stale = store.states.staleness(record_id)
        has_receipt = cast("Object", outline["current"])["receipt"] is not None
        names = _joined(dict.fromkeys(_names(record)), _NAMES_CHARACTERS)
        indexed = store.search_index.texts(record_id) or IndexedText(names, "", "")
        is_vouched = has_receipt and not (stale is not None and stale.needs_verdicts)
        return cls(record_id, record, outline, is_vouched, indexed)

    def hit(self, store: Store, matched_by: str, excerpt: tuple[str, ...] = ()) -> SearchHit:
        current = cast("Object", self.outline["current"])
        return SearchHit(
            replace(
                _standing(self.record, current), has_verified_receipt=self.has_verified_receipt
            ),
            self.indexed.title.rpartition(_BETWEEN)[2],
            matched_by,
            len(cast("list[Object]", current["citations"])),
            store.citations.cited_count(self.record_id, self.record),
            excerpt,
        )

    def texts(self) -> IndexedText:
        return self.indexed


def _look(store: Store, record_id: int) -> _IndexedRecord | _KeptEntry:
    """Look at a record as closely as takes no time; raises as `_IndexedRecord.of`."""
    way = _KeptEntry if store.states.has_many_refused(record_id) else _IndexedRecord
    return way.of(store, record_id)


def standing_of(store: Store, record_id: int) -> RecordSummary:
    """Return a record's names, and whether it has a verified receipt now.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    text = current_text(store, record_id)
    state = cast("Object", decode(text.rstrip(b"\n")))
    return _standing(store.records.get(record_id), cast("Object", state["current"]))


def _standing(record: Record, current: Object) -> RecordSummary:
    source = record.source
    return RecordSummary(
        record.pith_number,
        source["id"] if source["kind"] == "arxiv" else None,
        source["version"],
        current["receipt"] is not None,
    )


def _reasons(store: Store, record_id: int, state: Object) -> list[str]:
    """Return the reasons of the revocations that took something out of a state (M11)."""
    retired = cast("list[Object]", state["retired_events"])
    by = {one for event in retired if event["reason"] == "revoked" for one in _ids(event["by"])}
    if not by:
        return []
    reasons = {
        event.event_id: cast("str", event.payload["reason"])
        for event in store.facts.load(record_id).events
        if isinstance(event, ValidEvent) and event.event_type == REVOCATION
    }
    return [reasons[one] for one in sorted(by & reasons.keys())]


def _ids(value: Value) -> list[str]:
    return cast("list[str]", value)


def _names(record: Record) -> Iterator[str]:
    yield record.pith_number
    yield from (value for _, value in record.aliases)
    yield record.source["id"]
    yield from record.categories
    yield record.metadata["license"]


def _strings(value: Value) -> Iterator[str]:
    """Yield the strings in a payload, in its order; not what is named as base64."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not name.endswith("_b64"):
                yield from _strings(item)


def _is_text(value: str) -> bool:
    """Whether anybody might look for it: no hash, no signature, no time, and not too short."""
    return len(value) >= _SHORTEST and _OPAQUE.fullmatch(value) is None and instant(value) is None


def _joined(parts: Iterable[str], limit: int) -> str:
    """Return parts as one text, each on its own, up to so many characters."""
    joined: list[str] = []
    for part in parts:
        text = searchable(part[:limit])[:limit]
        joined.append(text)
        limit -= len(text) + len(_BETWEEN)
        if limit <= 0:
            break
    return _BETWEEN.join(joined)


def _at_pointer(value: Value, *names: str) -> Value:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


# Bringing the index up to date ---------------------------------------------------------------

CHUNK_RECORDS = 500
"""Records that are indexed in one transaction."""
_FEW_CHUNKS = 4

_Read = tuple[int, IndexEntry | None]
"""A record's id and its entry; None if it cannot be made now."""


def update_index(store: Store, progress: Callable[[int], None] = lambda _records: None) -> None:
    """Index every record that changed since the last time, each chunk in its own transaction.

    What ends the run, the next one goes on from there. Records whose state lags behind their facts
    stay queued until it does not, and damaged ones until they are mended.

    Args:
        store: The store.
        progress: Told of records that were done.
    """
    if store.search_index.is_current():
        return
    with store.transaction():
        store.search_index.enqueue_changes()
    for read in _read_queued(store):
        with store.transaction():
            for record_id, entry in read:
                if entry is None:
                    store.search_index.drop_if_gone(record_id)
                else:
                    store.search_index.index(entry)
        progress(len(read))


def _read_queued(store: Store) -> Iterator[list[_Read]]:
    if store.path is None:
        return map(_IndexWorker(None, store), _queued(store))
    return map_in_processes(_queued(store), _IndexWorker(store.path), few=_FEW_CHUNKS)


def _queued(store: Store) -> Iterator[list[int]]:
    after = 0
    while ids := store.search_index.queued(CHUNK_RECORDS, after):
        yield ids
        after = ids[-1]


@dataclass(frozen=True, slots=True)
class _IndexWorker:
    """Makes entries from the states of a store, in any process."""

    path: Path | None
    store: Store | None = None
    """The store itself, where it has no path."""

    def __call__(self, record_ids: list[int]) -> list[_Read]:
        if self.store is not None:
            return [(one, _entry(self.store, one)) for one in record_ids]
        with open_store(self.path, read_only=True) as store, store.snapshot():
            return [(one, _entry(store, one)) for one in record_ids]


def _entry(store: Store, record_id: int) -> IndexEntry | None:
    try:
        if store.states.staleness(record_id) is not None:
            return None
        view = _IndexedRecord.of(store, record_id, store.states.text(record_id))
    except CorruptStoreError:
        return None
    return IndexEntry(
        record_id,
        store.states.digest(record_id),
        view.record.title_sha256,
        view.record.abstract_sha256,
        view.standing().has_verified_receipt,
        view.texts(),
    )
