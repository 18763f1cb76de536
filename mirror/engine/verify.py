"""From sources to verified bundles: reading, parsing, verifying, reporting.

The stages that `mirror verify` and `mirror merge` share. Reading and parsing are done here, in
order; verifying is handed to threads in batches, because the signature libraries release the
interpreter's lock, and comes back in order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from mirror.archive import Limits, Member, Refused, open_source, shown
from mirror.core.bundle import (
    Bundle,
    Known,
    VerifiedBundle,
    future_events,
    parse_bundle,
    verify_bundle,
)
from mirror.core.event import ValidEvent
from mirror.core.keys import KeySet
from mirror.engine.report import Job, Report, Summary
from mirror.errors import FormatError, LimitError, SourceError

__all__ = ["Parsed", "Verified", "read_bundles", "settle", "verify", "verify_all"]

BATCH_BUNDLES = 256
"""Bundles that are verified, and stored, together; fewer if they are large."""
BATCH_BYTES = 16 * 1024 * 1024
"""Bytes of text from which a batch is large enough."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A bundle that B2 does not refuse, and where it came from."""

    source: str
    member: str
    bundle: Bundle
    size_bytes: int
    """Of its text."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified bundle, and where it came from."""

    source: str
    member: str
    bundle: VerifiedBundle


def read_bundles(job: Job) -> Iterator[Parsed | Report]:
    """Yield every bundle of the sources in its order, or why it is refused.

    A source that cannot be read does not stop the others.
    """
    for path in job.names:
        name = shown(path)
        try:
            with open_source(path, job.limits) as source:
                for item in source.items():
                    yield _parse(name, item, job.limits)
                    job.progress(source)
        except SourceError as error:
            yield Report(name, "", None, error.code, "", f"{error.message}; {error.hint}")


def _parse(source: str, item: Member | Refused, limits: Limits) -> Parsed | Report:
    if isinstance(item, Refused):
        return Report(source, item.name, None, item.code, "", item.message)
    try:
        bundle = parse_bundle(item.data, limits.events, limits.depth)
    except FormatError as error:
        return Report(source, item.name, None, error.code, error.where, error.message)
    return Parsed(source, item.name, bundle, len(item.data))


def verify_all(
    parsed: Iterable[Parsed | Report],
    keys: KeySet,
    limits: Limits,
    known: Callable[[Bundle], Known] = lambda _bundle: Known(),
) -> Iterator[list[Verified | Report]]:
    """Verify bundles on every core; yield them in their order, batch by batch.

    While a batch is used, the next one is being verified.

    Args:
        parsed: The bundles; what was refused before passes through.
        keys: The keys to trust.
        limits: What this mirror accepts; here, how long one bundle may take.
        known: Gives the verdicts on a bundle that were reached before.
    """
    stream = iter(parsed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def start(item: Parsed | Report) -> Report | Future[Verified | Report]:
            if isinstance(item, Report):
                return item
            return pool.submit(_verify_one, item, keys, known(item.bundle), limits)

        waiting: list[Report | Future[Verified | Report]] = []
        while batch := [start(item) for item in _batch(stream)]:
            if waiting:
                yield _results(waiting)
            waiting = batch
        if waiting:
            yield _results(waiting)


def _batch(stream: Iterator[Parsed | Report]) -> Iterator[Parsed | Report]:
    """Yield the next items that are verified together."""
    size_bytes = 0
    for item in islice(stream, BATCH_BUNDLES):
        yield item
        size_bytes += 0 if isinstance(item, Report) else item.size_bytes
        if size_bytes > BATCH_BYTES:
            return


def _results(waiting: list[Report | Future[Verified | Report]]) -> list[Verified | Report]:
    return [item if isinstance(item, Report) else item.result() for item in waiting]


def _verify_one(parsed: Parsed, keys: KeySet, known: Known, limits: Limits) -> Verified | Report:
    end = time.monotonic() + limits.bundle_s

    def go_on() -> None:
        if time.monotonic() > end:
            message = f"verifying it takes longer than {limits.bundle_s:g} seconds"
            raise LimitError("limit.time", message)

    try:
        bundle = verify_bundle(parsed.bundle, keys, known, go_on)
    except LimitError as error:
        number = parsed.bundle.record.pith_number
        return Report(parsed.source, parsed.member, number, error.code, error.where, error.message)
    return Verified(parsed.source, parsed.member, bundle)


def settle(item: Verified | Report, now: int, job: Job, summary: Summary) -> None:
    """Count an item and tell of all that was found in it (B3, B5).

    Args:
        item: A verified bundle, or why one was refused.
        now: The time, in microseconds since 1970, for `event.future`.
        job: Whom to tell.
        summary: Where to count.
    """
    if isinstance(item, Report):
        summary.refuse(item.code)
        job.tell(item)
        return
    bundle = item.bundle
    summary.bundles_read += 1
    summary.events_valid += sum(isinstance(event, ValidEvent) for event in bundle.events)
    summary.receipts_verified += sum(receipt.code is None for receipt in bundle.receipts)
    for finding in (*bundle.findings, *future_events(bundle, now)):
        summary.note(finding.code)
        place = (item.source, item.member, bundle.record.pith_number)
        job.tell(Report(*place, finding.code, finding.where, finding.message))


def verify(job: Job, keys: KeySet) -> Summary:
    """Check sources and store nothing (`mirror verify`)."""
    summary = Summary()
    now = time.time_ns() // 1000
    for batch in verify_all(read_bundles(job), keys, job.limits):
        for item in batch:
            settle(item, now, job, summary)
    return summary
