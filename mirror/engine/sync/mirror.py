"""Another mirror: its feed says which records changed, and their bundles come many to a tar.

How far the feed was followed is noted in the transaction after the one that brought what it names;
so a run that was cut off asks again for some, and never leaves one out. What a feed named and did
not come is owed: it is asked for in every run until it comes, or is not there any more.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from mirror.engine.findings import Finding
from mirror.engine.sync.feed import ChangesPage, last_change, read_page
from mirror.engine.sync.registry import BundleFetcher
from mirror.engine.sync.report import SyncResult
from mirror.engine.sync.requests import request_number
from mirror.engine.sync.session import TOLERATED_CODES, IngestResult, SyncSession, spool
from mirror.errors import UpstreamError
from mirror.store import Change

__all__ = ["fetch_full_bag", "follow_feed"]

_Item = TypeVar("_Item")

TAR_RECORDS = 200
"""Records of one tar; so many ids make a URL that any server takes."""
FEW = 4
"""Records up to which a tar is not worth it."""
MAX_TAR_FAILURES = 3
"""Tars in a row that come to nothing, after which no more are asked for."""
RECENT = 10_000
"""Records that came last: a feed that names them again and again has no end."""
_MEMBER = re.compile(r"(?:.*/)?([A-Z2-7]{26})/(?:[0-9]{4,}\.)?bundle\.json")


def follow_feed(run: SyncSession) -> None:
    """Fetch what came to a mirror since the last time.

    Raises:
        UpstreamError: If asking any further makes no sense; what came before is in the store.
    """
    upstream, fetched = run.errand.url, run.store.sync_state
    with spool() as folder:
        tars = _BatchFetcher(run, folder)
        owed = fetched.pending(upstream)
        for page in _pages(run):
            done: set[str] = set()
            for changes in _sliced(page.changes):
                # A bundle that came after the page holds all that the page speaks of.
                named = dict.fromkeys(one.pith_number for one in changes)
                tars.fetch([one for one in named if one not in done])
                tars.record_progress(changes[-1])
                done.update(named)
        still_owed = set(fetched.pending(upstream))
        for numbers in _sliced([one for one in owed if one in still_owed]):
            tars.fetch(numbers)
            tars.record_progress(None)


def _sliced(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), TAR_RECORDS):
        yield items[start : start + TAR_RECORDS]


def _pages(run: SyncSession) -> Iterator[ChangesPage]:
    """Yield the pages of the feed, from where it was left."""
    page = _first_page(run)
    while True:
        yield page
        if not page.more:
            return
        page = read_page(run.remote, page.next)


def _first_page(run: SyncSession) -> ChangesPage:
    """Return the page after the last change that was followed, if that is still in the feed.

    A store that was mended or made anew counts its changes anew: then the last one is another, or
    is not there, and the feed is read from its start.
    """
    upstream = run.errand.url
    last = None if run.errand.fresh else run.store.sync_state.position(upstream)
    if last is None:
        return read_page(run.remote, 0)
    page = read_page(run.remote, last.number - 1)
    if page.changes[:1] == [last]:
        return page._replace(changes=page.changes[1:])
    run.tally.is_from_start = True
    return read_page(run.remote, 0)


def fetch_full_bag(run: SyncSession) -> None:
    """Fetch all records of a mirror in one tar.

    Raises:
        UpstreamError: If it does not come.
    """
    last = last_change(run.remote)  # before the bag: later changes are in the feed
    with spool() as folder:
        path = folder / "bundle.tar"
        with path.open("wb") as file:
            url = run.remote.download_bag(file, run.errand.whole_bytes)
        summary = run.merge_fetched(path, url, look=False).summary
    run.errand.progress(summary.bundles_read)
    run.tally.statuses["fetched"] += summary.records  # of so many, none is told of by itself
    run.tally.statuses["refused"] += (refused := sum(summary.refused.values()))
    if last is not None and not refused:
        with run.store.transaction():
            run.store.sync_state.move(run.errand.url, last, set(), set())


class _BatchFetcher:
    """Fetches records many to a tar, and one by one where that does not work."""

    def __init__(self, run: SyncSession, folder: Path) -> None:
        self._run = run
        self._path = folder / "bundle.tar"
        self._singles = BundleFetcher(run, folder / "singles")
        self._failures = 0
        self._asked: set[str] = set()
        self._brought: OrderedDict[str, None] = OrderedDict()

    def fetch(self, numbers: Sequence[str]) -> None:
        """Fetch records by their Pith Numbers, and take them in.

        Raises:
            UpstreamError: If asking any further makes no sense.
        """
        self._asked.update(numbers)
        if len(numbers) <= FEW or self._failures >= MAX_TAR_FAILURES:
            self._fetch_singly(numbers)
            return
        came = self._fetch_tar(numbers)
        self._count(1, came or ())
        if came is None:  # too large or too slow together, or one that is not there stops all
            middle = len(numbers) // 2
            self.fetch(numbers[:middle])
            self.fetch(numbers[middle:])
            return
        self._run.errand.progress(len(came))
        self._fetch_singly([one for one in numbers if one not in came])

    def record_progress(self, last: Change | None) -> None:
        """Note that the feed was followed up to a change, and what of it is owed."""
        owed = {one for one in self._asked if one[-26:] in self._singles.owed}
        with self._run.store.transaction():
            upstream = self._run.errand.url
            self._run.store.sync_state.move(upstream, last, owed, self._asked - owed)
        self._asked.clear()
        self._singles.owed.clear()

    def _fetch_singly(self, numbers: Sequence[str]) -> None:
        before = self._run.tally.came
        try:
            for number in numbers:
                self._singles.ask(request_number(self._run.store, number))
                self._run.errand.progress(1)
        finally:
            self._singles.merge_fetched()
        self._count(len(numbers), numbers if self._run.tally.came > before else ())

    def _count(self, answers: int, numbers: Iterable[str]) -> None:
        """Count answers that brought these records; one that came just before is nothing new.

        Raises:
            UpstreamError: `upstream.empty`
        """
        new = [one for one in numbers if one not in self._brought]
        self._brought.update(dict.fromkeys(new))
        while len(self._brought) > RECENT:
            self._brought.popitem(last=False)
        if answers:
            self._run.count_answers(answers, empty=not new)

    def _fetch_tar(self, numbers: Sequence[str]) -> set[str] | None:
        """Return which of the records need not be asked for again; None if there is no tar."""
        suffixes = [number[-26:] for number in numbers]
        try:
            with self._path.open("wb") as file:
                url = self._run.remote.download_records(file, suffixes)
        except UpstreamError as error:
            if error.code not in TOLERATED_CODES:
                raise
            self._failures += error.code != "upstream.size"
            return None
        if url is None:
            return None
        self._run.reset_failures()
        came = self._report_batch(numbers, self._run.merge_fetched(self._path, url), url)
        self._failures = 0 if came else self._failures + 1
        return came

    def _report_batch(self, numbers: Sequence[str], taken: IngestResult, url: str) -> set[str]:
        """Tell of what came in a tar."""
        asked = set(numbers)
        refused = _refused_of(taken, asked)
        # Of a record in several members (C2), all must have come.
        came = {one.pith_number for one in taken.records.values()} - refused.keys()
        for number in sorted(came & asked):
            self._run.report(SyncResult(number, number, "fetched", "", url, ""))
        for number in sorted(came - asked):
            message = f"A record came that was not asked for: {number}."
            self._run.report(
                SyncResult(number, number, "other_record", "sync.other_record", url, message)
            )
        return (came & asked) | self._report_refused(refused, url)

    def _report_refused(self, refused: dict[str, Finding], url: str) -> set[str]:
        """Tell of bundles that are refused wherever they come from; they are owed."""
        told = {
            number: report
            for number, report in refused.items()
            if not report.code.startswith("archive.")
        }
        for number, report in told.items():
            self._singles.owed.add(number[-26:])
            self._run.report(
                SyncResult(number, number, "refused", report.code, url, report.message)
            )
        return set(told)


def _refused_of(taken: IngestResult, asked: set[str]) -> dict[str, Finding]:
    """Return, by Pith Number, why a member of a record that was asked for is refused."""
    by_suffix = {number[-26:]: number for number in asked}
    return {
        by_suffix[match[1]]: report
        for member, report in taken.refused.items()
        if (match := _MEMBER.fullmatch(member)) and match[1] in by_suffix
    }
