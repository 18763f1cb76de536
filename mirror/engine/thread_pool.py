"""Pool of threads that applies one function to many tasks.

Threads are used where the native engine does the work: it works without the interpreter's lock.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from mirror.engine import native
from mirror.engine.process_pool import map_in_processes
from mirror.engine.processors import processors_for

__all__ = ["few_collections", "map_in_order"]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_AHEAD, _AHEAD_EACH = 24, 4
"""Tasks that are queued for all threads, and for each: more than one transaction writes, so that
no thread waits for it. They are held in memory, however many processors there are."""

_OBJECTS_UNTIL_COLLECTION = 100_000


def map_in_order(
    tasks: Iterable[_Task], work: Callable[[_Task], _Result], *, few: int
) -> Iterator[_Result]:
    """Apply `work` to each task on every core, and yield the results in the order of the tasks.

    Args:
        tasks: The tasks; a few are read ahead.
        work: The function.
        few: For up to so many tasks, no process and no thread is started.

    Raises:
        WorkerError: `worker.lost`; see `map_in_processes`.
        EngineError: `engine.setting`, `engine.missing`; see `native`.
    """
    if not native.is_used():
        return map_in_processes(tasks, work, few=few)
    stream, count = processors_for(tasks, few)
    return _in_threads(stream, work, count) if count > 1 else map(work, stream)


def _in_threads(
    tasks: Iterable[_Task], work: Callable[[_Task], _Result], count: int
) -> Iterator[_Result]:
    waiting: deque[Future[_Result]] = deque()
    with few_collections(), ThreadPoolExecutor(count, thread_name_prefix="verify") as pool:
        try:
            for task in tasks:
                waiting.append(_submit(pool, work, task))
                if len(waiting) > _AHEAD + _AHEAD_EACH * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _submit(
    pool: ThreadPoolExecutor, work: Callable[[_Task], _Result], task: _Task
) -> Future[_Result]:
    """Hand a task to a thread, or do it here where no thread can be started."""
    try:
        return pool.submit(work, task)
    except RuntimeError:
        done: Future[_Result] = Future()
        done.set_result(work(task))
        return done


@contextmanager
def few_collections() -> Iterator[None]:
    """Let the interpreter look for reference cycles less often.

    For work whose results are in no cycle: to search them takes a tenth of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_UNTIL_COLLECTION, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
