"""Broken stores: whatever is damaged is named, and nothing damaged is served or merged as good."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mirror.core.keys import parse_key_set
from mirror.engine.check import Scope, check, check_and_repair
from mirror.engine.export import bundle_text
from mirror.engine.ingest import ingest
from mirror.engine.rebuild import rebuild
from mirror.engine.replay import current_text
from mirror.engine.report import Job
from mirror.engine.trust import add_keys
from mirror.errors import MirrorError, StoreError
from mirror.store import Damage, open_store
from tests.cli.conftest import BUNDLES

DEMO = BUNDLES / "demo.tar"
KEYS = list(parse_key_set((BUNDLES / "demo-keys.json").read_bytes()))
TABLES = ("run", "arrival", "record", "alias_claim", "receipt", "event", "trust", "ledger",
          "event_verdict", "receipt_verdict", "named_key", "state")  # fmt: skip


def _job() -> Job:
    return Job([str(DEMO)], lambda _report: None)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bag, in one file."""
    path = tmp_path_factory.mktemp("good") / "mirror.db"
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, _job())
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    return path


@pytest.fixture
def path(good: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copy(good, tmp_path / "mirror.db"))


def _states(path: Path) -> dict[str, bytes]:
    with open_store(path, read_only=True) as store:
        keys = store.trust.key_set()
        return {
            store.records.get(one).pith_number: current_text(store, one, keys)
            for one in store.records.all_ids()
        }


def _served(path: Path) -> list[tuple[str, bytes]]:
    """All that the store is willing to show: states and bundles, record by record."""
    shown = []
    try:
        with open_store(path, read_only=True) as store:
            keys = store.trust.key_set()
            ids = list(store.records.all_ids())
            for one in ids:
                try:
                    number = store.records.get(one).pith_number
                    shown.append((number, current_text(store, one, keys)))
                    shown.append((number + " bundle", bundle_text(store, one)))
                except (StoreError, sqlite3.Error):
                    continue
    except StoreError:
        return shown
    return shown


def _good_answers(good: Path) -> set[tuple[str, bytes]]:
    return set(_served(good))


def _check(path: Path) -> list[Damage]:
    return check(path, Scope(), lambda _damage: None).damages


def _break(path: Path, query: str, *arguments: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("PRAGMA ignore_check_constraints = ON")
        assert conn.execute(query, arguments).rowcount > 0


def _cells() -> list[tuple[str, str]]:
    """Every column of every table."""
    with open_store(None) as store:
        conn = store._db.conn
        return [
            (table, row[1])
            for table in TABLES
            for row in conn.execute(f"PRAGMA table_info({table})")
        ]


CELLS = _cells()


def _changed(value: object, kind: str) -> object:
    """A value of the same type that differs."""
    if isinstance(value, int):
        return value + 1_000_000
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if value is None:
        return "event.id"
    return str(value) + "x" if kind == "text" else None


# One cell at a time --------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "column"), CELLS, ids=lambda name: name)
def test_a_changed_cell_is_found_and_never_served(
    table: str, column: str, path: Path, good: Path
) -> None:
    """In every table, every column: `check` names it, and answers stay right or are refused."""
    with closing(sqlite3.connect(path)) as conn:
        where = "code IS NULL" if column == "code" else f"{column} IS NOT NULL"
        (value,) = conn.execute(
            f"SELECT {column} FROM {table} WHERE {where} LIMIT 1"  # noqa: S608
        ).fetchone()
    condition = f"{column} IS NULL" if value is None else f"{column} = ?"
    arguments = [] if value is None else [value]
    key = "rowid" if table not in {"alias_claim", "named_key"} else column
    query = (
        f"UPDATE {table} SET {column} = ? WHERE {key} = "  # noqa: S608
        f"(SELECT {key} FROM {table} WHERE {condition} LIMIT 1)"
    )
    new = _changed(value, "text")
    if (table, column) == ("trust", "id"):
        pytest.skip("the lines stay in their order, and say the same")
    if (table, column) == ("trust", "action"):
        new = "remove"
    try:
        _break(path, query, new, *arguments)
    except sqlite3.IntegrityError:
        pytest.skip("the schema itself does not allow another value there")
    assert _check(path) != []
    assert set(_served(path)) <= _good_answers(good)


@pytest.mark.parametrize("table", TABLES)
def test_a_lost_row_is_found_and_never_served(table: str, path: Path, good: Path) -> None:
    """A row that is gone is missed, but for an origin's or a record's own word."""
    key = "rowid" if table not in {"alias_claim", "named_key"} else "record_id"
    _break(path, f"DELETE FROM {table} WHERE {key} = (SELECT min({key}) FROM {table})")  # noqa: S608
    assert _check(path) != []
    assert set(_served(path)) <= _good_answers(good)


def test_a_forged_verdict_is_not_believed(path: Path, good: Path) -> None:
    """To write that an event is invalid, or valid, does not make it so."""
    _break(path, "UPDATE event_verdict SET code = 'event.signature' WHERE event_id = 5")
    (damage,) = _check(path)
    assert ("event_verdict", 5) == (damage.fact, damage.row_id)
    assert set(_served(path)) <= _good_answers(good)


# Repair and rebuild --------------------------------------------------------------------------

BREAKS = {
    "event": "UPDATE event SET value = x'00' WHERE id = 7",
    "receipt": "UPDATE receipt SET digest = x'00' WHERE id = 1",
    "alias_claim": "UPDATE alias_claim SET created_at = 'never' "
    "WHERE (record_id, alias_kind, created_at) IN (SELECT record_id, alias_kind, min(created_at) "
    "FROM alias_claim GROUP BY record_id, alias_kind LIMIT 1)",
    "record": "UPDATE record SET value = x'c1' WHERE id = 2",
    "run": "UPDATE run SET source = 'elsewhere'",
    "arrival": "UPDATE arrival SET member = 'elsewhere' WHERE id = 1",
    "event_verdict": "UPDATE event_verdict SET code = 'event.id' WHERE event_id = 3",
    "ledger": "UPDATE ledger SET seal = x'00' WHERE record_id = 3",
    "state": "UPDATE state SET text = x'00' WHERE record_id = 3",
    "named_key": "DELETE FROM named_key",
    "lost record": "DELETE FROM record WHERE id = 4",
}


@pytest.mark.parametrize("table", BREAKS)
def test_a_repaired_store_is_sound_and_whole_after_the_bundle_comes_again(
    table: str, path: Path, good: Path
) -> None:
    """What is damaged is kept aside; the record is named; its bundle mends it."""
    _break(path, BREAKS[table])
    report = check_and_repair(path, Scope(), lambda _damage: None)
    assert report.is_repaired
    assert _check(path) == []
    if table in {"event", "receipt", "alias_claim"}:
        assert len(report.need_bundles) == 1
    with open_store(path) as store:
        ingest(store, _job())
    assert _states(good) == _states(path)
    assert _check(path) == []


def test_a_broken_log_of_trust_leaves_only_the_built_in_key(path: Path, good: Path) -> None:
    """Who was trusted is not known any more: a person adds the keys again."""
    _break(path, "UPDATE trust SET value = x'00' WHERE id = 1")
    with pytest.raises(MirrorError, match=r"store\.damaged"), open_store(path) as store:
        store.trust.key_set()
    assert check_and_repair(path, Scope(), lambda _damage: None).is_repaired
    with open_store(path) as store:
        assert len(store.trust.key_set()) == 1
        assert store.status().events_valid == 0
        add_keys(store, KEYS)
    assert _states(good) == _states(path)


def test_rebuild_ends_in_the_same_digests(path: Path, good: Path) -> None:
    """Everything derived may be lost: it follows from the facts."""
    for table in ("event_verdict", "receipt_verdict", "named_key", "state", "ledger"):
        _break(path, f"DELETE FROM {table}")  # noqa: S608
    with open_store(path) as store:
        assert rebuild(store) == []
    assert _states(good) == _states(path)
    assert _check(path) == []


def test_rebuild_names_what_it_cannot_derive(path: Path) -> None:
    """A damaged fact stays as it was, and its record is said."""
    _break(path, "UPDATE event SET value = x'00' WHERE id = 7")
    with open_store(path) as store:
        (damage,) = rebuild(store)
    assert damage.fact == "record"


# The file itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_in_the_file_is_never_served(seed: int, path: Path, good: Path) -> None:
    """Bytes are flipped in a random page; answers stay right or are refused, and a merge too."""
    order = random.Random(seed)
    content = bytearray(path.read_bytes())
    page = order.randrange(len(content) // 4096)
    for _ in range(order.choice([1, 8, 200])):
        content[page * 4096 + order.randrange(4096)] ^= 1 << order.randrange(8)
    path.write_bytes(content)
    answers = _good_answers(good)
    assert set(_served(path)) <= answers
    try:
        with open_store(path) as store:
            ingest(store, _job())
    except StoreError:
        pass
    assert set(_served(path)) <= answers


@pytest.mark.parametrize("seed", range(12))
def test_a_file_that_sqlite_finds_broken_is_salvaged(seed: int, path: Path, good: Path) -> None:
    """What can be read is taken to a new file; the bundle brings the rest; the old file is kept."""
    order = random.Random(seed)
    content = bytearray(path.read_bytes())
    start = order.randrange(40, len(content) // 4096) * 4096
    content[start : start + 4096] = order.randbytes(4096)
    path.write_bytes(content)
    report = check_and_repair(path, Scope(), lambda _damage: None)
    assert report.damages != []
    assert report.is_repaired
    if report.aside is not None:
        assert bytes(content) == report.aside.read_bytes()
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, _job())
    assert _states(good) == _states(path)
    assert _check(path) == []


# Parts and time ------------------------------------------------------------------------------


def test_parts_make_up_the_whole(path: Path) -> None:
    """Ten parts check each record once."""
    reports = [check(path, Scope(part=one, of=10), lambda _damage: None) for one in range(1, 11)]
    assert sum(report.records for report in reports) == 8
    assert all(report.exit_code == 0 for report in reports)


def test_a_check_that_runs_out_of_time_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it is not finished, and takes up where it stopped."""
    monkeypatch.setattr("mirror.engine.check.CHUNK_RECORDS", 3)
    times = iter([0.0, 0.0, 99.0, 0.0, 0.0, 0.0, 99.0])
    monkeypatch.setattr("mirror.engine.check.time.monotonic", lambda: next(times))
    first = check(path, Scope(for_s=1.0), lambda _damage: None)
    assert (3, False, 1) == (first.records, first.is_complete, first.exit_code)
    again = check(path, Scope(for_s=1.0), lambda _damage: None)
    assert (5, True, 0) == (again.records, again.is_complete, again.exit_code)


def test_a_large_store_is_checked_in_several_processes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same damages are found, in the same order."""
    _break(path, "UPDATE event SET value = x'00' WHERE id IN (2, 7, 40, 70)")
    expected = _check(path)
    monkeypatch.setattr("mirror.engine.check.CHUNK_RECORDS", 1)
    assert expected == _check(path)
    assert len(expected) >= 4


def test_a_quick_check_finds_broken_facts_only(path: Path) -> None:
    """It computes no verdict and no state."""
    _break(path, "UPDATE event_verdict SET code = 'event.id' WHERE event_id = 3")
    assert check(path, Scope(quick=True), lambda _damage: None).damages == []
    _break(path, "UPDATE event SET value = x'00' WHERE id = 7")
    (damage,) = check(path, Scope(quick=True), lambda _damage: None).damages
    assert ("event", 7) == (damage.fact, damage.row_id)


# Facts that are lost, or slipped to where they do not belong ------------------------------------


def _mended(path: Path, good: Path) -> None:
    """Assert that keys and bundles bring a repaired store back."""
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, _job())
    assert _states(good) == _states(path)
    assert _check(path) == []


def test_a_lost_fact_names_the_record_that_needs_a_bundle(path: Path, good: Path) -> None:
    """A row that is gone cannot be moved aside; its record is named all the same."""
    _break(path, "DELETE FROM event WHERE id = 5")
    report = check_and_repair(path, Scope(), lambda _damage: None)
    assert (True, 1) == (report.is_repaired, len(report.need_bundles))
    _mended(path, good)


def test_a_fact_that_slipped_to_another_record_is_not_adopted(path: Path, good: Path) -> None:
    """It is kept aside, and both records are as they were once their bundles come again."""
    _break(path, "UPDATE event SET record_id = 1 + (record_id = 1) WHERE id = 5")
    report = check_and_repair(path, Scope(), lambda _damage: None)
    assert (True, 2) == (report.is_repaired, len(report.need_bundles))
    _mended(path, good)


def test_a_mark_on_a_record_that_is_not_there_is_swept_away(path: Path, good: Path) -> None:
    """It stops neither a merge nor a repair."""
    _break(path, "INSERT INTO stale VALUES (99999, 1)")
    assert check_and_repair(path, Scope(), lambda _damage: None).is_repaired
    assert _states(good) == _states(path)


@pytest.mark.parametrize("table", ["trust", "record", "event", "run", "state"])
def test_a_table_that_is_gone_is_made_again(table: str, path: Path, good: Path) -> None:
    """What was in it comes with the keys and bundles."""
    _break_schema(path, f"DROP TABLE {table}")
    assert check_and_repair(path, Scope(), lambda _damage: None).is_repaired
    _mended(path, good)


def _break_schema(path: Path, query: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute(query)


@pytest.mark.parametrize("tenth", range(10))
def test_a_page_of_nonsense_is_repaired_or_said_to_be_beyond_it(
    tenth: int, path: Path, good: Path
) -> None:
    """Each tenth page in turn: after it the store is sound, or the old file is as it was."""
    content = path.read_bytes()
    for page in range(1 + tenth, len(content) // 4096, 10):
        damaged = content[: page * 4096] + b"\x55" * 4096 + content[(page + 1) * 4096 :]
        path.write_bytes(damaged)
        try:
            report = check_and_repair(path, Scope(), lambda _damage: None)
        except StoreError:
            assert damaged == path.read_bytes(), page
            continue
        assert report.is_repaired or not report.damages, page
        _mended(path, good)
