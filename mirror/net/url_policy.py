"""The judgement on URLs: which may be asked, and where a redirect may lead.

A URL is parsed once, by httpx, and connected to as parsed: two readings of one text are how a
check is passed by.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

import httpx

from mirror.errors import UpstreamError
from mirror.net.config import ClientConfig

__all__ = ["escape_foreign", "origin", "parse_url", "redact_url", "resolve_redirect"]

_PORTS = {"http": 80, "https": 443}
_SHOWN_CHARACTERS = 300
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,254}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
"""A host's name (RFC 1123 section 2.1), with the underscore that real ones have."""
_HINT = "An address looks like https://pith.science/."


def parse_url(text: str) -> httpx.URL:
    """Return the URL to ask, without its fragment, which is for the client only.

    Raises:
        UpstreamError: It cannot be parsed, is not of http or https, or has no usable host, or a
            name and password in it (`upstream.url`).
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise _refused("This is not an address of the web.", _masked(text)) from error
    if url.scheme not in _PORTS:
        raise _refused("The address begins with neither http:// nor https://.", _masked(text))
    if url.userinfo:
        raise _refused("The address holds a user name or password.", redact_url(url))
    if not _is_host(url.raw_host.decode("ascii")):
        raise _refused("The address names no host.", redact_url(url))
    if url.port is not None and not 0 < url.port < 65536:
        raise _refused("The address names a port that cannot be.", redact_url(url))
    return url.copy_with(fragment=None)


def resolve_redirect(here: httpx.URL, location: str, politeness: ClientConfig) -> httpx.URL:
    """Return where a redirect leads.

    Args:
        here: Who redirects.
        location: The header field of that name.
        politeness: Whether another host will do.

    Raises:
        UpstreamError: It leads nowhere, or where it may not (`upstream.redirect`).
    """
    if not location:
        raise _redirect_error("The server redirects, but does not say where to.", here)
    try:
        there = parse_url(str(here.join(location)))
    except (httpx.InvalidURL, UpstreamError) as error:
        message = f"The server redirects to {_masked(location)}, which cannot be asked."
        raise _redirect_error(message, here) from error
    if (here.scheme, there.scheme) == ("https", "http"):
        message = f"The server redirects from https to {redact_url(there)}, which is not secure."
        raise _redirect_error(message, here)
    if not (politeness.allow_other_hosts or _is_same_place(here, there)):
        hint = "If that server is meant, name it directly, or allow it with --allow-other-hosts."
        raise _redirect_error(
            f"The server redirects to another one: {redact_url(there)}.", here, hint
        )
    return there


def redact_url(url: httpx.URL) -> str:
    """Return a URL for messages: no user, no password, no query, and not too long."""
    path = url.raw_path.partition(b"?")[0].decode("ascii")
    return escape_foreign(f"{url.scheme}://{url.netloc.decode('ascii')}{path}")


def escape_foreign(text: str) -> str:
    """Return foreign text for messages: printable ASCII, and not too long."""
    plain = re.sub(r"[^\x20-\x7e]", "?", text[: _SHOWN_CHARACTERS + 1])
    return plain if len(plain) <= _SHOWN_CHARACTERS else plain[:_SHOWN_CHARACTERS] + "..."


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Return the origin of a URL (RFC 6454): scheme, host and port."""
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


def _is_same_place(here: httpx.URL, there: httpx.URL) -> bool:
    """Whether two URLs have one origin, or the second is the secure form of the first."""
    if origin(here) == origin(there):
        return True
    return there.scheme == "https" != here.scheme and here.raw_host == there.raw_host


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return _NAME.fullmatch(host) is not None
    return "%" not in host  # an address with a zone is of use on this machine only (RFC 6874)


def _masked(text: str) -> str:
    """Return what is safe to show of a text that is no URL: nothing of what may be secret."""
    head = re.split(r"[?#]", text, maxsplit=1)[0]
    scheme, mark, rest = head.rpartition("//")
    return escape_foreign(scheme + mark + rest.rpartition("@")[2])


def _refused(message: str, where: str) -> UpstreamError:
    return UpstreamError("upstream.url", message, where=where, hint=_HINT)


def _redirect_error(message: str, here: httpx.URL, hint: str = "") -> UpstreamError:
    return UpstreamError("upstream.redirect", message, where=redact_url(here), hint=hint)
