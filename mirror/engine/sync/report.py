"""Options and results of a sync, per record and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from mirror.archive import ReadLimits
from mirror.engine.findings import Finding, Summary
from mirror.errors import UpstreamError

__all__ = ["DONE_STATUSES", "SyncOptions", "SyncResult", "SyncSummary", "add_summary"]

DONE_STATUSES = frozenset({"fetched", "unchanged", "skipped"})
"""Statuses of records that need no further request."""


class SyncResult(NamedTuple):
    """The result for one record, or for one identifier."""

    asked: str
    """The identifier as the person wrote it, or a Pith Number."""
    pith_number: str | None
    """The Pith Number of the record; None if it is unknown."""
    status: str
    """`fetched`, `unchanged`, `skipped`, `refused`, `gone`, `unknown`, `ambiguous`, `other_record`
    or `failed`."""
    code: str
    """The reason; empty if the status needs none."""
    url: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """Options of a sync, and the callbacks for results."""

    url: str
    """The address of the upstream, without a slash at its end."""
    names: tuple[str, ...] = ()
    """Identifiers of records; none for all records of the store, or all changes of a mirror."""
    full: bool = False
    """Whether to fetch all records of a mirror in one bag."""
    ignore_cache: bool = False
    """Whether to ignore the ETags and the position in the feed of earlier syncs."""
    limits: ReadLimits = field(default_factory=ReadLimits)
    """Limits of the bundles that are merged."""
    max_empty: int = 100
    """Consecutive responses without a record after which the feed of a mirror is given up."""
    response_bytes: int = 64 << 20
    """The largest response to accept."""
    bag_bytes: int = 16 << 30
    """The largest bag of all records to accept."""
    on_finding: Callable[[Finding], None] = lambda _finding: None
    """Called with each finding in a fetched bundle."""
    on_result: Callable[[SyncResult], None] = lambda _result: None
    """Called with the result of each record."""
    expect: Callable[[int | None], None] = lambda _records: None
    """Called with the number of records to request; None if it is unknown."""
    progress: Callable[[int], None] = lambda _records: None
    """Called with the number of records that were requested since the last call."""


@dataclass(slots=True)
class SyncSummary:
    """Counts of the results of a sync."""

    kind: str
    """`registry` or `mirror`."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Results by status."""
    codes: Counter[str] = field(default_factory=Counter)
    """Results by code."""
    ingested: Summary = field(default_factory=Summary)
    """The summary of the merge of all fetched bundles."""
    requests: int = 0
    is_from_start: bool = False
    """Whether the feed of a mirror is not that of the last sync, so it was read from its start."""
    stopped: UpstreamError | None = None
    """The error that ended the sync early."""

    @property
    def received(self) -> int:
        """How many requested records were fetched or have not changed."""
        return self.statuses["fetched"] + self.statuses["unchanged"]

    def count(self, result: SyncResult) -> None:
        """Count a result."""
        self.statuses[result.status] += 1
        if result.code:
            self.codes[result.code] += 1

    @property
    def is_failed(self) -> bool:
        """Whether the upstream answered no request."""
        return {status for status, count in self.statuses.items() if count} == {"failed"}

    @property
    def is_incomplete(self) -> bool:
        """Whether a record is missing for another reason than a finding, which may be known."""
        found = {status for status, count in self.statuses.items() if count}
        return not found <= DONE_STATUSES | {"refused"}


def add_summary(total: Summary, one: Summary) -> None:
    """Add the summary of one merge, which counts the records since the store was opened."""
    total.records = total.equivocations = 0
    total.add(one)
