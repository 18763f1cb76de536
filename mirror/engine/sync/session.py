"""Taking in what was fetched: as any file, through the very intake of `mirror merge`.

What an upstream sent lies in a temporary file, and is trusted no more than one that was found
somewhere: the same limits, the same findings, the same codes.
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

__all__ = ["IngestResult", "SyncSession", "spool"]

TOLERATED_CODES = PER_RESPONSE_CODES | {"upstream.redirect", "upstream.timeout"}
"""Those that may speak of one answer only, too: a long run bears with them."""
TIMEOUT_CODES = frozenset({"upstream.timeout", "upstream.truncated"})
"""Those after which the next one is likely to fail, too."""
MAX_SILENT = 5
"""Such failures in a row after which no more is asked for."""
MAX_WASTED = 100
"""Requests in a row that came to nothing, after which no more is asked for."""


@contextmanager
def spool() -> Iterator[Path]:
    """Give a temporary folder; it is gone afterwards, and only a kill leaves it behind."""
    with translate_temporary_errors(), tempfile.TemporaryDirectory(prefix="mirror-sync-") as folder:
        yield Path(folder)


@dataclass(slots=True)
class IngestResult:
    """What was in something that was fetched."""

    records: dict[str, Record] = field(default_factory=dict)
    """By member, the records of the bundles that were merged."""
    refused: dict[str, Finding] = field(default_factory=dict)
    """By member, why it was not merged."""
    summary: Summary = field(default_factory=Summary)
    """What it came to."""


@dataclass(slots=True)
class SyncSession:
    """One sync: where from, where to, and what came of it so far."""

    store: Store
    remote: MirrorClient
    errand: SyncOptions
    tally: SyncSummary
    at: str = field(default_factory=lambda: time_text(datetime.now(UTC), microseconds=True))
    """When it began."""
    _silent: int = 0
    _wasted: int = 0
    _empty: int = 0

    def report(self, result: SyncResult) -> None:
        """Count a result, and tell of it."""
        self.tally.count(result)
        self.errand.on_result(result)

    def record_failure(self, error: UpstreamError, requests: int) -> None:
        """Bear with a failure; raise it if it is one too many, or speaks of all answers.

        Args:
            error: The failure.
            requests: How many requests it took.
        """
        if error.code == "upstream.size":
            return  # that is the record's fault, and no sign of trouble
        self._silent += error.code in TIMEOUT_CODES
        self._wasted += requests
        if (
            error.code not in TOLERATED_CODES
            or self._silent >= MAX_SILENT
            or self._wasted >= MAX_WASTED
        ):
            raise error

    def reset_failures(self) -> None:
        """Forget the failures: there was an answer."""
        self._silent = self._wasted = 0

    def count_answers(self, answers: int, *, empty: bool) -> None:
        """Count answers of a mirror to what its feed named.

        Raises:
            UpstreamError: `upstream.empty` if too many in a row brought no record.
        """
        self._empty = self._empty + answers if empty else 0
        if self._empty >= self.errand.max_empty:
            message = f"{self._empty} answers in a row brought no record that its feed names."
            hint = "Ask whoever runs it; --max-empty allows more."
            raise UpstreamError("upstream.empty", message, where=self.errand.url, hint=hint)

    def merge_fetched(self, path: Path, called: str, *, look: bool = True) -> IngestResult:
        """Merge what lies in a file or folder, and return which records it brought.

        Args:
            path: Where it lies.
            called: The address that it came from.
            look: Whether to return the records; else only what was refused for its size.
        """
        taken = IngestResult()

        def tell(report: Finding) -> None:
            if report.code.startswith("limit."):
                taken.refused[report.member] = report  # also of what only verifying showed
            self.errand.on_finding(report)

        job = ReadRequest([str(path)], tell, limits=self.errand.limits, urls={str(path): called})
        if look:
            _look(job, taken)
        taken.summary = ingest(self.store, job)
        add_summary(self.tally.ingested, taken.summary)
        for member in taken.refused:
            taken.records.pop(member, None)
        return taken


def _look(job: ReadRequest, taken: IngestResult) -> None:
    """Note which records are in a source, before it is merged."""
    for found in read_bundles(job):
        if isinstance(found, Finding):
            taken.refused[found.member] = found
        else:
            item, bundle = found
            taken.records[item.member.name] = bundle.record
