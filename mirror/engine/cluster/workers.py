"""Connecting to workers, of this machine or of a cluster, and what Dask says when one is lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import dask
from dask.typing import Key
from distributed import Client, LocalCluster
from distributed.client import ClosedClientError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from mirror.engine.cluster.versions import fault_of_versions, find_versions
from mirror.errors import ClusterError, OutputError, WorkerError

__all__ = ["LOCAL", "converted", "open_cluster", "require_same_versions"]

LOCAL = "local"
"""The address of a cluster that is started on this machine, for one run."""

_CONNECT_S = 30
_WORKERS_S = 120
_LOST = (CommClosedError, CancelledError, ClosedClientError, TimeoutError)
_QUIET: dict[str, Any] = {
    "dataframe.convert-string": False,  # bytes are bytes
    "logging.distributed": "critical",
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
        ClusterError: `cluster.unreachable`, `cluster.no_workers`.
    """
    with dask.config.set(_QUIET):
        if address == LOCAL:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)
            with _start(workers, worker_memory) as cluster, Client(cluster) as client:
                yield client
            return
        with _connect(address) as client:
            _require_a_worker(client, address)
            yield client


def _start(workers: int | None, memory: str) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,  # half of the work is Python's, whose lock is one
        memory_limit=memory,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


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
        raise ClusterError(
            "cluster.no_workers",
            f"the scheduler has had no worker for {_WORKERS_S} seconds",
            where=address,
            hint="start workers, or wait until the queue gives you some",
        ) from error


def require_same_versions(client: Client) -> dict[str, str]:
    """Return what runs here, and require that every worker runs the same.

    Raises:
        ClusterError: `cluster.versions`, naming the worker.
    """
    expected = find_versions()
    with converted():
        found = client.run(find_versions, on_error="return")
    for address, versions in found.items():
        if isinstance(versions, dict):
            fault = fault_of_versions(versions, expected)
        else:
            fault = f"mirror cannot be loaded: {versions}"
        if fault is not None:
            raise ClusterError(
                "cluster.versions",
                f"on a worker {fault}",
                where=address,
                hint="install the same mirror, Python and libraries on the workers and here",
            )
    return expected


@contextmanager
def converted() -> Iterator[None]:
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
            f"several workers died over one task ({_short(error.task)}), as if for want of memory",
            hint="give the workers more memory; what was finished is kept: run the command again",
        ) from error
    except _LOST as error:
        raise ClusterError(
            "cluster.lost",
            f"the scheduler does not answer any more: {str(error) or type(error).__name__}",
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


def _short(task: Key) -> str:
    return str(task)[:60]
