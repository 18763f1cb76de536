"""States that were asked for lately, kept in memory as they are sent: what makes a server quick.

A state is named by its digest, so a kept one cannot be wrong. Which state a name stands for may
change with every commit to the store: after one, what it touched is forgotten.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import zstandard

__all__ = ["ResolvedName", "StateCache", "compress", "decompress"]

_NAMES = 1 << 17
"""Names that are remembered at most."""
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class ResolvedName:
    """What a name stands for, in one version of the store."""

    record_id: int
    suffix: str
    digest: str
    """Of its state, in hexadecimal."""
    changed_at: datetime | None
    """When its last fact came."""


class StateCache:
    """What names stand for, and states, the least lately used left out."""

    def __init__(self, capacity: int) -> None:
        """Keep states of at most `capacity` bytes, compressed."""
        self._capacity = capacity
        self._size = 0
        self._frames: OrderedDict[str, bytes] = OrderedDict()
        self._suffixes: dict[str, ResolvedName] = {}
        """By whole suffixes."""
        self._others: dict[str, ResolvedName] = {}
        """By other names: any new record may take one of them."""

    def get_name(self, name: str) -> ResolvedName | None:
        """Return what a name stands for, if that is known."""
        return self._suffixes.get(name) or self._others.get(name)

    def put_name(self, name: str, named: ResolvedName) -> None:
        """Remember what a name stands for."""
        names = self._suffixes if name == named.suffix else self._others
        if len(names) >= _NAMES:
            names.clear()
        names[name] = named

    def invalidate(self, came_for: Iterable[tuple[str, str]]) -> None:
        """Forget what may have changed.

        Args:
            came_for: Suffix and source id of the records that something came for. A source may
                call its paper what is the suffix of another.
        """
        self._others.clear()
        for names in came_for:
            for name in names:
                self._suffixes.pop(name, None)

    def clear(self) -> None:
        """Forget what any name stands for."""
        self._others.clear()
        self._suffixes.clear()

    def frame(self, digest: str) -> bytes | None:
        """Return a state as a zstd frame, if it is kept."""
        frame = self._frames.get(digest)
        if frame is not None:
            self._frames.move_to_end(digest)
        return frame

    def put(self, digest: str, frame: bytes) -> None:
        """Keep a state, and drop others if there is no room."""
        self._size += len(frame) - len(self._frames.pop(digest, b""))
        self._frames[digest] = frame
        while self._size > self._capacity:
            self._size -= len(self._frames.popitem(last=False)[1])


class _StateCodecs(threading.local):
    """zstd's own state, of which every thread needs one."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_CODECS = _StateCodecs()


def compress(text: bytes) -> bytes:
    """Return a zstd frame (RFC 8878), as it may be sent."""
    return _CODECS.compress(text)


def decompress(frame: bytes) -> bytes:
    """Return what a frame of ours holds."""
    return _CODECS.decompress(frame)
