"""How a request comes to its answer: at once, or by a thread beside the event loop."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mirror.errors import MirrorError, StoreError, http_status
from mirror.web.download import Downloads
from mirror.web.pages.codes import advice_of
from mirror.web.pages.handlers import Pages
from mirror.web.representation import Representation, problem, respond
from mirror.web.store_reader import AmbiguousError
from mirror.web.workers import BusyError, RequestThreads

__all__ = ["Endpoint", "Handling", "Threads", "not_routed"]

_READERS, _WAITING = 4, 64
"""Threads that read the store, and requests that may wait for one."""
_TRIES = 3
"""For a store that others write to while it is read without locks."""


class Threads:
    """The threads of a server, by what they do."""

    def __init__(self) -> None:
        self.readers = RequestThreads(_READERS, _WAITING)
        self.urgent = RequestThreads(1, _WAITING)
        """So that monitoring does not wait for readers."""
        self.downloads = Downloads()

    def close(self) -> None:
        """End what they do."""
        for threads in (self.readers, self.urgent, self.downloads):
            threads.close()


@dataclass(frozen=True, slots=True)
class Handling:
    """How a path is answered."""

    handler: Callable[[Request], Representation | Response]
    """Runs in a thread, and may read as much as it needs."""
    at_once: Callable[[Request], Representation | Response | None] | None = None
    """Runs in the event loop before it: answers only if that takes neither reading nor waiting."""
    is_urgent: bool = False
    """Whether it must be answered however busy the readers are."""


class Endpoint:
    """Answers a path; an application by itself, so that nothing stands around it needlessly."""

    def __init__(self, way: Handling, pages: Pages, threads: Threads) -> None:
        self._way = way
        self._pages = pages
        self._workers = threads.urgent if way.is_urgent else threads.readers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        request = Request(scope, receive)
        if scope["path"].endswith("\n"):  # which the pattern of a route takes for the end
            raise HTTPException(HTTPStatus.NOT_FOUND)
        response = None if self._way.at_once is None else self._at_once(request, self._way.at_once)
        try:
            if response is None:
                response = await self._workers.run(lambda: self._answer(request), receive)
            await response(scope, receive, send)
        except MirrorError as error:  # of a response that found it before it sent anything
            await respond(request, _failure(request, error, self._pages))(scope, receive, send)
        except BusyError as error:
            await respond(request, _busy(error))(scope, receive, send)

    def _at_once(
        self, request: Request, way: Callable[[Request], Representation | Response | None]
    ) -> Response | None:
        try:
            said = way(request)
        except MirrorError as error:
            said = _failure(request, error, self._pages)
        return respond(request, said) if isinstance(said, Representation) else said

    def _answer(self, request: Request) -> Response:
        try:
            said = self._try(request)
        except AmbiguousError as error:
            said = _choices(request, error, self._pages)
        except MirrorError as error:
            said = _failure(request, error, self._pages)
        return said if isinstance(said, Response) else respond(request, said)

    def _try(self, request: Request) -> Representation | Response:
        for _ in range(_TRIES - 1):
            try:
                return self._way.handler(request)
            except StoreError as error:
                if error.code != "store.changed":
                    raise
        return self._way.handler(request)


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _choices(request: Request, error: AmbiguousError, pages: Pages) -> Representation:
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


def _failure(request: Request, error: MirrorError, pages: Pages) -> Representation:
    status = http_status(error)
    if _wants_html(request):
        answer = pages.error(request, status, error.code, error.message)
    else:
        # What is wrong in our own house is said in our words alone: no path, no trace.
        detail = error.message if status < 500 else "this mirror cannot read that now"
        answer = problem(error.code, detail, status, hint=error.hint if status < 500 else "")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers = {**answer.headers, "Retry-After": "1"}
    return answer


def _busy(error: BusyError) -> Representation:
    """Answer 503 (RFC 9110 section 15.6.4): it costs nothing, whatever was asked for."""
    detail = "this mirror answers as many requests as it can"
    answer = problem("http.service_unavailable", detail, HTTPStatus.SERVICE_UNAVAILABLE)
    answer.headers = {**answer.headers, "Retry-After": str(error.retry_after_s)}
    return answer


def not_routed(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers a request for what is no path or method."""

    async def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = f"http.{HTTPStatus(status).name.lower()}"
        title = HTTPStatus(status).phrase
        if _wants_html(request):
            said = pages.error(request, status, code, title)
        else:
            said = problem(code, title, status, hint=advice_of(code))
        if isinstance(error, HTTPException) and error.headers:
            said.headers = {**said.headers, **error.headers}
        return respond(request, said)

    return answer
