"""Configuration of the HTTP client: rate, retries, timeouts, sizes, and allowed addresses."""

from __future__ import annotations

import importlib.metadata
import math
import re
from dataclasses import dataclass

__all__ = ["ClientConfig"]

_MIB = 1024 * 1024
_DISTRIBUTION = "pith-mirror"
_HEADER_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def _version() -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # run from a folder, never installed
        return "0"


_USER_AGENT = f"{_DISTRIBUTION}/{_version()} (+https://pith.science mirror client)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """Configuration of a client.

    Raises:
        ValueError: If a number or the user agent is invalid.
    """

    requests_per_second: float = 5.0
    """The most requests a second, evenly spaced; 0 for no limit."""
    retries: int = 4
    """Retries of a request after transient failures."""
    backoff_seconds: float = 0.5
    """The longest pause before the first retry; it doubles with each retry."""
    backoff_cap_seconds: float = 60.0
    """The longest pause, unless the server asks for a longer one."""
    connect_seconds: float = 10.0
    """Timeout of a connection, and again of its TLS handshake."""
    read_seconds: float = 30.0
    """Timeout of a read."""
    response_seconds: float = 120.0
    """Timeout of a whole response, from the connection to the last byte."""
    response_bytes: int = 64 * _MIB
    """The largest response, decoded; the encoded one must not be larger either."""
    max_redirects: int = 5
    """The most redirects of one request."""
    allow_private: bool = False
    """Whether to connect to addresses that are not on the public internet."""
    allow_other_hosts: bool = False
    """Whether a redirect may lead to another origin; never from https to http."""
    user_agent: str = _USER_AGENT
    """The field `User-Agent`; a caller may append how to contact its operator."""

    def __post_init__(self) -> None:
        times = (self.connect_seconds, self.read_seconds, self.response_seconds)
        if not all(time > 0 for time in times):
            raise ValueError("a time limit must be more than 0 seconds")
        if self.response_bytes < 1:
            raise ValueError("a response must be allowed at least 1 byte")
        rates = (self.requests_per_second, self.backoff_seconds, self.backoff_cap_seconds)
        if not all(math.isfinite(rate) and rate >= 0 for rate in rates):
            raise ValueError("rates and pauses must be numbers from 0 upwards")
        if min(self.retries, self.max_redirects) < 0:
            raise ValueError("numbers of retries and redirects must be 0 or more")
        if _HEADER_TEXT.fullmatch(self.user_agent) is None:
            raise ValueError("the user agent must be printable ASCII (RFC 9110 section 5.5)")
