"""What a request asks of the store: a record by any of its names, its state, its bundle."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import cast

from mirror.core.record import Record
from mirror.core.values import Object, canonical, decode, hexdigest
from mirror.engine.identifiers import find_all
from mirror.engine.states.current import bundle_text, current_text
from mirror.errors import CorruptStoreError, LookUpError, StoreError
from mirror.store import Store, StoreVersion
from mirror.web.state_cache import ResolvedName, StateCache, compress
from mirror.web.store_pool import FileVersionAndCommit, StorePool

__all__ = ["AmbiguousError", "StoreReader", "StoreSnapshot"]


class AmbiguousError(LookUpError):
    """A name that fits several records."""

    def __init__(self, name: str, records: list[Record]) -> None:
        super().__init__("lookup.ambiguous", f"{name!r} names {len(records)} records")
        self.records = records


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _unreadable() from error


def _unreadable() -> StoreError:
    return StoreError("store.unreadable", "the store cannot be read now")


_MANY = 10_000
"""Records that something came for from which it is simpler to forget all."""

_FEW_EVENTS = 200
"""Events of a record that can be read in no time."""

_Reached = tuple[int, StoreVersion]
"""The generation of the store's file, and how far it had come."""


class StoreReader:
    """A store that one process serves, in as many threads as it likes."""

    def __init__(self, path: Path, kept_bytes: int = 0) -> None:
        """Serve the store at `path`, with at most `kept_bytes` of states kept in memory."""
        self.pool = StorePool(path)
        self._lock = threading.Lock()
        """For all that follows."""
        self._kept = StateCache(kept_bytes)
        self._version: FileVersionAndCommit | None = None
        """Of the store, when what changed was forgotten last."""
        self._reached: _Reached | None = None
        """How far the store had come then, or a little further."""

    def close(self) -> None:
        """Close the store."""
        self.pool.close()

    @contextmanager
    def shelf(self) -> Iterator[StoreSnapshot]:
        """Give one state of the store, whatever is written to it meanwhile.

        Raises:
            StoreError: If it cannot be read.
        """
        with _reading(), self.pool.reading() as (store, generation):
            yield StoreSnapshot(store, generation)

    def kept_state(self, name: str) -> tuple[ResolvedName, bytes] | None:
        """Return what `state` does, if that is known without waiting or reading; else None."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._version is None or self.pool.version(wait=False) != self._version:
                return None
            return self._known(name)
        except (sqlite3.Error, StoreError):
            return None  # who reads will say so
        finally:
            self._lock.release()

    def state(self, name: str) -> tuple[ResolvedName, bytes]:
        """Return what a name stands for, and its state as a zstd frame.

        Raises:
            LookUpError: As `StoreSnapshot.find`.
            StoreError: If the store cannot be read.
        """
        with self._lock:
            self._invalidate_changed()
            known = self._known(name)
        if known is not None:
            return known
        with self.shelf() as shelf:
            reached = (shelf.generation, shelf.store.version())
            named = shelf.resolve(name)
            with self._lock:
                frame = self._kept.frame(named.digest)
            if frame is None:
                frame = compress(shelf.state_text(named.record_id))
        with self._lock:
            if reached == self._reached:
                self._kept.put_name(name, named)
            self._kept.put(named.digest, frame)
        return named, frame

    def _known(self, name: str) -> tuple[ResolvedName, bytes] | None:
        named = self._kept.get_name(name)
        frame = None if named is None else self._kept.frame(named.digest)
        return None if named is None or frame is None else (named, frame)

    def _invalidate_changed(self) -> None:
        """Forget what names stand for as far as it may have changed since it was asked last."""
        with _reading():
            self.pool.watch()
            version = self.pool.version(wait=True)
        if version is not None and version == self._version:
            return
        with self.shelf() as shelf:
            reached = (shelf.generation, shelf.store.version())
            came_for = shelf.came_for_since(self._reached)
        if came_for is None:
            self._kept.clear()
        else:
            self._kept.invalidate(came_for)
        self._version, self._reached = version, reached


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """One state of the store."""

    store: Store
    generation: int
    """Identity of its file, which changes when the file at the path is replaced."""

    def came_for_since(self, before: _Reached | None) -> list[tuple[str, str]] | None:
        """Return the names of the records that something came for; None if any may have changed."""
        if before is None or before[0] != self.generation:
            return None
        if before[1].differs_by_more_than_arrivals(self.store.version()):
            return None
        came_for = self.store.facts.named_since(before[1].arrival, _MANY)
        return None if len(came_for) == _MANY else came_for

    def require_readable(self) -> None:
        """Read a few records and their states, as a test of whether the store can be read.

        Raises:
            StoreError: If none of them can.
            sqlite3.Error: If SQLite cannot read it.
        """
        failure = None
        for record_id in self.store.records.sample():
            try:
                self._read(record_id)
            except CorruptStoreError as error:
                failure = error
            else:
                return
        if failure is not None:
            raise failure

    def _read(self, record_id: int) -> None:
        self.store.records.get(record_id)
        self.state_digest(record_id)
        if self.store.facts.totals(record_id).events <= _FEW_EVENTS:
            self.state_text(record_id)

    def find(self, name: str) -> Record:
        """Return the one record of a name.

        Raises:
            LookUpError: `lookup.unknown`
            AmbiguousError: If the name fits several.
        """
        return self.store.records.get(self.find_id(name))

    def find_id(self, name: str) -> int:
        """Return the row id of the one record of a name; raises as `find`."""
        found = find_all(self.store.records, name)
        if not found:
            raise LookUpError("lookup.unknown", f"no record is named {name!r}")
        if len(found) > 1:
            raise AmbiguousError(name, [self.store.records.get(one) for one in found[:50]])
        return found[0]

    def resolve(self, name: str) -> ResolvedName:
        """Return what a name stands for; raises as `find`, and `CorruptStoreError`."""
        record_id = self.find_id(name)
        digest, changed_at = self.state_digest(record_id), self.state_changed_at(record_id)
        return ResolvedName(record_id, self.store.records.suffix(record_id), digest, changed_at)

    def state_digest(self, record_id: int) -> str:
        """Return the digest of a record's state, in hexadecimal."""
        digest = self.store.states.current_digest(record_id)
        return hexdigest(canonical(self.state(record_id))) if digest is None else digest.hex()

    def state_text(self, record_id: int) -> bytes:
        """Return the state of a record as M13 writes it.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return current_text(self.store, record_id)

    def state(self, record_id: int) -> Object:
        """Return the state of a record as a value."""
        return cast("Object", decode(self.state_text(record_id).rstrip()))

    def bundle_digest(self, record_id: int) -> str:
        """Return what names all facts of a record that this store holds."""
        return hexdigest(self.store.facts.totals(record_id).checksum)

    def bundle_text(self, record_id: int) -> bytes:
        """Return the composed bundle of a record (B6)."""
        return bundle_text(self.store, record_id)

    def changed_at(self, record_id: int) -> datetime | None:
        """Return when the last fact of a record came."""
        return _time(self.store.facts.last_arrival_at(record_id))

    def state_changed_at(self, record_id: int) -> datetime | None:
        """Return when the last fact of a record came, or trust changed, whichever is later."""
        arrived = self.changed_at(record_id)
        trusted = _time(self.store.trust_log.last_change_at())
        return arrived if arrived is None or trusted is None else max(arrived, trusted)

    def ingested_at(self) -> datetime | None:
        """Return when a run last brought anything."""
        return _time(self.store.status().last_fact_at)


@lru_cache(maxsize=256)
def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None  # an origin that was damaged
