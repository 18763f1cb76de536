"""Moments of a record: all that this mirror stored about it or about trust, by known time."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from operator import attrgetter
from typing import NamedTuple

from mirror.core.keys import KeySet
from mirror.engine.compare.history import with_rollbacks
from mirror.engine.compare.local import retired_ids
from mirror.engine.history.change_times import trust_changes_of
from mirror.store import ArrivalContents, ArrivalRow, Commit, Store, TrustChange

__all__ = ["Moment", "StoredArrival", "TrustTransaction", "UpstreamMoment", "moments"]


class StoredArrival(NamedTuple):
    """An arrival of the record."""

    row: ArrivalRow
    contents: ArrivalContents


class TrustTransaction(NamedTuple):
    """A transaction of the trust log."""

    changes: tuple[TrustChange, ...]
    """Those that verdicts on the record may depend on."""
    keys: KeySet
    """All that is trusted after it."""


class UpstreamMoment(NamedTuple):
    """A statement of an upstream on the record, without its text."""

    upstream: str
    kind: str
    digest: str
    took_back: tuple[str, ...]
    """Causes of a rollback, in words."""


class Moment(NamedTuple):
    """Something that was stored, and when."""

    known_at: str
    """Empty if that is not known."""
    what: StoredArrival | TrustTransaction | UpstreamMoment


def moments(store: Store, record_id: int) -> Iterator[Moment]:
    """Yield all moments, ascending by known time; within one microsecond the arrivals first.

    Args:
        store: The store; call within a snapshot.
        record_id: The row id of the record.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    by_time = attrgetter("known_at")
    statements = sorted(_statements(store, record_id), key=by_time)
    return merge(_arrivals(store, record_id), _trust(store, record_id), statements, key=by_time)


def _arrivals(store: Store, record_id: int) -> Iterator[Moment]:
    commit: Commit | None = None
    for row, contents in store.facts.rows(record_id):
        if commit is None or row.id > commit.last_arrival_id:
            commit = store.commits.of(row.id)
        at = "" if commit is None else commit.stored_at
        yield Moment(at, StoredArrival(row, contents))


def _trust(store: Store, record_id: int) -> Iterator[Moment]:
    touching = {(one.at, one.action, one.name) for one in trust_changes_of(store, record_id)}
    for changes, keys in store.trust_log.key_sets():
        listed = (one for one in changes if (one.at, one.action, one.name) in touching)
        yield Moment(changes[0].at, TrustTransaction(tuple(listed), keys))


def _statements(store: Store, record_id: int) -> Iterator[Moment]:
    rows = store.upstream_history.history(store.records.get(record_id).pith_number)
    retired = retired_ids(store, record_id) if rows else set()
    for row, causes in with_rollbacks(rows, retired):
        took_back = tuple(one.text for one in causes)
        statement = UpstreamMoment(row.upstream, row.kind, row.digest.hex(), took_back)
        yield Moment(row.first_read_at, statement)
