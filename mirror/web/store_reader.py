"""Reading records, states and bundles from the store of a server, with a cache of states."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from mirror.core.record import Record
from mirror.core.state_view import StateView, parse_state
from mirror.core.values import canonical, hexdigest
from mirror.engine.identifiers import find_all
from mirror.engine.states.current import bundle_text, current_text
from mirror.engine.states.past import past_text
from mirror.errors import AmbiguousError, CorruptStoreError, LookUpError, StoreError
from mirror.store import Store, StoreVersion
from mirror.web.request_threads import BusyError
from mirror.web.state_cache import ResolvedName, StateCache, compress, decompress
from mirror.web.store_pool import DataVersion, StorePool

__all__ = ["MAX_PAST_FACTS", "StoreReader", "StoreSnapshot"]

_LISTED = 50
"""The most records that are listed if a name matches several."""


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _unreadable() from error


def _unreadable() -> StoreError:
    return StoreError("store.unreadable", "the store cannot be read now")


_MANY = 500_000
"""Number of arrivals from which the whole name cache is cleared.

To read their names takes a second, and to find a name again as long as to read hundreds: a server
that nobody asks for a state while a merge runs has many arrivals to read at the next request.
"""

_FEW_EVENTS = 200
"""Number of events up to which `require_readable` also reads the state."""

MAX_PAST_FACTS = 10_000
"""Most facts of a record whose past states are merged for a request."""
_PAST_MERGES = 2
"""Past states that are merged at one time."""
_WAIT_S = 1.0
"""How long a request waits for its turn to merge one."""

_Result = TypeVar("_Result")

_Position = tuple[int, StoreVersion]
"""The generation of the store's file, and the version of its facts."""


class StoreReader:
    """The store of a server, read by many threads."""

    def __init__(self, path: Path, cache_bytes: int = 0) -> None:
        """Read the store at `path`, with a cache of `cache_bytes` for compressed states."""
        self.pool = StorePool(path)
        self._lock = threading.Lock()
        """Guards all members below."""
        self._cache = StateCache(cache_bytes)
        self._version: DataVersion | None = None
        """The version for which the name cache is valid."""
        self._position: _Position | None = None
        """The position of the store at that version, or a later one."""
        self._past_merges = threading.BoundedSemaphore(_PAST_MERGES)

    def close(self) -> None:
        """Close the store."""
        self.pool.close()

    @contextmanager
    def snapshot(self) -> Iterator[StoreSnapshot]:
        """Give a snapshot of the store, which does not see later commits.

        Raises:
            StoreError: If it cannot be read.
        """
        with _translate_errors(), self.pool.snapshot() as (store, generation):
            yield StoreSnapshot(store, generation)

    def cached_state(self, name: str) -> tuple[ResolvedName, bytes] | None:
        """Return the result of `state` if it is cached; None if that needs waiting or reading."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._version is None or self.pool.version(wait=False) != self._version:
                return None
            return self._cached(name)
        except (sqlite3.Error, StoreError):
            return None  # `state` raises it
        finally:
            self._lock.release()

    def state(self, name: str) -> tuple[ResolvedName, bytes]:
        """Return the record of a name, and its state as a zstd frame.

        Raises:
            LookUpError: As `StoreSnapshot.find`.
            StoreError: If the store cannot be read.
        """
        with self._lock:
            self._invalidate_changed()
            cached = self._cached(name)
        if cached is not None:
            return cached
        with self.snapshot() as snapshot:
            position = (snapshot.generation, snapshot.store.version())
            resolved = snapshot.resolve(name)
            with self._lock:
                frame = self._cache.get(resolved.digest)
            if frame is None:
                frame = compress(snapshot.state_text(resolved.record_id))
        with self._lock:
            if position == self._position:
                self._cache.put_name(name, resolved)
            self._cache.put(resolved.digest, frame)
        return resolved, frame

    def past_state(
        self, snapshot: StoreSnapshot, record_id: int, version: StoreVersion
    ) -> tuple[str, bytes]:
        """Return a state that a record had: its digest in hexadecimal, and a zstd frame of it.

        Args:
            snapshot: A snapshot of this store.
            record_id: The record.
            version: A version of the store, not before the first arrival of the record.

        Raises:
            LookUpError: `limit.past`
            BusyError: If other past states are being merged.
            CorruptStoreError: `store.damaged`
        """
        key = repr((snapshot.generation, record_id, version))
        with self._lock:
            frame = self._cache.get(key)
        if frame is not None:
            text = decompress(frame)
        else:
            text = self.merge_past(
                snapshot, record_id, version, lambda: past_text(snapshot.store, record_id, version)
            )
            frame = compress(text)
            with self._lock:
                self._cache.put(key, frame)
        return hexdigest(canonical(parse_state(text).value)), frame

    def merge_past(
        self,
        snapshot: StoreSnapshot,
        record_id: int,
        version: StoreVersion,
        merge: Callable[[], _Result],
    ) -> _Result:
        """Return what `merge` makes of the facts of a record, if it has not too many of them.

        Only `_PAST_MERGES` run at one time, so that others find threads to read the store. What
        is so today is not merged, and not limited.

        Raises:
            LookUpError: `limit.past`
            BusyError: If other past states are being merged.
        """
        if snapshot.is_current(record_id, version):
            return merge()
        if snapshot.store.facts.totals(record_id).facts > MAX_PAST_FACTS:
            message = f"the past of a record with more than {MAX_PAST_FACTS:,} facts is not served"
            hint = "`mirror show ID --at TIME` shows it; its past bundles are served"
            raise LookUpError("limit.past", message, hint=hint)
        if not self._past_merges.acquire(timeout=_WAIT_S):
            raise BusyError(retry_after_s=1)
        try:
            return merge()
        finally:
            self._past_merges.release()

    def _cached(self, name: str) -> tuple[ResolvedName, bytes] | None:
        resolved = self._cache.get_name(name)
        frame = None if resolved is None else self._cache.get(resolved.digest)
        return None if resolved is None or frame is None else (resolved, frame)

    def _invalidate_changed(self) -> None:
        """Remove names from the cache whose record may have changed since the last call."""
        with _translate_errors():
            self.pool.watch()
            version = self.pool.version(wait=True)
        if version is not None and version == self._version:
            return
        with self.snapshot() as snapshot:
            position = (snapshot.generation, snapshot.store.version())
            changed = snapshot.changed_since(self._position)
        if changed is None:
            self._cache.clear()
        else:
            self._cache.invalidate(changed)
        self._version, self._position = version, position


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """A snapshot of the store."""

    store: Store
    generation: int
    """Number of its file, which changes when the file at the path is replaced."""

    def changed_since(self, before: _Position | None) -> list[str] | None:
        """Return suffixes that now name another record or state; None if others may, too."""
        if before is None or before[0] != self.generation:
            return None
        now = self.store.version()
        if before[1].differs_by_more_than_arrivals(now) or now.arrival - before[1].arrival > _MANY:
            return None
        return self.store.facts.suffixes_since(before[1].arrival)

    def is_current(self, record_id: int, version: StoreVersion) -> bool:
        """Return whether nothing on a record, and no trust, changed since a version."""
        now = self.store.version()
        has_all = version.arrival >= self.store.facts.last_arrival(record_id)
        return has_all and version.trust == now.trust

    def require_readable(self) -> None:
        """Read a few records and their states.

        Raises:
            StoreError: If none of them can be read.
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
            AmbiguousError: If the name matches several.
        """
        return self.store.records.get(self.find_id(name))

    def find_id(self, name: str) -> int:
        """Return the row id of the one record of a name; raises as `find`."""
        found = find_all(self.store.records, name)
        if not found:
            raise LookUpError("lookup.unknown", f"no record is named {name!r}")
        if len(found) > 1:
            numbers = [self.store.records.get(one).pith_number for one in found[:_LISTED]]
            raise AmbiguousError(f"{name!r} names {len(numbers)} records", numbers)
        return found[0]

    def resolve(self, name: str) -> ResolvedName:
        """Return the record of a name and its state's digest; raises as `find` and `state_text`."""
        record_id = self.find_id(name)
        digest, changed_at = self.state_digest(record_id), self.state_changed_at(record_id)
        return ResolvedName(record_id, self.store.records.suffix(record_id), digest, changed_at)

    def state_digest(self, record_id: int) -> str:
        """Return the digest of a record's state, in hexadecimal."""
        digest = self.store.states.current_digest(record_id)
        return hexdigest(canonical(self.state(record_id).value)) if digest is None else digest.hex()

    def state_text(self, record_id: int) -> bytes:
        """Return the state of a record as M13 writes it.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return current_text(self.store, record_id)

    def state(self, record_id: int) -> StateView:
        """Return the state of a record; raises as `state_text`."""
        return parse_state(self.state_text(record_id))

    def bundle_digest(self, record_id: int) -> str:
        """Return a digest of all facts that the store holds on a record, in hexadecimal."""
        return hexdigest(self.store.facts.totals(record_id).checksum)

    def bundle_text(self, record_id: int) -> bytes:
        """Return the composed bundle of a record (B6)."""
        return bundle_text(self.store, record_id)

    def changed_at(self, record_id: int) -> datetime | None:
        """Return when the last fact of a record arrived."""
        return _time(self.store.facts.last_arrival_at(record_id))

    def state_changed_at(self, record_id: int) -> datetime | None:
        """Return when the last fact of a record arrived, or trust changed, whichever is later."""
        arrived = self.changed_at(record_id)
        trusted = _time(self.store.trust_log.last_change_at())
        return arrived if arrived is None or trusted is None else max(arrived, trusted)

    def changed_last(self) -> str:
        """Return when facts were last stored or moved aside, or trust changed; empty if never."""
        found = [self.store.facts.last_arrival_at(), self.store.trust_log.last_change_at()]
        found.append(self.store.findings.last_moved_aside_at())
        return max(filter(None, found), default="")

    def ingested_at(self) -> datetime | None:
        """Return when a run last added facts."""
        return _time(self.store.status().last_fact_at)


@lru_cache(maxsize=256)
def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None  # a damaged origin
