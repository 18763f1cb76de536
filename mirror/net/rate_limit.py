"""Rate limiter: requests of all threads, evenly spaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["RateLimiter"]


class RateLimiter:
    """Delays requests so that they are evenly spaced; there are no bursts after a pause."""

    def __init__(
        self,
        per_second: float,
        pause: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._pause = pause
        self._clock = clock
        self._next_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        with self._lock:
            now = self._clock()
            start_at = max(now, self._next_at)
            self._next_at = start_at + self._interval
        if start_at > now:
            self._pause(start_at - now)
