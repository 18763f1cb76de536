"""The meaning of a response: a capture is there if the response has its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.engine.storage.answer import Answer, ask_for
from mirror.engine.storage.status import CaptureStatus
from mirror.net import Client
from tests.engine.storage.archives import CAPTURED, CAPTURED_AT, page, without_head
from tests.engine.sync.sync_servers import QUICK
from tests.net.server import Exchange, Handler, Site, message, redirecting, running, saying


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running(Site()) as site:
        yield site


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(QUICK) as client:
        yield client


@pytest.fixture(scope="module")
def guarded() -> Iterator[Client]:
    """A client that may not ask this machine, for which every name is this machine."""

    def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    with Client(replace(QUICK, allow_private=False), resolve=resolve) as client:
        yield client


def _ask(site: Site, client: Client, handler: Handler, captured_at: str = CAPTURED_AT) -> Answer:
    site.requests.clear()
    return ask_for(client, site.at("/capture", handler), captured_at)


@pytest.mark.parametrize(
    "captured_at", [CAPTURED_AT, "2026-05-04T00:00:00+00:00", "2026-05-04T00:00:00.999999Z"]
)
def test_a_capture_of_that_second_is_present(captured_at: str, site: Site, client: Client) -> None:
    """One request, with HEAD; times are compared as instants, without fractions of a second."""
    answer = _ask(site, client, page(), captured_at)
    assert answer[1:] == ("present", "", 200, CAPTURED, "", "The archive has this capture.")
    assert [exchange.method for exchange in site.requests] == ["HEAD"]


@pytest.mark.parametrize("captured_at", ["2026-05-03T23:59:59Z", "2026-05-04T00:00:01Z"])
def test_a_capture_of_another_second_is_another_one(
    captured_at: str, site: Site, client: Client
) -> None:
    """The message has both times."""
    answer = _ask(site, client, page(), captured_at)
    assert (answer.status, answer.code) == ("other_capture", "storage.other_capture")
    assert CAPTURED in answer.message
    assert captured_at in answer.message


@pytest.mark.parametrize(
    ("http_status", "status", "code"),
    [
        ("200 OK", "present_undated", "storage.undated"),
        ("204 No Content", "present_undated", "storage.undated"),
        ("404 Not Found", "gone", "storage.gone"),
        ("410 Gone", "gone", "storage.gone"),
        ("401 Unauthorized", "refused", "storage.refused"),
        ("451 Unavailable For Legal Reasons", "refused", "storage.refused"),
        ("300 Multiple Choices", "failed", "upstream.status"),
        ("501 Not Implemented", "failed", "upstream.status"),
        ("500 Internal Server Error", "failed", "upstream.status"),
        ("429 Too Many Requests", "failed", "upstream.busy"),
        ("503 Service Unavailable", "failed", "upstream.busy"),
    ],
)
def test_without_a_time_the_status_decides(
    http_status: str, status: str, code: str, site: Site, client: Client
) -> None:
    """The number of the status is kept, and its phrase is that of the standard."""
    answer = _ask(site, client, page("", http_status))
    number = int(http_status[:3])
    assert answer[1:6] == (status, code, number, "", "")
    assert answer.message.startswith("The ")
    assert str(number) in answer.message


def test_a_server_that_refuses_head_is_asked_with_get(site: Site, client: Client) -> None:
    """So is one that leaves the field out of its response to HEAD."""
    assert _ask(site, client, without_head(page())).status is CaptureStatus.PRESENT
    assert [exchange.method for exchange in site.requests] == ["HEAD", "GET"]
    assert _ask(site, client, without_head(page(), "404 Not Found")).status == "present"
    assert _ask(site, client, without_head(page(), "200 OK")).status == "present"


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "500 Internal Server Error"])
def test_a_capture_of_a_redirect_or_an_error_is_a_capture(
    status: str, site: Site, client: Client
) -> None:
    """RFC 7089: the field says that the response is a capture, whatever was captured."""
    answer = _ask(site, client, page(status=status, location="/elsewhere"))
    assert (answer.status, answer.http_status) == ("present", int(status[:3]))


def test_a_redirect_to_another_capture_is_told_apart(site: Site, client: Client) -> None:
    """From one to the same capture at another address, too: that is said, without its query."""
    site.at("/other?secret", page("Tue, 05 May 2026 00:00:00 GMT"))
    site.at("/same", page())
    site.at("/undated", page(""))
    other = _ask(site, client, redirecting("/other?secret"))
    assert (other.status, other.redirected_to) == ("other_capture", site.url("/other"))
    assert other.message.endswith(f" It redirected to {site.url('/other')}.")
    same = _ask(site, client, redirecting("/same"))
    assert (same.status, same.redirected_to) == ("present", site.url("/same"))
    undated = _ask(site, client, redirecting("/undated"))
    assert (undated.status, undated.redirected_to) == ("present_undated", site.url("/undated"))


@pytest.mark.parametrize(
    "field",
    [
        f"{CAPTURED}, {CAPTURED}", f"{CAPTURED} ", "Tue, 04 May 2026 00:00:00 GMT",
        "Monday, 04-May-26 00:00:00 GMT", "Mon May  4 00:00:00 2026", "2026-05-04T00:00:00Z",
        "Mon, 04 May 2026 00:00:00 +0000", "Mon, 04 May 2026 24:00:00 GMT", "1777852800",
        "Mon, 04 May 99999 00:00:00 GMT", "x" * 60_000, "\x80\xff", "Mon, ٠٤ May 2026",
    ],
)  # fmt: skip
def test_a_time_in_another_format_is_ignored(field: str, site: Site, client: Client) -> None:
    """A capture is not taken for present by a lax reading; what is kept is short and plain."""
    sent = field.encode().decode("latin-1")
    answer = _ask(site, client, page(sent))
    stripped = sent.strip() == CAPTURED  # spaces around a field are no part of it (RFC 9110)
    assert answer.status == ("present" if stripped else "present_undated")
    assert len(answer.memento_datetime) <= 303
    assert (answer.memento_datetime + answer.message).isascii()
    assert (answer.memento_datetime + answer.message).isprintable()


def _endless(exchange: Exchange) -> None:
    exchange.send(message(b"", content_length="", transfer_encoding="chunked"))
    while not exchange.stopping.wait(0.001):
        exchange.send(b"10\r\n0123456789abcdef\r\n")


@pytest.mark.parametrize(
    ("handler", "status", "code"),
    [
        (saying(then_hang_up=True), "unreachable", "upstream.unreachable"),
        (
            saying(b"no HTTP at all\r\n\r\n", then_hang_up=True),
            "unreachable",
            "upstream.unreachable",
        ),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000), "failed", "upstream.size"),
        (redirecting("/capture"), "not_allowed", "upstream.redirect"),
        (redirecting("http://other.example/"), "not_allowed", "upstream.redirect"),
        (redirecting("file:///etc/passwd"), "not_allowed", "upstream.redirect"),
        (without_head(_endless), "present_undated", "storage.undated"),
    ],
)
def test_an_invalid_response_has_a_status_and_a_code(
    handler: Handler, status: str, code: str, site: Site, client: Client
) -> None:
    """In bounded time and memory, and nothing is raised."""
    answer = _ask(site, client, handler)
    assert (answer.status, answer.code) == (status, code)
    assert answer.message


def test_a_silent_archive_times_out(site: Site) -> None:
    def hang(exchange: Exchange) -> None:
        exchange.stopping.wait(60)
        exchange.hang_up()

    with Client(replace(QUICK, read_seconds=0.2)) as client:
        answer = _ask(site, client, hang)
    assert (answer.status, answer.code) == ("unreachable", "upstream.timeout")


def test_an_archive_that_does_not_listen_is_unreachable(client: Client) -> None:
    """Nothing listens at that port."""
    answer = ask_for(client, "http://127.0.0.1:9/", CAPTURED_AT)
    assert answer[1:4] == ("unreachable", "upstream.unreachable", 0)


def test_private_addresses_are_requested_only_if_allowed(site: Site, guarded: Client) -> None:
    """An event may name any address."""
    connections = site.connections
    answer = ask_for(guarded, site.url(), CAPTURED_AT)
    assert answer[1:4] == ("not_allowed", "upstream.private", 0)
    assert site.connections == connections


@pytest.mark.parametrize(
    "url",
    ["http://a.example/" + "é" * 60_000, "http://" + "α" * 60_000, "http://" + "a." * 30_000,
     "http://[" + "1:" * 30_000 + "]/", "http://" + "@" * 60_000, "http://a:" + "9" * 60_000,
     "x" * 1_000_000],
    ids=lambda url: url[:20],
)  # fmt: skip
def test_a_long_address_is_refused(guarded: Client, url: str) -> None:
    """Whatever makes it long."""
    assert ask_for(guarded, url, CAPTURED_AT)[1:3] == ("not_allowed", "upstream.url")


_PIECES = st.sampled_from(
    [b"HTTP/1.1 ", b"200 OK\r\n", b"302 Found\r\n", b"103 Early\r\n\r\n", b"Location: ", b"/",
     b"\r\n", b"\r\n\r\n", b"Memento-Datetime: ", CAPTURED.encode(), b": ", b"\0", b"\xff",
     b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"ffffffff\r\n",
     b"Content-Encoding: zstd\r\n"]
)  # fmt: skip


@settings(max_examples=settings().max_examples // 2)
@given(response=st.lists(_PIECES | st.binary(max_size=8), max_size=12).map(b"".join))
def test_any_bytes_as_a_response_have_a_status(site: Site, client: Client, response: bytes) -> None:
    """They are an answer of some kind; nothing is raised."""
    answer = _ask(site, client, saying(b"HTTP/1.1 ", response, then_hang_up=True))
    assert answer.status is not CaptureStatus.NOT_ASKED
    assert (answer.memento_datetime + answer.message).isprintable()


@given(url=st.text() | st.text().map("http://{}".format) | st.text().map("https://[{}".format))
def test_any_text_as_an_address_has_a_status(guarded: Client, url: str) -> None:
    """E4 asks for text, and no more."""
    assert ask_for(guarded, url, CAPTURED_AT).status is CaptureStatus.NOT_ALLOWED
    assert guarded.requests == 0
