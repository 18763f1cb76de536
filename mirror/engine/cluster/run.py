"""Client of a run: submits tasks, resumes an interrupted run, and combines the results.

Finished tasks leave complete files beside the results. If the client is interrupted, the same
command finds them and does the remaining work.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson
from distributed import Client, Future, as_completed

from mirror.archive import ReadLimits
from mirror.core.escaping import escape_name
from mirror.core.keys import KeySet
from mirror.core.redaction import redact
from mirror.core.rules import MERGE_VERSION, RULES
from mirror.core.transparency.merkle import FANOUT, NOTHING, Node, join
from mirror.core.values import canonical, sha256
from mirror.engine.cluster.merge_task import (
    STATES_FOLDER,
    Partition,
    PartitionResult,
    read_partition_result,
)
from mirror.engine.cluster.shuffle import (
    RowGroup,
    ShuffleTask,
    choose_digits,
    pack_flags,
    partition_results,
    shuffle_and_merge,
)
from mirror.engine.cluster.splits import (
    InputSource,
    InputSplit,
    SourceScan,
    scan_source,
    stat_source,
)
from mirror.engine.cluster.storage import StoragePath, expand_glob
from mirror.engine.cluster.task import (
    KEY_SET_FILE,
    WORK_FOLDER,
    TaskContext,
    TaskSizes,
    key_set_file,
)
from mirror.engine.cluster.verify_task import (
    FINDINGS_FOLDER,
    SplitResult,
    verify_split,
    write_findings,
)
from mirror.engine.cluster.workers import (
    TaskResult,
    gather,
    next_finished,
    require_same_versions,
    translate_errors,
)
from mirror.engine.findings import UNREAD_CODES, Summary
from mirror.engine.ingest.base_bag import BaseBag, complete_bags, missing_base
from mirror.engine.states.root import StateRoot
from mirror.errors import ClusterError, OutputError, SourceError

__all__ = ["DATASET_FILE", "ClusterRequest", "ClusterResult", "merge_on_cluster"]

DATASET_FILE = "dataset.json"
"""Written last: if it exists, the results are complete."""
_RUN_FILE = "run.json"
_RUN_FINDINGS = "whole-run"
"""Name of the file of findings about the whole run; sorts after all others."""
_RETRIES = 2


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """Sources, keys and options of a run."""

    names: Sequence[str]
    """Paths or URLs of the sources; a URL may be a glob pattern (`*`, `?`, `[`)."""
    out: str
    """Path or URL of the folder of the results."""
    keys: KeySet
    limits: ReadLimits = field(default_factory=ReadLimits)
    sizes: TaskSizes = field(default_factory=TaskSizes)
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _all: None
    """Called with a stage of the work, the number of finished tasks, and the number of all."""


@dataclass(frozen=True, slots=True)
class ClusterResult:
    """Result of a run."""

    root: StateRoot
    summary: Summary
    prefix_digits: int
    sources: list[str]

    def to_line(self) -> bytes:
        """Return it as the JSON of `dataset.json`, one line."""
        value = {
            "dataset_type": "pith_mirror_states",
            "dataset_version": "1.0",
            **asdict(self.root),
            "prefix_digits": self.prefix_digits,
            "summary": self.summary.to_value(),
            "sources": self.sources,
        }
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the result of a line from `to_line`."""
        value = orjson.loads(data)
        root = StateRoot(**{name: value[name] for name in StateRoot.__dataclass_fields__})
        summary = Summary.from_value(value["summary"])
        return cls(root, summary, value["prefix_digits"], value["sources"])


def merge_on_cluster(client: Client, request: ClusterRequest) -> ClusterResult:
    """Read, verify and merge sources on the workers of a cluster (`mirror merge --cluster`).

    Raises:
        ClusterError: `cluster.versions`, `cluster.lost`, `cluster.shuffle`, `cluster.incomplete`.
        WorkerError: `worker.lost`
        SourceError: `source.changed`, `cluster.keys`, or `source.unreadable` for a file of the run.
        OutputError: `output.failed`, `output.other_run`, `output.too_large`.
    """
    versions = require_same_versions(client)
    with translate_errors():
        run = _begin(client, request, versions)
        if run.out.exists(DATASET_FILE):
            run.out.remove(WORK_FOLDER)
            return ClusterResult.from_bytes(run.out.read_bytes(DATASET_FILE))
        read = _verify_all(run)
        _require_unchanged(run)
        digits, merged = _merge_all(run, read)
        _require_all(run, read, merged)
        return _write_dataset(run, read, digits, merged)


# Starting or resuming ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ClusterRun:
    client: Client
    request: ClusterRequest
    out: StoragePath
    name: str
    context: TaskContext
    sources: list[InputSource]


def _begin(client: Client, request: ClusterRequest, versions: dict[str, str]) -> _ClusterRun:
    """Return the run in the folder of the results, or a new one."""
    out, found = _open_results(request.out)
    sources = _expand_sources(client, request)
    plan = _plan(request, sources)
    if found is not None:
        known = orjson.loads(found)
        _require_same_plan(known["plan"], plan, request.out)
    else:
        known = {"run": secrets.token_hex(8), "now": time.time_ns() // 1000, "plan": plan}
        out.put_bytes(KEY_SET_FILE, key_set_file(request.keys))
        out.put_bytes(_RUN_FILE, orjson.dumps(known))
    context = TaskContext(
        _absolute(request.out),
        request.keys.digest,
        request.limits,
        known["now"],
        versions,
        request.sizes,
    )
    return _ClusterRun(client, request, out, known["run"], context, sources)


def _open_results(url: str) -> tuple[StoragePath, bytes | None]:
    """Return the folder of the results, and the content of its `run.json`, if it exists.

    Raises:
        OutputError: `output.failed`, `output.other_run`.
    """
    try:
        out = StoragePath(url)
        if out.exists(_RUN_FILE):
            return out, out.read_bytes(_RUN_FILE)
        _require_empty(out)
    except SourceError as error:
        reason, hint = error.message, "check the address and your permissions"
        raise OutputError("output.failed", reason, where=error.where, hint=hint) from error
    return out, None


def _expand_sources(client: Client, request: ClusterRequest) -> list[InputSource]:
    names = [one for name in request.names for one in expand_glob(name)]
    sources = [
        InputSource(number, redact(escape_name(name)), _absolute(name))
        for number, name in enumerate(names)
    ]
    return _stat_sources(client, sources, request.sizes)


def _stat_sources(
    client: Client, sources: Iterable[InputSource], sizes: TaskSizes
) -> list[InputSource]:
    futures = client.map(stat_source, list(sources), split_bytes=sizes.split_bytes, pure=False)
    return gather(client, futures)


def _absolute(name: str) -> str:
    """Return a URL as it is, and a path as an absolute path for workers of this machine."""
    return name if "://" in name or not name else str(Path.cwd() / name)


def _plan(request: ClusterRequest, sources: Iterable[InputSource]) -> dict[str, str]:
    """Return a digest of each input on which the results depend, by its name."""
    inputs: dict[str, Any] = {
        "key set": request.keys.digest,
        "rules": RULES,
        "limits": asdict(request.limits),
        "task sizes": asdict(request.sizes),
        "sources": [
            [one.name, redact(escape_name(one.url)), one.version, one.is_splittable]
            for one in sources
        ],
    }
    return {name: sha256(canonical(value)).hex() for name, value in inputs.items()}


def _require_same_plan(known: Mapping[str, str], plan: Mapping[str, str], out: str) -> None:
    if differing := [name for name, digest in plan.items() if known.get(name) != digest]:
        raise OutputError(
            "output.other_run",
            f"the folder has the results of another run, which differs in: {', '.join(differing)}",
            where=redact(out),
            hint="give another folder, or remove this one",
        )


def _require_empty(out: StoragePath) -> None:
    for name in (DATASET_FILE, STATES_FOLDER, FINDINGS_FOLDER, WORK_FOLDER):
        if out.exists(name) or StoragePath(out.join_url(name)).files():
            raise OutputError(
                "output.other_run",
                f"the folder has {name} of an unknown run (there is no {_RUN_FILE})",
                where=redact(out.url),
                hint="give another folder, or remove this one",
            )


def _require_unchanged(run: _ClusterRun) -> None:
    for was, now in zip(
        run.sources, _stat_sources(run.client, run.sources, run.request.sizes), strict=True
    ):
        if was != now:
            hint = "start again with another folder for the results"
            message = "it changed while it was read"
            raise SourceError("source.changed", message, where=was.name, hint=hint)


# Verifying -----------------------------------------------------------------------------------


class _SourceProgress(NamedTuple):
    """Scan of a source, if it is splittable, and the results of its splits."""

    scan: SourceScan | None
    splits: dict[InputSplit, SplitResult]


class _SourceTask(NamedTuple):
    """A task: to scan a source, or to verify a split."""

    source: InputSource
    split: InputSplit | None
    is_last_try: bool = False


def _verify_all(run: _ClusterRun) -> list[_SourceProgress]:
    """Submit the scans of splittable sources and the verification of all splits, and wait."""
    progress = [_SourceProgress(None, {}) for _ in run.sources]
    waiting, tasks = as_completed(), dict[Any, _SourceTask]()
    todo = [_SourceTask(one, None if one.is_splittable else InputSplit(one)) for one in run.sources]
    done = total = 0
    while todo or tasks:
        for task in todo:
            future = _submit(run, task)
            tasks[future.key] = task
            waiting.add(future)
        total += len(todo)
        run.request.progress("verified", done, total)
        finished = next_finished(run.client, waiting)
        todo = _record_result(tasks.pop(finished.key), finished, progress)
        done += 1
    return progress


def _submit(run: _ClusterRun, task: _SourceTask) -> Future[Any]:
    settings: dict[str, Any] = {"pure": False, "retries": _RETRIES}
    if task.split is None:
        return run.client.submit(scan_source, task.source, run.context, **settings)
    settings["is_last_try"] = task.is_last_try
    return run.client.submit(verify_split, task.split, run.context, **settings)


def _record_result(
    task: _SourceTask, finished: TaskResult, progress: list[_SourceProgress]
) -> list[_SourceTask]:
    """Record the result of a task, and return the tasks that follow."""
    number = task.source.number
    try:
        result = finished.result()
    except SourceError as error:
        if error.code not in UNREAD_CODES or task.is_last_try:
            raise
        source = task.source if task.split else replace(task.source, is_splittable=False)
        return [_SourceTask(source, task.split or InputSplit(source), is_last_try=True)]
    if task.split is None:
        progress[number] = _SourceProgress(result, {})
        splits = [InputSplit(task.source, split) for split in range(result.splits)]
        return [_SourceTask(task.source, split) for split in splits]
    progress[number].splits[task.split] = result
    return []


# Merging -------------------------------------------------------------------------------------


def _merge_all(
    run: _ClusterRun, reads: Iterable[_SourceProgress]
) -> tuple[int, dict[int, PartitionResult]]:
    """Merge all partitions that are not merged yet; return the number of digits and all results."""
    groups = list(_groups(reads))
    digits = choose_digits(groups, run.request.sizes)
    merged = _earlier_results(run, digits)
    pending = [number not in merged for number in range(16**digits)]
    if not groups or not any(pending):
        return digits, merged
    job = ShuffleTask(run.name, run.context, digits, pack_flags(pending) if merged else None)
    futures = shuffle_and_merge(run.client, groups, job)
    waiting = as_completed(futures)
    for done in range(1, len(futures) + 1):
        merged |= partition_results(next_finished(run.client, waiting).result())
        run.request.progress("merged", done, len(futures))
    return digits, merged


def _groups(reads: Iterable[_SourceProgress]) -> Iterator[RowGroup]:
    for read in reads:
        for split, verified in read.splits.items():
            for number, size in enumerate(verified.row_groups):
                yield RowGroup(SplitResult.path_of(split), number, size)


def _earlier_results(run: _ClusterRun, digits: int) -> dict[int, PartitionResult]:
    files = StoragePath(run.out.join_url(STATES_FOLDER)).files()
    partitions = [Partition(one, digits) for one in range(16**digits)]
    found = [one for one in partitions if one.path.removeprefix(f"{STATES_FOLDER}/") in files]
    futures = run.client.map(
        read_partition_result, [run.context.out] * len(found), found, pure=False, retries=_RETRIES
    )
    results: list[PartitionResult] = gather(run.client, futures)
    pairs = zip(found, results, strict=True)
    return {one.number: merged for one, merged in pairs if merged.run == run.name}


def _require_all(
    run: _ClusterRun, reads: Iterable[_SourceProgress], merged: Mapping[int, PartitionResult]
) -> None:
    """Check that no bundle was lost or duplicated between tasks.

    Raises:
        ClusterError: `cluster.incomplete`; all states are removed, because any may be wrong.
    """
    splits = [one for read in reads for one in read.splits.values()]
    verified = sum(one.summary.bundles_read for one in splits)
    found = sum(one.bundles for one in merged.values())
    if found != verified:
        run.out.remove(STATES_FOLDER)
        message = f"{verified:,} bundles were verified, and {found:,} merged"
        hint = "a worker failed or ran other code; run the command again to repeat the merge"
        raise ClusterError("cluster.incomplete", message, where=redact(run.request.out), hint=hint)


# Finishing -----------------------------------------------------------------------------------


def _write_dataset(
    run: _ClusterRun,
    reads: Sequence[_SourceProgress],
    digits: int,
    merged: Mapping[int, PartitionResult],
) -> ClusterResult:
    """Combine the results, write `dataset.json`, and remove temporary files."""
    summary = Summary()
    for verified in (one for read in reads for one in read.splits.values()):
        summary.add(verified.summary)
    for partition in merged.values():
        summary.add(partition.summary)
    _report_missing_bases(run, reads, summary)
    node = _root_node({number: one.node for number, one in merged.items()}, digits)
    root = StateRoot(
        root=node.digest.hex(),
        key_set_digest=run.context.key_set_digest,
        merge_version=MERGE_VERSION,
        records=node.size,
        events_valid=sum(one.events_valid for one in merged.values()),
        events_invalid=sum(one.events_invalid for one in merged.values()),
    )
    dataset = ClusterResult(root, summary, digits, [one.name for one in run.sources])
    run.out.put_bytes(DATASET_FILE, dataset.to_line())
    run.out.remove(WORK_FOLDER)
    return dataset


def _report_missing_bases(
    run: _ClusterRun, reads: Sequence[_SourceProgress], summary: Summary
) -> None:
    bags = {source.name: _bag(read) for source, read in zip(run.sources, reads, strict=True)}
    _, missing = complete_bags(bags, lambda _manifest: False)
    findings = [missing_base(name, bags[name]) for name in missing]
    for finding in findings:
        summary.count(finding)
    if findings:
        write_findings(run.out, _RUN_FINDINGS, findings)


def _bag(read: _SourceProgress) -> BaseBag:
    splits = read.splits.values()
    if read.scan is None:
        return next(iter(splits)).bag
    found = BaseBag(is_whole=all(split.bag.is_whole for split in splits))
    if read.scan.bag is None or not all(split.is_valid for split in splits):
        return found
    return found.with_manifest(read.scan.bag)


def _root_node(nodes: Mapping[int, Node], digits: int) -> Node:
    """Return the root of a tree from its nodes at the depth of `digits`."""
    for _ in range(digits):
        above: dict[int, list[Node]] = defaultdict(lambda: [NOTHING] * FANOUT)
        for number, node in nodes.items():
            above[number // FANOUT][number % FANOUT] = node
        nodes = {number: join(children) for number, children in above.items()}
    return nodes.get(0, NOTHING)
