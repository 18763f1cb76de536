"""What goes wrong on the way, in our words; and whether it may pass.

An `UpstreamError` ends the request. A `TransientError` holds one, and ends only the try.
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
"""Codes that speak of one answer; with any other, asking for the next makes no sense."""

_ONLINE = "Look whether this machine is online and the address is right; or come back later."
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_LATER = "Come back later."
_UNKNOWN_NAMES = {
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
}
"""The answers of a resolver that another try will not change."""
_HEADERS_TOO_LARGE = 431
"""How h11 says that the header section is longer than it will hold."""


class TransientError(Exception):
    """A trouble that may pass.

    Attributes:
        error: What to raise if it does not.
        wait_s: How long the server asks to be left alone, in seconds.
    """

    def __init__(self, error: UpstreamError, wait_s: float = 0.0) -> None:
        super().__init__(error, wait_s)
        self.error = error
        self.wait_s = wait_s


@contextmanager
def translate_connect_errors() -> Iterator[None]:
    """Convert what httpcore raises before the header section of an answer is there."""
    try:
        yield
    except httpcore.ConnectTimeout as error:
        raise _timeout("The server did not accept a connection in time.", _online()) from error
    except httpcore.TimeoutException as error:
        raise _timeout("The server was silent for too long.") from error
    except httpcore.ConnectError as error:
        raise _unreachable("The server cannot be connected to.") from error
    except httpcore.NetworkError as error:
        raise _unreachable("The server closed the connection before it answered.") from error
    except httpcore.RemoteProtocolError as error:
        raise _no_http(error) from error


@contextmanager
def translate_read_errors() -> Iterator[None]:
    """Convert what httpcore raises within the body of an answer."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise _timeout("The server stopped in the middle of its answer.") from error
    except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
        raise truncated() from error


def truncated() -> TransientError:
    """Return that an answer ends too early."""
    message = "The answer broke off before its end."
    return TransientError(UpstreamError("upstream.truncated", message, hint=_LATER))


def too_large(limit_bytes: int) -> UpstreamError:
    """Return that an answer is larger than is allowed."""
    message = f"The answer is larger than {limit_bytes} bytes, which is all that is allowed here."
    return UpstreamError("upstream.size", message)


def name_fault(host: str, error: OSError | UnicodeError | None) -> UpstreamError | TransientError:
    """Return that a host's name leads to no address, after what the resolver raised."""
    message = f"No address is known for the name {host}."
    fault = UpstreamError("upstream.unreachable", message, hint=_online())
    is_final = isinstance(error, UnicodeError) or getattr(error, "errno", 0) in _UNKNOWN_NAMES
    return fault if is_final else TransientError(fault)


def tls_fault(error: BaseException | None, host: str) -> UpstreamError | None:
    """Return what no further try will change about a failed TLS handshake; None if one may.

    Args:
        error: What the handshake raised.
        host: Whose certificate was asked for.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"The certificate of {host} is not trusted: {error.verify_message}."
        hint = "If a certificate authority of your own signs it, name its file in SSL_CERT_FILE."
        return UpstreamError("upstream.tls", message, hint=hint)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        message = f"No secure connection to {host} can be agreed on."
        hint = "Look whether the address is one for https."
        return UpstreamError("upstream.unreachable", message, hint=hint)
    return None


def _online() -> str:
    """Return what may help where a server is not reached; of a proxy only the variable is named."""
    names = [name for name in _PROXIES if os.environ.get(name)]
    if not names:
        return _ONLINE
    return f"{_ONLINE} The proxy of {names[0]} is not used: connections go to the server itself."


def _timeout(message: str, hint: str = _LATER) -> TransientError:
    return TransientError(UpstreamError("upstream.timeout", message, hint=hint))


def _unreachable(message: str) -> TransientError:
    return TransientError(UpstreamError("upstream.unreachable", message, hint=_online()))


def _no_http(error: httpcore.RemoteProtocolError) -> UpstreamError | TransientError:
    """Return what an answer that is no HTTP comes to.

    It is tried again: on a connection used before, it may be what was left of an earlier answer.
    """
    cause = error.args[0] if error.args else None
    if getattr(cause, "error_status_hint", 0) == _HEADERS_TOO_LARGE:
        return UpstreamError("upstream.size", "The header of the answer is too large.")
    if isinstance(cause, str):  # httpcore's own: the server hung up
        return _unreachable("The server closed the connection before it answered.")
    return _unreachable("What the server answers is not HTTP.")
