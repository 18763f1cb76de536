"""Classifies a response as a body, a redirect or an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import IO

import httpcore
import httpx

from mirror.errors import UpstreamError
from mirror.net.decoding import ACCEPTED, decoded
from mirror.net.errors import TransientError, too_large, translate_read_errors
from mirror.net.retry import MAX_WAIT_S, parse_retry_after
from mirror.net.url_policy import escape_foreign, redact_url

__all__ = [
    "Redirect",
    "RequestOptions",
    "Response",
    "ResponseHeader",
    "read_header",
    "read_response",
    "status_text",
]

_PAGE_BYTES = 64 * 1024
"""Bytes that are read of the body of an error page."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
"""RFC 9110 section 8.8.3."""


@dataclass(frozen=True, slots=True)
class Response:
    """A usable response."""

    url: str
    """The URL after redirects."""
    status: int
    """200, 300, 304, 404 or 410."""
    body: bytes
    """The decoded body; empty for 304, or if it was written to a file. For 404 and 410, its first
    64 KiB."""
    etag: str
    """The field `ETag` as it was received, or empty."""
    media_type: str
    """The media type in lower case, without parameters, or empty."""

    @property
    def is_found(self) -> bool:
        """Whether the body is the document that was requested."""
        return self.status == HTTPStatus.OK

    @property
    def is_unchanged(self) -> bool:
        """Whether the document still has the ETag of the request."""
        return self.status == HTTPStatus.NOT_MODIFIED

    @property
    def is_ambiguous(self) -> bool:
        """Whether the name fits several documents; the body lists them."""
        return self.status == HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class ResponseHeader:
    """The header section of a response, whatever its status."""

    status: int
    memento_datetime: str
    """The field `Memento-Datetime` as it was received (RFC 7089 section 2.1.1), or empty."""
    redirected_to: str
    """The URL after redirects, without its query; empty without a redirect."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A response that redirects to another URL."""

    location: str
    """The field `Location` as it was received, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """Options of a request; they stay the same after a redirect."""

    accept: str
    method: str = "GET"
    content: bytes | None = None
    """The body of a request, or None."""
    etag: str = ""
    """The ETag of an earlier response; ignored if it is not a valid one."""
    limit_bytes: int
    """The largest decoded body; the encoded one must not be larger."""
    limit_seconds: float
    """The longest time from the connection to the last byte."""
    out: IO[bytes] | None = None
    """The file for the body of a 200 response; None to return the body."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields of the request."""
        fields = {"Accept": self.accept, "Accept-Encoding": ACCEPTED}
        if self.is_conditional():
            fields["If-None-Match"] = self.etag
        if self.content is not None:
            fields["Content-Type"] = "application/octet-stream"
            fields["Content-Length"] = str(len(self.content))
        return [(name.encode("ascii"), text.encode("latin-1")) for name, text in fields.items()]

    def is_conditional(self) -> bool:
        """Whether the status of the response may be 304."""
        return _ETAG.fullmatch(self.etag) is not None


def read_response(
    response: httpcore.Response, url: httpx.URL, options: RequestOptions, now: datetime
) -> Response | Redirect:
    """Read a response; the body is read only as far as it is used.

    Args:
        response: The response after its header section.
        url: The URL of the request.
        options: The options of the request.
        now: The current time, for dates in `Retry-After`.

    Raises:
        UpstreamError: If the response is not usable.
        TransientError: If a retry may give a usable response.
    """
    headers = _headers(response)
    if response.status in _REDIRECTS:
        _check_redirect(response.status, options)
        return _redirect(response, headers)
    match response.status:
        case 200:
            _check_type(headers, options.accept)
            body = _whole(response, headers, options)
        case 300:
            body = b"".join(_pieces(response, headers, options.limit_bytes))
        case 304 if options.is_conditional():
            body = _beginning(response, headers)  # empty; the connection can be reused
        case 404 | 410:
            body = _beginning(response, headers)
        case _:
            raise _unusable(response.status, headers, now)
    return Response(str(url), response.status, body, headers.get("etag", ""), _media_type(headers))


def read_header(
    requested: httpx.URL,
    response: httpcore.Response,
    url: httpx.URL,
    options: RequestOptions,
    now: datetime,
) -> ResponseHeader | Redirect:
    """Read the header section of a response; its body is not read.

    A response with `Memento-Datetime` is a capture also if it redirects or has the status of an
    error: it was captured so (RFC 7089 section 2.1.1).

    Args:
        requested: The URL before redirects.
        response: The response after its header section.
        url: The URL of the request.
        options: The options of the request.
        now: The current time, for dates in `Retry-After`.

    Raises:
        UpstreamError: If the server asks to wait for too long.
        TransientError: If a retry may give a usable response.
    """
    headers = _headers(response)
    memento_datetime = str(headers.get("memento-datetime", ""))
    if not memento_datetime and response.status in _REDIRECTS:
        return _redirect(response, headers)
    if not memento_datetime and response.status in _TEMPORARY:
        raise _unusable(response.status, headers, now)
    if options.method == "HEAD":
        _beginning(response, httpx.Headers())  # empty; the connection can be reused
    redirected_to = "" if url == requested else redact_url(url)
    return ResponseHeader(response.status, memento_datetime, redirected_to)


def _check_redirect(status: int, options: RequestOptions) -> None:
    """Refuse a redirect that asks for another method (RFC 9110 section 15.4)."""
    if options.content is not None and status not in _SAME_METHOD:
        message = "The server redirects to a page instead of taking what was sent."
        raise UpstreamError("upstream.redirect", message, hint="Is this the right address?")


def _redirect(response: httpcore.Response, headers: httpx.Headers) -> Redirect:
    _beginning(response, httpx.Headers())  # so that the connection can be reused
    return Redirect(_location(headers))


def _whole(response: httpcore.Response, headers: httpx.Headers, options: RequestOptions) -> bytes:
    """Return the body of a 200 response, or write it to the file."""
    pieces = _pieces(response, headers, options.limit_bytes)
    if options.out is None:
        return b"".join(pieces)
    for piece in pieces:
        options.out.write(piece)
    return b""


def _pieces(
    response: httpcore.Response, headers: httpx.Headers, limit_bytes: int
) -> Iterator[bytes]:
    """Yield a decoded body; refuse it as early as possible if it is too large."""
    length = headers.get("content-length", "")
    if re.fullmatch(r"[0-9]+", length) and float(length) > limit_bytes:
        raise too_large(limit_bytes)
    sent = _limited(_received(response), limit_bytes)
    yield from _limited(decoded(sent, headers.get("content-encoding", "")), limit_bytes)


def _received(response: httpcore.Response) -> Iterator[bytes]:
    with translate_read_errors():
        yield from response.iter_stream()


def _limited(pieces: Iterator[bytes], limit_bytes: int) -> Iterator[bytes]:
    left = limit_bytes
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise too_large(limit_bytes)
        yield piece


def _beginning(response: httpcore.Response, headers: httpx.Headers) -> bytes:
    """Return the beginning of a body; the rest is not read."""
    page = b""
    for piece in decoded(_received(response), headers.get("content-encoding", "")):
        page += piece
        if len(page) >= _PAGE_BYTES:
            break
    return page[:_PAGE_BYTES]


# Header fields -------------------------------------------------------------------------------


def _headers(response: httpcore.Response) -> httpx.Headers:
    """Return the header fields, with a character for each byte: an ETag is sent back unchanged."""
    headers = httpx.Headers(response.headers)
    headers.encoding = "latin-1"
    return headers


def _location(headers: httpx.Headers) -> str:
    """Return the field `Location`, decoded as UTF-8, which some servers send."""
    return str(headers.get("location", "")).encode("latin-1").decode("utf-8", "replace")


def _media_type(headers: httpx.Headers) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def _check_type(headers: httpx.Headers, accept: str) -> None:
    """Refuse another type than JSON if JSON was requested; a missing type is accepted."""
    wanted = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    sent = _media_type(headers)
    asks_for_json = any(name.endswith(("/json", "+json")) for name in wanted)
    if not asks_for_json or not sent or any(_is_in(sent, name) for name in wanted):
        return
    message = f"The server sent {escape_foreign(sent)} instead of JSON."
    hint = "Open the address in a browser: it may be a web page, or require a login."
    raise UpstreamError("upstream.type", message, hint=hint)


def _is_in(media_type: str, media_range: str) -> bool:
    """Whether a type is in a range of types (RFC 9110 section 12.5.1)."""
    if media_range.endswith("/*"):
        return media_range == "*/*" or media_type.startswith(media_range.removesuffix("*"))
    return media_type == media_range


# Unusable statuses ---------------------------------------------------------------------------

_BUSY = frozenset({429, 503})
_TEMPORARY = _BUSY | {500, 502, 504}


def _unusable(status: int, headers: httpx.Headers, now: datetime) -> UpstreamError | TransientError:
    wait_s = parse_retry_after(headers.get("retry-after", ""), now)
    if status in _BUSY:
        return _busy(status, wait_s, now)
    error = UpstreamError("upstream.status", f"The server answered {status_text(status)}.")
    error.status = status
    if status in _TEMPORARY:
        error.hint = "Try again later; if the error persists, contact the operator of the server."
        return TransientError(error, min(wait_s, MAX_WAIT_S))
    if status in {401, 403}:
        error.hint = "Ask the operator of the server whether a mirror may read it."
    return error


def _busy(status: int, wait_s: float, now: datetime) -> UpstreamError | TransientError:
    message = f"The server is too busy: {status_text(status)}."
    error = UpstreamError("upstream.busy", message, hint="Try again later, or with a lower --rate.")
    error.status = status
    if wait_s <= MAX_WAIT_S:
        return TransientError(error, wait_s)
    until = now + timedelta(seconds=wait_s)
    error.hint = f"It asks to wait until {until:%Y-%m-%d %H:%M} {until:%Z}."
    return error


def status_text(status: int) -> str:
    """Return a status with the phrase of RFC 9110, not with that of the server."""
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
