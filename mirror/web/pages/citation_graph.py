"""The citation graph of a record, as lists and as a diagram."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mirror.core.record import Record
from mirror.core.state_view import EventEntry
from mirror.engine.search.citations import CitedWork, CitedWorks, RecordCitations
from mirror.engine.titles import proved_texts, title_of
from mirror.errors import CorruptStoreError
from mirror.web.pages.labels import RELATIONSHIPS
from mirror.web.store_reader import StoreSnapshot

__all__ = ["CitationEdge", "CitationGraph", "CitationNode", "CitationSide", "citation_graph_of"]

MAX_DRAWN = 10
"""Works on one side of the diagram."""


@dataclass(frozen=True, slots=True)
class CitationNode:
    """A work that cites the record or is cited by it."""

    name: str
    """Its identifier in the citation or reference."""
    record: Record | None
    """The one record that the store has of the work."""
    title: str
    relationships: list[str]
    """Relationships in signed citations; empty for listed references."""
    asserted_by: list[str]
    signed_by: list[str]
    is_shared: bool
    """True if the identifier of the citing work is that of several records."""
    is_damaged: bool
    """True if the store's record of the work cannot be read."""

    @property
    def is_signed(self) -> bool:
        """True for works of signed citations, False for listed references."""
        return bool(self.relationships)


@dataclass(frozen=True, slots=True)
class CitationEdge:
    """A line of the diagram, and the work at its end."""

    node: CitationNode
    y: float
    path: str
    label: str


@dataclass(frozen=True, slots=True)
class CitationSide:
    """Works in one direction."""

    listed: list[CitationNode]
    works: CitedWorks
    """The same works as found in the store, with their number."""


@dataclass(frozen=True, slots=True)
class CitationGraph:
    """The works that cite a record, or that it cites."""

    cited_by: CitationSide
    """Works with signed citations of this record."""
    cites: CitationSide
    """Works cited in signed citations on other records."""
    references: CitationSide
    """References in the last graph snapshot."""
    listed_by: str
    """The signer of that snapshot; empty if there is none."""

    @property
    def left(self) -> list[CitationNode]:
        """Citing works in the diagram."""
        return self.cited_by.listed[:MAX_DRAWN]

    @property
    def right(self) -> list[CitationNode]:
        """Cited works in the diagram, those of signed citations first."""
        signed = {one.record.digest for one in self.cites.listed if one.record}
        others = [
            one
            for one in self.references.listed
            if one.record is None or one.record.digest not in signed
        ]
        return [*self.cites.listed, *others][:MAX_DRAWN]

    @property
    def rows(self) -> int:
        """Number of rows of the diagram."""
        return max(len(self.left), len(self.right), 1)

    @property
    def height(self) -> int:
        """Height in SVG user units."""
        return _ROW * self.rows + 24

    @property
    def view(self) -> str:
        """The `viewBox` of the diagram."""
        left = 0 if self.left else _CENTRE_LEFT - 4
        right = _WIDTH if self.right else _CENTRE_RIGHT + 4
        return f"{left} 0 {right - left} {self.height}"

    @property
    def middle(self) -> float:
        """Vertical position of the record."""
        return self.height / 2

    def incoming(self) -> list[CitationEdge]:
        """Return the lines from citing works."""
        return [
            CitationEdge(one, y, _curve(_LEFT_EDGE, y, _CENTRE_LEFT, self.middle), _label(one))
            for one, y in self._with_positions(self.left)
        ]

    def outgoing(self) -> list[CitationEdge]:
        """Return the lines to cited works."""
        return [
            CitationEdge(one, y, _curve(_CENTRE_RIGHT, self.middle, _RIGHT_EDGE, y), _label(one))
            for one, y in self._with_positions(self.right)
        ]

    def _with_positions(self, works: list[CitationNode]) -> Iterator[tuple[CitationNode, float]]:
        """Yield works from top to bottom with their vertical positions."""
        top = self.middle - _ROW * (len(works) - 1) / 2
        for index, one in enumerate(works):
            yield one, top + _ROW * index


_ROW = 52
_WIDTH = 760
_LEFT_EDGE, _CENTRE_LEFT, _CENTRE_RIGHT, _RIGHT_EDGE = 214, 318, 442, 546


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (x1 + x2) / 2
    return f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"


def _label(one: CitationNode) -> str:
    first = RELATIONSHIPS.get(one.relationships[0], "cites") if one.relationships else ""
    more = len(one.relationships) - 1
    return f"{first} +{more}" if more > 0 else first


def citation_graph_of(snapshot: StoreSnapshot, citations: RecordCitations) -> CitationGraph:
    """Return the citation graph of a record."""
    references = citations.references
    listing = references.snapshot
    return CitationGraph(
        _side(snapshot, citations.cited_by),
        _side(snapshot, citations.cites),
        _side(snapshot, references.works),
        "" if listing is None else EventEntry(listing).signer_id,
    )


def _side(snapshot: StoreSnapshot, works: CitedWorks) -> CitationSide:
    return CitationSide([_node(snapshot, work) for work in works.listed], works)


def _node(snapshot: StoreSnapshot, work: CitedWork) -> CitationNode:
    record, title = _local_record(snapshot, work)
    events = [EventEntry(one) for one in work.events]
    return CitationNode(
        work.name,
        record,
        title,
        _distinct(event.text("relationship") for event in events),
        _distinct(event.text("asserted_by") for event in events),
        _distinct(event.signer_id for event in events),
        work.is_shared,
        work.record_id is not None and record is None,
    )


def _local_record(snapshot: StoreSnapshot, work: CitedWork) -> tuple[Record | None, str]:
    """Return the record of a work if the store has it and it can be read, and a title."""
    if work.record_id is None:
        return None, work.title
    try:
        record = snapshot.store.records.get(work.record_id)
        kept = proved_texts(snapshot.store, record)
        title = title_of(kept, record, snapshot.state(work.record_id))
    except CorruptStoreError:
        return None, work.title
    return record, title.text if title else work.title


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
