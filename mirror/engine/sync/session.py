"""State of one sync: what it reads, where it writes, and when it gives up.

Fetched bundles are stored in temporary files and merged as `mirror merge` merges files: with the
same limits, findings and codes. They are not trusted more because a certain server sent them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mirror.archive import translate_temporary_errors
from mirror.core.record import Record
from mirror.core.values import time_text
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.ingest.merge import ingest
from mirror.engine.ingest.pipeline import read_bundles
from mirror.engine.sync.report import SyncOptions, SyncResult, SyncSummary, add_summary
from mirror.errors import UpstreamError
from mirror.net import PER_RESPONSE_CODES, MirrorClient
from mirror.store import Store

__all__ = ["IngestResult", "SyncSession", "temporary_folder"]

TOLERATED_CODES = PER_RESPONSE_CODES | {"upstream.redirect", "upstream.timeout"}
"""Codes of failures that may concern one response only, so that a sync continues."""
TIMEOUT_CODES = frozenset({"upstream.timeout", "upstream.truncated"})
"""Codes of failures after which the next request is likely to fail, too."""
MAX_TIMEOUTS = 5
"""Consecutive timeouts after which a sync ends."""
MAX_WASTED = 100
"""Consecutive requests without a usable response after which a sync ends."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Return a temporary folder, which is removed at the end."""
    with translate_temporary_errors(), tempfile.TemporaryDirectory(prefix="mirror-sync-") as folder:
        yield Path(folder)


@dataclass(slots=True)
class IngestResult:
    """The content of fetched files, after their merge."""

    records: dict[str, Record] = field(default_factory=dict)
    """The records of the merged bundles, by member."""
    refused: dict[str, Finding] = field(default_factory=dict)
    """The reasons of the refused bundles, by member."""
    summary: Summary = field(default_factory=Summary)


@dataclass(slots=True)
class SyncSession:
    """One sync of a store with an upstream."""

    store: Store
    remote: MirrorClient
    options: SyncOptions
    summary: SyncSummary
    at: str = field(default_factory=lambda: time_text(datetime.now(UTC), microseconds=True))
    """When the sync began."""
    _timeouts: int = 0
    _wasted: int = 0
    _empty: int = 0

    def report(self, result: SyncResult) -> None:
        """Count a result, and pass it on."""
        self.summary.count(result)
        self.options.on_result(result)

    def record_failure(self, error: UpstreamError, requests: int) -> None:
        """Count a failed request.

        Args:
            error: The failure.
            requests: How many requests were sent, with redirects and retries.

        Raises:
            UpstreamError: The failure, if it concerns all responses, or if there were too many
                failures in a row.
        """
        if error.code == "upstream.size":
            return  # the record is too large; the server works
        self._timeouts += error.code in TIMEOUT_CODES
        self._wasted += requests
        if (
            error.code not in TOLERATED_CODES
            or self._timeouts >= MAX_TIMEOUTS
            or self._wasted >= MAX_WASTED
        ):
            raise error

    def reset_failures(self) -> None:
        """Start to count failures again, after a usable response."""
        self._timeouts = self._wasted = 0

    def count_responses(self, responses: int, *, empty: bool) -> None:
        """Count responses of a mirror to requests for records of its feed.

        Raises:
            UpstreamError: `upstream.empty` if too many in a row contained no record.
        """
        self._empty = self._empty + responses if empty else 0
        if self._empty >= self.options.max_empty:
            message = f"{self._empty} responses in a row contained no record that its feed lists."
            hint = "Contact the operator of the mirror; --max-empty allows more."
            raise UpstreamError("upstream.empty", message, where=self.options.url, hint=hint)

    def merge_fetched(self, path: Path, url: str, *, list_records: bool = True) -> IngestResult:
        """Merge a fetched file or folder.

        Args:
            path: The file or folder.
            url: The URL that it is from.
            list_records: Whether to return its records; else only the bundles refused for a limit.
        """
        result = IngestResult()

        def on_finding(finding: Finding) -> None:
            if finding.code.startswith("limit."):
                result.refused[finding.member] = finding  # some limits apply during verification
            self.options.on_finding(finding)

        limits, urls = self.options.limits, {str(path): url}
        request = ReadRequest([str(path)], on_finding, limits=limits, urls=urls)
        if list_records:
            _list_records(request, result)
        result.summary = ingest(self.store, request)
        add_summary(self.summary.ingested, result.summary)
        for member in result.refused:
            result.records.pop(member, None)
        return result


def _list_records(request: ReadRequest, result: IngestResult) -> None:
    """Add the records and the refused bundles of a source to the result."""
    for found in read_bundles(request):
        if isinstance(found, Finding):
            result.refused[found.member] = found
        else:
            item, bundle = found
            result.records[item.member.name] = bundle.record
