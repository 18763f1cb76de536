"""Listening sockets and the configuration of uvicorn."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack

import uvicorn

from mirror.web.app import MirrorApp
from mirror.web.connections import Connections
from mirror.web.http_protocol import PROTOCOLS
from mirror.web.listener import Acceptor, Listener
from mirror.web.log import RateFilter

__all__ = ["bind", "listen", "make_server", "urls_of"]

_GRACE_S = 10
"""Time for responses in progress when the server is asked to stop."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not bound
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_FILTER = RateFilter()


class _Server(uvicorn.Server):
    """uvicorn's server, with connections that are accepted by `Acceptor`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections of sockets that listen."""
        await super().startup(sockets=[])
        for listener in sockets or []:
            self.servers.append(Acceptor(listener, self._protocol))  # type: ignore[arg-type]

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        state = self.lifespan.state
        return make(config=self.config, server_state=self.server_state, app_state=state)


def make_server(
    app: MirrorApp, connections: Connections, parser: str = next(iter(PROTOCOLS))
) -> uvicorn.Server:
    """Return a server of an application, to be run with the sockets of `listen`.

    It runs in uvloop where that is installed, and in asyncio's event loop elsewhere.

    Args:
        app: The application.
        connections: Registers the connections.
        parser: The parser of HTTP, a key of `PROTOCOLS`.
    """
    config = uvicorn.Config(
        app,
        http=connections.limited(PROTOCOLS[parser], direct_states=app.direct_states),
        loop="auto",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        lifespan="on",
    )
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_FILTER)
    return uvicorn.Server(config)


def listen(host: str, port: int, connections: Connections) -> list[Listener]:
    """Return the sockets of `bind`, listening; raises as `bind`."""
    listeners = bind(host, port, connections)
    for listener in listeners:
        listener.listen()
    return listeners


def bind(host: str, port: int, connections: Connections) -> list[Listener]:
    """Return sockets bound to all addresses of a host, not listening yet.

    Args:
        host: A host name or an address; empty for every address of this machine.
        port: The port; 0 for a free one, the same at all addresses.
        connections: Registers the connections.

    Raises:
        OSError: If an address is in use, or not an address of this machine.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address) for family, *_, address in found))
    listeners: list[Listener] = []
    with ExitStack() as stack:
        for family, address in addresses:
            port = port or (listeners[0].getsockname()[1] if listeners else 0)
            listener = stack.enter_context(Listener(family, connections))
            try:
                _bind(listener, (address[0], port, *address[2:]))
            except OSError as error:
                listener.close()
                if error.errno not in _NOT_HERE or len(addresses) == 1:
                    raise
            else:
                listeners.append(listener)
        if not listeners:
            raise OSError(errno.EADDRNOTAVAIL, "no address of this machine")
        stack.pop_all()
    return listeners


def _bind(listener: Listener, address: tuple[object, ...]) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(address)


def urls_of(listeners: Iterable[socket.socket]) -> list[str]:
    """Return the URLs of sockets for a browser on this machine, each ending in a slash."""
    urls = []
    for listener in listeners:
        host, port = listener.getsockname()[:2]
        host = _EVERYWHERE.get(host, host)
        # RFC 3986 section 3.2.2; the zone as RFC 6874 writes it.
        shown = f"[{host.replace('%', '%25')}]" if ":" in host else host
        urls.append(f"http://{shown}:{port}/")
    return urls
