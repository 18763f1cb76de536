"""uvicorn's protocol for httptools, with what it lacks: rules of HTTP, limits, direct responses.

h11 limits the header section, requires one Host, and ignores offers to upgrade. httptools, which
is faster, does none of this, and uvicorn with it sends chunks to any client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mirror.web.direct_states import DirectStates

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

__all__ = ["MAX_INCOMPLETE_BYTES", "CheckedProtocol"]

MAX_INCOMPLETE_BYTES: Final = 16 * 1024
"""Most bytes of an incomplete header section or trailer section; the same as the limit of h11."""

_DIRECT_RESPONSES: Final = 16
"""Most direct responses to requests that a client sent in one piece."""


class CheckedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with httptools, and with the rules that h11 has."""

    direct_states: DirectStates | None = None
    """Set in a subclass."""
    _incomplete_bytes = 0
    """Bytes received since a header section was complete or a part of a body came."""
    _direct_left = 0
    """Direct responses that may be made before others have their turn."""
    direct_count = 0
    """Direct responses so far."""
    _direct_response: bytes | None = None
    """The response to the request that is being read."""

    def data_received(self, data: bytes) -> None:
        """Parse bytes, and respond with 400 if they are no HTTP, or too many of a section."""
        self._unset_keepalive_if_required()
        self._incomplete_bytes += len(data)
        self._direct_left = _DIRECT_RESPONSES
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
        self._direct_response = self._find_direct()
        if self._direct_response is not None:
            return
        super().on_headers_complete()
        if is_old:
            _send_without_chunks(self.cycle)

    def _find_direct(self) -> bytes | None:
        """Return a response that can be sent at once; None if the application must respond."""
        if (
            self.direct_states is None
            or self._direct_left == 0
            or self.flow.write_paused
            or not getattr(self.cycle, "response_complete", True)
            or self.parser.get_method() != b"GET"
            or not self.parser.should_keep_alive()
            or self.parser.get_http_version() != "1.1"
            or self.transport.is_closing()
        ):
            return None
        self._direct_left -= 1
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        return self.direct_states.find(self.url, self.headers, b"".join(lines))

    def on_message_complete(self) -> None:
        """End a request."""
        if self._direct_response is None:
            super().on_message_complete()
            return
        self.transport.write(self._direct_response)
        self._direct_response = None
        self.direct_count += 1
        self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self._incomplete_bytes = 0
        super().on_body(body)


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
