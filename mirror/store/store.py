"""Opening a store: one SQLite file in WAL mode, or memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path

from mirror.core.escaping import escape_name
from mirror.errors import CorruptStoreError, StoreBusyError, StoreError
from mirror.store.acknowledgements import AcknowledgementLog
from mirror.store.anchors import AnchorTable
from mirror.store.arrival_pages import ArrivalPages
from mirror.store.authorities import AuthorityLog
from mirror.store.block_headers import BlockHeaders
from mirror.store.checkpoint_proofs import CheckpointProofs
from mirror.store.checkpoints import CheckpointTable
from mirror.store.citations import CitationIndex
from mirror.store.commits import Commits
from mirror.store.copy import copy_to, count_facts, facts_only_in
from mirror.store.counters import Counters, Status, read_status
from mirror.store.facts import Facts
from mirror.store.findings import FindingQueries
from mirror.store.integrity import IntegrityCheck, first_damage
from mirror.store.lock import begin
from mirror.store.paper_texts import PaperTextTable
from mirror.store.readonly import FileVersion, changed, has_log, unlocked_version
from mirror.store.records import Records
from mirror.store.schema import absent, applied_version, is_current, is_empty, require_store
from mirror.store.search_index import SearchIndex
from mirror.store.source_cache import SourceCache
from mirror.store.state_tree import StateTree
from mirror.store.states import SEEN_RECORDS, States
from mirror.store.storage_checks import StorageChecks
from mirror.store.stored_records import StoredRecords
from mirror.store.sync_state import SyncState
from mirror.store.trust_log import TrustLog
from mirror.store.upstream_history import UpstreamHistory
from mirror.store.version import StoreVersion, read_version, version_at
from mirror.store.writer import BatchWriter

__all__ = ["BUSY_TIMEOUT_S", "Store", "open_store"]

BUSY_TIMEOUT_S = 30.0
"""Seconds to wait for another process that writes."""

PAGE_BYTES = 16384
"""Page size of a new store: several contents fit on a page, so that little space is unused."""
_CHECKPOINT_PAGES = 2048
"""Pages of the log that start a WAL checkpoint; many, so that fewer pages are written twice."""
_CACHE_KIB = 32 * 1024
_STEPS_BETWEEN_CALLS = 10_000

_DAMAGE_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions raised by values that the tables do not allow, such as NULL in place of text.

SQLite returns such values from damaged pages.
"""


class Store:
    """An open store; made by `open_store`."""

    def __init__(
        self, conn: sqlite3.Connection, path: Path | None, unlocked: FileVersion | None = None
    ) -> None:
        self.connection = conn
        """SQLite's connection, for SQL on the tables of `schema.py`."""
        self._unlocked = unlocked
        self.path = path
        """The file; None for memory."""
        self.location = _display(path)
        """The path of the file as text; `memory` without one."""
        self.records = Records(conn)
        """The table of records."""
        self.facts = Facts(conn, self.records)
        """Facts and verdicts."""

    # A request uses few tables, so the objects for the others are not made.
    commits = cached_property(lambda store: Commits(store.connection))
    """The commits of arrivals, with their times."""
    arrival_pages = cached_property(lambda store: ArrivalPages(store.connection))
    """Pages of arrivals, the newest first."""
    stored_records = cached_property(lambda store: StoredRecords(store.connection))
    """Whole rows of records whose facts are all valid."""
    states = cached_property(lambda store: States(store.connection, store.facts))
    """States and the queue of stale ones."""
    citations = cached_property(lambda store: CitationIndex(store.connection))
    """The index of citations."""
    trust_log = cached_property(lambda store: TrustLog(store.connection))
    """The log of trusted keys and profiles."""
    integrity = cached_property(lambda store: IntegrityCheck(store.connection))
    """The integrity check."""
    counters = cached_property(lambda store: Counters(store.connection))
    """The counters of the whole store."""
    source_cache = cached_property(lambda store: SourceCache(store.connection))
    """The cache of sources, merged bags and exports."""
    sync_state = cached_property(lambda store: SyncState(store.connection))
    """The state of syncs with upstreams."""
    search_index = cached_property(lambda store: SearchIndex(store.connection))
    """The search index."""
    acknowledgements = cached_property(lambda store: AcknowledgementLog(store.connection))
    """The log of acknowledgements."""
    findings = cached_property(lambda store: FindingQueries(store.connection))
    """Queries for findings."""
    state_tree = cached_property(lambda store: StateTree(store.connection))
    """The Merkle tree over all states."""
    authorities = cached_property(lambda store: AuthorityLog(store.connection))
    """The log of time-stamp authorities."""
    checkpoints = cached_property(lambda store: CheckpointTable(store.connection))
    """Signed notes on roots."""
    checkpoint_proofs = cached_property(lambda store: CheckpointProofs(store.connection))
    """Proofs that checkpoints existed."""
    anchors = cached_property(lambda store: AnchorTable(store.connection))
    """Results of checks of time-stamps."""
    block_headers = cached_property(lambda store: BlockHeaders(store.connection))
    """Bitcoin block headers."""
    upstream_history = cached_property(lambda store: UpstreamHistory(store.connection))
    """Upstream's statements."""
    storage_checks = cached_property(lambda store: StorageChecks(store.connection))
    """Answers of archives."""
    paper_texts = cached_property(lambda store: PaperTextTable(store.connection))
    """Proved titles and abstracts."""

    @property
    def schema_version(self) -> int:
        """The number of migrations that made the tables."""
        return applied_version(self.connection)

    def data_version(self) -> int:
        """Return a number that changes when another connection writes to the file."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    @property
    def is_unlocked(self) -> bool:
        """Whether the file is read without locks, because no file can be made beside it."""
        return self._unlocked is not None

    def is_outdated(self) -> bool:
        """Whether reads may mix two states of the store; only possible if `is_unlocked`."""
        return (
            self._unlocked is not None
            and self.path is not None
            and changed(self.path, self._unlocked)
        )

    def require_unchanged(self) -> None:
        """Check that all reads were of one state of the store; always so unless `is_unlocked`.

        Raises:
            StoreError: `store.changed` if another process may have written meanwhile.
        """
        if not self.is_outdated():
            return
        hint = "run the command again; no lock file can be made beside the store"
        message = "another process wrote to the store while it was read"
        raise StoreError("store.changed", message, where=self.location, hint=hint)

    def interrupt_when(self, is_over: Callable[[], bool] | None) -> None:
        """Interrupt a running statement (`SQLITE_INTERRUPT`) when `is_over()`; None: never."""
        self.connection.set_progress_handler(is_over, _STEPS_BETWEEN_CALLS)

    def set_busy_timeout(self, seconds: float) -> None:
        """Set the longest wait for another process that writes."""
        self.connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def limit_cache(self, kib: int) -> None:
        """Set the size of the page cache."""
        self.connection.execute(f"PRAGMA cache_size = -{kib}")

    def version(self) -> StoreVersion:
        """Return the version of all that a state may depend on."""
        return read_version(self.connection)

    def version_at(self, at: str) -> StoreVersion:
        """Return the version that the store had at a time, written with microseconds.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        return version_at(self.connection, at)

    def status(self) -> Status:
        """Return the counts of the store."""
        return read_status(self.connection)

    def copy_to(self, path: Path, progress: Callable[[int], None]) -> None:
        """Copy the store to an empty file; call within a snapshot (see `copy.copy_to`)."""
        copy_to(self.connection, path, progress)

    def fact_counts(self) -> dict[str, int]:
        """Return how many rows each table of facts has."""
        return count_facts(self.connection)

    def facts_only_in(self, other: Path) -> dict[str, int]:
        """Return the numbers of facts that only another store has, by table, without zeros."""
        return facts_only_in(self.connection, other)

    def batch_writer(self, quota: int | None = None) -> BatchWriter:
        """Return a writer of new facts; use it within a transaction.

        Args:
            quota: How many unsigned facts of each kind are stored for one record (B4); None for
                no limit.
        """
        return BatchWriter(self.connection, self.records, self.facts, self.states, quota)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all writes of the block, or none.

        The write lock is taken at the start, so that nothing read in the block changes.
        """
        begin(self.connection, self.path)
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one state of the store in the block, even if other processes write.

        Raises:
            StoreError: `store.changed`; see `require_unchanged`.
        """
        self.connection.execute("BEGIN")
        try:
            yield
        except (sqlite3.Error, StoreError):
            self.require_unchanged()  # if that is why
            raise
        finally:
            self.connection.rollback()
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
    """Open the store at `path`, and create it if it does not exist; None is one in memory.

    Errors of SQLite within the `with` block become errors of the store.

    Args:
        path: The file.
        read_only: Open for reading; the store must exist.
        must_exist: Do not create a store.
        any_thread: Allow use by several threads in turn; by default only by the one that opens it.
        lenient: Decode text that is not UTF-8 with replacement characters, to look for damage.

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
        except _DAMAGE_ERRORS as error:
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
    return "memory" if path is None else escape_name(str(path))


def _is_there(path: Path) -> bool:
    """Whether a store exists there; an empty file is one whose creation was interrupted."""
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return True  # it exists; opening it gives the error


def _connect(
    path: Path | None, *, read_only: bool, any_thread: bool
) -> tuple[sqlite3.Connection, FileVersion | None]:
    """Open the file; also return its version if it is read without locks."""
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
    """Let SQLite recover after a killed process, which a read-only connection may not do.

    The read-only connection is opened before the writing one is closed: the last connection to
    close would checkpoint the log into the file, and the log may belong to another file.
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
    """Close a corrupt store without a WAL checkpoint: the log may belong to another file.

    The last connection to close would checkpoint, so a read-only one stays open meanwhile.
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
        hint = "change to a folder that exists, or name the store by its whole path with --db"
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
    conn.execute(SEEN_RECORDS)
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
    """Convert an error of SQLite, with a hint for the user."""
    place, name = _display(path), getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        hint = "another mirror process is writing; wait for it, then run the command again"
        return StoreBusyError("store.busy", str(error), where=place, hint=hint)
    if name == "SQLITE_NOTADB":
        hint = f"if it is not a store, name another file with --db; else {_restore_hint(path)}"
        message = "the file is not a SQLite database, or its first page is damaged"
        return CorruptStoreError("store.corrupt", message, where=place, hint=hint)
    if _is_corrupt(error):
        return _corrupt(str(error), path)
    hint = "committed data is intact; check the disk and its permissions"
    if name.startswith("SQLITE_FULL"):
        hint = "committed data is intact; make room on its disk and in the folder TMPDIR"
        return StoreError("store.full", str(error), where=place, hint=hint)
    code = "store.read_only" if name.startswith("SQLITE_READONLY") else "store.unreadable"
    return StoreError(code, str(error), where=place, hint=hint)
