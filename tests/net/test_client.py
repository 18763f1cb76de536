"""What a client asks, and what it makes of answers that are in order."""

from __future__ import annotations

import gzip
import io
import threading
import time

import pytest
import zstandard

from mirror.cli import exit_codes
from mirror.errors import UpstreamError
from mirror.net import Client, ClientConfig, Response
from tests.net.conftest import MakeClient, locally, refusal
from tests.net.server import (
    GREETING,
    Exchange,
    Site,
    in_turn,
    message,
    redirecting,
    saying,
)

JSON_LD = "application/ld+json"


def test_an_answer_comes_with_its_url_type_and_tag(site: Site, make_client: MakeClient) -> None:
    """The type without parameters, the tag as sent."""
    text = message(media_type="Application/JSON; charset=utf-8", etag='W/"\xe9-1"')
    url = site.at("/a?q=1", saying(text))
    client = make_client()
    expected = Response(url, 200, GREETING, 'W/"\xe9-1"', "application/json")
    assert expected == client.get(url + "#part")
    assert client.requests == 1


def test_a_request_has_a_user_agent_and_accept_headers(site: Site, make_client: MakeClient) -> None:
    """No cookie is sent, and nothing of the environment."""
    url = site.at("/a", saying(message(set_cookie="a=1; Path=/")))
    client = make_client(user_agent=f"{ClientConfig().user_agent} someone@example.org")
    client.get(url)
    client.get(url, etag='"x"', accept=f"{JSON_LD}, application/json;q=0.5")
    first, second = (exchange.headers for exchange in site.requests)
    assert first == {
        "host": f"127.0.0.1:{site.port}",
        "user-agent": f"{ClientConfig().user_agent} someone@example.org",
        "accept": "application/json",
        "accept-encoding": "zstd, gzip",
    }
    changes = {"accept": f"{JSON_LD}, application/json;q=0.5", "if-none-match": '"x"'}
    assert first | changes == second


def test_connections_are_kept_and_shared(site: Site, make_client: MakeClient) -> None:
    """One connection for requests one after the other."""
    url = site.at("/a", saying(message()))
    client = make_client()
    for _ in range(5):
        client.get(url)
    assert (5, 1) == (client.requests, site.connections)


def test_threads_share_a_client_and_its_limits(site: Site, make_client: MakeClient) -> None:
    """Each thread's answer has its own end in time and size."""
    slow = site.at("/slow", lambda exchange: exchange.trickle(message(b"x" * 1000)))
    fast = site.at("/fast", saying(message(b"y" * 5000)))
    client = make_client(response_seconds=1)
    failures = list[UpstreamError]()
    thread = threading.Thread(target=lambda: failures.append(refusal(client, slow)))
    thread.start()
    while thread.is_alive():
        assert len(client.get(fast, limit_bytes=5000).body) == 5000
        thread.join(0.02)
    assert ["upstream.timeout"] == [error.code for error in failures]


# Conditions and statuses ---------------------------------------------------------------------


@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"', '"\xe9"', '""'])
def test_an_unchanged_resource_is_not_sent_again(
    site: Site, make_client: MakeClient, etag: str
) -> None:
    """304 for the tag that was sent, byte for byte."""

    def answer(exchange: Exchange) -> None:
        has_it = exchange.headers.get("if-none-match") == etag
        fields = {"content_length": "", "etag": etag}
        exchange.send(message(b"", status="304 Not Modified", **fields) if has_it else message())

    client, url = make_client(), site.at("/a", answer)
    assert client.get(url).status == 200
    assert Response(url, 304, b"", etag, "application/json") == client.get(url, etag=etag)
    assert client.get(url, etag='"other"').status == 200
    assert site.connections == 1


@pytest.mark.parametrize("etag", ["", "abc", '"a"\r\nHost: other', '"\u0141"', '"a b"', "*"])
def test_a_tag_that_no_server_can_have_sent_is_not_sent(
    site: Site, make_client: MakeClient, etag: str
) -> None:
    """A stored ETag with a line break or other characters neither fails nor injects a header."""
    url = site.at("/a", saying(message()))
    assert make_client().get(url, etag=etag).status == 200
    assert "if-none-match" not in site.requests[0].headers


def test_not_modified_is_refused_without_a_condition(site: Site, make_client: MakeClient) -> None:
    """Without a condition, no earlier response could be unchanged."""
    url = site.at("/a", saying(message(b"", status="304 Not Modified", content_length="")))
    assert refusal(make_client(), url).code == "upstream.status"


@pytest.mark.parametrize(
    ("status", "media_type"),
    [
        ("404 Not Found", "text/html"),
        ("410 Gone", "text/plain"),
        ("300 Multiple Choices", "application/json"),
        ("300 Multiple Choices", "text/html"),
    ],
)
def test_not_found_and_multiple_choices_are_answers(
    site: Site, make_client: MakeClient, status: str, media_type: str
) -> None:
    """They are returned without retries, with their body and type."""
    url = site.at("/a", saying(message(b"[]", status=status, media_type=media_type)))
    client = make_client(retries=3)
    assert Response(url, int(status[:3]), b"[]", "", media_type) == client.get(url)
    assert client.requests == 1


def test_only_the_beginning_of_a_not_found_page_is_read(
    site: Site, make_client: MakeClient
) -> None:
    """This is so for any length of the page, and for any size limit of the response."""
    url = site.at("/a", saying(message(b"x" * 500_000, status="404 Not Found")))
    client = make_client()
    assert b"x" * 65536 == client.get(url, limit_bytes=10).body
    assert client.get(site.url("/other")).status == 404


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("400 You are stupid", "400 (Bad Request)"),
        ("401 x", "401 (Unauthorized)"),
        ("403 x", "403 (Forbidden)"),
        ("451 x", "451 (Unavailable For Legal Reasons)"),
        ("201 x", "201 (Created)"),
        ("206 x", "206 (Partial Content)"),
        ("305 x", "305 (Use Proxy)"),
        ("501 x", "501 (Not Implemented)"),
        ("999 x", "999"),
    ],
)
def test_other_statuses_are_errors_and_final(
    site: Site, make_client: MakeClient, status: str, words: str
) -> None:
    """The error has the reason phrase of the standard, not of the server."""
    url = site.at("/a", saying(message(status=status)))
    client = make_client(retries=3)
    site.routes["/a?token=secret"] = site.routes["/a"]
    error = refusal(client, f"{url}?token=secret")
    assert ("upstream.status", url) == (error.code, error.where)
    assert f"The server answered {words}." == error.message
    assert exit_codes.of_error(error) == 5


# Types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media_type", "is_good"),
    [
        ("application/json", "application/json", True),
        ("application/json", "Application/JSON; charset=utf-8", True),
        ("application/json", "", True),
        ("application/json", "text/html", False),
        ("application/json", "text/html; a=application/json", False),
        ("application/json", "application/json5", False),
        ("application/json", "application/ld+json", False),
        (f"{JSON_LD};q=0.9, application/json", JSON_LD, True),
        ("application/json, */*;q=0.1", "text/html", True),
        ("application/json, text/*", "text/plain", True),
        ("application/json, text/*", "texts/plain", False),
        (JSON_LD, "application/json", False),
        ("*/*", "text/html", True),
        ("text/html", "application/pdf", True),
    ],
)
def test_html_is_refused_where_json_is_requested(
    site: Site, make_client: MakeClient, accept: str, media_type: str, *, is_good: bool
) -> None:
    """The usual case is a page to sign in, with status 200."""
    url = site.at("/a", saying(message(media_type=media_type)))
    client = make_client(retries=3)
    if is_good:
        assert client.get(url, accept=accept).body == GREETING
    else:
        assert refusal(client, url, accept=accept).code == "upstream.type"
    assert client.requests == 1


# Redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
def test_redirects_are_followed(site: Site, make_client: MakeClient, status: str) -> None:
    """Each kind repeats the request, and the response has the last URL."""
    site.at("/a", redirecting("/b?x=1#part", status))
    site.at("/b?x=1", redirecting("c", status))
    site.at("/c", saying(message()))
    client = make_client()
    fetched = client.get(site.url("/a"), etag='"x"')
    assert (site.url("/c"), GREETING) == (fetched.url, fetched.body)
    assert ["/a", "/b?x=1", "/c"] == site.paths
    assert {'"x"'} == {exchange.headers["if-none-match"] for exchange in site.requests}
    assert (3, 1) == (client.requests, site.connections)


def test_a_redirect_to_another_origin_is_refused_unless_allowed(
    site: Site, make_client: MakeClient
) -> None:
    """Another name for the same machine is another origin."""
    site.at("/a", redirecting(site.url("/b", host="localhost")))
    site.at("/b", saying(message()))
    assert refusal(make_client(), site.url("/a")).code == "upstream.redirect"
    fetched = make_client(allow_other_hosts=True, resolve=locally).get(site.url("/a"))
    assert site.url("/b", host="localhost") == fetched.url


# Compression ---------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_compressed_answers_are_unpacked(site: Site, make_client: MakeClient, coding: str) -> None:
    """Both requested codings are supported."""
    packed = gzip.compress(GREETING) if coding == "gzip" else zstandard.compress(GREETING)
    url = site.at("/a", saying(message(packed, content_encoding=coding)))
    assert make_client().get(url).body == GREETING


# Downloads -----------------------------------------------------------------------------------


def test_a_download_is_written_at_the_position_of_the_file(
    site: Site, make_client: MakeClient
) -> None:
    """Nothing else is written."""
    url = site.at("/a.tar", saying(message(b"x" * 300_000, media_type="application/x-tar")))
    out = io.BytesIO()
    out.write(b"before ")
    fetched = make_client().download(url, out)
    assert Response(url, 200, b"", "", "application/x-tar") == fetched
    assert out.getvalue() == b"before " + b"x" * 300_000


def test_a_failed_download_leaves_nothing_in_the_file(site: Site, make_client: MakeClient) -> None:
    """The file is empty before the next try and after the last one."""
    broken = saying(message(b"x" * 100_000, content_length="200000"), then_hang_up=True)
    url = site.at("/a.tar", in_turn(broken, saying(message(b"whole"))))
    never = site.at("/b.tar", broken)
    client = make_client(retries=2)
    out = io.BytesIO()
    out.write(b"before ")
    client.download(url, out)
    assert out.getvalue() == b"before whole"
    with pytest.raises(UpstreamError, match="ended before it was complete"):
        client.download(never, out)
    assert out.getvalue() == b"before whole"
    assert out.tell() == len(b"before whole")


def test_a_not_found_page_is_not_written_to_the_file(site: Site, make_client: MakeClient) -> None:
    """The page is in the response instead."""
    out = io.BytesIO()
    fetched = make_client().download(site.url("/none"), out)
    assert (404, b"{}", b"") == (fetched.status, fetched.body, out.getvalue())


def test_a_download_has_limits_of_its_own(site: Site, make_client: MakeClient) -> None:
    """They may be larger or smaller than those of the client."""
    url = site.at("/a", saying(message(b"x" * 1000)))
    slow = site.at("/slow", lambda exchange: exchange.trickle(message(b"x" * 1000)))
    client = make_client(response_bytes=500)
    out = io.BytesIO()
    with pytest.raises(UpstreamError, match="larger than 500 bytes"):
        client.download(url, out)
    assert client.download(url, out, limit_bytes=1000).status == 200
    with pytest.raises(UpstreamError, match=r"after 0\.1 seconds"):
        client.download(slow, out, limit_bytes=5000, limit_seconds=0.1)
    assert out.getvalue() == b"x" * 1000


def test_an_error_of_the_file_is_raised_at_once(site: Site, make_client: MakeClient) -> None:
    """A full disk is no failure of the server, so nothing is retried."""

    class Full(io.BytesIO):
        def write(self, _: object, /) -> int:
            raise OSError(28, "No space left on device")

    url = site.at("/a", saying(message()))
    client = make_client(retries=3)
    with pytest.raises(OSError, match="No space left"):
        client.download(url, Full())
    assert client.requests == 1
    assert client.get(url).body == GREETING


# Rate ----------------------------------------------------------------------------------------


def test_the_rate_holds_for_all_requests(site: Site, make_client: MakeClient) -> None:
    """Redirects and further tries wait for their turn, too."""
    site.at("/a", redirecting("/b"))
    url = site.at("/b", in_turn(saying(message(status="500 x")), saying(message())))
    client = make_client(requests_per_second=50, retries=1)
    start = time.monotonic()
    client.get(site.url("/a"))
    client.get(url)
    assert client.requests == 5
    assert time.monotonic() - start > 4 * 0.02


def test_a_pause_can_be_interrupted(site: Site) -> None:
    """An exception of the pause function ends the request."""

    def pause(seconds: float) -> None:
        raise KeyboardInterrupt

    url = site.at("/a", saying(message(status="503 x")))
    with (
        Client(ClientConfig(allow_private=True), pause=pause) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.get(url)
