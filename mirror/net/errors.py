"""Converts network exceptions to `UpstreamError`, and marks those that a retry may solve.

An `UpstreamError` ends a request. A `TransientError` contains one, and ends only an attempt.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore

from mirror.errors import UpstreamError

__all__ = [
    "PER_RESPONSE_CODES",
    "TransientError",
    "name_fault",
    "tls_fault",
    "too_large",
    "translate_connect_errors",
    "translate_read_errors",
    "truncated",
]

PER_RESPONSE_CODES = frozenset({
    "upstream.encoding", "upstream.size", "upstream.status", "upstream.truncated", "upstream.type",
})  # fmt: skip
"""Codes of failures that concern one response; after any other, further requests are pointless."""

_ONLINE = "Check the network connection and the address, or try again later."
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_LATER = "Try again later."
_UNKNOWN_NAMES = {
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
}
"""Errors of a resolver that a retry does not change."""
_HEADERS_TOO_LARGE = 431
"""The status that h11 suggests if a header section is too long."""


class TransientError(Exception):
    """A failure that a retry may solve.

    Attributes:
        error: The error to raise after the last retry.
        wait_s: The seconds that the server asks to wait.
    """

    def __init__(self, error: UpstreamError, wait_s: float = 0.0) -> None:
        super().__init__(error, wait_s)
        self.error = error
        self.wait_s = wait_s


@contextmanager
def translate_connect_errors() -> Iterator[None]:
    """Convert exceptions of httpcore until the header section of a response was read."""
    try:
        yield
    except httpcore.ConnectTimeout as error:
        raise _timeout("The server did not accept a connection in time.", _online()) from error
    except httpcore.TimeoutException as error:
        raise _timeout("The server sent nothing for too long.") from error
    except httpcore.ConnectError as error:
        raise _unreachable("The server cannot be connected to.") from error
    except httpcore.NetworkError as error:
        raise _unreachable("The server closed the connection before it responded.") from error
    except httpcore.RemoteProtocolError as error:
        raise _no_http(error) from error


@contextmanager
def translate_read_errors() -> Iterator[None]:
    """Convert exceptions of httpcore in the body of a response."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise _timeout("The server stopped in the middle of its response.") from error
    except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
        raise truncated() from error


def truncated() -> TransientError:
    """Return the error of a response that ends too early."""
    message = "The response ended before it was complete."
    return TransientError(UpstreamError("upstream.truncated", message, hint=_LATER))


def too_large(limit_bytes: int) -> UpstreamError:
    """Return the error of a response that is larger than the limit."""
    message = f"The response is larger than {limit_bytes} bytes, the limit of this client."
    return UpstreamError("upstream.size", message)


def name_fault(host: str, error: OSError | UnicodeError | None) -> UpstreamError | TransientError:
    """Return the error of a host without an address, given the exception of the resolver."""
    message = f"The name {host} has no address."
    fault = UpstreamError("upstream.unreachable", message, hint=_online())
    is_final = isinstance(error, UnicodeError) or getattr(error, "errno", 0) in _UNKNOWN_NAMES
    return fault if is_final else TransientError(fault)


def tls_fault(error: BaseException | None, host: str) -> UpstreamError | None:
    """Return the error of a failed TLS handshake; None if a retry may solve it.

    Args:
        error: The exception of the handshake.
        host: The host whose certificate was expected.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"The certificate of {host} is not trusted: {error.verify_message}."
        hint = "If a certificate authority of your own signs it, name its file in SSL_CERT_FILE."
        return UpstreamError("upstream.tls", message, hint=hint)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        message = f"No secure connection to {host} can be agreed on."
        hint = "Check whether the server supports https at this address."
        return UpstreamError("upstream.unreachable", message, hint=hint)
    return None


def _online() -> str:
    """Return a hint for an unreachable server; it names the variable of a proxy, not its value."""
    names = [name for name in _PROXIES if os.environ.get(name)]
    if not names:
        return _ONLINE
    return f"{_ONLINE} The proxy in {names[0]} is not used: connections go to the server directly."


def _timeout(message: str, hint: str = _LATER) -> TransientError:
    return TransientError(UpstreamError("upstream.timeout", message, hint=hint))


def _unreachable(message: str) -> TransientError:
    return TransientError(UpstreamError("upstream.unreachable", message, hint=_online()))


def _no_http(error: httpcore.RemoteProtocolError) -> UpstreamError | TransientError:
    """Return the error of a response that is not HTTP.

    A retry may solve it: on a reused connection, it may be the rest of an earlier response.
    """
    cause = error.args[0] if error.args else None
    if getattr(cause, "error_status_hint", 0) == _HEADERS_TOO_LARGE:
        return UpstreamError("upstream.size", "The header section of the response is too large.")
    if isinstance(cause, str):  # httpcore's own: the server hung up
        return _unreachable("The server closed the connection before it responded.")
    return _unreachable("The response of the server is not HTTP.")
