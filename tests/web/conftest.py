"""The real server on a real socket: over the sample bundles, or over any store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner

from mirror.cli import main
from mirror.engine.search.index import update_index
from mirror.engine.tables.copy import beside, update_copy
from mirror.store import open_store
from mirror.web import ServerSettings, create_app
from mirror.web.connections import Connections
from mirror.web.http_protocol import PROTOCOLS
from mirror.web.server import listen, make_server, urls_of

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
def served(
    settings: ServerSettings,
    connections: Connections | None = None,
    parser: str = next(iter(PROTOCOLS)),
) -> Iterator[str]:
    """Serve a store at a free port of this machine, and give the base URL."""
    connections = connections or Connections()
    with ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in listen("127.0.0.1", 0, connections)]
        server = make_server(create_app(settings), connections, parser)
        thread = threading.Thread(target=server.run, args=(listeners,), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        try:
            yield urls_of(listeners)[0].rstrip("/")
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of `demo.tar` with its keys, and `pith.tar`, with its analysis copy beside it."""
    path = tmp_path_factory.mktemp("site") / "mirror.db"
    sources = (BUNDLES / "demo.tar", BUNDLES / "pith.tar")
    make_store(path, *sources, keys=BUNDLES / "demo-keys.json")
    with open_store(path) as store:
        update_index(store)  # the index that a search reads
        update_copy(store, beside(path))  # the copy that the figures are read from
    return path


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """`serve(path)` serves a store to the end of the session; its base URL."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(served(ServerSettings(store=path)))


@pytest.fixture(scope="session")
def site(store_path: Path, serve: Serve) -> str:
    """The base URL of a server of `store_path`."""
    return serve(store_path)
