"""Results of a search: records with a name, and whether a verified receipt is there."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.values import Object

__all__ = ["RecordSummary", "SearchHit", "SearchResult"]


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """A record, named, and whether to believe in it."""

    pith_number: str
    arxiv_id: str | None
    """None for a record of another kind."""
    version: int
    has_verified_receipt: bool
    """Whether the record has a verified receipt: its state shows one (M8)."""

    def to_value(self) -> Object:
        """Return the same as a JSON object."""
        return {
            "pith_number": self.pith_number,
            "arxiv_id": self.arxiv_id,
            "version": self.version,
            "receipt_verified": self.has_verified_receipt,
        }


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A record that was found."""

    standing: RecordSummary
    title: str
    """The title in its last graph snapshot; empty if there is none."""
    matched_by: str
    """`id`, `title hash` or `text`."""
    cited_by: int
    """Works that cite it, by signed citations in force."""
    cites: int
    """Records held here that it cites, likewise."""
    excerpt: tuple[str, ...] = ()
    """Text around what matched, in pieces: every second one matched."""

    def to_value(self) -> Object:
        """Return the same as a JSON object, the excerpt in one piece."""
        return {
            **self.standing.to_value(),
            "title": self.title,
            "matched_by": self.matched_by,
            "excerpt": "".join(self.excerpt),
            "cited_by": self.cited_by,
            "cites": self.cites,
        }


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search."""

    hits: list[SearchHit]
    has_more: bool
    """Whether more than these were found."""
    unindexed: int
    """Records that the index lacks, or knows as they were before."""
