"""Citations of a record and by it, and the references that its last snapshot lists.

A signed citation stands on the record that is cited, and its `citing` names the work that cites
(E4). So who cites a record stands in its own state, and what it cites stands in the states of
others, which the index `store.citations` finds. Both count only while they are in force. What a
graph snapshot lists is the word of the snapshot's signer; nothing of it is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from mirror.core.identifier import Identifier, names_in, names_of
from mirror.core.keys import KeySet
from mirror.core.record import Record
from mirror.core.values import Object, Value, decode
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
    "citations_of",
    "count_cited_by",
]

MAX_WORKS = 60
"""Works in one direction that are read and listed; all are counted."""


@dataclass(frozen=True, slots=True)
class CitedWork:
    """A work that cites a record, or is cited by it."""

    name: str
    """Its name in the citation; for a record that is cited, its Pith Number."""
    record_id: int | None = None
    """The record held here, if the name is that of just one."""
    title: str = ""
    """The entry of the snapshot."""
    events: list[Object] = field(default_factory=list)
    """The citations in force that say so, as a state lists them (M6)."""
    is_shared: bool = False
    """Whether each event names the record that cites by a name that fits others here, too."""


@dataclass(frozen=True, slots=True)
class CitedWorks:
    """The first of the works in one direction, and how many there are."""

    listed: list[CitedWork]
    count: int
    damaged: int = 0
    """Records among them that could not be read, and are not listed."""

    @property
    def more(self) -> int:
        """Return how many works are not listed, damaged ones aside."""
        return self.count - self.damaged - len(self.listed)


@dataclass(frozen=True, slots=True)
class SnapshotReferences:
    """The references that a graph snapshot lists: its signer's word, not checked here."""

    works: CitedWorks
    snapshot: Object | None
    """The snapshot's event (M6); None if no snapshot lists any."""


@dataclass(frozen=True, slots=True)
class RecordCitations:
    """The citations of a record in both directions."""

    cited_by: CitedWorks
    cites: CitedWorks
    references: SnapshotReferences


def citations_of(
    store: Store, record_id: int, state: Object, keys: KeySet | None = None
) -> RecordCitations:
    """Return the citations of a record in both directions.

    Args:
        store: The store.
        record_id: The record.
        state: Its state (M6).
        keys: Whom to trust; None for the store's own key set. What the record cites is found only
            where the store's own keys found a citation, too.

    Raises:
        CorruptStoreError: `store.damaged` if the record itself is not as it was written.
    """
    return RecordCitations(
        _cited_by(store, state), _cites(store, record_id, keys), _references(store, state)
    )


# Who cites the record ------------------------------------------------------------------------


def _cited_by(store: Store, state: Object) -> CitedWorks:
    groups = list(_by_citing(state).values())
    works = [_citing_work(store, events) for events in groups[:MAX_WORKS]]
    return CitedWorks(works, len(groups))


def count_cited_by(state: Object) -> int:
    """Return how many works cite the record of a state, as their names tell them apart."""
    return len(_by_citing(state))


def _by_citing(state: Object) -> dict[tuple[Identifier | str, ...], list[Object]]:
    """Return the citations in force by who cites; two spellings of one name are one."""
    groups: dict[tuple[Identifier | str, ...], list[Object]] = {}
    for event in _citations(state):
        citing = _citing(event)
        groups.setdefault(tuple(names_in(citing)) or (citing,), []).append(event)
    return groups


def _citing_work(store: Store, events: list[Object]) -> CitedWork:
    name = _citing(events[0])
    return CitedWork(name, _one(store, name), events=events)


def _citations(state: Object) -> list[Object]:
    return cast("list[Object]", cast("Object", state["current"])["citations"])


def _citing(event: Object) -> str:
    return cast("str", cast("Object", event["payload"])["citing"])


def _one(store: Store, name: str) -> int | None:
    """Return the record of a name, if it is that of just one."""
    found = find_all(store.records, name)
    return found[0] if len(found) == 1 else None


# What the record cites -----------------------------------------------------------------------


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
        else:  # its state is newer than the index, or other keys are asked for
            count -= 1
    return CitedWorks(works, count, damaged)


def _cited_work(store: Store, citing: Record, cited_id: int, keys: KeySet | None) -> CitedWork:
    """Return what the state of a record says of its being cited by another."""
    names = frozenset(names_of(citing))
    state = cast("Object", decode(current_text(store, cited_id, keys).rstrip(b"\n")))
    events = [one for one in _citations(state) if names.intersection(names_in(_citing(one)))]
    spellings = {_citing(event) for event in events}
    is_shared = bool(events) and all(_one(store, one) is None for one in spellings)
    return CitedWork(store.records.get(cited_id).pith_number, cited_id, "", events, is_shared)


# What a snapshot lists -----------------------------------------------------------------------


def _references(store: Store, state: Object) -> SnapshotReferences:
    """Return the references of the last snapshot that lists any."""
    current = cast("dict[str, list[Object]]", state["current"])
    for event in reversed(current["graph_snapshots"]):
        graph = cast("Object", cast("Object", event["payload"])["graph_snapshot"])
        listed = list(dict.fromkeys(map(_reference, _listed(graph.get("references")))))
        if listed:
            works = [
                CitedWork(name, _one(store, name), title) for name, title in listed[:MAX_WORKS]
            ]
            return SnapshotReferences(CitedWorks(works, len(listed)), event)
    return SnapshotReferences(CitedWorks([], 0), None)


def _listed(references: Value) -> Iterator[Object]:
    """Yield the references of a snapshot: a list, or an object with a `sample` of them."""
    sample = references.get("sample") if isinstance(references, dict) else references
    if isinstance(sample, list):
        yield from (one for one in sample if isinstance(one, dict))


def _reference(said: Object) -> tuple[str, str]:
    """Return name and title of a reference; either may be empty."""
    return _first(said, "pith_number", "arxiv_id", "doi"), _first(
        said, "title", "raw", "cited_title"
    )


def _first(said: Object, *members: str) -> str:
    texts: Iterable[Value] = (said.get(member) for member in members)
    return next((one for one in texts if isinstance(one, str) and one), "")
