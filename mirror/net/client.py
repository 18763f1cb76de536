"""The client: one pool of connections, one rate, and the loops of redirects and retries."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Self

import httpcore
import httpx

from mirror.errors import UpstreamError
from mirror.net.backend import GuardedBackend, Resolve, TransferLimits, resolve_by_system
from mirror.net.config import ClientConfig
from mirror.net.errors import TransientError, translate_connect_errors
from mirror.net.rate_limit import RateLimiter
from mirror.net.response import RequestOptions, Response, read_response
from mirror.net.retry import pause_before
from mirror.net.tls import trusted_context
from mirror.net.url_policy import parse_url, redact_url, resolve_redirect

__all__ = ["Client"]

_IDLE_CONNECTIONS = 8
_IDLE_SECONDS = 5.0
"""How long an unused connection is kept; servers close theirs after about as long."""


class Client:
    """Reads from servers that nobody vouches for; threads may share it.

    Proxies, cookies and passwords of the environment are not used, and nothing is remembered
    from one answer to the next but open connections.

    Attributes:
        requests: How many requests were sent; redirects and further tries count.
    """

    def __init__(
        self,
        politeness: ClientConfig = ClientConfig(),  # noqa: B008
        *,
        pause: Callable[[float], None] = time.sleep,
        resolve: Resolve = resolve_by_system,
    ) -> None:
        """Prepare, without connecting to anything.

        Args:
            politeness: What the run allows itself.
            pause: Waits so many seconds; what it raises ends the request.
            resolve: Gives the addresses of a host.

        Raises:
            UpstreamError: The trusted certificates cannot be read (`upstream.tls`).
        """
        self.requests = 0
        self._politeness = politeness
        self._pause = pause
        self._pace = RateLimiter(politeness.requests_per_second, pause)
        self._random = random.SystemRandom().random
        self._lock = threading.Lock()
        self._watch = TransferLimits()
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted_context(),
            max_connections=None,  # as many as there are threads that ask
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=GuardedBackend(
                self._watch, allow_private=politeness.allow_private, resolve=resolve
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def get(
        self,
        url: str,
        *,
        etag: str = "",
        accept: str = "application/json",
        limit_bytes: int | None = None,
    ) -> Response:
        """Return what a server has at a URL.

        Args:
            url: Of http or https.
            etag: That of the answer which we have already, as sent; 304 comes if it still holds.
            accept: Which media types will do (RFC 9110 section 12.5.1).
            limit_bytes: How large the answer may be, if not as large as any.

        Raises:
            UpstreamError: There is no answer to use; `where` is the URL without its query.
        """
        ask = RequestOptions(
            accept=accept,
            etag=etag,
            limit_bytes=self._politeness.answer_bytes if limit_bytes is None else limit_bytes,
            limit_seconds=self._politeness.answer_seconds,
        )
        return self._persist(lambda: self._follow_redirects(parse_url(url), ask))

    def download(
        self,
        url: str,
        out: IO[bytes],
        *,
        accept: str = "*/*",
        limit_bytes: int | None = None,
        limit_seconds: float | None = None,
    ) -> Response:
        """Write what a server has at a URL to a file, and return the rest of its answer.

        Nothing is left in the file of what did not come whole, or is no 200.

        Args:
            url: Of http or https.
            out: Must allow to seek and truncate; written to from where it stands.
            accept: Which media types will do (RFC 9110 section 12.5.1).
            limit_bytes: How large the answer may be, if not as large as any.
            limit_seconds: How long it may take, if not as long as any.

        Raises:
            UpstreamError: There is no answer to use; `where` is the URL without its query.
        """
        allowed = self._politeness
        ask = RequestOptions(
            accept=accept,
            limit_bytes=allowed.answer_bytes if limit_bytes is None else limit_bytes,
            limit_seconds=allowed.answer_seconds if limit_seconds is None else limit_seconds,
            out=out,
        )

        def attempt() -> Response:
            with _all_or_nothing(out):
                return self._follow_redirects(parse_url(url), ask)

        return self._persist(attempt)

    def _persist(self, attempt: Callable[[], Response]) -> Response:
        """Return what an attempt gives, after as many as are allowed."""
        retry = 0
        while True:
            try:
                return attempt()
            except TransientError as trouble:
                if retry >= self._politeness.retries:
                    raise trouble.error from trouble.__cause__
                wait_s = trouble.wait_s
            self._pause(pause_before(retry, self._politeness, self._random, asked_s=wait_s))
            retry += 1

    def _follow_redirects(self, url: httpx.URL, ask: RequestOptions) -> Response:
        """Return the answer at the end of a URL's redirects, each of which is judged."""
        here, seen = url, {url}
        for _ in range(self._politeness.max_redirects + 1):
            answer = self._send(here, ask)
            if isinstance(answer, Response):
                return answer
            here = answer
            if here in seen:
                message = "The server's redirects lead in a circle."
                raise UpstreamError("upstream.redirect", message, where=redact_url(url))
            seen.add(here)
        message = f"The server redirects more than {self._politeness.max_redirects} times."
        raise UpstreamError("upstream.redirect", message, where=redact_url(url))

    def _send(self, url: httpx.URL, ask: RequestOptions) -> Response | httpx.URL:
        """Send one request, in its turn; return its answer, or where that redirects to."""
        self._pace.wait()
        self._watch.begin(ask.limit_seconds, ask.limit_bytes)
        with _with_url(url), self._answer(url, ask) as response:
            answer = read_response(response, url, ask, datetime.now(UTC))
            if isinstance(answer, Response):
                return answer
            return resolve_redirect(url, answer.location, self._politeness)

    @contextmanager
    def _answer(self, url: httpx.URL, ask: RequestOptions) -> Iterator[httpcore.Response]:
        """Give an answer with its header section read; a body that is not read is cut off."""
        agent = self._politeness.user_agent.encode("ascii")
        request = httpcore.Request(
            "GET",
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[(b"Host", url.netloc), (b"User-Agent", agent), *ask.headers()],
            extensions={"timeout": self._timeouts(), "trace": self._trace},
        )
        with translate_connect_errors():
            response = self._pool.handle_request(request)
        try:
            yield response
        finally:
            response.close()

    def _timeouts(self) -> dict[str, float]:
        silence = self._politeness.read_seconds
        return {"connect": self._politeness.connect_seconds, "read": silence, "write": silence}

    def _trace(self, event: str, _: object) -> None:
        if event == "http11.send_request_headers.started":
            with self._lock:
                self.requests += 1


@contextmanager
def _with_url(url: httpx.URL) -> Iterator[None]:
    """Say of what goes wrong where it did."""
    try:
        yield
    except UpstreamError as error:
        error.where = error.where or redact_url(url)
        raise
    except TransientError as trouble:
        trouble.error.where = redact_url(url)
        raise


@contextmanager
def _all_or_nothing(out: IO[bytes]) -> Iterator[None]:
    """Take back what was written to a file if an error ends it."""
    start = out.tell()
    try:
        yield
    except BaseException:
        out.seek(start)
        out.truncate()
        raise
