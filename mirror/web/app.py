"""The ASGI application: routes, common response headers, access log and error handling."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirror.engine.bibliography.citations import REGISTRY_URL
from mirror.engine.bibliography.linked_data import JSON_LD
from mirror.web.base_url import BaseUrl, ascii_url
from mirror.web.bibliography_api import BibliographyApi
from mirror.web.common_headers import common_headers
from mirror.web.direct_states import DirectStates
from mirror.web.endpoint import Endpoint, Handling, Threads, routing_error_handler
from mirror.web.feeds import CHANGES, FINDINGS, FeedApi
from mirror.web.log import AccessLog, ErrorLog
from mirror.web.memento_api import Memento, MementoApi, asks_for_past
from mirror.web.mementos import Original
from mirror.web.mirror_api import MirrorApi, RequestMetrics
from mirror.web.oai.handler import OaiApi
from mirror.web.openapi import description
from mirror.web.opensearch import OpenSearchApi
from mirror.web.pages.handlers import Pages
from mirror.web.registry_api import RegistryApi
from mirror.web.representation import (
    Representation,
    json_representation,
    preferred,
    problem,
    respond,
)
from mirror.web.request_threads import ClientGoneError
from mirror.web.signposts import RECORD_TYPES
from mirror.web.sitemaps import SitemapApi
from mirror.web.store_reader import StoreReader

__all__ = ["MirrorApp", "ServerSettings", "create_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of a server."""

    store: Path
    name: str = "A mirror of pith.science"
    base_url: str = ""
    """Public address of this mirror; empty to use the Host header of each request."""
    source_url: str = REGISTRY_URL
    """Address of the registry that its records are from."""
    access_log: str = "none"
    """`none` or `json`."""
    admin_email: str = ""
    """Address of the administrator, for harvesters; empty if none was given."""
    cache_bytes: int = 256 << 20
    """Capacity of the state cache, in bytes of compressed states."""


CLIENT_GONE = 499
"""Status counted for a client that disconnected first, as nginx does; it is never sent."""


_Handler = Callable[[Request], Representation | Response]


class MirrorApp(Starlette):
    """The ASGI application that serves a store."""

    direct_states: DirectStates | None = None
    """Responds to the usual requests for cached states before the application is called; None with
    an access log, which has a line for each request that the application responded to."""


def create_app(settings: ServerSettings) -> MirrorApp:
    """Return the application that serves a store."""
    reader = StoreReader(settings.store, settings.cache_bytes)
    metrics = RequestMetrics()
    threads = Threads()
    base_url = BaseUrl(settings.base_url)
    source_url = ascii_url(settings.source_url)
    registry_api = RegistryApi(reader, settings.name, base_url, source_url)
    bibliography_api = BibliographyApi(reader, registry_api.addresses)
    memento_api = MementoApi(reader, registry_api.addresses)
    mirror_api = MirrorApi(reader, metrics, threads.downloads)
    pages = Pages(reader, settings.name, registry_api.addresses)
    oai_api = OaiApi(reader, settings.name, base_url, settings.admin_email)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        threads.close()
        reader.close()

    routes = _routes(registry_api, bibliography_api, memento_api, mirror_api, pages)
    routes |= _discovery_routes(
        FeedApi(reader, settings.name, base_url),
        SitemapApi(reader, base_url),
        OpenSearchApi(settings.name, base_url),
    )
    routes["/oai"] = Handling(oai_api.handle, pool="harvest", accepts_form=True)
    app = MirrorApp(
        routes=[
            Route(path, Endpoint(handling, pages, threads), methods=handling.methods)
            for path, handling in routes.items()
        ],
        exception_handlers={HTTPException: routing_error_handler(pages)},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would repeat any Host header
    access_log = AccessLog() if settings.access_log == "json" else None
    if access_log is None:
        app.direct_states = DirectStates(reader, metrics, base_url, source_url)
    app.add_middleware(_Middleware, metrics=metrics, access_log=access_log)
    return app


def _routes(
    registry_api: RegistryApi,
    bibliography_api: BibliographyApi,
    memento_api: MementoApi,
    mirror_api: MirrorApi,
    pages: Pages,
) -> dict[str, Handling]:
    forms = {
        "text/html": pages.record,
        JSON_LD: registry_api.linked_data,
        **bibliography_api.by_media_type(),
    }

    def record(request: Request) -> Representation | Response:
        return forms[preferred(request, *RECORD_TYPES)](request)

    def time_gate(original: Original, current: _Handler) -> _Handler:
        return lambda request: (
            memento_api.time_gate(request, original) if asks_for_past(request) else current(request)
        )

    def timemap(original: Original) -> Handling:
        return Handling(lambda request: memento_api.timemap(request, original))

    def cached_state(request: Request) -> Representation | None:
        return None if asks_for_past(request) else registry_api.cached_state(request)

    def past_record(request: Request) -> Representation:
        def make(memento: Memento) -> Representation:
            return pages.past_record(request, memento)

        return memento_api.memento(request, Original.PAGE, make)

    bundle = Handling(time_gate(Original.BUNDLE, registry_api.bundle))
    return {
        # Routes are tried in this order.
        "/pith/{suffix}/state.json": Handling(
            time_gate(Original.STATE, registry_api.state), at_once=cached_state
        ),
        "/": Handling(pages.home),
        "/find": Handling(pages.find),
        "/findings": Handling(pages.findings),
        "/figures": Handling(pages.figures, pool="figures"),
        "/trust": Handling(pages.trust),
        "/codes": Handling(pages.codes),
        "/static/{name:path}": Handling(pages.static, at_once=pages.static),
        "/pith.sty": Handling(pages.latex_package),
        "/pith/{suffix}/bundle.json": bundle,
        "/pith/{suffix}/badge.svg": Handling(pages.badge),
        "/.well-known/pith/{suffix}/bundle.json": bundle,
        "/pith/{suffix}/timemap": timemap(Original.PAGE),
        "/pith/{suffix}/state.json/timemap": timemap(Original.STATE),
        "/pith/{suffix}/bundle.json/timemap": timemap(Original.BUNDLE),
        "/pith/{suffix}/at": Handling(memento_api.nearest),
        "/pith/{suffix}/at/{time}": Handling(past_record),
        "/pith/{suffix}/at/{time}/state.json": Handling(memento_api.state),
        "/pith/{suffix}/at/{time}/bundle.json": Handling(memento_api.bundle),
        "/pith/{suffix}/record.jsonld": Handling(registry_api.linked_data),
        **{
            f"/pith/{{suffix}}{ending}": Handling(handler)
            for ending, handler in bibliography_api.by_ending().items()
        },
        "/pith/{suffix}/linkset": Handling(bibliography_api.linkset),
        "/pith/{suffix}/linkset.json": Handling(bibliography_api.linkset_json),
        "/pith/{suffix}.json": Handling(registry_api.record),
        "/pith/{suffix}": Handling(time_gate(Original.PAGE, record)),
        "/arxiv/{suffix:path}": Handling(pages.alias),
        "/doi/{suffix:path}": Handling(pages.alias),
        "/pith-mirrors.json": Handling(registry_api.manifest),
        "/pith-signing-key.json": Handling(registry_api.key),
        "/health": Handling(mirror_api.health, pool="urgent"),
        "/metrics": Handling(mirror_api.metrics, pool="urgent"),
        "/mirror/changes": Handling(mirror_api.changes),
        "/mirror/tree/": Handling(mirror_api.tree),
        "/mirror/tree/{prefix}": Handling(mirror_api.tree),
        "/mirror/bundle.tar": Handling(mirror_api.bag),
        "/mirror/checkpoint": Handling(mirror_api.checkpoint),
        "/mirror/keys": Handling(mirror_api.keys),
        "/openapi.json": Handling(lambda _request: json_representation(description())),
    }


def _discovery_routes(
    feeds: FeedApi, sitemaps: SitemapApi, opensearch: OpenSearchApi
) -> dict[str, Handling]:
    """Return the paths by which feed readers, robots and browsers find what there is."""
    listings: dict[str, _Handler] = {
        "/feeds/changes.atom": partial(feeds.of_mirror, kind=CHANGES),
        "/feeds/findings.atom": partial(feeds.of_mirror, kind=FINDINGS),
        "/feeds/category/{name:path}/changes.atom": partial(feeds.of_category, kind=CHANGES),
        "/feeds/category/{name:path}/findings.atom": partial(feeds.of_category, kind=FINDINGS),
        "/pith/{suffix}/changes.atom": partial(feeds.of_record, kind=CHANGES),
        "/pith/{suffix}/findings.atom": partial(feeds.of_record, kind=FINDINGS),
        "/sitemap.xml": sitemaps.index,
        "/sitemap/{part}.xml": sitemaps.part,
    }
    return {
        **{path: Handling(handler, pool="feeds") for path, handler in listings.items()},
        "/robots.txt": Handling(sitemaps.robots),
        "/opensearch.xml": Handling(opensearch.description),
    }


class _Middleware:
    """Adds common headers, counts responses, writes logs, and hides details of failures."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, access_log: AccessLog | None) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log
        self._errors = ErrorLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                message["headers"] = [*headers, *common_headers(status, headers)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientGoneError:
            status = status or CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the client gets a response, the log the error
            kind = type(error).__name__
            self._errors.write(kind, f"{kind}: {error}")
            if status == 0:
                answer = problem("http.internal_server_error", "Internal Server Error", 500)
                await respond(scope, answer)(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        self._metrics.count(status, seconds)
        if self._access_log is not None:
            client = scope.get("client")
            line = {
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "client": client[0] if client else None,
                "method": scope["method"],
                "path": quote(scope["path"]),
                "status": status,
                "ms": round(seconds * 1000, 2),
            }
            self._access_log.write(line)
