"""Decoding of compressed bodies in small pieces, so that a decompression bomb is refused early.

httpx decodes each received piece at once, and 64 KiB of zstd can be 2 GiB. It also accepts a
truncated gzip body as a complete one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import zstandard

from mirror.errors import UpstreamError
from mirror.net.errors import truncated

__all__ = ["ACCEPTED", "decoded"]

ACCEPTED = "zstd, gzip"
"""The field `Accept-Encoding` of requests."""

_GZIP = zlib.MAX_WBITS | 16
"""The argument of zlib for a gzip header and checksum."""
_PIECE_BYTES = 64 * 1024
_ZSTD_SLICE_BYTES = 256
"""Compressed bytes decoded at once; they expand to at most 11 MB."""
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""The largest window of a frame (RFC 9659 section 3)."""


def decoded(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the decoded body in pieces.

    Args:
        chunks: The body as it was received.
        coding: The field `Content-Encoding` as it was received.

    Raises:
        UpstreamError: `upstream.encoding` if the coding was not requested, or the body is damaged.
        TransientError: `upstream.truncated` if the body ends too early.
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return iter(chunks)
    if name in {"gzip", "x-gzip"}:  # one and the same (RFC 9110 section 8.4.1.3)
        return _gunzipped(chunks)
    if name == "zstd":
        return _unzstd(chunks)
    message = "The server compressed its response in a way that was not requested."
    raise UpstreamError("upstream.encoding", message)


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of gzip members, one after the other (RFC 1952 section 2.2)."""
    member = zlib.decompressobj(wbits=_GZIP)
    in_member = False
    for chunk in chunks:
        rest = chunk
        while rest:
            try:
                yield from _inflated(member, rest)
            except zlib.error as error:
                raise _damaged() from error
            in_member = not member.eof
            rest = member.unused_data
            if not in_member:
                member = zlib.decompressobj(wbits=_GZIP)
    if in_member:
        raise truncated()


def _inflated(member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yield the content of a part of a member."""
    piece = member.decompress(data, _PIECE_BYTES)
    while piece:
        yield piece
        if member.eof:
            return
        # zlib may have buffered output beyond the size of a piece, even if all input is consumed.
        piece = member.decompress(member.unconsumed_tail, _PIECE_BYTES)


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of zstd frames, one after the other (RFC 8878 section 3.1)."""
    library = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = library.decompressobj()
    in_frame = False
    for part in _slices(chunks):
        rest = part
        while rest:
            try:
                yield frame.decompress(rest)
            except zstandard.ZstdError as error:
                raise _damaged() from error
            in_frame = not frame.eof
            rest = b"" if in_frame else frame.unused_data
            if not in_frame:
                frame = library.decompressobj()
    if in_frame:
        raise truncated()


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _ZSTD_SLICE_BYTES):
            yield chunk[start : start + _ZSTD_SLICE_BYTES]


def _damaged() -> UpstreamError:
    message = "The compressed response is damaged."
    return UpstreamError("upstream.encoding", message)
