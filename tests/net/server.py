"""A real server on 127.0.0.1 that answers each path as a test says, however badly."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

GREETING = b'{"hello":"world"}'


@dataclass(slots=True)
class Exchange:
    """One request, and the connection that it came on."""

    path: str
    headers: dict[str, str]
    connection: socket.socket
    stopping: threading.Event
    is_over: bool = False
    method: str = "GET"
    content: bytes = b""

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(b"".join(parts))

    def hang_up(self) -> None:
        """Close the connection after this."""
        self.is_over = True

    def trickle(self, data: bytes, every_s: float = 0.02) -> None:
        """Send single bytes, for as long as anybody listens."""
        for byte in data:
            if self.stopping.wait(every_s):
                return
            self.send(bytes([byte]))


Handler: TypeAlias = Callable[[Exchange], None]


def message(
    body: bytes = GREETING,
    *,
    status: str = "200 OK",
    media_type: str = "application/json",
    **fields: str,
) -> bytes:
    """A whole answer; fields are named with underscores, and replace the usual ones."""
    headers = {"content_type": media_type, "content_length": str(len(body))} | fields
    lines = [f"{name.replace('_', '-')}: {text}" for name, text in headers.items() if text]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body


def saying(*parts: bytes, then_hang_up: bool = False) -> Handler:
    """A handler that sends bytes."""

    def handle(exchange: Exchange) -> None:
        exchange.send(*parts)
        exchange.is_over = then_hang_up

    return handle


def redirecting(location: str, status: str = "302 Found") -> Handler:
    """A handler that redirects."""
    return saying(message(b"", status=status, location=location))


def in_turn(*handlers: Handler) -> Handler:
    """A handler that is another one each time; the last one stays."""
    waiting = list(handlers)

    def handle(exchange: Exchange) -> None:
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(exchange)

    return handle


@dataclass(slots=True)
class Site:
    """What a server answers, and what it saw."""

    context: ssl.SSLContext | None = None
    routes: dict[str, Handler] = field(default_factory=dict)
    on_connect: Callable[[socket.socket], bool] = lambda _: True
    """Whether to go on with a connection; called before any TLS."""
    requests: list[Exchange] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    """How many connections were closed."""
    port: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Where a path is served."""
        return f"{'https' if self.context else 'http'}://{host}:{self.port}{path}"

    def at(self, path: str, handler: Handler) -> str:
        """Answer a path so; its URL."""
        self.routes[path] = handler
        return self.url(path)

    def wait_until(self, is_so: Callable[[Site], bool]) -> None:
        """Wait until the threads of the server have come as far."""
        until = time.monotonic() + 30
        while not is_so(self):
            assert time.monotonic() < until
            time.sleep(0.005)

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [exchange.path for exchange in self.requests]


class _Handler(socketserver.BaseRequestHandler):
    """One connection, from its first request to its last."""

    def handle(self) -> None:
        site = cast("_Server", self.server).site
        site.connections += 1
        self.request.settimeout(60)
        with contextlib.suppress(OSError):
            if not site.on_connect(self.request):
                return
            if site.context:
                self.request = site.context.wrap_socket(self.request, server_side=True)
            self._serve(site)

    def finish(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()

    def _serve(self, site: Site) -> None:
        while (exchange := _read_request(self.request, site.stopping)) is not None:
            site.requests.append(exchange)
            site.routes.get(exchange.path, saying(message(b"{}", status="404 Not Found")))(exchange)
            if exchange.is_over:
                return


def _read_request(connection: socket.socket, stopping: threading.Event) -> Exchange | None:
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return None
        text += byte
    first, *lines = text.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    method, path, _ = first.split(" ")
    content = _read_content(connection, int(headers.get("content-length", "0")))
    return Exchange(path, headers, connection, stopping, method=method, content=content)


def _read_content(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        content += connection.recv(size - len(content))
    return content


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.site.ended += 1


@contextlib.contextmanager
def running(site: Site) -> Iterator[Site]:
    """Serve a site at a free port; all of its threads end with it."""
    with _Server(site) as server:
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield site
        finally:
            site.stopping.set()
            server.shutdown()
            thread.join()
