"""What the server does with bytes that a well-behaved client does not send, with each parser."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mirror.web import ServerSettings
from mirror.web.http_protocol import PROTOCOLS
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import make_store, served

Exchange = Callable[..., bytes]
LIMIT = 16 * 1024
"""Bytes of an incomplete section, with each parser."""
RESET = b"<reset>"
"""Comes when the server closes a connection before it has read all that was sent."""
HEALTH = b"GET /health HTTP/1.1\r\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one record."""
    folder = tmp_path_factory.mktemp("protocol")
    source = folder / "bundle.json"
    source.write_bytes(to_json(make_bundle(make_record(), ["x" * 1_000_000])))
    return make_store(folder / "mirror.db", source)


@pytest.fixture(scope="module", params=PROTOCOLS)
def exchange(request: pytest.FixtureRequest, path: Path) -> Iterator[Exchange]:
    """`exchange(*pieces)` sends bytes, and returns all that comes until the connection ends."""
    with served(ServerSettings(store=path), parser=request.param) as url:

        def exchange(*pieces: bytes) -> bytes:
            address = ("127.0.0.1", httpx.URL(url).port or 0)
            with socket.create_connection(address, timeout=30) as client:
                received = b""
                try:
                    for piece in pieces:
                        client.sendall(piece)
                    while part := client.recv(1 << 16):
                        received += part
                except ConnectionError:
                    received += RESET
                return received

        yield exchange


def _head(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[0].lower()


def _is_refused(answer: bytes) -> bool:
    """Whether it is 400, or what is left of it if the client sends on."""
    return answer.startswith(b"HTTP/1.1 400 ") or answer == RESET


LINE = b"X-Filler: " + b"x" * 1000 + b"\r\n"
MANY = 1 + 4 * LIMIT // len(LINE)


def test_a_header_section_without_an_end_is_refused(exchange: Exchange) -> None:
    assert _is_refused(exchange(HEALTH, b"Host: x\r\n", *[LINE] * MANY))
    assert _is_refused(exchange(HEALTH, b"X: ", *[b"x" * 1000] * MANY))
    assert _is_refused(exchange(b"GET /", *[b"x" * 1000] * MANY))


def test_trailers_without_an_end_are_refused(exchange: Exchange) -> None:
    chunked = b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    last = HEALTH + b"Host: x\r\nConnection: close\r\n\r\n"
    answer = exchange(chunked, *[LINE] * (64 * MANY), b"\r\n" + last)
    assert b"HTTP/1.1 200 " not in answer


def test_a_large_header_section_within_the_limit_is_read(exchange: Exchange) -> None:
    lines = [LINE] * (LIMIT // len(LINE) - 1)
    assert exchange(HEALTH, b"Host: x\r\nConnection: close\r\n", *lines, b"\r\n").startswith(
        b"HTTP/1.1 200 "
    )


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n"], ids=["none", "two"])
def test_a_request_has_one_host(exchange: Exchange, hosts: bytes) -> None:
    """RFC 9112 section 3.2."""
    assert exchange(HEALTH + hosts + b"\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_client_of_http_1_0_gets_no_chunks(exchange: Exchange) -> None:
    """RFC 9112 section 6.1; the end of the connection is the end of the bag."""
    asked = b"/mirror/bundle.tar HTTP/1."
    new = exchange(b"GET " + asked + b"1\r\nHost: x\r\nConnection: close\r\n\r\n")
    old = exchange(b"GET " + asked + b"0\r\n\r\n")
    assert b"transfer-encoding: chunked" in _head(new)
    assert b"transfer-encoding" not in _head(old)
    assert b"connection: close" in _head(old)
    bag = old.partition(b"\r\n\r\n")[2]
    assert bag == b"".join(_chunks(new.partition(b"\r\n\r\n")[2]))
    assert len(bag) % 512 == 0
    known = exchange(b"GET /health HTTP/1.0\r\n\r\n")
    assert b"content-length: " in _head(known)
    assert b'"status":"ok"' in known


def _chunks(body: bytes) -> Iterator[bytes]:
    """Yield the data of chunks (RFC 9112 section 7.1)."""
    while body:
        size, _, rest = body.partition(b"\r\n")
        yield rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]


def test_requests_in_one_piece_are_answered_in_order(exchange: Exchange) -> None:
    paths = [b"/health", b"/nothing", b"/health", b"/openapi.json"]
    requests = [b"GET " + one + b" HTTP/1.1\r\nHost: x\r\n\r\n" for one in paths]
    last = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = exchange(b"".join(requests) + last).split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in answers] == [b"200", b"404", b"200", b"200", b"404"]


def test_an_offer_to_upgrade_is_ignored(exchange: Exchange) -> None:
    """RFC 9110 section 7.8; what follows on the connection is HTTP/1.1, too."""
    offer = HEALTH + b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = exchange(offer + offer, offer + last).split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in answers] == [b"200", b"200", b"200", b"404"]


def test_a_response_to_head_has_no_body(exchange: Exchange) -> None:
    answer = exchange(b"HEAD /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: " in answer.lower()
    assert answer.endswith(b"\r\n\r\n")
