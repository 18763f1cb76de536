"""Memory of a worker depends on the size of a task, not of a source or its facts."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
from distributed import Client

from mirror.core.bundle import parse_bundle, verify_bundle
from mirror.core.merge import merge_bundles
from mirror.core.transparency.merkle import Leaf, root
from mirror.engine.cluster import ClusterRequest, TaskSizes, merge_on_cluster
from mirror.errors import MirrorError
from tests.builders import (
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_record,
    snapshot,
    to_json,
)
from tests.cluster.dask_program import local_cluster
from tests.cluster.processes import ended_after
from tests.helpers import keys_of
from tests.processes import PATIENCE_S

AUTHOR = Signer("author")
KEYS = keys_of(AUTHOR)

EVENTS = 4000
"""Events of one record, in many bundles."""
LARGE = 800
"""Bundles of 100 kB, each of its own record."""
SIZES = TaskSizes(split_bytes=2_000_000, row_group_bytes=1_000_000, partition_bytes=4_000_000)
MIB = 1 << 20
VERIFIED_MIB, MERGED_MIB = 60, 140
"""The most by which a worker may grow until all splits are verified, and until the end."""


def _long_record() -> list[bytes]:
    record = make_record(arxiv_id="2402.00001")
    events = [
        make_event(record, AUTHOR, "author_claimed", author_claim(f"somebody {number}"))
        for number in range(EVENTS)
    ]
    return [to_json(make_bundle(record, events[at : at + 500])) for at in range(0, EVENTS, 500)]


def _large(numbers: Iterable[int]) -> Iterator[bytes]:
    """Bundles with one unsigned event; as a value, their text takes four times as much memory.

    For one character in it needs four bytes, and Python gives each as many.
    """
    any_bytes = random.Random(1)
    event = make_event(make_record(), AUTHOR, "graph_snapshot", {})
    for number in numbers:
        record = make_record(arxiv_id=f"2401.{number:05}")
        payload = snapshot({"text": "\N{MIRROR}" + any_bytes.randbytes(50_000).hex()})
        yield to_json(make_bundle(record, [{**event, "payload": payload}]))


def _tar(path: Path, bundles: Iterable[bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for number, data in enumerate(bundles):
            member = tarfile.TarInfo(f"{number:06}.bundle.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


class Input(NamedTuple):
    """A bag with half of the bundles, and a file of lines with the other half."""

    folder: Path
    sources: list[str]
    root: str
    """Bytes of its states in the core."""


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """The bundles of the long record are mixed with the others, in both sources."""
    folder = tmp_path_factory.mktemp("skewed")
    sources = [str(folder / "bag.tar"), str(folder / "file.jsonl")]
    long, halves = _long_record(), (range(LARGE // 2), range(LARGE // 2, LARGE))
    _tar(folder / "bag.tar", chain(long[::2], _large(halves[0])))
    with Path(sources[1]).open("wb") as file:
        file.writelines(line + b"\n" for line in chain(_large(halves[1]), long[1::2]))
    _tar(folder / "small.tar", _large(range(LARGE, LARGE + 8)))
    records = chain([long], ([one] for half in halves for one in _large(half)))
    return Input(folder, sources, root(map(_leaf, records)).hex())


def _leaf(texts: Sequence[bytes]) -> Leaf:
    """The result of merging the bundles of one record."""
    bundles = [verify_bundle(parse_bundle(text), KEYS) for text in texts]
    return bundles[0].record.digest, merge_bundles(bundles, KEYS).raw_core_digest


def _values_bytes(text: bytes) -> int:
    """Bytes that JSON values take."""
    tracemalloc.start()
    try:
        value = json.loads(text)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value
    return size


def _forget_peak() -> None:
    """Reset the peak of memory, without what the process inherited."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Peak memory of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _growth(client: Client, before: dict[str, int]) -> list[int]:
    """Increase of the peak of each worker, in MiB, sorted."""
    return sorted((peak - before[one]) // MIB for one, peak in client.run(_peak).items())


def test_worker_memory_does_not_grow_with_the_size_of_a_source(skewed: Input) -> None:
    """The size of a task; for one worker, all events of the record that it merges."""
    (text,) = _large([0])
    assert MERGED_MIB * MIB < LARGE // 2 * _values_bytes(text)  # all facts of one source
    verified: list[int] = []
    with local_cluster(2, worker_memory="560MiB") as client:
        processes = client.run(os.getpid)
        out = str(skewed.folder / "out")
        small = ClusterRequest(
            [str(skewed.folder / "small.tar")], f"{out}-small", KEYS, sizes=SIZES
        )
        merge_on_cluster(client, small)  # all that is needed is loaded now
        client.run(_forget_peak)
        before = client.run(_peak)

        def look(stage: str, _done: int, _total: int) -> None:
            if stage == "verified":
                verified[:] = _growth(client, before)

        order = ClusterRequest(skewed.sources, out, KEYS, sizes=SIZES, progress=look)
        with ended_after(2 * PATIENCE_S, client):
            assert skewed.root == merge_on_cluster(client, order).root.root
        merged = _growth(client, before)
        assert processes == client.run(os.getpid)
    assert verified[1] < VERIFIED_MIB
    assert merged[1] < MERGED_MIB  # Dask keeps some of what it shuffles for a while


def test_worker_that_uses_much_memory_is_not_paused(tmp_path: Path) -> None:
    """Python does not return freed memory to the system; the task succeeds, or cannot."""
    source = tmp_path / "long.jsonl"
    source.write_bytes(b"\n".join(_long_record()))
    with local_cluster(1, worker_memory="256MiB") as client:
        order = ClusterRequest([str(source)], str(tmp_path / "out"), KEYS)
        with ended_after(PATIENCE_S, client):
            code = _code_of(lambda: merge_on_cluster(client, order))
    assert code in {None, "worker.lost"}


def _code_of(work: Callable[[], object]) -> str | None:
    """The code of its error, or None."""
    try:
        work()
    except MirrorError as error:
        return error.code
    return None
