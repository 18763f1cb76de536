"""What an answer comes to: a body to keep, a redirect to follow, or an error to report."""

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
from mirror.net.url_policy import escape_foreign

__all__ = ["Redirect", "RequestOptions", "Response", "read_response"]

_PAGE_BYTES = 64 * 1024
"""What is kept of a page that only says that nothing is there."""
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
"""RFC 9110 section 8.8.3."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that says something: here it is, it has not changed, it is gone, it is several."""

    url: str
    """Where it came from in the end, after redirects."""
    status: int
    """200, 300, 304, 404 or 410."""
    body: bytes
    """Decoded; empty for 304, and for what went to a file. Of 404 and 410, the first 64 KiB."""
    etag: str
    """As sent, or empty."""
    media_type: str
    """In lower case, without parameters, or empty."""

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
class Redirect:
    """An answer that says to ask elsewhere."""

    location: str
    """As sent, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """What is asked for, wherever the question is sent."""

    accept: str
    etag: str = ""
    """What we have already; a text that no server can have sent is ignored."""
    limit_bytes: int
    """Of the decoded body; the encoded one may not be larger."""
    limit_seconds: float
    """Of one answer, from connecting to its last byte."""
    out: IO[bytes] | None = None
    """Where the body of a 200 goes, instead of into the answer."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields that say so."""
        fields = {"Accept": self.accept, "Accept-Encoding": ACCEPTED}
        if self.is_conditional():
            fields["If-None-Match"] = self.etag
        return [(name.encode("ascii"), text.encode("latin-1")) for name, text in fields.items()]

    def is_conditional(self) -> bool:
        """Whether the server may answer that nothing has changed."""
        return _ETAG.fullmatch(self.etag) is not None


def read_response(
    response: httpcore.Response, url: httpx.URL, ask: RequestOptions, now: datetime
) -> Response | Redirect:
    """Return what an answer says; its body is read only where it is wanted.

    Args:
        response: With its header section read, and its body not.
        url: Who answers.
        ask: What was asked.
        now: Counts dates in `Retry-After`.

    Raises:
        UpstreamError: It is not an answer to use.
        PassingError: It may be one at another time.
    """
    headers = httpx.Headers(response.headers)
    headers.encoding = "latin-1"  # each byte a character: an ETag goes back as it came
    match response.status:
        case 301 | 302 | 303 | 307 | 308:
            _beginning(response, httpx.Headers())  # or the connection could not be kept
            return Redirect(_location(headers))
        case 200:
            _check_type(headers, ask.accept)
            body = _whole(response, headers, ask)
        case 300:
            body = b"".join(_pieces(response, headers, ask.limit_bytes))
        case 304 if ask.is_conditional():
            body = _beginning(response, headers)  # nothing, and the connection is kept
        case 404 | 410:
            body = _beginning(response, headers)
        case _:
            raise _unusable(response.status, headers, now)
    return Response(str(url), response.status, body, headers.get("etag", ""), _media_type(headers))


def _whole(response: httpcore.Response, headers: httpx.Headers, ask: RequestOptions) -> bytes:
    """Return the body of a 200, or write it where it shall go."""
    pieces = _pieces(response, headers, ask.limit_bytes)
    if ask.out is None:
        return b"".join(pieces)
    for piece in pieces:
        ask.out.write(piece)
    return b""


def _pieces(
    response: httpcore.Response, headers: httpx.Headers, limit_bytes: int
) -> Iterator[bytes]:
    """Yield a decoded body; refuse it as soon as it is known to be too large."""
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
    """Return the beginning of a page whose status has said all; the rest is never read."""
    page = b""
    for piece in decoded(_received(response), headers.get("content-encoding", "")):
        page += piece
        if len(page) >= _PAGE_BYTES:
            break
    return page[:_PAGE_BYTES]


# Header fields -------------------------------------------------------------------------------


def _location(headers: httpx.Headers) -> str:
    """Return where a redirect leads; some servers send UTF-8, and a URL is read as that."""
    return str(headers.get("location", "")).encode("latin-1").decode("utf-8", "replace")


def _media_type(headers: httpx.Headers) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def _check_type(headers: httpx.Headers, accept: str) -> None:
    """Refuse what is no JSON where only JSON is asked for; no type at all is no lie."""
    wanted = [words.partition(";")[0].strip().lower() for words in accept.split(",")]
    sent = _media_type(headers)
    asks_for_json = any(name.endswith(("/json", "+json")) for name in wanted)
    if not asks_for_json or not sent or any(_is_in(sent, name) for name in wanted):
        return
    message = f"The server sent {escape_foreign(sent)} where JSON was asked for."
    hint = "Open the address in a browser: it may be a page for people, or one to sign in."
    raise UpstreamError("upstream.type", message, hint=hint)


def _is_in(media_type: str, media_range: str) -> bool:
    """Whether a type is in a range of types (RFC 9110 section 12.5.1)."""
    if media_range.endswith("/*"):
        return media_range == "*/*" or media_type.startswith(media_range.removesuffix("*"))
    return media_type == media_range


# Statuses that are no answer -----------------------------------------------------------------


def _unusable(status: int, headers: httpx.Headers, now: datetime) -> UpstreamError | TransientError:
    wait_s = parse_retry_after(headers.get("retry-after", ""), now)
    if status in {429, 503}:
        return _busy(status, wait_s, now)
    error = UpstreamError("upstream.status", f"The server answered {_status_text(status)}.")
    if status in {500, 502, 504}:
        error.hint = "Come back later; if it stays so, tell whoever runs that server."
        return TransientError(error, min(wait_s, MAX_WAIT_S))
    if status in {401, 403}:
        error.hint = "Ask whoever runs that server whether it may be read by a mirror."
    return error


def _busy(status: int, wait_s: float, now: datetime) -> UpstreamError | TransientError:
    message = f"The server is too busy to answer: {_status_text(status)}."
    if wait_s <= MAX_WAIT_S:
        hint = "Come back later, or ask less often."
        return TransientError(UpstreamError("upstream.busy", message, hint=hint), wait_s)
    until = now + timedelta(seconds=wait_s)
    hint = f"It asks to be left alone until {until:%Y-%m-%d %H:%M} {until:%Z}."
    return UpstreamError("upstream.busy", message, hint=hint)


def _status_text(status: int) -> str:
    """Return a status with the words that RFC 9110 has for it, not with the server's own."""
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
