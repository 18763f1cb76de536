"""Fetches the changed records of another mirror, many bundles in one bag (a tar).

The position in the feed is stored in a transaction after the records before it were merged. So an
interrupted sync repeats some requests, and never skips a record. A record that the feed lists and
that was not received is pending: every sync requests it until it is received, or is gone.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mirror.core.record import suffix_in
from mirror.engine.batching import batched
from mirror.engine.findings import Finding
from mirror.engine.sync.feed import ChangesPage, last_change, read_page
from mirror.engine.sync.registry import BundleFetcher
from mirror.engine.sync.report import SyncResult
from mirror.engine.sync.requests import request_number
from mirror.engine.sync.session import (
    TOLERATED_CODES,
    IngestResult,
    SyncSession,
    temporary_folder,
)
from mirror.errors import UpstreamError
from mirror.store import Change

__all__ = ["fetch_full_bag", "follow_feed"]

TAR_RECORDS = 200
"""Records in one bag; every server accepts a URL with as many ids."""
FEW = 4
"""The most records that are fetched as single bundles, without a bag."""
MAX_TAR_FAILURES = 3
"""Consecutive bags without a record, after which only single bundles are requested."""
RECENT = 10_000
"""Records received last; a feed that lists only these makes no progress."""
_MEMBER = re.compile(r"(?:.*/)?([A-Z2-7]{26})/(?:[0-9]{4,}\.)?bundle\.json")


def follow_feed(session: SyncSession) -> None:
    """Fetch the records that changed in a mirror since the last sync, and the pending ones.

    Raises:
        UpstreamError: If further requests are pointless; the records before are in the store.
    """
    upstream, sync_state = session.options.url, session.store.sync_state
    with temporary_folder() as folder:
        fetcher = _BatchFetcher(session, folder)
        pending = sync_state.pending(upstream)
        for page in _pages(session):
            done: set[str] = set()
            for changes in batched(page.changes, TAR_RECORDS):
                # A bundle that is fetched after its page contains all changes of the page.
                changed = dict.fromkeys(one.pith_number for one in changes)
                fetcher.fetch([one for one in changed if one not in done])
                fetcher.record_progress(changes[-1])
                done.update(changed)
        still_pending = set(sync_state.pending(upstream))
        for numbers in batched([one for one in pending if one in still_pending], TAR_RECORDS):
            fetcher.fetch(numbers)
            fetcher.record_progress(None)


def _pages(session: SyncSession) -> Iterator[ChangesPage]:
    """Yield the pages of the feed from the stored position."""
    page = _first_page(session)
    while True:
        yield page
        if not page.more:
            return
        page = read_page(session.remote, page.next)


def _first_page(session: SyncSession) -> ChangesPage:
    """Return the page after the last change that was processed, if the feed still contains that.

    A store that was repaired or made again numbers its changes again. Then its feed has another
    change of that number, or none, and is read from its start.
    """
    options = session.options
    last = None if options.ignore_cache else session.store.sync_state.position(options.url)
    if last is None:
        return read_page(session.remote, 0)
    page = read_page(session.remote, last.number - 1)
    if page.changes[:1] == [last]:
        return page._replace(changes=page.changes[1:])
    session.summary.is_from_start = True
    return read_page(session.remote, 0)


def fetch_full_bag(session: SyncSession) -> None:
    """Fetch all records of a mirror in one bag.

    Raises:
        UpstreamError: If the bag is not received completely.
    """
    last = last_change(session.remote)  # before the bag: later changes are in the feed
    with temporary_folder() as folder:
        path = folder / "bundle.tar"
        with path.open("wb") as file:
            url = session.remote.download_bag(file, session.options.bag_bytes)
        merged = session.merge_fetched(path, url, list_records=False).summary
    session.options.progress(merged.bundles_read)
    session.summary.statuses["fetched"] += merged.records  # reported as a count only
    session.summary.statuses["refused"] += (refused := sum(merged.refused.values()))
    if last is not None and not refused:
        with session.store.transaction():
            session.store.sync_state.move(session.options.url, last, set(), set())


class _BatchFetcher:
    """Fetches records in bags, and as single bundles if a bag fails."""

    def __init__(self, session: SyncSession, folder: Path) -> None:
        self._session = session
        self._path = folder / "bundle.tar"
        self._singles = BundleFetcher(session, folder / "singles")
        self._failures = 0
        self._requested: set[str] = set()
        self._received: OrderedDict[str, None] = OrderedDict()

    def fetch(self, numbers: Sequence[str]) -> None:
        """Fetch and merge records, given by their Pith Numbers.

        Raises:
            UpstreamError: If further requests are pointless.
        """
        self._requested.update(numbers)
        if len(numbers) <= FEW or self._failures >= MAX_TAR_FAILURES:
            self._fetch_singly(numbers)
            return
        resolved = self._fetch_bag(numbers)
        self._count(1, resolved or ())
        if resolved is None:  # the bag is too large or too slow, or one of the records is gone
            middle = len(numbers) // 2
            self.fetch(numbers[:middle])
            self.fetch(numbers[middle:])
            return
        self._session.options.progress(len(resolved))
        self._fetch_singly([one for one in numbers if one not in resolved])

    def record_progress(self, last: Change | None) -> None:
        """Store the position in the feed, and which of the requested records are pending.

        Args:
            last: The last change that was processed; None if the position stays the same.
        """
        pending = {one for one in self._requested if suffix_in(one) in self._singles.pending}
        store = self._session.store
        with store.transaction():
            upstream = self._session.options.url
            store.sync_state.move(upstream, last, pending, self._requested - pending)
        self._requested.clear()
        self._singles.pending.clear()

    def _fetch_singly(self, numbers: Sequence[str]) -> None:
        before = self._session.summary.received
        try:
            for number in numbers:
                self._singles.fetch(request_number(self._session.store, number))
                self._session.options.progress(1)
        finally:
            self._singles.merge_fetched()
        self._count(len(numbers), numbers if self._session.summary.received > before else ())

    def _count(self, responses: int, numbers: Iterable[str]) -> None:
        """Count responses with these records; a record that was received recently is not counted.

        Raises:
            UpstreamError: `upstream.empty`
        """
        new = [one for one in numbers if one not in self._received]
        self._received.update(dict.fromkeys(new))
        while len(self._received) > RECENT:
            self._received.popitem(last=False)
        if responses:
            self._session.count_responses(responses, empty=not new)

    def _fetch_bag(self, numbers: Sequence[str]) -> set[str] | None:
        """Return the records that need no further request; None if there is no bag."""
        suffixes = [suffix_in(number) for number in numbers]
        try:
            with self._path.open("wb") as file:
                url = self._session.remote.download_records(file, suffixes)
        except UpstreamError as error:
            if error.code not in TOLERATED_CODES:
                raise
            self._failures += error.code != "upstream.size"
            return None
        if url is None:
            return None
        self._session.reset_failures()
        resolved = self._report_bag(numbers, self._session.merge_fetched(self._path, url), url)
        self._failures = 0 if resolved else self._failures + 1
        return resolved

    def _report_bag(self, numbers: Sequence[str], merged: IngestResult, url: str) -> set[str]:
        """Report the records of a bag; return the requested ones that need no further request."""
        requested = set(numbers)
        refused = _refused_records(merged, requested)
        # A record with several members (C2) was received if all its members were merged.
        received = {one.pith_number for one in merged.records.values()} - refused.keys()
        for number in sorted(received & requested):
            self._session.report(SyncResult(number, number, "fetched", "", url, ""))
        for number in sorted(received - requested):
            message = f"The bag has a record that was not requested: {number}."
            self._session.report(
                SyncResult(number, number, "other_record", "sync.other_record", url, message)
            )
        return (received & requested) | self._report_refused(refused, url)

    def _report_refused(self, refused: dict[str, Finding], url: str) -> set[str]:
        """Report the bundles that would be refused as single bundles, too; they stay pending."""
        final = {
            number: finding
            for number, finding in refused.items()
            if not finding.code.startswith("archive.")
        }
        for number, finding in final.items():
            self._singles.pending.add(suffix_in(number))
            self._session.report(
                SyncResult(number, number, "refused", finding.code, url, finding.message)
            )
        return set(final)


def _refused_records(merged: IngestResult, requested: set[str]) -> dict[str, Finding]:
    """Return, by Pith Number, why a bundle of a requested record is refused."""
    by_suffix = {suffix_in(number): number for number in requested}
    return {
        by_suffix[match[1]]: finding
        for member, finding in merged.refused.items()
        if (match := _MEMBER.fullmatch(member)) and match[1] in by_suffix
    }
