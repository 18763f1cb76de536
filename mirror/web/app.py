"""The server: which path is answered by whom, and what every answer carries."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirror.errors import MirrorError, http_status
from mirror.web.answers import Answer, json_answer, problem, respond
from mirror.web.library import AmbiguousError, Library
from mirror.web.openapi import description
from mirror.web.operations import Operations, Traffic
from mirror.web.pages import Pages
from mirror.web.registry import Registry

__all__ = ["Settings", "create_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
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


_Handler = Callable[[Request], Answer | Response]


def create_app(settings: Settings) -> Starlette:
    """Return the application that serves a store."""
    library = Library(settings.store, settings.kept_bytes)
    traffic = Traffic()
    registry = Registry(library, settings.name, settings.base_url, settings.source_url)
    operations = Operations(library, traffic)
    pages = Pages(library, settings.name, registry.base_url)
    routes = _routes(registry, operations, pages)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        library.close()

    app = Starlette(
        routes=[
            Route(path, _Endpoint(handler, pages), methods=["GET"])
            for path, handler in routes.items()
        ],
        exception_handlers={HTTPException: _not_routed(pages)},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would print whatever Host was asked
    app.add_middleware(_Frame, traffic=traffic, access_log=settings.access_log)
    return app


def _routes(registry: Registry, operations: Operations, pages: Pages) -> Mapping[str, _Handler]:
    def record(request: Request) -> Answer | Response:
        return registry.linked_data(request) if _wants_ld(request) else pages.record(request)

    return {
        # Routes are tried in this order; what machines ask for most comes first.
        "/pith/{suffix}/state.json": registry.state,
        "/": pages.home,
        "/find": pages.find,
        "/findings": pages.findings,
        "/trust": pages.trust,
        "/static/{name}": pages.static,
        "/pith/{suffix}/bundle.json": registry.bundle,
        "/pith/{suffix}/badge.svg": pages.badge,
        "/.well-known/pith/{suffix}/bundle.json": registry.bundle,
        "/pith/{suffix}.json": registry.record,
        "/pith/{suffix}": record,
        "/arxiv/{suffix:path}": pages.alias,
        "/doi/{suffix:path}": pages.alias,
        "/pith-mirrors.json": registry.manifest,
        "/pith-signing-key.json": registry.key,
        "/health": operations.health,
        "/metrics": operations.metrics,
        "/mirror/changes": operations.changes,
        "/mirror/tree/": operations.tree,
        "/mirror/tree/{prefix}": operations.tree,
        "/mirror/bundle.tar": operations.bag,
        "/mirror/checkpoint": operations.checkpoint,
        "/openapi.json": lambda _request: json_answer(description()),
    }


def _wants_ld(request: Request) -> bool:
    """Whether JSON-LD was asked for, and HTML was not asked for before it."""
    accepted = request.headers.get("accept", "").lower()
    linked, page = accepted.find("application/ld+json"), accepted.find("text/html")
    return linked >= 0 and (page < 0 or linked < page)


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


class _Endpoint:
    """Answers a path; an application by itself, so that nothing stands around it needlessly."""

    def __init__(self, handler: _Handler, pages: Pages) -> None:
        self._handler = handler
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if scope["path"].endswith("\n"):  # which the pattern of a route takes for the end
            raise HTTPException(HTTPStatus.NOT_FOUND)
        try:
            said = self._handler(request)
        except AmbiguousError as error:
            said = _choices(request, error, self._pages)
        except MirrorError as error:
            said = _failure(request, error, self._pages)
        response = said if isinstance(said, Response) else respond(request, said)
        await response(scope, receive, send)


def _choices(request: Request, error: AmbiguousError, pages: Pages) -> Answer:
    """Answer 300 with the records that a name fits (RFC 9110 section 15.4.1)."""
    if _wants_html(request):
        return pages.choices(request, error)
    answer = problem(error.code, error.message, 300)
    listed = json.loads(answer.body) | {
        "choices": [
            {"pith_number": record.pith_number, "href": f"/pith/{record.suffix}"}
            for record in error.records
        ]
    }
    answer.body = json.dumps(listed, ensure_ascii=False).encode() + b"\n"
    return answer


def _failure(request: Request, error: MirrorError, pages: Pages) -> Answer:
    status = http_status(error)
    if _wants_html(request):
        return pages.error(request, status, error.code, error.message)
    # What is wrong in our own house is said in our words alone: no path, no trace.
    detail = error.message if status < 500 else "this mirror cannot read that now"
    return problem(error.code, detail, status, hint=error.hint if status < 500 else "")


def _not_routed(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = f"http.{HTTPStatus(status).name.lower()}"
        title = HTTPStatus(status).phrase
        if _wants_html(request):
            said = pages.error(request, status, code, title)
        else:
            said = problem(code, title, status)
        if isinstance(error, HTTPException) and error.headers:
            said.headers = {**said.headers, **error.headers}
        return respond(request, said)

    return answer


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


class _Frame:
    """Adds headers, counts, writes the access log, and keeps what fails from being told."""

    def __init__(self, app: ASGIApp, traffic: Traffic, access_log: str) -> None:
        self._app = app
        self._traffic = traffic
        self._access_log = access_log

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
        except Exception as error:  # noqa: BLE001 - the client gets an answer, the log the name
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
            if status == 0:
                request = Request(scope, receive)
                answer = problem("http.internal_server_error", "Internal Server Error", 500)
                await respond(request, answer)(scope, receive, send_framed)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        self._traffic.note(status, seconds)
        if self._access_log == "json":
            client = scope.get("client")
            line = {
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "client": client[0] if client else None,
                "method": scope["method"],
                "path": quote(scope["path"]),
                "status": status,
                "ms": round(seconds * 1000, 2),
            }
            print(json.dumps(line), file=sys.stderr, flush=True)  # noqa: T201
