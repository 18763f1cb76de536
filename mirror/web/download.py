"""A bag that is written while it is downloaded, in parts.

Facts are only added. So a bag of all that came up to some arrival can be composed at any later
time, and no part of it needs the same snapshot as another: each is read into memory in a snapshot
of its own, which is over before the client takes the first byte of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mirror.archive import bag_blocks
from mirror.engine.export.bag import bag_files
from mirror.errors import StoreError
from mirror.store import Records, Store
from mirror.web.store_pool import IS_OVER
from mirror.web.store_reader import StoreReader
from mirror.web.workers import BusyError, ClientGoneError, RequestThreads

__all__ = ["CutOffError", "DownloadResponse", "Downloads"]

_DOWNLOADS = 4
"""Bags that are sent at one time."""
_RETRY_AFTER_S = 30
_WAITING = 1000
"""Blocks that may wait for a thread: one for each download, and those of clients just gone."""
_PART_BYTES = 4 << 20
"""Bytes of bundles that are read in one snapshot, except for a single larger one."""
_PART_RECORDS = 1000
_BLOCK_BYTES = 256 << 10
"""Bytes that are made in a thread at one time, and sent."""


class Downloads:
    """Threads that write bags, and a limit on how many bags are sent at one time."""

    def __init__(self) -> None:
        self.workers = RequestThreads(_DOWNLOADS, _WAITING)
        self._free = _DOWNLOADS

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count a download, in the event loop.

        Raises:
            BusyError: If enough are being sent.
        """
        if not self._free:
            raise BusyError(_RETRY_AFTER_S)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    def close(self) -> None:
        """End what the threads do."""
        self.workers.close()


class DownloadResponse(Response):
    """A bag of records of a store, written as it is sent."""

    def __init__(
        self,
        library: StoreReader,
        record_ids: Sequence[int] | None,
        headers: Mapping[str, str],
        downloads: Downloads,
    ) -> None:
        """Send the bag of these records of the store as it is now; None is all of them."""
        super().__init__(media_type="application/x-tar", headers=headers)
        del self.headers["content-length"]
        self._blocks = _pieces(_bag(library, record_ids))
        self._downloads = downloads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it; each block is made when the client has taken the one before.

        Raises:
            BusyError: If enough are being sent.
            StoreError: If the store cannot be read; nothing was sent then.
            ClientGoneError: If the client went.
            CutOffError: If what was sent is not the whole bag.
        """
        with self._downloads.slot():
            block = await self._next(receive)
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})
            try:
                while block:
                    await send({"type": "http.response.body", "body": block, "more_body": True})
                    block = await self._next(receive)
            except ClientGoneError:
                raise
            except Exception as error:
                raise CutOffError(f"a download was cut off: {error}") from error
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, receive: Receive) -> bytes:
        """Return the next block; empty at the end."""
        return await self._downloads.workers.run(lambda: next(self._blocks, b""), receive)


class CutOffError(Exception):
    """A response ended before its end."""


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of one size, the last one smaller."""
    held = bytearray()
    for block in blocks:
        held += block
        while len(held) >= _BLOCK_BYTES:
            yield bytes(held[:_BLOCK_BYTES])
            del held[:_BLOCK_BYTES]
    yield bytes(held)


def _bag(library: StoreReader, record_ids: Sequence[int] | None) -> Iterator[bytes]:
    """Yield the bytes of a bag; the store is first read when the first of them is asked for."""
    yield from bag_blocks(_Parts(library, record_ids).payload)


def _require_client() -> None:
    """Raise ClientGoneError if nobody waits for what this thread makes."""
    is_over = IS_OVER.get()
    if is_over is not None and is_over():
        raise ClientGoneError


class _Parts:
    """The payload of a bag: all that had come when it was begun."""

    def __init__(self, library: StoreReader, record_ids: Sequence[int] | None) -> None:
        self._library = library
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
            _require_client()
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
                _require_client()
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
