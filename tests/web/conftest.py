"""The real server on a real socket: over the sample bundles, or over any store."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import uvicorn
from click.testing import CliRunner

from mirror.cli import main
from mirror.engine.find import bring_up_to_date
from mirror.store import open_store
from mirror.web import Settings, create_app

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"

Serve: TypeAlias = Callable[[Path], str]


def run_mirror(*arguments: object) -> int:
    """Run a command in this process; its exit code."""
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code


def make_store(path: Path, *sources: Path, keys: Path | None = None) -> Path:
    """Merge sources into a new store that trusts the keys of a file; its path."""
    if keys is not None:
        assert run_mirror("keys", "add", keys, "--db", path) == 0
    assert run_mirror("merge", *sources, "--db", path) in {0, 1}  # 1: something was refused
    return path


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Serve a store at a free port of this machine, and give the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # As asyncio does with a socket of its own: else each answer waits for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(create_app(settings), log_level="warning", access_log=False,
                                server_header=False, ws="none", lifespan="on")  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of `demo.tar` with its keys, and `pith.tar`."""
    path = tmp_path_factory.mktemp("site") / "mirror.db"
    sources = (BUNDLES / "demo.tar", BUNDLES / "pith.tar")
    make_store(path, *sources, keys=BUNDLES / "demo-keys.json")
    with open_store(path) as store:
        bring_up_to_date(store)  # the index that a search reads
    return path


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """`serve(path)` serves a store to the end of the session; its base URL."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(served(Settings(store=path)))


@pytest.fixture(scope="session")
def site(store_path: Path, serve: Serve) -> str:
    """The base URL of a server of `store_path`."""
    return serve(store_path)
