"""The first task: read a part of the sources, verify it, and leave its facts to be shuffled.

Members are verified by `mirror.engine.ingest.worker`; the facts of a bundle, which a store would
keep, are a row here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mirror.archive import Bag, Member, RefusedMember
from mirror.core.msgpack_values import pack
from mirror.core.values import Object
from mirror.engine.cluster.parquet import FACTS, FINDINGS, ParquetFile, read_footer
from mirror.engine.cluster.splits import InputSplit, read_part
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.task import WORK, TaskContext
from mirror.engine.findings import UNREAD_CODES, Finding, ReadRequest, Summary
from mirror.engine.ingest.base_bag import BaseBag
from mirror.engine.ingest.pipeline import source_item, unreadable
from mirror.engine.ingest.worker import Item, SourceBag, SourceMember, VerifyContext, process
from mirror.errors import SourceError
from mirror.store import NewFacts

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
    bag: BaseBag = field(default_factory=BaseBag)
    is_sound: bool = True
    """Whether nothing was refused as the source was read."""
    groups: list[int] = field(default_factory=list)
    """Bytes of each group of rows in its file."""

    def to_value(self) -> Object:
        """Return it as JSON."""
        return {
            "summary": self.summary.to_value(),
            "bag": self.bag._asdict(),
            "is_sound": self.is_sound,
            "groups": [*self.groups],
        }

    @classmethod
    def from_value(cls, value: Object) -> SplitResult:
        """Return what `to_value` gave."""
        found: Any = value
        summary, bag = Summary.from_value(found["summary"]), BaseBag(**found["bag"])
        return cls(summary, bag, found["is_sound"], found["groups"])

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
        context = VerifyContext(keys, errand.limits, errand.now, encodes_facts=True)
        for item in _items(part, out, errand, done, is_last_try=is_last_try):
            if isinstance(item, SourceBag):
                done.bag = done.bag.with_manifest(item.bag)
                continue
            outcome = process(item, context) if isinstance(item, SourceMember) else item
            done.summary.record(outcome, job)
            if isinstance(outcome, Finding):
                done.bag = done.bag.after_refusal(outcome)
            elif outcome.new_facts is not None:
                _write_facts(facts, outcome.new_facts)
        if findings.count:
            findings.publish(out, f"{FINDINGS_FOLDER}/{part.file}.parquet", {})
        facts.flush()
        done.groups = facts.groups
        facts.publish(out, name, done.to_value())
    return done


def _items(
    part: InputSplit, out: StoragePath, errand: TaskContext, done: SplitResult, *, is_last_try: bool
) -> Iterator[Item]:
    name = part.origin.name
    try:
        for one in read_part(part, out, errand.limits):
            done.is_sound = done.is_sound and not _is_fault(one)
            yield source_item(name, one)
    except SourceError as error:
        if error.code not in UNREAD_CODES or not is_last_try:
            raise
        done.is_sound = False
        yield unreadable(name, error)


def _is_fault(one: Member | RefusedMember | Bag) -> bool:
    return isinstance(one, RefusedMember) and not one.is_passed_over and one.code != "archive.empty"


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
