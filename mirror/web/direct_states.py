"""Responses to the usual requests for cached states, as bytes that are sent without an ASGI cycle.

They are the same bytes that the ASGI application sends, for half of the time: their heads are made
from its responses, once. For every other request there is none.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from mirror.web.base_url import BaseUrl
from mirror.web.common_headers import RawHeaders, common_headers
from mirror.web.mementos import Original
from mirror.web.mirror_api import RequestMetrics
from mirror.web.representation import Representation, http_date, preferred_coding, respond
from mirror.web.signposts import ANY_SUFFIX, RecordAddresses, content_headers
from mirror.web.state_cache import compress, decompress, is_small
from mirror.web.store_reader import StoreReader

__all__ = ["DirectStates"]

_PREFIX: Final = b"/pith/"
_ENDING: Final = b"/state.json"
_UNUSUAL: Final = frozenset(
    {
        b"accept-datetime",
        b"content-length",
        b"expect",
        b"if-modified-since",
        b"transfer-encoding",
        b"upgrade",
    }
)
_SCHEME: Final = b"x-forwarded-proto"
"""A proxy may set the scheme of links by it, unless the operator gave the address."""
_VARYING: Final = (b"link", b"etag", b"last-modified", b"content-length")
"""Headers that each state has another value of, in their order in a response."""


class DirectStates:
    """Finds responses to GET requests for cached states by their full suffix."""

    def __init__(
        self, reader: StoreReader, metrics: RequestMetrics, base_url: BaseUrl, source_url: str
    ) -> None:
        self._reader = reader
        self._source_url = source_url
        self._metrics = metrics
        self._base_url = base_url
        self._unusual = _UNUSUAL if base_url.configured else _UNUSUAL | {_SCHEME}
        self._heads = {coding: _head(coding, "") for coding in ("", "zstd")}
        self._not_modified = _head("", _ETAG)

    def find(self, url: bytes, headers: RawHeaders, server_headers: bytes) -> bytes | None:
        """Return the whole response to a request, and count it.

        Args:
            url: The target of the request.
            headers: Its headers; the names are in lower case.
            server_headers: Headers to add, each with its line break.

        Returns:
            None if the state is not cached, or large, and if the request has a header that needs
            more than a look.
        """
        started = time.perf_counter()
        if not (url.startswith(_PREFIX) and url.endswith(_ENDING)):
            return None
        asked = _read_headers(headers, self._unusual)
        if asked is None:
            return None
        coding, tag, host = asked
        name = url[len(_PREFIX) : -len(_ENDING)].decode("latin-1")
        known = self._reader.cached_state(name)
        if known is None:
            return None
        named, frame = known
        if named.suffix != name or named.changed_at is None:
            return None
        base_url = self._base_url.of_host(host)
        if not base_url:
            return None
        link = _links(base_url, self._source_url).replace(_ANY, name.encode("latin-1"))
        digest = named.digest.encode()
        etag = b'"%b-%b"' % (digest, coding.encode()) if coding else b'"%b"' % digest
        if tag:
            if tag != etag:
                return None
            self._metrics.count(304, time.perf_counter() - started)
            return self._not_modified % (server_headers, link, etag)
        if not is_small(frame):
            return None
        body = frame if coding else decompress(frame)
        changed_at = http_date(named.changed_at).encode()
        varying = server_headers, link, etag, changed_at, b"%d" % len(body)
        head = self._heads[coding] % varying
        self._metrics.count(200, time.perf_counter() - started)
        return head + body


def _read_headers(
    headers: RawHeaders, unusual: frozenset[bytes]
) -> tuple[str, bytes, bytes] | None:
    """Return content coding, `If-None-Match` and Host; None if a header needs more than a look."""
    accepted = tag = host = b""
    for name, value in headers:
        if name == b"accept-encoding":
            if accepted:
                return None
            accepted = value
        elif name == b"if-none-match":
            if tag:
                return None
            tag = value
        elif name == b"host":
            host = value
        elif name in unusual:
            return None
    coding = preferred_coding(accepted.decode("latin-1"))
    return None if coding == "gzip" else (coding, tag, host)


_ETAG: Final = "0" * 64
_ANY: Final = ANY_SUFFIX.encode()


@lru_cache(maxsize=256)
def _links(base_url: str, source_url: str) -> bytes:
    """Return the Link header of states, with a place for the suffix of the record."""
    addresses = RecordAddresses(base_url, source_url, ANY_SUFFIX)
    return content_headers(addresses, Original.STATE)["Link"].encode("latin-1")


def _head(coding: str, tag: str) -> bytes:
    """Return the head of a response of the application, with a place for each value that varies.

    Args:
        coding: The content coding that the client accepts.
        tag: The entity tag that it has; the response is 304 if that is `_ETAG`.
    """
    asked = [(b"accept-encoding", coding.encode()), (b"if-none-match", f'"{tag}"'.encode())]
    state = Representation(
        frame=compress(b"{}"),
        media_type="application/json",
        etag=_ETAG,
        changed_at=datetime.fromtimestamp(0, UTC),
        headers=content_headers(RecordAddresses("", "", ""), Original.STATE),
    )
    response = respond({"type": "http", "headers": asked}, state)
    headers = [*response.raw_headers, *common_headers(response.status_code, response.raw_headers)]
    status = HTTPStatus(response.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}\r\n%b".encode()]
    for name, value in headers:
        shown = b"%b" if name in _VARYING else value.replace(b"%", b"%%")
        lines.append(b"%b: %b\r\n" % (name, shown))
    return b"".join([*lines, b"\r\n"])
