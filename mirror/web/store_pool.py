"""Connection pool of a server's store, which follows the file at a path when it is replaced.

Each reader has a connection of its own while it reads. A new file is opened only after all
readers of the old one have ended: within one process the two would share one file of shared
memory (`-shm`), which describes only one of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mirror.errors import FormatError, LookUpError, StoreError
from mirror.store import Store, open_store
from mirror.store.readonly import file_version, has_log
from mirror.store.schema import absent

__all__ = ["IS_CANCELLED", "DataVersion", "StorePool"]

IS_CANCELLED: ContextVar[Callable[[], bool] | None] = ContextVar("IS_CANCELLED", default=None)
"""Returns True once the request that this context works for is cancelled."""

_IDLE = 4
"""Connections kept open for the next reader."""
_CACHE_KIB = 8 * 1024
"""Page cache of each connection."""


class DataVersion(NamedTuple):
    """A version that changes with each commit and when the file is replaced."""

    generation: int
    """Number of the file among those that were at the path."""
    data_version: int
    """SQLite's `PRAGMA data_version`."""


@dataclass(frozen=True, slots=True)
class _OpenStore:
    store: Store
    generation: int
    _stack: ExitStack

    def close(self) -> None:
        """Close the connection; that the file changed meanwhile is no error any more."""
        with suppress(StoreError):
            self._stack.close()


class StorePool:
    """Read-only connections to the store at a path, one for each concurrent reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        """Number of files that were found at the path so far."""
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._log: int | None = None
        """The inode of the write-ahead log beside that file."""
        self._in_use = 0
        self._idle: list[_OpenStore] = []
        self._watcher: _OpenStore | None = None

    @contextmanager
    def snapshot(self) -> Iterator[tuple[Store, int]]:
        """Give a store in a snapshot, and the generation of its file.

        Raises:
            StoreError: `store.absent`, `store.replaced`, and as `open_store`.
        """
        opened = self._open_store()
        is_sound = False
        try:
            opened.store.interrupt_when(IS_CANCELLED.get())
            with opened.store.snapshot():
                yield opened.store, opened.generation
            is_sound = True
        except (LookUpError, FormatError):
            is_sound = True  # an error of the request, not of the store
            raise
        finally:
            opened.store.interrupt_when(None)
            self._release(opened, is_sound=is_sound)

    def version(self, *, wait: bool) -> DataVersion | None:
        """Return the current version of the store; None if `watch` must be called first.

        Args:
            wait: Whether to wait for a lock; if not, the result may be None for that reason.

        Raises:
            StoreError: As `snapshot`.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            self._reopen()
            watcher = self._watcher
            if watcher is None or watcher.store.is_outdated():
                return None
            return DataVersion(self.generation, watcher.store.data_version())
        finally:
            self._lock.release()

    def watch(self) -> None:
        """Open what `version` looks at; raises as `snapshot`."""
        with self._lock:
            self._reopen()
            if self._watcher is not None and self._watcher.store.is_outdated():
                self._watcher.close()
                self._watcher = None
                self.generation += 1
            if self._watcher is None:
                self._watcher = self._open(self.generation)
                self._watcher.store.set_busy_timeout(0)  # the event loop asks

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            self._close_unused()

    # Connections -----------------------------------------------------------------------------

    def _open_store(self) -> _OpenStore:
        with self._lock:
            self._reopen()
            self._in_use += 1
            generation = self.generation
            while self._idle:
                opened = self._idle.pop()
                if not opened.store.is_outdated():
                    return opened
                opened.close()
        try:
            return self._open(generation)
        except BaseException:
            with self._lock:
                self._in_use -= 1
            raise

    def _release(self, opened: _OpenStore, *, is_sound: bool) -> None:
        with self._lock:
            self._in_use -= 1
            if is_sound and opened.generation == self.generation and len(self._idle) < _IDLE:
                self._idle.append(opened)
                return
        opened.close()

    def _open(self, generation: int) -> _OpenStore:
        with ExitStack() as stack:
            store = stack.enter_context(open_store(self.path, read_only=True, any_thread=True))
            store.limit_cache(_CACHE_KIB)
            self._log = _inode(self._log_path) or self._log
            if _identity(self.path) != self._file:
                raise _replaced("the file was replaced while it was opened")
            return _OpenStore(store, generation, stack.pop_all())

    # Replaced files --------------------------------------------------------------------------

    @property
    def _log_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _reopen(self) -> None:
        """Change to the file that is at the path now; called with the lock."""
        found = _identity(self.path)
        if found == self._file and found is not None:
            return
        self._close_unused()
        if found is None:
            self._file = None
            raise absent(os.fspath(self.path))
        if self._in_use:
            raise _replaced("the file was replaced, and the old one is still being read")
        if self._log is not None and self._log == _inode(self._log_path) and has_log(self.path):
            raise _replaced(f"{self._log_path.name} of the old file is still beside it")
        self._file, self._log = found, None
        self.generation += 1

    def _close_unused(self) -> None:
        for opened in (*self._idle, *([self._watcher] if self._watcher else [])):
            opened.close()
        self._idle, self._watcher = [], None


def _replaced(message: str) -> StoreError:
    hint = (
        "replace a store by renaming a complete one over it while nothing writes to it, "
        "and remove the -wal and -shm of the old one"
    )
    return StoreError("store.replaced", message, hint=hint)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        return file_version(path)[:2]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError("store.unreadable", str(error), where=os.fspath(path)) from error


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
