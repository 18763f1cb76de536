"""Citations of a record, citations by it, and the references in its last graph snapshot.

A signed citation is an event of the cited record; its member `citing` names the citing work (E4).
So the state of a record contains the citations of it, and its own citations are in the states of
other records, which the index `store.citations` finds. Only citations in force count. The
references in a graph snapshot are claims of the snapshot's signer, and nothing verifies them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mirror.core.graph_references import cited_name, cited_title, listed_references
from mirror.core.identifier import Identifier, names_in, names_of
from mirror.core.keys import KeySet
from mirror.core.record import Record
from mirror.core.state_view import EventEntry, StateView, parse_state
from mirror.core.values import Object
from mirror.engine.identifiers import find_all
from mirror.engine.states.current import current_text
from mirror.errors import CorruptStoreError
from mirror.store import Store

__all__ = [
    "MAX_WORKS",
    "CitedWork",
    "CitedWorks",
    "RecordCitations",
    "SnapshotReferences",
    "citations_in_state",
    "citations_of",
    "count_cited_by",
]

MAX_WORKS = 60
"""The most works in one direction that are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class CitedWork:
    """A work that cites a record, or is cited by it."""

    name: str
    """The name of a citing work in its citations; the Pith Number of a cited record."""
    record_id: int | None = None
    """The record in this store, if the name is that of exactly one."""
    title: str = ""
    """The title in the graph snapshot."""
    events: list[Object] = field(default_factory=list)
    """The citations in force, as a state lists them (M6)."""
    is_shared: bool = False
    """Whether every citation names the citing record by a name that other records have, too."""


@dataclass(frozen=True, slots=True)
class CitedWorks:
    """The first works in one direction, and the number of all."""

    listed: list[CitedWork]
    count: int
    damaged: int = 0
    """Cited records that are damaged, and are not listed."""

    @property
    def more(self) -> int:
        """How many works are not listed, without the damaged records."""
        return self.count - self.damaged - len(self.listed)


@dataclass(frozen=True, slots=True)
class SnapshotReferences:
    """The references in a graph snapshot: claims of its signer, not verified."""

    works: CitedWorks
    snapshot: Object | None
    """The event of the snapshot (M6); None if no snapshot lists references."""


@dataclass(frozen=True, slots=True)
class RecordCitations:
    """The citations of a record in both directions."""

    cited_by: CitedWorks
    cites: CitedWorks
    references: SnapshotReferences


def citations_of(
    store: Store, record_id: int, state: StateView, keys: KeySet | None = None
) -> RecordCitations:
    """Return the citations of a record in both directions.

    Args:
        store: The store.
        record_id: The record.
        state: Its state.
        keys: The trusted keys; None for the store's own key set. A cited record is found only if
            its citation is valid under the store's own keys, too.

    Raises:
        CorruptStoreError: `store.damaged` if the record itself is damaged.
    """
    return RecordCitations(
        _cited_by(store, state), _cites(store, record_id, keys), _references(store, state)
    )


def citations_in_state(store: Store, state: StateView) -> RecordCitations:
    """Return the citations that a state contains: none that is on another record.

    Args:
        store: The store, in which the records of works are looked up as it is today.
        state: The state, which may be one of an earlier time.
    """
    return RecordCitations(_cited_by(store, state), CitedWorks([], 0), _references(store, state))


# Citations of the record ---------------------------------------------------------------------


def _cited_by(store: Store, state: StateView) -> CitedWorks:
    groups = list(_by_citing(state).values())
    works = [_citing_work(store, events) for events in groups[:MAX_WORKS]]
    return CitedWorks(works, len(groups))


def count_cited_by(state: StateView) -> int:
    """Return how many works cite the record of a state; works differ if their names do."""
    return len(_by_citing(state))


def _by_citing(state: StateView) -> dict[tuple[Identifier | str, ...], list[EventEntry]]:
    """Return the citations in force by citing work, whatever the spelling of its name."""
    groups: dict[tuple[Identifier | str, ...], list[EventEntry]] = {}
    for event in state.citations:
        citing = _citing(event)
        groups.setdefault(tuple(names_in(citing)) or (citing,), []).append(event)
    return groups


def _citing_work(store: Store, events: list[EventEntry]) -> CitedWork:
    name = _citing(events[0])
    return CitedWork(name, _only_record(store, name), events=[one.value for one in events])


def _citing(event: EventEntry) -> str:
    return event.text("citing")


def _only_record(store: Store, name: str) -> int | None:
    """Return the record of a name; None if there is none, or several."""
    found = find_all(store.records, name)
    return found[0] if len(found) == 1 else None


# Citations by the record ---------------------------------------------------------------------


def _cites(store: Store, record_id: int, keys: KeySet | None) -> CitedWorks:
    record = store.records.get(record_id)
    count = store.citations.cited_count(record_id, record)
    works: list[CitedWork] = []
    damaged = 0
    for cited_id in store.citations.cited(record_id, record, MAX_WORKS) if count else ():
        try:
            work = _cited_work(store, record, cited_id, keys)
        except CorruptStoreError:
            damaged += 1
            continue
        if work.events:
            works.append(work)
        else:  # its state is newer than the index, or the keys are not the store's own
            count -= 1
    return CitedWorks(works, count, damaged)


def _cited_work(store: Store, citing: Record, cited_id: int, keys: KeySet | None) -> CitedWork:
    """Return a cited record with the citations of it by another record."""
    names = frozenset(names_of(citing))
    state = parse_state(current_text(store, cited_id, keys))
    events = [one for one in state.citations if names.intersection(names_in(_citing(one)))]
    spellings = {_citing(event) for event in events}
    is_shared = bool(events) and all(_only_record(store, one) is None for one in spellings)
    return CitedWork(
        store.records.get(cited_id).pith_number,
        cited_id,
        events=[one.value for one in events],
        is_shared=is_shared,
    )


# References in a graph snapshot --------------------------------------------------------------


def _references(store: Store, state: StateView) -> SnapshotReferences:
    """Return the references of the last snapshot that has any."""
    for event in reversed(state.graph_snapshots):
        listed = list(
            dict.fromkeys(map(_reference, listed_references(event.graph.get("references"))))
        )
        if listed:
            works = [
                CitedWork(name, _only_record(store, name), title)
                for name, title in listed[:MAX_WORKS]
            ]
            return SnapshotReferences(CitedWorks(works, len(listed)), event.value)
    return SnapshotReferences(CitedWorks([], 0), None)


def _reference(reference: Object) -> tuple[str, str]:
    """Return name and title of a reference; either may be empty."""
    return cited_name(reference), cited_title(reference)
