"""Decompresses gzip and zstd, detected by content, as a stream with limits (C1, B4)."""

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

__all__ = [
    "DECOMPRESSION_ERRORS",
    "TRAILING_DATA",
    "has_trailing",
    "is_compressed",
    "open_buffered",
    "open_decompressed",
]

DECOMPRESSION_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
"""Errors that reading a truncated or damaged stream raises."""
TRAILING_DATA = "data after the compressed data was not read"
"""Message of `archive.trailing` where `has_trailing` is true."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))

_ZSTD_WINDOW = 128 * 1024 * 1024
"""Largest `Window_Size` of a zstd frame in bytes: the default of `zstd --long`."""
_RATIO_EXEMPT_BYTES = 64 * 1024 * 1024
"""Decompressed bytes to which the limit on the ratio does not apply."""
_ZSTD_HEADER_BYTES = 18
"""Largest frame header with its magic number, in bytes (RFC 8878 section 3.1.1)."""
_ZSTD_SLICE = 1024
"""Compressed bytes that are decompressed at once, to at most about 43 MB."""


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins with `head` is gzip or zstd."""
    return head.startswith((_GZIP, _ZSTD, *_ZSTD_SKIPPABLE))


def open_decompressed(file: BinaryIO, limits: ReadLimits) -> BinaryIO:
    """Return a stream over the decompressed content of `file` from its start, or `file` itself.

    Reading the stream raises one of `DECOMPRESSION_ERRORS` where a compressed file is truncated or
    damaged, after the data before that, and `LimitError` where the content exceeds `limits`.
    A read may return fewer bytes than requested. The stream ends where other data follows the
    compressed data; then `has_trailing` is true.
    """
    stream = _limited_stream(file, limits)
    return file if stream is None else cast("BinaryIO", stream)  # a RawIOBase is one at run time


def open_buffered(file: BinaryIO, limits: ReadLimits) -> BinaryIO:
    """Return the stream of `open_decompressed` with a buffer, to read it by lines."""
    stream = _limited_stream(file, limits)
    return file if stream is None else io.BufferedReader(stream)


def _limited_stream(file: BinaryIO, limits: ReadLimits) -> _LimitedStream | None:
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if head.startswith(_GZIP):
        return _LimitedStream(gzip.GzipFile(fileobj=file, mode="rb").read1, file, limits)
    if is_compressed(head):
        return _LimitedStream(_ZstdStream(file).read, file, limits)
    return None


def has_trailing(stream: BinaryIO) -> bool:
    """Whether other data follows the compressed data of a file (C5).

    Args:
        stream: Stream of `open_decompressed` or `open_buffered`, read to its end.
    """
    raw = getattr(stream, "raw", stream)
    return isinstance(raw, _LimitedStream) and raw.has_trailing


class _TrailingDataError(Exception):
    """The next bytes are neither a gzip member or zstd frame nor padding."""


class _LimitedStream(io.RawIOBase):
    """A decompressed stream that raises an error when it exceeds a limit (B4)."""

    def __init__(
        self, read: Callable[[int], bytes | None], file: BinaryIO, limits: ReadLimits
    ) -> None:
        self._read = read
        self._file = file
        self._limits = limits
        self._output_bytes = 0
        self.has_trailing = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        content = self._next(len(target))
        target[: len(content)] = content
        self._output_bytes += len(content)
        allowed = max(_RATIO_EXEMPT_BYTES, self._file.tell() * self._limits.ratio)
        if self._output_bytes > allowed:
            message = f"one compressed byte expands to more than {self._limits.ratio} bytes"
            raise LimitError("limit.ratio", message)
        if self._output_bytes > self._limits.expanded_bytes:
            message = f"it expands to more than {self._limits.expanded_bytes} bytes"
            raise LimitError("limit.ratio", message)
        return len(content)

    def _next(self, count: int) -> bytes:
        try:
            return b"" if self.has_trailing else self._read(count) or b""
        except _TrailingDataError:
            self.has_trailing = True
        except gzip.BadGzipFile as error:
            # The first member is gzip (RFC 1952), so this is data after a later one.
            if not str(error).startswith("Not a gzipped file"):
                raise
            self.has_trailing = True
        return b""


class _ZstdStream(io.RawIOBase):
    """Decompressed content of consecutive zstd frames (RFC 8878).

    The library's own reader accepts a truncated frame as complete, so this class feeds the
    decompressor itself and checks that the last frame is complete.
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
        """Decompress one more slice; False if the file ends between two frames."""
        if not self._in_frame and not self._begin_frame():
            return False
        self._input = self._input or self._file.read(_ZSTD_SLICE)
        if not self._input:
            raise EOFError("the zstd stream ends within a frame")
        self._output = memoryview(b"")  # frees the last slice, so that only one is in memory
        self._output = memoryview(self._frame.decompress(self._input))
        self._input = b""
        if self._frame.eof:
            self._input = self._frame.unused_data
            self._frame = self._library.decompressobj()
            self._in_frame = False
        return True

    def _begin_frame(self) -> bool:
        """Go to the next frame; False if only zeros follow.

        Raises:
            _TrailingDataError: If other data follows.
            LimitError: `limit.size` if the window of the frame is too large.
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
            f"a zstd frame needs a window of {window_bytes} bytes, more than {_ZSTD_WINDOW};"
            " compress it again, with at most `zstd --long=27`"
        )
        raise LimitError("limit.size", message)
