"""Number of processors that this process may use, and of processes that it starts.

A machine may have many more than a container, a batch system or `taskset` leaves to a process.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

__all__ = [
    "MAX_PROCESSES",
    "cgroup_processors",
    "processors_for",
    "usable_processors",
    "with_processes",
]

_Task = TypeVar("_Task")

MAX_PROCESSES: ContextVar[int | None] = ContextVar("MAX_PROCESSES", default=None)
"""Processes to start at most; None for one for each usable processor."""


@contextmanager
def with_processes(most: int | None) -> Iterator[None]:
    """Start at most `most` processes within; 1 starts none, None one for each processor."""
    before = MAX_PROCESSES.get()
    MAX_PROCESSES.set(most)
    try:
        yield
    finally:
        MAX_PROCESSES.set(before)  # a token could not be used where another context ends this one


def processors_for(tasks: Iterable[_Task], few: int) -> tuple[Iterator[_Task], int]:
    """Return the tasks again, and on how many processors to do them: on one, if they are few.

    Args:
        tasks: The tasks; one more than a few is read ahead.
        few: So many.
    """
    stream = iter(tasks)
    first = list(islice(stream, few + 1))
    if len(first) <= few:
        return iter(first), 1
    return chain(first, stream), MAX_PROCESSES.get() or usable_processors()


def usable_processors() -> int:
    """Return how many processors this process may use: 1 or more.

    The least of the processors of the machine, those of the process's affinity
    (`sched_getaffinity`), and its share of time under Linux control groups.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on this system
        count = os.cpu_count() or 1
    share = cgroup_processors(Path("/"))
    return count if share is None else max(1, min(count, math.ceil(share)))


def cgroup_processors(root: Path) -> float | None:
    """Return the processors' time that control groups allow, in processors; None for no limit.

    Args:
        root: The root of the file system: `proc/self/cgroup` and `sys/fs/cgroup` are read in it.

    Source: Linux Documentation/admin-guide/cgroup-v2.rst (`cpu.max`), scheduler/sched-bwc.rst.
    """
    limits: list[float] = []
    with suppress(OSError, ValueError):
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
        for _, controllers, path in (line.split(":", 2) for line in lines):
            limits.extend(_limits(root / "sys/fs/cgroup", controllers, path))
    return min(limits, default=None)


def _limits(mounts: Path, controllers: str, path: str) -> Iterator[float]:
    """Yield the limits of a group and of all above it, of version 2 or 1 of control groups."""
    if controllers and "cpu" not in controllers.split(","):
        return
    top = mounts / "cpu" if controllers else mounts
    group = top / path.strip("/")
    folders = [group, *group.parents]
    for folder in folders[: folders.index(top) + 1] if top in folders else [top]:
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = _quota(folder, is_unified=not controllers)
            if quota > 0:
                yield quota / period


def _quota(folder: Path, *, is_unified: bool) -> tuple[int, int]:
    """Return the microseconds of processor time in each period, and the period.

    Raises:
        OSError: The group has no such limit.
        ValueError: It is `max`: no limit.
    """
    if is_unified:
        quota, period = (folder / "cpu.max").read_text("ascii").split()
        return int(quota), int(period)
    texts = [(folder / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period")]
    return int(texts[0]), int(texts[1])
