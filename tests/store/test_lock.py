"""Waiting for another process that writes, and saying so."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

import pytest

from mirror.errors import StoreBusyError
from mirror.store import lock, open_store


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, for which nobody waits a whole second before it is said."""
    monkeypatch.setattr(lock, "QUIET_MS", 1)
    with open_store(tmp_path / "mirror.db"):
        pass
    return tmp_path / "mirror.db"


def test_waiting_for_a_lock_is_logged_and_then_continues(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning names the process; when that is finished, writing continues."""
    with open_store(path) as other, open_store(path) as store:
        conn = other.connection
        conn.execute("BEGIN IMMEDIATE")

        def release(_record: logging.LogRecord) -> bool:
            conn.rollback()
            return True

        logger = logging.getLogger("mirror.store.lock")
        logger.addFilter(release)
        try:
            with store.transaction():
                assert store.connection.in_transaction
        finally:
            logger.removeFilter(release)
        (limit,) = store.connection.execute("PRAGMA busy_timeout").fetchone()
    assert limit == 30_000
    (said,) = caplog.messages
    process = f"process {os.getpid()} (" if Path("/proc/locks").exists() else "another process"
    assert said.startswith(f"waiting for {process}")
    assert said.endswith(f"which writes to {path}; up to 30 s")


def write(path: Path, limit_s: float) -> None:
    """Take the write lock, waiting for it at most so long."""
    with open_store(path) as store:
        store.set_busy_timeout(limit_s)
        with store.transaction():
            pass


def test_waiting_for_a_lock_ends_at_the_limit(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`store.busy`; nothing is logged if there is no wait."""
    with open_store(path) as other, other.transaction():
        for limit, told in (0.001, 0), (0.05, 1):
            caplog.clear()
            with pytest.raises(StoreBusyError, match=r"^store\.busy"):
                write(path, limit)
            assert told == len(caplog.messages)


def test_the_writer_of_a_file_without_a_log_is_found(tmp_path: Path) -> None:
    """A store that is not in WAL mode is locked in the file itself."""
    if not Path("/proc/locks").exists():
        pytest.skip("this system does not list its locks")
    path = tmp_path / "plain.db"
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("CREATE TABLE x (y)")
    assert lock.holder(path) == ""
    conn.execute("BEGIN IMMEDIATE")
    assert lock.holder(path).startswith(f"process {os.getpid()} (")
    conn.close()
    assert lock.holder(path) == lock.holder(tmp_path / "absent") == ""


@pytest.mark.parametrize(
    "line",
    [
        "1: POSIX ADVISORY READ 7 {inode} 120 120",
        "1: POSIX ADVISORY WRITE 7 {inode} 121 121",
        "1: POSIX ADVISORY WRITE 7 00:00:1 120 120",
        "1: OFDLCK ADVISORY WRITE -1 {inode} 120 120",
        "1: -> POSIX ADVISORY WRITE 7 {inode} 120 120",
        "nonsense",
    ],
)
def test_other_locks_are_no_writers(
    line: str, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Readers, other bytes, other files, locks of no process, and processes that wait."""
    shm = path.with_name("mirror.db-shm")
    shm.touch()
    locks = tmp_path / "locks"
    locks.write_text(line.replace("{inode}", lock._inode(shm)) + "\n")
    monkeypatch.setattr(lock, "_LOCKS", locks)
    assert lock.holder(path) == ""
    locks.write_text(f"1: POSIX ADVISORY WRITE 999999999 {lock._inode(shm)} 0 EOF\n")
    assert lock.holder(path) == "process 999999999"
