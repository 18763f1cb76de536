"""Results of a search: records, their titles, and whether each has a verified receipt."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.record import Record
from mirror.core.state_view import parse_state
from mirror.core.values import Object
from mirror.engine.states.current import current_text
from mirror.engine.titles import RecordTitle
from mirror.store import Store

__all__ = ["RecordSummary", "SearchHit", "SearchResult", "record_summary"]


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """The names of a record, and whether it has a verified receipt."""

    pith_number: str
    arxiv_id: str | None
    """None for a record of another kind."""
    version: int
    has_verified_receipt: bool
    """Whether the state of the record shows a receipt (M8)."""

    @classmethod
    def of(cls, record: Record, *, has_verified_receipt: bool) -> RecordSummary:
        """Return the summary of a record."""
        source = record.source
        arxiv_id = source["id"] if source["kind"] == "arxiv" else None
        return cls(record.pith_number, arxiv_id, source["version"], has_verified_receipt)

    def to_value(self) -> Object:
        """Return the summary as a JSON object."""
        return {
            "pith_number": self.pith_number,
            "arxiv_id": self.arxiv_id,
            "version": self.version,
            "receipt_verified": self.has_verified_receipt,
        }


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A record that matches a query."""

    record: RecordSummary
    title: RecordTitle | None
    """The title that it is shown with; None if there is none."""
    matched_by: str
    """`id`, `title hash` or `text`."""
    cited_by: int
    """Works that cite it, by signed citations in force."""
    cites: int
    """Records of this store that it cites, by signed citations in force."""
    excerpt: tuple[str, ...] = ()
    """Pieces of the text around the match; every second piece matched."""

    def to_value(self) -> Object:
        """Return the hit as a JSON object, the excerpt in one piece."""
        return {
            **self.record.to_value(),
            "title": self.title.text if self.title else "",
            "title_proved": self.title is not None and self.title.is_proved,
            "title_origin": self.title.origin if self.title else "",
            "matched_by": self.matched_by,
            "excerpt": "".join(self.excerpt),
            "cited_by": self.cited_by,
            "cites": self.cites,
        }


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of hits."""

    hits: list[SearchHit]
    has_more: bool
    """Whether there are more hits after these."""
    unindexed: int
    """Records that the index does not contain, or not in their current state."""


def record_summary(store: Store, record_id: int) -> RecordSummary:
    """Return the summary of a record, by its current state.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = parse_state(current_text(store, record_id))
    has_receipt = state.receipt is not None
    return RecordSummary.of(store.records.get(record_id), has_verified_receipt=has_receipt)
