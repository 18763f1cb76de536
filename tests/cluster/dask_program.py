"""Runs Dask's programs in processes forked from one that has imported Dask.

The import takes seconds of each process, and tests start dozens. `mirror` is not among what is
imported before the fork: a process may have another one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

__all__ = ["DaskProgram"]

_FORKING = get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "dask.dataframe",
        "distributed.cli.dask_scheduler",
        "distributed.cli.dask_worker",
        "distributed.dashboard.scheduler",
        "distributed.shuffle",
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
    sys.path[:0] = [env["PYTHONPATH"]] if "PYTHONPATH" in env else []
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    import_module(f"distributed.cli.dask_{name}").main(list(arguments), prog_name=f"dask {name}")
