"""Connecting to workers, of this machine or of a cluster, and what Dask says when one is lost."""

from __future__ import annotations

import logging
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, NamedTuple

import dask
from dask.typing import Key
from dask.utils import parse_bytes
from distributed import Client, Future, LocalCluster, as_completed
from distributed.client import ClosedClientError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from mirror.engine.cluster.versions import check_versions, find_versions
from mirror.errors import ClusterError, OutputError, WorkerError

__all__ = [
    "LOCAL",
    "TaskResult",
    "gather",
    "next_finished",
    "open_cluster",
    "require_same_versions",
    "translate_errors",
]

LOCAL = "local"
"""The address of a cluster that is started on this machine, for one run."""

_CONNECT_S = 30
_WORKERS_S = 120
_SCHEDULER = "scheduler"
_GLANCE_S = 0.01
_LOOK_S = 1
_FETCHES = 5
"""How often a result is fetched over connections that fail, though the scheduler is there."""
_LEAST_MEMORY = 256 << 20
"""Bytes: what a worker takes with nothing to do is not much less."""
_LOST = (CommClosedError, CancelledError, ClosedClientError, TimeoutError)
_QUIET: dict[str, Any] = {
    "dataframe.convert-string": False,  # bytes are bytes
    "logging.distributed": "critical",
    # Python does not give back what it once held, so a worker that is paused for that stays so.
    "distributed.worker.memory.pause": False,
}


@contextmanager
def open_cluster(
    address: str, *, workers: int | None = None, worker_memory: str = "auto"
) -> Iterator[Client]:
    """Connect to a scheduler, or start one on this machine with processes as workers.

    Args:
        address: The scheduler's, such as `tcp://10.0.0.5:8786`; or `local`.
        workers: How many to start; None for one a core. Only with `local`.
        worker_memory: Of each, as Dask writes it: `4GiB`, or `auto` for an equal share.

    Raises:
        ClusterError: `cluster.unreachable`, `cluster.no_workers`, `cluster.start`.
    """
    with dask.config.set(_QUIET):
        _silence_logging()
        if address == LOCAL:
            _require_memory(worker_memory)
            with (
                _start(workers, worker_memory) as cluster,
                Client(cluster) as client,
                _suppress_on_interrupt(),
            ):
                yield client
            return
        with _connect(address) as client, _suppress_on_interrupt():
            _require_a_worker(client, address)
            yield client


@contextmanager
def _suppress_on_interrupt() -> Iterator[None]:
    """Say nothing of what Dask had begun to fetch when a person ended it."""
    try:
        yield
    except KeyboardInterrupt:
        pattern = "coroutine .* was never awaited"
        warnings.filterwarnings("ignore", pattern, category=RuntimeWarning)
        raise


def _silence_logging() -> None:
    """Let only our own words reach a person: what Dask logs of a loss, the error says shorter."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _require_memory(memory: str) -> None:
    if memory != "auto" and parse_bytes(memory) < _LEAST_MEMORY:
        raise ClusterError(
            "cluster.memory",
            f"{memory} is too little for a worker",
            hint="give each 2 GiB; they cannot even begin with less than 256 MiB",
        )


def _start(workers: int | None, memory: str) -> LocalCluster:
    try:
        with _ignore_sigint():
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # half of the work is Python's, whose lock is one
                memory_limit=memory,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except (RuntimeError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Dask needs a home (HOME), a folder for temporary files, and more processes"
        raise ClusterError("cluster.start", reason, where=LOCAL, hint=hint) from error


@contextmanager
def _ignore_sigint() -> Iterator[None]:
    """Start processes that leave Ctrl-C to this one, which a terminal sends to all of them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # who is none may not say so
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise ClusterError(
            "cluster.unreachable",
            f"no scheduler answers: {error}",
            where=address,
            hint="check the address, and that the scheduler is running",
        ) from error


def _require_a_worker(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError as error:
        raise _no_workers(address) from error


def _no_workers(address: str) -> ClusterError:
    return ClusterError(
        "cluster.no_workers",
        f"the scheduler has had no worker for {_WORKERS_S} seconds",
        where=address,
        hint="start workers, or wait until the queue gives you some; then run the command again",
    )


def require_same_versions(client: Client) -> dict[str, str]:
    """Return what runs here, and require that every worker runs the same.

    Raises:
        ClusterError: `cluster.versions`, naming the worker.
    """
    expected = find_versions()
    with translate_errors():
        found: dict[str, Any] = client.run(find_versions, on_error="return")
        found[_SCHEDULER] = _versions_of_scheduler(client)
    for address, versions in found.items():
        if isinstance(versions, dict):
            fault = check_versions(versions, expected)
        elif isinstance(versions, OSError):
            continue  # it is gone, and runs nothing
        else:
            fault = f"mirror cannot be loaded: {versions}"
        if fault is not None:
            raise ClusterError(
                "cluster.versions",
                f"on {'the scheduler' if address == _SCHEDULER else 'a worker'} {fault}",
                where=address,
                hint="install the same mirror, Python and libraries on the workers and here",
            )
    return expected


def _versions_of_scheduler(client: Client) -> Any:
    """Return what runs where tasks pass through, or why nothing can be told of it."""
    try:
        return client.run_on_scheduler(find_versions)
    except CommClosedError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever keeps it from loading mirror
        return error


class TaskResult(NamedTuple):
    """A task that is done, whose result is here: nobody can take it away any more."""

    key: Key
    outcome: Any
    """The result, or the exception."""

    def result(self) -> Any:
        """Return the result, or raise what the task raised."""
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def next_finished(client: Client, waiting: as_completed) -> TaskResult:
    """Return the next of some futures that is done; wait no longer for workers than at first.

    Args:
        client: Whose futures they are.
        waiting: The futures. It must not fetch results: if that fails, it waits for ever.

    Raises:
        ClusterError: `cluster.no_workers`
    """
    patience = _WorkerTimeout(client)
    while not waiting.has_ready():
        time.sleep(_GLANCE_S)
        patience.look()
    future = next(waiting)
    return TaskResult(future.key, _outcome(future, patience))


def _outcome(future: Future[Any], patience: _WorkerTimeout) -> Any:
    """Fetch the result or the exception of a task; it is done again if its worker is lost."""
    failures = 0
    while True:
        try:
            return future.result(timeout=_LOOK_S)
        except Exception as error:
            if future.status == "error":
                return error
            if not isinstance(error, TimeoutError):
                failures += 1
                if isinstance(error, _LOST) or failures == _FETCHES:
                    raise
        patience.look()


def gather(client: Client, futures: Sequence[Future[Any]]) -> list[Any]:
    """Fetch the results of tasks, all of them, or raise what one raised."""
    failures = 0
    while True:
        try:
            return list(client.gather(futures))
        except Exception as error:
            failures += 1
            is_of_task = any(one.status == "error" for one in futures)
            if is_of_task or isinstance(error, _LOST) or failures == _FETCHES:
                raise


class _WorkerTimeout:
    """Waits for workers no longer than at first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked = self._seen = time.monotonic()

    def look(self) -> None:
        """Look, now and then, whether there is a worker.

        Raises:
            ClusterError: `cluster.no_workers`
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        if self._client.status != "running" or self._client.nthreads():
            self._seen = now
        elif now - self._seen > _WORKERS_S:
            raise _no_workers(str(self._client.scheduler_info().get("address", "")))


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn what Dask raises when workers or the scheduler are lost into errors of ours.

    Raises:
        WorkerError: `worker.lost` if workers died over one task again and again.
        ClusterError: `cluster.lost` if the scheduler is gone; `cluster.shuffle`.
        OutputError: `output.failed` if a worker's own disk fails.
    """
    try:
        yield
    except KilledWorker as error:
        raise WorkerError(
            "worker.lost",
            f"several workers died over one task ({_truncated(error.task)}): they may lack memory",
            hint="give the workers more memory; what was finished is kept: run the command again",
        ) from error
    except _LOST as error:
        raise ClusterError(
            "cluster.lost",
            f"the scheduler does not answer any more: {_one_line(error)}",
            hint="what was finished is kept; run the command again when it is back",
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "check its disk; what was finished is kept: run the command again"
        raise OutputError("output.failed", reason, where="a worker", hint=hint) from error
    except RuntimeError as error:
        if not str(error).startswith("P2P"):
            raise
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        hint = "what was finished is kept; run the command again"
        raise ClusterError("cluster.shuffle", reason, hint=hint) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _truncated(task: Key) -> str:
    return str(task)[:60]
