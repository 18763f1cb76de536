"""How our state of a record compares with what upstreams were last heard to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from mirror.core.comparison.causes import Comparison, compare, retired_events
from mirror.core.comparison.rollback import rollbacks
from mirror.core.values import Object, decode
from mirror.engine.compare.states import here_of
from mirror.store import Store, UpstreamStatementRow

__all__ = ["UpstreamSummary", "last_words"]

MAX_WORDS = 5
"""Upstreams that are shown; the one that was heard last comes first."""


@dataclass(frozen=True, slots=True)
class UpstreamSummary:
    """What an upstream said last of a record, held against our state of today."""

    upstream: str
    at: str
    """When it was first heard to say so."""
    comparison: Comparison
    times: int
    """How many different things it was heard to say."""
    took_back: bool
    """Whether it ever said less than before."""


def last_words(store: Store, record_id: int) -> list[UpstreamSummary]:
    """Return how our state compares with the last word of each upstream that was heard.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    number = store.records.get(record_id).pith_number
    said: dict[str, list[UpstreamStatementRow]] = {}
    for row in store.upstream_history.history(number):
        if row.kind == "state":
            said.setdefault(row.upstream, []).append(row)
    latest = sorted(said.values(), key=lambda rows: rows[-1].first_read_at, reverse=True)
    if not latest:
        return []
    here = here_of(store, record_id)
    retired = retired_events(here.state)
    return [
        UpstreamSummary(
            rows[-1].upstream,
            rows[-1].first_read_at,
            compare(here, _value(rows[-1])),
            len(rows),
            any(rollbacks(_value(was), _value(now), retired) for was, now in pairwise(rows)),
        )
        for rows in latest[:MAX_WORDS]
    ]


def _value(row: UpstreamStatementRow) -> Object:
    return cast("Object", decode(row.text))
