"""A damaged store under every command: codes or right answers, and never a traceback.

`MIRROR_FLIPS` is how many damages are tried, `MIRROR_SEED` which; some thousands are a long run.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirror.cli import main
from mirror.store import open_store
from tests.cli.conftest import BUNDLES, Mirror, Ran, mirror

__all__ = ["mirror"]  # the fixture

DAMAGES = int(os.environ.get("MIRROR_FLIPS", "4"))
SEED = int(os.environ.get("MIRROR_SEED", "8"))
PAGE = 8192

ID = "EI5HAOZQLTRXHSO6XXITW2U5X6"
ROOT = ("root", "--json")
EXACT: tuple[tuple[object, ...], ...] = (
    ROOT,
    ("show", ID, "--json"),
    ("show", ID, "--bundle"),
    ("prove", ID),
    ("keys", "list", "--json"),
    ("export", "out.tar", "--force"),
)
"""Commands that give what a sound store gives, if they end well."""
COMMANDS: tuple[tuple[object, ...], ...] = (
    *EXACT,
    ("status",),
    ("find", "quantum"),
    ("checkpoint", "list"),
    ("findings",),
    ("compare", "--upstream", BUNDLES / "demo.states.jsonl"),
    ("merge", BUNDLES / "demo.tar"),
    ("rebuild",),
    ("check",),
    ("check", "--repair"),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bag, with its tree and its search index."""
    path = tmp_path_factory.mktemp("sound") / "m.db"
    merge = ("merge", BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json")
    for arguments in (merge, ROOT, ("find", "quantum")):
        ran = CliRunner().invoke(main, [*map(str, arguments), "--db", str(path)])
        assert ran.exit_code in {0, 1}, ran.output
    return path


@pytest.fixture(scope="module")
def right(sound: Path) -> dict[tuple[object, ...], bytes]:
    """The answers of the sound store."""
    found = {}
    for arguments in EXACT:
        words = [str(sound.parent / one) if one == "out.tar" else str(one) for one in arguments]
        ran = CliRunner().invoke(main, [*words, "--db", str(sound)])
        assert ran.exit_code == 0, ran.output
        is_file = arguments[0] == "export"
        found[arguments] = (sound.parent / "out.tar").read_bytes() if is_file else ran.stdout_bytes
    return found


# Damages -------------------------------------------------------------------------------------

_Damage = Callable[[bytearray, random.Random], None]


def _flip(content: bytearray, choose: random.Random) -> None:
    content[choose.randrange(len(content))] ^= choose.randrange(1, 256)


def _flip_head(content: bytearray, choose: random.Random) -> None:
    """Change a byte of the schema or of the head of a page, from which others are found."""
    page = choose.choice([0, 1, choose.randrange(len(content) // PAGE)])
    content[page * PAGE + choose.randrange(300)] ^= choose.randrange(1, 256)


def _swap(content: bytearray, choose: random.Random) -> None:
    one, other = (choose.randrange(len(content) // PAGE) * PAGE for _ in range(2))
    kept = content[one : one + PAGE]
    content[one : one + PAGE] = content[other : other + PAGE]
    content[other : other + PAGE] = kept


def _repeat(content: bytearray, choose: random.Random) -> None:
    """Put a page in the place of another, as a disk does that writes to the wrong place."""
    one, other = (choose.randrange(len(content) // PAGE) * PAGE for _ in range(2))
    content[one : one + PAGE] = content[other : other + PAGE]


def _zero(content: bytearray, choose: random.Random) -> None:
    at = choose.randrange(len(content) // PAGE) * PAGE
    content[at : at + PAGE] = bytes(PAGE)


def _truncate(content: bytearray, choose: random.Random) -> None:
    del content[choose.choice([choose.randrange(len(content)), choose.randrange(200)]) :]


KINDS: tuple[_Damage, ...] = (*[_flip] * 4, *[_flip_head] * 3, _swap, _repeat, _zero, _truncate)


def _run(
    mirror: Mirror, folder: Path, content: bytes | bytearray, arguments: tuple[object, ...]
) -> Ran:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "m.db").write_bytes(content)
    return mirror(*arguments, "--db", folder / "m.db")


def _answer(ran: Ran, arguments: tuple[object, ...]) -> bytes:
    return Path("out.tar").read_bytes() if arguments[0] == "export" else ran.stdout


@pytest.mark.parametrize("number", range(DAMAGES))
def test_a_damaged_store_gives_codes_or_right_answers(
    sound: Path,
    right: dict[tuple[object, ...], bytes],
    mirror: Mirror,
    tmp_path: Path,
    number: int,
) -> None:
    """Any byte may be damaged, and any command may read it."""
    choose = random.Random(SEED * 1_000_000 + number)
    damaged = bytearray(sound.read_bytes())
    choose.choice(KINDS)(damaged, choose)
    for arguments in COMMANDS:
        ran = _run(mirror, tmp_path / "work", damaged, arguments)
        assert ran.exit_code in {0, 1, 4}, (arguments, ran)
        assert ran.exit_code != 4 or "error: store." in ran.stderr, (arguments, ran)
        if ran.exit_code == 0 and arguments in EXACT:
            said = _answer(ran, arguments)
            assert right[arguments] == said, arguments
        if ran.exit_code == 0 and arguments[0] in {"merge", "rebuild", "check"}:
            _require_sound_or_named(mirror, sound, tmp_path / "work" / "m.db", arguments)


def _require_sound_or_named(
    mirror: Mirror, sound: Path, path: Path, arguments: tuple[object, ...]
) -> None:
    """Check the store after a command that ended well."""
    if arguments == ("check", "--repair"):  # what is left is sound; it may be less than there was
        assert 0 == mirror("check", "--db", path).exit_code
        return
    root = mirror(*ROOT, "--db", path)
    if root.exit_code == 0:
        assert mirror(*ROOT, "--db", sound).stdout == root.stdout, arguments
    else:
        assert (4, False) == (root.exit_code, arguments == ("check",)), (arguments, root)


# Damages that were met -----------------------------------------------------------------------


def _change_schema(path: Path, *queries: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA writable_schema = ON")
        for query in queries:
            conn.execute(query)


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    """A copy of the sound store."""
    return Path(shutil.copy(sound, tmp_path / "m.db"))


def test_facts_missing_from_an_index_are_not_taken_for_absent(store: Path, mirror: Mirror) -> None:
    """A rebuild would reach no verdict, and agree with itself ever after."""
    root = mirror(*ROOT, "--db", store).stdout
    _change_schema(
        store,
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
        "WHERE name = 'upstream_history_by_record') WHERE name = 'arrival_by_record'",
    )
    for arguments in (("rebuild",), ("rebuild", "--states-only")):
        ran = mirror(*arguments, "--db", store)
        assert (4, True) == (ran.exit_code, "check --repair" in ran.stderr), ran
    assert 1 == mirror("check", "--db", store).exit_code
    assert 1 == mirror("check", "--repair", "--db", store).exit_code
    assert 0 == mirror("check", "--db", store).exit_code
    assert root == mirror(*ROOT, "--db", store).stdout


def test_a_missing_trust_log_is_found(store: Path, mirror: Mirror) -> None:
    """An empty page in its place would bring back the built-in key, and forget all others."""
    assert 0 == mirror("keys", "remove", "pith-v1-2026-05", "--db", store).exit_code
    _change_schema(
        store,
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
        "WHERE name = 'check_progress') WHERE name = 'trust'",
    )
    for arguments in (ROOT, ("keys", "list"), ("prove", ID), ("merge", BUNDLES / "demo.tar")):
        ran = mirror(*arguments, "--db", store)
        assert (4, True) == (ran.exit_code, "error: store.damaged at trust: " in ran.stderr), ran
    assert 1 == mirror("check", "--repair", "--db", store).exit_code
    assert 0 == mirror("check", "--db", store).exit_code
    assert [] == mirror("keys", "list", "--json", "--db", store).lines  # nobody is trusted again


def test_lost_lines_at_the_end_of_the_trust_log_are_found(store: Path, mirror: Mirror) -> None:
    """A removal that is undone by damage is not undone."""
    assert 0 == mirror("keys", "remove", "pith-v1-2026-05", "--db", store).exit_code
    with closing(sqlite3.connect(store)) as conn, conn:
        conn.execute("DELETE FROM trust WHERE id = (SELECT max(id) FROM trust)")
    assert 4 == mirror("keys", "list", "--db", store).exit_code
    assert 1 == mirror("check", "--repair", "--db", store).exit_code
    assert [] == mirror("keys", "list", "--json", "--db", store).lines


def test_a_value_that_the_schema_forbids_is_damage(store: Path, mirror: Mirror) -> None:
    """SQLite hands out NULL from a column that is NOT NULL, if a page holds it."""
    _change_schema(
        store,
        "UPDATE sqlite_schema SET sql = replace(sql, 'equivocation_count INTEGER NOT NULL', "
        "'equivocation_count INTEGER') WHERE name = 'state'",
    )
    with closing(sqlite3.connect(store)) as conn, conn:
        conn.execute("UPDATE state SET equivocation_count = NULL")
    _change_schema(
        store,
        "UPDATE sqlite_schema SET sql = replace(sql, 'equivocation_count INTEGER', "
        "'equivocation_count INTEGER NOT NULL') WHERE name = 'state'",
    )
    for arguments in (("rebuild",), ("keys", "remove", "pith-v1-2026-05")):
        ran = mirror(*arguments, "--db", store)
        assert (4, True) == (ran.exit_code, "error: store.corrupt at " in ran.stderr), ran
        assert "NULL value in state.equivocation_count" in ran.stderr


def test_a_search_index_that_cannot_be_opened_is_made_again(store: Path, mirror: Mirror) -> None:
    """Its settings are gone, without which FTS5 opens nothing."""
    found = mirror("find", "quantum", "--db", store).stdout
    with closing(sqlite3.connect(store)) as conn, conn:
        conn.execute("DELETE FROM full_text_config")
    assert 1 == mirror("check", "--repair", "--db", store).exit_code
    assert 0 == mirror("check", "--db", store).exit_code
    assert found == mirror("find", "quantum", "--db", store).stdout


@pytest.mark.parametrize(
    ("table", "column", "arguments"),
    [
        ("_sqlite_migrations", "applied_at", ()),  # no command reads it but check
        ("rules", "version", ("merge", BUNDLES / "demo.tar")),
        ("counter", "name", ("status",)),
    ],
)
def test_text_that_is_not_utf_8_is_found_and_repaired(
    store: Path, mirror: Mirror, table: str, column: str, arguments: tuple[object, ...]
) -> None:
    """In the tables that have no seals."""
    root = mirror(*ROOT, "--db", store).stdout
    with closing(sqlite3.connect(store)) as conn, conn:
        conn.execute(f"UPDATE {table} SET {column} = CAST(x'ff' || {column} AS TEXT)")  # noqa: S608
    if arguments:
        ran = mirror(*arguments, "--db", store)
        assert (4, True) == (ran.exit_code, "error: store.corrupt at " in ran.stderr), ran
    else:
        assert root == mirror(*ROOT, "--db", store).stdout
    assert 1 == mirror("check", "--db", store).exit_code
    assert 1 == mirror("check", "--repair", "--db", store).exit_code
    assert 0 == mirror("check", "--db", store).exit_code
    assert root == mirror(*ROOT, "--db", store).stdout


@pytest.mark.parametrize("arguments", [("status",), ("check",), ("merge", BUNDLES / "demo.tar")])
def test_a_schema_that_is_not_utf_8_is_an_error(
    sound: Path, mirror: Mirror, tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    """SQLite quotes it in its message, which Python then cannot decode."""
    store = tmp_path / "m.db"
    store.write_bytes(
        sound.read_bytes().replace(b"record_by_suffix ON", b"record_by\xec \xce\xec\xec\xec\xec ON")
    )
    ran = mirror(*arguments, "--db", store)
    assert (4, True) == (ran.exit_code, "store.corrupt at " in ran.stderr), ran


def test_a_fault_of_the_program_is_not_taken_for_damage(store: Path) -> None:
    """In a sound store, it stays what it is."""
    with pytest.raises(TypeError, match="a fault"), open_store(store):
        raise TypeError("a fault")
