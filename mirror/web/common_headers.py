"""Headers that all responses of a kind have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["RawHeaders", "common_headers"]

RawHeaders = Sequence[tuple[bytes, bytes]]


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_ALL = _raw({"Access-Control-Allow-Origin": "*"})
_WITH_BODY = _ALL + _raw(
    {
        "Access-Control-Expose-Headers": "ETag, Link, Content-Location, Memento-Datetime",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
    }
)
_PAGES = _WITH_BODY + _raw(
    {
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
    }
)


def common_headers(status: int, headers: RawHeaders) -> RawHeaders:
    """Return the common headers of a response with this status and these headers of its own."""
    if status == 304:
        return _ALL
    media_type = dict(headers).get(b"content-type", b"")
    return _PAGES if media_type.startswith((b"text/html", b"image/svg")) else _WITH_BODY
