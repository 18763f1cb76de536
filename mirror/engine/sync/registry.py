"""Single bundles: asked for one by one with the ETags of last time, and taken in by the batch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mirror.core.record import PITH_NUMBER_PATTERN
from mirror.core.values import time_text
from mirror.engine.sync.report import ANSWERED, SyncResult
from mirror.engine.sync.requests import RecordRequest, is_requested
from mirror.engine.sync.session import IngestResult, SyncSession, spool
from mirror.errors import UpstreamError
from mirror.net import Response, record_path
from mirror.store import CachedETag

__all__ = ["BundleFetcher", "fetch_all"]

BATCH = 32
"""Bundles that are taken in together: a kill loses no more than these."""
BATCH_BYTES = 32 << 20
RESUMED_WITHIN = timedelta(hours=24)
"""How long after its beginning an interrupted run is gone on with."""
_LISTED = 10


def fetch_all(run: SyncSession, requests: Iterable[RecordRequest]) -> None:
    """Ask for the bundles of records, and note how far it came.

    Raises:
        UpstreamError: If asking any further makes no sense; what came before is taken in.
    """
    upstream, fetched = run.errand.url, run.store.sync_state
    began_at = _begin(run)
    with spool() as folder:
        singles = BundleFetcher(run, folder)
        try:
            for request in requests:
                before = fetched.answered(upstream, request.name)
                if before is not None and before.at >= began_at:
                    singles.enqueue(_result(request, "skipped"))
                else:
                    singles.ask(request)
                run.errand.progress(1)
        finally:
            # Not only after a failure: Ctrl-C, too, need not lose what lies here already.
            singles.merge_fetched()
    with run.store.transaction():
        fetched.end(upstream)


def _begin(run: SyncSession) -> str:
    """Return when this run began, or the interrupted one that it goes on with."""
    upstream, fetched = run.errand.url, run.store.sync_state
    begun_at = None if run.errand.fresh else fetched.begun_at(upstream)
    if begun_at is not None and _is_recent(begun_at, datetime.fromisoformat(run.at)):
        return begun_at
    with run.store.transaction():
        fetched.begin(upstream, run.at)
    return run.at


def _is_recent(at: str, now: datetime) -> bool:
    return timedelta(0) <= now - datetime.fromisoformat(at) <= RESUMED_WITHIN


class _PendingResponse(NamedTuple):
    """An answer whose bundle is not taken in yet."""

    request: RecordRequest
    url: str
    etag: str
    member: str
    """Its place in the folder; empty if it has not changed."""


class BundleFetcher:
    """Asks for single bundles; what came is merged when `settle` is called, or a batch is full."""

    def __init__(self, run: SyncSession, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._waiting: list[_PendingResponse | SyncResult] = []
        self._bytes = 0
        self.owed: set[str] = set()
        """Names that did not come, and may another time."""
        errand = run.errand
        self._limit_bytes = min(errand.answer_bytes, errand.limits.member_bytes)
        self._batch = min(BATCH, errand.limits.members)

    # Asking ----------------------------------------------------------------------------------

    def ask(self, request: RecordRequest) -> None:
        """Ask for a bundle.

        Raises:
            UpstreamError: If asking for another makes no sense.
        """
        if not request.name:
            message = "This is no id of a record: no number, no arXiv id, no DOI."
            self.enqueue(_result(request, "unknown", "sync.id", message=message))
            return
        before, remote = self._before(request), self._run.remote
        url, sent = remote.record_url(request.name, "bundle"), remote.requests
        try:
            answer = remote.get_record(
                request.name, "bundle", etag=before, limit_bytes=self._limit_bytes
            )
        except UpstreamError as error:
            self.owed.add(request.name)
            self.enqueue(_result(request, "failed", error.code, url, error.message))
            self._run.record_failure(error, remote.requests - sent)
        else:
            self._run.reset_failures()
            self._sort(request, url, before, answer)

    def _before(self, request: RecordRequest) -> str:
        """Return the ETag of last time, if the record is in the store; else empty."""
        if self._run.errand.fresh or not request.is_known:
            return ""
        before = self._run.store.sync_state.answered(self._run.errand.url, request.name)
        return "" if before is None else before.etag

    def _sort(self, request: RecordRequest, url: str, before: str, answer: Response) -> None:
        if answer.is_found:
            self._write_response(request, url, answer)
        elif answer.is_unchanged:
            self.enqueue(_PendingResponse(request, url, before, ""))
        elif answer.is_ambiguous:
            self.enqueue(_result(request, "ambiguous", "sync.ambiguous", url, _choices(answer)))
        else:
            self.enqueue(_nothing_there(request, url))

    def enqueue(self, one: _PendingResponse | SyncResult) -> None:
        """Hold an answer, or what came of one, in its turn; take all in if they are many."""
        self._waiting.append(one)
        if len(self._waiting) >= self._batch or self._bytes >= BATCH_BYTES:
            self.merge_fetched()

    def _write_response(self, request: RecordRequest, url: str, answer: Response) -> None:
        member = record_path(request.name, "bundle")
        path = self._folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer.body)
        self._bytes += len(answer.body)
        self.enqueue(_PendingResponse(request, url, answer.etag, member))

    # Taking in -------------------------------------------------------------------------------

    def merge_fetched(self) -> None:
        """Merge what came, note the ETags of it, and then tell of it."""
        if not self._waiting:
            return
        held, self._waiting, self._bytes = self._waiting, [], 0
        taken = self._merge_pending(
            [one.member for one in held if isinstance(one, _PendingResponse)]
        )
        judged = [
            (one, _result_of(one, taken)) for one in held if isinstance(one, _PendingResponse)
        ]
        self._record_etags([one for one, result in judged if result.status in ANSWERED])
        self.owed |= {one.request.name for one, result in judged if result.status not in ANSWERED}
        results = iter([result for _, result in judged])
        for one in held:
            self._run.report(one if isinstance(one, SyncResult) else next(results))

    def _merge_pending(self, members: list[str]) -> IngestResult:
        paths = [self._folder / member for member in members if member]
        taken = (
            self._run.merge_fetched(self._folder, self._run.errand.url) if paths else IngestResult()
        )
        for path in paths:
            path.unlink()
            path.parent.rmdir()
        return taken

    def _record_etags(self, good: list[_PendingResponse]) -> None:
        at = time_text(datetime.now(UTC), microseconds=True)
        rows = [CachedETag(one.request.name, one.etag, at) for one in good]
        with self._run.store.transaction():
            self._run.store.sync_state.put_etags(self._run.errand.url, rows)


def _result_of(one: _PendingResponse, taken: IngestResult) -> SyncResult:
    """Return what came of an answer whose bundle was taken in."""
    request = one.request
    if not one.member:
        return _result(request, "unchanged", url=one.url)
    record = taken.records.get(one.member)
    if record is None:
        report = taken.refused.get(one.member)
        code, message = ("limit.count", "") if report is None else (report.code, report.message)
        return _result(request, "refused", code, one.url, message)
    if is_requested(record, request):
        return SyncResult(request.asked, record.pith_number, "fetched", "", one.url, "")
    message = f"Another record came than was asked for: {record.pith_number}."
    return SyncResult(
        request.asked, record.pith_number, "other_record", "sync.other_record", one.url, message
    )


def _result(
    request: RecordRequest, status: str, code: str = "", url: str = "", message: str = ""
) -> SyncResult:
    return SyncResult(request.asked, request.pith_number or None, status, code, url, message)


def _nothing_there(request: RecordRequest, url: str) -> SyncResult:
    if request.is_known:
        message = "Upstream does not have this record any more; the store keeps it."
        return _result(request, "gone", "sync.gone", url, message)
    return _result(request, "unknown", "sync.unknown", url, "Upstream has no record of this name.")


def _choices(answer: Response) -> str:
    """Return which records a name fits, as far as the answer names them."""
    text = answer.body.decode("utf-8", "replace")
    numbers = list(dict.fromkeys(re.findall(PITH_NUMBER_PATTERN, text)))[:_LISTED]
    listed = f": {', '.join(numbers)}" if numbers else ""
    return f"The name fits several records{listed}. Ask for one by its Pith Number."
