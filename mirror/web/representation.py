"""Answers as HTTP wants them: validators, conditions, compression, problems (RFC 9110, 9457)."""

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

from mirror.core.values import Value, dump_fragments, hexdigest
from mirror.web.pages.codes import title_of
from mirror.web.state_cache import compress, decompress

__all__ = ["Representation", "json_answer", "preferred", "problem", "respond"]

REVALIDATE = "public, no-cache"
"""For what changes with the store: keep it, but ask whether it still holds."""
IMMUTABLE = "public, max-age=31536000, immutable"
"""For what is named by its own digest."""

_WORTH_COMPRESSING = 512
_COMPRESSIBLE = re.compile(r"text/|application/(?:json|ld\+json|problem\+json)|image/svg")


@dataclass(slots=True, kw_only=True)
class Representation:
    """What to say to a request, before it is known how."""

    body: bytes = b""
    frame: bytes = b""
    """The body as a zstd frame, instead of the body."""
    media_type: str
    status: int = 200
    etag: str = ""
    """What names the body, without quotes; empty for none."""
    changed_at: datetime | None = None
    """When what it says last changed."""
    cache: str = REVALIDATE
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(
    value: Value, *, media_type: str = "application/json", status: int = 200
) -> Representation:
    """Return an answer of JSON, named by its digest."""
    body = dump_fragments(value) + b"\n"
    return Representation(body=body, media_type=media_type, status=status, etag=hexdigest(body))


def problem(
    code: str, detail: str, status: int, *, hint: str = "", where: str = ""
) -> Representation:
    """Return a problem document (RFC 9457) with one of our codes (`docs/protocol.md`)."""
    said: dict[str, Value] = {
        "type": f"/codes#{code}",
        "title": title_of(code),
        "status": status,
        "detail": detail,
        "code": code,
    }
    said |= {name: text for name, text in {"hint": hint, "instance": where}.items() if text}
    answer = json_answer(said, media_type="application/problem+json", status=status)
    answer.cache, answer.etag = "no-store", ""
    return answer


def respond(request: Request, answer: Representation) -> Response:
    """Return the response: 304 where the client has it already, else compressed if it may be."""
    encoding = _encoding(request, answer)
    headers = {**answer.headers, "Cache-Control": answer.cache, "Vary": _vary(answer)}
    if answer.etag:
        headers["ETag"] = f'"{answer.etag}-{encoding}"' if encoding else f'"{answer.etag}"'
    if answer.status == 200 and _has_it(request, answer, headers.get("ETag", "")):
        return _CompleteResponse(304, headers, b"")
    if answer.changed_at is not None:
        headers["Last-Modified"] = http_date(answer.changed_at)
    if encoding:
        headers["Content-Encoding"] = encoding
    body = _encoded(answer, encoding)
    headers["Content-Length"] = str(len(body))
    headers["Content-Type"] = _with_charset(answer.media_type)
    return _CompleteResponse(answer.status, headers, body)


class _CompleteResponse(Response):
    """A response whose headers are all there."""

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
    """Return a time as HTTP writes it (RFC 9110 section 5.6.7); few are asked for, and often."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def _vary(answer: Representation) -> str:
    own = answer.headers.get("Vary")
    return f"{own}, Accept-Encoding" if own else "Accept-Encoding"


def _with_charset(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


# Conditions (RFC 9110 section 13) ------------------------------------------------------------


def _has_it(request: Request, answer: Representation, etag: str) -> bool:
    tags = request.headers.get("if-none-match")
    if tags is not None:
        if etag and tags == etag:
            return True
        # Weak comparison, as section 13.1.2 says; any encoding of the same body will do.
        known = {_bare(tag) for tag in _words(tags)}
        return "*" in known or (bool(etag) and _bare(etag) in known)
    since = request.headers.get("if-modified-since")
    if since is None or answer.changed_at is None:
        return False
    try:
        return answer.changed_at.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (ValueError, TypeError, OverflowError):
        return False


def _bare(tag: str) -> str:
    return re.sub(r"-(?:gzip|zstd)$", "", tag.removeprefix("W/").strip('"'))


def _words(header: str) -> list[str]:
    return [word.strip() for word in header.split(",") if word.strip()]


# Media types (RFC 9110 section 12.5.1) -------------------------------------------------------


def preferred(request: Request, *offered: str) -> str:
    """Return the media type that a request likes best.

    Of those that it likes equally, it is the one that it names first; if it names none, or likes
    none, the one that is offered first.
    """
    ranges = [_weighed(word) for word in _words(request.headers.get("accept", ""))]
    liked = [(-weight, place) for weight, place in (_liking(one, ranges) for one in offered)]
    best = min(range(len(offered)), key=lambda index: liked[index])
    return offered[best]


def _liking(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Return the weight of a media type by the range that fits it best, and where that stands."""
    for wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        for place, (name, weight) in enumerate(ranges):
            if name == wanted:
                return weight, place
    return 0.0, len(ranges)


# Compression (RFC 9110 section 12.5.3) -------------------------------------------------------


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)


_COMPRESSORS = {"zstd": compress, "gzip": _gzip}
"""The encodings that we speak, the better first."""


def _encoding(request: Request, answer: Representation) -> str:
    """Return the encoding to use, or the empty string for none."""
    accepted = request.headers.get("accept-encoding", "")
    is_worth_it = answer.frame or len(answer.body) >= _WORTH_COMPRESSING
    if not (accepted and is_worth_it) or _COMPRESSIBLE.match(answer.media_type) is None:
        return ""
    wanted = dict(_weighed(word) for word in _words(accepted))
    liked = {name: wanted.get(name, wanted.get("*", 0.0)) for name in _COMPRESSORS}
    best = max(liked, key=lambda name: liked[name])
    return best if liked[best] > 0 else ""


def _encoded(answer: Representation, encoding: str) -> bytes:
    """Return the body as it is sent; one that is compressed already is not so again."""
    if answer.frame and encoding == "zstd":
        return answer.frame
    body = decompress(answer.frame) if answer.frame else answer.body
    return _COMPRESSORS[encoding](body) if encoding else body


def _weighed(word: str) -> tuple[str, float]:
    name, _, rest = word.partition(";")
    match = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", rest)
    return name.strip().lower(), float(match[1]) if match else 1.0 if not rest.strip() else 0.0
