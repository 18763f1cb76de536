"""Opening a store: one SQLite file in WAL mode, or memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from mirror.errors import CorruptStoreError, StoreBusyError, StoreError
from mirror.store.acknowledgements import AcknowledgementLog
from mirror.store.checkpoints import CheckpointTable
from mirror.store.citations import CitationIndex
from mirror.store.copy import copy_to, count_facts, facts_only_in
from mirror.store.counters import Counters, Status, read_status
from mirror.store.facts import Facts
from mirror.store.findings import FindingQueries
from mirror.store.integrity import IntegrityCheck, first_damage
from mirror.store.lock import begin
from mirror.store.readonly import FileVersion, changed, unlocked_version
from mirror.store.records import Records
from mirror.store.schema import absent, applied_version, is_current, is_empty, require_store
from mirror.store.search_index import SearchIndex
from mirror.store.source_cache import SourceCache
from mirror.store.state_tree import StateTree
from mirror.store.states import States
from mirror.store.sync_state import SyncState
from mirror.store.trust_log import TrustLog
from mirror.store.upstream_history import UpstreamHistory
from mirror.store.version import StoreVersion, read_version
from mirror.store.write_ahead_log import has_log
from mirror.store.writer import BatchWriter

__all__ = ["BUSY_TIMEOUT_S", "Store", "open_store"]

BUSY_TIMEOUT_S = 30.0
"""Seconds to wait for another process that writes."""

PAGE_BYTES = 8192
"""Of a new store: several contents fit on a page, so that little is left over."""
_CHECKPOINT_PAGES = 4096
"""Pages of the log from which it is written back: seldom enough for many pages to be shared."""
_CACHE_KIB = 32 * 1024
_STEPS_BETWEEN_LOOKS = 10_000

_OF_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a value may raise that the tables do not allow, such as NULL where there is always text.

A damaged page can hold one anywhere, and SQLite hands it out.
"""


class Store:
    """An open store; made by `open_store`."""

    def __init__(
        self, conn: sqlite3.Connection, path: Path | None, unlocked: FileVersion | None = None
    ) -> None:
        self._conn = conn
        self._unlocked = unlocked
        self.path = path
        """The file; None for memory."""
        self.location = _display(path)
        """The path of the file as text, or `memory`."""
        self.records = Records(conn)
        self.facts = Facts(conn, self.records)
        self.states = States(conn, self.facts)
        self.citations = CitationIndex(conn)
        self.trust_log = TrustLog(conn)
        self.integrity = IntegrityCheck(conn)
        self.counters = Counters(conn)
        self.source_cache = SourceCache(conn)
        self.sync_state = SyncState(conn)
        self.search_index = SearchIndex(conn)
        self.acknowledgements = AcknowledgementLog(conn)
        self.findings = FindingQueries(conn)
        self.state_tree = StateTree(conn)
        self.checkpoints = CheckpointTable(conn)
        self.upstream_history = UpstreamHistory(conn)

    @property
    def schema_version(self) -> int:
        """The number of migrations that made the tables."""
        return applied_version(self._conn)

    def data_version(self) -> int:
        """Return a number that is another one once anybody else wrote to the file."""
        return int(self._conn.execute("PRAGMA data_version").fetchone()[0])

    @property
    def is_unlocked(self) -> bool:
        """Whether the file is read without locks, because nothing may be written beside it."""
        return self._unlocked is not None

    def is_outdated(self) -> bool:
        """Whether what is read now may be parts of two states; never unless `is_unlocked`."""
        return (
            self._unlocked is not None
            and self.path is not None
            and changed(self.path, self._unlocked)
        )

    def require_unchanged(self) -> None:
        """Check that what was read is one state of the store; always so unless `is_unlocked`.

        Raises:
            StoreError: `store.changed` if others may have written meanwhile.
        """
        if not self.is_outdated():
            return
        hint = "run the command again; nothing may be written beside the store to hold others off"
        message = "another process wrote to the store while it was read"
        raise StoreError("store.changed", message, where=self.location, hint=hint)

    def stop_when(self, is_over: Callable[[], bool] | None) -> None:
        """Cut off what SQLite is at (`SQLITE_INTERRUPT`) once `is_over()`; None: let it end."""
        self._conn.set_progress_handler(is_over, _STEPS_BETWEEN_LOOKS)

    def wait_at_most(self, seconds: float) -> None:
        """Wait no longer than this for another process that writes."""
        self._conn.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def keep_at_most(self, kib: int) -> None:
        """Keep no more than so many KiB of pages in memory."""
        self._conn.execute(f"PRAGMA cache_size = -{kib}")

    def version(self) -> StoreVersion:
        """Return the version of all that a state may depend on."""
        return read_version(self._conn)

    def status(self) -> Status:
        """Return what is in the store, counted."""
        return read_status(self._conn)

    def copy_to(self, path: Path, progress: Callable[[int], None]) -> None:
        """Copy the store to an empty file; call within a snapshot (see `copy.copy_to`)."""
        copy_to(self._conn, path, progress)

    def fact_counts(self) -> dict[str, int]:
        """Return how many rows each table of facts has."""
        return count_facts(self._conn)

    def facts_only_in(self, other: Path) -> dict[str, int]:
        """Return how many facts another store has that this one lacks, by table; only above 0."""
        return facts_only_in(self._conn, other)

    def intake(self, quota: int | None = None) -> BatchWriter:
        """Return what takes parcels, within a transaction.

        Args:
            quota: How many facts that nobody signed are kept for one record, of each kind (B4);
                None for no limit.
        """
        return BatchWriter(self._conn, self.records, self.facts, self.states, quota)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what happens within, or nothing.

        The write lock is taken at once, so that what was read within stays true.
        """
        begin(self._conn, self.path)
        try:
            yield
        except BaseException:
            self._conn.rollback()
            raise
        self._conn.commit()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one state of the store, whatever others write meanwhile.

        Raises:
            StoreError: `store.changed`; see `require_unchanged`.
        """
        self._conn.execute("BEGIN")
        try:
            yield
        except (sqlite3.Error, StoreError):
            self.require_unchanged()  # if that is why
            raise
        finally:
            self._conn.rollback()
        self.require_unchanged()


@contextmanager
def open_store(
    path: Path | None,
    *,
    read_only: bool = False,
    lenient: bool = False,
    must_exist: bool = False,
    any_thread: bool = False,
) -> Iterator[Store]:
    """Open the store at `path`, and make it if it is not there; None is one in memory.

    Errors of SQLite within the `with` block become errors of the store.

    Args:
        path: The file.
        read_only: Only read; a store that is not there is an error then.
        must_exist: Do not make a store that is not there.
        any_thread: Let threads use it in turn; by default only the one that opened it may.
        lenient: Give text that is not UTF-8 with marks in its place, for one who looks for damage.

    Raises:
        StoreError: `store.absent`, `store.unreadable`, `store.full`, `store.changed`, …
        SchemaVersionError: `store.foreign` or `store.newer`.
        StoreBusyError: `store.busy`
        CorruptStoreError: `store.corrupt`
    """
    place = _display(path)
    if (read_only or must_exist) and path is not None and not _is_there(path):
        raise absent(place)
    try:
        conn, unlocked = _connect(path, read_only=read_only, any_thread=any_thread)
        try:
            if lenient:
                conn.text_factory = lambda text: text.decode("utf-8", "replace")
            store = _prepare(conn, path, unlocked, read_only=read_only)
            yield store
            store.require_unchanged()
        except sqlite3.DatabaseError as error:
            if _is_corrupt(error):
                _close_keeping_log(conn, path)
            raise
        except _OF_DAMAGE as error:
            reason = first_damage(conn)
            if not reason:
                raise
            _close_keeping_log(conn, path)
            raise _corrupt(reason, path) from error
        finally:
            conn.close()
    except sqlite3.Error as error:
        raise _store_error(error, path) from error
    except UnicodeDecodeError as error:  # sqlite3's, of a message that quotes a damaged schema
        raise _corrupt(str(error), path) from error


def _display(path: Path | None) -> str:
    return "memory" if path is None else os.fsencode(path).decode("utf-8", "backslashreplace")


def _is_there(path: Path) -> bool:
    """Whether a store was made there; one that was cut off as it was made is an empty file."""
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return True  # something is there; opening it will say why it cannot be read


def _connect(
    path: Path | None, *, read_only: bool, any_thread: bool
) -> tuple[sqlite3.Connection, FileVersion | None]:
    """Open the file; return with it which version it is if it is read without locks."""
    if path is None:
        return sqlite3.connect(":memory:", isolation_level=None), None
    if not read_only:
        return _open_uri(path, "mode=rwc", any_thread=any_thread), None
    conn = _open_uri(path, "mode=ro", any_thread=any_thread)
    try:
        conn.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        conn.close()
        return _connect_otherwise(path, error, any_thread=any_thread)
    return conn, None


def _connect_otherwise(
    path: Path, error: sqlite3.OperationalError, *, any_thread: bool
) -> tuple[sqlite3.Connection, FileVersion | None]:
    if os.access(path.parent, os.W_OK):
        return _recovered(path, any_thread=any_thread), None
    unlocked = unlocked_version(path, error)
    query = "mode=ro" if unlocked is None else "mode=ro&immutable=1"
    return _open_uri(path, query, any_thread=any_thread), unlocked


def _recovered(path: Path, *, any_thread: bool) -> sqlite3.Connection:
    """Let SQLite undo what a killed process left half done, which one who only reads may not.

    The connection that reads is opened before that which may write is closed: the last one to
    close would put the log into the file, and nobody knows yet whether it belongs to it.
    """
    writing = _open_uri(path, "mode=rw")
    try:
        writing.execute("PRAGMA schema_version").fetchone()
        reading = _open_uri(path, "mode=ro", any_thread=any_thread)
        reading.execute("PRAGMA schema_version").fetchone()
        return reading
    finally:
        writing.close()


def _close_keeping_log(conn: sqlite3.Connection, path: Path | None) -> None:
    """Close a broken store as it is: the log beside it may be what breaks it.

    The last connection to close would put the log into the file, so another one, which only
    reads, stays open meanwhile.
    """
    if path is None:
        return
    with suppress(sqlite3.Error), closing(_open_uri(path, "mode=ro")) as reading:
        with suppress(sqlite3.Error):
            reading.execute("PRAGMA schema_version").fetchone()
        conn.close()


def _is_corrupt(error: sqlite3.Error) -> bool:
    name = getattr(error, "sqlite_errorname", "")
    is_no_text = str(error).startswith("Could not decode to UTF-8")  # of the sqlite3 module
    return is_no_text or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _open_uri(path: Path, query: str, *, any_thread: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{_absolute(path).as_uri()}?{query}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=not any_thread,
    )


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except OSError as error:
        message = f"the working folder cannot be found: {error.strerror}"
        hint = "change to a folder that is there, or name the store by its whole path with --db"
        raise StoreError("store.unreadable", message, where=_display(path), hint=hint) from error


def _prepare(
    conn: sqlite3.Connection, path: Path | None, unlocked: FileVersion | None, *, read_only: bool
) -> Store:
    if read_only:
        require_store(conn)
    else:
        conn.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        if is_empty(conn) or not is_current(conn):
            # Late: few commands make a store, and sqlite-utils takes as long as all the rest.
            from mirror.store.migrations import migrate  # noqa: PLC0415

            migrate(conn)
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    conn.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    conn.execute("PRAGMA temp_store = FILE")
    return Store(conn, path, unlocked)


def _corrupt(reason: str, path: Path | None) -> CorruptStoreError:
    return CorruptStoreError(
        "store.corrupt", reason, where=_display(path), hint=_restore_hint(path)
    )


def _restore_hint(path: Path | None) -> str:
    if path is None or not has_log(path):
        return "restore the file from a copy, or build the store again from your bundles"
    return (
        f"{path.name}-wal and {path.name}-shm beside it are read with it: if they are older than "
        "the file, because a copy was put in its place, move both away, and look again; before "
        "you restore a copy, do the same"
    )


def _store_error(error: sqlite3.Error, path: Path | None) -> StoreError:
    """Say what SQLite's error means for the person whose store it is."""
    place, name = _display(path), getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        hint = "another mirror process is writing; wait for it, then run the command again"
        return StoreBusyError("store.busy", str(error), where=place, hint=hint)
    if name == "SQLITE_NOTADB":
        hint = f"if it is no store, name another file with --db; else {_restore_hint(path)}"
        message = "it is no SQLite database, or its first page is damaged"
        return CorruptStoreError("store.corrupt", message, where=place, hint=hint)
    if _is_corrupt(error):
        return _corrupt(str(error), path)
    hint = "what was committed before is kept; check the disk and its permissions"
    if name.startswith("SQLITE_FULL"):
        hint = "what was committed before is kept; make room on its disk and in the folder TMPDIR"
        return StoreError("store.full", str(error), where=place, hint=hint)
    code = "store.read_only" if name.startswith("SQLITE_READONLY") else "store.unreadable"
    return StoreError(code, str(error), where=place, hint=hint)
