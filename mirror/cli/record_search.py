"""Search index, and how a record that was found is described: `find`, `identify`, `serve`."""

from __future__ import annotations

from pathlib import Path

from mirror.cli.output import plural, say
from mirror.cli.progress import show_progress
from mirror.engine.search.index import update_index as update_store_index
from mirror.engine.search.results import RecordSummary
from mirror.errors import StoreError
from mirror.store import open_store

__all__ = ["describe_receipt", "describe_source", "report_unindexed", "update_index"]

WAIT_S = 2.0
"""Seconds that a search waits for another writer before it uses the index as it is."""


def update_index(db: Path, *, is_patient: bool = False) -> StoreError | None:
    """Bring the search index up to date.

    Args:
        db: The store.
        is_patient: Wait for another writer as long as any command that writes; else `WAIT_S`.

    Returns:
        Why the index was not updated, or None. A search can use it as it is; if the store cannot
        be read at all, opening it to read raises the error.
    """
    try:
        with open_store(db, must_exist=True) as store, show_progress("indexed") as progress:
            if not is_patient:
                store.set_busy_timeout(WAIT_S)
            update_store_index(store, progress.advance)
    except StoreError as error:
        return error
    return None


def report_unindexed(count: int) -> None:
    """Warn that the index lacks records."""
    if count:
        say(f"note: {plural(count, 'record')} not indexed yet: new text in them is not found")


def describe_source(record: RecordSummary) -> str:
    """Return the source of a record, such as `arXiv:1705.09786v1`."""
    if record.arxiv_id is None:
        return "not on arXiv"
    return f"arXiv:{record.arxiv_id}v{record.version}"


def describe_receipt(record: RecordSummary) -> str:
    """Return whether a record has a receipt from a trusted key."""
    return f"{'' if record.has_verified_receipt else 'no '}verified receipt from a trusted key"
