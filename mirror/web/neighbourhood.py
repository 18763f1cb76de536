"""Who cites a record, and what the registry says that it cites: as lists and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from mirror.core.record import Record
from mirror.core.values import Object, Value
from mirror.engine.lookup import find_all
from mirror.web.dossier import Dossier, paper_of
from mirror.web.library import Shelf
from mirror.web.words import RELATIONSHIPS

__all__ = ["Edge", "Neighbour", "Neighbourhood", "neighbourhood_of"]

MAX_NEIGHBOURS = 60
"""Works on one side that the page lists."""
MAX_DRAWN = 10
"""Works on one side that the picture shows."""
_MAX_NAME = 200
"""Longer strings name no record."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another work, as someone names it."""

    name: str
    record: Record | None
    """The record held here, if the name is that of just one."""
    title: str
    relationships: list[str]
    """What it says of this record; empty for what this record cites."""
    asserted_by: list[str]
    signed_by: list[str]


@dataclass(frozen=True, slots=True)
class Edge:
    """A line of the picture, and the work at its end."""

    neighbour: Neighbour
    y: float
    path: str
    label: str


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The works around a record."""

    citing: list[Neighbour]
    more_citing: int
    cited: list[Neighbour]
    more_cited: int

    @property
    def rows(self) -> int:
        """Rows of the picture."""
        return min(max(len(self.citing), len(self.cited), 1), MAX_DRAWN)

    @property
    def height(self) -> int:
        """Units down."""
        return _ROW * self.rows + 24

    @property
    def view(self) -> str:
        """The part of the picture in which anything stands."""
        left = 0 if self.citing else _CENTRE_LEFT - 4
        right = _WIDTH if self.cited else _CENTRE_RIGHT + 4
        return f"{left} 0 {right - left} {self.height}"

    @property
    def middle(self) -> float:
        """Where the record stands."""
        return self.height / 2

    def incoming(self) -> list[Edge]:
        """Return the lines from works that cite the record."""
        return [
            Edge(one, y, _curve(_LEFT_EDGE, y, _CENTRE_LEFT, self.middle), _label(one))
            for one, y in zip(self.citing, self._heights(self.citing), strict=False)
        ]

    def outgoing(self) -> list[Edge]:
        """Return the lines to works that it cites."""
        return [
            Edge(one, y, _curve(_CENTRE_RIGHT, self.middle, _RIGHT_EDGE, y), "")
            for one, y in zip(self.cited, self._heights(self.cited), strict=False)
        ]

    def _heights(self, works: list[Neighbour]) -> list[float]:
        count = min(len(works), MAX_DRAWN)
        top = self.middle - _ROW * (count - 1) / 2
        return [top + _ROW * index for index in range(count)]


_ROW = 52
_WIDTH = 760
_LEFT_EDGE, _CENTRE_LEFT, _CENTRE_RIGHT, _RIGHT_EDGE = 214, 318, 442, 546


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (x1 + x2) / 2
    return f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"


def _label(one: Neighbour) -> str:
    first = RELATIONSHIPS.get(one.relationships[0], "cites") if one.relationships else ""
    more = len(one.relationships) - 1
    return f"{first} +{more}" if more > 0 else first


def neighbourhood_of(shelf: Shelf, dossier: Dossier) -> Neighbourhood:
    """Return the works around a record."""
    citing = _citing(dossier)
    cited = list(dict.fromkeys(_references(dossier)))
    own = dossier.record_id
    return Neighbourhood(
        [
            _neighbour(shelf, own, name, said)
            for name, said in list(citing.items())[:MAX_NEIGHBOURS]
        ],
        max(0, len(citing) - MAX_NEIGHBOURS),
        [_neighbour(shelf, own, name, [], raw) for name, raw in cited[:MAX_NEIGHBOURS]],
        max(0, len(cited) - MAX_NEIGHBOURS),
    )


def _citing(dossier: Dossier) -> dict[str, list[Object]]:
    """Return the citations in force, by the work that cites."""
    citing: dict[str, list[Object]] = {}
    for event in dossier.current["citations"]:
        payload = cast("Object", event["payload"])
        citing.setdefault(str(payload["citing"]), []).append(event)
    return citing


def _references(dossier: Dossier) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the references that the last snapshot to have any lists."""
    for event in reversed(dossier.current["graph_snapshots"]):
        graph = cast("Object", cast("Object", event["payload"])["graph_snapshot"])
        listed = graph.get("references")
        sample = listed.get("sample") if isinstance(listed, dict) else None
        if isinstance(sample, list) and sample:
            yield from (_reference(one) for one in sample if isinstance(one, dict))
            return


def _reference(said: Object) -> tuple[str, str]:
    for member in ("pith_number", "arxiv_id", "doi"):
        name: Value = said.get(member)
        if isinstance(name, str) and name:
            return name, _raw(said)
    return "", _raw(said)


def _raw(said: Object) -> str:
    texts = [said.get(member) for member in ("title", "raw", "cited_title")]
    return next((one for one in texts if isinstance(one, str) and one), "")


def _neighbour(shelf: Shelf, own: int, name: str, said: list[Object], title: str = "") -> Neighbour:
    found = find_all(shelf.store.records, name) if 0 < len(name) <= _MAX_NAME else []
    record, paper = None, None
    if len(found) == 1 and found[0] != own:
        record = shelf.store.records.get(found[0])
        paper = paper_of(record, shelf.state(found[0]))
    payloads = [cast("Object", one["payload"]) for one in said]
    signers = [cast("Object", one["signer"]) for one in said]
    return Neighbour(
        name,
        record,
        paper.title if paper else title,
        _once(payload["relationship"] for payload in payloads),
        _once(payload["asserted_by"] for payload in payloads),
        _once(signer["signer_id"] for signer in signers),
    )


def _once(values: Iterator[Value]) -> list[str]:
    return list(dict.fromkeys(map(str, values)))
