"""Exit codes of all commands: by the error that ended a command, or by its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import (
    ClusterError,
    EngineError,
    FormatError,
    MirrorError,
    OutputError,
    QueryError,
    QueryLimitError,
    SourceError,
    StoreError,
    UpstreamError,
    WorkerError,
)

if TYPE_CHECKING:  # the program itself imports this module, and no engine
    from mirror.engine.compare.states import CompareSummary
    from mirror.engine.conformance.report import ConformanceReport
    from mirror.engine.findings import Summary
    from mirror.engine.states.check import CheckReport
    from mirror.engine.storage.check import StorageSummary
    from mirror.engine.sync.report import SyncSummary

__all__ = [
    "FOUND",
    "INTERRUPTED",
    "OK",
    "of_check",
    "of_comparison",
    "of_conformance",
    "of_error",
    "of_storage_check",
    "of_summary",
    "of_sync",
]

OK = 0
"""The run is complete, and nothing was found."""
FOUND = 1
"""Something is refused, invalid, different or missing."""
USAGE = 2
"""The command line is wrong; click exits with it."""
UNREADABLE = 3
"""Input could not be read at all, or output not be written."""
STORE = 4
UPSTREAM = 5
INTERRUPTED = 130

_ERRORS: dict[type[MirrorError], int] = {
    MirrorError: FOUND,
    FormatError: UNREADABLE,
    SourceError: UNREADABLE,
    OutputError: UNREADABLE,
    QueryError: USAGE,
    QueryLimitError: FOUND,
    StoreError: STORE,
    UpstreamError: UPSTREAM,
    ClusterError: UPSTREAM,
    EngineError: USAGE,
    WorkerError: INTERRUPTED,
}


def of_error(error: MirrorError) -> int:
    """Return the code of the nearest class of an error."""
    return next(_ERRORS[kind] for kind in type(error).__mro__ if kind in _ERRORS)


def of_summary(summary: Summary) -> int:
    """Return the code of a run that read sources."""
    if summary.sources_failed:
        return UNREADABLE
    return FOUND if summary.new_findings else OK


def of_check(report: CheckReport) -> int:
    """Return the code of a check of the store."""
    return OK if report.is_complete and len(report.damages) == report.known else FOUND


def of_comparison(summary: CompareSummary, known: int = 0) -> int:
    """Return the code of a comparison.

    Args:
        summary: The figures.
        known: Findings among these that were acknowledged.
    """
    if set(summary.statuses) == {"unreadable"}:
        return UPSTREAM
    return OK if summary.findings <= known else FOUND


def of_conformance(report: ConformanceReport) -> int:
    """Return the code of a run of a program: tasks that it does not do are left out, too."""
    return OK if report.result == "alike" else FOUND


def of_storage_check(summary: StorageSummary) -> int:
    """Return the code of a check of stored copies."""
    if summary.is_without_response:
        return UPSTREAM
    return OK if summary.is_all_present else FOUND


def of_sync(summary: SyncSummary) -> int:
    """Return the code of a sync."""
    if summary.stopped is not None or summary.is_failed:
        return UPSTREAM
    return FOUND if summary.is_incomplete or summary.ingested.new_findings else OK
