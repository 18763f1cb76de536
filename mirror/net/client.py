"""HTTP client with a connection pool, a rate limit, redirects and retries."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import IO, Self, TypeAlias, TypeVar

import httpcore
import httpx

from mirror.errors import UpstreamError
from mirror.net.backend import GuardedBackend, Resolve, TransferLimits, resolve_by_system
from mirror.net.config import ClientConfig
from mirror.net.errors import TransientError, translate_connect_errors
from mirror.net.rate_limit import RateLimiter
from mirror.net.response import (
    Redirect,
    RequestOptions,
    Response,
    ResponseHeader,
    read_header,
    read_response,
)
from mirror.net.retry import pause_before
from mirror.net.tls import trusted_context
from mirror.net.url_policy import parse_url, redact_url, resolve_redirect

__all__ = ["Client"]

T = TypeVar("T")

_HEADER_BYTES = 1 << 20
"""Bytes of a response whose body is not read: more than a header section may have."""
_IDLE_CONNECTIONS = 8
_IDLE_SECONDS = 5.0
"""How long an idle connection is kept; many servers close theirs after as long."""

_Read: TypeAlias = Callable[[httpcore.Response, httpx.URL, RequestOptions, datetime], T | Redirect]
"""Reads a response, given the URL of its request, the options, and the current time."""


class Client:
    """Reads from untrusted servers; threads may share it.

    Proxies, cookies and passwords of the environment are not used. Nothing is kept between
    responses but open connections.

    Attributes:
        requests: How many requests were sent, with redirects and retries.
    """

    def __init__(
        self,
        config: ClientConfig = ClientConfig(),  # noqa: B008
        *,
        pause: Callable[[float], None] = time.sleep,
        resolve: Resolve = resolve_by_system,
    ) -> None:
        """Make a client; it connects to a server with the first request.

        Args:
            config: Limits and timeouts.
            pause: Waits for some seconds; an exception from it ends the request.
            resolve: Returns the addresses of a host.

        Raises:
            UpstreamError: `upstream.tls` if the trusted certificates cannot be read.
        """
        self.requests = 0
        self._config = config
        self._pause = pause
        self._rate_limiter = RateLimiter(config.requests_per_second, pause)
        self._random = random.SystemRandom().random
        self._lock = threading.Lock()
        self._limits = TransferLimits()
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted_context(),
            max_connections=None,  # at most one for each thread
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=GuardedBackend(
                self._limits, allow_private=config.allow_private, resolve=resolve
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
        """Send a GET request.

        Args:
            url: A URL of http or https.
            etag: The ETag of an earlier response; the status is 304 if the document still has it.
            accept: The accepted media types (RFC 9110 section 12.5.1).
            limit_bytes: The largest response to accept; None for the limit of the configuration.

        Raises:
            UpstreamError: If there is no usable response; `where` is the URL without its query.
        """
        options = RequestOptions(
            accept=accept,
            etag=etag,
            limit_bytes=self._config.response_bytes if limit_bytes is None else limit_bytes,
            limit_seconds=self._config.response_seconds,
        )
        return self._persist(lambda: self._follow_redirects(parse_url(url), options, read_response))

    def post(self, url: str, content: bytes, *, accept: str, limit_bytes: int) -> Response:
        """Send a POST request; it may be sent again after a transient failure.

        Args:
            url: A URL of http or https.
            content: The body, `application/octet-stream`.
            accept: The accepted media types.
            limit_bytes: The largest response to accept.

        Raises:
            UpstreamError: As `get`; also `upstream.redirect` for a redirect that asks for GET.
        """
        options = RequestOptions(
            accept=accept,
            method="POST",
            content=content,
            limit_bytes=limit_bytes,
            limit_seconds=self._config.response_seconds,
        )
        return self._persist(lambda: self._follow_redirects(parse_url(url), options, read_response))

    def header(self, url: str, method: str = "HEAD") -> ResponseHeader:
        """Send a request, and return the header section of its response; no body is read.

        Args:
            url: A URL of http or https.
            method: `HEAD`; or `GET`, after which the connection cannot be reused.

        Raises:
            UpstreamError: If there is no response, or only that of a temporary failure; `where` is
                the URL without its query.
        """
        options = RequestOptions(
            accept="*/*",
            method=method,
            limit_bytes=_HEADER_BYTES,
            limit_seconds=self._config.response_seconds,
        )
        target = parse_url(url)
        read = partial(read_header, target)
        return self._persist(lambda: self._follow_redirects(target, options, read))

    def download(
        self,
        url: str,
        out: IO[bytes],
        *,
        accept: str = "*/*",
        limit_bytes: int | None = None,
        limit_seconds: float | None = None,
    ) -> Response:
        """Send a GET request, and write the body of a 200 response to a file.

        The file is unchanged if the response is incomplete or has another status.

        Args:
            url: A URL of http or https.
            out: A file that can be truncated; the body is written at its current position.
            accept: The accepted media types (RFC 9110 section 12.5.1).
            limit_bytes: The largest response to accept; None for the limit of the configuration.
            limit_seconds: The longest time to accept; None for the limit of the configuration.

        Raises:
            UpstreamError: If there is no usable response; `where` is the URL without its query.
        """
        config = self._config
        options = RequestOptions(
            accept=accept,
            limit_bytes=config.response_bytes if limit_bytes is None else limit_bytes,
            limit_seconds=config.response_seconds if limit_seconds is None else limit_seconds,
            out=out,
        )

        def attempt() -> Response:
            with _all_or_nothing(out):
                return self._follow_redirects(parse_url(url), options, read_response)

        return self._persist(attempt)

    def _persist(self, attempt: Callable[[], T]) -> T:
        """Return the result of an attempt, with retries after transient failures."""
        retry = 0
        while True:
            try:
                return attempt()
            except TransientError as failure:
                if retry >= self._config.retries:
                    raise failure.error from failure.__cause__
                wait_s = failure.wait_s
            self._pause(pause_before(retry, self._config, self._random, asked_s=wait_s))
            retry += 1

    def _follow_redirects(self, url: httpx.URL, options: RequestOptions, read: _Read[T]) -> T:
        """Return the response at the end of a URL's redirects, each of which is checked."""
        target, seen = url, {url}
        for _ in range(self._config.max_redirects + 1):
            found = self._send(target, options, read)
            if not isinstance(found, httpx.URL):
                return found
            target = found
            if target in seen:
                message = "The server's redirects lead in a circle."
                raise UpstreamError("upstream.redirect", message, where=redact_url(url))
            seen.add(target)
        message = f"The server redirects more than {self._config.max_redirects} times."
        raise UpstreamError("upstream.redirect", message, where=redact_url(url))

    def _send(self, url: httpx.URL, options: RequestOptions, read: _Read[T]) -> T | httpx.URL:
        """Send one request at the allowed rate; return its response, or the URL it redirects to."""
        self._rate_limiter.wait()
        self._limits.begin(options.limit_seconds, options.limit_bytes)
        with _with_url(url), self._open_response(url, options) as response:
            found = read(response, url, options, datetime.now(UTC))
            if not isinstance(found, Redirect):
                return found
            return resolve_redirect(url, found.location, self._config)

    @contextmanager
    def _open_response(
        self, url: httpx.URL, options: RequestOptions
    ) -> Iterator[httpcore.Response]:
        """Return a response with its header section read; the rest of its body is discarded."""
        agent = self._config.user_agent.encode("ascii")
        request = httpcore.Request(
            options.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[(b"Host", url.netloc), (b"User-Agent", agent), *options.headers()],
            content=options.content,
            extensions={"timeout": self._timeouts(), "trace": self._trace},
        )
        with translate_connect_errors():
            response = self._pool.handle_request(request)
        try:
            yield response
        finally:
            response.close()

    def _timeouts(self) -> dict[str, float]:
        read_seconds = self._config.read_seconds
        connect_seconds = self._config.connect_seconds
        return {"connect": connect_seconds, "read": read_seconds, "write": read_seconds}

    def _trace(self, event: str, _: object) -> None:
        if event == "http11.send_request_headers.started":
            with self._lock:
                self.requests += 1


@contextmanager
def _with_url(url: httpx.URL) -> Iterator[None]:
    """Add the URL to errors."""
    try:
        yield
    except UpstreamError as error:
        error.where = error.where or redact_url(url)
        raise
    except TransientError as failure:
        failure.error.where = redact_url(url)
        raise


@contextmanager
def _all_or_nothing(out: IO[bytes]) -> Iterator[None]:
    """Truncate the file to its former size after an error."""
    start = out.tell()
    try:
        yield
    except BaseException:
        out.seek(start)
        out.truncate()
        raise
