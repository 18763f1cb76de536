"""What a sync is asked for, and what came of it: record by record, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from mirror.archive import ReadLimits
from mirror.engine.findings import Finding, Summary
from mirror.errors import UpstreamError

__all__ = ["ANSWERED", "SyncOptions", "SyncResult", "SyncSummary", "add_summary"]

ANSWERED = frozenset({"fetched", "unchanged", "skipped"})
"""Statuses that leave nothing to be desired."""


class SyncResult(NamedTuple):
    """What came of one record, or of one name that was asked for."""

    asked: str
    """What was asked for: as the person wrote it, or a Pith Number."""
    pith_number: str | None
    """Of what came, or should have; None if that is not known."""
    status: str
    """`fetched`, `unchanged`, `skipped`, `refused`, `gone`, `unknown`, `ambiguous`, `other_record`
    or `failed`."""
    code: str
    """Why; empty where there is nothing to explain."""
    url: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What to fetch, and whom to keep informed."""

    url: str
    """Of the upstream, without a slash at its end."""
    names: tuple[str, ...] = ()
    """Ids of records; none means all: those of the store, or what is new in a mirror."""
    whole: bool = False
    """Whether to take the whole of a mirror in one tar."""
    fresh: bool = False
    """Whether to ask as if nothing had been asked before."""
    limits: ReadLimits = field(default_factory=ReadLimits)
    """What this mirror accepts."""
    max_empty: int = 100
    """Answers in a row that bring no record, after which the feed of a mirror is given up."""
    answer_bytes: int = 64 << 20
    """How large one answer may be."""
    whole_bytes: int = 16 << 30
    """How large the tar of a whole mirror may be."""
    on_finding: Callable[[Finding], None] = lambda _report: None
    """Takes each finding in what was fetched."""
    on_result: Callable[[SyncResult], None] = lambda _result: None
    """Takes what came of each record."""
    expect: Callable[[int | None], None] = lambda _records: None
    """Told how many records will be asked for; None if nobody knows."""
    progress: Callable[[int], None] = lambda _records: None
    """Told of records that were asked for."""


@dataclass(slots=True)
class SyncSummary:
    """What a sync came to."""

    kind: str
    """`registry` or `mirror`."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Results by status."""
    codes: Counter[str] = field(default_factory=Counter)
    """Results by code."""
    ingested: Summary = field(default_factory=Summary)
    """What was read and what of it was new, as of a merge."""
    requests: int = 0
    is_from_start: bool = False
    """Whether the feed of a mirror is not the one that was followed before."""
    stopped: UpstreamError | None = None
    """Why it was given up midway."""

    @property
    def came(self) -> int:
        """How many of the records that were asked for came, or have not changed."""
        return self.statuses["fetched"] + self.statuses["unchanged"]

    def count(self, result: SyncResult) -> None:
        """Count a result."""
        self.statuses[result.status] += 1
        if result.code:
            self.codes[result.code] += 1

    @property
    def is_failed(self) -> bool:
        """Whether upstream answered no request."""
        return {status for status, count in self.statuses.items() if count} == {"failed"}

    @property
    def is_incomplete(self) -> bool:
        """Whether a record is missing for another reason than a finding, which may be known."""
        found = {status for status, count in self.statuses.items() if count}
        return not found <= ANSWERED | {"refused"}


def add_summary(total: Summary, one: Summary) -> None:
    """Add what one ingest came to; it counts records since the store was opened."""
    total.records = total.equivocations = 0
    total.add(one)
