"""Connects to workers on this machine or in a cluster, and converts the errors of lost workers."""

from __future__ import annotations

import logging
import signal
import sys
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
"""Address that stands for a cluster on this machine, started for one run."""

_CONNECT_S = 30
_NO_WORKERS_S = 120
_SCHEDULER = "scheduler"
_POLL_S = 0.01
_CHECK_S = 1
_INTERRUPT_AGAIN_S = 0.01
_FETCH_ATTEMPTS = 5
"""Attempts to fetch a result if connections fail while the scheduler is reachable."""
_MIN_MEMORY_BYTES = 256 << 20
"""An idle worker uses not much less."""
_LOST_ERRORS = (CommClosedError, CancelledError, ClosedClientError, TimeoutError)
_DASK_CONFIG: dict[str, Any] = {
    "dataframe.convert-string": False,  # bytes are bytes
    "logging.distributed": "critical",
    # Python keeps freed memory, so a worker that was paused because of memory would stay paused.
    "distributed.worker.memory.pause": False,
}


@contextmanager
def open_cluster(
    address: str, *, workers: int | None = None, worker_memory: str = "auto"
) -> Iterator[Client]:
    """Connect to a scheduler, or start one on this machine with processes as workers.

    Args:
        address: Address of the scheduler, such as `tcp://10.0.0.5:8786`, or `local`.
        workers: Number of workers to start; None for one per core. Only with `local`.
        worker_memory: Memory of each worker, in Dask's syntax, such as `4GiB`; `auto` for an equal
            share.

    Raises:
        ClusterError: `cluster.unreachable`, `cluster.no_workers`, `cluster.start`.
    """
    with dask.config.set(_DASK_CONFIG):
        _silence_logging()
        if address == LOCAL:
            _require_memory(worker_memory)
            with (
                _start(workers, worker_memory) as cluster,
                Client(cluster) as client,
                _clean_interrupt(),
            ):
                yield client
            return
        with _connect(address) as client, _clean_interrupt():
            _require_a_worker(client, address)
            yield client


@contextmanager
def _clean_interrupt() -> Iterator[None]:
    """Let Ctrl-C end a run at any moment, without Dask's warnings about unfinished requests.

    Python only prints an exception in a finalizer, and Dask's futures have one: a run whose Ctrl-C
    came in it would go on. So the signal is sent again, for the code after the finalizer.
    """
    before = sys.unraisablehook

    def interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        threading.Timer(_INTERRUPT_AGAIN_S, _interrupt_main_thread).start()

    sys.unraisablehook = interrupt_again
    try:
        yield
    except KeyboardInterrupt:
        pattern = "coroutine .* was never awaited"
        warnings.filterwarnings("ignore", pattern, category=RuntimeWarning)
        raise
    finally:
        sys.unraisablehook = before


def _interrupt_main_thread() -> None:
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)


def _silence_logging() -> None:
    """Turn off the log of Dask and its event loop: an error of `mirror` reports a lost worker."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _require_memory(memory: str) -> None:
    if memory != "auto" and parse_bytes(memory) < _MIN_MEMORY_BYTES:
        raise ClusterError(
            "cluster.memory",
            f"{memory} is too little for a worker",
            hint="give each worker 2 GiB; workers do not start with less than 256 MiB",
        )


def _start(workers: int | None, memory: str) -> LocalCluster:
    try:
        with _ignore_sigint():
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # half of the work is in Python, with one global lock
                memory_limit=memory,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except (RuntimeError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Dask needs a home folder (HOME), a folder for temporary files, and more processes"
        raise ClusterError("cluster.start", reason, where=LOCAL, hint=hint) from error


@contextmanager
def _ignore_sigint() -> Iterator[None]:
    """Start child processes that ignore Ctrl-C, which a terminal sends to all processes."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
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
            f"no response from a scheduler: {error}",
            where=address,
            hint="check the address, and that the scheduler is running",
        ) from error


def _require_a_worker(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_NO_WORKERS_S)
    except TimeoutError as error:
        raise _no_workers(address) from error


def _no_workers(address: str) -> ClusterError:
    return ClusterError(
        "cluster.no_workers",
        f"the scheduler has had no worker for {_NO_WORKERS_S} seconds",
        where=address,
        hint="start workers, or wait until the queue gives you some; then run the command again",
    )


def require_same_versions(client: Client) -> dict[str, str]:
    """Require that the scheduler and all workers have the same versions as here; return them.

    Raises:
        ClusterError: `cluster.versions`, with the address of the worker.
    """
    expected = find_versions()
    with translate_errors():
        found: dict[str, Any] = client.run(find_versions, on_error="return")
        found[_SCHEDULER] = _versions_of_scheduler(client)
    for address, versions in found.items():
        if isinstance(versions, dict):
            fault = check_versions(versions, expected)
        elif isinstance(versions, OSError):
            continue  # the worker is lost
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
    """Return the versions of the scheduler, or the error of importing `mirror` there."""
    try:
        return client.run_on_scheduler(find_versions)
    except CommClosedError:
        raise
    except Exception as error:  # noqa: BLE001 - importing mirror may raise anything
        return error


class TaskResult(NamedTuple):
    """Result of a finished task, already fetched from its worker."""

    key: Key
    outcome: Any
    """The result, or the exception."""

    def result(self) -> Any:
        """Return the result, or raise the exception of the task."""
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def next_finished(client: Client, waiting: as_completed) -> TaskResult:
    """Return the result of the next finished future; fail if there are no workers for too long.

    Args:
        client: Client of the futures.
        waiting: The futures, without fetching results: if that fails, `as_completed` hangs.

    Raises:
        ClusterError: `cluster.no_workers`
    """
    timeout = _WorkerTimeout(client)
    while not waiting.has_ready():
        time.sleep(_POLL_S)
        timeout.check()
    future = next(waiting)
    return TaskResult(future.key, _outcome(future, timeout))


def _outcome(future: Future[Any], timeout: _WorkerTimeout) -> Any:
    """Fetch the result or the exception of a task, which Dask repeats if its worker is lost."""
    failures = 0
    while True:
        try:
            return future.result(timeout=_CHECK_S)
        except Exception as error:
            if future.status == "error":
                return error
            if not isinstance(error, TimeoutError):
                failures += 1
                if isinstance(error, _LOST_ERRORS) or failures == _FETCH_ATTEMPTS:
                    raise
        timeout.check()


def gather(client: Client, futures: Sequence[Future[Any]]) -> list[Any]:
    """Fetch the results of all tasks, or raise the exception of one."""
    failures = 0
    while True:
        try:
            return list(client.gather(futures))
        except Exception as error:
            failures += 1
            is_of_task = any(one.status == "error" for one in futures)
            if is_of_task or isinstance(error, _LOST_ERRORS) or failures == _FETCH_ATTEMPTS:
                raise


class _WorkerTimeout:
    """Limits the time without workers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._checked = self._seen = time.monotonic()

    def check(self) -> None:
        """Check whether there is a worker, at most once in `_CHECK_S`.

        Raises:
            ClusterError: `cluster.no_workers`
        """
        now = time.monotonic()
        if now - self._checked < _CHECK_S:
            return
        self._checked = now
        if self._client.status != "running" or self._client.nthreads():
            self._seen = now
        elif now - self._seen > _NO_WORKERS_S:
            raise _no_workers(str(self._client.scheduler_info().get("address", "")))


@contextmanager
def translate_errors() -> Iterator[None]:
    """Convert Dask's errors about lost workers or a lost scheduler.

    Raises:
        WorkerError: `worker.lost` if several workers died while running one task.
        ClusterError: `cluster.lost` if the scheduler is lost; `cluster.shuffle`.
        OutputError: `output.failed` if the disk of a worker fails.
    """
    try:
        yield
    except KilledWorker as error:
        raise WorkerError(
            "worker.lost",
            f"several workers died during a task ({_truncated(error.task)}): they may lack memory",
            hint="give the workers more memory; finished work is kept: run the command again",
        ) from error
    except _LOST_ERRORS as error:
        raise ClusterError(
            "cluster.lost",
            f"the scheduler no longer responds: {_one_line(error)}",
            hint="finished work is kept; run the command again when the scheduler is available",
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "check its disk; finished work is kept: run the command again"
        raise OutputError("output.failed", reason, where="a worker", hint=hint) from error
    except RuntimeError as error:
        if not str(error).startswith("P2P"):
            raise
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        hint = "finished work is kept; run the command again"
        raise ClusterError("cluster.shuffle", reason, hint=hint) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _truncated(task: Key) -> str:
    return str(task)[:60]
