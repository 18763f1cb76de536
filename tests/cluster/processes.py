"""Runs schedulers, workers and clients as separate processes, and work for them.

All of them end with the test that started them, also when it fails.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

from distributed import Client
from pyarrow import parquet

from mirror.core.keys import parse_key_set
from mirror.core.msgpack_values import unpack
from mirror.engine.cluster import ClusterRequest, merge_on_cluster
from mirror.engine.states.root import StateRoot
from tests.builders import (
    Signer,
    author_claim,
    citation,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import run_here
from tests.cluster.dask_program import DaskProgram
from tests.processes import PATIENCE_S

__all__ = [
    "MIRROR",
    "PARTITIONS",
    "SOURCES",
    "Cluster",
    "Once",
    "Out",
    "Process",
    "World",
    "all_children_of",
    "ended_after",
    "kill",
    "make_world",
    "nothing",
    "root_on_one_machine",
    "running_cluster",
    "started",
    "wait_for",
]

Process: TypeAlias = "subprocess.Popen[bytes] | DaskProgram"

MIRROR = ["-W", "error", "-m", "mirror"]
"""The program in the form that `started` takes; warnings are errors."""


# Processes -----------------------------------------------------------------------------------


def wait_for(what: Callable[[], object], *whose: Process) -> None:
    """Wait until a condition is true; fail after a time, or when a process has ended."""
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert [] == [one.args for one in whose if one.poll() is not None], "it ended before"
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.002)


def all_children_of(process: int) -> list[int]:
    """All descendants of a process, of any of its threads."""
    found: list[int] = []
    with suppress(FileNotFoundError):  # it has just ended
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return [*found, *(one for child in found for one in all_children_of(child))]


def kill(*processes: Process) -> None:
    """Kill processes, and wait for their end."""
    for one in processes:
        one.kill()
    for one in processes:
        one.wait()


@contextmanager
def started(
    folder: Path,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    err: int | IO[bytes] = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Python program; end it and all its descendants at the end."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=err,
        start_new_session=True,  # a group of its own, which is ended as one
    )
    try:
        yield process
    finally:
        _end(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _end(process: Process) -> None:
    """End a process and its group."""
    with suppress(ProcessLookupError):  # all of the group have ended
        os.killpg(process.pid, signal.SIGKILL)
    kill(process)  # it may have had no group yet


@contextmanager
def _dask(
    name: str, arguments: Sequence[str], folder: Path, log: Path, env: Mapping[str, str] | None
) -> Iterator[Process]:
    """Start one of Dask's programs; end it and all its descendants at the end."""
    process = DaskProgram(name, arguments, folder, log, env or {})
    try:
        yield process
    finally:
        _end(process)


@dataclass(frozen=True)
class Cluster:
    """A scheduler and its workers, each of them a process."""

    folder: Path
    scheduler: Process
    workers: list[Process]
    _stack: ExitStack
    _logs: dict[int, Path] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return _address(self.folder)

    def add_worker(self, env: Mapping[str, str] | None = None) -> Process:
        """Start a worker, without waiting for it."""
        path = self.folder / f"worker-{len(self._logs)}.log"
        arguments = ["--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        arguments += ["--scheduler-file", "scheduler.json", "--local-directory", "spilled"]
        arguments += ["--death-timeout", "30"]
        worker = self._stack.enter_context(_dask("worker", arguments, self.folder, path, env))
        self.workers.append(worker)
        self._logs[worker.pid] = path
        return worker

    def wait_for_worker(self, worker: Process) -> str:
        """Wait until it runs; return its address."""
        log = self._logs[worker.pid]
        wait_for(lambda: log.exists() and b"Registered to:" in log.read_bytes(), worker)
        found = re.search(r"Start worker at: +(\S+)", log.read_text())
        assert found
        return found[1]


@contextmanager
def running_cluster(
    folder: Path, *, workers: int = 2, env: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Start a scheduler, in its own environment, and workers, without waiting for these."""
    arguments = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    arguments += ["--scheduler-file", "scheduler.json", "--idle-timeout", "300"]
    with ExitStack() as stack:
        log = folder / "scheduler.log"
        scheduler = stack.enter_context(_dask("scheduler", arguments, folder, log, env))
        wait_for(lambda: _address(folder), scheduler)
        cluster = Cluster(folder, scheduler, [], stack)
        for _ in range(workers):
            cluster.add_worker()
        yield cluster


def _address(folder: Path) -> str:
    """The scheduler's output until it is complete."""
    with suppress(OSError, json.JSONDecodeError):
        return str(json.loads((folder / "scheduler.json").read_bytes())["address"])
    return ""


@contextmanager
def ended_after(seconds: float, client: Client) -> Iterator[None]:
    """End a run that takes this long, as if the scheduler were lost."""
    timer = threading.Timer(seconds, client.close)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


# Work ----------------------------------------------------------------------------------------

SOURCES, LINES, PARTITIONS = 8, 12, 16
"""Folders, which are splittable, and as many files; bundles of a file; and the results."""

AUTHOR = Signer("author")

Progress: TypeAlias = Callable[[str, int, int], None]


def root_on_one_machine(db: Path, sources: list[str], keys: Path) -> StateRoot:
    """The output of `mirror merge` and `mirror root`."""
    assert run_here("merge", *sources, "--keys", keys, "--db", db).exit_code == 0
    return StateRoot(**run_here("root", "--json", "--db", db).lines[0])


class World(NamedTuple):
    """Sources with many small tasks, and the result of one machine."""

    sources: list[str]
    keys: Path
    root: StateRoot

    def command(self, address: str, out: Path) -> list[str]:
        """The request to merge them on a cluster."""
        to = ["--cluster", address, "--out", str(out)]
        return ["merge", *self.sources, "--keys", str(self.keys), *to]

    def merge(self, client: Client, out: Path, progress: Progress) -> StateRoot:
        """Run the merge like the command does."""
        keys = parse_key_set(self.keys.read_bytes())
        order = ClusterRequest(self.sources, str(out), keys, progress=progress)
        return merge_on_cluster(client, order).root


def make_world(place: Path) -> World:
    """Each record is in one of the files, and some are in a folder as well."""
    (place / "keys.json").write_bytes(key_set_file(AUTHOR))
    folders = [place / f"folder-{number:02}" for number in range(SOURCES)]
    files = [place / f"{number:02}.jsonl" for number in range(SOURCES)]
    for number, (folder, file) in enumerate(zip(folders, files, strict=True)):
        records = range(number * LINES, (number + 1) * LINES)
        lines = [_bundle(one, "author_claimed", author_claim()) for one in records]
        file.write_bytes(b"\n".join(lines))
        folder.mkdir()
        for one in records[:2]:
            bundle = _bundle(one, "citation_signed", citation())
            (folder / f"{one}.bundle.json").write_bytes(bundle)
    sources = [str(one) for one in (*folders, *files)]
    root = root_on_one_machine(place / "mirror.db", sources, place / "keys.json")
    assert root.events_valid == SOURCES * (LINES + 2)
    return World(sources, place / "keys.json", root)


def _bundle(number: int, event_type: str, payload: Any) -> bytes:
    record = make_record(arxiv_id=f"2401.{number:05}")
    return to_json(make_bundle(record, [make_event(record, AUTHOR, event_type, payload)]))


class Once:
    """An action that runs once, at a given point of a stage."""

    def __init__(self, stage: str, at: int, act: Callable[[], object]) -> None:
        self._stage, self._at, self._act = stage, at, act
        self.left = 0
        """Number of unfinished tasks at that point."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Receive the progress of the run."""
        if stage == self._stage and done >= self._at and not self.left:
            self.left = total - done
            self._act()


def nothing(_stage: str, _done: int, _total: int) -> None:
    """Ignore progress."""


class Out(NamedTuple):
    """The folder of the results."""

    path: Path

    def count(self, pattern: str) -> int:
        """Number of files."""
        return sum(1 for _ in self.path.glob(pattern))

    @property
    def scanned(self) -> int:
        """Number of scanned sources."""
        return self.count("_work/splits/*.json")

    @property
    def verified(self) -> int:
        """Number of verified splits."""
        return self.count("_work/verified/*.parquet")

    @property
    def merged(self) -> int:
        """Number of merged partitions."""
        return self.count("states/*/*.parquet")

    def files(self) -> dict[str, tuple[int, int]]:
        """All files, with a value that changes when a file is written again."""
        found = {}
        for path in self.path.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                about = path.stat()
                found[str(path.relative_to(self.path))] = (about.st_ino, about.st_mtime_ns)
        return found

    def assert_whole(self) -> None:
        """Assert that every file can be read to its end."""
        readers: dict[str, Callable[[Path], object]] = {
            ".parquet": lambda path: parquet.read_table(path, partitioning=None),
            ".json": lambda path: json.loads(path.read_bytes()),
            ".list": lambda path: unpack(path.read_bytes()),
        }
        for name in self.files():
            readers[Path(name).suffix](self.path / name)
