"""Which URLs may be asked, where redirects may lead, and what of a URL is shown."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.errors import UpstreamError
from mirror.net import ClientConfig
from mirror.net.url_policy import parse_url, redact_url, resolve_redirect

STRICT = ClientConfig()
ANYWHERE = replace(STRICT, allow_other_hosts=True)

NO_URLS = [
    "",
    "pith.science",
    "//pith.science/",
    "file:///etc/passwd",
    "ftp://pith.science/",
    "javascript:alert(1)",
    "mailto:a@b.example",
    "http://",
    "http:///path",
    "http://:80/",
    "http://user@pith.science/",
    "http://user:secret@pith.science/",
    "http://pith.science\\@127.0.0.1/",
    "http://a b/",
    "http://127%2e0.0.1/",
    "http://[::1%25eth0]/",
    "http://[::1",
    "http://127.0.0.01/",
    "http://h:99999/",
    "http://h:0/",
    "http://h:-1/",
    "http://h:80:80/",
    "http://-h/",
    "http://a..b/",
    f"http://{'a' * 64}.example/",
    f"http://{'a.' * 130}example/",
    "http://h/\nHost: other",
    "http://h/" + "a" * 70_000,
    "http://\ud800/",
]
URLS = {
    "HTTPS://Pith.Science/a b?c#d": "https://pith.science/a%20b?c",
    "http://pith.science:8080": "http://pith.science:8080",
    "http://[2606:4700::1111]/x": "http://[2606:4700::1111]/x",
    "https://b\u00fccher.example/": "https://xn--bcher-kva.example/",
    "http://a_b.example./": "http://a_b.example./",
}


@pytest.mark.parametrize("text", NO_URLS)
def test_invalid_urls_are_refused(text: str) -> None:
    """The error has no secret of the URL."""
    with pytest.raises(UpstreamError) as caught:
        parse_url(text)
    assert caught.value.code == "upstream.url"
    assert "secret" not in caught.value.where + caught.value.message
    assert "user" not in caught.value.where


@pytest.mark.parametrize(("text", "expected"), URLS.items())
def test_valid_urls_are_normalized(text: str, expected: str) -> None:
    """The fragment is removed."""
    assert expected == str(parse_url(text))


@given(st.text(max_size=40) | st.text("htp:/@[]%?#.\\ \x00a1", max_size=20).map("http:".__add__))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    """No other exception is raised."""
    try:
        code, where = "", redact_url(parse_url(text))
    except UpstreamError as error:
        code, where = error.code, error.where
    assert code in {"", "upstream.url"}
    assert where.isprintable()
    assert where.isascii()


FOLLOWED = {
    "/b": "http://h.example/b",
    "b?c#d": "http://h.example/a/b?c",
    "?q": "http://h.example/a/?q",
    "//h.example:80/b": "http://h.example/b",
    "http://H.example/b": "http://h.example/b",
    "https://h.example/b": "https://h.example/b",
    "https://h.example:8443/b": "https://h.example:8443/b",
}
NOT_FOLLOWED = [
    "",
    "file:///etc/passwd",
    "gopher://h.example/",
    "//user:secret@h.example/",
    "http://[",
]
ELSEWHERE = [
    "http://other.example/",
    "//other.example/a",
    "https://other.example/",
    "http://h.example:8080/",
    "http://h.example.other.example/",
    "http://10.0.0.1/",
]


@pytest.mark.parametrize(("location", "expected"), FOLLOWED.items())
def test_a_redirect_may_stay_at_its_origin_or_become_secure(location: str, expected: str) -> None:
    """Origins are compared, not spellings."""
    here = parse_url("http://h.example/a/")
    assert expected == str(resolve_redirect(here, location, STRICT))


@pytest.mark.parametrize("politeness", [STRICT, ANYWHERE])
@pytest.mark.parametrize("location", NOT_FOLLOWED)
def test_a_redirect_without_a_valid_target_is_refused(
    location: str, politeness: ClientConfig
) -> None:
    """This is so with all settings."""
    assert "secret" not in str(_misled("http://h.example/a", location, politeness).where)


@pytest.mark.parametrize("location", ELSEWHERE)
def test_a_redirect_to_another_origin_is_followed_only_if_allowed(location: str) -> None:
    """Scheme, host and port make an origin (RFC 6454)."""
    here = "http://h.example/a?token=secret"
    error = _misled(here, location, STRICT)
    assert "http://h.example/a" == error.where
    assert resolve_redirect(parse_url(here), location, ANYWHERE).host


@pytest.mark.parametrize("politeness", [STRICT, ANYWHERE])
@pytest.mark.parametrize("location", ["http://h.example/", "http://other.example/"])
def test_a_redirect_from_https_to_http_is_refused(location: str, politeness: ClientConfig) -> None:
    """This is so even where other hosts are allowed."""
    assert "not secure" in _misled("https://h.example/", location, politeness).message


def test_shown_urls_have_no_secrets_and_are_shortened() -> None:
    """The query and the user are removed, and a long URL is cut."""
    url = httpx.URL("https://user:pw@h.example:81/path?token=abc#f")
    assert redact_url(url) == "https://h.example:81/path"
    assert len(redact_url(httpx.URL("http://h/" + "a" * 9000))) < 400


def _misled(here: str, location: str, politeness: ClientConfig) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        resolve_redirect(parse_url(here), location, politeness)
    assert caught.value.code == "upstream.redirect"
    return caught.value
