"""Threads that answer beside the event loop, as many as there may be at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from starlette.types import Receive

from mirror.web.store_pool import IS_OVER

__all__ = ["BusyError", "ClientGoneError", "RequestThreads", "until_gone"]

_Result = TypeVar("_Result")


class BusyError(Exception):
    """The queue of waiting requests is full."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"come back in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class RequestThreads:
    """Threads, and a line of limited length before them."""

    def __init__(self, threads: int, waiting: int, retry_after_s: int = 1) -> None:
        self._executor = ThreadPoolExecutor(threads, "answer")
        self._room = threading.Semaphore(threads + waiting)
        self._retry_after_s = retry_after_s
        self._over = threading.Event()

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Do `work` in a thread, once there is one.

        Raises:
            BusyError: If as many wait as may wait.
        """
        if not self._room.acquire(blocking=False):
            raise BusyError(self._retry_after_s)
        try:
            future = self._executor.submit(work)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future

    async def run(self, work: Callable[[], _Result], receive: Receive) -> _Result:
        """Return what `work` returns, or raise what it raises.

        What it reads of the store is cut off when the client is gone, or the server ends.

        Raises:
            BusyError: As `submit`.
            ClientGoneError: If the client did not wait.
        """
        is_gone = threading.Event()
        context = copy_context()
        context.run(IS_OVER.set, lambda: is_gone.is_set() or self._over.is_set())
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
        """Cut off what is being read, and begin nothing any more."""
        self._over.set()
        self._executor.shutdown(wait=False, cancel_futures=True)


async def until_gone(receive: Receive) -> None:
    """Return when the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
