"""Sitemaps (sitemaps.org, protocol 0.9) of all records, in parts, and robots.txt (RFC 9309)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from starlette.requests import Request

from mirror.core.values import hexdigest, instant
from mirror.core.xml_text import XML_DECLARATION, xml_element
from mirror.errors import LookUpError
from mirror.store import Store
from mirror.web.base_url import BaseUrl
from mirror.web.representation import Representation
from mirror.web.store_reader import StoreReader

__all__ = ["RECORDS_A_PART", "SitemapApi"]

RECORDS_A_PART = 10_000
"""Row ids in a part; a sitemap may have 50,000 URLs and 50 MiB."""
_PAGES = ("/", "/figures", "/findings", "/trust", "/codes")
"""The pages of part 0."""
_XML = "application/xml"
_NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"

_COSTLY = (
    "/mirror/",
    "/oai",
    "/find?q=",
    "/feeds/*?before=",
    "/pith/*.atom?before=",
    "/pith/*/at",
    "/pith/*/timemap",
)
"""Paths that robots need not read: bags of everything, searches, and the past of records."""


class SitemapApi:
    """Handlers of the sitemap, its parts, and robots.txt."""

    def __init__(self, reader: StoreReader, base_url: BaseUrl) -> None:
        self._reader = reader
        self._base_url = base_url

    def index(self, request: Request) -> Representation:
        """Handle `/sitemap.xml`: the list of parts that have an address."""
        with self._reader.snapshot() as snapshot:
            parts = [0, *_parts_of(snapshot.store)]
        base_url = self._base_url.of(request.scope)
        listed = (_element("sitemap", f"{base_url}/sitemap/{part}.xml") for part in parts)
        return _xml(_document("sitemapindex", listed))

    def part(self, request: Request) -> Representation:
        """Handle `/sitemap/{part}.xml`: 0 has the pages of the mirror, N the Nth 10,000 row ids.

        Row ids are never given to another record, so a part whose last id is stored has the same
        URLs for ever, unless a record is damaged and moved aside. One without a record does not
        exist: the schema allows no empty list.

        Raises:
            LookUpError: `http.not_found`
        """
        part, base_url = _part_number(request.path_params["part"]), self._base_url.of(request.scope)
        if part == 0:
            pages = (_element("url", f"{base_url}{path}") for path in _PAGES)
            return _xml(_document("urlset", pages))
        first = (part - 1) * RECORDS_A_PART
        with self._reader.snapshot() as snapshot:
            rows = snapshot.store.arrival_pages.last_changes(first, first + RECORDS_A_PART)
            moved_aside_at = snapshot.store.findings.last_moved_aside_at()
        if not rows:
            raise _no_part()
        listed = (_element("url", f"{base_url}/pith/{suffix}", at) for suffix, at in rows)
        answer = _xml(_document("urlset", listed))
        answer.changed_at = _latest([moved_aside_at, *(at for _, at in rows)])
        return answer

    def robots(self, request: Request) -> Representation:
        """Handle `/robots.txt`: the sitemap, and what a robot need not read."""
        lines = ["User-agent: *", *(f"Disallow: {path}" for path in _COSTLY), ""]
        lines.append(f"Sitemap: {self._base_url.of(request.scope)}/sitemap.xml")
        body = "".join(f"{line}\n" for line in lines).encode()
        return Representation(body=body, media_type="text/plain", etag=hexdigest(body))


def _parts_of(store: Store) -> Iterator[int]:
    """Yield the parts that have a record: the first record of each is looked up."""
    last = 0
    while found := store.records.page(last, 1):
        part = -(-found[0][0] // RECORDS_A_PART)
        yield part
        last = part * RECORDS_A_PART


def _part_number(text: str) -> int:
    if re.fullmatch(r"0|[1-9][0-9]{0,9}", text) is None:
        raise _no_part()
    return int(text)


def _no_part() -> LookUpError:
    return LookUpError("http.not_found", "no such part of the sitemap")


def _element(name: str, url: str, changed_at: str | None = None) -> str:
    """Return an entry; `lastmod` is left out if its time is not known, or damaged."""
    is_time = changed_at is not None and instant(changed_at) is not None
    changed = f"<lastmod>{changed_at}</lastmod>" if is_time else ""
    return f"<{name}>{xml_element('loc', url)}{changed}</{name}>\n"


def _document(name: str, elements: Iterable[str]) -> Iterator[str]:
    yield f'{XML_DECLARATION}<{name} xmlns="{_NAMESPACE}">\n'
    yield from elements
    yield f"</{name}>\n"


def _xml(pieces: Iterable[str]) -> Representation:
    body = "".join(pieces).encode()
    return Representation(body=body, media_type=_XML, etag=hexdigest(body))


def _latest(times: Iterable[str | None]) -> datetime | None:
    known = max((at for at in times if at is not None and instant(at) is not None), default=None)
    return None if known is None else datetime.fromisoformat(known).astimezone(UTC)
