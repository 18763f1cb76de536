"""Headers that all responses of a kind have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["VERIFIER_POLICY", "RawHeaders", "common_headers"]

RawHeaders = Sequence[tuple[bytes, bytes]]


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
VERIFIER_POLICY = f"{_POLICY}; connect-src 'self'"
"""The policy of a page on which the verifier runs: it may also fetch from this mirror."""

_ALL = _raw({"Access-Control-Allow-Origin": "*"})
_WITH_BODY = _ALL + _raw(
    {
        "Access-Control-Expose-Headers": "ETag, Link, Content-Location, Memento-Datetime",
        "Content-Security-Policy": _POLICY,
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
    """Return the common headers that a response with this status and these of its own lacks."""
    if status == 304:
        return _ALL
    own = dict(headers)
    if not own.get(b"content-type", b"").startswith((b"text/html", b"image/svg")):
        return _WITH_BODY
    return [header for header in _PAGES if header[0] not in own]
