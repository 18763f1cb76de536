"""Builds the full-text index: the texts of each record, from its state and its revocations.

The index is derived data. It is updated before a search and not by a merge, so it may be older
than the states; `mirror.engine.search.find` checks each match against the current state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from mirror.core.events.event import ValidEvent
from mirror.core.events.types import REVOCATION
from mirror.core.record import Record
from mirror.core.shape import text_member
from mirror.core.state_view import StateView, parse_state
from mirror.core.values import Value, instant
from mirror.engine.batching import pages
from mirror.engine.process_pool import StoreTask, map_in_processes
from mirror.engine.titles import proved_texts, titles_of
from mirror.errors import CorruptStoreError
from mirror.store import PaperText, PaperTexts, Store
from mirror.store.search_index import IndexedText, IndexEntry, searchable

__all__ = ["last_title", "names_text", "record_texts", "update_index"]

CHUNK_RECORDS = 500
"""Records that are indexed in one transaction."""
_FEW_CHUNKS = 4

_NAMES_CHARACTERS, _TITLE_CHARACTERS, _TEXTS_CHARACTERS = 2_000, 2_000, 16_000
"""Characters of a record that are indexed; together 20,000."""
_SEPARATOR = " · "
_SHORTEST = 3
_OPAQUE = re.compile(r"(?:sha256:)?[0-9A-Fa-f]{32,}|[A-Za-z0-9+/]{40,}={0,2}")
"""Hashes, keys and signatures, which are not indexed."""

_Indexed = tuple[int, IndexEntry | None]
"""The id of a record and its entry; None if its state is out of date or damaged."""


# Updating ------------------------------------------------------------------------------------


def update_index(store: Store, progress: Callable[[int], None] = lambda _records: None) -> None:
    """Index every record that changed since the last update, each chunk in its own transaction.

    The next call resumes an interrupted one. A record whose state is out of date or damaged stays
    queued until the state is made again.

    Args:
        store: The store.
        progress: Called with the number of records that were indexed.
    """
    if store.search_index.is_current():
        return
    with store.transaction():
        store.search_index.enqueue_changes()
    for chunk in _index_queued(store):
        with store.transaction():
            for record_id, entry in chunk:
                if entry is None:
                    store.search_index.drop_if_gone(record_id)
                else:
                    store.search_index.index(entry)
        progress(len(chunk))


def _index_queued(store: Store) -> Iterator[list[_Indexed]]:
    queued = pages(store.search_index.queued, CHUNK_RECORDS, int)
    if store.path is None:
        yield from map(partial(_entries, store), queued)
        return
    with StoreTask(store.path, _entries) as task:
        yield from map_in_processes(queued, task, few=_FEW_CHUNKS)


def _entries(store: Store, record_ids: list[int]) -> list[_Indexed]:
    return [(one, _entry(store, one)) for one in record_ids]


def _entry(store: Store, record_id: int) -> IndexEntry | None:
    try:
        if store.states.staleness(record_id) is not None:
            return None
        record, state = store.records.get(record_id), parse_state(store.states.text(record_id))
        kept = proved_texts(store, record)
        texts = record_texts(store, record_id, record, state, kept)
    except CorruptStoreError:
        return None
    return IndexEntry(
        record_id,
        store.states.digest(record_id),
        record.title_sha256,
        record.abstract_sha256,
        state.receipt is not None,
        kept.last_id,
        texts,
    )


# The texts of a record -----------------------------------------------------------------------


def record_texts(
    store: Store, record_id: int, record: Record, state: StateView, kept: PaperTexts
) -> IndexedText:
    """Return the texts by which a record is found.

    Args:
        store: The store.
        record_id: The row id of the record.
        record: The record.
        state: Its state.
        kept: Its proved texts.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    names = _names(record)
    titles = _texts([kept.title]) or titles_of(state)
    texts = dict.fromkeys(
        [
            *_texts([kept.abstract]),
            *_event_texts(state),
            *_revocation_reasons(store, record_id, state),
        ]
    )
    listed = {*titles, *names}
    return IndexedText(
        _join(names, _NAMES_CHARACTERS),
        _join(dict.fromkeys(titles), _TITLE_CHARACTERS),
        _join([one for one in texts if one not in listed], _TEXTS_CHARACTERS),
    )


def names_text(record: Record) -> IndexedText:
    """Return the names of a record, without any text of its events."""
    return IndexedText(_join(_names(record), _NAMES_CHARACTERS), "", "")


def last_title(texts: IndexedText) -> str:
    """Return the last of the titles that were indexed; empty if there is none."""
    return texts.title.rpartition(_SEPARATOR)[2]


def _texts(kept: Iterable[PaperText | None]) -> list[str]:
    return [one.text for one in kept if one is not None]


def _names(record: Record) -> list[str]:
    """Return the names of a record, its categories and its license, each once."""
    aliases = [value for _, value in record.aliases]
    names = [record.pith_number, *aliases, record.source["id"], *record.categories]
    return list(dict.fromkeys([*names, record.metadata["license"]]))


def _event_texts(state: StateView) -> Iterator[str]:
    """Yield every text of the events that the state shows."""
    for event in state.events:
        yield from filter(_is_text, _strings(event.payload))


def _revocation_reasons(store: Store, record_id: int, state: StateView) -> list[str]:
    """Return the reasons of the revocations that retired an event of a state (M11)."""
    by = {one for event in state.retired_events if event.reason == "revoked" for one in event.by}
    if not by:
        return []
    reasons = {
        event.event_id: text_member(event.payload, "reason")
        for event in store.facts.load(record_id).events
        if isinstance(event, ValidEvent) and event.event_type == REVOCATION
    }
    return [reasons[one] for one in sorted(by & reasons.keys())]


def _strings(value: Value) -> Iterator[str]:
    """Yield the strings in a payload, in its order, without members named as base64."""
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
    """Whether a string is worth indexing: not a hash, a signature or a time, and not too short."""
    return len(value) >= _SHORTEST and _OPAQUE.fullmatch(value) is None and instant(value) is None


def _join(parts: Iterable[str], limit: int) -> str:
    """Return the parts as one text with separators, cut at a number of characters."""
    joined: list[str] = []
    for part in parts:
        text = searchable(part[:limit])[:limit]
        joined.append(text)
        limit -= len(text) + len(_SEPARATOR)
        if limit <= 0:
            break
    return _SEPARATOR.join(joined)
