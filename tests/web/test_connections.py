"""How many connections a server has, how long each may do nothing, and what is said of it."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from mirror.web import ServerSettings, create_app
from mirror.web.connections import ConnectionLimits, Connections
from mirror.web.http_protocol import PROTOCOLS
from mirror.web.listener import Listener
from mirror.web.log import AccessLog, ErrorLog, Rate, RateFilter
from mirror.web.server import listen, make_server, urls_of
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import make_store, served

TIMEOUT_S = 30
SUFFIX = make_bundle(make_record())["pith_number"].rpartition(":")[2]
LARGE = f"/pith/{SUFFIX}/bundle.json"
"""15 MB: more than connections keep in the system."""
STATE = f"/pith/{SUFFIX}/state.json"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one large record."""
    folder = tmp_path_factory.mktemp("large")
    source = folder / "bundle.json"
    source.write_bytes(to_json(make_bundle(make_record(), ["x" * 7_500_000, "y" * 7_500_000])))
    return make_store(folder / "mirror.db", source)


class Engine(NamedTuple):
    """An event loop and a parser of HTTP."""

    loop: Callable[[], asyncio.AbstractEventLoop]
    parser: str


def _engines() -> list[Engine]:
    engines = [Engine(asyncio.SelectorEventLoop, parser) for parser in PROTOCOLS]
    try:
        import uvloop
    except ImportError:
        return engines
    return [Engine(uvloop.new_event_loop, next(iter(PROTOCOLS))), engines[-1]]


@pytest.fixture(params=_engines(), ids=lambda one: f"{one.loop.__module__}-{one.parser}")
def engine(request: pytest.FixtureRequest) -> Engine:
    """The fast ones, and those that are always there."""
    found: Engine = request.param
    return found


Connect = Callable[..., Coroutine[Any, Any, asyncio.StreamReader]]


@asynccontextmanager
async def _server(path: Path, connections: Connections, engine: Engine) -> AsyncIterator[Connect]:
    """Serve in this event loop; gives what opens connections."""
    listeners: list[socket.socket] = [*listen("127.0.0.1", 0, connections)]
    app = create_app(ServerSettings(store=path))
    server = make_server(app, connections, engine.parser)
    opened: list[asyncio.StreamWriter] = []

    async def connect(request: str = "") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(*listeners[0].getsockname())
        opened.append(writer)
        writer.write(request.encode())
        return reader

    serving = asyncio.ensure_future(server._serve(listeners))
    await _until(lambda: server.started)
    try:
        yield connect
    finally:
        for writer in opened:
            writer.transport.abort()
        server.should_exit = True
        await serving


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def _get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"


async def _status(answer: asyncio.StreamReader) -> str:
    return (await answer.readuntil(b"\r\n\r\n")).split()[1].decode()


async def _read_response(answer: asyncio.StreamReader) -> None:
    head = await answer.readuntil(b"\r\n\r\n")
    await answer.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))


async def _is_closed(answer: asyncio.StreamReader) -> bool:
    """Read to the end that the server makes."""
    try:
        while await asyncio.wait_for(answer.read(1 << 16), TIMEOUT_S):
            pass
    except ConnectionResetError:
        pass
    return True


def _run(test: Coroutine[Any, Any, None], engine: Engine) -> None:
    with asyncio.Runner(loop_factory=engine.loop) as runner:
        runner.run(asyncio.wait_for(test, 2 * TIMEOUT_S))


# Too long at nothing --------------------------------------------------------------------------


def test_a_connection_without_a_whole_request_is_closed(path: Path, engine: Engine) -> None:
    """It may send nothing, or a header without an end; a connection with a response stays open."""

    async def test() -> None:
        connections = Connections(ConnectionLimits(idle_s=15))
        now = asyncio.get_running_loop().time()
        async with _server(path, connections, engine) as connect:
            silent = await connect()
            slow = await connect("GET /health HTTP/1.1\r\nX-Slow: ")
            large = await connect(_get(LARGE))
            await large.readexactly(1)  # it is being answered
            await _until(lambda: connections.count == 3)
            connections.sweep(now + 10)
            assert connections.count == 3
            connections.sweep(now + 20)
            assert await _is_closed(silent)
            assert await _is_closed(slow)
            await _until(lambda: connections.count == 1)

    _run(test(), engine)


def test_a_connection_with_requests_for_cached_states_is_not_idle(
    path: Path, engine: Engine
) -> None:
    async def test() -> None:
        connections = Connections(ConnectionLimits(idle_s=15))
        now = asyncio.get_running_loop().time()
        async with _server(path, connections, engine) as connect:
            idle, busy = await connect(), await connect(_get(STATE))
            await _read_response(busy)
            for later in (10, 20, 30):
                busy._transport.write(_get(STATE).encode())  # type: ignore[attr-defined]
                await _read_response(busy)
                connections.sweep(now + later)
            assert await _is_closed(idle)
            assert connections.count == 1

    _run(test(), engine)


def test_a_client_that_does_not_read_its_response_is_disconnected(
    path: Path, engine: Engine
) -> None:
    async def test() -> None:
        connections = Connections(ConnectionLimits(stall_s=30))
        async with _server(path, connections, engine) as connect:
            stuck, reading = await connect(_get(LARGE)), await connect(_get(LARGE))
            now = asyncio.get_running_loop().time()
            for looked in range(1, 12):  # until the system holds no more for the one that is stuck
                await reading.readexactly(1 << 20)
                connections.sweep(now + 40 * looked)
                await asyncio.sleep(0.01)
                if connections.count == 1:
                    break
            assert await _is_closed(stuck)
            assert len(await reading.read(1 << 20))

    _run(test(), engine)


def test_the_memory_of_buffered_responses_is_limited(path: Path, engine: Engine) -> None:
    async def test() -> None:
        connections = Connections(ConnectionLimits(buffered_bytes=20 << 20))
        async with _server(path, connections, engine) as connect:
            waiting = [await connect(_get(LARGE)) for _ in range(3)]
            for one in waiting:
                await one.readexactly(1)
            connections.sweep(asyncio.get_running_loop().time())
            await _until(lambda: connections.count == 1)

    _run(test(), engine)


# Too many -------------------------------------------------------------------------------------


def test_at_the_limit_the_longest_idle_connection_is_closed(
    path: Path, capsys: pytest.CaptureFixture[str], engine: Engine
) -> None:
    async def test() -> None:
        connections = Connections(ConnectionLimits(connections=3), ErrorLog())
        async with _server(path, connections, engine) as connect:
            idle = [await connect() for _ in range(3)]
            await _until(lambda: connections.count == 3)
            assert await _status(await connect(_get("/health"))) == "200"
            assert await _is_closed(idle[0])

    _run(test(), engine)
    assert capsys.readouterr().err == "error: 3 connections are open, and no more may be\n"


def test_at_the_limit_a_connection_with_a_response_stays_open(path: Path, engine: Engine) -> None:
    async def test() -> None:
        connections = Connections(ConnectionLimits(connections=1))
        async with _server(path, connections, engine) as connect:
            download = await connect(_get("/mirror/bundle.tar"))
            assert await _status(download) == "200"
            assert await _is_closed(await connect(_get("/health")))
            await download.readuntil(b"bagit.txt")
            assert connections.count == 1

    _run(test(), engine)


def test_without_file_descriptors_a_connection_is_refused() -> None:
    """One descriptor is kept in reserve for that, and used again; the server goes on."""
    connections = Connections()
    with Listener(socket.AF_INET, connections) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(TIMEOUT_S)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            for _ in range(2):
                with pytest.raises(BlockingIOError):
                    listener.accept()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        accepted, _ = listener.accept()
        accepted.sendall(b"x")
        assert [one.recv(1) for one in clients] == [b"", b"", b"x"]
        for one in (accepted, *clients):
            one.close()


def test_no_more_connections_than_descriptors_allow() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert ConnectionLimits(connections=1000).descriptor_limit() == 128
        assert ConnectionLimits(connections=7).descriptor_limit() == 7
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        assert ConnectionLimits(connections=1000).descriptor_limit() == 16
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# What is logged -------------------------------------------------------------------------------


def test_log_lines_above_the_rate_are_omitted_and_counted() -> None:
    now = 0.0
    rate = Rate(2, lambda: now)
    assert [rate.admit() for _ in range(5)] == [0, 0, None, None, None]
    now = 0.9
    assert rate.admit() is None
    now = 1.0
    assert [rate.admit(), rate.admit(), rate.admit()] == [4, 0, None]


def test_the_access_log_counts_omitted_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    log = AccessLog(Rate(1, lambda: now))
    for path in ("/a", "/b", "/c"):
        log.write({"path": path})
    now = 1.0
    log.write({"path": "/d"})
    assert capsys.readouterr().err == '{"path": "/a"}\n{"path": "/d", "left_out": 2}\n'


def test_warnings_about_invalid_requests_are_limited(path: Path) -> None:
    """Uvicorn warns of each request that is not HTTP."""
    logger, lines = logging.getLogger("uvicorn.error"), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    with served(ServerSettings(store=path)) as url:
        logger.addHandler(handler)
        address = ("127.0.0.1", httpx.URL(url).port or 0)
        for _ in range(50):
            with socket.create_connection(address) as client:
                client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
                assert b"400" in client.recv(100)
        logger.removeHandler(handler)
    assert 1 <= len(lines) < 25
    assert RateFilter().filter(logging.makeLogRecord({"msg": "first"}))


# Where it listens -----------------------------------------------------------------------------


EVERYWHERE = "0.0.0.0"  # noqa: S104 - for as long as a test takes


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), (EVERYWHERE, "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],
)
def test_listening_addresses_are_shown_as_urls(host: str, shown: str) -> None:
    if ":" in host and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    (listener,) = listen(host, 0, Connections())
    with listener:
        port = listener.getsockname()[1]
        assert port
        assert urls_of([listener]) == [f"http://{shown}:{port}/"]
        parsed = httpx.URL(urls_of([listener])[0])
        socket.create_connection((parsed.host, parsed.port or 0)).close()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_all_addresses_of_a_name_have_one_port() -> None:
    listeners = listen("localhost", 0, Connections())
    assert len({one.getsockname()[1] for one in listeners}) == 1
    for one in listeners:
        one.close()


def test_the_command_prints_its_url(path: Path) -> None:
    options: list[str | Path] = ["--db", path, "--host", EVERYWHERE, "--port", "0"]
    command: list[str | Path] = [sys.executable, "-m", "mirror", "serve", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(one for one in process.stderr if one.startswith("serving"))
        url = line.split(" at ")[1].split()[0]
        assert not url.endswith(":0/")
        assert httpx.get(f"{url}health").json()["status"] == "ok"
        assert "every other address" in line
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT_S)
