"""Reads what is known about records beside their facts and states: proved texts, checks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from mirror.core.record import Record
from mirror.engine.tables.record_rows import StoredCheck
from mirror.store import Store, damaged
from mirror.store.paper_texts import PaperTexts

__all__ = ["last_checks", "proved_texts"]


def last_checks(store: Store, numbers: Mapping[int, str]) -> dict[tuple[str, str], StoredCheck]:
    """Return the last checks of time-stamps and captures, by Pith Number and event id.

    Args:
        store: The store.
        numbers: The Pith Numbers of the records by their ids.
    """
    checks = {
        (numbers[one.record_id], one.event_id): StoredCheck(one.status, one.checked_at)
        for one in store.anchors.of_records(numbers)
    }
    for one in store.storage_checks.last_of(numbers.values()):
        checks[one.pith_number, one.event_id] = StoredCheck(one.status, one.at)
    return checks


def proved_texts(
    store: Store, numbers: Collection[str], record_of: Callable[[str], Record]
) -> dict[str, PaperTexts]:
    """Return the kept titles and abstracts by Pith Number.

    Args:
        store: The store.
        numbers: The Pith Numbers of the records.
        record_of: Returns the record with one of these; called for those that have a text.

    Raises:
        CorruptStoreError: `store.damaged` if one does not have the digest in its record (R5).
    """
    found = store.paper_texts.many(numbers)
    for number, texts in found.items():
        record = record_of(number)
        for one in (texts.title, texts.abstract):
            if one is not None and not one.is_proved_by(record):
                raise damaged(f"its {one.kind} does not have the digest in the record", number)
    return found
