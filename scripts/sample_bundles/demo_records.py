"""The made-up records of the demo bag: nobody wrote these papers, and no such arXiv ids exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tests import oracle
from tests.builders import Object, make_record

_PAPERS: Final = {
    "2699.00001": (
        "Fixed points of citation graphs under repeated mirroring",
        "We show that a citation graph that is mirrored often enough stops changing.",
    ),
    "2699.00002": (
        "Über die Größe von Zitationskaskaden: a corpus study in two languages",
        "Wir messen, wie weit ein Fehler reist. We measure how far an error travels.",
    ),
    "hep-th/9901234": (
        "Boundary terms in a toy model of holographic bookkeeping",
        "Every entry in the bulk is balanced by an entry on the boundary, up to $O(1/N^2)$.",
    ),
    "ER-2699/4": (
        "Field notes from a replicated survey of intertidal snails",
        "We counted the snails twice.",
    ),
    "2699.00005": (
        "A negative result on the reproducibility of negative results",
        "It did not reproduce.",
    ),
    "2699.00006": (
        "Café, naïve, 量子: identifiers that survive transcription",
        "Which characters arrive as they were sent? We list those that do.",
    ),
    "2699.00007": (
        "Splitting a provenance log across two archives",
        "One history, kept in two places, can be put together again.",
    ),
    "2699.00008": (
        "An untouched preprint",
        "Nothing was ever said about this paper.",
    ),
}
"""Titles and abstracts by source id."""


def _record(source_id: str, submitted_at: str, **members: Any) -> Object:
    title, abstract = _PAPERS[source_id]
    return make_record(title, abstract, source_id, submitted_at=submitted_at, **members)


FIXED_POINTS: Final = _record("2699.00001", "2026-02-26T18:30:01Z", version=2)
CASCADES: Final = _record("2699.00002", "2026-02-09T07:00:00Z", cross_cats=["physics.soc-ph"])
HOLOGRAPHY: Final = _record(
    "hep-th/9901234",
    "1999-01-29T20:12:44Z",
    primary_cat="hep-th",
    cross_cats=[],
    license="http://arxiv.org/licenses/assumed-1991-2003/",
)
SNAILS: Final = _record(
    "ER-2699/4",
    "2025-12-24T09:15:00.5+00:00",
    kind="example-repository",
    primary_cat="q-bio.PE",
    cross_cats=["stat.AP"],
    license="",
)
NEGATIVE_RESULT: Final = _record("2699.00005", "2025-06-30T23:59:59Z", primary_cat="stat.ME")
TRANSCRIPTION: Final = _record("2699.00006", "2026-02-19T11:11:11Z", cross_cats=["cs.CL"])
SPLIT_LOG: Final = _record("2699.00007", "2025-10-30T10:00:00Z", version=3)
UNTOUCHED: Final = _record("2699.00008", "2026-02-28T00:00:00Z")


def graph_of(record: Object, cited: Sequence[Object]) -> Object:
    """Return a graph snapshot in the manner of the registry's, with what the paper cites."""
    metadata, source = record["metadata"], record["source"]
    references: list[Object] = [
        {"raw": _PAPERS[other["source"]["id"]][0], "pith_number": oracle.pith_number_of(other)}
        for other in cited
    ]
    return {
        "paper": {
            "title": _PAPERS[source["id"]][0],
            "license": metadata["license"],
            "cross_cats": metadata["cross_cats_sorted"],
            "primary_cat": metadata["primary_cat"],
            "authors_text": "Josiah Carberry, Ł. Przykład, 山田花子",
            "submitted_at": metadata["submitted_at"],
        },
        "source": source,
        "claims": {"count": 0, "items": [], "snapshot_sha256": oracle.payload_digest([])},
        "references": {
            "count": len(references),
            "sample": references,
            "snapshot_sha256": oracle.payload_digest(references),
        },
        "builder_version": "demo-builder-1",
    }
