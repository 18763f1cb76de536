"""From sources to verified bundles: reading, parsing, verifying, reporting.

The stages that `mirror verify` and `mirror merge` share. Reading and parsing are done here, in
order; verifying is handed to threads in batches, because the signature libraries release the
interpreter's lock, and comes back in order.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from mirror.archive import Member, Refused, open_source
from mirror.core.bundle import (
    Bundle,
    Known,
    VerifiedBundle,
    future_events,
    parse_bundle,
    verify_bundle,
)
from mirror.core.event import EVENT_CODES, ValidEvent
from mirror.core.keys import KeySet
from mirror.engine.report import Job, Report, Summary
from mirror.errors import FormatError, SourceError

__all__ = ["Parsed", "Verified", "read_bundles", "report_bundle", "verify", "verify_all"]

BATCH_BUNDLES = 256
"""Bundles that are verified, and stored, together."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A bundle and where it came from."""

    source: str
    member: str
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified bundle and where it came from."""

    source: str
    member: str
    bundle: VerifiedBundle


def read_bundles(job: Job, summary: Summary) -> Iterator[Parsed]:
    """Yield every bundle that B2 does not refuse; count and report the others.

    A source that cannot be read does not stop the others.
    """
    for name in job.names:
        try:
            with open_source(name, job.limits) as source:
                for item in source.items():
                    yield from _parse(name, item, job, summary)
                    job.progress(source)
        except SourceError as error:
            summary.sources_failed += 1
            job.tell(Report(name, "", None, error.code, "", f"{error.message}; {error.hint}"))


def _parse(source: str, item: Member | Refused, job: Job, summary: Summary) -> Iterator[Parsed]:
    if isinstance(item, Refused):
        summary.refused[item.code] += 1
        job.tell(Report(source, item.name, None, item.code, "", item.message))
        return
    try:
        bundle = parse_bundle(item.data)
    except FormatError as error:
        summary.refused[error.code] += 1
        job.tell(Report(source, item.name, None, error.code, error.where, error.message))
    else:
        summary.bundles_read += 1
        yield Parsed(source, item.name, bundle)


def verify_all(
    parsed: Iterable[Parsed], keys: KeySet, known: Callable[[Bundle], Known] | None = None
) -> Iterator[list[Verified]]:
    """Verify bundles on every core; yield them in their order, batch by batch.

    Args:
        parsed: The bundles.
        keys: The keys to trust.
        known: Gives the verdicts on a bundle that were reached before.
    """
    stream = iter(parsed)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[list[Future[Verified]]] = deque()
        while batch := list(islice(stream, BATCH_BUNDLES)):
            waiting.append(
                [
                    pool.submit(_verify_one, one, keys, known(one.bundle) if known else Known())
                    for one in batch
                ]
            )
            if len(waiting) > 1:
                yield [future.result() for future in waiting.popleft()]
        for futures in waiting:
            yield [future.result() for future in futures]


def _verify_one(parsed: Parsed, keys: KeySet, known: Known) -> Verified:
    bundle = verify_bundle(parsed.bundle, keys, known)
    return Verified(parsed.source, parsed.member, bundle)


def report_bundle(verified: Verified, now: int, job: Job, summary: Summary) -> None:
    """Count and report what was found in a bundle (B3, B5).

    Args:
        verified: The bundle.
        now: The time, in microseconds since 1970, for `event.future`.
        job: Whom to tell.
        summary: Where to count.
    """
    bundle = verified.bundle
    summary.events_valid += sum(isinstance(event, ValidEvent) for event in bundle.events)
    summary.receipts_verified += sum(receipt.code is None for receipt in bundle.receipts)
    for finding in (*bundle.findings, *future_events(bundle, now)):
        _count(finding.code, summary)
        place = (verified.source, verified.member, bundle.record.pith_number)
        job.tell(Report(*place, finding.code, finding.where, finding.message))


def _count(code: str, summary: Summary) -> None:
    if code.startswith("receipt."):
        summary.receipts_refused[code] += 1
    elif code in EVENT_CODES:
        summary.events_invalid[code] += 1
    else:
        summary.noted[code] += 1


def verify(job: Job, keys: KeySet) -> Summary:
    """Check sources and store nothing (`mirror verify`)."""
    summary = Summary()
    now = time.time_ns() // 1000
    for batch in verify_all(read_bundles(job, summary), keys):
        for verified in batch:
            report_bundle(verified, now, job, summary)
    return summary
