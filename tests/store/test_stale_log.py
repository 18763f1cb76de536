"""An old `-wal` beside a copied store: named, and never the end of a sound store."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import BUNDLES, Mirror, mirror

__all__ = ["mirror"]  # the fixture

STORE = Path("m.db")
LOG = Path("m.db-wal")
SHARED = Path("m.db-shm")


@pytest.fixture
def restored(mirror: Mirror, tmp_path: Path) -> bytes:
    """A copy of a store in the place of the store that went on, whose log is still there.

    Its content is returned.
    """
    mirror("merge", BUNDLES / "pith.tar", "--db", STORE)
    with closing(sqlite3.connect(STORE)) as conn:
        conn.execute("VACUUM INTO 'backup.db'")
        conn.execute("BEGIN")
        conn.execute("SELECT 1 FROM record").fetchone()  # so that the log stays
        mirror("merge", BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json", "--db", STORE)
        old = {path: path.read_bytes() for path in (LOG, SHARED)}
    shutil.copyfile("backup.db", STORE)
    for path, content in old.items():
        path.write_bytes(content)
    return Path("backup.db").read_bytes()


def count(mirror: Mirror, store: Path) -> int:
    """The records in a store."""
    found = mirror("status", "--db", store, "--json").lines[0]["records"]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("check",), ("merge", BUNDLES / "demo.tar"), ("check", "--time-limit", "9s")],
)
@pytest.mark.parametrize("has_shared", [True, False])
def test_no_command_mixes_the_log_into_the_copy(
    restored: bytes, mirror: Mirror, arguments: tuple[object, ...], *, has_shared: bool
) -> None:
    """The error names the files that do not belong to it; none of them changes."""
    if not has_shared:
        SHARED.unlink()
    log = LOG.read_bytes()
    ran = mirror(*arguments, "--db", STORE)
    assert (4, True) == (ran.exit_code, "store.corrupt at m.db" in ran.stderr), ran
    assert "m.db-wal and m.db-shm" in ran.stderr
    assert restored == STORE.read_bytes()
    assert log == LOG.read_bytes()


def test_without_the_log_the_copy_is_sound(restored: bytes, mirror: Mirror) -> None:
    """The hint describes this way."""
    LOG.unlink()
    SHARED.unlink()
    assert 0 == mirror("check", "--db", STORE).exit_code
    assert restored == STORE.read_bytes()


def test_a_repair_keeps_what_the_file_alone_has(restored: bytes, mirror: Mirror) -> None:
    """The log is set aside with the file as it was, under a name that is printed."""
    expected = count(mirror, Path("backup.db"))
    ran = mirror("check", "--repair", "--db", STORE)
    assert (1, False) == (ran.exit_code, b"time is over" in ran.stdout)
    name = ran.stdout.split()[-1].decode()
    assert name.startswith("m.db.damaged-")
    assert restored == Path(name).read_bytes()
    assert Path(f"{name}-wal").stat().st_size > 0
    assert expected == count(mirror, STORE)
    assert 0 == mirror("check", "--db", STORE).exit_code


def test_a_repair_of_a_copy_that_is_damaged_too_keeps_the_rest(
    restored: bytes, mirror: Mirror
) -> None:
    """First the log is set aside, then what is damaged in the file."""
    expected = count(mirror, Path("backup.db"))
    with closing(sqlite3.connect("backup.db")) as conn:
        conn.execute("UPDATE arrival SET content = x'00' WHERE id = 7")
        conn.commit()
    shutil.copyfile("backup.db", STORE)
    ran = mirror("check", "--repair", "--db", STORE)
    assert (1, True) == (ran.exit_code, b"quarantined: 1 fact\n" in ran.stdout), ran
    assert expected == count(mirror, STORE)
    assert 0 == mirror("check", "--db", STORE).exit_code
    assert len(restored) > 0


def test_a_log_of_the_store_itself_is_no_reason_to_leave_it(mirror: Mirror) -> None:
    """Damage in the file is mended with all that its log holds."""
    mirror("merge", BUNDLES / "pith.tar", "--db", STORE)
    with closing(sqlite3.connect(STORE)) as conn:
        conn.execute("UPDATE arrival SET content = x'00' WHERE id = 7")
        conn.commit()
    with closing(sqlite3.connect(STORE)) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT 1 FROM record").fetchone()
        mirror("merge", BUNDLES / "demo.tar", "--db", STORE)
        log = LOG.read_bytes()
        content = STORE.read_bytes()
    STORE.write_bytes(content)
    LOG.write_bytes(log)
    SHARED.unlink(missing_ok=True)
    expected = count(mirror, STORE)
    ran = mirror("check", "--repair", "--db", STORE)
    assert (1, False) == (ran.exit_code, b"old file" in ran.stdout), ran
    assert expected == count(mirror, STORE)


def test_an_unreadable_file_is_not_reported_as_out_of_time(restored: bytes, mirror: Mirror) -> None:
    """A file that cannot be read to its end is something else."""
    LOG.unlink()
    SHARED.unlink()
    with closing(sqlite3.connect(STORE)) as conn:
        (size,) = conn.execute("PRAGMA page_size").fetchone()
        (page,) = conn.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'record'"
        ).fetchone()
    STORE.write_bytes(restored[: (page - 1) * size] + bytes(size) + restored[page * size :])
    ran = mirror("check", "--db", STORE)
    assert (1, True) == (ran.exit_code, b"not all of the file can be read" in ran.stdout), ran
    assert b"time is over" not in ran.stdout
