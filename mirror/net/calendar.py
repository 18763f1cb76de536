"""Client of a calendar of OpenTimestamps: takes digests, and gives the proofs later.

What a response contains is parsed by the caller: nothing here trusts it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from mirror.errors import UpstreamError
from mirror.net.client import Client
from mirror.net.response import Response
from mirror.net.url_policy import escape_foreign, parse_url

__all__ = ["CalendarAnswer", "CalendarClient"]

_TYPE = "application/vnd.opentimestamps.v1"
_ANSWER_BYTES = 10_000
"""The largest answer, as in the reference client."""
_MESSAGE_BYTES = 160


class CalendarAnswer(NamedTuple):
    """An answer about a commitment."""

    proof: bytes | None
    """Operations from the commitment to attestations; None if there are none yet."""
    message: str
    """The calendar's words if there are none, in printable ASCII."""


class CalendarClient:
    """Requests to one calendar.

    Attributes:
        url: Its address, without a slash at its end.
    """

    def __init__(self, client: Client, url: str) -> None:
        """Name the calendar.

        Raises:
            UpstreamError: `upstream.url`
        """
        self._client = client
        self.url = str(parse_url(url)).rstrip("/")

    def submit(self, digest: bytes) -> bytes:
        """Send a digest, and return the operations from it to the calendar's promise.

        Raises:
            UpstreamError: If there is no usable response.
        """
        url = f"{self.url}/digest"
        response = self._client.post(url, digest, accept=_TYPE, limit_bytes=_ANSWER_BYTES)
        if not response.is_found:
            hint = "Is this the address of a calendar?"
            message = f"The calendar answered {response.status} ({_phrase(response)})."
            raise UpstreamError("upstream.status", message, where=url, hint=hint)
        return response.body

    def get_proof(self, commitment: bytes) -> CalendarAnswer:
        """Ask for the operations from a commitment to a block.

        Raises:
            UpstreamError: If there is no usable response.
        """
        url = f"{self.url}/timestamp/{commitment.hex()}"
        response = self._client.get(url, accept=_TYPE, limit_bytes=_ANSWER_BYTES)
        if response.is_found:
            return CalendarAnswer(response.body, "")
        words = response.body[:_MESSAGE_BYTES].decode("latin-1").strip()
        return CalendarAnswer(None, escape_foreign(words) or _phrase(response))


def _phrase(response: Response) -> str:
    return HTTPStatus(response.status).phrase
