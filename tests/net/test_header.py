"""The header section of a response alone: no body is read, however long it is."""

from __future__ import annotations

import pytest

from mirror.errors import UpstreamError
from mirror.net import ClientConfig, ResponseHeader
from tests.net.conftest import MakeClient
from tests.net.server import Exchange, Site, in_turn, message, redirecting, saying

CAPTURED = "Mon, 04 May 2026 00:00:00 GMT"


def _head(*, status: str = "200 OK", **fields: str) -> bytes:
    """A response to HEAD: the length of a body that does not follow."""
    return message(b"", status=status, content_length="4000000000", **fields)


def _endless(exchange: Exchange) -> None:
    exchange.send(message(b"", content_length="", transfer_encoding="chunked"))
    while not exchange.stopping.wait(0.001):
        exchange.send(b"10\r\n0123456789abcdef\r\n")


def test_head_gives_the_status_and_the_time_of_a_capture(
    site: Site, make_client: MakeClient
) -> None:
    """The request has the User-Agent, and the connection is used again."""
    url = site.at("/a", saying(_head(memento_datetime=CAPTURED)))
    client = make_client()
    for _ in range(2):
        assert client.header(url) == ResponseHeader(200, CAPTURED, "")
    assert [exchange.method for exchange in site.requests] == ["HEAD", "HEAD"]
    assert site.requests[0].headers == {
        "host": f"127.0.0.1:{site.port}",
        "user-agent": ClientConfig().user_agent,
        "accept": "*/*",
        "accept-encoding": "zstd, gzip",
    }
    assert (2, 1) == (client.requests, site.connections)


def test_get_reads_no_body(site: Site, make_client: MakeClient) -> None:
    """The connection is closed, even while the server sends a body without an end."""
    url = site.at("/a", _endless)
    assert make_client().header(url, "GET") == ResponseHeader(200, "", "")
    assert [exchange.method for exchange in site.requests] == ["GET"]


@pytest.mark.parametrize(
    "status",
    ["204 No Content", "300 Multiple Choices", "304 Not Modified", "404 Not Found",
     "418 I am a teapot", "501 No", "599 What"],
)  # fmt: skip
def test_any_final_status_is_an_answer(status: str, site: Site, make_client: MakeClient) -> None:
    """The caller decides what a status means."""
    url = site.at("/a", saying(message(b"", status=status)))
    assert make_client().header(url) == ResponseHeader(int(status[:3]), "", "")


def test_a_redirect_is_followed_and_named_without_its_query(
    site: Site, make_client: MakeClient
) -> None:
    """The redirected request has the same method."""
    site.at("/b?key=secret", saying(_head(memento_datetime=CAPTURED)))
    url = site.at("/a", redirecting("/b?key=secret"))
    assert make_client().header(url) == ResponseHeader(200, CAPTURED, site.url("/b"))
    assert [exchange.method for exchange in site.requests] == ["HEAD", "HEAD"]


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "503 Service Unavailable"])
def test_a_captured_redirect_or_error_is_a_capture(
    status: str, site: Site, make_client: MakeClient
) -> None:
    """It is not followed, and not tried again."""
    text = message(b"", status=status, location="/b", memento_datetime=CAPTURED)
    url = site.at("/a", saying(text))
    assert make_client(retries=3).header(url) == ResponseHeader(int(status[:3]), CAPTURED, "")
    assert site.paths == ["/a"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("429 Too Many Requests", "upstream.busy"), ("503 Service Unavailable", "upstream.busy"),
     ("500 Internal Server Error", "upstream.status"), ("502 Bad Gateway", "upstream.status")],
)  # fmt: skip
def test_a_temporary_failure_is_tried_again_and_keeps_its_status(
    status: str, code: str, site: Site, make_client: MakeClient
) -> None:
    """After the last retry the status is in the error."""
    url = site.at("/a?key=secret", saying(message(b"", status=status)))
    with pytest.raises(UpstreamError) as caught:
        make_client(retries=2).header(url)
    error = caught.value
    assert (code, int(status[:3]), site.url("/a")) == (error.code, error.status, error.where)
    assert len(site.requests) == 3
    later = saying(_head(memento_datetime=CAPTURED))
    site.at("/a?key=secret", in_turn(saying(message(b"", status=status)), later))
    assert make_client(retries=1).header(url).status == 200


def test_interim_responses_without_an_end_are_refused(site: Site, make_client: MakeClient) -> None:
    """The bytes before the response are limited, too."""

    def handle(exchange: Exchange) -> None:
        while True:
            exchange.send(b"HTTP/1.1 103 Early Hints\r\nlink: " + b"x" * 400 + b"\r\n\r\n")

    with pytest.raises(UpstreamError) as caught:
        make_client(response_seconds=20).header(site.at("/a", handle))
    assert caught.value.code == "upstream.size"


@pytest.mark.parametrize(
    ("url", "code"),
    [("ftp://a.example/", "upstream.url"), ("http://me:secret@a.example/", "upstream.url"),
     ("http://[fe80::1%25eth0]/", "upstream.url"), ("\x00", "upstream.url")],
)  # fmt: skip
def test_other_addresses_are_refused(url: str, code: str, make_client: MakeClient) -> None:
    """No request is sent."""
    client = make_client()
    with pytest.raises(UpstreamError) as caught:
        client.header(url)
    assert (code, 0) == (caught.value.code, client.requests)


def test_this_machine_is_refused(site: Site, make_client: MakeClient) -> None:
    """Addresses of this machine need the setting `allow_private`."""
    url = site.at("/a", saying(_head()))
    with pytest.raises(UpstreamError) as caught:
        make_client(allow_private=False).header(url)
    assert ("upstream.private", 0) == (caught.value.code, site.connections)
