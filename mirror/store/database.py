"""sqlite-utils, without the libraries for data frames that it loads where they are installed.

The store has no use for these, and every command would wait 0.4 seconds for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Database", "Migrations"]

_FRAMES = ("numpy", "pandas")


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Have modules not be found, but for those that are loaded or may be loaded just now."""
    absent = [] if "distributed" in sys.modules else [n for n in names if n not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment] # importlib's mark: not to be found
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _without(_FRAMES):
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
