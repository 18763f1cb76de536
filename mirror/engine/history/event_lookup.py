"""Looks up one event by its id, wherever it is in the store.

No index holds the ids of events, so the contents of all arrivals are read, or those of one record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from mirror.core.comparison.causes import retired_events, shown_entries
from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.summary import EventSummary, event_summary
from mirror.core.events.types import RECORD_CREATED, REVOCATION, is_event_id
from mirror.core.shape import list_member, text_member
from mirror.core.state_view import parse_state
from mirror.core.values import Object
from mirror.engine.states.current import current_text, verify_arrival
from mirror.errors import AmbiguousError, LookUpError
from mirror.store import ArrivalRow, Store, Verdicts

__all__ = ["StoredEvent", "find_event", "is_event_name"]

_NAME = re.compile(r"sha256:[0-9a-f]{8,64}", re.IGNORECASE)
_LISTED = 10
_NO_ENTRY = frozenset({RECORD_CREATED, REVOCATION})
"""Types of which a state lists no valid event (M6)."""


def is_event_name(text: str) -> bool:
    """Whether a text is an event id (E1), or at least `sha256:` and its first 8 digits."""
    return _NAME.fullmatch(text.strip()) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event of a stored bundle, with its status of today."""

    pith_number: str
    """The record of the bundle."""
    event: Event
    status: str
    """`in force`, `superseded`, `revoked`, `withdrawn`, `refused`, or `repeat`: another valid event
    is the same signed message."""
    by: tuple[str, ...]
    """Ids of the events that superseded or revoked it."""
    known_at: str
    """When this mirror stored it; empty if that is not known."""
    arrival: int
    source: str
    """The source that was read; a path or URL may be private."""
    member: str

    @property
    def summary(self) -> EventSummary:
        """Its main fields; those of a refused event are not verified."""
        return event_summary(self.event)

    def to_value(self) -> Object:
        """Return the event as JSON."""
        refused = self.event if isinstance(self.event, InvalidEvent) else None
        return {
            "pith_number": self.pith_number,
            "event_id": self.summary.event_id or None,
            "digest": self.event.digest.hex(),
            "status": self.status,
            "by": [*self.by],
            "code": "" if refused is None else refused.code,
            "reason": "" if refused is None else refused.reason,
            "known_at": self.known_at or None,
            "arrival": self.arrival,
            "source": self.source,
            "member": self.member,
            "claimed_at": self.summary.created_at,
            "event_type": self.summary.event_type,
            "signer_id": self.summary.signer_id,
            "key_id": self.summary.key_id,
            "profile": self.event.profile,
            "event": self.event.value,
        }


def find_event(
    store: Store,
    name: str,
    record_id: int | None = None,
    progress: Callable[[int], None] = lambda _arrivals: None,
) -> list[StoredEvent]:
    """Return every stored value with an event id: a repeat, or a copy in the wrong bundle, too.

    Args:
        store: The store; call within a snapshot.
        name: The id, or its beginning (`is_event_name`).
        record_id: Search only this record; None for all, which reads every arrival.
        progress: Receives numbers of arrivals that were read.

    Raises:
        LookUpError: `lookup.unknown`
        AmbiguousError: If several events have ids that begin so.
        CorruptStoreError: `store.damaged`
    """
    name = name.strip().lower()
    matches = list(_matches(store, name, record_id, progress))
    names = list(dict.fromkeys(one.name for one in matches))
    if not names:
        place = "here" if record_id is None else "in this record"
        hint = "`mirror history ID` lists the events of a record with their ids"
        raise LookUpError("lookup.unknown", f"no event {place} has the id {name}", hint=hint)
    if len(names) > 1:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        listed = f"{', '.join(names[:_LISTED])}{more}"
        raise AmbiguousError(f"{name} begins the ids of {len(names)} events: {listed}", [])
    matches.sort(key=lambda one: (one.row.record_id, one.row.id))
    by_record = groupby(matches, key=lambda one: one.row.record_id)
    found = [one for record, some in by_record for one in _stored_events(store, record, some)]
    return sorted(found, key=lambda one: (one.status == "refused", one.arrival))


class _Match(NamedTuple):
    row: ArrivalRow
    event: Event
    name: str


def _matches(
    store: Store, name: str, record_id: int | None, progress: Callable[[int], None]
) -> Iterator[_Match]:
    digits = name.removeprefix("sha256:")
    digest = bytes.fromhex(digits[: len(digits) // 2 * 2])
    for arrival_id, may_hold in store.facts.arrivals_with([name.encode(), digest], record_id):
        progress(1)
        if may_hold:
            row = store.facts.arrival(arrival_id)
            for event in _verdicts(store, row).events:
                if (found := _name_of(event, name)) is not None:
                    yield _Match(row, event, found)


def _verdicts(store: Store, row: ArrivalRow) -> Verdicts:
    contents, stale = row.contents(), store.states.staleness(row.record_id)
    if stale is None or not stale.needs_verdicts:
        return store.facts.with_verdicts(row, contents)
    record = store.records.get(row.record_id)
    return verify_arrival(record, row, contents, store.trust_log.key_set())


def _name_of(event: Event, name: str) -> str | None:
    """Return the name of an event that is meant or begins so; None if none does."""
    names = (event_summary(event).event_id, f"sha256:{event.digest.hex()}")
    return next((one for one in names if is_event_id(one) and one.startswith(name)), None)


def _stored_events(
    store: Store, record_id: int, matches: Iterable[_Match]
) -> Iterator[StoredEvent]:
    """Yield the matches in one record; its facts are compared with its totals before."""
    store.facts.rows(record_id)
    number, sources = store.records.get(record_id).pith_number, store.findings.origins(record_id)
    state = parse_state(current_text(store, record_id)).value
    shown, retired = shown_entries(state), retired_events(state)
    for row, event, _ in matches:
        commit = store.commits.of(row.id)
        status, by = _status(event, shown, retired)
        yield StoredEvent(
            pith_number=number,
            event=event,
            status=status,
            by=by,
            known_at="" if commit is None else commit.stored_at,
            arrival=row.id,
            source=sources[row.id].source,
            member=row.member,
        )


def _status(
    event: Event, shown: Collection[str], retired: Mapping[str, Object]
) -> tuple[str, tuple[str, ...]]:
    if not isinstance(event, ValidEvent):
        return "refused", ()
    if (entry := retired.get(event.event_id)) is not None:
        return text_member(entry, "reason"), tuple(map(str, list_member(entry, "by")))
    is_shown = event.event_type in _NO_ENTRY or event.event_id in shown
    return ("in force" if is_shown else "repeat"), ()
