"""A store in a folder where nothing may be written, read while others write to it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mirror.store import Store, open_store
from mirror.store.readonly import changed, file_version, has_log
from tests.synthetic import fill, make_leaves

LEAVES = make_leaves(300)
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Runs a command of root so that the modes of files bind it, too."""

READER = """
import sys
from pathlib import Path
from mirror.errors import StoreError
from mirror.store import open_store

def next_order():
    try:
        with open_store(Path(sys.argv[1]), read_only=True) as store:
            print(store.records.count(), flush=True)
            for line in sys.stdin:
                if line == "reopen\\n":
                    return True
                try:
                    with store.snapshot():
                        count = store.records.count()
                        if line == "held\\n":
                            print("held", flush=True)
                            sys.stdin.readline()
                    print(count, flush=True)
                except StoreError as error:
                    print(error.code, flush=True)
    except StoreError as error:
        print(error.code, flush=True)
        return sys.stdin.readline() == "reopen\\n"
    return False

while next_order():
    pass
"""


class Reader:
    """A process that may read the store, and write nowhere near it."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [*WITHOUT_RIGHTS, sys.executable, "-c", READER, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        """Ask for a count in a snapshot, in the open store or after opening it again."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return str(self.process.stdout.readline().strip())

    def close(self) -> None:
        """End the process."""
        with self.process:
            pass


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    reader = Reader(path)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of 100 made-up states that may only be read, in such a folder."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can write where another process of this test may not")
    path = tmp_path / "store" / "mirror.db"
    path.parent.mkdir()
    with open_store(path) as store:
        fill(store, LEAVES[:100])
    path.chmod(0o444)  # and so are the files beside it
    path.parent.chmod(0o555)
    return path


def _add(store: Store, first: int, last: int) -> None:
    fill(store, LEAVES[first:last])


def test_without_a_log_the_file_is_the_whole_store(path: Path) -> None:
    with reading(path) as reader:
        assert reader.first == "100"
        assert reader.ask("again") == "100"
    assert sorted(one.name for one in path.parent.iterdir()) == ["mirror.db"]


def test_commits_of_an_open_writer_are_seen(path: Path) -> None:
    with open_store(path) as writer, reading(path) as reader:
        assert reader.first == "100"
        _add(writer, 100, 200)
        assert reader.ask("again") == "200"


def test_a_reader_without_locks_reports_that_the_store_changed(path: Path) -> None:
    """No result mixes two states; opened again, the store has the current one."""
    with reading(path) as reader:
        assert reader.first == "100"
        with open_store(path) as writer:
            _add(writer, 100, 200)
            assert reader.ask("again") == "store.changed"
            assert reader.ask("reopen") == "store.changed"  # what was said on closing it
            assert reader.ask("reopen") == "200"
            _add(writer, 200, 250)
            assert reader.ask("again") == "250"
        assert reader.ask("again") == "250"
        with open_store(path) as writer:
            _add(writer, 250, 300)
        assert reader.ask("again") == "300"


def test_a_write_during_a_snapshot_without_locks_is_found(path: Path) -> None:
    with reading(path) as reader:
        assert reader.ask("held") == "held"
        with open_store(path) as writer:
            _add(writer, 100, 200)
        assert not has_log(path)
        assert reader.ask("go on") == "store.changed"


def test_the_log_of_a_killed_writer_is_read(path: Path) -> None:
    _leave_log(path)
    with reading(path) as reader:
        assert reader.first == "200"


def test_a_log_without_its_shared_memory_is_unreadable(path: Path) -> None:
    """The log has committed data; the file alone would be an older state."""
    _leave_log(path)
    path.with_name("mirror.db-shm").unlink()
    with reading(path) as reader:
        assert reader.first == "store.unreadable"


def test_a_transaction_of_a_killed_process_is_rolled_back(path: Path) -> None:
    """SQLite needs to write for that, which a read-only connection may not do."""
    journal = path.with_name("mirror.db-journal")
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executescript("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN")
        conn.execute("UPDATE record SET value = zeroblob(9000)")
        left = path.read_bytes(), journal.read_bytes()
    path.write_bytes(left[0])
    journal.write_bytes(left[1])
    with open_store(path, read_only=True) as store:
        (longest,) = store.connection.execute("SELECT max(length(value)) FROM record").fetchone()
        assert (store.records.count(), longest < 9000) == (100, True)
    assert not journal.exists()


def _leave_log(path: Path) -> None:
    """Write to the store as one that is killed before it writes its log back."""
    with open_store(path) as writer:
        _add(writer, 100, 200)
        kept = {
            name: path.with_name(name).read_bytes()
            for name in ("mirror.db", "mirror.db-wal", "mirror.db-shm")
        }
    for name, content in kept.items():
        path.with_name(name).write_bytes(content)
        path.with_name(name).chmod(0o444)
    assert has_log(path)


def test_a_file_that_was_replaced_is_another_version(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"1")
    version = file_version(one)
    assert not changed(one, version)
    other.rename(one)
    assert changed(one, version)
    one.unlink()
    assert changed(one, version)


def test_a_store_read_with_locks_is_never_reported_as_changed(tmp_path: Path) -> None:
    path = tmp_path / "mirror.db"
    with open_store(path) as writer:
        fill(writer, LEAVES[:10])
        with open_store(path, read_only=True) as reader:
            assert not reader.is_unlocked
            fill(writer, LEAVES[10:20])
            reader.require_unchanged()
            assert reader.records.count() == 20
