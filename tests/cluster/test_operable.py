"""Kill workers, the client, the scheduler: a run finishes, or fails with an error and resumes."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from distributed import Client

from mirror.core.transparency.merkle import NOTHING
from mirror.engine.cluster import open_cluster
from mirror.engine.cluster import workers as workers_module
from mirror.engine.cluster.merge_task import Partition, PartitionResult
from mirror.engine.cluster.parquet import STATES_SCHEMA, ParquetFile
from mirror.engine.cluster.storage import StoragePath
from mirror.errors import ClusterError
from tests.cli.conftest import BUNDLES, run_here
from tests.cluster.dask_program import local_cluster
from tests.cluster.processes import (
    MIRROR,
    PARTITIONS,
    SOURCES,
    Cluster,
    Once,
    Out,
    World,
    all_children_of,
    ended_after,
    kill,
    make_world,
    nothing,
    root_on_one_machine,
    running_cluster,
    started,
    wait_for,
)
from tests.processes import PATIENCE_S, assert_ended, watched

DEMO, DEMO_KEYS = BUNDLES / "demo.tar", BUNDLES / "demo-keys.json"

HEEDS_CTRL_C = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from mirror.cli import main; main(prog_name='mirror')"
)
"""A background job of a shell ignores SIGINT from its start."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The work to merge."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """A scheduler, which no test may kill, and two workers, which any test may."""
    _cluster.workers[:] = [one for one in _cluster.workers if one.poll() is None]
    while len(_cluster.workers) < 2:
        _cluster.add_worker()
    return _cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of its two workers."""
    with open_cluster(cluster.address) as client:
        client.wait_for_workers(2, timeout=PATIENCE_S)
        yield client


# Real processes ------------------------------------------------------------------------------


def test_a_scheduler_and_workers_give_the_root_of_one_machine(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Each is its own process, and each warning is an error."""
    out = tmp_path / "out"
    arguments = ["merge", DEMO, "--keys", DEMO_KEYS, "--cluster", cluster.address, "--out", out]
    with started(tmp_path, *MIRROR, *arguments) as client:
        stdout, stderr = client.communicate(timeout=PATIENCE_S)
    doubt = b"warning: key "  # a key of the demo may have expired
    said = [line for line in stderr.splitlines() if not line.startswith(doubt)]
    assert (client.returncode, len(said)) == (0, 1), stderr
    assert said[0].startswith(b"dashboard: ")
    expected = root_on_one_machine(tmp_path / "mirror.db", [str(DEMO)], DEMO_KEYS)
    assert f"root            {expected.root}\n".encode() in stdout
    assert f"key set digest  {expected.key_set_digest}\n".encode() in stdout
    assert expected.root == json.loads((out / "dataset.json").read_bytes())["root"]


class Stop(Exception):  # noqa: N818 - it is no error
    """Raised to end a run midway."""


def test_incomplete_partition_is_found_and_everything_is_merged_again(
    world: World, client: Client, tmp_path: Path
) -> None:
    """After any loss: verified and merged tasks are counted separately."""

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        world.merge(client, tmp_path, Once("verified", 3 * SOURCES - 1, stop))
    name = json.loads((tmp_path / "run.json").read_bytes())["run"]
    forged = Partition(0, 1)
    with ParquetFile(STATES_SCHEMA, 1) as states:
        states.publish(
            StoragePath(str(tmp_path)), forged.path, PartitionResult(name, 0, NOTHING).to_value()
        )
    with pytest.raises(ClusterError) as caught:
        world.merge(client, tmp_path, nothing)
    assert ("cluster.incomplete", str(tmp_path)) == (caught.value.code, caught.value.where)
    assert 0 == Out(tmp_path).merged
    assert world.root == world.merge(client, tmp_path, nothing)


def test_a_result_that_cannot_be_fetched_at_first_is_fetched_again(
    world: World, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection may fail while all processes run; once, a run waited for ever because of it."""
    gather: Any = client._gather
    failures = iter(range(20))

    async def sometimes(*arguments: Any, **settings: Any) -> Any:
        if next(failures, 1) % 2 == 0:
            raise AssertionError("as tornado does, now and then")
        return await gather(*arguments, **settings)

    monkeypatch.setattr(client, "_gather", sometimes)
    with ended_after(PATIENCE_S, client):
        assert world.root == world.merge(client, tmp_path, nothing)
    assert next(failures, None) is None


# Workers that are killed ---------------------------------------------------------------------


def test_a_worker_is_killed_while_parts_are_verified(
    world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """The other worker does the rest, and repeats lost work that is still needed."""
    killing = Once("verified", 6, cluster.workers[0].kill)
    assert world.root == world.merge(client, tmp_path, killing)
    assert killing.left > 2


def test_a_worker_is_killed_while_facts_are_shuffled(
    world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """Dask repeats the shuffle: the facts are in files."""
    killed: list[int] = []
    pattern = "spilled/*/*/shuffle-*"
    before = set(cluster.folder.glob(pattern))  # of workers that were killed

    def kill_one() -> None:
        wait_for(lambda: bool({*cluster.folder.glob(pattern)} - before), cluster.scheduler)
        cluster.workers[0].kill()
        killed.append(Out(tmp_path).merged)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        assert world.root == world.merge(client, tmp_path, nothing)
    finally:
        killer.join()
    assert killed[0] < PARTITIONS


def test_a_worker_is_killed_while_records_are_merged(
    world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """A new worker that replaces it takes part; no state is lost or duplicated."""

    def replace() -> None:
        cluster.workers[0].kill()
        cluster.add_worker()

    killing = Once("merged", 2, replace)
    assert world.root == world.merge(client, tmp_path, killing)
    assert killing.left > 2


def test_all_workers_are_killed_and_started_again(world: World, tmp_path: Path) -> None:
    """By the nannies that supervise them."""
    with local_cluster(2) as client:
        before = set(client.run(os.getpid).values())

        def kill_all() -> None:
            for process in before:
                os.kill(process, signal.SIGKILL)

        killing = Once("verified", 6, kill_all)
        assert world.root == world.merge(client, tmp_path, killing)
        assert not before & set(client.run(os.getpid).values())
    assert killing.left > 2


def test_a_worker_that_dies_as_a_run_begins_does_not_end_it(
    world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """The worker cannot report its versions, and cannot run anything else."""
    cluster.workers[0].send_signal(signal.SIGSTOP)  # it owes an answer when it dies
    timer = threading.Timer(1, cluster.workers[0].kill)
    timer.start()
    try:
        assert world.root == world.merge(client, tmp_path, nothing)
    finally:
        timer.join()


def test_run_without_workers_ends_after_a_time_limit(
    world: World,
    cluster: Cluster,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client waits as long as for the first worker."""
    monkeypatch.setattr(workers_module, "_NO_WORKERS_S", 1)
    killing = Once("verified", 6, lambda: kill(*cluster.workers))
    with ended_after(PATIENCE_S, client), pytest.raises(ClusterError) as caught:
        world.merge(client, tmp_path, killing)
    assert "cluster.no_workers" == caught.value.code


# A client that is killed ---------------------------------------------------------------------

STAGES: dict[str, Callable[[Out], bool]] = {
    "scans": lambda out: out.scanned >= 1,
    "verification": lambda out: out.verified >= 6,
    "merging": lambda out: out.merged >= 2,
}
"""The point in each stage."""


@pytest.mark.parametrize("stage", STAGES)
def test_run_of_a_killed_client_is_resumed(
    stage: str, world: World, cluster: Cluster, tmp_path: Path
) -> None:
    """Complete files or none are left; no task is repeated; final files stay unchanged."""
    out = Out(tmp_path / "out")
    command = world.command(cluster.address, out.path)
    with started(tmp_path, *MIRROR, *command) as client:
        wait_for(lambda: STAGES[stage](out), client)
        kill(client)
    left = out.files()
    out.assert_whole()
    assert not (out.path / "dataset.json").exists()
    done = (out.scanned, out.verified, out.merged)
    assert done < (SOURCES, 2 * SOURCES, PARTITIONS), "it was not killed midway"
    seen: dict[str, tuple[int, int]] = {}
    with open_cluster(cluster.address) as again:
        look = Once("merged", 1, lambda: seen.update(out.files()))
        assert world.root == world.merge(again, out.path, look)
    assert left.items() <= seen.items()
    finished = out.files()
    assert not (out.path / "_work").exists()
    assert {name: one for name, one in left.items() if not name.startswith("_work/")}.items() <= (
        finished.items()
    )
    ran = run_here(*command, "--json")
    assert (0, (out.path / "dataset.json").read_bytes()) == (ran.exit_code, ran.stdout)
    assert finished == out.files()


def test_ctrl_c_exits_with_130_and_the_run_can_be_resumed(
    world: World, cluster: Cluster, tmp_path: Path
) -> None:
    """The workers continue with the next request, which finishes this run."""
    out = Out(tmp_path / "out")
    command = world.command(cluster.address, out.path)
    with started(tmp_path, "-W", "error", "-c", HEEDS_CTRL_C, *command) as client:
        wait_for(lambda: STAGES["verification"](out), client)
        client.send_signal(signal.SIGINT)
        stdout, stderr = client.communicate(timeout=PATIENCE_S)
    assert (130, b"") == (client.returncode, stdout)
    dashboard, *said = stderr.decode().splitlines()
    assert dashboard.startswith("dashboard: ")
    assert ["interrupted: stored data is kept; rerun the command to resume"] == said
    out.assert_whole()
    assert f"root            {world.root.root}\n" in run_here(*command).stdout.decode()


class _InterruptedAsItDies:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def _wait_after_an_interrupted_finalizer() -> None:
    _InterruptedAsItDies()
    time.sleep(PATIENCE_S)


def test_ctrl_c_in_a_finalizer_ends_a_run(
    cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python only prints what is raised there, and Dask's futures have one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), open_cluster(cluster.address):
            _wait_after_an_interrupted_finalizer()
    finally:
        signal.signal(signal.SIGINT, before)
    assert "" == capfd.readouterr().err


def test_the_event_loop_of_dask_logs_nothing(client: Client) -> None:
    """After Ctrl-C, it would log a traceback for a request that was not sent yet."""
    assert not logging.getLogger("tornado.application").isEnabledFor(logging.CRITICAL)


def test_workers_of_this_machine_end_with_the_client_that_is_killed(
    world: World, tmp_path: Path
) -> None:
    """No worker is left running without a scheduler."""
    out = Out(tmp_path / "out")
    command = [*world.command("local", out.path), "--workers", "2"]
    with started(tmp_path, *MIRROR, *command) as client:
        wait_for(lambda: STAGES["verification"](out), client)
        children = watched(all_children_of(client.pid))
        kill(client)
        assert len(children) >= 2
        assert_ended(children)
    out.assert_whole()


def test_ctrl_c_in_a_terminal_shows_no_traceback(world: World, tmp_path: Path) -> None:
    """A terminal sends it to the workers of this machine, too; they end silently."""
    out = Out(tmp_path / "out")
    command = [*world.command("local", out.path), "--workers", "1"]
    with started(tmp_path, "-W", "error", "-c", HEEDS_CTRL_C, *command) as client:
        wait_for(lambda: STAGES["verification"](out), client)
        children = watched(all_children_of(client.pid))
        os.killpg(client.pid, signal.SIGINT)
        _, stderr = client.communicate(timeout=PATIENCE_S)
        assert_ended(children)
    assert 130 == client.returncode
    assert b"interrupted: stored data is kept" in stderr
    assert b"Traceback" not in stderr


# A lost or missing scheduler ----------------------------------------------------------------


class Lost(NamedTuple):
    """A run whose scheduler was killed."""

    exit_code: int
    stdout: bytes
    stderr: str
    out: Path


@pytest.fixture(scope="module")
def lost(world: World, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """Killed while it had splits verified."""
    folder = tmp_path_factory.mktemp("lost")
    out = Out(folder / "out")
    with running_cluster(folder, workers=1) as cluster:
        command = world.command(cluster.address, out.path)
        with started(folder, *MIRROR, *command) as client:
            wait_for(lambda: STAGES["verification"](out), client)
            cluster.scheduler.kill()
            stdout, stderr = client.communicate(timeout=PATIENCE_S)
    return Lost(client.returncode, stdout, stderr.decode(), out.path)


def test_a_scheduler_that_dies_ends_the_run(
    lost: Lost, world: World, client: Client, tmp_path: Path
) -> None:
    """Within a short time; the same command resumes the run with another scheduler."""
    assert (5, b"") == (lost.exit_code, lost.stdout)
    assert "error: cluster.lost: the scheduler no longer responds" in lost.stderr
    assert "hint: finished work is kept" in lost.stderr
    left = Out(lost.out)
    left.assert_whole()
    assert (left.scanned, left.verified, left.merged) < (SOURCES, 2 * SOURCES, PARTITIONS)
    assert world.root == world.merge(client, lost.out, nothing)


def test_lost_scheduler_is_reported_without_output_of_dask(lost: Lost) -> None:
    """An error with a hint, and no output of Dask."""
    lines = lost.stderr.splitlines()
    assert ["dashboard", "error", "hint"] == [line.partition(":")[0] for line in lines]
    assert "\\n" not in lines[1]


def test_unreachable_scheduler_is_an_error(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the address, and nothing is written."""
    monkeypatch.setattr(workers_module, "_CONNECT_S", 1)
    with socket.socket() as bound:  # which does not listen, and keeps the port from others
        bound.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
        ran = run_here(*world.command(address, tmp_path / "out"))
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert ran.stderr.startswith(
        f"error: cluster.unreachable at {address}: no response from a scheduler"
    )
    assert not (tmp_path / "out").exists()


def test_scheduler_without_workers_is_an_error(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even after a while."""
    monkeypatch.setattr(workers_module, "_NO_WORKERS_S", 1)
    with running_cluster(tmp_path, workers=0) as cluster:
        ran = run_here(*world.command(cluster.address, tmp_path / "out"))
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert re.match(r"error: cluster\.no_workers at tcp://127\.0\.0\.1:\d+: ", ran.stderr)
    assert not (tmp_path / "out").exists()
