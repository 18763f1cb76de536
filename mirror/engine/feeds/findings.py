"""Findings on records as entries of a feed: what this mirror found, by the arrival that shows it.

Verdicts and states are those of today. So a finding may go when trust changes, and one that is not
the same any more has another id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from mirror.core.events.event import ValidEvent
from mirror.core.events.summary import event_summary
from mirror.core.events.types import INTEGRITY
from mirror.core.msgpack_values import pack
from mirror.core.shape import list_member, text_member
from mirror.core.state_view import StateView, parse_state
from mirror.core.values import Object
from mirror.engine.compare.latest import UpstreamSummary, latest_statements
from mirror.engine.feeds.entries import (
    MAX_CONTENT_BYTES,
    MAX_NAMES,
    EntryReader,
    FeedEntry,
    FeedPage,
    counted,
    first_names,
)
from mirror.engine.feeds.positions import NEWEST, FeedPosition, FeedScope, entry_id
from mirror.engine.public_names import public_source
from mirror.engine.states.current import current_text
from mirror.errors import CorruptStoreError
from mirror.store import ArrivalFilter, ArrivalHead, Store

__all__ = ["DIFFERENCE", "EQUIVOCATION", "MAX_READ", "MAX_SCANNED", "finding_page"]

MAX_SCANNED = 20_000
"""Arrivals that are looked at for one page."""
MAX_READ = 200
"""Arrivals whose facts are read for one page."""
EQUIVOCATION, DIFFERENCE = "equivocation", "comparison"
"""Labels of findings that have no code of their own."""
_MAX_FACTS = 2_000
"""Most facts of a record whose equivocations are traced to their arrivals."""
_MAX_LISTED = 5
"""Integrity findings and equivocations that an entry has in words."""


def finding_page(store: Store, scope: FeedScope, before: FeedPosition, limit: int) -> FeedPage:
    """Return the findings before a position, those of the latest arrivals first.

    An arrival has an entry if it has refused facts, a valid integrity finding, or the last event of
    an equivocation; or if it is damaged. The first page of a record's feed also says how its state
    differs from the last statements of upstreams.

    At most `MAX_SCANNED` arrivals are looked at, and `MAX_READ` are read, so a page may have fewer
    entries than there are, or none, and another one follow.

    Args:
        store: The store; call within a snapshot.
        scope: The feed.
        before: Only findings of arrivals before this position.
        limit: At most so many.
    """
    reader = _FindingReader(store, scope)
    first = reader.differences() if scope.record_id and before == NEWEST else []
    rest = reader.page(before, limit - len(first))
    return FeedPage([*first, *rest.entries], rest.following)


class _FindingReader(EntryReader):
    """Reads entries of one page."""

    def __init__(self, store: Store, scope: FeedScope) -> None:
        super().__init__(store)
        self._scope = scope
        self._states: dict[int, StateView | None] = {}
        self._groups: dict[int, dict[int, list[str]]] = {}

    def page(self, before: FeedPosition, limit: int) -> FeedPage:
        """Return the findings of arrivals before a position."""
        category = self._scope.category
        chosen = ArrivalFilter(
            record_id=self._scope.record_id,
            text=b"" if category is None else pack(category),
            finding=INTEGRITY.encode(),
        )
        scanned = self.store.arrival_pages.scan(chosen, before.arrival, MAX_READ, MAX_SCANNED)
        found = list(islice(self._entries(scanned.found), limit + 1))
        if len(found) > limit:
            return FeedPage(found[:limit], found[limit - 1].position)
        return FeedPage(found, FeedPosition(scanned.last) if scanned.last else None)

    def _entries(self, heads: Iterable[ArrivalHead]) -> Iterator[FeedEntry]:
        for head in heads:
            try:
                entry = self._entry(head)
            except CorruptStoreError as error:
                entry = self.damaged(head, error)
            if entry is not None:
                yield entry

    def _entry(self, head: ArrivalHead) -> FeedEntry | None:
        """Return the entry of an arrival; None without a finding, or of another category."""
        refused = self.store.arrival_pages.refused(head.id)
        signed, groups, is_long = self._in_contents(head)
        if not (refused or signed or groups or is_long):
            return None
        record, at = self.described(head.record_id), self.known_at(head)
        if self._scope.category not in {None, *record.record.categories}:
            return None
        headline = "; ".join(_headline(refused, signed, groups, is_long=is_long))
        told = [*signed, *groups]
        hidden = counted(len(told) - _MAX_LISTED, "more", "") if len(told) > _MAX_LISTED else ""
        lines = [*told[:_MAX_LISTED], *filter(None, [hidden])]
        words = " ".join(f"{line}." for line in (headline, *lines))
        return FeedEntry(
            position=FeedPosition(head.id),
            entry_id=entry_id("finding", at, head.checksum.hex(), headline, *told),
            known_at=at,
            headline=headline,
            words=f"Found in facts that were stored at {at}, under the keys and rules of today: "
            f"{words}",
            suffix=record.record.suffix,
            record=record,
            labels=_labels(refused, signed, groups),
        )

    # In an arrival ---------------------------------------------------------------------------

    def _in_contents(self, head: ArrivalHead) -> tuple[list[str], list[str], bool]:
        """Return integrity findings and equivocations in words, and whether it is too long."""
        if head.size > MAX_CONTENT_BYTES:
            return [], self._equivocations(head), True
        row = self.store.facts.arrival(head.id)
        verdicts = self.store.facts.with_verdicts(row, row.contents())
        events = [one for one in verdicts.events if isinstance(one, ValidEvent)]
        signed = [one for one in events if one.event_type == INTEGRITY]
        if not signed:
            return [], self._equivocations(head), False
        state = self._state(head.record_id)
        words = [f"{_status_in(state, one)}: {event_summary(one).description}" for one in signed]
        return words, self._equivocations(head), False

    def _equivocations(self, head: ArrivalHead) -> list[str]:
        """Return the equivocations of the record whose last event came with an arrival."""
        if head.record_id not in self._groups:
            self._groups[head.record_id] = self._groups_of(head.record_id)
        return self._groups[head.record_id].get(head.id, [])

    def _groups_of(self, record_id: int) -> dict[int, list[str]]:
        """Return the equivocations of a record in words, by the arrival of their last event."""
        state, last = self._state(record_id), self.store.facts.last_arrival(record_id)
        if state is None:
            columns = self.store.states.columns(record_id)
            count = 0 if columns is None else columns.equivocation_count
            return {last: [f"{counted(count, 'equivocation')} of the record"]} if count else {}
        known = self._arrivals_of(record_id) if state.equivocations else {}
        found: dict[int, list[str]] = {}
        for group in state.equivocations:
            arrivals = [known.get(str(one), 0) for one in list_member(group, "event_ids")]
            found.setdefault(max(arrivals, default=0) or last, []).append(
                _equivocation_words(group)
            )
        return found

    def _arrivals_of(self, record_id: int) -> dict[str, int]:
        """Return the first arrival of each valid event; none if the record has too many facts."""
        found: dict[str, int] = {}
        if self.store.facts.totals(record_id).facts > _MAX_FACTS:
            return found
        for row, contents in self.store.facts.rows(record_id):
            for event in self.store.facts.with_verdicts(row, contents).events:
                if isinstance(event, ValidEvent):
                    found.setdefault(event.event_id, row.id)
        return found

    def _state(self, record_id: int) -> StateView | None:
        """Return the outline of the state of a record, which has all that is read of it here.

        None if many of its events failed: the outline lists them.
        """
        if record_id not in self._states:
            self._states[record_id] = self._read_state(record_id)
        return self._states[record_id]

    def _read_state(self, record_id: int) -> StateView | None:
        states = self.store.states
        if states.has_many_refused(record_id):
            return None
        if states.staleness(record_id) is None:
            return StateView(states.outline(record_id))
        return parse_state(current_text(self.store, record_id))

    # Upstreams -------------------------------------------------------------------------------

    def differences(self) -> list[FeedEntry]:
        """Return how the state of the record differs from the last statement of each upstream."""
        record_id = self._scope.record_id
        record = self.described_or_none(record_id)
        if record is None or record.is_partial:
            return []
        try:
            found = latest_statements(self.store, record_id)
        except CorruptStoreError:
            return []
        return [
            self._difference(one, record.record.suffix)
            for one in found
            if one.has_rollback or not one.comparison.is_same
        ]

    def _difference(self, found: UpstreamSummary, suffix: str) -> FeedEntry:
        causes = [one.text for one in found.comparison.causes]
        rollback = ["it took back an earlier statement"] if found.has_rollback else []
        words = "; ".join([*causes[:_MAX_LISTED], *rollback])
        status, upstream = found.comparison.status, public_source(found.upstream)
        return FeedEntry(
            position=FeedPosition(self.store.facts.last_arrival(self._scope.record_id)),
            entry_id=entry_id(DIFFERENCE, suffix, found.upstream, found.at, status, words),
            known_at=found.at,
            headline=f"compared with an upstream: {status}",
            words=f"The last statement of {upstream} was first read at {found.at}. Compared "
            f"with the state of today: {status}. {words}",
            suffix=suffix,
            record=self.described_or_none(self._scope.record_id),
            labels=(DIFFERENCE,),
        )


# Words ---------------------------------------------------------------------------------------


def _headline(
    refused: list[tuple[str, str, int]], signed: list[str], groups: list[str], *, is_long: bool
) -> Iterator[str]:
    for kind in ("event", "receipt"):
        codes = Counter({code: number for one, code, number in refused if one == kind})
        if codes:
            named = first_names(f"{number:,} {code}" for code, number in sorted(codes.items()))
            yield f"{counted(codes.total(), f'refused {kind}')} ({named})"
    if signed:
        yield counted(len(signed), "signed integrity finding")
    if groups:
        yield counted(len(groups), "equivocation")
    if is_long:
        yield "more facts than a feed reads: see the page of the record"


def _status_in(state: StateView | None, event: ValidEvent) -> str:
    if state is None:
        return "Valid"
    listed = {one.event_id for one in state.entries("integrity_findings")}
    return "In force" if event.event_id in listed else "No longer in force"


def _equivocation_words(group: Object) -> str:
    events = len(list_member(group, "event_ids"))
    signer, event_type = text_member(group, "signer_id"), text_member(group, "event_type")
    at = text_member(group, "created_at")
    return f"Equivocation: {events:,} different events {event_type} of {signer}, claimed time {at}"


def _labels(
    refused: list[tuple[str, str, int]], signed: list[str], groups: list[str]
) -> tuple[str, ...]:
    codes = dict.fromkeys(code for _, code, _ in refused)
    return (*codes, *[INTEGRITY] * bool(signed), *[EQUIVOCATION] * bool(groups))[:MAX_NAMES]
