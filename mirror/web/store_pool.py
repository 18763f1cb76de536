"""The open stores of a server, all of the file that its path leads to now.

Each reader has one for itself for as long as it reads. When another file comes to stand at the
path, none of it is read before every reader of the one before has ended: within one process the
two would share one file of shared memory (`-shm`), and it describes only one of them.
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

__all__ = ["IS_OVER", "FileVersionAndCommit", "StorePool"]

IS_OVER: ContextVar[Callable[[], bool] | None] = ContextVar("IS_OVER", default=None)
"""Says whether anybody still waits for what this context reads."""

_IDLE = 4
"""Stores that are kept open for the next reader."""
_CACHE_KIB = 8 * 1024
"""Pages that each of them keeps."""


class FileVersionAndCommit(NamedTuple):
    """A version that changes with every commit, and when the file is replaced."""

    generation: int
    data_version: int


@dataclass(frozen=True, slots=True)
class _Opened:
    store: Store
    generation: int
    _stack: ExitStack

    def close(self) -> None:
        """Close it; what was read is not used any more, so it may have changed."""
        with suppress(StoreError):
            self._stack.close()


class StorePool:
    """Opens the store at a path as often as there are readers at one time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        """How many files stood at the path, as far as anybody looked."""
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._log: int | None = None
        """The inode of the write-ahead log beside that file."""
        self._lent = 0
        self._idle: list[_Opened] = []
        self._watcher: _Opened | None = None

    @contextmanager
    def reading(self) -> Iterator[tuple[Store, int]]:
        """Lend a store, in a snapshot, with the generation of its file.

        Raises:
            StoreError: `store.absent`, `store.replaced`, and as `open_store`.
        """
        opened = self._open_store()
        is_sound = False
        try:
            opened.store.stop_when(IS_OVER.get())
            with opened.store.snapshot():
                yield opened.store, opened.generation
            is_sound = True
        except (LookUpError, FormatError):
            is_sound = True  # the request's fault, not the store's
            raise
        finally:
            opened.store.stop_when(None)
            self._give_back(opened, is_sound=is_sound)

    def version(self, *, wait: bool) -> FileVersionAndCommit | None:
        """Return the version of the store now; None if `watch` has to be called first.

        Args:
            wait: Whether to wait for other threads to know it; else it is None if one has to.

        Raises:
            StoreError: As `reading`.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            self._reopen()
            watcher = self._watcher
            if watcher is None or watcher.store.is_outdated():
                return None
            return FileVersionAndCommit(self.generation, watcher.store.data_version())
        finally:
            self._lock.release()

    def watch(self) -> None:
        """Open what `version` looks at; raises as `reading`."""
        with self._lock:
            self._reopen()
            if self._watcher is not None and self._watcher.store.is_outdated():
                self._watcher.close()
                self._watcher = None
                self.generation += 1
            if self._watcher is None:
                self._watcher = self._open(self.generation)
                self._watcher.store.wait_at_most(0)  # the event loop asks

    def close(self) -> None:
        """Close all stores that nobody reads."""
        with self._lock:
            self._close_unused()

    # Taking and giving back ------------------------------------------------------------------

    def _open_store(self) -> _Opened:
        with self._lock:
            self._reopen()
            self._lent += 1
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
                self._lent -= 1
            raise

    def _give_back(self, opened: _Opened, *, is_sound: bool) -> None:
        with self._lock:
            self._lent -= 1
            if is_sound and opened.generation == self.generation and len(self._idle) < _IDLE:
                self._idle.append(opened)
                return
        opened.close()

    def _open(self, generation: int) -> _Opened:
        with ExitStack() as stack:
            store = stack.enter_context(open_store(self.path, read_only=True, any_thread=True))
            store.keep_at_most(_CACHE_KIB)
            self._log = _inode(self._log_path) or self._log
            if _identity(self.path) != self._file:
                raise _replaced("it was replaced as it was opened")
            return _Opened(store, generation, stack.pop_all())

    # Another file ----------------------------------------------------------------------------

    @property
    def _log_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _reopen(self) -> None:
        """Begin with another file if one stands at the path now; call with the lock."""
        found = _identity(self.path)
        if found == self._file and found is not None:
            return
        self._close_unused()
        if found is None:
            self._file = None
            raise absent(os.fspath(self.path))
        if self._lent:
            raise _replaced("the file was replaced, and the one before is still being read")
        if self._log is not None and self._log == _inode(self._log_path) and has_log(self.path):
            raise _replaced(f"{self._log_path.name} of the file before is still beside it")
        self._file, self._log = found, None
        self.generation += 1

    def _close_unused(self) -> None:
        for opened in (*self._idle, *([self._watcher] if self._watcher else [])):
            opened.close()
        self._idle, self._watcher = [], None


def _replaced(message: str) -> StoreError:
    hint = (
        "replace a store by renaming a whole one over it when nothing writes to it, "
        "and remove the -wal and -shm of the one before"
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
