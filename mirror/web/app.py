"""The server: which path is answered by whom, and what every answer carries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirror.web.endpoint import Endpoint, Handling, Threads, not_routed
from mirror.web.log import AccessLog, ErrorLog
from mirror.web.mirror_api import MirrorApi, RequestMetrics
from mirror.web.openapi import description
from mirror.web.pages.handlers import Pages
from mirror.web.registry_api import RegistryApi
from mirror.web.representation import Representation, json_answer, preferred, problem, respond
from mirror.web.store_reader import StoreReader
from mirror.web.workers import ClientGoneError

__all__ = ["ServerSettings", "create_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What an operator says about a mirror."""

    store: Path
    name: str = "A mirror of pith.science"
    base_url: str = ""
    """Where the world finds it; empty to believe the request's Host."""
    source_url: str = "https://pith.science"
    """Where its records come from."""
    access_log: str = "none"
    """`none` or `json`."""
    kept_bytes: int = 256 << 20
    """How much of what was asked for lately is kept in memory, compressed."""


CLIENT_GONE = 499
"""Counted for a client that did not wait, as nginx does; no client sees it."""


def create_app(settings: ServerSettings) -> Starlette:
    """Return the application that serves a store."""
    library, traffic, errors = (
        StoreReader(settings.store, settings.kept_bytes),
        RequestMetrics(),
        ErrorLog(),
    )
    threads = Threads()
    registry = RegistryApi(library, settings.name, settings.base_url, settings.source_url)
    operations = MirrorApi(library, traffic, threads.downloads)
    pages = Pages(library, settings.name, registry.base_url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        threads.close()
        library.close()

    app = Starlette(
        routes=[
            Route(path, Endpoint(way, pages, threads), methods=["GET"])
            for path, way in _routes(registry, operations, pages).items()
        ],
        exception_handlers={HTTPException: not_routed(pages)},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would print whatever Host was asked
    access_log = AccessLog() if settings.access_log == "json" else None
    app.add_middleware(_Middleware, traffic=traffic, access_log=access_log, errors=errors)
    return app


def _routes(registry: RegistryApi, operations: MirrorApi, pages: Pages) -> Mapping[str, Handling]:
    def record(request: Request) -> Representation | Response:
        return (registry.linked_data if _wants_linked(request) else pages.record)(request)

    return {
        # Routes are tried in this order; what machines ask for most comes first.
        "/pith/{suffix}/state.json": Handling(registry.state, at_once=registry.kept_state),
        "/": Handling(pages.home),
        "/find": Handling(pages.find),
        "/findings": Handling(pages.findings),
        "/trust": Handling(pages.trust),
        "/codes": Handling(pages.codes),
        "/static/{name}": Handling(pages.static, at_once=pages.static),
        "/pith/{suffix}/bundle.json": Handling(registry.bundle),
        "/pith/{suffix}/badge.svg": Handling(pages.badge),
        "/.well-known/pith/{suffix}/bundle.json": Handling(registry.bundle),
        "/pith/{suffix}.json": Handling(registry.record),
        "/pith/{suffix}": Handling(record),
        "/arxiv/{suffix:path}": Handling(pages.alias),
        "/doi/{suffix:path}": Handling(pages.alias),
        "/pith-mirrors.json": Handling(registry.manifest),
        "/pith-signing-key.json": Handling(registry.key),
        "/health": Handling(operations.health, is_urgent=True),
        "/metrics": Handling(operations.metrics, is_urgent=True),
        "/mirror/changes": Handling(operations.changes),
        "/mirror/tree/": Handling(operations.tree),
        "/mirror/tree/{prefix}": Handling(operations.tree),
        "/mirror/bundle.tar": Handling(operations.bag),
        "/mirror/checkpoint": Handling(operations.checkpoint),
        "/openapi.json": Handling(lambda _request: json_answer(description())),
    }


def _wants_linked(request: Request) -> bool:
    linked = "application/ld+json"
    return preferred(request, "text/html", linked) == linked


# What every answer carries -------------------------------------------------------------------


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_OF_ALL = _raw({"Access-Control-Allow-Origin": "*"})
_OF_BODIES = _OF_ALL + _raw(
    {
        "Access-Control-Expose-Headers": "ETag, Link, Content-Location",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
    }
)
_OF_PAGES = _OF_BODIES + _raw(
    {
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
    }
)


def _headers_of(message: Message) -> list[tuple[bytes, bytes]]:
    """Return what an answer carries beside its own: no more than means something for its kind."""
    if message["status"] == 304:
        return _OF_ALL
    media_type = dict(message["headers"]).get(b"content-type", b"")
    return _OF_PAGES if media_type.startswith((b"text/html", b"image/svg")) else _OF_BODIES


class _Middleware:
    """Adds headers, counts, writes the access log, and keeps what fails from being told."""

    def __init__(
        self, app: ASGIApp, traffic: RequestMetrics, access_log: AccessLog | None, errors: ErrorLog
    ) -> None:
        self._app = app
        self._traffic = traffic
        self._access_log = access_log
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_headers_of(message)]
            await send(message)

        try:
            await self._app(scope, receive, send_framed)
        except ClientGoneError:
            status = status or CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the client gets an answer, the log the name
            kind = type(error).__name__
            self._errors.write(kind, f"{kind}: {error}")
            if status == 0:
                request = Request(scope, receive)
                answer = problem("http.internal_server_error", "Internal Server Error", 500)
                await respond(request, answer)(scope, receive, send_framed)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        self._traffic.count(status, seconds)
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
