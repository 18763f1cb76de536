"""One piece of work over many tasks, on every core: in processes, for Python's lock is one.

Threads would share one lock, and half of the work on a bundle is Python's. A process costs a third
of a second to start, so the first few tasks are done here, and nothing is started for less.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

from mirror.errors import WorkerError

__all__ = ["AHEAD", "spread"]

AHEAD = 6
"""Tasks for each process that wait for it, so that none waits for a task."""

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def spread(
    tasks: Iterable[_Task], work: Callable[[_Task], _Result], *, few: int
) -> Iterator[_Result]:
    """Yield what `work` makes of each task, in their order.

    Args:
        tasks: What to do; it is read a little ahead.
        work: How; it is sent to each process once, and must not rest on anything of this one.
        few: Up to so many tasks, no process is started.

    Raises:
        WorkerError: `worker.lost` if a process was killed.
    """
    stream = iter(tasks)
    first = list(islice(stream, few + 1))
    if len(first) <= few:
        yield from map(work, first)
        return
    try:
        yield from _in_processes(chain(first, stream), work)
    except BrokenProcessPool as error:
        message = "a process that was verifying was killed, perhaps for want of memory"
        hint = "what was stored before is kept; run the command again to finish"
        raise WorkerError("worker.lost", message, hint=hint) from error


def _in_processes(tasks: Iterator[_Task], work: Callable[[_Task], _Result]) -> Iterator[_Result]:
    cores = os.cpu_count() or 1
    waiting: deque[Future[_Result]] = deque()
    with ProcessPoolExecutor(
        cores, mp_context=get_context("spawn"), initializer=_begin, initargs=(work,)
    ) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(_do, task))
                if len(waiting) > AHEAD * cores:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


# In a process --------------------------------------------------------------------------------

_work: Callable[[Any], Any] | None = None


def _begin(work: Callable[[Any], Any]) -> None:
    """Take the work; leave Ctrl-C to the parent, and do not outlive it."""
    global _work  # noqa: PLW0603 - a process has one work, for its whole life
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _do(task: Any) -> Any:
    assert _work is not None  # noqa: S101 - `_begin` ran first
    return _work(task)
