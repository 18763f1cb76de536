"""First task: reads and verifies a split of a source, and writes its facts for the shuffle.

Members are verified by `mirror.engine.ingest.worker`. The facts of a bundle become a row of a
Parquet file instead of rows of a store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from mirror.archive import is_refusal
from mirror.core.msgpack_values import pack
from mirror.engine.cluster.parquet import FACTS_SCHEMA, FINDINGS_SCHEMA, ParquetFile, read_footer
from mirror.engine.cluster.splits import InputSplit, read_split
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.task import WORK_FOLDER, TaskContext
from mirror.engine.findings import UNREAD_CODES, Finding, ReadRequest, Summary
from mirror.engine.ingest.base_bag import BaseBag
from mirror.engine.ingest.pipeline import in_batches, source_item, unreadable
from mirror.engine.ingest.worker import Item, SourceBag, VerifyContext, process_batch
from mirror.engine.native_engine import engine_for
from mirror.errors import SourceError
from mirror.store import NewFacts

__all__ = ["FINDINGS_FOLDER", "SplitResult", "verify_split", "write_findings"]

FINDINGS_FOLDER = "findings"
_FINDINGS_BYTES = 4 << 20
"""Bytes of a row group of findings."""
_ROW_BYTES = 200
"""Approximate bytes of a row in memory, besides its values."""


@dataclass(slots=True)
class SplitResult:
    """Result of verifying a split, which is the footer of its file of facts."""

    summary: Summary = field(default_factory=Summary)
    bag: BaseBag = field(default_factory=BaseBag)
    is_valid: bool = True
    """Whether nothing in the split was refused."""
    row_groups: list[int] = field(default_factory=list)
    """Bytes of each row group in its file."""

    def to_value(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return {
            "summary": self.summary.to_value(),
            "bag": self.bag._asdict(),
            "is_valid": self.is_valid,
            "row_groups": self.row_groups,
        }

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> SplitResult:
        """Return the result of a value from `to_value`."""
        summary, bag = Summary.from_value(value["summary"]), BaseBag(**value["bag"])
        return cls(summary, bag, value["is_valid"], value["row_groups"])

    @staticmethod
    def path_of(split: InputSplit) -> str:
        """Return the path of the facts of a split, in the folder of the results."""
        return f"{WORK_FOLDER}/verified/{split.name_prefix}.parquet"


def verify_split(split: InputSplit, context: TaskContext, *, is_last_try: bool) -> SplitResult:
    """Verify a split; write its facts and findings beside the results, unless they exist.

    Args:
        split: The split to read.
        context: Context of the run.
        is_last_try: Whether an unreadable source becomes a finding, as on one machine; otherwise
            an error is raised, because it may be readable in the next try.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`, `source.changed`, `cluster.keys`.
        OutputError: `output.failed`
    """
    out, keys = context.begin()
    name = SplitResult.path_of(split)
    if out.exists(name):
        return SplitResult.from_value(read_footer(out, name))
    done = SplitResult()
    with (
        ParquetFile(FACTS_SCHEMA, context.task_sizes.row_group_bytes) as facts,
        ParquetFile(FINDINGS_SCHEMA, _FINDINGS_BYTES) as findings,
    ):
        request = ReadRequest((), lambda finding: write_finding(findings, finding))
        verify = VerifyContext(keys, context.limits, context.now, encodes_facts=True)
        engine = engine_for(keys, context.limits.for_bundles(keys.profiles))
        batches = in_batches(_items(split, out, context, done, is_last_try=is_last_try))
        for outcome in chain.from_iterable(
            process_batch(verify, engine, None, batch) for batch in batches
        ):
            if isinstance(outcome, SourceBag):
                done.bag = done.bag.with_manifest(outcome.bag)
                continue
            done.summary.record(outcome, request)
            if isinstance(outcome, Finding):
                done.bag = done.bag.after_refusal(outcome)
            elif outcome.new_facts is not None:
                _write_facts(facts, outcome.new_facts)
        if findings.row_count:
            findings.publish(out, f"{FINDINGS_FOLDER}/{split.name_prefix}.parquet", {})
        facts.flush()
        done.row_groups = facts.row_group_sizes
        facts.publish(out, name, done.to_value())
    return done


def _items(
    split: InputSplit,
    out: StoragePath,
    context: TaskContext,
    done: SplitResult,
    *,
    is_last_try: bool,
) -> Iterator[Item]:
    name = split.source.name
    try:
        for one in read_split(split, out, context.limits):
            done.is_valid &= not (is_refusal(one) and one.code != "archive.empty")
            yield source_item(name, one)
    except SourceError as error:
        if error.code not in UNREAD_CODES or not is_last_try:
            raise
        done.is_valid = False
        yield unreadable(name, error)


def _write_facts(file: ParquetFile, facts: NewFacts) -> None:
    verdicts = pack([[*one] for one in facts.verdict_rows]) if facts.verdict_rows else b""
    record = facts.record[-1]
    row = (int.from_bytes(facts.digest[:2]), facts.digest, record, facts.content, verdicts)
    file.write_row(row, len(record) + len(facts.content) + len(verdicts) + _ROW_BYTES)


# Findings ------------------------------------------------------------------------------------


def write_finding(file: ParquetFile, finding: Finding) -> None:
    """Write one finding as a row."""
    row = tuple(getattr(finding, name) for name in FINDINGS_SCHEMA.names)
    file.write_row(row, sum(len(one or "") for one in row) + _ROW_BYTES)


def write_findings(out: StoragePath, name: str, findings: list[Finding]) -> None:
    """Write findings of the whole run as a file.

    Raises:
        OutputError: `output.failed`
    """
    with ParquetFile(FINDINGS_SCHEMA, _FINDINGS_BYTES) as file:
        for finding in findings:
            write_finding(file, finding)
        file.publish(out, f"{FINDINGS_FOLDER}/{name}.parquet", {})
