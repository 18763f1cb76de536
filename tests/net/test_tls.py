"""TLS: whose certificates are trusted, and what is never done without it."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest

from mirror.errors import UpstreamError
from mirror.net import Client
from mirror.net.tls import trusted_context
from tests.net.authority import NAME, Authority
from tests.net.conftest import MakeClient, locally, refusal
from tests.net.server import GREETING, Site, message, redirecting, running, saying


def test_a_trusted_server_is_read_by_its_name(secure_site: Site, make_client: MakeClient) -> None:
    """It is asked for that name, within TLS and without, though the address was resolved here."""
    asked = list[str | None]()
    assert secure_site.context
    secure_site.context.sni_callback = lambda _, name, __: asked.append(name)
    secure_site.at("/a", saying(message()))
    client = make_client(resolve=locally)
    for _ in range(2):
        assert client.get(secure_site.url("/a", host=NAME)).body == GREETING
    assert [NAME] == asked
    assert f"{NAME}:{secure_site.port}" == secure_site.requests[0].headers["host"]


def test_a_trusted_server_is_read_by_its_address(
    secure_site: Site, make_client: MakeClient
) -> None:
    """Its certificate has the address as a name."""
    url = secure_site.at("/a", saying(message()))
    assert make_client().get(url).body == GREETING


@pytest.mark.parametrize("case", ["unknown authority", "other name", "expired"])
def test_other_certificates_are_refused_without_retries(
    authority: Authority, make_client: MakeClient, tmp_path: Path, case: str
) -> None:
    """No request is sent."""
    contexts = {
        "unknown authority": lambda: Authority(tmp_path, "unknown").server_context(),
        "other name": lambda: authority.server_context(name="other.example"),
        "expired": lambda: authority.server_context(days=-1),
    }
    words = {
        "unknown authority": "unable to get local issuer certificate",
        "other name": "is not valid for 'registry.example'",
        "expired": "certificate has expired",
    }
    with running(Site(contexts[case]())) as site:
        client = make_client(resolve=locally, retries=3)
        error = refusal(client, site.url("/a?token=secret", host=NAME))
        assert ("upstream.tls", site.url("/a", host=NAME)) == (error.code, error.where)
        assert words[case] in error.message
        assert "SSL_CERT_FILE" in error.hint
        assert (0, 1) == (client.requests, site.connections)


def test_a_server_without_tls_is_refused_without_retries(
    site: Site, make_client: MakeClient
) -> None:
    """A retry would fail in the same way."""

    def complain(connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return False

    site.on_connect = complain
    client = make_client(retries=3)
    url = site.url().replace("http:", "https:")
    assert refusal(client, url).code == "upstream.unreachable"
    assert site.connections == 1


def test_an_old_version_of_tls_is_refused(authority: Authority, make_client: MakeClient) -> None:
    """TLS 1.1 and older protect nothing (RFC 8996)."""
    context = authority.server_context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with running(Site(context)) as site:
        assert refusal(make_client(retries=3), site.url()).code == "upstream.unreachable"
        assert site.connections == 1


def test_an_aborted_handshake_is_retried(site: Site, make_client: MakeClient) -> None:
    """The failure may be temporary."""
    site.on_connect = lambda connection: bool(connection.recv(1)) and False
    client = make_client(retries=2)
    url = site.url().replace("http:", "https:")
    assert refusal(client, url).code == "upstream.unreachable"
    assert site.connections == 3


@pytest.mark.parametrize(("connect_s", "answer_s"), [(0.2, 60), (60, 0.2)])
def test_a_slow_handshake_times_out(
    site: Site, make_client: MakeClient, connect_s: float, answer_s: float
) -> None:
    """The server accepts, and says nothing; or says a byte now and then."""

    def dawdle(connection: socket.socket) -> bool:
        for byte in b"\x16\x03\x03\x40\x00" + bytes(9999):
            if site.stopping.wait(0.03):
                break
            connection.sendall(bytes([byte]))
        return False

    site.on_connect = dawdle
    start = time.monotonic()
    client = make_client(connect_seconds=connect_s, response_seconds=answer_s)
    url = site.url().replace("http:", "https:")
    assert refusal(client, url).code == "upstream.timeout"
    assert time.monotonic() - start < 30


def test_a_redirect_from_https_to_http_is_refused(
    site: Site, secure_site: Site, make_client: MakeClient
) -> None:
    """This is so on the same host, and even where other hosts are allowed."""
    site.at("/up", redirecting(secure_site.at("/a", saying(message()))))
    down = secure_site.at("/down", redirecting(site.url("/a")))
    assert secure_site.url("/a") == make_client().get(site.url("/up")).url
    for allowed in (False, True):
        client = make_client(allow_other_hosts=allowed, retries=3)
        assert refusal(client, down).code == "upstream.redirect"
        assert client.requests == 1
    assert ["/up"] == site.paths


def test_slow_and_truncated_responses_over_tls_are_refused(
    secure_site: Site, make_client: MakeClient
) -> None:
    """The limits are the same as without TLS."""
    slow = secure_site.at("/slow", lambda exchange: exchange.trickle(message(b"x" * 9999)))
    cut = secure_site.at("/cut", saying(message(content_length="99"), then_hang_up=True))
    assert refusal(make_client(response_seconds=0.3), slow).code == "upstream.timeout"
    assert refusal(make_client(), cut).code == "upstream.truncated"


# Whose certificates --------------------------------------------------------------------------


def test_authorities_of_the_system_are_trusted_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Certificates and host names are verified."""
    monkeypatch.delenv("SSL_CERT_FILE")
    context = trusted_context()
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)


def test_without_system_authorities_those_of_certifi_are_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A minimal container has none."""
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    nothing = ssl.DefaultVerifyPaths("", str(tmp_path), "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nothing)
    context = trusted_context()
    assert len(context.get_ca_certs()) > 50
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_unreadable_certificates_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    """No request is sent, and no other certificates are used instead."""
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(UpstreamError) as caught:
        Client()
    assert ("upstream.tls", str(path)) == (caught.value.code, caught.value.where)
