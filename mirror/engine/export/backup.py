"""`mirror backup`: copies the whole store, also what a bag does not hold, and checks the copy."""

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
"""Errors of SQLite that occur only when a file is written."""


@dataclass(frozen=True, slots=True)
class BackupResult:
    """Content of a copy, which was checked."""

    records: int
    arrivals: int
    """Bundles that brought new facts, with their sources and times."""
    trust_changes: int
    checkpoints: int
    upstream_statements: int
    key_set_digest: str
    size_bytes: int


def back_up(
    path: Path, out: OutputFile, progress: Callable[[int], None] = lambda _pages: None
) -> BackupResult:
    """Copy a store to a file, which appears only when it is complete and was checked.

    The copy is one snapshot of the store, even if other processes write. An older copy is replaced
    only if it has no fact that this store lacks, and no process has it open.

    Args:
        path: The store.
        out: The copy.
        progress: Receives numbers of pages that were copied.

    Raises:
        OutputError: See `OutputFile.open`; `output.refused` if the file to replace holds other
            facts, or is open.
        CorruptStoreError: `store.damaged` if the copy, and so the store, is damaged.
        StoreError: If the store cannot be read.
    """
    target = Path(os.path.realpath(out.path))
    with open_store(path, read_only=True) as store:
        if is_store(target):
            _require_no_other_facts(store, out, target)
        _require_no_log_beside(out, target)
        with out.open() as file:
            copy = Path(file.name)
            with _remove_logs(copy):
                with store.snapshot(), _translate_write_errors(out):
                    store.copy_to(copy, progress)
                return _check_copy(copy)


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
    """Refuse a path with a log beside it, which SQLite would apply to the copy.

    The log of an older copy that no process has open is written into that copy, and so removed.
    """
    if is_store(target) and any(one.exists() for one in beside_store(target)):
        with suppress(sqlite3.Error), closing(sqlite3.connect(target, timeout=0)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    left = next((one for one in beside_store(target) if one.exists()), None)
    if left is not None:
        raise out.refused(
            f"{left.name} is beside it: the file is open, or the log is of an older file"
        )


@contextmanager
def _translate_write_errors(out: OutputFile) -> Iterator[None]:
    """Report errors of writing as errors of the copy, not of the store."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(_NOT_WRITTEN):
            raise
        hint = "make room there, or name a file on another disk"
        raise OutputError("output.failed", str(error), where=str(out.path), hint=hint) from error


@contextmanager
def _remove_logs(copy: Path) -> Iterator[None]:
    """Remove the files that SQLite keeps beside an unfinished copy."""
    try:
        yield
    finally:
        for one in beside_store(copy):
            one.unlink(missing_ok=True)


def _check_copy(copy: Path) -> BackupResult:
    """Check every fact of a copy, its logs, and the file; return its content."""
    damages = check(copy, CheckScope(quick=True), lambda _damage: None).damages
    with open_store(copy, must_exist=True, lenient=True) as store:
        damages += store.integrity.check_file(quick=False)
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
    hint = "`mirror check` lists all damage, `mirror check --repair` moves it into quarantine"
    return CorruptStoreError("store.damaged", message, where=place, hint=hint)
