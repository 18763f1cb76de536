"""Answers that are cut short, endless, lying, or no HTTP at all: each ends, and says how."""

from __future__ import annotations

import gzip
import io
import socket
import struct
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache

import pytest
import zstandard

from mirror.errors import UpstreamError
from tests.net.conftest import MakeClient, refusal
from tests.net.server import (
    GREETING,
    Exchange,
    Handler,
    Site,
    in_turn,
    message,
    redirecting,
    saying,
)

CHUNKED = {"content_length": "", "transfer_encoding": "chunked"}


def endlessly(head: bytes, piece: bytes) -> Handler:
    """A handler that sends a piece for ever."""

    def handle(exchange: Exchange) -> None:
        exchange.send(head)
        while not exchange.stopping.is_set():
            exchange.send(piece)

    return handle


def silent(*parts: bytes) -> Handler:
    """A handler that says a little, and then nothing."""

    def handle(exchange: Exchange) -> None:
        exchange.send(*parts)
        exchange.connection.settimeout(0.01)
        while not exchange.stopping.is_set():
            try:
                if not exchange.connection.recv(1):
                    return exchange.hang_up()
            except TimeoutError:
                continue
        return None

    return handle


def resetting(*parts: bytes) -> Handler:
    """A handler that says a little, and then resets the connection (TCP RST)."""

    def handle(exchange: Exchange) -> None:
        exchange.send(*parts)
        linger = struct.pack("ii", 1, 0)
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        exchange.connection.close()
        exchange.hang_up()

    return handle


# What may pass -------------------------------------------------------------------------------

BROKEN: dict[str, tuple[Handler, str]] = {
    "closes at once": (saying(then_hang_up=True), "upstream.unreachable"),
    "resets at once": (resetting(), "upstream.unreachable"),
    "closes within the status line": (
        saying(b"HTTP/1.1 20", then_hang_up=True),
        "upstream.unreachable",
    ),
    "closes within the headers": (
        saying(b"HTTP/1.1 200 OK\r\nContent-Le", then_hang_up=True),
        "upstream.unreachable",
    ),
    "closes after the headers": (
        saying(message(b"", content_length="10"), then_hang_up=True),
        "upstream.truncated",
    ),
    "resets after the headers": (
        resetting(message(b"", content_length="10")),
        "upstream.truncated",
    ),
    "closes before the last byte": (
        saying(message(content_length=str(len(GREETING) + 1)), then_hang_up=True),
        "upstream.truncated",
    ),
    "closes within a chunk": (
        saying(message(b"9\r\n1234", **CHUNKED), then_hang_up=True),
        "upstream.truncated",
    ),
    "closes before the last chunk": (
        saying(message(b"4\r\n1234\r\n", **CHUNKED), then_hang_up=True),
        "upstream.truncated",
    ),
    "has a chunk without size": (saying(message(b"xyz\r\n", **CHUNKED)), "upstream.truncated"),
    "has a chunk of negative size": (
        saying(message(b"-4\r\n1234\r\n", **CHUNKED)),
        "upstream.truncated",
    ),
    "has a chunk longer than it says": (
        saying(message(b"2\r\n1234\r\n0\r\n\r\n", **CHUNKED)),
        "upstream.truncated",
    ),
    "has gzip without its end": (
        saying(message(gzip.compress(GREETING)[:-3], content_encoding="gzip")),
        "upstream.truncated",
    ),
    "has zstd without its end": (
        saying(message(zstandard.compress(GREETING)[:-3], content_encoding="zstd")),
        "upstream.truncated",
    ),
    "is silent": (silent(), "upstream.timeout"),
    "is silent after the headers": (
        silent(message(b"", content_length="10")),
        "upstream.timeout",
    ),
    "is silent within the body": (silent(message(content_length="99")), "upstream.timeout"),
    "speaks no HTTP": (saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "upstream.unreachable"),
    "has a status that is no number": (saying(b"HTTP/1.1 OK OK\r\n\r\n"), "upstream.unreachable"),
    "has a header that is none": (
        saying(b"HTTP/1.1 200 OK\r\n\x00\xff \r\n\r\n"),
        "upstream.unreachable",
    ),
    "has two lengths": (
        saying(message(content_length="17\r\nContent-Length: 18")),
        "upstream.unreachable",
    ),
    "has a length that is none": (saying(message(content_length="-1")), "upstream.unreachable"),
    "has a coding of transfer that nobody knows": (
        saying(message(transfer_encoding="gzip, chunked")),
        "upstream.unreachable",
    ),
    "has an error of its own": (saying(message(status="500 x")), "upstream.status"),
    "is a bad gateway": (saying(message(status="502 x")), "upstream.status"),
    "is a gateway without answer": (saying(message(status="504 x")), "upstream.status"),
    "is busy": (saying(message(status="503 x")), "upstream.busy"),
    "is asked too often": (saying(message(status="429 x")), "upstream.busy"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_temporary_failures_are_retried(site: Site, make_client: MakeClient, name: str) -> None:
    """After the last retry, the error has the code of the failure."""
    handler, code = BROKEN[name]
    seconds = 0.1 if "is silent" in name else 30
    client = make_client(retries=1, read_seconds=seconds)
    error = refusal(client, site.at("/never", handler))
    assert (code, site.url("/never")) == (error.code, error.where)
    assert client.requests == 2
    site.wait_until(lambda site: len(site.requests) == 2)
    url = site.at("/later", in_turn(handler, saying(message())))
    # On a busy machine a good answer may take longer than the little time that others have.
    client = make_client(retries=1 if seconds > 1 else 50, read_seconds=seconds)
    assert client.get(url).body == GREETING


def test_refused_connections_are_retried_with_growing_pauses(
    site: Site, make_client: MakeClient
) -> None:
    """The pauses stay within the backoff and its cap."""
    pauses = list[float]()
    client = make_client(retries=4, backoff_seconds=1, backoff_cap_seconds=4, pauses=pauses)
    with socket.socket() as bound:  # nobody else gets the port, and nobody listens there
        bound.bind(("127.0.0.1", 0))
        error = refusal(client, f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert (error.code, client.requests) == ("upstream.unreachable", 0)
    assert all(pause <= bound for pause, bound in zip(pauses, [1, 2, 4, 4], strict=True))


def test_a_connection_that_is_not_accepted_times_out(make_client: MakeClient) -> None:
    """The queue of the listener is full, so the connect timeout applies."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for one in (first, second):
            one.setblocking(False)  # noqa: FBT003
            one.connect_ex(listener.getsockname())
        client = make_client(connect_seconds=0.1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert refusal(client, url).code == "upstream.timeout"


def test_a_connection_that_was_closed_between_requests_is_replaced(
    site: Site, make_client: MakeClient
) -> None:
    """The next request opens another connection and succeeds."""
    url = site.at("/a", saying(message(), then_hang_up=True))
    client = make_client()
    for number in range(1, 4):
        assert client.get(url).body == GREETING
        site.wait_until(lambda site, number=number: site.ended == number)  # type: ignore[misc]
    assert (3, 3) == (client.requests, site.connections)


def test_a_body_longer_than_its_content_length_is_cut(site: Site, make_client: MakeClient) -> None:
    """The rest is not taken for the next response."""
    url = site.at("/a", saying(message(GREETING + b"more", content_length=str(len(GREETING)))))
    other = site.at("/b", saying(message(b"[2]")))
    client = make_client(retries=1)
    assert client.get(url).body == GREETING
    assert client.get(other).body == b"[2]"


def test_interim_responses_are_skipped(site: Site, make_client: MakeClient) -> None:
    """Several may come before the final response (RFC 9110 section 15.2)."""
    url = site.at("/a", saying(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3, message()))
    assert make_client().get(url).body == GREETING


def test_a_body_of_http_1_0_ends_with_its_connection(site: Site, make_client: MakeClient) -> None:
    """Such a response has no Content-Length."""
    url = site.at("/a", saying(b"HTTP/1.0 200 OK\r\n\r\n", GREETING, then_hang_up=True))
    assert make_client().get(url).body == GREETING


# Retry-After ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["429 x", "503 x", "500 x"])
def test_retry_after_in_seconds_is_waited_for(
    site: Site, make_client: MakeClient, status: str
) -> None:
    """The request is repeated after the pause, and succeeds."""
    pauses = list[float]()
    busy = saying(message(status=status, retry_after="7"))
    url = site.at("/a", in_turn(busy, busy, saying(message())))
    client = make_client(retries=2, pauses=pauses)
    assert client.get(url).body == GREETING
    assert [7, 7] == pauses
    assert client.requests == 3


def test_retry_after_as_a_date_is_waited_for(site: Site, make_client: MakeClient) -> None:
    """The pause is the distance to that date."""
    pauses = list[float]()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    busy = saying(message(status="503 x", retry_after=date))
    make_client(retries=1, pauses=pauses).get(site.at("/a", in_turn(busy, saying(message()))))
    assert len(pauses) == 1
    assert 60 < pauses[0] <= 100


@pytest.mark.parametrize("asked", ["301", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_above_the_limit_ends_the_request(
    site: Site, make_client: MakeClient, asked: str
) -> None:
    """The hint of the error has the time of the next try."""
    pauses = list[float]()
    url = site.at("/a", saying(message(status="503 x", retry_after=asked)))
    later = datetime.now(UTC) + timedelta(minutes=5)
    error = refusal(make_client(retries=3, pauses=pauses), url)
    assert ("upstream.busy", []) == (error.code, pauses)
    assert error.hint.startswith("It asks to wait until ")
    assert error.hint >= f"It asks to wait until {later:%Y-%m-%d %H:%M} UTC."


def test_retries_of_busy_responses_are_limited(site: Site, make_client: MakeClient) -> None:
    """The error comes after the last one."""
    client = make_client(retries=4)
    assert refusal(client, site.at("/a", saying(message(status="503 x")))).code == "upstream.busy"
    assert client.requests == 5


# Time ----------------------------------------------------------------------------------------

TRICKLES: dict[str, Handler] = {
    "a body": lambda exchange: exchange.trickle(message(b"x" * 10_000)),
    "headers": lambda exchange: exchange.trickle(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9999),
    "interim answers": lambda exchange: exchange.trickle(b"HTTP/1.1 100 x\r\n\r\n" * 9999),
    "chunks": lambda exchange: exchange.trickle(message(b"1\r\nx\r\n" * 9999, **CHUNKED)),
    "a page that says not found": lambda exchange: exchange.trickle(
        message(b"x" * 9999, status="404 x")
    ),
}


@pytest.mark.parametrize("name", TRICKLES)
def test_a_slow_response_times_out_without_retries(
    site: Site, make_client: MakeClient, name: str
) -> None:
    """Each byte comes in time, but the whole response does not; a retry would be as slow."""
    client = make_client(response_seconds=0.2, retries=3)
    start = time.monotonic()
    error = refusal(client, site.at("/a", TRICKLES[name]))
    assert "upstream.timeout" == error.code
    assert "after 0.2 seconds" in error.message
    assert 0.2 <= time.monotonic() - start < 60  # a trickle takes minutes
    assert client.requests == 1


def test_pauses_do_not_count_towards_the_time_of_a_response(
    site: Site, make_client: MakeClient
) -> None:
    """Each try has the whole time."""
    url = site.at("/a", in_turn(saying(message(status="503 x")), saying(message())))
    client = make_client(retries=1, backoff_seconds=0, response_seconds=1, requests_per_second=0.8)
    assert client.get(url).body == GREETING


# Size ----------------------------------------------------------------------------------------

LIMIT = 100_000
ONE_CHUNK = b"1000\r\n" + b"x" * 4096 + b"\r\n"
BOMB_BYTES = 60_000_000


@cache
def bomb(coding: str) -> bytes:
    """Zeros, packed."""
    zeros = bytes(BOMB_BYTES)
    return gzip.compress(zeros) if coding == "gzip" else zstandard.compress(zeros)


LARGE: dict[str, Callable[[], Handler]] = {
    "says so": lambda: saying(message(b"", content_length=str(LIMIT + 1))),
    "says an absurd length": lambda: saying(message(b"", content_length="9" * 18)),
    "is": lambda: saying(message(b"x" * (LIMIT + 1))),
    "comes in chunks": lambda: endlessly(message(b"", **CHUNKED), ONE_CHUNK),
    "has no length": lambda: endlessly(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 4096),
    "is several": lambda: saying(message(b"x" * (LIMIT + 1), status="300 x")),
    "is a gzip bomb": lambda: saying(message(bomb("gzip"), content_encoding="gzip")),
    "is a zstd bomb": lambda: saying(message(bomb("zstd"), content_encoding="zstd")),
    "has endless headers": lambda: endlessly(b"HTTP/1.1 200 OK\r\n", b"A: bbbbbbbb\r\n" * 100),
    "has one huge header": lambda: saying(message(x="y" * 300_000)),
    "has endless interim answers": lambda: endlessly(
        b"", b"HTTP/1.1 100 x\r\nA: " + b"b" * 400 + b"\r\n\r\n"
    ),
    "has an endless chunk header": lambda: endlessly(message(b"", **CHUNKED), b"1" * 100),
    "has endless redirect bodies": lambda: endlessly(
        message(b"", status="302 x", location="/a", **CHUNKED), ONE_CHUNK
    ),
}
OTHERWISE = {
    "has an endless chunk header": "upstream.truncated",
    "has endless redirect bodies": "upstream.redirect",
}
"""How some of them end: all others, with `upstream.size`."""


@pytest.mark.parametrize("name", LARGE)
def test_a_response_above_the_size_limit_is_refused(
    site: Site, make_client: MakeClient, name: str
) -> None:
    """It is refused early, and not retried."""
    url = site.at("/a", LARGE[name]())
    code = OTHERWISE.get(name, "upstream.size")
    retries = 3 if code != "upstream.truncated" else 0
    client = make_client(response_bytes=LIMIT, retries=retries)
    assert (code, 1) == (refusal(client, url).code, client.requests)
    assert client.get(site.url("/other")).status == 404


@pytest.mark.parametrize("status", ["200 x", "404 x"])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_compression_bomb_takes_little_memory(
    site: Site, make_client: MakeClient, coding: str, status: str
) -> None:
    """The peak is below half of the unpacked size."""
    url = site.at("/a", saying(message(bomb(coding), content_encoding=coding, status=status)))
    client = make_client(response_bytes=LIMIT)
    tracemalloc.start()
    if status == "200 x":
        assert refusal(client, url).code == "upstream.size"
    else:
        assert bytes(65536) == client.get(url).body
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_a_response_of_the_size_limit_is_accepted(
    site: Site, make_client: MakeClient, size: int, coding: str
) -> None:
    """One byte less is accepted, too."""
    body = b"x" * size
    packed = {"": body, "gzip": gzip.compress(body), "zstd": zstandard.compress(body)}[coding]
    url = site.at("/a", saying(message(packed, content_encoding=coding)))
    assert make_client(response_bytes=LIMIT).get(url).body == body


def test_a_compression_bomb_leaves_nothing_in_the_file(site: Site, make_client: MakeClient) -> None:
    """The bytes written before the limit was reached are removed."""
    url = site.at("/a", saying(message(bomb("gzip"), content_encoding="gzip")))
    out = io.BytesIO()
    with pytest.raises(UpstreamError, match="larger than"):
        make_client(response_bytes=LIMIT).download(url, out)
    assert out.getvalue() == b""


# Codings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(GREETING, mtime=0) + b"trailing"),
        ("zstd", b"no zstd at all"),
        ("br", b"x"),
        ("deflate", b"x"),
        ("gzip, gzip", gzip.compress(gzip.compress(GREETING, mtime=0), mtime=0)),
    ],
)
def test_an_undecodable_body_is_not_retried(
    site: Site, make_client: MakeClient, coding: str, body: bytes
) -> None:
    """A retry would bring the same body."""
    client = make_client(retries=3)
    error = refusal(client, site.at("/a", saying(message(body, content_encoding=coding))))
    assert ("upstream.encoding", 1) == (error.code, client.requests)


# Redirects -----------------------------------------------------------------------------------

ASTRAY = [
    "",
    "/a",
    "/b",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "http://user:secret@127.0.0.1/",
    "http://other.example/?token=secret",
    "\x00",
    "http://[",
    "/" + "a" * 70_000,
]


@pytest.mark.parametrize("location", ASTRAY, ids=lambda text: text[:20])
def test_invalid_redirects_are_not_retried(
    site: Site, make_client: MakeClient, location: str
) -> None:
    """They form a loop, or lead to a file or another host; the error has no secret of the URL."""
    site.at("/b", redirecting("/a"))
    client = make_client(retries=3)
    error = refusal(client, site.at("/a", redirecting(location)))
    is_bad_header = location == "\x00"
    assert error.code == ("upstream.unreachable" if is_bad_header else "upstream.redirect")
    assert "secret" not in error.message + error.where
    assert client.requests <= 4
    assert set(site.paths) <= {"/a", "/b"}


@pytest.mark.parametrize("hops", [5, 6])
def test_the_number_of_redirects_is_limited(site: Site, make_client: MakeClient, hops: int) -> None:
    """Five are followed by default."""
    for hop in range(hops):
        site.at(f"/{hop}", redirecting(f"/{hop + 1}"))
    url = site.at(f"/{hops}", saying(message()))
    client = make_client(retries=3)
    if hops <= 5:
        assert client.get(site.url("/0")).url == url
    else:
        error = refusal(client, site.url("/0"))
        assert ("upstream.redirect", site.url("/0")) == (error.code, error.where)
    assert client.requests == 6


# What is shown -------------------------------------------------------------------------------


def test_error_messages_escape_and_shorten_text_of_the_server(
    site: Site, make_client: MakeClient
) -> None:
    """A Content-Type cannot send control characters to a terminal."""
    evil = "text/\xe9" + "x" * 2000
    error = refusal(make_client(), site.at("/a", saying(message(media_type=evil))))
    assert "upstream.type" == error.code
    assert error.message.isascii()
    assert len(error.message) < 400


def test_an_invalid_url_is_refused_before_any_request(make_client: MakeClient) -> None:
    """The error shows the URL without its secrets."""
    client = make_client()
    error = refusal(client, "ftp://user:secret@h.example/path?token=secret")
    assert ("upstream.url", "ftp://h.example/path") == (error.code, error.where)
    assert client.requests == 0
