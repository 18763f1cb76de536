"""Dispatch of requests to handlers, in the event loop or in a thread, and responses to errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mirror.core.record import suffix_in
from mirror.errors import AmbiguousError, FormatError, MirrorError, StoreError, http_status
from mirror.web.download import Downloads
from mirror.web.pages.codes import advice_of
from mirror.web.pages.handlers import Pages
from mirror.web.representation import Representation, problem, respond
from mirror.web.request_threads import BusyError, ClientGoneError, RequestThreads

__all__ = ["Endpoint", "Handling", "Threads", "routing_error_handler"]

_READERS, _WAITING = 4, 64
"""Threads that read the store, and requests that may wait for a thread."""
_FORM = "application/x-www-form-urlencoded"
_FORM_BYTES = 16 << 10
"""Longest form: as long as a header section may be."""
_TRIES = 3
"""Attempts, for a store that another process changes while it is read without locks."""


Pool: TypeAlias = Literal["readers", "urgent", "figures", "harvest", "feeds"]


class Threads:
    """All threads of a server."""

    def __init__(self) -> None:
        self.readers = RequestThreads(_READERS, _WAITING)
        self.urgent = RequestThreads(1, _WAITING)
        """For monitoring, which must not wait for readers."""
        self.figures = RequestThreads(1, _WAITING)
        """For counting, which may take seconds, and must not occupy a reader."""
        self.harvest = RequestThreads(1, _WAITING)
        """For harvesters, whose pages are long."""
        self.feeds = RequestThreads(1, _WAITING)
        """For feed readers and robots: a page of theirs looks at thousands of arrivals."""
        self.downloads = Downloads()

    def close(self) -> None:
        """Stop all threads."""
        requests = (self.readers, self.urgent, self.figures, self.harvest, self.feeds)
        for threads in (*requests, self.downloads):
            threads.close()


@dataclass(frozen=True, slots=True)
class Handling:
    """The handlers of a path."""

    handler: Callable[[Request], Representation | Response]
    """Runs in a thread and may read the store."""
    at_once: Callable[[Request], Representation | Response | None] | None = None
    """Runs in the event loop first; returns None if a response would need reading or waiting."""
    pool: Pool = "readers"
    """The threads that the handler runs in: those of `Threads` with this name."""
    accepts_form: bool = False
    """Whether POST is allowed, with a form in place of the query; the handler sees a query."""

    @property
    def methods(self) -> list[str]:
        """The methods that are allowed; HEAD follows from GET."""
        return ["GET", "POST"] if self.accepts_form else ["GET"]


class Endpoint:
    """An ASGI application for one path, without the wrappers of a framework's endpoint."""

    def __init__(self, handling: Handling, pages: Pages, threads: Threads) -> None:
        self._handling = handling
        self._pages = pages
        self._threads: RequestThreads = getattr(threads, handling.pool)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        if scope["path"].endswith("\n"):  # the pattern of a route would ignore it
            raise HTTPException(HTTPStatus.NOT_FOUND)
        request = Request(scope, receive)
        try:
            if scope["method"] == "POST":
                request = await _with_query(request)
            response = await self._respond(request)
            await response(scope, receive, send)
        except MirrorError as error:  # raised by a response before it sent anything
            await respond(scope, _failure(request, error, self._pages))(scope, receive, send)
        except BusyError as error:
            await respond(scope, _busy(error))(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        at_once = self._handling.at_once
        response = None if at_once is None else self._at_once(request, at_once)
        if response is None:
            response = await self._threads.run(lambda: self._answer(request), request.receive)
        return response

    def _at_once(
        self, request: Request, handling: Callable[[Request], Representation | Response | None]
    ) -> Response | None:
        try:
            answer = handling(request)
        except MirrorError as error:
            answer = _failure(request, error, self._pages)
        return respond(request.scope, answer) if isinstance(answer, Representation) else answer

    def _answer(self, request: Request) -> Response:
        try:
            answer = self._try(request)
        except AmbiguousError as error:
            answer = _choices(request, error, self._pages)
            answer.headers = {**answer.headers, "Vary": "Accept"}
        except MirrorError as error:
            answer = _failure(request, error, self._pages)
        return answer if isinstance(answer, Response) else respond(request.scope, answer)

    def _try(self, request: Request) -> Representation | Response:
        for _ in range(_TRIES - 1):
            try:
                return self._handling.handler(request)
            except StoreError as error:
                if error.code != "store.changed":
                    raise
        return self._handling.handler(request)


async def _with_query(request: Request) -> Request:
    """Return a POST request with its form as query, and without conditions.

    A condition would be another one than that of GET (RFC 9110 section 13.2.2).
    """
    headers = [one for one in request.scope["headers"] if not one[0].startswith(b"if-")]
    form = await _read_form(request)
    scope = {**request.scope, "headers": headers, "query_string": form}
    return Request(scope, request.receive)


async def _read_form(request: Request) -> bytes:
    """Return the form in the body of a request, which is written like a query.

    Raises:
        FormatError: `request.form` if it is something else, or too long.
        ClientGoneError: If the client disconnected first.
    """
    form = bytearray()
    try:
        async for part in request.stream():
            form += part
            if len(form) > _FORM_BYTES:
                raise FormatError("request.form", f"the form has more than {_FORM_BYTES} bytes")
    except ClientDisconnect:
        raise ClientGoneError from None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form and media_type != _FORM:
        raise FormatError("request.form", f"the body must be a form, {_FORM}")
    return bytes(form)


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _choices(request: Request, error: AmbiguousError, pages: Pages) -> Representation:
    """Return 300 with the records that a name matches (RFC 9110 section 15.4.1)."""
    if _wants_html(request):
        return pages.choices(request, error)
    answer = problem(error.code, error.message, 300)
    listed = json.loads(answer.body) | {
        "choices": [
            {"pith_number": number, "href": f"/pith/{suffix_in(number)}"}
            for number in error.pith_numbers
        ]
    }
    answer.body = json.dumps(listed, ensure_ascii=False).encode() + b"\n"
    return answer


def _failure(request: Request, error: MirrorError, pages: Pages) -> Representation:
    status = http_status(error)
    if _wants_html(request):
        answer = pages.error(request, status, error.code, error.message)
    else:
        # An internal error is described in general words: no path, no trace.
        detail = error.message if status < 500 else "this mirror cannot read that now"
        answer = problem(error.code, detail, status, hint=error.hint if status < 500 else "")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers = {**answer.headers, "Retry-After": "1"}
    return answer


def _busy(error: BusyError) -> Representation:
    """Return 503 (RFC 9110 section 15.6.4), in JSON for every client, since that is cheap."""
    detail = "this mirror is handling as many requests as it can"
    answer = problem("http.service_unavailable", detail, HTTPStatus.SERVICE_UNAVAILABLE)
    answer.headers = {**answer.headers, "Retry-After": str(error.retry_after_s)}
    return answer


def routing_error_handler(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return the handler of requests for unknown paths and other methods."""

    async def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = f"http.{HTTPStatus(status).name.lower()}"
        title = HTTPStatus(status).phrase
        if _wants_html(request):
            answer = pages.error(request, status, code, title)
        else:
            answer = problem(code, title, status, hint=advice_of(code))
        if isinstance(error, HTTPException) and error.headers:
            answer.headers = {**answer.headers, **error.headers}
        return respond(request.scope, answer)

    return answer
