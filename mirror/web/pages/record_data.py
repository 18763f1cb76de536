"""Data of a record page: everything that the store holds on a record, and its paper's metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mirror.core.events.event import InvalidEvent, ValidEvent
from mirror.core.keys import KeySet
from mirror.core.record import Record
from mirror.core.state_view import StateView, parse_state
from mirror.core.verification_status import CheckedClaims
from mirror.engine.claims.checked import checked_claims
from mirror.engine.compare.latest import UpstreamSummary, latest_statements
from mirror.engine.public_names import public_source
from mirror.engine.search.citations import RecordCitations, citations_in_state, citations_of
from mirror.engine.states.current import replay
from mirror.engine.states.past import keys_at, past_arrivals
from mirror.engine.titles import proved_texts
from mirror.store import (
    ArrivalContents,
    ArrivalRow,
    PaperTexts,
    RecordFacts,
    Store,
    StoreVersion,
    Verdicts,
)
from mirror.web.store_reader import StoreSnapshot

__all__ = [
    "ArrivalView",
    "RecordDetails",
    "read_past_details",
    "read_record_details",
]


@dataclass(frozen=True, slots=True)
class ArrivalView:
    """An arrival: the new facts of one bundle, with their verdicts."""

    at: str
    """When it was stored; when its run started, if that is not known."""
    source: str
    """File name of the source, or its URL without user and query."""
    contents: ArrivalContents
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class RecordDetails:
    """Everything that one snapshot of the store holds on a record, or held at an earlier time."""

    record_id: int
    record: Record
    kept: PaperTexts
    """Its proved texts."""
    state: StateView
    state_digest: str
    keys: KeySet
    arrivals: list[ArrivalView]
    upstream_summaries: list[UpstreamSummary]
    """The last statement of each upstream, the latest first."""
    citations: RecordCitations
    checked: CheckedClaims
    """Results of checks; empty for the past, since they are of today."""
    is_past: bool = False
    """Whether it is of an earlier time; then nothing is in it that depends on other records."""

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Codes and reasons of refused receipts."""
        receipts = [receipt for one in self.arrivals for receipt in one.verdicts.receipts]
        return [(one.code, one.reason) for one in receipts if one.code is not None]

    def valid_events(self) -> Iterator[ValidEvent]:
        """Yield the valid events in the order of their arrival."""
        for one in self.arrivals:
            yield from (event for event in one.verdicts.events if isinstance(event, ValidEvent))

    def reasons(self) -> dict[bytes, str]:
        """Return the reason of each invalid event, by the digest of its value."""
        events = [event for one in self.arrivals for event in one.verdicts.events]
        return {one.digest: one.reason for one in events if isinstance(one, InvalidEvent)}


def read_record_details(snapshot: StoreSnapshot, record_id: int) -> RecordDetails:
    """Read the data of a record page.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    store = snapshot.store
    record, state = store.records.get(record_id), snapshot.state(record_id)
    rows = store.facts.rows(record_id)
    verdicts = (store.facts.with_verdicts(row, contents) for row, contents in rows)
    return RecordDetails(
        record_id=record_id,
        record=record,
        kept=proved_texts(store, record),
        state=state,
        state_digest=snapshot.state_digest(record_id),
        keys=store.trust_log.key_set(),
        arrivals=_arrival_views(
            store,
            record_id,
            [(*row, one) for row, one in zip(rows, verdicts, strict=True)],
        ),
        upstream_summaries=[
            replace(one, upstream=public_source(one.upstream))
            for one in latest_statements(store, record_id)
        ],
        citations=citations_of(store, record_id, state),
        checked=checked_claims(store, state),
    )


def read_past_details(
    snapshot: StoreSnapshot, record_id: int, version: StoreVersion, at: str
) -> RecordDetails:
    """Read the data of the page of a record at a version of the store, and merge them.

    Args:
        snapshot: The store.
        record_id: The row id of the record.
        version: The version.
        at: The known time of that version, with microseconds.

    Nothing is merged if it is so today.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    store = snapshot.store
    if snapshot.is_current(record_id, version):
        return _without_today(store, read_record_details(snapshot, record_id), at)
    keys = keys_at(store, version)
    arrivals = list(past_arrivals(store, record_id, version, keys))
    facts = RecordFacts(store.records.get(record_id), [], [], [])
    for _, contents, verdicts in arrivals:
        facts.add(contents, verdicts)
    merged = replay(facts, keys)
    state = parse_state(merged.text)
    return RecordDetails(
        record_id=record_id,
        record=facts.record,
        kept=proved_texts(store, facts.record, at),
        state=state,
        state_digest=merged.digest,
        keys=keys,
        arrivals=_arrival_views(store, record_id, arrivals),
        upstream_summaries=[],
        citations=citations_in_state(store, state),
        checked=CheckedClaims(),
        is_past=True,
    )


def _without_today(store: Store, details: RecordDetails, at: str) -> RecordDetails:
    """Return the data of a page without what is not of the record itself, or is of later."""
    return replace(
        details,
        kept=proved_texts(store, details.record, at),
        upstream_summaries=[],
        citations=citations_in_state(store, details.state),
        checked=CheckedClaims(),
        is_past=True,
    )


def _arrival_views(
    store: Store,
    record_id: int,
    arrivals: Iterable[tuple[ArrivalRow, ArrivalContents, Verdicts]],
) -> list[ArrivalView]:
    origins = store.findings.origins(record_id)
    return [
        ArrivalView(
            store.commits.stored_at(row.id) or origins[row.id].at,
            public_source(origins[row.id].source),
            contents,
            verdicts,
        )
        for row, contents, verdicts in arrivals
    ]
