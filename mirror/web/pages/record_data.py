"""All that the store holds on one record, read once for its page, and what it says of the paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import urlsplit

from mirror.core.events.event import InvalidEvent, ValidEvent
from mirror.core.keys import KeySet
from mirror.core.record import Record, text_digest
from mirror.core.values import Object, Value
from mirror.engine.compare.latest import UpstreamSummary, last_words
from mirror.engine.search.citations import RecordCitations, citations_of
from mirror.store import ArrivalContents, ArrivalRow, Store, Verdicts
from mirror.web.store_reader import StoreSnapshot

__all__ = [
    "ArrivalView",
    "PaperMetadata",
    "RecordDetails",
    "RecordListItem",
    "hit_of",
    "paper_of",
    "read_dossier",
]


@dataclass(frozen=True, slots=True)
class ArrivalView:
    """What one bundle brought that was new."""

    at: str
    source: str
    """The last part of a path; a URL without user or query."""
    row: ArrivalRow
    contents: ArrivalContents
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class RecordDetails:
    """One state of the store, as far as it is about one record."""

    record_id: int
    record: Record
    state: Object
    state_digest: str
    keys: KeySet
    arrivals: list[ArrivalView]
    words: list[UpstreamSummary]
    """What upstreams were last heard to say, the latest first."""
    citations: RecordCitations

    @property
    def current(self) -> dict[str, list[Object]]:
        """The lists of the state's `current` (M6)."""
        return cast("dict[str, list[Object]]", self.state["current"])

    @property
    def receipt(self) -> Object | None:
        """The verified receipt of the record (M8)."""
        return cast("Object | None", cast("Object", self.state["current"])["receipt"])

    @property
    def events(self) -> int:
        """How many values came as events."""
        return sum(len(one.contents.events) for one in self.arrivals)

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Codes and reasons of the bundles' receipts that did not pass."""
        receipts = [receipt for one in self.arrivals for receipt in one.verdicts.receipts]
        return [(one.code, one.reason) for one in receipts if one.code is not None]

    def valid_events(self) -> Iterator[ValidEvent]:
        """Yield the events that passed every check, in the order they came."""
        for one in self.arrivals:
            yield from (event for event in one.verdicts.events if isinstance(event, ValidEvent))

    def reasons(self) -> dict[bytes, str]:
        """Why each invalid event did not pass, by the digest of its value."""
        events = [event for one in self.arrivals for event in one.verdicts.events]
        return {one.digest: one.reason for one in events if isinstance(one, InvalidEvent)}


def read_dossier(shelf: StoreSnapshot, record_id: int) -> RecordDetails:
    """Read what there is on a record.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    store = shelf.store
    origins = store.findings.origins(record_id)
    state = shelf.state(record_id)
    return RecordDetails(
        record_id=record_id,
        record=store.records.get(record_id),
        state=state,
        state_digest=shelf.state_digest(record_id),
        keys=store.trust_log.key_set(),
        arrivals=[
            ArrivalView(
                origins[row.id].at,
                _place(origins[row.id].source),
                row,
                contents,
                store.facts.with_verdicts(row, contents),
            )
            for row, contents in store.facts.rows(record_id)
        ],
        words=[
            replace(word, upstream=_place(word.upstream)) for word in last_words(store, record_id)
        ],
        citations=citations_of(store, record_id, state),
    )


def _place(source: str) -> str:
    """Return where something came from, and nothing of how this machine is set up."""
    if re.match(r"https?://", source) is None:
        return source.rstrip("/").rpartition("/")[2] or source
    try:
        parts = urlsplit(source)
    except ValueError:
        return "a URL"
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


# What the registry says of the paper ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaperMetadata:
    """Title, authors and abstract of the last graph snapshot that has a title: a claim."""

    title: str
    authors: str
    abstract: str
    said_by: str
    said_at: str
    is_title_confirmed: bool
    """Whether the title has the digest that the record holds (R5)."""
    builder: str


def paper_of(record: Record, state: Object) -> PaperMetadata | None:
    """Return what the snapshots of a state say of the paper; None if none gives a title."""
    current = cast("dict[str, list[Object]]", state["current"])
    for event in reversed(current["graph_snapshots"]):
        graph = cast("Object", cast("Object", event["payload"])["graph_snapshot"])
        paper = graph.get("paper")
        if isinstance(paper, dict) and _text(paper, "title").strip():
            return _paper(record, event, graph, paper)
    return None


def _paper(record: Record, event: Object, graph: Object, paper: Object) -> PaperMetadata:
    title = _text(paper, "title")
    return PaperMetadata(
        title=title,
        authors=_text(paper, "authors_text"),
        abstract=_text(paper, "abstract_excerpt"),
        said_by=str(cast("Object", event["signer"])["signer_id"]),
        said_at=str(event["created_at"]),
        is_title_confirmed=text_digest(title) == record.metadata["title_canon_sha256"],
        builder=_text(graph, "builder_version"),
    )


def _text(value: Object, name: str) -> str:
    found: Value = value.get(name)
    return found if isinstance(found, str) else ""


# A record in a list --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordListItem:
    """A record as a list shows it."""

    record: Record
    paper: PaperMetadata | None
    receipt_key_id: str
    """The id of the key that signed its receipt; empty if there is none."""


def hit_of(shelf: StoreSnapshot, record_id: int) -> RecordListItem:
    """Return a record as a list shows it.

    What is said of one with many events that failed is left out, so that nobody can make a list
    slow.
    """
    record = shelf.store.records.get(record_id)
    if shelf.store.states.has_many_refused(record_id):
        return RecordListItem(record, None, _receipt_key_id(shelf.store, record_id))
    state = shelf.state(record_id)
    receipt = cast("Object | None", cast("Object", state["current"])["receipt"])
    return RecordListItem(
        record, paper_of(record, state), "" if receipt is None else str(receipt["key_id"])
    )


def _receipt_key_id(store: Store, record_id: int) -> str:
    """Return the id of the key that signed a record's receipt, without reading its facts."""
    stale = store.states.staleness(record_id)
    if stale is not None and stale.needs_verdicts:
        return ""
    current = cast("Object", store.states.outline(record_id)["current"])
    receipt = cast("Object | None", current["receipt"])
    return "" if receipt is None else str(receipt["key_id"])
