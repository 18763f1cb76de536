"""Datestamps of records: known times of their last change, in whole seconds.

A record changes when facts on it arrive. A change of trust, texts that are kept (R5) and a repair
may change any record, so each of them counts as a change of all.
"""

from __future__ import annotations

from functools import cached_property

from mirror.core.point_in_time import PointInTime
from mirror.core.values import instant
from mirror.store import Store, damaged

__all__ = ["Datestamps", "second_text"]


def second_text(at: int) -> str:
    """Return the second that an instant is in, such as `2026-06-01T12:00:00Z`.

    Args:
        at: Microseconds since 1970-01-01T00:00:00Z.
    """
    return f"{PointInTime(at).text[:19]}Z"


class Datestamps:
    """The datestamps of the records of a store, in a snapshot."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._first, self._last, self._at = 1, 0, 0
        """Arrivals of one commit, and its time: neighbours in a list often share it."""

    def of(self, record_id: int) -> str | None:
        """Return the datestamp of a record; None if the store holds no facts on it.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        arrival = self._store.facts.last_arrival(record_id)
        if arrival == 0:
            return None
        return second_text(max(self._stored_at(arrival), self.last_change_of_all))

    def _stored_at(self, arrival: int) -> int:
        """Return the instant at which an arrival was stored."""
        if not self._first <= arrival <= self._last:
            commit = self._store.commits.of(arrival)
            if commit is None:
                raise damaged("its commit is missing", f"arrival {arrival}")
            self._at = _instant(commit.stored_at, "arrival_commit")
            self._first, self._last = arrival, max(arrival, commit.last_arrival_id)
        return self._at

    @cached_property
    def last_change_of_all(self) -> int:
        """The instant of the last change that may have changed any record; 0 without any.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        store = self._store
        times = {
            "trust": store.trust_log.last_change_at(),
            "paper_text": store.paper_texts.last_read_at(),
            "quarantine": store.integrity.last_found_at(),
        }
        return max(0 if at is None else _instant(at, table) for table, at in times.items())

    @property
    def earliest(self) -> str:
        """A second that no datestamp is before; that of 1970 for an empty store.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        first = self._store.commits.first()
        return second_text(0 if first is None else _instant(first.stored_at, "arrival_commit"))


def _instant(text: str, table: str) -> int:
    at = instant(text)
    if at is None:
        raise damaged("its time cannot be read", table)
    return at
