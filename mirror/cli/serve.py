"""`mirror serve`: the mirror over HTTP."""

from __future__ import annotations

import gc
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirror.cli import options
from mirror.cli.output import say
from mirror.cli.record_search import update_index
from mirror.engine.bibliography.citations import REGISTRY_URL
from mirror.errors import ListenError, UpstreamError
from mirror.net import parse_url
from mirror.store import open_store

if TYPE_CHECKING:
    from uvicorn import Server

    from mirror.web.connections import Connections

__all__ = ["serve"]

_SWITCH_S = 0.0005
"""Time after which a thread gives way to another one, in seconds.

The event loop waits for it at each request while other threads compute. Python's default is ten
times as long.
"""


def _public_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return a public URL without a trailing slash."""
    if not value:
        return ""
    try:
        url = parse_url(value)
    except UpstreamError as error:
        raise click.BadParameter(error.message) from error
    if url.query or "#" in value:
        raise click.BadParameter("The URL must have no ? and no #.")
    return value.rstrip("/")


def _email(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return an address as OAI-PMH writes it."""
    if value and re.fullmatch(r"[^\s@]+@(?:[^\s@.]+\.)+[^\s@.]+", value) is None:
        raise click.BadParameter("It must be an address such as library@mirror.example.")
    return value


@click.command()
@options.db
@options.jobs
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen at.",
)
@click.option(
    "--name", default="A mirror of pith.science", show_default=True, help="Name of the mirror."
)
@click.option(
    "--base-url",
    default="",
    callback=_public_url,
    metavar="URL",
    help="Public URL, such as https://mirror.example; by default that of each request.",
)
@click.option(
    "--source-url",
    default=REGISTRY_URL,
    callback=_public_url,
    show_default=True,
    metavar="URL",
    help="URL of the source of the records.",
)
@click.option(
    "--admin-email",
    default="",
    callback=_email,
    metavar="ADDRESS",
    help="Address of the administrator, for harvesters.",
)
@click.option(
    "--access-log",
    type=click.Choice(["none", "json"]),
    default="none",
    show_default=True,
    help="A line on stderr for each request.",
)
@click.option(
    "--cache-mib",
    type=options.Count(0),
    default=256,
    show_default=True,
    metavar="MIB",
    help="Memory for the cache of states.",
)
@click.option(
    "--max-connections",
    type=options.Count(1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Open connections at a time, as far as file descriptors allow.",
)
def serve(
    *,
    db: Path,
    host: str,
    port: int,
    name: str,
    base_url: str,
    source_url: str,
    admin_email: str,
    access_log: str,
    cache_mib: int,
    max_connections: int,
) -> None:
    """Serve the store over HTTP: the registry's paths, and pages.

    The search index is updated first, if the store can be written. After that the store is only
    read; other processes may merge into it. SIGTERM and Ctrl-C end the server normally (exit 0),
    with at most ten seconds for running responses.

    \b
    Examples:
      mirror serve
      mirror serve --host 0.0.0.0 --port 80 --base-url https://mirror.example
    """
    # Other commands need not wait for these.
    from mirror.web import ServerSettings, create_app  # noqa: PLC0415
    from mirror.web.connections import ConnectionLimits, Connections  # noqa: PLC0415
    from mirror.web.server import make_server  # noqa: PLC0415

    connections = Connections(ConnectionLimits(connections=max_connections))
    with _bound(host, port, connections) as listeners:
        if error := update_index(db, is_patient=True):
            say(f"the search index was not updated: {error}")
        with open_store(db, read_only=True) as store:
            records = store.status().records
        settings = ServerSettings(
            store=db,
            name=name,
            base_url=base_url,
            source_url=source_url,
            admin_email=admin_email,
            access_log=access_log,
            cache_bytes=cache_mib << 20,
        )
        server = make_server(create_app(settings), connections)
        with _address_faults(host, port):
            for listener in listeners:
                listener.listen()
        sys.setswitchinterval(_SWITCH_S)
        gc.freeze()  # what is loaded now stays: no collection needs to look at it
        with _stopped_by_signal(server):
            say(f"serving {records:,} records at {_where(host, listeners)} — stop with Ctrl-C")
            server.run(sockets=listeners)


@contextmanager
def _bound(host: str, port: int, connections: Connections) -> Iterator[list[socket.socket]]:
    """Give sockets bound to this address that do not listen yet.

    Raises:
        ListenError: `serve.address`
    """
    from mirror.web.server import bind  # noqa: PLC0415

    with _address_faults(host, port):
        listeners = bind(host, port, connections)
    with ExitStack() as stack:
        yield [stack.enter_context(one) for one in listeners]


def _where(host: str, listeners: list[socket.socket]) -> str:
    """Return the addresses of a server as links that open on this machine."""
    from mirror.web.server import urls_of  # noqa: PLC0415

    urls = " and ".join(urls_of(listeners))
    is_everywhere = host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    return f"{urls} and every other address of this machine" if is_everywhere else urls


@contextmanager
def _address_faults(host: str, port: int) -> Iterator[None]:
    """Convert errors of an address that is in use or not of this machine."""
    try:
        yield
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot listen at {host} port {port}: {reason}"
        hint = "stop what listens there, or choose another --port or --host"
        raise ListenError("serve.address", message, hint=hint) from error


@contextmanager
def _stopped_by_signal(server: Server) -> Iterator[None]:
    """Stop the server, and nothing else, at SIGINT and SIGTERM.

    uvicorn has handlers of its own while it runs, and raises the signal again at its end.
    """

    def stop(_signal: int, _frame: object) -> None:
        server.should_exit = True

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
