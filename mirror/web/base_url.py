"""The public address of a mirror, which absolute links begin with."""

from __future__ import annotations

from functools import lru_cache

import httpx
from starlette.requests import Request
from starlette.types import Scope

__all__ = ["BaseUrl", "ascii_url"]


def ascii_url(url: str) -> str:
    """Return a URL as headers can carry it: with the name of its host in ASCII."""
    return url if url.isascii() else str(httpx.URL(url))


_MAX_HOST = 253 + len(":65535")
"""Most bytes of a Host header: a name (RFC 1035) and a port. Many links in a header repeat it."""


class BaseUrl:
    """The address that the operator gave, or else the Host header of each request."""

    def __init__(self, configured: str) -> None:
        """Use the address `configured`, or that of each request if it is empty."""
        self.configured = ascii_url(configured)

    def of(self, scope: Scope) -> str:
        """Return the address for the response to a request, without a trailing slash."""
        if self.configured:
            return self.configured
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        server = scope.get("server")
        return _base_url(scope.get("scheme", "http"), host, server and tuple(server))

    def of_host(self, host: bytes) -> str:
        """Return the address for a request over HTTP with this Host; empty for an invalid Host."""
        return self.configured or _base_url("http", host, None)


@lru_cache(maxsize=256)
def _base_url(scheme: str, host: bytes, server: tuple[str, int] | None) -> str:
    scope: Scope = {
        "type": "http",
        "scheme": scheme,
        "server": server,
        "headers": [(b"host", host)] if 0 < len(host) <= _MAX_HOST else [],
        "path": "/",
    }
    return str(Request(scope).base_url).rstrip("/")
