"""Access and error logs on stderr with a rate limit, so that no client can fill the disk."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping

__all__ = ["AccessLog", "ErrorLog", "Rate", "RateFilter"]

ACCESS_LINES = 100
"""Lines of the access log per second."""


class Rate:
    """Admits a number of lines per second and counts the others."""

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._second = -1
        self._passed = 0
        self._left_out = 0

    def admit(self) -> int | None:
        """Return how many lines were left out since the last one; None if this one is left out."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._passed = second, 0
        if self._passed >= self._per_second:
            self._left_out += 1
            return None
        self._passed += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


class AccessLog:
    """Log of requests, one JSON object a line; `left_out` counts lines that exceeded the rate."""

    def __init__(self, rate: Rate | None = None) -> None:
        self._rate = rate or Rate(ACCESS_LINES)

    def write(self, line: Mapping[str, object]) -> None:
        """Write a line."""
        left_out = self._rate.admit()
        if left_out is None:
            return
        more = {"left_out": left_out} if left_out else {}
        print(json.dumps({**line, **more}), file=sys.stderr, flush=True)  # noqa: T201


class ErrorLog:
    """Log of errors, at most one line per second of each kind."""

    def __init__(self) -> None:
        self._rates: dict[str, Rate] = {}

    def write(self, kind: str, message: str) -> None:
        """Write a line.

        Args:
            kind: One of a small set, such as the name of an exception.
            message: The text to log.
        """
        left_out = self._rates.setdefault(kind, Rate(1)).admit()
        if left_out is not None:
            more = f" ({left_out:,} more of this kind)" if left_out else ""
            print(f"error: {message}{more}", file=sys.stderr, flush=True)  # noqa: T201


class RateFilter(logging.Filter):
    """Admits one line per second of each message of a logger, whatever its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self._rates: dict[str, Rate] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line."""
        kind = f"{record.name} {record.levelno} {record.msg}"
        if kind not in self._rates and len(self._rates) >= 100:
            kind = ""  # all others together
        return self._rates.setdefault(kind, Rate(1)).admit() is not None
