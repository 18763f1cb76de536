"""Representations and HTTP responses: validators, conditions, compression, problem documents.

Sources: RFC 9110 (HTTP semantics), RFC 9457 (problem details).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache, lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from mirror.core.values import Value, dump_fragments, hexdigest
from mirror.web.pages.codes import title_of
from mirror.web.state_cache import compress, decompress

__all__ = [
    "Representation",
    "http_date",
    "json_representation",
    "preferred",
    "preferred_coding",
    "problem",
    "respond",
]

REVALIDATE = "public, no-cache"
"""Cache-Control of responses that change with the store."""
IMMUTABLE = "public, max-age=31536000, immutable"
"""Cache-Control of responses whose URL contains their digest."""

_WORTH_COMPRESSING = 512
_COMPRESSIBLE = re.compile(
    r"text/|image/svg"
    r"|application/(?:json|xml|[a-z.]+\+(?:json|xml)|link-format|linkset|x-[a-z-]+)"
)


@dataclass(slots=True, kw_only=True)
class Representation:
    """A representation (RFC 9110 section 3.2), before conditions and content coding."""

    body: bytes = b""
    frame: bytes = b""
    """The body as a zstd frame; `body` is empty then."""
    media_type: str
    status: int = 200
    etag: str = ""
    """The entity tag without quotes; empty for none."""
    changed_at: datetime | None = None
    """Time of the last modification."""
    cache: str = REVALIDATE
    headers: Mapping[str, str] = field(default_factory=dict)


def json_representation(
    value: Value, *, media_type: str = "application/json", status: int = 200
) -> Representation:
    """Return a value in JSON, with its digest as entity tag."""
    body = dump_fragments(value) + b"\n"
    return Representation(body=body, media_type=media_type, status=status, etag=hexdigest(body))


def problem(
    code: str, detail: str, status: int, *, hint: str = "", where: str = ""
) -> Representation:
    """Return a problem document (RFC 9457) with a code of `docs/protocol.md`."""
    members: dict[str, Value] = {
        "type": f"/codes#{code}",
        "title": title_of(code),
        "status": status,
        "detail": detail,
        "code": code,
    }
    members |= {name: text for name, text in {"hint": hint, "instance": where}.items() if text}
    answer = json_representation(members, media_type="application/problem+json", status=status)
    answer.cache, answer.etag = "no-store", ""
    return answer


def respond(scope: Scope, answer: Representation) -> Response:
    """Return the response: 304 if the client's copy is current, else the body.

    Args:
        scope: That of the request.
        answer: The representation.
    """
    encoding = _encoding(scope, answer)
    headers = {
        **answer.headers,
        "Cache-Control": answer.cache,
        "Vary": _vary(answer),
    }
    if answer.etag:
        headers["ETag"] = f'"{answer.etag}-{encoding}"' if encoding else f'"{answer.etag}"'
    if answer.status == 200 and _is_not_modified(scope, answer, headers.get("ETag", "")):
        return _CompleteResponse(304, headers, b"")
    if answer.changed_at is not None:
        headers["Last-Modified"] = http_date(answer.changed_at)
    if encoding:
        headers["Content-Encoding"] = encoding
    body = _encoded(answer, encoding)
    headers["Content-Length"] = str(len(body))
    headers["Content-Type"] = _with_charset(answer.media_type)
    return _CompleteResponse(answer.status, headers, body)


def _header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of a name; several times as fast as `Request.headers`."""
    for known, value in scope["headers"]:
        if known == name:
            return str(value, "latin-1")
    return None


class _CompleteResponse(Response):
    """A response that adds no header."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [
            (_header_name(name), value.encode("latin-1")) for name, value in headers.items()
        ]


@cache
def _header_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


@lru_cache(maxsize=256)
def http_date(at: datetime) -> str:
    """Return a time in the format of HTTP (RFC 9110 section 5.6.7)."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def _vary(answer: Representation) -> str:
    own = answer.headers.get("Vary")
    return f"{own}, Accept-Encoding" if own else "Accept-Encoding"


def _with_charset(media_type: str) -> str:
    """Return a media type with the charset of those that are text, and are not JSON."""
    is_text = media_type.startswith(("text/", "application/x-"))
    return f"{media_type}; charset=utf-8" if is_text else media_type


# Conditions (RFC 9110 section 13) ------------------------------------------------------------


def _is_not_modified(scope: Scope, answer: Representation, etag: str) -> bool:
    tags = _header(scope, b"if-none-match")
    if tags is not None:
        if etag and tags == etag:
            return True
        # Weak comparison (section 13.1.2); any content coding of the same body matches.
        known = {_opaque_tag(tag) for tag in _list_items(tags)}
        return "*" in known or (bool(etag) and _opaque_tag(etag) in known)
    since = _header(scope, b"if-modified-since")
    if since is None or answer.changed_at is None:
        return False
    try:
        return answer.changed_at.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (ValueError, TypeError, OverflowError):
        return False


def _opaque_tag(tag: str) -> str:
    return re.sub(r"-(?:gzip|zstd)$", "", tag.removeprefix("W/").strip('"'))


def _list_items(header: str) -> list[str]:
    return [item.strip() for item in header.split(",") if item.strip()]


# Media types (RFC 9110 section 12.5.1) -------------------------------------------------------


def preferred(request: Request, *offered: str) -> str:
    """Return the offered media type with the highest weight in `Accept`.

    Of equal ones, it is the one that `Accept` names first; if it names or accepts none, the one
    that is offered first.
    """
    ranges = [_parse_weighted(item) for item in _list_items(request.headers.get("accept", ""))]
    weights = [(-weight, place) for weight, place in (_weight_of(one, ranges) for one in offered)]
    best = min(range(len(offered)), key=lambda index: weights[index])
    return offered[best]


def _weight_of(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Return weight and index of the most specific media range that matches a media type."""
    for wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        for place, (name, weight) in enumerate(ranges):
            if name == wanted:
                return weight, place
    return 0.0, len(ranges)


# Compression (RFC 9110 section 12.5.3) -------------------------------------------------------


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)


_COMPRESSORS = {"zstd": compress, "gzip": _gzip}
"""The supported content codings, in order of preference."""


def _encoding(scope: Scope, answer: Representation) -> str:
    """Return the content coding to use; empty for none."""
    accepted = _header(scope, b"accept-encoding")
    is_worth_it = answer.frame or len(answer.body) >= _WORTH_COMPRESSING
    if not (accepted and is_worth_it) or _COMPRESSIBLE.match(answer.media_type) is None:
        return ""
    return preferred_coding(accepted)


@lru_cache(maxsize=256)
def preferred_coding(accepted: str) -> str:
    """Return the supported content coding that `Accept-Encoding` prefers; empty for none."""
    wanted = dict(_parse_weighted(item) for item in _list_items(accepted))
    weights = {name: wanted.get(name, wanted.get("*", 0.0)) for name in _COMPRESSORS}
    best = max(weights, key=lambda name: weights[name])
    return best if weights[best] > 0 else ""


def _encoded(answer: Representation, encoding: str) -> bytes:
    """Return the body in a content coding; a zstd frame is not compressed again."""
    if answer.frame and encoding == "zstd":
        return answer.frame
    body = decompress(answer.frame) if answer.frame else answer.body
    return _COMPRESSORS[encoding](body) if encoding else body


def _parse_weighted(item: str) -> tuple[str, float]:
    name, _, rest = item.partition(";")
    match = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", rest)
    return name.strip().lower(), float(match[1]) if match else 1.0 if not rest.strip() else 0.0
