"""What answers beside the event loop: how many, how long, and for whom."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirror.errors import StoreError
from mirror.store import open_store
from mirror.web import ServerSettings, app, download, request_threads
from mirror.web.download import Downloads
from mirror.web.endpoint import Threads
from mirror.web.request_threads import BusyError, ClientGoneError, RequestThreads
from mirror.web.store_pool import IS_CANCELLED
from mirror.web.store_reader import StoreReader
from tests import oracle
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import make_store, run_mirror, served

TIMEOUT_S = 30


def _client(gone: asyncio.Event) -> Callable[[], Coroutine[Any, Any, dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive


@pytest.fixture
def workers() -> Iterator[RequestThreads]:
    """One thread, and one that may wait."""
    workers = RequestThreads(threads=1, waiting=1, retry_after_s=7)
    yield workers
    workers.close()


def test_a_request_that_no_thread_takes_leaves_its_place() -> None:
    """The threads have ended, which is no `BusyError`, however often it is tried."""
    workers = RequestThreads(threads=1, waiting=1)
    workers.close()
    for _ in range(3):
        with pytest.raises(RuntimeError):
            workers.submit(lambda: None)


def test_requests_beyond_the_limit_are_refused_as_busy(workers: RequestThreads) -> None:
    go_on = threading.Event()

    async def ask() -> None:
        receive = _client(asyncio.Event())
        running = [
            asyncio.ensure_future(workers.run(lambda: go_on.wait(TIMEOUT_S), receive))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as busy:
            await workers.run(lambda: True, receive)
        assert busy.value.retry_after_s == 7
        go_on.set()
        assert await asyncio.gather(*running) == [True, True]

    asyncio.run(ask())
    for _ in range(3):  # the room is there again
        assert asyncio.run(workers.run(lambda: "done", _client(asyncio.Event()))) == "done"


def test_work_for_a_disconnected_client_is_not_begun(workers: RequestThreads) -> None:
    go_on, begun = threading.Event(), []

    async def ask() -> None:
        first = workers.submit(lambda: go_on.wait(TIMEOUT_S))
        gone = asyncio.Event()
        gone.set()
        with pytest.raises(ClientGoneError):
            await workers.run(lambda: begun.append(1), _client(gone))
        go_on.set()
        await asyncio.wrap_future(first)

    asyncio.run(ask())
    workers.close()
    assert begun == []


def test_threads_work_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one begins after an error, too."""
    monkeypatch.setattr(request_threads, "_TURN_S", -1)  # no limit
    workers, steps = RequestThreads(threads=4, waiting=40), list[str]()

    def work(number: int) -> None:
        steps.append("begin")
        time.sleep(0.001)  # others could begin
        steps.append("end")
        if number % 2:
            raise ValueError(number)

    running = [workers.submit(partial(work, number)) for number in range(20)]
    errors = [one.exception(TIMEOUT_S) for one in running]
    workers.close()
    assert steps == ["begin", "end"] * 20
    assert [type(one) for one in errors] == [type(None), ValueError] * 10


def test_long_work_does_not_block_other_threads() -> None:
    """A thread waits for its turn only a short time."""
    workers, go_on = RequestThreads(threads=2, waiting=1), threading.Event()
    long = workers.submit(lambda: go_on.wait(TIMEOUT_S))
    assert workers.submit(lambda: "done").result(TIMEOUT_S) == "done"
    assert not long.done()
    go_on.set()
    assert long.result(TIMEOUT_S)
    workers.close()


@pytest.mark.parametrize("who", ["client", "server"])
def test_reading_for_a_disconnected_client_is_interrupted(
    who: str, workers: RequestThreads, tmp_path: Path
) -> None:
    """SQLite stops in the middle of a statement that would go on for ever."""
    path = tmp_path / "mirror.db"
    with open_store(path):
        pass
    library, reading, ended = StoreReader(path), threading.Event(), threading.Event()
    endless = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )

    def read() -> None:
        try:
            with library.snapshot() as snapshot:
                reading.set()
                snapshot.store.connection.execute(endless).fetchone()
        finally:
            ended.set()

    async def ask() -> None:
        gone = asyncio.Event()
        running = asyncio.ensure_future(workers.run(read, _client(gone)))
        await asyncio.to_thread(reading.wait, TIMEOUT_S)
        if who == "client":
            gone.set()
        else:
            workers.close()
        with pytest.raises((ClientGoneError, StoreError)):
            await running

    asyncio.run(ask())
    assert ended.wait(TIMEOUT_S)
    assert IS_CANCELLED.get() is None
    library.close()


# A server whose readers are all busy ----------------------------------------------------------


@pytest.fixture(scope="module")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of twenty records, one of them larger than what a connection takes at once."""
    folder = tmp_path_factory.mktemp("records")
    source = folder / "records.jsonl"
    bundles = [make_bundle(make_record(arxiv_id=f"2401.{one:05}")) for one in range(20)]
    bundles[7] = make_bundle(
        make_record(arxiv_id="2401.00007"), [f"{one}" * 1_000_000 for one in range(9)]
    )
    source.write_bytes(b"".join(to_json(one) + b"\n" for one in bundles))
    return make_store(folder / "mirror.db", source)


@pytest.fixture
def path(store_file: Path, tmp_path: Path) -> Path:
    """A copy of the store."""
    return Path(shutil.copy(store_file, tmp_path))


def test_health_answers_while_readers_are_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cached states are served, too; all other requests get 503 with Retry-After."""
    go_on, threads = threading.Event(), Threads()
    monkeypatch.setattr(app, "Threads", lambda: threads)
    with (
        served(ServerSettings(store=path, cache_bytes=1 << 20)) as url,
        httpx.Client(base_url=url) as web,
    ):
        kept = web.get("/pith/2401.00001/state.json")
        with contextlib.suppress(BusyError):
            while True:
                threads.readers.submit(lambda: go_on.wait(TIMEOUT_S))
        assert web.get("/health").json()["status"] == "ok"
        assert web.get("/pith/2401.00001/state.json").content == kept.content
        busy = web.get("/pith/2401.00002/state.json")
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
        assert busy.json()["code"] == "http.service_unavailable"
        go_on.set()
    threads.close()


def test_feeds_and_sitemaps_do_not_block_readers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of them reads up to 20,000 arrivals, and many robots request them."""
    go_on, threads = threading.Event(), Threads()
    monkeypatch.setattr(app, "Threads", lambda: threads)
    with served(ServerSettings(store=path)) as url, httpx.Client(base_url=url) as web:
        with contextlib.suppress(BusyError):
            while True:
                threads.feeds.submit(lambda: go_on.wait(TIMEOUT_S))
        record = "/pith/2401.00001"
        for feed in (
            "/feeds/changes.atom", "/feeds/category/x/findings.atom", f"{record}/findings.atom",
            "/sitemap.xml", "/sitemap/1.xml",
        ):  # fmt: skip
            assert web.get(feed).status_code == 503
        assert web.get(f"{record}.json").status_code == 200
        go_on.set()
    threads.close()


# Bags -----------------------------------------------------------------------------------------


def test_a_bag_in_many_parts_is_the_one_that_is_exported(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is merged meanwhile is in the next bag."""
    assert run_mirror("export", tmp_path / "bag.tar", "--db", path) == 0
    monkeypatch.setattr(download, "_PART_RECORDS", 3)
    late = tmp_path / "late.json"
    late.write_bytes(to_json(make_bundle(make_record(arxiv_id="2401.77777"))))
    with (
        served(ServerSettings(store=path)) as url,
        httpx.stream("GET", f"{url}/mirror/bundle.tar") as one,
    ):
        make_store(path, late)
        content = b"".join(one.iter_raw())
    members = _members(content)
    assert members == _members((tmp_path / "bag.tar").read_bytes())
    late_suffix = oracle.pith_number_of(make_record(arxiv_id="2401.77777"))[-26:]
    assert not any(late_suffix in name for name in members)
    assert sum(name.endswith("bundle.json") for name in members) > 3 * 3


def _members(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        files = {one.name: opened.extractfile(one) for one in opened if one.isfile()}
        return {
            name: file.read()
            for name, file in files.items()
            if file and not name.endswith(("bag-info.txt", "tagmanifest-sha256.txt"))
        }


def test_aborted_downloads_free_threads_and_stores(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads end, the stores go back to the pool, and the next download begins."""
    threads = Threads()
    monkeypatch.setattr(app, "Threads", lambda: threads)
    with served(ServerSettings(store=path)) as url:
        for _ in range(12):  # three times as many as there may be
            with _download(url):
                pass
            _until_free(threads.downloads)
        with httpx.stream("GET", f"{url}/mirror/bundle.tar") as one:
            assert one.status_code == 200
            assert len(_members(b"".join(one.iter_raw()))) > 20


def test_a_fifth_download_is_refused_as_busy(path: Path) -> None:
    """Clients that do not read keep their download, and no thread; other requests are served."""
    with served(ServerSettings(store=path)) as url, contextlib.ExitStack() as clients:
        for _ in range(4):
            clients.enter_context(_download(url))
        busy = httpx.get(f"{url}/mirror/bundle.tar")
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "30")
        assert busy.json()["code"] == "http.service_unavailable"
        assert httpx.get(f"{url}/pith/2401.00001/state.json").status_code == 200


@contextlib.contextmanager
def _download(url: str) -> Iterator[None]:
    """A download of which the client takes only the first bytes, and then breaks it off."""
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as client:
        client.sendall(b"GET /mirror/bundle.tar HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
        yield


def _until_free(downloads: Downloads) -> None:
    """Wait until as many may be sent as ever, and no thread is at one."""
    until = time.monotonic() + TIMEOUT_S
    while downloads._free < 4 and time.monotonic() < until:
        time.sleep(0.01)
    assert downloads._free == 4
    together = threading.Barrier(5, timeout=TIMEOUT_S)
    for _ in range(4):
        downloads.threads.submit(together.wait)
    together.wait()
