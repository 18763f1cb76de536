"""How the current state of a record compares with the latest statement of each upstream."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from mirror.core.comparison.causes import Comparison, compare, retired_events
from mirror.core.comparison.rollback import rollbacks
from mirror.engine.compare.history import statement_value
from mirror.engine.compare.local import local_record
from mirror.store import Store, UpstreamStatementRow

__all__ = ["UpstreamSummary", "latest_statements"]

MAX_UPSTREAMS = 5
"""The most upstreams that are compared: those whose statements were read last."""


@dataclass(frozen=True, slots=True)
class UpstreamSummary:
    """The latest statement of an upstream, compared with the current state."""

    upstream: str
    at: str
    """When the statement was first read."""
    comparison: Comparison
    has_rollback: bool
    """Whether any of its statements lacks facts of an earlier one."""


def latest_statements(store: Store, record_id: int) -> list[UpstreamSummary]:
    """Return the latest statement on a record of each upstream, the newest first.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    number = store.records.get(record_id).pith_number
    statements: dict[str, list[UpstreamStatementRow]] = {}
    for row in store.upstream_history.history(number):
        if row.kind == "state":
            statements.setdefault(row.upstream, []).append(row)
    if not statements:
        return []
    local = local_record(store, record_id)
    retired = retired_events(local.state)
    latest = sorted(statements.values(), key=lambda rows: rows[-1].first_read_at, reverse=True)
    return [
        UpstreamSummary(
            rows[-1].upstream,
            rows[-1].first_read_at,
            compare(local, values[-1]),
            any(rollbacks(before, after, retired) for before, after in pairwise(values)),
        )
        for rows in latest[:MAX_UPSTREAMS]
        for values in [[statement_value(row) for row in rows]]
    ]
