"""Runs schedulers and workers of Dask in processes forked from one that has imported all of it.

The import takes seconds of each process, and tests start dozens.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import forkserver, get_context
from pathlib import Path
from typing import Any

import dask
from distributed import Client

from mirror.engine.cluster import open_cluster

__all__ = ["DaskProgram", "local_cluster"]

_FORKING = get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "dask.dataframe",
        "distributed.cli.dask_scheduler",
        "distributed.cli.dask_worker",
        "distributed.dashboard.scheduler",
        "distributed.shuffle",
        "mirror.engine.cluster",
        "pyarrow.parquet",
        "s3fs",
    ]
)


class DaskProgram:
    """A process that runs `dask scheduler` or `dask worker`, in a process group of its own."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, log: Path, env: Mapping[str, str]
    ) -> None:
        self.args = ["dask", name, *arguments]
        self._process = _FORKING.Process(
            target=_run, args=(name, arguments, folder, log, dict(env)), name=f"Dask {name}"
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, without waiting."""
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; return its exit code, or None if it runs on."""
        self._process.join(timeout)
        return self.poll()


def _run(
    name: str, arguments: Sequence[str], folder: Path, log: Path, env: Mapping[str, str]
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.update(env)
    if "PYTHONPATH" in env:  # it has another `mirror`
        sys.path.insert(0, env["PYTHONPATH"])
        for module in [one for one in sys.modules if one.partition(".")[0] == "mirror"]:
            del sys.modules[module]
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    import_module(f"distributed.cli.dask_{name}").main(list(arguments), prog_name=f"dask {name}")


@contextmanager
def local_cluster(
    workers: int, *, env: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Client]:
    """Start a cluster as `--cluster local` does, but fork its workers, which have this environment.

    Workers that Dask starts with its default method import everything again.
    """
    forkserver.ensure_running()  # so that Dask cannot set what is imported before the fork
    config = {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.nanny.environ": dict(env or {}),
    }
    with dask.config.set(config), open_cluster("local", workers=workers, **options) as client:
        yield client
