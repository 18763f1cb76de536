"""Reads the figures of a server's store from the analysis copy beside it, and caches them.

The copy is found, and compared with the store, at each request; it is counted again only when its
file changed. Nothing is written.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from mirror.engine.figures.numbers import Figures
from mirror.engine.figures.reading import CopyFault, UnreadableCopyError, read_figures
from mirror.engine.tables.copy import beside
from mirror.engine.tables.origin import StoreChanges, changed_since, is_of_store
from mirror.store.readonly import FileVersion, file_version
from mirror.web.store_pool import IS_CANCELLED
from mirror.web.store_reader import StoreReader

__all__ = ["FiguresReader", "StoreFigures"]

MOST_S = 20.0
"""Longest that the queries of a request may take together, in seconds."""
_AGAIN_S = 60.0
"""After queries that took longer, the same file is not counted for so long."""


class StoreFigures(NamedTuple):
    """The figures of a store, or why there are none."""

    figures: Figures | None = None
    changes: StoreChanges | None = None
    """Changes of the store since."""
    fault: CopyFault | None = None


class _CountedCopy(NamedTuple):
    """The result of counting one version of the file."""

    version: FileVersion
    figures: Figures | None
    """None if it took too long."""
    at: float


class FiguresReader:
    """The figures of a server's store."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self._path = beside(reader.pool.path)
        self._lock = threading.Lock()
        self._counted: _CountedCopy | None = None

    def read(self) -> StoreFigures:
        """Return the figures, and what happened in the store since.

        Raises:
            StoreError: If the store cannot be read.
        """
        try:
            with self._lock:
                figures = self._count()
        except UnreadableCopyError as error:
            return StoreFigures(fault=error.fault)
        with self._reader.snapshot() as snapshot:
            if not is_of_store(snapshot.store, figures.origin):
                return StoreFigures(fault=CopyFault.FOREIGN)
            return StoreFigures(figures, changed_since(snapshot.store, figures.origin))

    def _count(self) -> Figures:
        """Return the figures of the file as it is now; raises as `read_figures`."""
        try:
            version = file_version(self._path)
        except OSError as error:
            raise UnreadableCopyError(CopyFault.ABSENT) from error
        last = self._counted
        if last is not None and last.version == version:
            if last.figures is not None:
                return last.figures
            if time.monotonic() < last.at + _AGAIN_S:
                raise UnreadableCopyError(CopyFault.SLOW)
        return self._count_again(version)

    def _count_again(self, version: FileVersion) -> Figures:
        is_cancelled = IS_CANCELLED.get() or (lambda: False)
        try:
            figures = read_figures(self._path, MOST_S, is_cancelled)
        except UnreadableCopyError as error:
            if error.fault is CopyFault.SLOW:
                self._counted = _CountedCopy(version, None, time.monotonic())
            raise
        self._counted = _CountedCopy(version, figures, time.monotonic())
        return figures
