"""Compressed bodies, decoded a little at a time, so that a bomb is seen before it goes off.

httpx would decode each piece that arrives as a whole: 64 KiB of zstd can be 2 GiB. It also takes
a gzip body that was cut short for a complete one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import zstandard

from mirror.errors import UpstreamError
from mirror.net.errors import truncated

__all__ = ["ACCEPTED", "decoded"]

ACCEPTED = "zstd, gzip"
"""What we ask for in `Accept-Encoding`."""

_GZIP = zlib.MAX_WBITS | 16
"""How zlib is told that a header and a checksum of gzip are there."""
_PIECE_BYTES = 64 * 1024
_ZSTD_SLICE_BYTES = 256
"""Compressed bytes taken at a time; a slice expands to some 11 MB at the very most."""
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""The most memory that a frame may ask for (RFC 9659 section 3)."""


def decoded(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield what is in a body, in pieces.

    Args:
        chunks: The body, as sent.
        coding: `Content-Encoding`, as sent.

    Raises:
        UpstreamError: The coding is not one that we asked for, or the body is not in it
            (`upstream.encoding`).
        PassingError: The body ends too early (`upstream.truncated`).
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return iter(chunks)
    if name in {"gzip", "x-gzip"}:  # one and the same (RFC 9110 section 8.4.1.3)
        return _gunzipped(chunks)
    if name == "zstd":
        return _unzstd(chunks)
    message = "The server compressed its answer in a way that was not asked for."
    raise UpstreamError("upstream.encoding", message)


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is in gzip members, one after the other (RFC 1952 section 2.2)."""
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
    """Yield what one more part of a member gives."""
    piece = member.decompress(data, _PIECE_BYTES)
    while piece:
        yield piece
        if member.eof:
            return
        # Even with all its input taken, zlib may hold back what went over the size of a piece.
        piece = member.decompress(member.unconsumed_tail, _PIECE_BYTES)


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is in zstd frames, one after the other (RFC 8878 section 3.1)."""
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
    message = "The compressed answer is damaged and cannot be unpacked."
    return UpstreamError("upstream.encoding", message)
