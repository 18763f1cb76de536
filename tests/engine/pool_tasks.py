"""Work for other processes, which find it here by name; it must need little to be imported.

As a program, it spreads work that waits for ever, and is to be killed:

    python -m tests.engine.pool_tasks FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mirror.engine.process_pool import map_in_processes


def process_of(task: int) -> tuple[int, int]:
    """The task, and the process that did it."""
    return task, os.getpid()


def double(task: int) -> int:
    """Twice the task."""
    return 2 * task


@dataclass(frozen=True)
class Power:
    """Work that was told something beforehand."""

    exponent: int

    def __call__(self, base: int) -> int:
        """The power; of a large base it takes a while."""
        return pow(base, self.exponent, 2**127 - 1)


class OddError(Exception):
    """Raised by work."""


def even_only(task: int) -> int:
    """The task, unless it is odd."""
    if task % 2:
        raise OddError(task, "is odd")
    return task


def die_at_seven(task: int) -> int:
    """The task, but for seven, at which a process is killed as by the system."""
    if task == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


@dataclass(frozen=True)
class Wait:
    """Work that leaves the name of its process in a folder, and never ends."""

    folder: Path

    def __call__(self, _task: int) -> None:
        """Wait."""
        (self.folder / str(os.getpid())).touch()
        signal.pause()


class Threadless:
    """Work that keeps threads from being started in the processes that it is sent to."""

    def __setstate__(self, _state: object) -> None:
        """Arrive in another process."""
        threading.stack_size(1 << 46)

    def __getstate__(self) -> bool:
        """Have something to arrive with."""
        return True

    def __call__(self, task: int) -> tuple[int, int]:
        """The task, and the process that did it."""
        return process_of(task)


if __name__ == "__main__":
    for _ in map_in_processes(count(), Wait(Path(sys.argv[1])), few=0):
        pass
