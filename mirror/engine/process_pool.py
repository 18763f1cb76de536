"""Pool of processes that applies one function to many tasks.

Processes are used because threads share one lock, and half of the work on a bundle is Python code.
A process takes a third of a second to start, so a few tasks are done in the calling process. If no
process can be started, it does them all.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from mirror.engine.processors import MAX_PROCESSES, processors_for
from mirror.errors import WorkerError
from mirror.store import Store, open_store

__all__ = ["AHEAD", "StoreTask", "map_in_processes"]

AHEAD = 6
"""Tasks that are queued for each process, so that it never waits for one."""

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_Waiting = deque[tuple[_Task, Future[_Result] | None]]
"""Tasks in their order, each with the future of its result; None if it was not submitted."""

_log = logging.getLogger(__name__)


class _StartError(Exception):
    """No process could be started; the message says why."""


def map_in_processes(
    tasks: Iterable[_Task], work: Callable[[_Task], _Result], *, few: int
) -> Iterator[_Result]:
    """Apply `work` to each task, and yield the results in the order of the tasks.

    Args:
        tasks: The tasks; a few are read ahead.
        work: The function; it is pickled for each process once.
        few: For up to so many tasks, no process is started.

    Raises:
        WorkerError: `worker.lost` if a process was killed.
    """
    stream, count = processors_for(tasks, few)
    if count > 1:
        waiting: _Waiting[_Task, _Result] = deque()
        try:
            yield from _in_processes(stream, work, count, waiting)
        except BrokenProcessPool as error:
            message = "a process that was verifying was killed, perhaps because memory ran out"
            hint = "what was stored before is kept; run the command again to finish"
            raise WorkerError("worker.lost", message, hint=hint) from error
        except _StartError as error:
            _log.warning("working in one process, because no other can be started: %s", error)
            MAX_PROCESSES.set(1)  # so the warning is logged once
            for task, future in waiting:
                yield _result(task, future, work)
    yield from map(work, stream)


class StoreTask(Generic[_Task, _Result]):
    """Applies a function to a store and a task; each call reads one snapshot of the store.

    Each process and each thread opens the store once, read-only. Use the object within `with`,
    which closes it.
    """

    def __init__(
        self, path: Path, work: Callable[[Store, _Task], _Result], *, lenient: bool = False
    ) -> None:
        """Prepare; the store is opened by the first call.

        Args:
            path: The store.
            work: The function; it is sent to each process once.
            lenient: See `open_store`.
        """
        self._path, self._work, self._lenient = path, work, lenient
        self._opened = _OpenedStore()
        self._stacks: list[ExitStack] = []

    def __reduce__(self) -> tuple[object, ...]:
        # Another process opens a connection of its own.
        return partial(type(self), lenient=self._lenient), (self._path, self._work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stack in self._stacks:
            stack.close()

    def __call__(self, task: _Task) -> _Result:
        """Return the result of the function.

        Raises:
            StoreError: If the store cannot be read.
        """
        opened = self._opened
        if opened.store is None:
            self._stacks.append(opened.stack)
            store = open_store(self._path, read_only=True, lenient=self._lenient, any_thread=True)
            opened.store = opened.stack.enter_context(store)
        try:
            with opened.store.snapshot():
                return self._work(opened.store, task)
        except Exception:
            opened.store = None
            with opened.stack.pop_all():  # where errors of SQLite become errors of the store
                raise


class _OpenedStore(threading.local):
    """The store that a thread has open."""

    def __init__(self) -> None:
        self.store: Store | None = None
        self.stack = ExitStack()


def _in_processes(
    tasks: Iterator[_Task],
    work: Callable[[_Task], _Result],
    count: int,
    waiting: _Waiting[_Task, _Result],
) -> Iterator[_Result]:
    """Yield results; `waiting` has the tasks that were read and whose result was not yielded.

    Raises:
        _StartError: A process, or a pipe or thread for it, could not be started.
        BrokenProcessPool: A process was killed.
    """
    with _pool(count, work) as (pool, begun):
        try:
            for task in tasks:
                waiting.append((task, None))
                waiting[-1] = task, _submit(pool, task)
                if len(waiting) > AHEAD * count:
                    yield _awaited(waiting)
            while waiting:
                yield _awaited(waiting)
        except BrokenProcessPool as error:
            if begun.poll():
                raise
            raise _StartError("it ends when it starts") from error


@contextmanager
def _pool(
    count: int, work: Callable[[Any], Any]
) -> Iterator[tuple[ProcessPoolExecutor, connection.Connection]]:
    """Open a pool, and a pipe on which each process sends a message when it is ready."""
    _require_room(2 * count + 3)  # each process and its thread; two threads of ours, a tracker
    context = get_context("spawn")
    with ExitStack() as stack:
        try:
            begun, begin = map(stack.enter_context, context.Pipe(duplex=False))
            pool = ProcessPoolExecutor(
                count, mp_context=context, initializer=_begin, initargs=(work, begin)
            )
        except (OSError, ImportError, NotImplementedError) as error:  # no semaphores: no /dev/shm
            raise _StartError(_reason(error)) from error
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        yield pool, begun


def _require_room(count: int) -> None:
    """Start so many threads for a moment: a pool that lacks a thread would wait for ever."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait, daemon=True) for _ in range(count)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError as error:
        raise _StartError(_reason(error)) from error
    finally:
        done.set()
        for thread in started:
            thread.join()


def _submit(pool: ProcessPoolExecutor, task: Any) -> Future[Any]:
    try:
        return pool.submit(_do, task)
    except BrokenProcessPool:
        raise
    except (OSError, RuntimeError) as error:  # the process, or the thread that feeds it
        raise _StartError(_reason(error)) from error


def _awaited(waiting: _Waiting[_Task, _Result]) -> _Result:
    """Return the first result, and remove its task."""
    _, future = waiting[0]
    assert future is not None  # noqa: S101 - a task that was not sent ended the work
    result = future.result()
    waiting.popleft()
    return result


def _result(
    task: _Task, future: Future[_Result] | None, work: Callable[[_Task], _Result]
) -> _Result:
    """Return the result of a task that may have been submitted to a pool that is shut down."""
    if future is None or future.cancelled():
        return work(task)
    if isinstance(future.exception(), _StartError | BrokenProcessPool):
        return work(task)
    return future.result()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


# In a process --------------------------------------------------------------------------------

_work: Callable[[Any], Any] | None = None


def _begin(work: Callable[[Any], Any], begin: connection.Connection) -> None:
    """Set the function of this process; ignore Ctrl-C, and end with the parent."""
    global _work  # noqa: PLW0603 - a process has one function, for its whole life
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    except RuntimeError:
        return  # without this thread it does no work, and `_do` raises
    _work = work
    begin.send_bytes(b"begun")


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _do(task: Any) -> Any:
    if _work is None:
        raise _StartError("can't start new thread")
    return _work(task)
