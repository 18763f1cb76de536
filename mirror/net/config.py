"""What a run allows itself and others: rates, tries, times, sizes, and where it may go."""

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
    """What a run allows itself; `ValueError` where a number or the user agent makes no sense."""

    requests_per_second: float = 5.0
    """The most that are sent, evenly spaced; 0 for no limit."""
    retries: int = 4
    """Further tries after the first, for what may pass."""
    backoff_seconds: float = 0.5
    """The first pause is at most this long; the next at most twice as long, and so on."""
    backoff_cap_seconds: float = 60.0
    """No pause is longer, unless the server asks for it."""
    connect_seconds: float = 10.0
    """How long a connection may take to be made, and then again its TLS handshake."""
    read_seconds: float = 30.0
    """How long the server may send nothing at all."""
    answer_seconds: float = 120.0
    """How long one answer may take as a whole, from connecting to the last byte."""
    answer_bytes: int = 64 * _MIB
    """How large one answer may be, decoded; its encoded form may not be larger either."""
    max_redirects: int = 5
    """How many redirects lead from one address to its answer."""
    allow_private: bool = False
    """Whether to connect to addresses that are not on the public internet."""
    allow_other_hosts: bool = False
    """Whether a redirect may lead to another origin; never from https to http."""
    user_agent: str = _USER_AGENT
    """Who we say we are; a caller may append how to reach its operator."""

    def __post_init__(self) -> None:
        times = (self.connect_seconds, self.read_seconds, self.answer_seconds)
        if not all(time > 0 for time in times):
            raise ValueError("a time limit must be more than 0 seconds")
        if self.answer_bytes < 1:
            raise ValueError("an answer must be allowed at least 1 byte")
        rates = (self.requests_per_second, self.backoff_seconds, self.backoff_cap_seconds)
        if not all(math.isfinite(rate) and rate >= 0 for rate in rates):
            raise ValueError("rates and pauses must be numbers from 0 upwards")
        if min(self.retries, self.max_redirects) < 0:
            raise ValueError("numbers of retries and redirects must be 0 or more")
        if _HEADER_TEXT.fullmatch(self.user_agent) is None:
            raise ValueError("the user agent must be printable ASCII (RFC 9110 section 5.5)")
