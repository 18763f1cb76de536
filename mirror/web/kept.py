"""States that were asked for lately, kept in memory as they are sent: what makes a server quick.

A state is named by its digest, so a kept one cannot be wrong. Which state a name stands for may
change with every commit to the store, so that is asked again as soon as there was one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

import zstandard

__all__ = ["KeptStates", "Named", "compress", "decompress"]

_NAMES = 1 << 17
"""Names that are remembered at most."""
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Named:
    """What a name stands for, in one version of the store."""

    record_id: int
    suffix: str
    digest: str
    """Of its state, in hexadecimal."""
    changed_at: datetime | None
    """When its last fact came."""


class KeptStates:
    """What names stood for, and states, the least lately used left out."""

    def __init__(self, capacity: int) -> None:
        """Keep states of at most `capacity` bytes, compressed."""
        self._capacity = capacity
        self._size = 0
        self._frames: OrderedDict[str, bytes] = OrderedDict()
        self._names: dict[str, tuple[int, Named]] = {}

    def named(self, name: str) -> tuple[int, Named] | None:
        """Return what a name stood for, after the version of the store in which it did."""
        return self._names.get(name)

    def note(self, name: str, version: int, named: Named) -> None:
        """Remember what a name stands for in a version of the store."""
        if len(self._names) >= _NAMES:
            self._names.clear()
        self._names[name] = version, named

    def frame(self, digest: str) -> bytes | None:
        """Return a state as a zstd frame, if it is kept."""
        frame = self._frames.get(digest)
        if frame is not None:
            self._frames.move_to_end(digest)
        return frame

    def keep(self, digest: str, frame: bytes) -> None:
        """Keep a state, and drop others if there is no room."""
        self._size += len(frame) - len(self._frames.pop(digest, b""))
        self._frames[digest] = frame
        while self._size > self._capacity:
            self._size -= len(self._frames.popitem(last=False)[1])


_compressor = zstandard.ZstdCompressor(level=_LEVEL)
_decompressor = zstandard.ZstdDecompressor()


def compress(text: bytes) -> bytes:
    """Return a zstd frame (RFC 8878), as it may be sent."""
    return _compressor.compress(text)


def decompress(frame: bytes) -> bytes:
    """Return what a frame of ours holds."""
    return _decompressor.decompress(frame)
