"""Segments of packed bags: MessagePack maps of bundles, one after the other, in zstd (rule C4)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgpack
import zstandard

from mirror.archive.compression import DECOMPRESSION_ERRORS, has_trailing, open_plain
from mirror.archive.limits import ReadLimits
from mirror.archive.member import Member, MemberOrBag, RefusedMember
from mirror.errors import LimitError

__all__ = ["is_segment_name", "read_segment", "write_segments"]

SEGMENT_BYTES = 4 * 1024 * 1024
"""Bytes of MessagePack from which a segment written here is full."""
LEVEL = 3
"""Of zstd, in what is written here."""

_CHUNK = 1 << 20


class _NotPackedError(Exception):
    """What follows is no MessagePack, so that nobody knows where the next bundle begins."""


def is_segment_name(path: str) -> bool:
    """Whether a payload member of a bag is a segment by its name."""
    return "/data/segments/" in f"/{path}" and path.endswith(".msgpack.zst")


# Reading -------------------------------------------------------------------------------------


def read_segment(name: str, data: bytes, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield the bundles of a segment, each named by its place in it, from 1.

    Args:
        name: The segment's own name.
        data: The segment, compressed.
        limits: What this mirror accepts.
    """
    number = 0
    try:
        stream = open_plain(io.BytesIO(data), limits)
        for packed in _maps(stream, limits):
            number += 1
            yield _item(f"{name}#{number}", packed, limits)
        if has_trailing(stream):
            message = "more follows the compressed data, and was not read"
            yield RefusedMember(f"after {name}#{number}", "archive.trailing", message)
    except DECOMPRESSION_ERRORS as error:
        yield RefusedMember(f"after {name}#{number}", "archive.truncated", str(error))
    except _NotPackedError as error:
        yield RefusedMember(f"after {name}#{number}", "archive.member", str(error))
    except LimitError as error:
        message = f"{error.message}; the rest of the segment was not read"
        yield RefusedMember(f"after {name}#{number}", error.code, message)


def _maps(stream: BinaryIO, limits: ReadLimits) -> Iterator[bytes]:
    """Yield the bytes of each value in a stream of MessagePack.

    Raises:
        EOFError: If it ends within one.
        _NotPackedError: If it is no MessagePack from here on.
        LimitError: If one is larger than this mirror accepts, or there are too many.
    """
    left = b""
    count = 0
    while chunk := stream.read(_CHUNK):
        left += chunk
        end = 0
        for start, end in _spans(left):
            if count == limits.members:
                raise LimitError("limit.count", f"more than {limits.members} bundles")
            count += 1
            yield left[start:end]
        left = left[end:]
        if len(left) > limits.member_bytes:
            raise LimitError("limit.size", f"a bundle larger than {limits.member_bytes} bytes")
    if left:
        raise EOFError("the segment ends within a bundle")


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each value that is whole begins and ends."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data)
    start = 0
    while True:
        try:
            unpacker.skip()
        except msgpack.exceptions.OutOfData:
            return
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise _NotPackedError("from here on it is no MessagePack") from error
        yield start, unpacker.tell()
        start = unpacker.tell()


def _item(name: str, packed: bytes, limits: ReadLimits) -> MemberOrBag:
    if len(packed) > limits.member_bytes:
        return RefusedMember(name, "limit.size", f"larger than {limits.member_bytes} bytes")
    if len(packed) > limits.values and _holds_more_than(limits.values, packed):
        return RefusedMember(name, "limit.count", f"more than {limits.values} values")
    return Member(name, packed, is_packed=True)


def _holds_more_than(count: int, packed: bytes) -> bool:
    """Whether there are more values in `packed`, which takes no more memory to find out."""
    left = count

    def take(items: list[object]) -> None:
        nonlocal left
        left -= len(items)
        if left < 0:
            raise OverflowError

    try:
        msgpack.unpackb(
            packed,
            list_hook=take,
            object_pairs_hook=take,
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
    """Yield (path below `data/`, content) of segments that hold packed bundles, in their order.

    The same bundles give the same bytes, as long as zstd does.
    """
    for number, packed in enumerate(_groups(bundles)):
        content = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(packed)
        yield f"segments/{number:08}.msgpack.zst", content


def _groups(bundles: Iterable[bytes]) -> Iterator[bytes]:
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
