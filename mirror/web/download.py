"""A bag of records that is composed while it is downloaded.

Facts are only added, so a bag of all facts up to an arrival can be composed at any later time.
Therefore each part of it is read in a snapshot of its own, which ends before the client receives
the first byte of the part, and a slow client holds no snapshot.
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
from mirror.web.request_threads import BusyError, ClientGoneError, RequestThreads
from mirror.web.store_pool import IS_CANCELLED
from mirror.web.store_reader import StoreReader

__all__ = ["CutOffError", "DownloadResponse", "Downloads"]

_DOWNLOADS = 4
"""Bags that may be downloaded at one time."""
_RETRY_AFTER_S = 30
_WAITING = 1000
"""Blocks that may wait for a thread; each download has one, and clients just gone another."""
_PART_BYTES = 4 << 20
"""Bytes of bundles read in one snapshot; a single larger bundle is read whole."""
_PART_RECORDS = 1000
"""Records read in one snapshot."""
_BLOCK_BYTES = 256 << 10
"""Bytes that are composed in a thread and sent at one time."""


class Downloads:
    """Threads that compose bags, and a limit on the number of downloads."""

    def __init__(self) -> None:
        self.threads = RequestThreads(_DOWNLOADS, _WAITING)
        self._free = _DOWNLOADS

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count a download while it runs; called in the event loop.

        Raises:
            BusyError: If there are too many.
        """
        if not self._free:
            raise BusyError(_RETRY_AFTER_S)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    def close(self) -> None:
        """Stop the threads."""
        self.threads.close()


class DownloadResponse(Response):
    """A response whose body is a bag of records, composed while it is sent."""

    def __init__(
        self,
        reader: StoreReader,
        record_ids: Sequence[int] | None,
        headers: Mapping[str, str],
        downloads: Downloads,
    ) -> None:
        """Send these records as they are when the download begins; None means all records."""
        super().__init__(media_type="application/x-tar", headers=headers)
        del self.headers["content-length"]
        self._blocks = _in_blocks(_bag(reader, record_ids))
        self._downloads = downloads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the bag; each block is composed when the client has received the one before.

        Raises:
            BusyError: If there are too many downloads.
            StoreError: If the store cannot be read and nothing was sent yet.
            ClientGoneError: If the client disconnected.
            CutOffError: If the bag was sent incompletely.
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
        """Return the next block; empty at the end of the bag."""
        return await self._downloads.threads.run(lambda: next(self._blocks, b""), receive)


class CutOffError(Exception):
    """A response that had to end before its body was complete."""


def _in_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `_BLOCK_BYTES`; the last one may be smaller."""
    held = bytearray()
    for block in blocks:
        held += block
        while len(held) >= _BLOCK_BYTES:
            yield bytes(held[:_BLOCK_BYTES])
            del held[:_BLOCK_BYTES]
    yield bytes(held)


def _bag(reader: StoreReader, record_ids: Sequence[int] | None) -> Iterator[bytes]:
    """Yield the bytes of a bag; the first read of the store is for the first of them."""
    yield from bag_blocks(_Payload(reader, record_ids).payload)


def _require_client() -> None:
    """Raise ClientGoneError if the request that this thread works for was cancelled."""
    is_cancelled = IS_CANCELLED.get()
    if is_cancelled is not None and is_cancelled():
        raise ClientGoneError


class _Payload:
    """The payload of a bag: the facts that the store held when the download began."""

    def __init__(self, reader: StoreReader, record_ids: Sequence[int] | None) -> None:
        self._reader = reader
        self._checksum: int | None = None
        with reader.snapshot() as snapshot:
            self._generation = snapshot.generation
            self._last_arrival = snapshot.store.facts.last_arrival()
            self._chosen = (
                None
                if record_ids is None
                else list(snapshot.store.records.in_bag_order(record_ids))
            )

    def payload(self) -> Iterator[tuple[str, bytes]]:
        """Yield (path below `data/`, content), ascending by path.

        Raises:
            StoreError: `store.changed` if the second pass differs from the first.
        """
        checksum = 0
        for path, content in self._all():
            _require_client()
            checksum = zlib.crc32(content, zlib.crc32(path.encode(), checksum))
            yield path, content
        if self._checksum not in {None, checksum}:
            raise _changed_error()
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
        """Read some files; return them, and the last record if there may be more."""
        part: list[tuple[str, bytes]] = []
        size = 0
        with self._reader.snapshot() as snapshot:
            if snapshot.generation != self._generation:
                raise _changed_error()
            rows = self._rows(snapshot.store.records, after)
            for row in rows:
                _require_client()
                files = self._files(snapshot.store, row[1])
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
        """Return the files of a record as of the begin of the download; none if it came later."""
        if store.facts.first_arrival(record_id) > self._last_arrival:
            return []
        return list(bag_files(store.facts.load(record_id, until=self._last_arrival)))


def _changed_error() -> StoreError:
    message = "facts that the download began with are no longer in the store"
    return StoreError("store.changed", message, hint="download it again")
