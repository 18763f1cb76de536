"""The first task: read a part of the sources, verify it, and leave its facts to be shuffled.

The stages are those of `mirror.engine.ingest.pipeline`; the facts of a bundle, which a store would
keep, are a row here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from mirror.archive import Bag, Member, RefusedMember
from mirror.core.bundle import StoredVerdicts
from mirror.core.keys import KeySet
from mirror.core.msgpack_values import pack
from mirror.core.values import Object, Value
from mirror.engine.cluster.parquet import FACTS, FINDINGS, ParquetFile, read_footer
from mirror.engine.cluster.splits import InputSplit, read_part
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.task import WORK, TaskContext
from mirror.engine.export.base import BaseBag
from mirror.engine.findings import UNREAD_CODES, Finding, ReadRequest, Summary
from mirror.engine.ingest.pipeline import (
    SourceMember,
    VerifiedMember,
    outcome_of,
    parse,
    record_outcome,
    unreadable,
    verify_parsed,
    with_source,
)
from mirror.errors import SourceError
from mirror.store import NewFacts, StoredFacts, make_parcel

__all__ = ["FINDINGS_FOLDER", "SplitResult", "verify_part", "write_findings"]

FINDINGS_FOLDER = "findings"
_FINDINGS_BYTES = 4 << 20
"""Of one group of rows."""
_ROW_BYTES = 200
"""About what a row takes beside its values."""


@dataclass(slots=True)
class SplitResult:
    """What a part came to; it stands in the footer of the file of its facts."""

    summary: Summary = field(default_factory=Summary)
    footing: BaseBag = field(default_factory=BaseBag)
    is_sound: bool = True
    """Whether nothing was refused as the source was read."""
    groups: list[int] = field(default_factory=list)
    """Bytes of each group of rows in its file."""

    def to_value(self) -> Object:
        """Return it as JSON."""
        summary, footing = self.summary.to_value(), asdict(self.footing)
        groups = cast("list[Value]", self.groups)
        return {
            "summary": summary,
            "footing": footing,
            "is_sound": self.is_sound,
            "groups": groups,
        }

    @classmethod
    def from_value(cls, value: Object) -> SplitResult:
        """Return what `to_value` gave."""
        found = cast("dict[str, Any]", value)
        summary, footing = Summary.from_value(found["summary"]), BaseBag(**found["footing"])
        return cls(summary, footing, found["is_sound"], found["groups"])

    @staticmethod
    def file_of(part: InputSplit) -> str:
        """Where the facts of a part lie."""
        return f"{WORK}/verified/{part.file}.parquet"


def verify_part(part: InputSplit, errand: TaskContext, *, is_last_try: bool) -> SplitResult:
    """Verify a part, and leave its facts and its findings beside the results; do nothing twice.

    Args:
        part: What to read.
        errand: The run.
        is_last_try: Whether a source that cannot be read is a finding, as it is for one machine;
            else it is an error, and may be readable the next time.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`, `source.changed`, `cluster.keys`.
        OutputError: `output.failed`
    """
    out, keys = errand.begin()
    name = SplitResult.file_of(part)
    if out.has(name):
        return SplitResult.from_value(read_footer(out, name))
    done = SplitResult()
    with (
        ParquetFile(FACTS, errand.sizes.group_bytes) as facts,
        ParquetFile(FINDINGS, _FINDINGS_BYTES) as findings,
    ):
        job = ReadRequest((), lambda report: write_finding(findings, report))
        for item in _items(part, out, errand, done, is_last_try=is_last_try):
            outcome = item if isinstance(item, Finding) else _verify(item, keys, errand)
            record_outcome(outcome, job, done.summary)
            if isinstance(outcome, VerifiedMember):
                _write_facts(facts, cast("NewFacts", outcome.parcel))
            elif outcome.code.startswith("limit."):
                done.footing.is_whole = False
        if findings.count:
            findings.publish(out, f"{FINDINGS_FOLDER}/{part.file}.parquet", {})
        facts.flush()
        done.groups = facts.groups
        facts.publish(out, name, done.to_value())
    return done


def _items(
    part: InputSplit, out: StoragePath, errand: TaskContext, done: SplitResult, *, is_last_try: bool
) -> Iterator[SourceMember | Finding]:
    name = part.origin.name
    try:
        for one in read_part(part, out, errand.limits):
            if isinstance(one, Bag):
                done.footing = BaseBag.of(one, is_whole=done.footing.is_whole)
            else:
                done.is_sound = done.is_sound and not _is_fault(one)
                yield with_source(name, one)
    except SourceError as error:
        if error.code not in UNREAD_CODES or not is_last_try:
            raise
        done.is_sound = False
        yield unreadable(name, error)


def _is_fault(one: Member | RefusedMember) -> bool:
    return isinstance(one, RefusedMember) and not one.is_passed_over and one.code != "archive.empty"


def _verify(item: SourceMember, keys: KeySet, errand: TaskContext) -> VerifiedMember | Finding:
    bundle = parse(item, errand.limits, keys)
    if isinstance(bundle, Finding):
        return bundle
    verified = verify_parsed(item, bundle, keys, StoredVerdicts(), errand.limits)
    if isinstance(verified, Finding):
        return verified
    parcel = make_parcel(bundle, verified, StoredFacts(), None, keys)
    return outcome_of(item, verified, errand.now)._replace(parcel=parcel)


def _write_facts(facts: ParquetFile, parcel: NewFacts) -> None:
    faults = pack([[*one] for one in parcel.verdict_rows]) if parcel.verdict_rows else b""
    record = parcel.record[-1]
    row = (int.from_bytes(parcel.digest[:2]), parcel.digest, record, parcel.content, faults)
    facts.write_row(row, len(record) + len(parcel.content) + len(faults) + _ROW_BYTES)


# Findings ------------------------------------------------------------------------------------


def write_finding(findings: ParquetFile, report: Finding) -> None:
    """Write one finding down."""
    row = (
        report.source,
        report.member,
        report.pith_number,
        report.code,
        report.where,
        report.message,
        report.digest,
    )
    findings.write_row(row, sum(len(one or "") for one in row) + _ROW_BYTES)


def write_findings(out: StoragePath, name: str, reports: list[Finding]) -> None:
    """Write findings that belong to no part.

    Raises:
        OutputError: `output.failed`
    """
    with ParquetFile(FINDINGS, _FINDINGS_BYTES) as findings:
        for report in reports:
            write_finding(findings, report)
        findings.publish(out, f"{FINDINGS_FOLDER}/{name}.parquet", {})
