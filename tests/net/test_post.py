"""Requests with a body: the same guards as for all others, and no redirect that loses the body."""

from __future__ import annotations

import pytest

from mirror.errors import UpstreamError
from mirror.net import CalendarClient, Client, ClientConfig
from tests.net.conftest import MakeClient
from tests.net.server import Site, in_turn, message, redirecting, saying

ACCEPT = "application/vnd.opentimestamps.v1"
BODY = bytes(range(32))


def _post(client: Client, url: str, limit_bytes: int = 1000) -> bytes:
    return client.post(url, BODY, accept=ACCEPT, limit_bytes=limit_bytes).body


def _code(client: Client, url: str, limit_bytes: int = 1000) -> str:
    with pytest.raises(UpstreamError) as caught:
        _post(client, url, limit_bytes)
    return caught.value.code


def test_the_body_arrives_with_its_type_and_length(site: Site, make_client: MakeClient) -> None:
    """It is sent once, as bytes."""
    url = site.at("/digest", saying(message(b"answer", media_type="")))
    assert _post(make_client(), url) == b"answer"
    (request,) = site.requests
    fields = [request.headers[name] for name in ("content-type", "content-length", "accept")]
    assert (request.method, request.content) == ("POST", BODY)
    assert fields == ["application/octet-stream", "32", ACCEPT]


@pytest.mark.parametrize("status", ["307 x", "308 x"])
def test_a_redirect_that_keeps_the_method_sends_the_body_again(
    site: Site, make_client: MakeClient, status: str
) -> None:
    """The body is sent again."""
    site.at("/b", saying(message(b"answer", media_type="")))
    assert _post(make_client(), site.at("/a", redirecting("/b", status))) == b"answer"
    assert [one.content for one in site.requests] == [BODY, BODY]


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x"])
def test_a_redirect_to_a_page_is_refused(site: Site, make_client: MakeClient, status: str) -> None:
    """Such a server does not take what was sent."""
    site.at("/b", saying(message()))
    assert _code(make_client(), site.at("/a", redirecting("/b", status))) == "upstream.redirect"
    assert [one.path for one in site.requests] == ["/a"]


def test_a_temporary_failure_is_tried_again(site: Site, make_client: MakeClient) -> None:
    """POST is retried as GET is."""
    busy = saying(message(b"", status="503 Busy"))
    url = site.at("/digest", in_turn(busy, saying(message(b"answer", media_type=""))))
    assert _post(make_client(retries=1), url) == b"answer"


def test_addresses_and_sizes_are_limited(site: Site, make_client: MakeClient) -> None:
    """Addresses of this machine need the setting `allow_private`."""
    url = site.at("/digest", saying(message(bytes(1001), media_type="")))
    assert _code(make_client(), url) == "upstream.size"
    with Client(ClientConfig(retries=0)) as client:
        assert _code(client, url) == "upstream.private"


def test_a_calendar_is_asked_at_its_paths(site: Site, make_client: MakeClient) -> None:
    """Below its address; a commitment that it does not have is no error."""
    site.at("/cal/digest", saying(message(b"a promise", media_type="")))
    calendar = CalendarClient(make_client(), site.url("/cal/"))
    assert calendar.submit(BODY) == b"a promise"
    proof, words = calendar.get_proof(BODY)
    assert (None, "{}") == (proof, words)
    site.at(f"/cal/timestamp/{BODY.hex()}", saying(message(b"a proof", media_type="")))
    assert calendar.get_proof(BODY).proof == b"a proof"
    with pytest.raises(UpstreamError) as caught:
        CalendarClient(make_client(), site.url("/other")).submit(BODY)
    assert (caught.value.code, caught.value.where) == ("upstream.status", site.url("/other/digest"))


def test_error_messages_of_a_calendar_are_escaped(site: Site, make_client: MakeClient) -> None:
    """A terminal shows them."""
    says = message(b"\x1b[31mNot yet\n" + b"x" * 500, status="404 x", media_type="")
    site.at(f"/timestamp/{BODY.hex()}", saying(says))
    words = CalendarClient(make_client(), site.url()).get_proof(BODY).message
    assert (words[:13], len(words) <= 160) == ("?[31mNot yet?", True)
