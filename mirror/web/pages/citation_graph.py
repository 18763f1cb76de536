"""The citation graph of a record, as lists and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from mirror.core.record import Record
from mirror.core.values import Object, Value
from mirror.engine.search.citations import CitedWork, CitedWorks, RecordCitations
from mirror.errors import CorruptStoreError
from mirror.web.pages.labels import RELATIONSHIPS
from mirror.web.pages.record_data import paper_of
from mirror.web.store_reader import StoreSnapshot

__all__ = ["CitationEdge", "CitationGraph", "CitationNode", "CitationSide", "neighbourhood_of"]

MAX_DRAWN = 10
"""Works on one side that the picture shows."""


@dataclass(frozen=True, slots=True)
class CitationNode:
    """Another work, as someone names it."""

    name: str
    record: Record | None
    """The record held here, if the name is that of just one."""
    title: str
    relationships: list[str]
    """The relationships that signed citations claim; empty for listed references."""
    asserted_by: list[str]
    signed_by: list[str]
    is_shared: bool
    """Whether the citations name the work that cites as others here are named, too."""
    is_damaged: bool
    """Whether a record is held here that cannot be read."""

    @property
    def is_signed(self) -> bool:
        """Whether signed citations say so, not only a list of references."""
        return bool(self.relationships)


@dataclass(frozen=True, slots=True)
class CitationEdge:
    """A line of the picture, and the work at its end."""

    neighbour: CitationNode
    y: float
    path: str
    label: str


@dataclass(frozen=True, slots=True)
class CitationSide:
    """The works in one direction."""

    listed: list[CitationNode]
    works: CitedWorks
    """The same as they were found; with the counts."""


@dataclass(frozen=True, slots=True)
class CitationGraph:
    """The works around a record."""

    cited_by: CitationSide
    """By signed citations of this record."""
    cites: CitationSide
    """By signed citations of others."""
    references: CitationSide
    """References that the last graph snapshot lists."""
    listed_by: str
    """The signer of that snapshot; empty if there is none."""

    @property
    def at_left(self) -> list[CitationNode]:
        """The works that the picture shows as citing this one."""
        return self.cited_by.listed[:MAX_DRAWN]

    @property
    def at_right(self) -> list[CitationNode]:
        """The works that the picture shows as cited by this one, the signed ones first."""
        signed = {one.record.digest for one in self.cites.listed if one.record}
        others = [
            one
            for one in self.references.listed
            if one.record is None or one.record.digest not in signed
        ]
        return [*self.cites.listed, *others][:MAX_DRAWN]

    @property
    def rows(self) -> int:
        """Rows of the picture."""
        return max(len(self.at_left), len(self.at_right), 1)

    @property
    def height(self) -> int:
        """Units down."""
        return _ROW * self.rows + 24

    @property
    def view(self) -> str:
        """The part of the picture in which anything stands."""
        left = 0 if self.at_left else _CENTRE_LEFT - 4
        right = _WIDTH if self.at_right else _CENTRE_RIGHT + 4
        return f"{left} 0 {right - left} {self.height}"

    @property
    def middle(self) -> float:
        """Where the record stands."""
        return self.height / 2

    def incoming(self) -> list[CitationEdge]:
        """Return the lines from works that cite the record."""
        return [
            CitationEdge(one, y, _curve(_LEFT_EDGE, y, _CENTRE_LEFT, self.middle), _label(one))
            for one, y in self._by_height(self.at_left)
        ]

    def outgoing(self) -> list[CitationEdge]:
        """Return the lines to works that it cites."""
        return [
            CitationEdge(one, y, _curve(_CENTRE_RIGHT, self.middle, _RIGHT_EDGE, y), _label(one))
            for one, y in self._by_height(self.at_right)
        ]

    def _by_height(self, works: list[CitationNode]) -> Iterator[tuple[CitationNode, float]]:
        """Yield works from top to bottom, each with its height."""
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


def neighbourhood_of(shelf: StoreSnapshot, citations: RecordCitations) -> CitationGraph:
    """Return the works around a record."""
    references = citations.references
    snapshot = references.snapshot
    return CitationGraph(
        _side(shelf, citations.cited_by),
        _side(shelf, citations.cites),
        _side(shelf, references.works),
        "" if snapshot is None else str(cast("Object", snapshot["signer"])["signer_id"]),
    )


def _side(shelf: StoreSnapshot, works: CitedWorks) -> CitationSide:
    return CitationSide([_neighbour(shelf, work) for work in works.listed], works)


def _neighbour(shelf: StoreSnapshot, work: CitedWork) -> CitationNode:
    record, title = _local_record(shelf, work)
    payloads = [cast("Object", one["payload"]) for one in work.events]
    signers = [cast("Object", one["signer"]) for one in work.events]
    return CitationNode(
        work.name,
        record,
        title,
        _once(payload["relationship"] for payload in payloads),
        _once(payload["asserted_by"] for payload in payloads),
        _once(signer["signer_id"] for signer in signers),
        work.is_shared,
        work.record_id is not None and record is None,
    )


def _local_record(shelf: StoreSnapshot, work: CitedWork) -> tuple[Record | None, str]:
    """Return the record that is held here, if it can be read, and a title."""
    if work.record_id is None:
        return None, work.title
    try:
        record = shelf.store.records.get(work.record_id)
        paper = paper_of(record, shelf.state(work.record_id))
    except CorruptStoreError:
        return None, work.title
    return record, paper.title if paper else work.title


def _once(values: Iterator[Value]) -> list[str]:
    return list(dict.fromkeys(map(str, values)))
