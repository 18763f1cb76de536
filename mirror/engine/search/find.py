"""Search: records by name, by title, or by words of their texts.

The index (`mirror.engine.search.index`) may be out of date or damaged. So each match is compared
with the current state before it is shown: an outdated index can hide a record, but it cannot show
a wrong one. The result says how many records the index lacks.

Anybody can merge an unsigned record that claims any arXiv id and any title. So every hit says
whether it has a verified receipt, and of several records of one name those are listed first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mirror.core.record import Record, text_digest
from mirror.core.state_view import StateView, parse_state
from mirror.engine.identifiers import find_all
from mirror.engine.search.citations import count_cited_by
from mirror.engine.search.index import last_title, names_text, record_texts
from mirror.engine.search.results import RecordSummary, SearchHit, SearchResult
from mirror.engine.states.current import current_text
from mirror.engine.titles import RecordTitle, claim_of, claimed_title, proved_texts, proved_title
from mirror.store import PaperTexts, Store
from mirror.store.search_index import (
    MATCH_BEGINS,
    MATCH_ENDS,
    IndexedText,
    excerpts,
    searchable,
)

__all__ = ["encodable", "every_hit", "find", "resolve_name"]


def find(store: Store, query: str, limit: int = 20, start: int = 0) -> SearchResult:
    """Search a store by name, then by title, then by words; better matches come first.

    Args:
        store: The store; it is only read.
        query: A name of a record (`look_up`), a title (R5), or words that must all occur.
            `"several words"` in quotes is a phrase, and `word*` is a prefix. No other character
            has a special meaning.
        limit: The most hits to return.
        start: How many hits to skip.

    Raises:
        CorruptStoreError: `store.damaged` if a record that matches is damaged.
    """
    end = start + limit
    found = _hits(store, encodable(query), end + 1, end + 1)
    hits = list(islice(found, start, end + 1))
    return SearchResult(hits[:limit], len(hits) > limit, store.search_index.unindexed())


def every_hit(store: Store, query: str) -> Iterator[SearchHit]:
    """Yield all hits of a search, as `find` gives them, a few records at a time."""
    return _hits(store, encodable(query), _ALL, _BATCH_RECORDS)


_ALL = -1
"""No limit, in SQL."""
_BATCH_RECORDS = 50


def _hits(store: Store, query: str, limit: int, batch: int) -> Iterator[SearchHit]:
    """Yield hits.

    Args:
        store: The store.
        query: The query.
        limit: The most records to look up by an exact title, or `_ALL`.
        batch: How many records to read at a time.
    """
    seen: set[int] = set()
    for matched_by, record_ids in _exact_matches(store, query, limit):
        for record_id in record_ids:
            if record_id not in seen:
                seen.add(record_id)
                yield _read_record(store, record_id).hit(store, matched_by)
    yield from _word_matches(store, _fts_query(query), seen, batch)


# By name or title ----------------------------------------------------------------------------

_NAME_CHARACTERS = 1000
"""The longest text that is looked up as a name."""


def _exact_matches(store: Store, query: str, limit: int) -> Iterator[tuple[str, list[int]]]:
    yield "id", resolve_name(store, query)
    digest = bytes.fromhex(text_digest(query))
    found = store.search_index.by_digests("title_digest", [digest], limit)
    yield "title hash", [one for one in found if store.records.get(one).title_sha256 == digest]


def resolve_name(store: Store, name: str) -> list[int]:
    """Return the row ids of all records of a name, those with an indexed receipt first."""
    if not 0 < len(name) <= _NAME_CHARACTERS:
        return []
    return store.search_index.verified_first(find_all(store.records, encodable(name)))


def encodable(text: str) -> str:
    """Return the text with surrogates, which UTF-8 cannot encode, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


# By words ------------------------------------------------------------------------------------

_TERMS = 64
"""Words and phrases of a query that are used; the rest of a longer one is ignored."""
_TERM_CHARACTERS = 200
_TERM = re.compile(r'"([^"]*)"(\*?)|([^\s"]+)')


def _word_matches(store: Store, fts_query: str, seen: set[int], batch: int) -> Iterator[SearchHit]:
    """Yield the records that the index finds and whose current texts match, too."""
    if not fts_query:
        return
    found = (one for one in store.search_index.matching(fts_query) if one not in seen)
    while ids := list(islice(found, batch)):
        records = [_read_record(store, record_id) for record_id in ids]
        texts = excerpts(fts_query, [(one.record_id, one.texts(store)) for one in records])
        for record in records:
            if record.record_id in texts:
                yield record.hit(store, "text", _pieces(texts[record.record_id]))


def _pieces(excerpt: str) -> tuple[str, ...]:
    return tuple(re.split(f"[{MATCH_BEGINS}{MATCH_ENDS}]", excerpt))


def _fts_query(query: str) -> str:
    """Return a query in the language of FTS5, with all its words quoted."""
    terms = (
        _fts_term(phrase or word.rstrip("*"), is_prefix=bool(star) or word.endswith("*"))
        for phrase, star, word in _TERM.findall(query)
    )
    return " AND ".join(islice(dict.fromkeys(term for term in terms if term), _TERMS))


def _fts_term(words: str, *, is_prefix: bool) -> str:
    """Return words as one string of FTS5; empty if they have no letter and no digit."""
    text = searchable(words).replace('"', " ")[:_TERM_CHARACTERS]
    if not any(map(str.isalnum, text)):
        return ""
    return f'"{text}"*' if is_prefix else f'"{text}"'


# Records that match --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _MatchedRecord:
    """A record with the data of a hit, from its current state.

    A record with many invalid events takes long to read, and anybody can add invalid events. So
    the data of such a record is from the outline of its stored state, and from its index entry.
    """

    record_id: int
    record: Record
    state: StateView
    """The state, or its outline if `indexed` is given."""
    has_verified_receipt: bool
    kept: PaperTexts
    """Its proved texts."""
    indexed: IndexedText | None = None
    """The texts of the index entry."""

    def texts(self, store: Store) -> IndexedText:
        """Return the texts in which words must match."""
        if self.indexed is not None:
            return self.indexed
        return record_texts(store, self.record_id, self.record, self.state, self.kept)

    def hit(self, store: Store, matched_by: str, excerpt: tuple[str, ...] = ()) -> SearchHit:
        """Return the hit."""
        if self.indexed is not None:
            claimed, cited_by = self._indexed_title(self.indexed), len(self.state.citations)
        else:
            claimed = claimed_title(self.record, self.state)
            cited_by = count_cited_by(self.state)
        title = proved_title(self.kept) or claimed
        return SearchHit(
            RecordSummary.of(self.record, has_verified_receipt=self.has_verified_receipt),
            title,
            matched_by,
            cited_by,
            store.citations.cited_count(self.record_id, self.record),
            excerpt,
        )

    def _indexed_title(self, indexed: IndexedText) -> RecordTitle | None:
        return claim_of(self.record, last_title(indexed), "", "")


def _read_record(store: Store, record_id: int) -> _MatchedRecord:
    """Return a record that may match.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    record = store.records.get(record_id)
    kept = proved_texts(store, record)
    if not store.states.has_many_refused(record_id):
        state = parse_state(current_text(store, record_id))
        return _MatchedRecord(record_id, record, state, state.receipt is not None, kept)
    outline, stale = StateView(store.states.outline(record_id)), store.states.staleness(record_id)
    is_verified = outline.receipt is not None and not (stale is not None and stale.needs_verdicts)
    indexed = store.search_index.texts(record_id) or names_text(record)
    return _MatchedRecord(record_id, record, outline, is_verified, kept, indexed)
