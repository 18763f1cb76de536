"""One question to an archive: whether it still has a capture, and what its response means.

A capture is there if the response has its time in `Memento-Datetime` (RFC 7089). The question is
asked with HEAD; if that gives no such time, the response to GET decides, because not every server
gives HEAD the same header fields. No body is read, and nothing of the capture is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

from mirror.core.values import instant, time_text
from mirror.engine.storage.status import CaptureStatus
from mirror.errors import UpstreamError
from mirror.net import Client, ResponseHeader, escape_foreign, status_text

__all__ = ["Answer", "ask_for"]

_SECOND = 1_000_000
"""Microseconds of a second, the unit of HTTP dates: a fraction of an attested time is ignored."""


_CODES = {
    CaptureStatus.PRESENT: "",
    CaptureStatus.UNDATED: "storage.undated",
    CaptureStatus.OTHER: "storage.other_capture",
    CaptureStatus.GONE: "storage.gone",
    CaptureStatus.REFUSED: "storage.refused",
    CaptureStatus.FAILED: "upstream.status",
}
_NOT_ALLOWED = frozenset({"upstream.private", "upstream.redirect", "upstream.tls", "upstream.url"})
"""Codes of requests that this mirror does not make, or whose server it does not trust."""
_UNREACHABLE = frozenset({"upstream.timeout", "upstream.truncated", "upstream.unreachable"})


class Answer(NamedTuple):
    """The answer of an archive, or why there is none; the fields are those of `StorageCheck`."""

    at: str
    status: CaptureStatus
    code: str
    http_status: int
    memento_datetime: str
    redirected_to: str
    message: str


def ask_for(client: Client, url: str, captured_at: str) -> Answer:
    """Ask an archive whether it still has a capture.

    Args:
        client: The HTTP client.
        url: The address of the capture: any text, from an event.
        captured_at: The time of the capture (V5).
    """
    try:
        header = client.header(url)
        if not header.memento_datetime:
            header = client.header(url, "GET")
    except UpstreamError as error:
        return _no_answer(error)
    return _answer(header, captured_at)


def _answer(header: ResponseHeader, captured_at: str) -> Answer:
    found, captured = _seconds(header.memento_datetime), instant(captured_at)
    if found is None:
        status = _status_of(header.status)
    elif captured is not None and found == captured // _SECOND:
        status = CaptureStatus.PRESENT
    else:
        status = CaptureStatus.OTHER
    return Answer(
        _now(),
        status,
        _CODES[status],
        header.status,
        escape_foreign(header.memento_datetime),
        header.redirected_to,
        _message(header, status, captured_at),
    )


def _status_of(http_status: int) -> CaptureStatus:
    """Return the status of a response without the time of a capture."""
    if http_status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return CaptureStatus.GONE
    by_class = {2: CaptureStatus.UNDATED, 4: CaptureStatus.REFUSED}
    return by_class.get(http_status // 100, CaptureStatus.FAILED)


def _message(header: ResponseHeader, status: CaptureStatus, captured_at: str) -> str:
    sent = escape_foreign(header.memento_datetime)
    if status is CaptureStatus.PRESENT:
        text = "The archive has this capture."
    elif status is CaptureStatus.OTHER:
        text = f"The archive answered with a capture of {sent}, not of {captured_at}."
    elif sent:
        answered = status_text(header.status)
        text = f"The archive answered {answered} with the time {sent}, which is no date of HTTP."
    elif status is CaptureStatus.UNDATED:
        answered = status_text(header.status)
        text = f"The archive answered {answered} without the time of a capture."
    else:
        text = f"The archive answered {status_text(header.status)}."
    return f"{text} It redirected to {header.redirected_to}." if header.redirected_to else text


def _no_answer(error: UpstreamError) -> Answer:
    if error.code in _NOT_ALLOWED:
        status = CaptureStatus.NOT_ALLOWED
    elif error.code in _UNREACHABLE:
        status = CaptureStatus.UNREACHABLE
    else:
        status = CaptureStatus.FAILED
    return Answer(_now(), status, error.code, error.status, "", "", error.message)


# Times ---------------------------------------------------------------------------------------


def _now() -> str:
    return time_text(datetime.now(UTC), microseconds=True)


def _seconds(memento_datetime: str) -> int | None:
    """Return the seconds since 1970 of a `Memento-Datetime`; None unless RFC 7089 allows it.

    Its one format is that of `Date` (RFC 9110 section 5.6.7). Python's parser accepts more, such
    as a list of two dates, so the date must be written as Python writes it.
    """
    try:
        at = parsedate_to_datetime(memento_datetime).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return int(at.timestamp()) if format_datetime(at, usegmt=True) == memento_datetime else None
