"""Fetches single bundles with the ETags of the last sync, and merges them in batches."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mirror.core.record import PITH_NUMBER_PATTERN
from mirror.core.values import time_text
from mirror.engine.sync.report import DONE_STATUSES, SyncResult
from mirror.engine.sync.requests import RecordRequest, is_requested
from mirror.engine.sync.session import IngestResult, SyncSession, temporary_folder
from mirror.errors import UpstreamError
from mirror.net import Response, record_path
from mirror.store import CachedETag

__all__ = ["BundleFetcher", "fetch_all"]

BATCH = 32
"""Bundles that are merged together; an interruption loses at most as many."""
BATCH_BYTES = 32 << 20
RESUMED_WITHIN = timedelta(hours=24)
"""How long after its start an interrupted sync is resumed."""
_LISTED = 10


def fetch_all(session: SyncSession, requests: Iterable[RecordRequest]) -> None:
    """Fetch the bundles of some records; a sync that was interrupted is resumed.

    Raises:
        UpstreamError: If further requests are pointless; the bundles before are merged.
    """
    upstream, sync_state = session.options.url, session.store.sync_state
    began_at = _begin(session)
    with temporary_folder() as folder:
        fetcher = BundleFetcher(session, folder)
        try:
            for request in requests:
                before = sync_state.answered(upstream, request.name)
                if before is not None and before.at >= began_at:
                    fetcher.enqueue(_result(request, "skipped"))
                else:
                    fetcher.fetch(request)
                session.options.progress(1)
        finally:
            # Also after Ctrl-C: bundles that were fetched need not be lost.
            fetcher.merge_fetched()
    with session.store.transaction():
        sync_state.end(upstream)


def _begin(session: SyncSession) -> str:
    """Return when this sync began, or the interrupted one that it resumes."""
    upstream, sync_state = session.options.url, session.store.sync_state
    began_at = None if session.options.ignore_cache else sync_state.begun_at(upstream)
    if began_at is not None and _is_recent(began_at, datetime.fromisoformat(session.at)):
        return began_at
    with session.store.transaction():
        sync_state.begin(upstream, session.at)
    return session.at


def _is_recent(at: str, now: datetime) -> bool:
    return timedelta(0) <= now - datetime.fromisoformat(at) <= RESUMED_WITHIN


class _PendingResponse(NamedTuple):
    """A response whose bundle is not merged yet."""

    request: RecordRequest
    url: str
    etag: str
    member: str
    """Its path in the folder; empty if the bundle has not changed."""


class BundleFetcher:
    """Fetches single bundles, and merges them when a batch is full or `merge_fetched` is called.

    Attributes:
        pending: Names of records that were not received, and may be later.
    """

    def __init__(self, session: SyncSession, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._queue: list[_PendingResponse | SyncResult] = []
        self._bytes = 0
        self.pending: set[str] = set()
        options = session.options
        self._limit_bytes = min(options.response_bytes, options.limits.member_bytes)
        self._batch = min(BATCH, options.limits.members)

    # Fetching --------------------------------------------------------------------------------

    def fetch(self, request: RecordRequest) -> None:
        """Request a bundle.

        Raises:
            UpstreamError: If further requests are pointless.
        """
        if not request.name:
            message = "This is not an identifier of a record."
            self.enqueue(_result(request, "unknown", "sync.id", message=message))
            return
        etag, remote = self._cached_etag(request), self._session.remote
        url, sent = remote.record_url(request.name, "bundle"), remote.requests
        try:
            response = remote.get_record(
                request.name, "bundle", etag=etag, limit_bytes=self._limit_bytes
            )
        except UpstreamError as error:
            self.pending.add(request.name)
            self.enqueue(_result(request, "failed", error.code, url, error.message))
            self._session.record_failure(error, remote.requests - sent)
        else:
            self._session.reset_failures()
            self._enqueue_response(request, url, etag, response)

    def _cached_etag(self, request: RecordRequest) -> str:
        """Return the ETag of the last sync if the record is in the store; else empty."""
        options = self._session.options
        if options.ignore_cache or not request.is_known:
            return ""
        cached = self._session.store.sync_state.answered(options.url, request.name)
        return "" if cached is None else cached.etag

    def _enqueue_response(
        self, request: RecordRequest, url: str, etag: str, response: Response
    ) -> None:
        if response.is_found:
            self._write_response(request, url, response)
        elif response.is_unchanged:
            self.enqueue(_PendingResponse(request, url, etag, ""))
        elif response.is_ambiguous:
            self.enqueue(_result(request, "ambiguous", "sync.ambiguous", url, _choices(response)))
        else:
            self.enqueue(_missing_result(request, url))

    def enqueue(self, one: _PendingResponse | SyncResult) -> None:
        """Append a response or a result, and merge all if the batch is full."""
        self._queue.append(one)
        if len(self._queue) >= self._batch or self._bytes >= BATCH_BYTES:
            self.merge_fetched()

    def _write_response(self, request: RecordRequest, url: str, response: Response) -> None:
        member = record_path(request.name, "bundle")
        path = self._folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(response.body)
        self._bytes += len(response.body)
        self.enqueue(_PendingResponse(request, url, response.etag, member))

    # Merging ---------------------------------------------------------------------------------

    def merge_fetched(self) -> None:
        """Merge the fetched bundles, store their ETags, and report the results in order."""
        if not self._queue:
            return
        queue, self._queue, self._bytes = self._queue, [], 0
        responses = [one for one in queue if isinstance(one, _PendingResponse)]
        merged = self._merge([one.member for one in responses if one.member])
        results = [(one, _response_result(one, merged)) for one in responses]
        self._store_etags([one for one, result in results if result.status in DONE_STATUSES])
        self.pending |= {
            one.request.name for one, result in results if result.status not in DONE_STATUSES
        }
        in_order = iter([result for _, result in results])
        for one in queue:
            self._session.report(one if isinstance(one, SyncResult) else next(in_order))

    def _merge(self, members: list[str]) -> IngestResult:
        if not members:
            return IngestResult()
        merged = self._session.merge_fetched(self._folder, self._session.options.url)
        for member in members:
            path = self._folder / member
            path.unlink()
            path.parent.rmdir()
        return merged

    def _store_etags(self, responses: list[_PendingResponse]) -> None:
        at = time_text(datetime.now(UTC), microseconds=True)
        rows = [CachedETag(one.request.name, one.etag, at) for one in responses]
        store = self._session.store
        with store.transaction():
            store.sync_state.put_etags(self._session.options.url, rows)


def _response_result(response: _PendingResponse, merged: IngestResult) -> SyncResult:
    """Return the result of a response whose bundle was merged."""
    request, url = response.request, response.url
    if not response.member:
        return _result(request, "unchanged", url=url)
    record = merged.records.get(response.member)
    if record is None:
        finding = merged.refused.get(response.member)
        code, message = ("limit.count", "") if finding is None else (finding.code, finding.message)
        return _result(request, "refused", code, url, message)
    if is_requested(record, request):
        return SyncResult(request.asked, record.pith_number, "fetched", "", url, "")
    message = f"The response has another record than the requested one: {record.pith_number}."
    code = "sync.other_record"
    return SyncResult(request.asked, record.pith_number, "other_record", code, url, message)


def _result(
    request: RecordRequest, status: str, code: str = "", url: str = "", message: str = ""
) -> SyncResult:
    return SyncResult(request.asked, request.pith_number or None, status, code, url, message)


def _missing_result(request: RecordRequest, url: str) -> SyncResult:
    if request.is_known:
        message = "The upstream no longer has this record; the store keeps it."
        return _result(request, "gone", "sync.gone", url, message)
    message = "The upstream has no record of this name."
    return _result(request, "unknown", "sync.unknown", url, message)


def _choices(response: Response) -> str:
    """Return a message with the records that a name fits, as far as the response lists them."""
    text = response.body.decode("utf-8", "replace")
    numbers = list(dict.fromkeys(re.findall(PITH_NUMBER_PATTERN, text)))[:_LISTED]
    listed = f": {', '.join(numbers)}" if numbers else ""
    return f"The name fits several records{listed}. Request one by its Pith Number."
