"""Connections that go only where they may, and last only as long as they may.

The name of a host is resolved here, once for each connection; all addresses are judged, and the
connection is made to one of those very addresses. Nothing resolves the name again, so an answer of
the DNS that changes between judgement and connection ("rebinding") changes nothing. TLS still
checks the certificate against the name, which httpcore keeps.
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
"""Host and port in, addresses as text out, the best first; raises `OSError` for none."""

_MOST_ADDRESSES = 4
"""How many addresses of one host are tried; all are judged."""
_WIRE_SPARE_BYTES = 1024 * 1024
"""What header sections and the framing of chunks may take beside the body."""


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses that this machine knows for a host.

    No limit in seconds holds here: the system's resolver has its own, and cannot be interrupted.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


class TransferLimits(threading.local):
    """How long, and how much, the answer that this thread reads may still go on.

    A connection serves many requests, and a request knows nothing of its connection's reads; but
    all reads of a request happen in the thread that asked, so that is where the limits are kept.
    """

    def __init__(self) -> None:
        self._seconds = math.inf
        self._ends_at = math.inf
        self._limit_bytes = 0
        self._bytes_left = math.inf

    def begin(self, seconds: float, limit_bytes: int) -> None:
        """Start to count for one request: seconds, and bytes of a body."""
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._limit_bytes = limit_bytes
        # A body's own bytes are counted where it is read. This bound is for what no body shows:
        # interim answers without end, or a chunk for each byte.
        self._bytes_left = limit_bytes + limit_bytes // 8 + _WIRE_SPARE_BYTES

    def run(self, action: Callable[[float], T], timeout: float | None) -> T:
        """Return what `action` does within `timeout` seconds, and within what is left.

        Raises:
            UpstreamError: The answer as a whole takes too long (`upstream.timeout`).
        """
        left = self._ends_at - time.monotonic()
        allowed = left if timeout is None else min(left, timeout)
        if allowed > 0:
            try:
                return action(allowed)
            except httpcore.TimeoutException:
                if allowed < left:
                    raise
        message = f"The answer was not complete after {self._seconds:g} seconds."
        raise UpstreamError("upstream.timeout", message, hint="Come back later.")

    def count(self, size_bytes: int) -> None:
        """Count bytes that came over the wire; raise `UpstreamError` when they are too many."""
        self._bytes_left -= size_bytes
        if self._bytes_left < 0:
            raise too_large(self._limit_bytes)


class GuardedBackend(httpcore.NetworkBackend):
    """Makes the connections of a pool."""

    def __init__(
        self,
        watch: TransferLimits,
        *,
        allow_private: bool,
        resolve: Resolve = resolve_by_system,
        inner: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._watch = watch
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
        """Return a connection to the first address that accepts one, out of the judged ones."""
        addresses = self._allowed_addresses(host, port)[:_MOST_ADDRESSES]
        ends_at = time.monotonic() + (timeout or math.inf)
        failure: Exception = httpcore.ConnectTimeout()
        for place, address in enumerate(addresses):
            # A dead address (often the IPv6 one) must leave time for the others.
            share = (ends_at - time.monotonic()) / (len(addresses) - place)
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

        return _GuardedStream(self._watch.run(connect, seconds), self._watch)

    def _allowed_addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host.

        Raises:
            UpstreamError: Any of them is refused (`upstream.private`): a name that leads to both
                kinds is an attempt, or a mistake. Or there are none (`upstream.unreachable`).
            PassingError: There are none just now.
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
    """A connection whose every wait is watched."""

    def __init__(self, inner: httpcore.NetworkStream, watch: TransferLimits) -> None:
        self._inner = inner
        self._watch = watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        content = self._watch.run(lambda allowed: self._inner.read(max_bytes, allowed), timeout)
        self._watch.count(len(content))
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._watch.run(lambda allowed: self._inner.write(buffer, allowed), timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        def shake_hands(allowed: float) -> httpcore.NetworkStream:
            return self._inner.start_tls(ssl_context, server_hostname, allowed)

        try:
            return _GuardedStream(self._watch.run(shake_hands, timeout), self._watch)
        except httpcore.ConnectError as error:
            fault = tls_fault(error.__cause__, server_hostname or "the server")
            raise fault or error from error.__cause__
        except BaseException:
            self.close()  # httpcore knows of no stream yet
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
