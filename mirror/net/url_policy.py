"""Policy for URLs: which may be requested, and where a redirect may lead.

A URL is parsed once, by httpx, and the connection uses the parsed URL. If a check and the
connection parsed the text separately, a difference of the parsers would bypass the check.
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
"""A host name (RFC 1123 section 2.1), with the underscore that some have."""
_HINT = "An example is https://pith.science/."


def parse_url(text: str) -> httpx.URL:
    """Return the URL to request, without its fragment, which is for the client only.

    Raises:
        UpstreamError: `upstream.url` if it cannot be parsed, is not of http or https, has no valid
            host or port, or contains a user name or password.
    """
    try:
        url = httpx.URL(text).copy_with(fragment=None)  # fails if it is too long when encoded
    except httpx.InvalidURL as error:
        raise _refused("This is not a URL.", _masked(text)) from error
    if url.scheme not in _PORTS:
        raise _refused("The URL begins with neither http:// nor https://.", _masked(text))
    if url.userinfo:
        raise _refused("The URL contains a user name or password.", redact_url(url))
    if not _is_host(url.raw_host.decode("ascii")):
        raise _refused("The URL has no valid host.", redact_url(url))
    if url.port is not None and not 0 < url.port < 65536:
        raise _refused("The URL has an invalid port.", redact_url(url))
    return url


def resolve_redirect(url: httpx.URL, location: str, config: ClientConfig) -> httpx.URL:
    """Return the URL that a redirect leads to.

    Args:
        url: The URL of the response.
        location: The field `Location`.
        config: Whether another host is allowed.

    Raises:
        UpstreamError: `upstream.redirect` if it leads nowhere, or where it must not.
    """
    if not location:
        raise _redirect_error("The server redirects without a location.", url)
    try:
        target = parse_url(str(url.join(location)))
    except (httpx.InvalidURL, UpstreamError) as error:
        message = f"The server redirects to {_masked(location)}, which cannot be requested."
        raise _redirect_error(message, url) from error
    if (url.scheme, target.scheme) == ("https", "http"):
        message = f"The server redirects from https to {redact_url(target)}, which is not secure."
        raise _redirect_error(message, url)
    if not (config.allow_other_hosts or _is_same_origin(url, target)):
        hint = "If that server is meant, use its address, or allow it with --allow-other-hosts."
        raise _redirect_error(
            f"The server redirects to another one: {redact_url(target)}.", url, hint
        )
    return target


def redact_url(url: httpx.URL) -> str:
    """Return a URL for messages: no user, no password, no query, and not too long."""
    path = url.raw_path.partition(b"?")[0].decode("ascii")
    return escape_foreign(f"{url.scheme}://{url.netloc.decode('ascii')}{path}")


def escape_foreign(text: str) -> str:
    """Return text of a server for messages: printable ASCII, and not too long."""
    plain = re.sub(r"[^\x20-\x7e]", "?", text[: _SHOWN_CHARACTERS + 1])
    return plain if len(plain) <= _SHOWN_CHARACTERS else plain[:_SHOWN_CHARACTERS] + "..."


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Return the origin of a URL (RFC 6454): scheme, host and port."""
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


def _is_same_origin(url: httpx.URL, target: httpx.URL) -> bool:
    """Whether two URLs have one origin, or the second is the secure form of the first."""
    if origin(url) == origin(target):
        return True
    return target.scheme == "https" != url.scheme and url.raw_host == target.raw_host


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return _NAME.fullmatch(host) is not None
    return "%" not in host  # an address with a zone is valid on this machine only (RFC 6874)


def _masked(text: str) -> str:
    """Return the part of a text that is safe to show, without a query or a password."""
    head = re.split(r"[?#]", text, maxsplit=1)[0]
    scheme, mark, rest = head.rpartition("//")
    return escape_foreign(scheme + mark + rest.rpartition("@")[2])


def _refused(message: str, where: str) -> UpstreamError:
    return UpstreamError("upstream.url", message, where=where, hint=_HINT)


def _redirect_error(message: str, url: httpx.URL, hint: str = "") -> UpstreamError:
    return UpstreamError("upstream.redirect", message, where=redact_url(url), hint=hint)
