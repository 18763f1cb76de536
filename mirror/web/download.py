"""Bags that are written as they are downloaded, in parts.

Facts are only added. So a bag of all that came up to some arrival can be composed at any later
time, and no part of it needs the same snapshot as another: each is read into memory in a snapshot
of its own, which is over before the client takes the first byte of it.
"""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mirror.archive import write_bag
from mirror.engine.export.bag import bag_files
from mirror.errors import StoreError
from mirror.store import Records, Store
from mirror.web.store_reader import Library
from mirror.web.workers import Workers, until_gone

__all__ = ["CutOffError", "DownloadResponse", "download_workers"]

_DOWNLOADS = 4
"""Bags that are written at one time."""
_RETRY_AFTER_S = 30
_PART_BYTES = 4 << 20
"""Bytes of bundles that are read in one snapshot, but for a single larger one."""
_PART_RECORDS = 1000
_BLOCK_BYTES = 64 << 10
_BLOCKS_AHEAD = 16
"""That wait for the client in memory."""


def download_workers() -> Workers:
    """Return the threads that write bags; nobody waits for one."""
    return Workers(_DOWNLOADS, 0, _RETRY_AFTER_S)


class _Pipe:
    """A file that a thread writes and an event loop reads, a few blocks at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._blocks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(_BLOCKS_AHEAD)
        self._is_closed = False

    # In the thread ---------------------------------------------------------------------------

    def write(self, data: bytes) -> int:
        """Take data as the reader makes room; raises BrokenPipeError once nobody reads."""
        for at in range(0, len(data), _BLOCK_BYTES):
            self._room.acquire()
            self.require_open()
            self._put(bytes(data[at : at + _BLOCK_BYTES]))
        return len(data)

    def require_open(self) -> None:
        """Raise BrokenPipeError if nobody reads any more."""
        if self._is_closed:
            raise BrokenPipeError

    def end(self, failure: BaseException | None = None) -> None:
        """Say that all was written, or why it was not."""
        self._put(failure)

    def _put(self, block: bytes | BaseException | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._blocks.put_nowait, block)

    # In the event loop -----------------------------------------------------------------------

    async def read(self) -> bytes | None:
        """Return the next block, or None at the end or once it is closed.

        Raises:
            BaseException: What the writer failed with.
        """
        block = await self._blocks.get()
        self._room.release()
        if isinstance(block, BaseException):
            raise block
        return None if self._is_closed else block

    def close(self) -> None:
        """Read no more: the writer ends at its next write, the reader at once."""
        self._is_closed = True
        self._room.release(_BLOCKS_AHEAD)
        self._blocks.put_nowait(None)


class DownloadResponse(Response):
    """A bag of records of a store, written as it is sent."""

    def __init__(
        self,
        library: Library,
        record_ids: Sequence[int] | None,
        headers: Mapping[str, str],
        workers: Workers,
    ) -> None:
        """Send the bag of these records of the store as it is now; None is all of them."""
        super().__init__(media_type="application/x-tar", headers=headers)
        del self.headers["content-length"]
        self._library = library
        self._record_ids = record_ids
        self._workers = workers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it.

        Raises:
            BusyError: If enough are being sent.
            StoreError: If the store cannot be read; nothing was sent then.
            CutOffError: If what was sent is not the whole bag.
        """
        pipe = _Pipe(asyncio.get_running_loop())
        self._workers.submit(lambda: _write(self._library, self._record_ids, pipe))
        gone = asyncio.ensure_future(until_gone(receive))
        gone.add_done_callback(lambda _: pipe.close())
        try:
            block = await pipe.read()
            if block is not None:
                await self._send(block, pipe, send)
        finally:
            pipe.close()
            gone.cancel()

    async def _send(self, first: bytes, pipe: _Pipe, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        block: bytes | None = first
        try:
            while block is not None:
                await send({"type": "http.response.body", "body": block, "more_body": True})
                block = await pipe.read()
        except Exception as error:
            raise CutOffError(f"a download was cut off: {error}") from error
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class CutOffError(Exception):
    """A response ended before its end."""


def _write(library: Library, record_ids: Sequence[int] | None, pipe: _Pipe) -> None:
    """Write a bag into a pipe, and end it."""
    try:
        parts = _Parts(library, record_ids, pipe)
        write_bag(cast("IO[bytes]", pipe), parts.payload)
    except BaseException as error:  # noqa: BLE001 - it is raised where the response is sent
        pipe.end(error)
    else:
        pipe.end()


class _Parts:
    """The payload of a bag: all that had come when it was begun."""

    def __init__(self, library: Library, record_ids: Sequence[int] | None, pipe: _Pipe) -> None:
        self._library = library
        self._pipe = pipe
        self._checksum: int | None = None
        with library.shelf() as shelf:
            self._generation = shelf.generation
            self._last_arrival = shelf.store.facts.last_arrival()
            self._chosen = (
                None if record_ids is None else list(shelf.store.records.in_bag_order(record_ids))
            )

    def payload(self) -> Iterator[tuple[str, bytes]]:
        """Yield (path below `data/`, content), ascending by path.

        Raises:
            StoreError: `store.changed` if it is not the same as the first time.
        """
        checksum = 0
        for path, content in self._all():
            self._pipe.require_open()
            checksum = zlib.crc32(content, zlib.crc32(path.encode(), checksum))
            yield path, content
        if self._checksum not in {None, checksum}:
            raise _other_facts()
        self._checksum = checksum

    def _all(self) -> Iterator[tuple[str, bytes]]:
        after: tuple[str, int] = ("", 0)
        while True:
            part, last = self._part(after)
            yield from part
            if last is None:
                return
            after = last

    def _part(
        self, after: tuple[str, int]
    ) -> tuple[list[tuple[str, bytes]], tuple[str, int] | None]:
        """Read some bundles; return them, and the record to go on after if there may be more."""
        part: list[tuple[str, bytes]] = []
        size = 0
        with self._library.shelf() as shelf:
            if shelf.generation != self._generation:
                raise _other_facts()
            rows = self._rows(shelf.store.records, after)
            for row in rows:
                self._pipe.require_open()
                files = self._files(shelf.store, row[1])
                part += files
                size += sum(len(text) for _, text in files)
                if size >= _PART_BYTES:
                    return part, row
        return part, rows[-1] if len(rows) == _PART_RECORDS else None

    def _rows(self, records: Records, after: tuple[str, int]) -> list[tuple[str, int]]:
        if self._chosen is None:
            return records.page_of_bag(after, _PART_RECORDS)
        return [row for row in self._chosen if row > after][:_PART_RECORDS]

    def _files(self, store: Store, record_id: int) -> list[tuple[str, bytes]]:
        """Return the files of a record as it was when the bag was begun; none if it was not."""
        if store.facts.first_arrival(record_id) > self._last_arrival:
            return []
        return list(bag_files(store.facts.load(record_id, until=self._last_arrival)))


def _other_facts() -> StoreError:
    message = "the facts that the bag began with are not in the store any more"
    return StoreError("store.changed", message, hint="download it again")
