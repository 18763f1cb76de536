"""What a request asks of the store: a record by any of its names, its state, its bundle."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import cast

from mirror.core.record import Record
from mirror.core.values import Object, canonical, decode, hexdigest
from mirror.engine.export import bundle_text
from mirror.engine.lookup import find_all
from mirror.engine.replay import current_text
from mirror.errors import LookUpError, StoreError
from mirror.store import Mark, Store, open_store
from mirror.web.kept import KeptStates, Named, compress

__all__ = ["AmbiguousError", "Library", "Shelf"]


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


class Library:
    """An open store, for one process that serves it."""

    def __init__(self, path: Path, kept_bytes: int = 0) -> None:
        """Serve the store at `path`, with at most `kept_bytes` of states kept in memory."""
        self.path = path
        self._stack = ExitStack()
        self._store: Store | None = None
        self._kept = KeptStates(kept_bytes)
        self._version: int | None = None
        """Of the store, when what changed was forgotten last."""
        self._mark: Mark | None = None
        """How far the store had come then, or a little further."""

    def close(self) -> None:
        """Close the store."""
        self._stack.close()

    @contextmanager
    def shelf(self) -> Iterator[Shelf]:
        """Give one state of the store, whatever is written to it meanwhile.

        Raises:
            StoreError: If it cannot be read.
        """
        with _reading():
            store = self._open()
            with store.snapshot():
                yield Shelf(store)

    def state(self, name: str) -> tuple[Named, bytes]:
        """Return what a name stands for, and its state as a zstd frame.

        Raises:
            LookUpError: As `Shelf.find`.
            StoreError: If the store cannot be read.
        """
        self._forget_what_changed()
        named = self._kept.named(name)
        frame = None if named is None else self._kept.frame(named.digest)
        if named is not None and frame is not None:
            return named, frame
        with self.shelf() as shelf:
            named = shelf.named(name)
            frame = self._kept.frame(named.digest) or compress(shelf.state_text(named.record_id))
        self._kept.note(name, named)
        self._kept.keep(named.digest, frame)
        return named, frame

    def _forget_what_changed(self) -> None:
        """Forget what names stand for as far as it may have changed since it was asked last."""
        try:
            version = self._open().data_version()
        except sqlite3.Error as error:
            raise _unreadable() from error
        if version == self._version:
            return
        with self.shelf() as shelf:
            before, now = self._mark, shelf.store.mark()
            came_for = shelf.store.facts.named_since(before.arrival, _MANY) if before else []
        if before is None or before.differs_by_more_than_arrivals(now) or len(came_for) == _MANY:
            self._kept.forget_all()
        else:
            self._kept.forget(came_for)
        self._version, self._mark = version, now

    def _open(self) -> Store:
        if self._store is None:
            self._store = self._stack.enter_context(open_store(self.path, read_only=True))
        return self._store


@dataclass(frozen=True, slots=True)
class Shelf:
    """One state of the store."""

    store: Store

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

    def named(self, name: str) -> Named:
        """Return what a name stands for; raises as `find`, and `CorruptStoreError`."""
        record_id = self.find_id(name)
        digest, changed_at = self.state_digest(record_id), self.changed_at(record_id)
        return Named(record_id, self.store.records.suffix(record_id), digest, changed_at)

    def state_digest(self, record_id: int) -> str:
        """Return the digest of a record's state, in hexadecimal."""
        digest = self.store.derived.current_digest(record_id)
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
        return hexdigest(self.store.facts.ledger(record_id).seal)

    def bundle_text(self, record_id: int) -> bytes:
        """Return the composed bundle of a record (B6)."""
        return bundle_text(self.store, record_id)

    def changed_at(self, record_id: int) -> datetime | None:
        """Return when the last fact of a record came."""
        return _time(self.store.facts.last_arrival_at(record_id))

    def ingested_at(self) -> datetime | None:
        """Return when a run last brought anything."""
        return _time(self.store.status().last_run_at)


@lru_cache(maxsize=256)
def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None  # an origin that was damaged
