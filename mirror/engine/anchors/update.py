"""Results of all time-stamps: brings the stored ones up to date, reads them, and checks them again.

A result follows from a record, an event, and the headers and authorities of this operator. So it is
stored for this operator alone, and made again when one of these changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from mirror.core.record import Record
from mirror.core.values import Object, time_text
from mirror.engine.anchors.result import AnchorResult, AnchorStatus
from mirror.engine.anchors.time_stamps import (
    TimeStamp,
    TimeStampChecker,
    read_time_stamps,
)
from mirror.engine.batching import pages
from mirror.errors import CorruptStoreError
from mirror.store import Damage, Store, StoredAnchor

__all__ = [
    "CHECKS",
    "CONTRADICTIONS",
    "anchor_value",
    "anchor_words",
    "anchors_of",
    "check_anchors",
    "count_anchored",
    "stored_anchors",
    "update_anchors",
]

CHECKS = "anchors-1"
"""The version of the checks: results of another version are not reused."""
CONTRADICTIONS = frozenset({
    AnchorStatus.EXPIRED,
    AnchorStatus.MALFORMED,
    AnchorStatus.NOT_THIS_DIGEST,
    AnchorStatus.WRONG_BLOCK,
})  # fmt: skip
"""Results that contradict what a time-stamp claims."""

_CHUNK_RECORDS = 500
"""Records whose time-stamps are checked in one transaction."""


# Updating ------------------------------------------------------------------------------------


def update_anchors(
    store: Store, progress: Callable[[int], None] = lambda _records: None
) -> list[int]:
    """Check the time-stamps of every record that changed since the last update.

    Those whose library was missing are checked again, too. The next call resumes an interrupted
    one.

    Args:
        store: The store.
        progress: Receives numbers of records.

    Returns:
        The ids of damaged records, which stay queued.
    """
    with store.transaction():
        store.anchors.enqueue_changes(CHECKS)
        store.anchors.enqueue_status(AnchorStatus.NOT_CHECKED)
    damaged: list[int] = []
    for chunk in pages(store.anchors.queued, _CHUNK_RECORDS, int):
        with store.transaction():  # so that no header or fact comes between check and writing
            checker = TimeStampChecker(store)
            damaged += [one for one in chunk if not _update(store, one, checker)]
        progress(len(chunk))
    return damaged


def _update(store: Store, record_id: int, checker: TimeStampChecker) -> bool:
    """Check the time-stamps of a record; return False if it is damaged."""
    now = time_text(datetime.now(UTC))
    try:
        results = _results(store, record_id, checker)
    except CorruptStoreError:
        return False
    rows = [
        StoredAnchor(record_id, one.event_id, one.method, found.status, found.to_value(), now)
        for one, found in results
    ]
    store.anchors.replace(record_id, rows)
    return True


def _results(
    store: Store, record_id: int, checker: TimeStampChecker
) -> list[tuple[TimeStamp, AnchorResult]]:
    time_stamps = read_time_stamps(store, record_id)
    if not time_stamps:
        return []
    record = store.records.get(record_id)
    return [(one, checker.check(record, one)) for one in time_stamps]


# Reading -------------------------------------------------------------------------------------


def stored_anchors(store: Store, record_id: int) -> dict[str, Object]:
    """Return the stored results for a record as JSON objects, by event id.

    None of them is out of date; a time-stamp without one is not checked yet.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    return {one.event_id: _value(one) for one in store.anchors.of(record_id, CHECKS)}


def anchors_of(
    store: Store, record_id: int, record: Record, time_stamps: Iterable[TimeStamp]
) -> dict[str, Object]:
    """Return the results for time-stamps of a record, by event id; those not stored are checked.

    Nothing is stored.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    stored, checker = stored_anchors(store, record_id), TimeStampChecker(store)
    return {
        one.event_id: stored.get(one.event_id)
        or {"method": one.method, **checker.check(record, one).to_value()}
        for one in time_stamps
    }


def count_anchored(results: Iterable[Object]) -> int:
    """Return how many results prove a time."""
    return sum(one["status"] == AnchorStatus.ANCHORED for one in results)


def anchor_value(store: Store, anchor: StoredAnchor) -> Object:
    """Return a stored result as a JSON object that names the record and the event."""
    number = store.records.get(anchor.record_id).pith_number
    return {"pith_number": number, "event_id": anchor.event_id, **_value(anchor)}


def _value(anchor: StoredAnchor) -> Object:
    return {"method": anchor.method, **anchor.result, "checked_at": anchor.checked_at}


def anchor_words(value: Object) -> str:
    """Return a result in words."""
    at = f" {value['at']}" if value["at"] else ""
    checked = f" (checked {value['checked_at']})" if "checked_at" in value else ""
    return f"{AnchorStatus(str(value['status'])).words}{at}: {value['reason']}{checked}"


# Checking again ------------------------------------------------------------------------------


def check_anchors(store: Store) -> Iterator[Damage]:
    """Yield the stored results that do not follow from facts, headers and authorities any more.

    Results that are out of date are passed over; so are those that cannot be made here, because
    a library is missing.
    """
    checker = TimeStampChecker(store)
    for record_id in store.anchors.record_ids():
        try:
            if _differs(store, record_id, checker):
                number = store.records.get(record_id).pith_number
                why = "a stored result of a time-stamp does not follow from its proof"
                yield Damage("anchor", record_id, record_id, number, why)
        except (CorruptStoreError, sqlite3.DatabaseError):
            continue  # it is reported where records and tables are checked


def _differs(store: Store, record_id: int, checker: TimeStampChecker) -> bool:
    stored = {one.event_id: one.result for one in store.anchors.of(record_id, CHECKS)}
    fresh = {
        one.event_id: found.to_value()
        for one, found in _results(store, record_id, checker)
        if found.status != AnchorStatus.NOT_CHECKED
    }
    shared = stored.keys() & fresh.keys()  # another time-stamp may be in force since
    return any(_words_aside(stored[one]) != _words_aside(fresh[one]) for one in shared)


def _words_aside(value: Object) -> Object:
    return {name: member for name, member in value.items() if name != "reason"}
