"""`mirror backup`: a copy of the whole store, with all that no bag holds, checked after."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mirror.engine.atomic_file import OutputFile, beside_store, is_store
from mirror.engine.states.check import CheckScope, check
from mirror.errors import CorruptStoreError, OutputError
from mirror.store import Damage, Store, open_store

__all__ = ["BackupResult", "back_up"]

_NOT_WRITTEN = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")
"""Errors of SQLite that only a file that is written can have."""


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A copy of a store that was made and found sound."""

    records: int
    arrivals: int
    """Bundles that brought something new, with their sources and times."""
    trust_changes: int
    checkpoints: int
    upstream_statements: int
    key_set_digest: str
    size_bytes: int


def back_up(
    path: Path, out: OutputFile, progress: Callable[[int], None] = lambda _pages: None
) -> BackupResult:
    """Copy a store to a file, which appears only if it is whole and sound.

    It holds one state of the store, whatever others write meanwhile. An older copy is replaced
    only if it has no fact that this store lacks, and nobody has it open.

    Args:
        path: The store.
        out: The copy.
        progress: Receives numbers of pages that were copied.

    Raises:
        OutputError: As `OutputFile.open`; `output.refused` if what would be replaced holds other
            facts, or is open.
        CorruptStoreError: `store.damaged` if the copy, and so the store, is not sound.
        StoreError: If the store cannot be read.
    """
    target = Path(os.path.realpath(out.path))
    with open_store(path, read_only=True) as store:
        if is_store(target):
            _require_no_other_facts(store, out, target)
        _require_no_log_beside(out, target)
        with out.open() as file:
            copy = Path(file.name)
            with _nothing_beside(copy):
                with store.snapshot(), _said_of(out):
                    store.copy_to(copy, progress)
                return _checked(copy)


def _require_no_other_facts(store: Store, out: OutputFile, target: Path) -> None:
    """Refuse to replace the only copy of a fact."""
    try:
        found = store.facts_only_in(target)
    except sqlite3.Error as error:
        message = f"it cannot be compared with this store: {error}"
        raise out.refused(message) from error
    if found:
        listed = ", ".join(f"{table} {count:,}" for table, count in found.items())
        raise out.refused(f"it holds facts that this store does not ({listed})")


def _require_no_log_beside(out: OutputFile, target: Path) -> None:
    """Refuse a name with a log beside it, which SQLite would take for that of the copy.

    The log of an older copy that nobody has open is written into it, and so removed.
    """
    if is_store(target) and any(one.exists() for one in beside_store(target)):
        with suppress(sqlite3.Error), closing(sqlite3.connect(target, timeout=0)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    left = next((one for one in beside_store(target) if one.exists()), None)
    if left is not None:
        raise out.refused(f"{left.name} is beside it: it is open, or that is an older file's")


@contextmanager
def _said_of(out: OutputFile) -> Iterator[None]:
    """Say of the copy, not of the store, that its disk is full."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(_NOT_WRITTEN):
            raise
        hint = "make room there, or name a file on another disk"
        raise OutputError("output.failed", str(error), where=str(out.path), hint=hint) from error


@contextmanager
def _nothing_beside(copy: Path) -> Iterator[None]:
    """Remove what SQLite keeps beside an unfinished copy."""
    try:
        yield
    finally:
        for one in beside_store(copy):
            one.unlink(missing_ok=True)


def _checked(copy: Path) -> BackupResult:
    """Check every fact of a copy, its logs, and the file, and say what it holds."""
    damages = check(copy, CheckScope(quick=True), lambda _damage: None).damages
    with open_store(copy, must_exist=True, lenient=True) as store:
        damages += store.integrity.of_file(quick=False)
        if damages:
            raise _damaged(damages)
        counts = store.fact_counts()
        digest = store.trust_log.key_set().digest
    return BackupResult(
        records=counts["record"],
        arrivals=counts["arrival"],
        trust_changes=counts["trust"],
        checkpoints=counts["checkpoint"],
        upstream_statements=counts["upstream_history"],
        key_set_digest=digest,
        size_bytes=copy.stat().st_size,
    )


def _damaged(damages: list[Damage]) -> CorruptStoreError:
    first = damages[0]
    place = first.table if first.row_id is None else f"{first.table} {first.row_id}"
    message = f"nothing was written, because the store is damaged: {first.reason}"
    hint = "`mirror check` names every damage, `mirror check --repair` moves it aside"
    return CorruptStoreError("store.damaged", message, where=place, hint=hint)
