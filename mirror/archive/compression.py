"""gzip and zstd, known by content, as plain streams of what is inside (C1)."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

from mirror.archive.limits import ReadLimits
from mirror.errors import LimitError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["DECOMPRESSION_ERRORS", "has_trailing", "is_compressed", "open_plain"]

DECOMPRESSION_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
"""What reading a truncated or damaged stream raises."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))

_ZSTD_WINDOW = 128 * 1024 * 1024
"""The most memory that a zstd frame may ask for: what `zstd --long` needs at its default."""
_RATIO_FREE = 64 * 1024 * 1024
"""Bytes that any compressed file may give, whatever the ratio."""
_ZSTD_HEADER_BYTES = 18
"""The most that a frame's header takes, its magic number included (RFC 8878 section 3.1.1)."""
_ZSTD_SLICE = 1024
"""Compressed bytes taken at a time; a slice expands to some 43 MB at the very most."""


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins with `head` is gzip or zstd."""
    return head.startswith((_GZIP, _ZSTD, *_ZSTD_SKIPPABLE))


def open_plain(file: BinaryIO, limits: ReadLimits) -> BinaryIO:
    """Return a stream of what is in `file`, from its start, whether compressed or not.

    Reading the stream raises one of `DECOMPRESSION_ERRORS` where a compressed file is truncated or
    damaged, after all that came before, and `LimitError` where it gives more than `limits` allow.
    It may give less than it is asked for. It ends where something else than gzip or zstd follows
    the compressed data; then `has_trailing`.
    """
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if head.startswith(_GZIP):
        gzipped = gzip.GzipFile(fileobj=file, mode="rb")
        return cast("BinaryIO", _LimitedStream(gzipped.read1, file, limits))
    if is_compressed(head):
        return cast("BinaryIO", _LimitedStream(_ZstdStream(file).read, file, limits))
    return file


def has_trailing(stream: BinaryIO) -> bool:
    """Whether a stream of `open_plain` ended before its file, which goes on with other bytes (C5).

    Args:
        stream: The stream, read to its end, or an `io.BufferedReader` over it.
    """
    raw = getattr(stream, "raw", stream)
    return isinstance(raw, _LimitedStream) and raw.has_trailing


class _TrailingDataError(Exception):
    """Bytes follow that are neither a member or frame nor padding."""


class _LimitedStream(io.RawIOBase):
    """A decompressed stream that ends with an error when it gives too much (B4)."""

    def __init__(
        self, read: Callable[[int], bytes | None], file: BinaryIO, limits: ReadLimits
    ) -> None:
        self._read = read
        self._file = file
        self._limits = limits
        self._given = 0
        self.has_trailing = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        content = self._next(len(target))
        target[: len(content)] = content
        self._given += len(content)
        allowed = max(_RATIO_FREE, self._file.tell() * self._limits.ratio)
        if self._given > allowed:
            message = f"one compressed byte gives more than {self._limits.ratio} bytes"
            raise LimitError("limit.ratio", message)
        if self._given > self._limits.expanded_bytes:
            message = f"more than {self._limits.expanded_bytes} bytes are in it"
            raise LimitError("limit.ratio", message)
        return len(content)

    def _next(self, count: int) -> bytes:
        try:
            return b"" if self.has_trailing else self._read(count) or b""
        except _TrailingDataError:
            self.has_trailing = True
        except gzip.BadGzipFile as error:
            # The first member is known to be gzip, so this is what follows a later one.
            if not str(error).startswith("Not a gzipped file"):
                raise
            self.has_trailing = True
        return b""


class _ZstdStream(io.RawIOBase):
    """What is in zstd frames, one after the other.

    The library's own reader takes a truncated frame for a complete one, so this feeds its
    decompressor and looks whether the last frame came to its end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._library = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._library.decompressobj()
        self._in_frame = False
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        while not self._output and self._fill():
            pass
        count = min(len(target), len(self._output))
        target[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def _fill(self) -> bool:
        """Decompress one more slice; False where the file ends between two frames."""
        if not self._in_frame and not self._begin_frame():
            return False
        self._input = self._input or self._file.read(_ZSTD_SLICE)
        if not self._input:
            raise EOFError("the zstd stream ends within a frame")
        self._output = memoryview(b"")  # or two slices would be held at once
        self._output = memoryview(self._frame.decompress(self._input))
        self._input = b""
        if self._frame.eof:
            self._input = self._frame.unused_data
            self._frame = self._library.decompressobj()
            self._in_frame = False
        return True

    def _begin_frame(self) -> bool:
        """Stand at the next frame; False where only zeros are left.

        Raises:
            _TrailingError: If something else follows.
            LimitError: `limit.size` if the frame asks for too much memory.
        """
        self._input = self._input.lstrip(b"\0")
        while len(self._input) < _ZSTD_HEADER_BYTES and (more := self._file.read(_ZSTD_SLICE)):
            self._input = (self._input + more).lstrip(b"\0")
        if not self._input:
            return False
        magic = self._input[:4]
        if not any(one.startswith(magic) for one in (_ZSTD, *_ZSTD_SKIPPABLE)):
            raise _TrailingDataError
        self._in_frame = True
        if len(self._input) >= _ZSTD_HEADER_BYTES and magic == _ZSTD:
            _require_window(zstandard.get_frame_parameters(self._input).window_size)
        return True


def _require_window(window_bytes: int) -> None:
    if window_bytes > _ZSTD_WINDOW:
        message = (
            f"a zstd frame asks for a window of {window_bytes} bytes, more than {_ZSTD_WINDOW};"
            " compress it again, with `zstd --long=27` at most"
        )
        raise LimitError("limit.size", message)
