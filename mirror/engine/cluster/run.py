"""A run, as the client sees it: what to do next, what is done already, and what it came to.

What is done lies beside the results, in whole files. So the client may die at any moment: the
same command finds them, and does the rest.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import orjson
from distributed import Client, Future, as_completed

from mirror.archive import ReadLimits
from mirror.core.escaping import escape_name
from mirror.core.keys import KeySet
from mirror.core.merge import MERGE_VERSION, RULES
from mirror.core.redaction import redact
from mirror.core.transparency.merkle import FANOUT, NOTHING, Node, join
from mirror.core.values import canonical, sha256
from mirror.engine.cluster.merge_task import STATES_FOLDER, Partition, PartitionResult, read_merged
from mirror.engine.cluster.shuffle import (
    RowGroup,
    ShuffleTask,
    bits,
    choose_digits,
    merged_of,
    shuffle_and_merge,
)
from mirror.engine.cluster.splits import InputSource, InputSplit, SourceScan, stat_source, survey
from mirror.engine.cluster.storage import StoragePath, expand
from mirror.engine.cluster.task import KEYS, WORK, PieceSizes, TaskContext, keys_value
from mirror.engine.cluster.verify_task import (
    FINDINGS_FOLDER,
    SplitResult,
    verify_part,
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

__all__ = ["DATASET", "ClusterRequest", "ClusterResult", "merge_on_cluster"]

DATASET = "dataset.json"
"""Written last: where it is, all is there."""
_RUN = "run.json"
_LAST_FINDINGS = "whole-run"
"""What findings that belong to no part are called: after all others."""
_RETRIES = 2


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """What a person asked for."""

    names: Sequence[str]
    """The sources, paths or URLs; in a URL, `*`, `?` and `[` stand for several."""
    out: str
    """The folder of the results, a path or a URL."""
    keys: KeySet
    limits: ReadLimits = field(default_factory=ReadLimits)
    sizes: PieceSizes = field(default_factory=PieceSizes)
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _all: None
    """Told of a stage of the work, how many of its tasks are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class ClusterResult:
    """What a run came to."""

    root: StateRoot
    summary: Summary
    prefix_digits: int
    sources: list[str]

    def to_line(self) -> bytes:
        """Return it as `dataset.json` has it, one line."""
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
        """Return what `to_line` gave."""
        value = orjson.loads(data)
        root = StateRoot(**{name: value[name] for name in StateRoot.__dataclass_fields__})
        summary = Summary.from_value(value["summary"])
        return cls(root, summary, value["prefix_digits"], value["sources"])


def merge_on_cluster(client: Client, order: ClusterRequest) -> ClusterResult:
    """Read, verify and merge sources on the workers of a cluster (`mirror merge --cluster`).

    Raises:
        ClusterError: `cluster.versions`, `cluster.lost`, `cluster.shuffle`, `cluster.incomplete`.
        WorkerError: `worker.lost`
        SourceError: `source.changed`, `cluster.keys`, or `source.unreadable` of what a run left.
        OutputError: `output.failed`, `output.other_run`, `output.too_large`.
    """
    versions = require_same_versions(client)
    with translate_errors():
        run = _begin(client, order, versions)
        if run.out.has(DATASET):
            run.out.remove(WORK)
            return ClusterResult.from_bytes(run.out.read(DATASET))
        read = _verify_all(run)
        _require_unchanged(run)
        digits, merged = _merge_all(run, read)
        _require_all(run, read, merged)
        return _write_dataset(run, read, digits, merged)


# Beginning, or going on ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ClusterRun:
    client: Client
    order: ClusterRequest
    out: StoragePath
    name: str
    errand: TaskContext
    origins: list[InputSource]


def _begin(client: Client, order: ClusterRequest, versions: dict[str, str]) -> _ClusterRun:
    """Return the run that lies in the folder of the results, or a new one."""
    out, found = _open_results(order.out)
    origins = _look(client, order)
    plan = _plan(order, origins)
    if found is not None:
        known = orjson.loads(found)
        _require_same_plan(known["plan"], plan, order.out)
    else:
        known = {"run": secrets.token_hex(8), "now": time.time_ns() // 1000, "plan": plan}
        out.publish_bytes(KEYS, keys_value(order.keys))
        out.publish_bytes(_RUN, orjson.dumps(known))
    errand = TaskContext(
        _absolute(order.out), order.keys.digest, order.limits, known["now"], versions, order.sizes
    )
    return _ClusterRun(client, order, out, known["run"], errand, origins)


def _open_results(url: str) -> tuple[StoragePath, bytes | None]:
    """Return the folder of the results, and what says which run lies there, if one does.

    Raises:
        OutputError: `output.failed`, `output.other_run`.
    """
    try:
        out = StoragePath(url)
        if out.has(_RUN):
            return out, out.read(_RUN)
        _require_empty(out)
    except SourceError as error:
        reason, hint = error.message, "check the address and your permissions"
        raise OutputError("output.failed", reason, where=error.where, hint=hint) from error
    return out, None


def _look(client: Client, order: ClusterRequest) -> list[InputSource]:
    names = [one for name in order.names for one in expand(name)]
    origins = [
        InputSource(number, redact(escape_name(name)), _absolute(name))
        for number, name in enumerate(names)
    ]
    return _look_again(client, origins, order.sizes)


def _look_again(
    client: Client, origins: Iterable[InputSource], sizes: PieceSizes
) -> list[InputSource]:
    futures = client.map(stat_source, list(origins), part_bytes=sizes.part_bytes, pure=False)
    return cast("list[InputSource]", gather(client, futures))


def _absolute(name: str) -> str:
    """Return a URL, or a path, as every worker of this machine understands it."""
    return name if "://" in name or not name else str(Path.cwd() / name)


def _plan(order: ClusterRequest, origins: Iterable[InputSource]) -> dict[str, str]:
    """Return what a run's results follow from, each part of it as a digest."""
    sources = [
        [one.name, redact(escape_name(one.url)), one.version, one.is_surveyed] for one in origins
    ]
    parts = {
        "key set": order.keys.digest,
        "rules": RULES,
        "limits": asdict(order.limits),
        "sizes of work": asdict(order.sizes),
        "sources": sources,
    }
    return {name: sha256(canonical(cast("Any", part))).hex() for name, part in parts.items()}


def _require_same_plan(known: Mapping[str, str], plan: Mapping[str, str], out: str) -> None:
    if differing := [name for name, digest in plan.items() if known.get(name) != digest]:
        raise OutputError(
            "output.other_run",
            f"the results of another run lie there; it differs in: {', '.join(differing)}",
            where=redact(out),
            hint="name another folder, or remove this one",
        )


def _require_empty(out: StoragePath) -> None:
    for name in (DATASET, STATES_FOLDER, FINDINGS_FOLDER, WORK):
        if out.has(name) or StoragePath(out.within_url(name)).files():
            raise OutputError(
                "output.other_run",
                f"{name} lies there, and nothing says which run it is of",
                where=redact(out.url),
                hint="name another folder, or remove this one",
            )


def _require_unchanged(run: _ClusterRun) -> None:
    for was, now in zip(
        run.origins, _look_again(run.client, run.origins, run.order.sizes), strict=True
    ):
        if was != now:
            hint = "start again, in another folder for the results"
            message = "it changed while it was read"
            raise SourceError("source.changed", message, where=was.name, hint=hint)


# Verifying -----------------------------------------------------------------------------------


class _SourceProgress(NamedTuple):
    """A source, with what became of it."""

    survey: SourceScan | None
    parts: dict[InputSplit, SplitResult]


class _SourceTask(NamedTuple):
    """Work on a source: its survey, or a part of it."""

    origin: InputSource
    part: InputSplit | None
    is_last_try: bool = False


def _verify_all(run: _ClusterRun) -> list[_SourceProgress]:
    """Have every source surveyed, if it is worth it, and every part of it verified."""
    reads = [_SourceProgress(None, {}) for _ in run.origins]
    waiting, tasks = as_completed(), dict[Any, _SourceTask]()
    todo = [_SourceTask(one, None if one.is_surveyed else InputSplit(one)) for one in run.origins]
    done = total = 0
    while todo or tasks:
        for task in todo:
            future = _submit(run, task)
            tasks[future.key] = task
            waiting.add(future)
        total += len(todo)
        run.order.progress("verified", done, total)
        finished = next_finished(run.client, waiting)
        todo = _record_result(tasks.pop(finished.key), finished, reads)
        done += 1
    return reads


def _submit(run: _ClusterRun, task: _SourceTask) -> Future[Any]:
    settings: dict[str, Any] = {"pure": False, "retries": _RETRIES}
    if task.part is None:
        return run.client.submit(survey, task.origin, run.errand, **settings)
    settings["is_last_try"] = task.is_last_try
    return run.client.submit(verify_part, task.part, run.errand, **settings)


def _record_result(
    task: _SourceTask, finished: TaskResult, reads: list[_SourceProgress]
) -> list[_SourceTask]:
    """Note what a task came to, and return what is to be done next."""
    number = task.origin.number
    try:
        result = finished.result()
    except SourceError as error:
        if error.code not in UNREAD_CODES or task.is_last_try:
            raise
        origin = task.origin if task.part else replace(task.origin, is_surveyed=False)
        return [_SourceTask(origin, task.part or InputSplit(origin), is_last_try=True)]
    if isinstance(result, SourceScan):
        reads[number] = _SourceProgress(result, {})
        parts = [InputSplit(task.origin, part) for part in range(result.parts)]
        return [_SourceTask(task.origin, part) for part in parts]
    reads[number].parts[cast("InputSplit", task.part)] = result
    return []


# Merging -------------------------------------------------------------------------------------


def _merge_all(
    run: _ClusterRun, reads: Iterable[_SourceProgress]
) -> tuple[int, dict[int, PartitionResult]]:
    """Have every partition merged that is not; return by how many digits, and what they hold."""
    groups = list(_groups(reads))
    digits = choose_digits(groups, run.order.sizes)
    merged = _merged_before(run, digits)
    wanted = [number not in merged for number in range(16**digits)]
    if not groups or not any(wanted):
        return digits, merged
    job = ShuffleTask(run.name, run.errand, digits, bits(wanted) if merged else None)
    futures = shuffle_and_merge(run.client, groups, job)
    waiting = as_completed(futures)
    for done in range(1, len(futures) + 1):
        merged |= merged_of(next_finished(run.client, waiting).result())
        run.order.progress("merged", done, len(futures))
    return digits, merged


def _groups(reads: Iterable[_SourceProgress]) -> Iterator[RowGroup]:
    for read in reads:
        for part, verified in read.parts.items():
            for number, size in enumerate(verified.groups):
                yield RowGroup(SplitResult.file_of(part), number, size)


def _merged_before(run: _ClusterRun, digits: int) -> dict[int, PartitionResult]:
    there = StoragePath(run.out.within_url(STATES_FOLDER)).files()
    partitions = [Partition(one, digits) for one in range(16**digits)]
    found = [one for one in partitions if one.file.removeprefix(f"{STATES_FOLDER}/") in there]
    futures = run.client.map(
        read_merged, [run.errand.out] * len(found), found, pure=False, retries=_RETRIES
    )
    told = cast("list[PartitionResult]", gather(run.client, futures))
    pairs = zip(found, told, strict=True)
    return {one.number: merged for one, merged in pairs if merged.run == run.name}


def _require_all(
    run: _ClusterRun, reads: Iterable[_SourceProgress], merged: Mapping[int, PartitionResult]
) -> None:
    """Check that no bundle was lost or doubled on the way from one task to another.

    Raises:
        ClusterError: `cluster.incomplete`; no state is left then, for none is known to be right.
    """
    parts = [one for read in reads for one in read.parts.values()]
    verified = sum(one.summary.bundles_read for one in parts)
    found = sum(one.bundles for one in merged.values())
    if found != verified:
        run.out.remove(STATES_FOLDER)
        message = f"{verified:,} bundles were verified, and {found:,} merged"
        hint = "a worker ran something else, or failed; run the command again to merge anew"
        raise ClusterError("cluster.incomplete", message, where=redact(run.order.out), hint=hint)


# Finishing -----------------------------------------------------------------------------------


def _write_dataset(
    run: _ClusterRun,
    reads: Sequence[_SourceProgress],
    digits: int,
    merged: Mapping[int, PartitionResult],
) -> ClusterResult:
    """Say what all came to, and remove what was only on the way."""
    summary = Summary()
    for verified in (one for read in reads for one in read.parts.values()):
        summary.add(verified.summary)
    for partition in merged.values():
        summary.add(partition.summary)
    _report_missing_bases(run, reads, summary)
    node = _root_node({number: one.node for number, one in merged.items()}, digits)
    root = StateRoot(
        root=node.digest.hex(),
        key_set_digest=run.errand.key_set_digest,
        merge_version=MERGE_VERSION,
        records=node.size,
        events_valid=sum(one.events_valid for one in merged.values()),
        events_invalid=sum(one.events_invalid for one in merged.values()),
    )
    dataset = ClusterResult(root, summary, digits, [one.name for one in run.origins])
    run.out.publish_bytes(DATASET, dataset.to_line())
    run.out.remove(WORK)
    return dataset


def _report_missing_bases(
    run: _ClusterRun, reads: Sequence[_SourceProgress], summary: Summary
) -> None:
    bags = {origin.name: _bag(read) for origin, read in zip(run.origins, reads, strict=True)}
    _, missing = complete_bags(bags, lambda _manifest: False)
    reports = [missing_base(source, bags[source]) for source in missing]
    for report in reports:
        summary.count(report)
    if reports:
        write_findings(run.out, _LAST_FINDINGS, reports)


def _bag(read: _SourceProgress) -> BaseBag:
    parts = read.parts.values()
    if read.survey is None:
        return next(iter(parts)).bag
    found = BaseBag(is_whole=all(part.bag.is_whole for part in parts))
    if read.survey.bag is None or not all(part.is_sound for part in parts):
        return found
    return found.with_manifest(read.survey.bag)


def _root_node(nodes: Mapping[int, Node], digits: int) -> Node:
    """Return the root of a tree from its nodes so many digits below it."""
    for _ in range(digits):
        above: dict[int, list[Node]] = defaultdict(lambda: [NOTHING] * FANOUT)
        for number, node in nodes.items():
            above[number // FANOUT][number % FANOUT] = node
        nodes = {number: join(children) for number, children in above.items()}
    return nodes.get(0, NOTHING)
