"""A thread pool for requests with a bounded queue; work is cancelled when its client is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from starlette.types import Receive

from mirror.web.store_pool import IS_CANCELLED

__all__ = ["BusyError", "ClientGoneError", "RequestThreads", "until_gone"]

_Result = TypeVar("_Result")

_TURN_S = 0.005
"""Longest wait of a thread for its turn, in seconds."""


class BusyError(Exception):
    """The queue of waiting requests is full."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class ClientGoneError(Exception):
    """The client disconnected before the response was complete."""


class RequestThreads:
    """A thread pool with a bounded queue."""

    def __init__(self, threads: int, waiting: int, retry_after_s: int = 1) -> None:
        self._executor = ThreadPoolExecutor(threads, "answer")
        self._turn = threading.Lock()
        self._slots = threading.Semaphore(threads + waiting)
        self._retry_after_s = retry_after_s
        self._is_closing = threading.Event()

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Run `work` in a thread as soon as one is free.

        Raises:
            BusyError: If the queue is full.
        """
        if not self._slots.acquire(blocking=False):
            raise BusyError(self._retry_after_s)
        try:
            future = self._executor.submit(lambda: self._in_turn(work))
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda _: self._slots.release())
        return future

    def _in_turn(self, work: Callable[[], _Result]) -> _Result:
        """Run `work` after that of another thread, or beside it if that takes long.

        Each statement of SQLite releases the interpreter's lock: threads that read at the same
        time take it from each other all the time, and are slower together than one of them.
        """
        has_turn = self._turn.acquire(timeout=_TURN_S)
        try:
            return work()
        finally:
            if has_turn:
                self._turn.release()

    async def run(self, work: Callable[[], _Result], receive: Receive) -> _Result:
        """Return what `work` returns, or raise what it raises.

        Its reading of the store is interrupted when the client disconnects or the server stops.

        Raises:
            BusyError: As `submit`.
            ClientGoneError: If the client disconnected first.
        """
        is_gone = threading.Event()
        context = copy_context()
        context.run(IS_CANCELLED.set, lambda: is_gone.is_set() or self._is_closing.is_set())
        answer = asyncio.wrap_future(self.submit(lambda: context.run(work)))
        gone = asyncio.ensure_future(until_gone(receive))
        gone.add_done_callback(lambda _: answer.cancel())
        try:
            return await answer
        except asyncio.CancelledError:
            if gone.done():
                raise ClientGoneError from None
            raise
        finally:
            is_gone.set()
            gone.cancel()

    def close(self) -> None:
        """Interrupt running work, and start no more."""
        self._is_closing.set()
        self._executor.shutdown(wait=False, cancel_futures=True)


async def until_gone(receive: Receive) -> None:
    """Return when the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
