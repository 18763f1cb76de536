"""Responses that are sent without the application are those that it would send."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from mirror.web import ServerSettings, state_cache
from mirror.web.base_url import BaseUrl
from mirror.web.direct_states import DirectStates
from mirror.web.http_protocol import PROTOCOLS
from mirror.web.mirror_api import RequestMetrics
from mirror.web.registry_api import RegistryApi
from mirror.web.store_reader import StoreReader
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import make_store, served

NAME = make_bundle(make_record())["pith_number"].rpartition(":")[2]
PATH = f"/pith/{NAME}/state.json"
SOURCE = "https://pith.science"
OTHER = make_record(arxiv_id="2401.00002")

Lines = list[tuple[str, str]]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one record."""
    folder = tmp_path_factory.mktemp("direct")
    source = folder / "bundle.json"
    source.write_bytes(to_json(make_bundle(make_record())))
    return make_store(folder / "mirror.db", source)


@pytest.fixture
def reader(path: Path) -> Iterator[StoreReader]:
    """That store, with the state in the cache."""
    opened = StoreReader(path, cache_bytes=1 << 20)
    opened.state(NAME)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def url(path: Path) -> Iterator[httpx.URL]:
    """The base URL of a server of that store, with the state in the cache."""
    with served(ServerSettings(store=path)) as url:
        assert httpx.get(url + PATH).status_code == 200
        yield httpx.URL(url)


def _find(
    reader: StoreReader, headers: Lines, path: str = PATH, base_url: str = ""
) -> bytes | None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    direct = DirectStates(reader, RequestMetrics(), BaseUrl(base_url), SOURCE)
    return direct.find(path.encode(), [(b"host", b"x"), *raw], b"date: now\r\n")


def _request(path: str, headers: Lines) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()


def _exchange(url: httpx.URL, *requests: bytes) -> bytes:
    """Send requests in one piece, and one more that closes the connection; return the responses."""
    last = _request("/nothing", [("Connection", "close")])
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        client.sendall(b"".join(requests) + last)
        received = b""
        while part := client.recv(1 << 16):
            received += part
    return re.sub(rb"date: [^\r]*\r\n", b"date: now\r\n", received)


def _etag(reader: StoreReader) -> str:
    return reader.state(NAME)[0].digest


CODINGS = [
    [],
    [("Accept-Encoding", "zstd")],
    [("Accept-Encoding", "gzip, deflate, br, zstd")],
    [("Accept-Encoding", "identity")],
    [("Accept-Encoding", "zstd;q=0, gzip;q=0")],
]


@pytest.mark.parametrize("coding", CODINGS, ids=str)
@pytest.mark.parametrize("tag", ["", '"{}"', '"{}-zstd"', '"{}-gzip"', 'W/"{}"', "*", '"other"'])
def test_a_direct_response_is_that_of_the_application(
    reader: StoreReader, url: httpx.URL, coding: Lines, tag: str
) -> None:
    """Byte for byte. A request with a Content-Length is left to the application."""
    condition = [("If-None-Match", tag.format(_etag(reader)))] if tag else []
    headers = coding + condition
    direct = _find(reader, headers)
    expected = _exchange(url, _request(PATH, [*headers, ("Content-Length", "0")]))
    assert expected.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 304 "))
    assert expected == _exchange(url, _request(PATH, headers))
    is_usual = tag in {"", '"{}-zstd"' if "zstd" in str(coding[:1]) else '"{}"'}
    if "q=0" not in str(coding):
        assert (direct is not None) == is_usual
    if direct is not None:
        assert expected.startswith(direct)


@pytest.mark.parametrize(
    "headers",
    [
        [("Accept-Encoding", "gzip")],
        [("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")],
        [("Accept-Encoding", "zstd"), ("Accept-Encoding", "gzip")],
        [("If-None-Match", '"a"'), ("If-None-Match", '"b"')],
        [("Content-Length", "1")],
        [("Transfer-Encoding", "chunked")],
        [("Expect", "100-continue")],
        [("Upgrade", "h2c")],
        [("Accept-Datetime", "Mon, 01 Jun 2026 12:00:00 GMT")],
        [("Accept-Datetime", "")],
        [("X-Forwarded-Proto", "https")],
    ],
    ids=str,
)
def test_an_unusual_request_is_left_to_the_application(reader: StoreReader, headers: Lines) -> None:
    assert _find(reader, headers) is None


def test_links_begin_with_the_address_that_the_operator_gave(
    reader: StoreReader, path: Path
) -> None:
    """Then no header of a proxy matters; a name that is not ASCII is written in ASCII."""
    given = "https://m\xfcsli.example/one%"
    headers = [("X-Forwarded-Proto", "https")]
    direct = _find(reader, headers, base_url=given)
    assert direct is not None
    link = f'<https://xn--msli-0ra.example/one%{PATH}>; rel="original timegate"'
    assert link.encode() in direct
    with served(ServerSettings(store=path, base_url=given)) as url:
        assert httpx.get(url + PATH).status_code == 200
        request = _request(PATH, [*headers, ("Content-Length", "0")])
        assert _exchange(httpx.URL(url), request).startswith(direct)


def test_an_invalid_host_is_left_to_the_application(url: httpx.URL) -> None:
    """Which links to the address that it listens at."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: a b\r\n\r\n".encode()
    link = f'<http://{url.host}:{url.port}{PATH}>; rel="original timegate"'
    assert link.encode() in _exchange(url, request)


@pytest.mark.parametrize(
    "asked",
    [
        "/pith/2401.00001/state.json",
        f"/pith/{NAME[:12]}/state.json",
        f"/pith/{NAME}/state.json?",
        f"/pith/%{ord(NAME[0]):x}{NAME[1:]}/state.json",
        f"/pith/{NAME}/bundle.json",
        "/pith/\xff/state.json",
        "/pith/state.json",
        "/",
    ],
)
def test_another_path_is_left_to_the_application(reader: StoreReader, asked: str) -> None:
    """Though the cache knows some of these names, too."""
    reader.state("2401.00001")
    assert _find(reader, [], asked) is None


def test_a_large_state_is_left_to_a_thread(
    reader: StoreReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = RegistryApi(reader, "", BaseUrl(""), "")
    scope = {"type": "http", "path": PATH, "path_params": {"suffix": NAME}, "headers": []}
    assert api.cached_state(Request(scope)) is not None
    monkeypatch.setattr(state_cache, "_SMALL", 100)
    assert api.cached_state(Request(scope)) is None
    assert _find(reader, []) is None
    assert _find(reader, [("If-None-Match", f'"{_etag(reader)}"')]) is not None


def test_after_a_commit_nothing_is_sent_before_the_store_was_read(
    reader: StoreReader, path: Path, tmp_path: Path
) -> None:
    assert _find(reader, []) is not None
    source = tmp_path / "other.json"
    source.write_bytes(to_json(make_bundle(OTHER)))
    make_store(path, source)
    assert _find(reader, []) is None
    reader.state(NAME)
    assert _find(reader, []) is not None


def test_direct_responses_are_counted(reader: StoreReader) -> None:
    metrics = RequestMetrics()
    direct = DirectStates(reader, metrics, BaseUrl(""), SOURCE)
    etag = f'"{_etag(reader)}"'.encode()
    host = (b"host", b"x")
    assert direct.find(PATH.encode(), [host], b"")
    assert direct.find(PATH.encode(), [host, (b"if-none-match", etag)], b"")
    assert direct.find(b"/", [], b"") is None
    assert metrics.responses == {200: 1, 304: 1}


def test_responses_come_in_the_order_of_their_requests(url: httpx.URL) -> None:
    """More than are sent directly in one turn, with others between."""
    state, page = _request(PATH, []), _request("/pith-mirrors.json", [])
    answers = _exchange(url, *([state] * 3 + [page]) * 10, *[state] * 40)
    kinds = re.findall(rb"(pith_open_graph_state|pith_mirror_manifest)\"", answers)
    expected = [b"pith_open_graph_state"] * 3 + [b"pith_mirror_manifest"]
    assert kinds == expected * 10 + [b"pith_open_graph_state"] * 40


def test_the_access_log_has_a_line_for_each_request(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(ServerSettings(store=path, access_log="json")) as url:
        for _ in range(3):
            httpx.get(url + PATH)
    assert capsys.readouterr().err.count(PATH) == 3


def test_h11_responds_in_the_same_way(url: httpx.URL, path: Path) -> None:
    with served(ServerSettings(store=path), parser=list(PROTOCOLS)[-1]) as other:
        expected = _exchange(url, _request(PATH, []))
        assert _exchange(httpx.URL(other), _request(PATH, [])).lower() == expected.lower()
