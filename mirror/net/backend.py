"""Network backend of the connection pool: checks addresses, and limits the time and the bytes.

The name of a host is resolved here, once for each connection. All its addresses are checked, and
the connection is made to one of them. The name is not resolved again, so a DNS response that
changes after the check has no effect ("DNS rebinding"). TLS still verifies the certificate
against the name.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, TypeAlias, TypeVar

import httpcore

from mirror.errors import UpstreamError
from mirror.net.address_policy import refusal_reason
from mirror.net.errors import name_fault, tls_fault, too_large

__all__ = ["GuardedBackend", "Resolve", "TransferLimits", "resolve_by_system"]

T = TypeVar("T")

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host and port as text, the best first; raises `OSError` if none."""

_MOST_ADDRESSES = 4
"""The most addresses of a host that are tried; all are checked."""
_WIRE_SPARE_BYTES = 1024 * 1024
"""Bytes allowed for header sections and chunk framing, in addition to the body."""


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses of a host from the system's resolver.

    The resolver has its own timeout and cannot be interrupted, so no limit of this module applies.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


class TransferLimits(threading.local):
    """The seconds and bytes left for the response that the current thread reads.

    A connection serves many requests, and httpcore does not pass the request to a read.
    All reads for a request happen in the thread that sent it, so the limits are thread-local.
    """

    def __init__(self) -> None:
        self._seconds = math.inf
        self._ends_at = math.inf
        self._limit_bytes = 0
        self._bytes_left = math.inf

    def begin(self, seconds: float, limit_bytes: int) -> None:
        """Set the limits of a request: seconds, and bytes of the body."""
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._limit_bytes = limit_bytes
        # The bytes of a body are counted by its reader. This bound is for everything else, such
        # as endless interim responses, or a chunk for each byte.
        self._bytes_left = limit_bytes + limit_bytes // 8 + _WIRE_SPARE_BYTES

    def run(self, action: Callable[[float], T], timeout: float | None) -> T:
        """Return the result of `action`, called with the seconds that it may take.

        Raises:
            UpstreamError: `upstream.timeout` if the whole response takes too long.
        """
        left = self._ends_at - time.monotonic()
        allowed = left if timeout is None else min(left, timeout)
        if allowed > 0:
            try:
                return action(allowed)
            except httpcore.TimeoutException:
                if allowed < left:
                    raise
        message = f"The response was not complete after {self._seconds:g} seconds."
        raise UpstreamError("upstream.timeout", message, hint="Try again later.")

    def count(self, size_bytes: int) -> None:
        """Count received bytes; raise `UpstreamError` if there are too many."""
        self._bytes_left -= size_bytes
        if self._bytes_left < 0:
            raise too_large(self._limit_bytes)


class GuardedBackend(httpcore.NetworkBackend):
    """Makes the connections of a pool, to allowed addresses only."""

    def __init__(
        self,
        limits: TransferLimits,
        *,
        allow_private: bool,
        resolve: Resolve = resolve_by_system,
        inner: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._limits = limits
        self._allow_private = allow_private
        self._resolve = resolve
        self._inner = inner or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the first allowed address that accepts one."""
        addresses = self._allowed_addresses(host, port)[:_MOST_ADDRESSES]
        ends_at = time.monotonic() + (timeout or math.inf)
        failure: Exception = httpcore.ConnectTimeout()
        for index, address in enumerate(addresses):
            # An unreachable address (often the IPv6 one) must leave time for the others.
            share = (ends_at - time.monotonic()) / (len(addresses) - index)
            try:
                return self._connect(address, port, max(share, 0.0), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _connect(
        self,
        address: str,
        port: int,
        seconds: float,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.NetworkStream:
        def connect(allowed: float) -> httpcore.NetworkStream:
            return self._inner.connect_tcp(address, port, allowed, local_address, socket_options)

        return _GuardedStream(self._limits.run(connect, seconds), self._limits)

    def _allowed_addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host.

        Raises:
            UpstreamError: `upstream.private` if any of them is refused, because a name with both
                kinds is an attack or a mistake; `upstream.unreachable` if the host does not exist.
            TransientError: If the resolver failed, and may succeed later.
        """
        addresses = self._resolved(host, port)
        for address in [] if self._allow_private else addresses:
            purpose = refusal_reason(ip_address(address))
            if purpose:
                message = f"{host} is at {address}, an address for {purpose}."
                hint = "If that machine is meant, allow it with --allow-private."
                raise UpstreamError("upstream.private", message, hint=hint)
        return addresses

    def _resolved(self, host: str, port: int) -> list[str]:
        try:
            addresses = list(self._resolve(host, port))
        except (OSError, UnicodeError) as error:
            raise name_fault(host, error) from error
        if not addresses:
            raise name_fault(host, None)
        return addresses


class _GuardedStream(httpcore.NetworkStream):
    """A connection whose reads and writes count towards the limits."""

    def __init__(self, inner: httpcore.NetworkStream, limits: TransferLimits) -> None:
        self._inner = inner
        self._limits = limits

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        content = self._limits.run(lambda allowed: self._inner.read(max_bytes, allowed), timeout)
        self._limits.count(len(content))
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._limits.run(lambda allowed: self._inner.write(buffer, allowed), timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        def handshake(allowed: float) -> httpcore.NetworkStream:
            return self._inner.start_tls(ssl_context, server_hostname, allowed)

        try:
            return _GuardedStream(self._limits.run(handshake, timeout), self._limits)
        except httpcore.ConnectError as error:
            fault = tls_fault(error.__cause__, server_hostname or "the server")
            raise fault or error from error.__cause__
        except BaseException:
            self.close()  # httpcore has no stream to close yet
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
