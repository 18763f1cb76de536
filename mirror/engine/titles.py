"""The title of a record, and where it is from: one decision for every page and command.

A record has only the digest of its title. A title that this mirror keeps has that digest, so it is
proved. A title in a graph snapshot is a claim of its signer, whether it has that digest or not.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.record import Record, text_digest
from mirror.core.shape import object_member, text_member
from mirror.core.state_view import EventEntry, StateView
from mirror.store import PaperText, PaperTexts, Store, damaged

__all__ = [
    "RecordTitle",
    "claim_of",
    "claimed_title",
    "proved_texts",
    "proved_title",
    "title_of",
    "titled_snapshot",
    "titles_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTitle:
    """The title that a record is shown with, and where it is from."""

    text: str
    is_proved: bool
    """Whether it has the digest in the record (R5)."""
    is_claim: bool
    """Whether it is from a graph snapshot."""
    source: str
    """Name of the dump of metadata, or `signer_id` of the graph snapshot."""
    at: str
    """Known time at which the dump was read, or time that the graph snapshot claims."""
    origin: str
    """Where the title is from, in words."""


def title_of(kept: PaperTexts, record: Record, state: StateView) -> RecordTitle | None:
    """Return the title of a record: the proved one, or else that of the last graph snapshot.

    Args:
        kept: From `proved_texts`.
        record: The record.
        state: Its state.

    Returns:
        The title; None if there is none.
    """
    return proved_title(kept) or claimed_title(record, state)


def proved_title(kept: PaperTexts) -> RecordTitle | None:
    """Return the proved title from `proved_texts`; None if none is kept."""
    one = kept.title
    if one is None:
        return None
    return RecordTitle(
        text=one.text,
        is_proved=True,
        is_claim=False,
        source=one.source,
        at=one.read_at,
        origin=one.origin,
    )


def claimed_title(record: Record, state: StateView) -> RecordTitle | None:
    """Return the title in the last graph snapshot that has one, or None."""
    snapshot = titled_snapshot(state)
    if snapshot is None:
        return None
    return claim_of(record, _title_in(snapshot), snapshot.signer_id, snapshot.created_at)


def titled_snapshot(state: StateView) -> EventEntry | None:
    """Return the last graph snapshot that has a title, or None."""
    snapshots = reversed(state.graph_snapshots)
    return next((one for one in snapshots if _title_in(one).strip()), None)


def claim_of(record: Record, text: str, signer: str, at: str) -> RecordTitle | None:
    """Return a title that a graph snapshot claims; None if it is empty.

    Args:
        record: The record.
        text: The title.
        signer: `signer_id` of the graph snapshot; empty if it is not known.
        at: The time that the graph snapshot claims; empty if it is not known.
    """
    if not text:
        return None
    is_proved = text_digest(text) == record.metadata["title_canon_sha256"]
    claim = f"claimed by {signer}" if signer else "claimed"
    snapshot = f"a graph snapshot of {at[:10]}" if at else "a graph snapshot"
    digest = "it has" if is_proved else "it does not have"
    return RecordTitle(
        text=text,
        is_proved=is_proved,
        is_claim=True,
        source=signer,
        at=at,
        origin=f"{claim} in {snapshot}; {digest} the digest in the record",
    )


def titles_of(state: StateView) -> list[str]:
    """Return the titles in the graph snapshots of a state, in M2 order."""
    return [title for one in state.graph_snapshots if (title := _title_in(one))]


def _title_in(snapshot: EventEntry) -> str:
    return text_member(object_member(snapshot.graph, "paper"), "title")


def proved_texts(store: Store, record: Record, until: str | None = None) -> PaperTexts:
    """Return the proved title and abstract of a record that the store keeps, compared again.

    Args:
        store: The store.
        record: The record.
        until: Known time: only texts that were stored by then.

    Raises:
        CorruptStoreError: `store.damaged` if a row is damaged, or does not have the digest in the
            record (R5).
    """
    kept = store.paper_texts.of(record.pith_number)
    return kept._replace(
        title=_checked(kept.title, record, until), abstract=_checked(kept.abstract, record, until)
    )


def _checked(text: PaperText | None, record: Record, until: str | None) -> PaperText | None:
    if text is None or (until is not None and text.read_at > until):
        return None
    if not text.is_proved_by(record):
        where = f"{text.kind} of {text.pith_number}"
        raise damaged("it does not have the digest in its record", where)
    return text
