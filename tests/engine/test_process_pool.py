"""Work in several processes comes to the same as in one, and leaves none behind."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from copy import copy
from itertools import count, islice
from pathlib import Path

import pytest

from mirror.engine.process_pool import AHEAD, StoreTask, map_in_processes
from mirror.engine.processors import usable_processors, with_processes
from mirror.errors import StoreError, WorkerError
from mirror.store import Store, open_store
from tests.engine.pool_tasks import (
    OddError,
    Power,
    Threadless,
    die_at_seven,
    double,
    even_only,
    process_of,
)
from tests.processes import assert_ended, children_of, own_children, watched

ROOT = Path(__file__).resolve().parents[2]
CORES = usable_processors()


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """After every test, no process of ours is left."""
    yield
    assert own_children() == []


def test_results_come_in_the_order_of_their_tasks() -> None:
    """Whichever process is done first: every other task takes long."""
    tasks = [10 ** (5000 * (number % 2)) + number for number in range(100)]
    expected = [Power(65537)(task) for task in tasks]
    assert expected == list(map_in_processes(tasks, Power(65537), few=100))
    assert expected == list(map_in_processes(tasks, Power(65537), few=0))


@pytest.mark.parametrize(("tasks", "few"), [(0, 0), (0, 5), (1, 1), (5, 5), (4, 5)])
def test_few_tasks_are_done_in_this_process(tasks: int, few: int) -> None:
    """No process is started for them."""
    assert [(task, os.getpid()) for task in range(tasks)] == list(
        map_in_processes(range(tasks), process_of, few=few)
    )


@pytest.mark.parametrize(("tasks", "few"), [(1, 0), (6, 5)])
def test_more_tasks_are_done_in_other_processes(tasks: int, few: int) -> None:
    """All of them, and each once."""
    done = list(map_in_processes(range(tasks), process_of, few=few))
    assert list(range(tasks)) == [task for task, _ in done]
    assert os.getpid() not in {process for _, process in done}


def test_all_cores_are_used() -> None:
    """And no process is started for each task."""
    done = list(map_in_processes(range(40 * CORES), process_of, few=0))
    assert 1 <= len({process for _, process in done}) <= CORES


def test_tasks_are_read_a_little_ahead() -> None:
    """There may be more of them than memory."""
    read = []

    def tasks() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    results = map_in_processes(tasks(), double, few=3)
    assert [0, 2, 4] == list(islice(results, 3))
    assert len(read) <= 3 + AHEAD * CORES + 1
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("few", [0, 100])
def test_exception_of_the_function_reaches_the_caller(few: int) -> None:
    """As it was raised, after all that came before."""
    done: list[int] = []
    with pytest.raises(OddError) as raised:
        done.extend(map_in_processes([0, 2, 4, 7, 8, 9], even_only, few=few))
    assert (7, "is odd") == raised.value.args
    assert [0, 2, 4] == done


@pytest.mark.parametrize("few", [0, 100])
def test_exception_of_the_tasks_reaches_the_caller(few: int) -> None:
    """A source that cannot be read any further ends the work."""

    def tasks() -> Iterator[int]:
        yield from range(0, 40, 2)
        raise OddError("no more")

    with pytest.raises(OddError, match="no more"):
        list(map_in_processes(tasks(), even_only, few=few))


def test_a_process_that_is_killed_ends_the_work() -> None:
    """`worker.lost`, and what to do about it; what came before it may be kept."""
    done: list[int] = []
    with pytest.raises(WorkerError) as lost:
        done.extend(map_in_processes(range(200), die_at_seven, few=0))
    assert lost.value.code == "worker.lost"
    assert "run the command again" in lost.value.hint
    assert list(range(len(done))) == done
    assert len(done) <= 7


def test_closing_the_results_stops_the_work() -> None:
    """Endless tasks end with the one who asked."""
    results = map_in_processes(count(), process_of, few=0)
    assert next(results)[0] == 0
    results.close()  # type: ignore[attr-defined]
    assert own_children() == []


def test_no_process_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    """However deep in work it is."""
    parent = subprocess.Popen([sys.executable, "-m", "tests.engine.pool_tasks", tmp_path], cwd=ROOT)
    try:
        while len(list(tmp_path.iterdir())) < CORES:
            assert parent.poll() is None
            time.sleep(0.01)
        children = watched(children_of(parent.pid))
        assert {int(path.name) for path in tmp_path.iterdir()} <= set(children)
    finally:
        parent.kill()
        parent.wait()
    assert_ended(children)


# Where no process can be started -------------------------------------------------------------

HUGE_STACK_BYTES = 1 << 46
"""No machine has so much address space, so that no thread starts."""


@pytest.fixture
def deserted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder is deleted: a new process would begin there."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()


@pytest.fixture
def threadless() -> Iterator[None]:
    """No thread can be started, as where a user has as many processes as allowed."""
    before = threading.stack_size(HUGE_STACK_BYTES)
    yield
    threading.stack_size(before)


@pytest.fixture
def fileless() -> Iterator[None]:
    """No more files can be opened, nor pipes."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("fault", ["deserted", "threadless", "fileless"])
def test_without_other_processes_tasks_are_done_in_this_one(
    fault: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """All of it, in its order; why is said once, however often there is work."""
    request.getfixturevalue(fault)
    with with_processes(3):
        for _ in range(2):
            done = list(map_in_processes(range(40), process_of, few=2))
            assert [(task, os.getpid()) for task in range(40)] == done
    (record,) = caplog.records
    assert record.getMessage().startswith("working in one process, because no other can be started")


def test_a_process_without_its_thread_does_no_work(caplog: pytest.LogCaptureFixture) -> None:
    """It could outlive this one; what was sent to it is done here."""
    with with_processes(2):
        done = list(map_in_processes(range(40), Threadless(), few=0))
    assert [(task, os.getpid()) for task in range(40)] == done
    assert len(caplog.records) == 1


def test_results_of_other_processes_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process starts, the second does not."""
    (tmp_path / "gone").mkdir()

    def tasks() -> Iterator[int]:
        monkeypatch.chdir(tmp_path / "gone")
        yield 0
        (tmp_path / "gone").rmdir()
        yield from range(1, 40)

    with with_processes(2):
        done = list(map_in_processes(tasks(), process_of, few=0))
    assert list(range(40)) == [task for task, _ in done]
    assert os.getpid() in {process for _, process in done}


@pytest.mark.parametrize("most", [1, 2])
def test_as_many_processes_are_used_as_were_asked_for(most: int) -> None:
    """One is this one."""
    with with_processes(most):
        used = {process for _, process in map_in_processes(range(60), process_of, few=0)}
    assert len(used) <= most
    assert (os.getpid() in used) == (most == 1)


# A store in each process ---------------------------------------------------------------------


def _connection(store: Store, task: int) -> tuple[int, int]:
    return task, id(store)


def _write(store: Store, _task: int) -> None:
    with store.transaction():
        pass


def _raise(_store: Store, _task: int) -> None:
    raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty store."""
    with open_store(tmp_path / "mirror.db"):
        return tmp_path / "mirror.db"


def test_a_store_task_opens_the_store_once(path: Path) -> None:
    """Each process has one connection, whatever number of tasks it does."""
    with StoreTask(path, _connection) as task:
        first, second = task(1), task(2)
        other = copy(task)  # as another process gets it
        with other:
            third = other(3)
    assert [1, 2, 3] == [one for one, _ in (first, second, third)]
    assert first[1] == second[1] != third[1]


def test_a_store_task_only_reads(path: Path) -> None:
    """It is within a snapshot already."""
    with StoreTask(path, _write) as task, pytest.raises(StoreError):
        task(1)


def test_errors_of_sqlite_in_a_store_task_become_errors_of_the_store(path: Path) -> None:
    """The store is closed then, and opened again for the next task."""
    with StoreTask(path, _raise) as task:
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                task(1)
            assert "store.unreadable" == caught.value.code
