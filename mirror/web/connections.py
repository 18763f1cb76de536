"""Limits on connections: their number, idle and stalled time, and buffered bytes."""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any

from mirror.web.log import ErrorLog

__all__ = ["ACCEPTED_AT_ONCE", "ConnectionLimits", "Connections"]

ACCEPTED_AT_ONCE = 16
"""Connections that are accepted at one time."""
_RESERVED = 4 * ACCEPTED_AT_ONCE + 64
"""File descriptors for those, and for stores, their logs, and temporary files."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on the connections of a server."""

    connections: int = 1000
    """Most open connections; fewer if the process may have fewer file descriptors."""
    idle_s: float = 15.0
    """Seconds after which a connection without a complete request is closed."""
    stall_s: float = 30.0
    """Seconds in which a client must receive `stall_bytes` of a response."""
    stall_bytes: int = 32 * 1024
    buffered_bytes: int = 256 << 20
    """Most bytes of responses that are buffered for all clients together."""

    def descriptor_limit(self) -> int:
        """Return the number of connections that the file descriptors of this process allow."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            return self.connections
        return max(1, min(self.connections, max(descriptors - _RESERVED, descriptors // 4)))


@dataclass(slots=True, eq=False)
class _Connection:
    """An open connection, and when it last made progress."""

    protocol: Any
    """uvicorn's protocol with either of its HTTP parsers: both have `transport` and `cycle`."""
    since: float
    """Start of waiting for a request, by the clock of the event loop, in seconds."""
    measured_at: float
    """Time of the measurement of `received`."""
    received: int
    """Bytes that the client had received by then."""
    last: object = (None, 0)
    """The last request, as `request` returned it."""

    @property
    def is_waiting(self) -> bool:
        """True while no request is handled."""
        cycle = self.protocol.cycle
        return cycle is None or cycle.response_complete

    @property
    def request(self) -> object:
        """A value that changes with each request: uvicorn's state, and direct responses."""
        return self.protocol.cycle, getattr(self.protocol, "direct_count", 0)

    @property
    def buffered(self) -> int:
        """Bytes that were not sent yet."""
        return int(self.protocol.transport.get_write_buffer_size())

    def drop(self) -> None:
        """Close the connection at once, and discard buffered bytes."""
        self.protocol.transport.abort()


class Connections:
    """The open connections of a server, which are closed when they exceed a limit."""

    def __init__(
        self, limits: ConnectionLimits | None = None, errors: ErrorLog | None = None
    ) -> None:
        self._limits = limits or ConnectionLimits()
        self._errors = errors or ErrorLog()
        self._limit = self._limits.descriptor_limit()
        self._open: dict[asyncio.Protocol, _Connection] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """The number of open connections."""
        return len(self._open)

    def limited(
        self, protocol: type[asyncio.Protocol], **members: object
    ) -> type[asyncio.Protocol]:
        """Return a subclass of a protocol of uvicorn whose instances register here."""
        members["registry"] = self
        return type("LimitedProtocol", (_LimitedProtocol, protocol), members)

    def add(self, protocol: _LimitedProtocol) -> None:
        """Register a connection; if there are too many, close the one that has waited longest."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if len(self._open) >= self._limit and not self.make_room("no more may be"):
            protocol.transport.abort()
        self._open[protocol] = _Connection(protocol, now, now, 0)
        if self._timer is None:
            self._timer = loop.call_later(1, self._tick)

    def remove(self, protocol: asyncio.Protocol) -> None:
        """Remove a connection that was closed."""
        self._open.pop(protocol, None)

    def make_room(self, why: str) -> bool:
        """Close the connection that has waited longest; return whether any waits for a request."""
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
        """Close idle and stalled connections, and the largest while too much is buffered.

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
        if not one.is_waiting or one.request != one.last:
            one.since, one.last = now, one.request
        return now - one.since >= self._limits.idle_s and not one.buffered

    def _is_stalled(self, one: _Connection, now: float) -> bool:
        received = _received(one.protocol.transport)
        if one.buffered and now - one.measured_at < self._limits.stall_s:
            return False
        is_stalled = bool(one.buffered) and received - one.received < self._limits.stall_bytes
        one.measured_at, one.received = now, received
        return is_stalled

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self.sweep(loop.time())
        self._timer = loop.call_later(1, self._tick) if self._open else None


class _LimitedProtocol(asyncio.Protocol):
    """Mixin for uvicorn's protocol that registers each connection."""

    registry: Connections
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection."""
        super().connection_made(transport)
        self.registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self.registry.remove(self)
        super().connection_lost(exc)


_BYTES_ACKED_OFFSET = 120
"""The offset of `tcpi_bytes_acked` in Linux' `struct tcp_info` (linux/tcp.h), 64 bits."""


def _received(transport: asyncio.Transport) -> int:
    """Return a number that grows with the bytes that the client's machine has acknowledged."""
    connection = transport.get_extra_info("socket")
    if sys.platform == "linux" and connection.family in {socket.AF_INET, socket.AF_INET6}:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED_OFFSET + 8)
        if len(info) == _BYTES_ACKED_OFFSET + 8:
            return int(struct.unpack_from("=Q", info, _BYTES_ACKED_OFFSET)[0])
    return -transport.get_write_buffer_size()
