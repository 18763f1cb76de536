"""Merges the same sources on one machine and on a cluster, and reads both results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from distributed import Client
from pyarrow import parquet

from mirror.archive import ReadLimits
from mirror.core.escaping import escape_name
from mirror.core.keys import KeySet
from mirror.engine.cluster import ClusterRequest, ClusterResult, TaskSizes, merge_on_cluster
from mirror.engine.cluster.splits import InputSource, InputSplit, scan_source, stat_source
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.task import KEY_SET_FILE, TaskContext, key_set_file
from mirror.engine.cluster.versions import find_versions
from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.current import current_text, replay
from mirror.engine.states.root import StateRoot, read_root, update_root
from mirror.engine.states.trust import add_keys
from mirror.store import Store, open_store
from tests.helpers import ids_in, keys_of

NO_KEYS = keys_of()
"""The built-in key alone."""
NO_LIMITS = ReadLimits()
NOW = 2_000_000_000_000_000
"""In 2033, so that no event of these tests is dated after it."""
USUAL = TaskSizes()
TINY = TaskSizes(split_bytes=1, row_group_bytes=1)
"""Smallest sizes: one bundle in a split, one bundle in a row group."""


class StateRow(NamedTuple):
    """Row of a record in a dataset, named like its columns."""

    pith_number: str
    canonical_sha256: str
    state_digest: str
    core_digest: str
    event_count: int
    valid_event_count: int
    invalid_event_count: int
    equivocation_count: int
    state: str


@dataclass(frozen=True)
class Answer:
    """Result of a merge."""

    root: StateRoot
    states: dict[str, StateRow]
    """Rows by Pith Number."""
    findings: list[Finding]
    summary: dict[str, Any]

    @property
    def codes(self) -> list[str]:
        """The codes of the findings, in order."""
        return [one.code for one in self.findings]

    @property
    def texts(self) -> dict[str, str]:
        """The states alone, by Pith Number."""
        return {number: row.state for number, row in self.states.items()}


# One machine ---------------------------------------------------------------------------------


def single(
    sources: Sequence[str], keys: KeySet = NO_KEYS, limits: ReadLimits = NO_LIMITS
) -> Answer:
    """The result of `mirror merge`, in memory."""
    findings: list[Finding] = []
    with open_store(None) as store:
        add_keys(store, keys)
        summary = ingest(store, ReadRequest(sources, findings.append, limits=limits))
        update_root(store)
        with store.snapshot():
            rows = [_row(store, record_id) for record_id in ids_in(store)]
            root = read_root(store)
    return Answer(root, {row.pith_number: row for row in rows}, findings, summary.to_value())


def _row(store: Store, record_id: int) -> StateRow:
    keys = store.trust_log.key_set()
    record = store.records.get(record_id)
    state = replay(store.facts.load(record_id), keys)
    return StateRow(
        record.pith_number,
        record.canonical_sha256,
        state.digest,
        state.core_digest,
        state.count("event_count"),
        state.count("valid_event_count"),
        state.count("invalid_event_count"),
        state.count("equivocation_count"),
        current_text(store, record_id, keys).decode(),
    )


# A cluster -----------------------------------------------------------------------------------


def clustered(
    client: Client,
    sources: Sequence[str],
    out: Path,
    *,
    keys: KeySet = NO_KEYS,
    limits: ReadLimits = NO_LIMITS,
    sizes: TaskSizes = USUAL,
) -> Answer:
    """The result of `mirror merge --cluster`, which leaves no other files in its folder."""
    dataset = merge_on_cluster(client, ClusterRequest(sources, str(out), keys, limits, sizes))
    answer = read_answer(out)
    assert dataset == ClusterResult.from_bytes((out / "dataset.json").read_bytes())
    assert (dataset.root, dataset.summary.to_value()) == (answer.root, answer.summary)
    return answer


def read_answer(out: Path) -> Answer:
    """The result in a finished dataset, read without code of the cluster."""
    dataset = json.loads((out / "dataset.json").read_bytes())
    others = {path.name for path in out.iterdir()} - {"states", "findings"}
    assert {"dataset.json", "keys.json", "run.json"} == others
    rows = _states(out, dataset["prefix_digits"])
    findings = [
        Finding(**row)
        for path in sorted((out / "findings").glob("*"))
        for row in parquet.read_table(path).to_pylist()
    ]
    root = StateRoot(**{name: dataset[name] for name in StateRoot.__dataclass_fields__})
    return Answer(root, {row.pith_number: row for row in rows}, findings, dataset["summary"])


def _states(out: Path, digits: int) -> list[StateRow]:
    """The rows of all states; each record is in its own partition, sorted, once."""
    rows: list[StateRow] = []
    for path in sorted((out / "states").glob("*/*")):
        prefix = path.parent.name.removeprefix("prefix=")
        found = [StateRow(**row) for row in parquet.ParquetFile(path).read().to_pylist()]
        assert path.name == "states.parquet"
        assert [prefix] * len(found) == [one.canonical_sha256[:digits] for one in found]
        rows += found
    digests = [row.canonical_sha256 for row in rows]
    assert sorted(set(digests)) == digests
    return rows


# One task, in this process -------------------------------------------------------------------


def context_in(
    out: Path, keys: KeySet = NO_KEYS, limits: ReadLimits = NO_LIMITS, sizes: TaskSizes = TINY
) -> TaskContext:
    """Context of the tasks of a run with a new folder of results."""
    StoragePath(str(out)).put_bytes(KEY_SET_FILE, key_set_file(keys))
    return TaskContext(str(out), keys.digest, limits, NOW, find_versions(), sizes)


def source_of(source: Path | str, sizes: TaskSizes = TINY) -> InputSource:
    """The only source of a run, with its status."""
    return stat_source(InputSource(0, escape_name(str(source)), str(source)), sizes.split_bytes)


def splits_of(source: InputSource, context: TaskContext) -> list[InputSplit]:
    """Its splits, after a scan if it needs one."""
    count = scan_source(source, context).splits if source.is_splittable else 1
    return [InputSplit(source, number) for number in range(count)]
