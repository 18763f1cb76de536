"""From sources to verdicts: the stages that `mirror verify` and `mirror merge` share.

    read -> parse -> verify [-> pack and merge -> write]

Reading is done in order, by the process that was asked. Everything after it, up to writing, is a
pure function of a bundle's bytes and the key set, and is done batch by batch on every core. The
outcomes come back in the order in which the bundles were read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from mirror.archive import Bag, Member, ReadLimits, RefusedMember, open_source
from mirror.core.bundle import (
    Bundle,
    StoredVerdicts,
    VerifiedBundle,
    future_events,
    parse_bundle,
    verify_bundle,
)
from mirror.core.events.event import ValidEvent
from mirror.core.events.integrity_finding import IntegrityFinding, findings_of, verify_finding
from mirror.core.keys import KeySet
from mirror.core.values import Value, canonical, decode, hexdigest, nesting
from mirror.engine.findings import UNREAD_CODES, Finding, ReadRequest, Summary
from mirror.engine.process_pool import map_in_processes
from mirror.errors import FormatError, LimitError, SourceError
from mirror.store import NewFacts

__all__ = [
    "FEW_BATCHES",
    "Batch",
    "SourceMember",
    "VerifiedMember",
    "batches",
    "outcome_of",
    "parse",
    "read",
    "record_finding",
    "record_outcome",
    "unreadable",
    "verify",
    "verify_parsed",
    "with_source",
]

BATCH_BUNDLES = 64
"""Bundles that are worked on together; fewer if they are large."""
BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of text from which a batch is large enough."""
FEW_BATCHES = 12
"""Batches up to which no other process is started."""


class SourceMember(NamedTuple):
    """A member of a source that should be a bundle."""

    source: str
    member: Member


class VerifiedMember(NamedTuple):
    """What came of a bundle that B2 does not refuse, or of a document of integrity findings."""

    source: str
    member: str
    pith_number: str
    events_valid: int
    receipts_verified: int
    reports: list[Finding]
    """What was found in it."""
    parcel: NewFacts | None = None
    """What a store lacks of it, ready to be written."""
    documents: int = 0
    """1 for a document of integrity findings, which is no bundle."""
    integrity_verified: int = 0
    """Findings in it whose payload has the digest that a trusted key signed (S4)."""


# Read ----------------------------------------------------------------------------------------


def read(
    job: ReadRequest,
    names: Iterable[str] | None = None,
    note_bag: Callable[[str, Bag], None] = lambda _source, _bag: None,
) -> Iterator[SourceMember | Finding]:
    """Yield every member of the sources in its order, or why it is refused.

    A source that cannot be read does not stop the others.

    Args:
        job: What to read.
        names: Only these of its sources.
        note_bag: Told of each source that is a bag, once all that it lists was read.
    """
    for path in job.names if names is None else names:
        name = job.name_of(path)
        try:
            with open_source(path, job.limits) as source:
                for item in source.items():
                    if isinstance(item, Bag):
                        note_bag(name, item)
                    else:
                        yield with_source(name, item)
                    job.progress(source)
        except SourceError as error:
            yield unreadable(name, error)


def with_source(source: str, item: Member | RefusedMember) -> SourceMember | Finding:
    """Return a member with the name of its source, or the finding that it is refused."""
    if isinstance(item, RefusedMember):
        return Finding(source, item.name, None, item.code, "", item.message)
    return SourceMember(source, item)


def unreadable(source: str, error: SourceError) -> Finding:
    """Return the finding that a source cannot be read."""
    return Finding(source, "", None, error.code, "", f"{error.message}; {error.hint}")


Batch: TypeAlias = list[SourceMember | Finding]
"""Members that are worked on together, and refusals among them, in their order."""


def batches(items: Iterable[SourceMember | Finding]) -> Iterator[Batch]:
    """Yield the items that are worked on together."""
    batch: Batch = []
    size_bytes = 0
    for item in items:
        batch.append(item)
        size_bytes += 0 if isinstance(item, Finding) else len(item.member.data)
        if len(batch) == BATCH_BUNDLES or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


# Parse and verify one bundle -----------------------------------------------------------------


def parse(item: SourceMember, limits: ReadLimits, keys: KeySet | None = None) -> Bundle | Finding:
    """Return the bundle that a member is, or why it is refused (B2, B4).

    Args:
        item: The member.
        limits: What is accepted.
        keys: The key set, with the profiles that tell what an event is; None if nobody asks.
    """
    member = item.member
    try:
        within = limits.for_bundles(None if keys is None else keys.profiles)
        return parse_bundle(member.data, within, is_packed=member.is_packed)
    except FormatError as error:
        return _refused(item, None, error)


def _refused(item: SourceMember, number: str | None, error: FormatError) -> Finding:
    """Return the finding that a member is refused; its bytes identify it."""
    name, digest = item.member.name, hexdigest(item.member.data)
    return Finding(item.source, name, number, error.code, error.where, error.message, digest)


def verify_parsed(
    item: SourceMember, bundle: Bundle, keys: KeySet, known: StoredVerdicts, limits: ReadLimits
) -> VerifiedBundle | Finding:
    """Return the bundle with its verdicts, or that they take longer than allowed (B4)."""
    try:
        return verify_bundle(bundle, keys, known, _in_time(limits))
    except LimitError as error:
        return _refused(item, bundle.record.pith_number, error)


def _in_time(limits: ReadLimits) -> Callable[[], None]:
    """Return what raises `limit.time` once a bundle takes longer than allowed (B4)."""
    end = time.monotonic() + limits.bundle_s

    def go_on() -> None:
        if time.monotonic() > end:
            message = f"verifying it takes longer than {limits.bundle_s:g} seconds"
            raise LimitError("limit.time", message)

    return go_on


def outcome_of(item: SourceMember, bundle: VerifiedBundle, now: int) -> VerifiedMember:
    """Return what was found in a bundle (B3, B5).

    Args:
        item: Where it came from.
        bundle: The bundle.
        now: The time, in microseconds since 1970, for `event.future`.
    """
    number = bundle.record.pith_number
    return VerifiedMember(
        item.source,
        item.member.name,
        number,
        sum([isinstance(event, ValidEvent) for event in bundle.events]),
        sum([receipt.code is None for receipt in bundle.receipts]),
        [
            Finding(
                item.source,
                item.member.name,
                number,
                one.code,
                one.where,
                one.message,
                one.digest.hex(),
            )
            for one in (*bundle.findings, *future_events(bundle, now))
        ],
    )


def _verify_document(
    item: SourceMember, keys: KeySet, limits: ReadLimits
) -> VerifiedMember | Finding | None:
    """Return what came of a document of integrity findings (S4); None if it is no such thing."""
    source, (name, data, is_packed) = item.source, item.member
    try:
        document = None if is_packed else decode(data)
        found = [] if _is_bundle(document) else findings_of(document)
        if not found:
            return None
        said = _verify_findings(document, found, keys, limits)
    except LimitError as error:
        return _refused(item, None, error)
    except FormatError:
        return None
    reports = [Finding(source, name, None, code, where, why) for where, code, why in said]
    failed = {report.where for report in reports if report.code != "finding.evidence"}
    verified = len(found) - len(failed)
    return VerifiedMember(source, name, "", 0, 0, reports, documents=1, integrity_verified=verified)


def _is_bundle(document: Value) -> bool:
    return isinstance(document, dict) and "bundle_type" in document


def _verify_findings(
    document: Value, found: list[IntegrityFinding], keys: KeySet, limits: ReadLimits
) -> list[tuple[str, str, str]]:
    """Return place, code and reason of all that is to be said of the findings (S4).

    Raises:
        LimitError: `limit.count`, `limit.time` (B4).
    """
    if len(found) > limits.events:
        message = f"{len(found)} findings, more than the {limits.events} that are accepted"
        raise LimitError("limit.count", message)
    if nesting(canonical(document)) > limits.depth:
        raise LimitError("limit.count", f"more than {limits.depth} nested arrays and objects")
    go_on, said = _in_time(limits), []
    for where, value in found:
        go_on()
        said += [(where, code, why) for code, why in verify_finding(value, keys)]
    return said


def record_outcome(outcome: VerifiedMember | Finding, job: ReadRequest, summary: Summary) -> None:
    """Count an outcome, and tell of all that was found in it.

    Args:
        outcome: Of a bundle, or why one was refused.
        job: Whom to tell.
        summary: Where to count.
    """
    if isinstance(outcome, Finding):
        record_finding(outcome, job, summary)
        return
    summary.bundles_read += 1 - outcome.documents
    summary.documents_read += outcome.documents
    summary.integrity_verified += outcome.integrity_verified
    summary.events_valid += outcome.events_valid
    summary.receipts_verified += outcome.receipts_verified
    for report in outcome.reports:
        record_finding(report, job, summary)


def record_finding(report: Finding, job: ReadRequest, summary: Summary) -> None:
    """Count and tell of a finding, or of a refusal."""
    if report.code not in UNREAD_CODES and job.is_known(report):
        report = replace(report, is_known=True)
    summary.count(report)
    job.on_finding(report)


# `mirror verify` -----------------------------------------------------------------------------


def verify(job: ReadRequest, keys: KeySet) -> Summary:
    """Check sources and store nothing (`mirror verify`)."""
    summary = Summary()
    desk = _VerifyWorker(keys, job.limits, time.time_ns() // 1000)
    for outcomes in map_in_processes(batches(read(job)), desk, few=FEW_BATCHES):
        for outcome in outcomes:
            record_outcome(outcome, job, summary)
    return summary


@dataclass(frozen=True, slots=True)
class _VerifyWorker:
    """Where bundles are verified, in any process."""

    keys: KeySet
    limits: ReadLimits
    now: int

    def __call__(self, batch: Batch) -> list[VerifiedMember | Finding]:
        return [item if isinstance(item, Finding) else self._verify(item) for item in batch]

    def _verify(self, item: SourceMember) -> VerifiedMember | Finding:
        bundle = parse(item, self.limits, self.keys)
        if isinstance(bundle, Finding):
            return _verify_document(item, self.keys, self.limits) or bundle
        verified = verify_parsed(item, bundle, self.keys, StoredVerdicts(), self.limits)
        return verified if isinstance(verified, Finding) else outcome_of(item, verified, self.now)
