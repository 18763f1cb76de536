"""`mirror backup`: a copy with all that the store keeps, made while others write."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mirror.core.keys import parse_key_set
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.backup import back_up
from mirror.engine.states.trust import add_keys
from mirror.errors import OutputError
from mirror.store import APPLICATION_ID, open_store
from mirror.store import copy as store_copy
from tests.builders import Signer, key_set_file
from tests.cli.conftest import BUNDLES, Mirror

DEMO, PITH = BUNDLES / "demo.tar", BUNDLES / "pith.tar"
TABLES = (
    *("run", "record", "arrival", "trust", "upstream_history", "checkpoint", "quarantine", "state"),
    *("acknowledgement", "acknowledged_finding"),
)
MAY_BE_EMPTY = {"quarantine", "acknowledgement", "acknowledged_finding"}


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that a copy must keep."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        return {table: conn.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}  # noqa: S608


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a store with keys, a checkpoint, and upstream statements."""
    return tmp_path_factory.mktemp("full")


@pytest.fixture
def store(full: Path, tmp_path: Path, mirror: Mirror) -> Path:
    """A copy of it, made once."""
    made = full / "mirror.db"
    if not made.exists():
        keys = ["--keys", BUNDLES / "demo-keys.json"]
        assert 0 == mirror("merge", DEMO, "--db", made, *keys, "--out", full / "states").exit_code
        mirror("keys", "new", full / "mirror.key", "--name", "mirror.example/pith")
        assert (
            0 == mirror("checkpoint", "sign", "--db", made, "--key", full / "mirror.key").exit_code
        )
        assert 0 == mirror("compare", "--db", made, "--upstream", full / "states").exit_code
        with closing(sqlite3.connect(made)) as conn:  # all of it in one file
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(made, tmp_path / "mirror.db")
    return tmp_path / "mirror.db"


def test_a_copy_keeps_everything(mirror: Mirror, store: Path) -> None:
    """Keys, checkpoints, upstream's statements, sources and times; and it works as a store."""
    ran = mirror("backup", "backup.db", "--json")
    (line,) = ran.lines
    expected = rows(store)
    assert all(expected[table] for table in TABLES if table not in MAY_BE_EMPTY)
    assert expected == rows(Path("backup.db"))
    assert (0, "", "backup.db") == (ran.exit_code, ran.stderr, line["file"])
    names = ("records", "arrivals", "trust_changes", "checkpoints", "upstream_statements")
    tables = ("record", "arrival", "trust", "checkpoint", "upstream_history")
    assert [len(expected[table]) for table in tables] == [line[name] for name in names]
    assert mirror("root").stdout == mirror("root", "--db", "backup.db").stdout
    assert 0 == mirror("check", "--db", "backup.db").exit_code
    assert [] == [one for one in Path().iterdir() if one.name.endswith(".partial")]
    assert b"checked" in mirror("backup", "text.db").stdout


def test_others_may_write_meanwhile(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy holds what was there when it began, and nothing by halves."""
    monkeypatch.setattr(store_copy, "_PAGES_AT_ONCE", 4)
    before, written = rows(store), 0

    def write(_pages: int) -> None:
        nonlocal written
        if written < 3:
            with open_store(store) as other:
                add_keys(other, parse_key_set(key_set_file(Signer(f"signer-{written}"))))
            written += 1

    back_up(store, OutputFile(tmp_path / "backup.db"), write)
    assert written == 3
    assert before == rows(tmp_path / "backup.db") != rows(store)


def test_an_interrupted_copy_leaves_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older copy is as it was."""
    monkeypatch.setattr(store_copy, "_PAGES_AT_ONCE", 4)
    out = OutputFile(tmp_path / "backup.db", force=True, may_replace=frozenset({APPLICATION_ID}))
    back_up(store, out)
    before = {one: one.read_bytes() for one in tmp_path.iterdir() if "mirror.db" not in one.name}

    def stop(_pages: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(store, out, stop)
    left = {one: one.read_bytes() for one in tmp_path.iterdir() if "mirror.db" not in one.name}
    assert before == left


def test_an_older_copy_is_replaced(mirror: Mirror, store: Path) -> None:
    """Also one that was read since, which leaves an empty log beside it."""
    mirror("backup", "backup.db")
    mirror("merge", PITH)
    assert 0 == mirror("status", "--db", "backup.db").exit_code
    assert 3 == mirror("backup", "backup.db").exit_code
    assert 0 == mirror("backup", "backup.db", "--force").exit_code
    assert not Path("backup.db-wal").exists()
    assert rows(store) == rows(Path("backup.db"))


def test_a_copy_of_an_older_version_is_replaced(mirror: Mirror, store: Path) -> None:
    """It has fewer tables, and no fact that this store lacks."""
    mirror("backup", "backup.db")
    with closing(sqlite3.connect("backup.db")) as conn:
        conn.execute("DROP TABLE paper_text")
        conn.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm0003%'")
        conn.commit()
    assert 0 == mirror("backup", "backup.db", "--force").exit_code


def test_a_copy_with_other_facts_is_not_replaced(mirror: Mirror, store: Path) -> None:
    """As when the two names are confused: the newer one would be lost."""
    mirror("backup", "backup.db")
    mirror("keys", "remove", "demo-author-2026")
    before = rows(store)
    ran = mirror("backup", "--db", "backup.db", "mirror.db", "--force")
    assert (3, before) == (ran.exit_code, rows(store))
    assert "output.refused at mirror.db: it holds facts that this store does not" in ran.stderr
    assert "(trust 1)" in ran.stderr


def test_a_copy_with_other_acknowledgements_is_not_replaced(mirror: Mirror, store: Path) -> None:
    """No bundle has them: they would be lost for ever."""
    mirror("merge", BUNDLES / "invalid" / "event.signature.json")
    mirror("backup", "backup.db")
    known = ("--code", "event.signature", "--by", "Ada", "--reason", "reported")
    assert 0 == mirror("findings", "ack", *known).exit_code
    before = rows(store)
    ran = mirror("backup", "--db", "backup.db", "mirror.db", "--force")
    assert (3, before) == (ran.exit_code, rows(store))
    assert "(acknowledgement 1)" in ran.stderr
    assert 0 == mirror("backup", "backup.db", "--force").exit_code
    assert rows(store) == rows(Path("backup.db"))


def test_a_copy_that_is_open_or_broken_is_not_replaced(mirror: Mirror, store: Path) -> None:
    """Nor is a name taken beside which a log of another file is."""
    mirror("backup", "backup.db")
    with open_store(Path("backup.db")) as other, other.snapshot():
        other.status()
        ran = mirror("backup", "backup.db", "--force")
        assert (3, True) == (ran.exit_code, "the file is open" in ran.stderr)
    data = bytearray(Path("backup.db").read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    Path("backup.db").write_bytes(data)
    ran = mirror("backup", "backup.db", "--force")
    assert (3, True) == (ran.exit_code, "it cannot be compared" in ran.stderr)
    assert data == Path("backup.db").read_bytes()
    Path("new.db-wal").write_bytes(b"of another")
    assert 3 == mirror("backup", "new.db", "--force").exit_code
    assert not Path("new.db").exists()
    with closing(sqlite3.connect("foreign.db")) as conn:
        conn.execute("CREATE TABLE x (y)")
    ran = mirror("backup", "foreign.db", "--force")
    assert (3, True) == (ran.exit_code, "output.refused" in ran.stderr)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trust SET at = '2000'",
        "UPDATE checkpoint SET size = 1",
        "UPDATE upstream_history SET digest = x'00'",
        "UPDATE arrival SET member = 'x' WHERE id = 1",
        "UPDATE run SET source = 'x'",
    ],
)
def test_a_damaged_store_replaces_no_sound_copy(mirror: Mirror, store: Path, damage: str) -> None:
    """`store.damaged`, exit 4."""
    mirror("backup", "backup.db")
    before = Path("backup.db").read_bytes()
    with closing(sqlite3.connect(store)) as conn:
        conn.execute(damage)
        conn.commit()
    for name, *more in (["backup.db", "--force"], ["new.db"]):
        ran = mirror("backup", name, *more)
        assert ran.exit_code in {3, 4}, ran.stderr
        assert "store.damaged" in ran.stderr
    assert (before, False) == (Path("backup.db").read_bytes(), Path("new.db").exists())


def test_a_store_that_is_not_there_is_not_made(mirror: Mirror) -> None:
    """`store.absent`, exit 4."""
    ran = mirror("backup", "backup.db")
    assert (4, [], True) == (ran.exit_code, list(Path().iterdir()), "store.absent" in ran.stderr)


def test_a_full_disk_is_an_error_of_the_copy(store: Path, tmp_path: Path) -> None:
    """`output.failed`, exit 3: there is nothing wrong with the store."""
    command = f"ulimit -f 100; {sys.executable} -m mirror backup backup.db"
    done = subprocess.run(
        ["bash", "-c", command],  # noqa: S607
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (3, True) == (done.returncode, b"output.failed at backup.db" in done.stderr), done.stderr
    assert [] == [one for one in tmp_path.iterdir() if "backup" in one.name]


def test_the_engine_keeps_an_existing_file(store: Path, tmp_path: Path) -> None:
    """Also when no command calls it."""
    (tmp_path / "backup.db").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"^output\.exists"):
        back_up(store, OutputFile(tmp_path / "backup.db"))
    assert b"precious" == (tmp_path / "backup.db").read_bytes()
