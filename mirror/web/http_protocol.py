"""uvicorn's HTTP protocols: with httptools, where that is installed, and with h11.

h11 limits the header section, requires one Host, and ignores offers to upgrade. httptools, which
is faster, does none of this, and uvicorn with it sends chunks to any client. `_CheckedProtocol`
does what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["MAX_INCOMPLETE_BYTES", "PROTOCOLS"]

MAX_INCOMPLETE_BYTES: Final = 16 * 1024
"""Most bytes of an incomplete header section or trailer section; the same as the limit of h11."""


def _protocols() -> Mapping[str, type[asyncio.Protocol]]:
    try:
        from httptools import HttpParserError, HttpParserUpgrade  # noqa: PLC0415
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415
    except ImportError:
        return {"h11": H11Protocol}

    class _CheckedProtocol(HttpToolsProtocol):
        """uvicorn's protocol with httptools, and with the rules that h11 has."""

        _incomplete_bytes = 0
        """Bytes received since a header section was complete or a part of a body came."""

        def data_received(self, data: bytes) -> None:
            """Parse bytes, and respond with 400 if they are no HTTP, or too many of a section."""
            self._unset_keepalive_if_required()
            self._incomplete_bytes += len(data)
            try:
                self._parse(memoryview(data))
            except HttpParserError:
                self._refuse("Invalid HTTP request received.")
            else:
                if self._incomplete_bytes > MAX_INCOMPLETE_BYTES:
                    self._refuse("Too long a section of an HTTP request received.")

        def _parse(self, data: memoryview) -> None:
            """Parse all of the bytes: an offer to upgrade is ignored (RFC 9110 section 7.8)."""
            while data:
                try:
                    self.parser.feed_data(data)
                except HttpParserUpgrade as offer:
                    data = data[offer.args[0] :]
                else:
                    return

        def _refuse(self, message: str) -> None:
            self.logger.warning(message)
            self.send_400_response(message)

        def on_headers_complete(self) -> None:
            """Start to respond.

            Raises:
                ValueError: If the request does not have one Host; the response is 400.
            """
            self._incomplete_bytes = 0
            hosts = [value for name, value in self.headers if name == b"host"]
            is_old = self.parser.get_http_version() == "1.0"
            if len(hosts) > 1 or not (hosts or is_old):
                raise ValueError("not one Host")  # RFC 9112 section 3.2
            super().on_headers_complete()
            if is_old:
                _send_without_chunks(self.cycle)

        def on_body(self, body: bytes) -> None:
            """Receive a part of the body."""
            self._incomplete_bytes = 0
            super().on_body(body)

    return {"httptools": _CheckedProtocol, "h11": H11Protocol}


def _send_without_chunks(cycle: RequestResponseCycle) -> None:
    """Let the end of the connection end a response of unknown length (RFC 9112 section 6.1).

    A client of HTTP/1.0 does not know `Transfer-Encoding: chunked`.
    """
    send, is_unframed = cycle.send, False

    async def send_unframed(message: ASGISendEvent) -> None:
        nonlocal is_unframed
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", [])}
            is_unframed = b"content-length" not in names
            cycle.chunked_encoding = False if is_unframed else None
        elif message["type"] == "http.response.body" and is_unframed:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = send_unframed  # type: ignore[method-assign]


PROTOCOLS: Final = _protocols()
"""The protocols by the name of their parser, the fastest first."""
