"""The connections of a server: how many, and how long each may do nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from mirror.web.log import ErrorLog

__all__ = ["ACCEPTED_AT_ONCE", "ConnectionLimits", "Connections", "Listener"]

ACCEPTED_AT_ONCE = 16
"""Connections that are accepted before any of them is looked at."""
_RESERVED = 4 * ACCEPTED_AT_ONCE + 64
"""File descriptors for those, and for stores, their logs, and temporary files."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_QUEUE = 2048
"""Connections that the system keeps until they are accepted."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on the connections of a server."""

    connections: int = 1000
    """Open at one time, as far as there are descriptors for them."""
    waiting_s: float = 15.0
    """Without a whole request: an idle connection, or one whose header comes slowly."""
    taking_s: float = 30.0
    """In which a client must take some of an answer that waits for it."""
    taken_bytes: int = 32 * 1024
    """How much."""
    buffered_bytes: int = 256 << 20
    """Bytes of answers that wait for all clients together."""

    def room(self) -> int:
        """Return how many connections there may be with the descriptors of this process."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            return self.connections
        return max(1, min(self.connections, max(descriptors - _RESERVED, descriptors // 4)))


@dataclass(slots=True, eq=False)
class _Connection:
    """An open connection, and since when it is at what it is at."""

    protocol: Any
    """A protocol of uvicorn, for either of its HTTP parsers: both have `transport` and `cycle`."""
    since: float
    """When it began to wait for a request."""
    taking_since: float
    taken: int
    """Bytes that the client had taken then."""
    cycle: object = None
    """The request that it answered last, and the response."""

    @property
    def is_waiting(self) -> bool:
        """Whether no request of it is being answered."""
        cycle = self.protocol.cycle
        return cycle is None or cycle.response_complete

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client to take others."""
        return int(self.protocol.transport.get_write_buffer_size())

    def drop(self) -> None:
        """Close it at once, whatever waits to be sent."""
        self.protocol.transport.abort()


class Connections:
    """All connections of a server."""

    def __init__(
        self, limits: ConnectionLimits | None = None, errors: ErrorLog | None = None
    ) -> None:
        self._limits = limits or ConnectionLimits()
        self._errors = errors or ErrorLog()
        self._room = self._limits.room()
        self._open: dict[asyncio.Protocol, _Connection] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def protocol(self) -> type[asyncio.Protocol]:
        """Return uvicorn's protocol, of which each instance is a connection here."""
        return type("CountedProtocol", (_LimitedProtocol, AutoHTTPProtocol), {"counted_by": self})

    def add(self, protocol: asyncio.Protocol) -> None:
        """Take a new connection in; if there is no room, the one that waits longest goes."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if len(self._open) >= self._room and not self.make_room("no more may be"):
            cast("_LimitedProtocol", protocol).transport.abort()
        self._open[protocol] = _Connection(protocol, now, now, 0)
        if self._timer is None:
            self._timer = loop.call_later(1, self._tick)

    def remove(self, protocol: asyncio.Protocol) -> None:
        """Forget a connection that was closed."""
        self._open.pop(protocol, None)

    def make_room(self, why: str) -> bool:
        """Drop the connection that waits longest for a request; return whether there was one."""
        self._errors.write("connections", f"{len(self._open)} connections are open, and {why}")
        waiting = [
            one
            for one in self._open.values()
            if one.is_waiting and not one.protocol.transport.is_closing()
        ]
        if not waiting:
            return False
        min(waiting, key=lambda one: one.since).drop()
        return True

    def sweep(self, now: float) -> None:
        """Drop every connection that has been at nothing for too long.

        Args:
            now: The time of the event loop, in seconds.
        """
        for one in list(self._open.values()):
            if self._is_idle(one, now) or self._is_stalled(one, now):
                one.drop()
        buffered = {one: one.buffered for one in self._open.values()}
        total = sum(buffered.values())
        for one in sorted(buffered, key=lambda one: -buffered[one]):
            if total <= self._limits.buffered_bytes:
                return
            total -= buffered[one]
            one.drop()

    def _is_idle(self, one: _Connection, now: float) -> bool:
        if not one.is_waiting or one.protocol.cycle is not one.cycle:
            one.since, one.cycle = now, one.protocol.cycle
        return now - one.since >= self._limits.waiting_s and not one.buffered

    def _is_stalled(self, one: _Connection, now: float) -> bool:
        taken = _taken(one.protocol.transport)
        if one.buffered and now - one.taking_since < self._limits.taking_s:
            return False
        is_stalled = bool(one.buffered) and taken - one.taken < self._limits.taken_bytes
        one.taking_since, one.taken = now, taken
        return is_stalled

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self.sweep(loop.time())
        self._timer = loop.call_later(1, self._tick) if self._open else None


class _LimitedProtocol(asyncio.Protocol):
    """Adds limits to a protocol: the connection is counted and timed."""

    counted_by: Connections
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part."""
        super().connection_made(transport)
        self.counted_by.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take no part any more."""
        self.counted_by.remove(self)
        super().connection_lost(exc)


_BYTES_ACKED_AT = 120
"""The offset of `tcpi_bytes_acked` in Linux' `struct tcp_info` (linux/tcp.h), 64 bits."""


def _taken(transport: asyncio.Transport) -> int:
    """Return a number that grows by each byte that the client's machine took."""
    connection = transport.get_extra_info("socket")
    if sys.platform == "linux" and connection.family in {socket.AF_INET, socket.AF_INET6}:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED_AT + 8)
        if len(info) == _BYTES_ACKED_AT + 8:
            return int(struct.unpack_from("=Q", info, _BYTES_ACKED_AT)[0])
    return -transport.get_write_buffer_size()


class Listener(socket.socket):
    """A socket that goes on accepting connections when the file descriptors run out.

    asyncio would try again as often as connections may be queued, and log each time.
    """

    def __init__(self, family: int, connections: Connections) -> None:
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._connections = connections
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def listen(self, _accepted_at_once: int = 0, /) -> None:
        """Listen, with a queue of a length that does not depend on how many are accepted."""
        super().listen(_QUEUE)

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection.

        Raises:
            BlockingIOError: If there is none, or none can be accepted now.
        """
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            if not self._connections.make_room(str(error.strerror)):
                self._refuse_one()
            raise BlockingIOError from error

    def _refuse_one(self) -> None:
        """Close a connection that waits to be accepted, for which one descriptor is kept."""
        os.close(self._spare)
        try:
            super().accept()[0].close()
        except OSError:
            pass
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close it, and what it keeps."""
        super().close()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
