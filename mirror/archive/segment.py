"""Reads and writes segments of packed bags: MessagePack maps of bundles, in zstd (rule C4)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgpack
import zstandard

from mirror.archive.compression import (
    DECOMPRESSION_ERRORS,
    TRAILING_DATA,
    has_trailing,
    open_decompressed,
)
from mirror.archive.limits import ReadLimits
from mirror.archive.member import Member, MemberOrBag, RefusedMember
from mirror.errors import LimitError

__all__ = ["is_segment_name", "read_segment", "write_segments"]

SEGMENT_BYTES = 4 * 1024 * 1024
"""Bytes of MessagePack after which a new segment is begun."""
LEVEL = 3
"""Compression level of zstd."""

_CHUNK = 1 << 20


class _NotPackedError(Exception):
    """The next bytes are not MessagePack, so the start of the next bundle is unknown."""


def is_segment_name(path: str) -> bool:
    """Whether a payload member of a bag is a segment by its name."""
    return path.endswith(".msgpack.zst") and "/data/segments/" in f"/{path}"


# Reading -------------------------------------------------------------------------------------


def read_segment(name: str, data: bytes, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield the bundles of a segment, each named by its number, from 1.

    Args:
        name: Name of the segment.
        data: The compressed segment.
        limits: Limits on the input.
    """
    number = 0
    try:
        stream = open_decompressed(io.BytesIO(data), limits)
        for packed in _values(stream, limits):
            number += 1
            yield _item(f"{name}#{number}", packed, limits)
        if has_trailing(stream):
            yield RefusedMember(f"after {name}#{number}", "archive.trailing", TRAILING_DATA)
    except DECOMPRESSION_ERRORS as error:
        yield RefusedMember(f"after {name}#{number}", "archive.truncated", str(error))
    except _NotPackedError as error:
        yield RefusedMember(f"after {name}#{number}", "archive.member", str(error))
    except LimitError as error:
        message = f"{error.message}; the rest of the segment was not read"
        yield RefusedMember(f"after {name}#{number}", error.code, message)


def _values(stream: BinaryIO, limits: ReadLimits) -> Iterator[bytes]:
    """Yield the bytes of each value in a stream of MessagePack.

    Raises:
        EOFError: If it ends within a value.
        _NotPackedError: If the rest is not MessagePack.
        LimitError: If a value is too large, or there are too many.
    """
    rest = b""
    count = 0
    while chunk := stream.read(_CHUNK):
        rest += chunk
        end = 0
        for start, end in _spans(rest):
            if count == limits.members:
                raise LimitError("limit.count", f"more than {limits.members} bundles")
            count += 1
            yield rest[start:end]
        rest = rest[end:]
        if len(rest) > limits.member_bytes:
            raise LimitError("limit.size", f"a bundle larger than {limits.member_bytes} bytes")
    if rest:
        raise EOFError("the segment ends within a bundle")


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each complete value."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data)
    start = 0
    while True:
        try:
            unpacker.skip()
        except msgpack.exceptions.OutOfData:
            return
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise _NotPackedError("the rest is not MessagePack") from error
        yield start, unpacker.tell()
        start = unpacker.tell()


def _item(name: str, packed: bytes, limits: ReadLimits) -> MemberOrBag:
    if len(packed) > limits.member_bytes:
        return RefusedMember(name, "limit.size", f"larger than {limits.member_bytes} bytes")
    if len(packed) > limits.values and _has_more_values_than(limits.values, packed):
        return RefusedMember(name, "limit.count", f"more than {limits.values} values")
    return Member(name, packed, is_packed=True)


def _has_more_values_than(count: int, packed: bytes) -> bool:
    """Whether `packed` has more than `count` values; uses no memory for them."""
    remaining = count

    def count_items(items: list[object]) -> None:
        nonlocal remaining
        remaining -= len(items)
        if remaining < 0:
            raise OverflowError

    try:
        msgpack.unpackb(
            packed,
            list_hook=count_items,
            object_pairs_hook=count_items,
            max_array_len=count,
            max_map_len=count,
            strict_map_key=False,
        )
    except OverflowError:
        return True
    except ValueError as error:
        return "exceeds max" in str(error)
    return False


# Writing -------------------------------------------------------------------------------------


def write_segments(bundles: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield (path below `data/`, content) of segments with packed bundles, in their order.

    The same bundles give the same bytes with the same version of zstd.
    """
    for number, packed in enumerate(_batches(bundles)):
        content = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(packed)
        yield f"segments/{number:08}.msgpack.zst", content


def _batches(bundles: Iterable[bytes]) -> Iterator[bytes]:
    group: list[bytes] = []
    size = 0
    for packed in bundles:
        group.append(packed)
        size += len(packed)
        if size >= SEGMENT_BYTES:
            yield b"".join(group)
            group, size = [], 0
    if group:
        yield b"".join(group)
