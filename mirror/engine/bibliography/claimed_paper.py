"""Metadata of a paper as the last graph snapshot with a title claims it: nothing verifies it."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.shape import text_member
from mirror.core.state_view import StateView
from mirror.engine.titles import titled_snapshot

__all__ = ["ClaimedPaper", "claimed_paper"]


@dataclass(frozen=True, slots=True)
class ClaimedPaper:
    """The claims of a graph snapshot about its paper, but the title (`mirror.engine.titles`)."""

    authors: str
    """All authors in one text, as the snapshot has it."""
    abstract: str
    claimed_by: str
    """`signer_id` of the snapshot."""
    claimed_at: str
    """The time that the snapshot claims."""
    builder: str


def claimed_paper(state: StateView) -> ClaimedPaper | None:
    """Return the metadata of the paper; None if no snapshot has a title."""
    snapshot = titled_snapshot(state)
    if snapshot is None:
        return None
    graph = snapshot.graph
    paper = graph.get("paper")
    return ClaimedPaper(
        authors=text_member(paper, "authors_text"),
        abstract=text_member(paper, "abstract_excerpt"),
        claimed_by=snapshot.signer_id,
        claimed_at=snapshot.created_at,
        builder=text_member(graph, "builder_version"),
    )
