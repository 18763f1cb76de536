"""Stores: both engines write the same rows, find each other's right, and name the same damage."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror.archive import Member, ReadLimits
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.msgpack_values import pack
from mirror.engine.findings import Finding, ReadRequest, VerifiedMember
from mirror.engine.ingest import merge as merge_module
from mirror.engine.ingest import pipeline
from mirror.engine.ingest.merge import ingest
from mirror.engine.ingest.worker import MANY_FACTS, SourceMember, VerifyContext, process_batch
from mirror.engine.native import VARIABLE, native_module
from mirror.engine.native_engine import engine_for, tree_nodes
from mirror.engine.states.check import CheckScope, check
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.errors import StoreError
from mirror.store import Damage, open_store, stored_records
from mirror.store.arrival_codec import decompress
from tests.builders import make_event, to_json
from tests.fuzz.mutations import ALICE, GUEST, JUDGE, TRUSTED, Source, sources
from tests.helpers import BUNDLES, ids_in, keys_of, verdict
from tests.native.agreement import NOW, Pair
from tests.synthetic import fill, make_leaves

pytest.importorskip("mirror_native", reason="the native engine is not built: scripts/setup does it")

LIMITS = ReadLimits(kept_invalid=9)

TABLES = (
    "record", "arrival", "record_totals", "verdict", "key_dependency", "state", "citation",
    "counter",
    "tree_node", "stale", "tree_queue",
)  # fmt: skip

_DIFFERENT = {
    "arrival": ("checksum",), "record_totals": ("checksum",), "state": ("totals_checksum",
    "checksum"),
}  # fmt: skip
"""Columns that depend on the bytes of a compressed content, which two libraries may write."""


PAIR = Pair(keys_of(*TRUSTED))


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Switch the native engine `on` or `off`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, name)
        native_module.cache_clear()
        yield
    native_module.cache_clear()


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches and transactions for few bundles."""
    monkeypatch.setattr(pipeline, "BATCH_BUNDLES", 7)
    monkeypatch.setattr(merge_module, "TRANSACTION_BUNDLES", 12)


# What is stored ------------------------------------------------------------------------------


def _rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows that facts and keys determine."""
    with closing(sqlite3.connect(path)) as conn:
        conn.row_factory = sqlite3.Row
        return {
            table: sorted(
                (_plain(table, dict(row)) for row in conn.execute(f"SELECT * FROM {table}")),  # noqa: S608
                key=repr,
            )
            for table in TABLES
        }


def _plain(table: str, row: dict[str, Any]) -> dict[str, Any]:
    for name in _DIFFERENT.get(table, ()):
        del row[name]
    for name in ("content", "outline"):
        if row.get(name):
            row[name] = decompress(row[name])
    return row


def _merge(path: Path, files: list[Path], keys: KeySet = keys_of(*TRUSTED)) -> list[Finding]:  # noqa: B008
    found: list[Finding] = []
    with open_store(path) as store:
        add_keys(store, keys)
        for file in files:
            ingest(store, ReadRequest([str(file)], found.append, limits=LIMITS))
    return found


def _files(
    folder: Path, seed: int, count: int = 4, size: int = 14, *, is_valid: bool = False
) -> list[Path]:
    """Files of bundles of a few records: new facts, the same again, and odd or invalid ones.

    Args:
        folder: Where they are made.
        seed: Other numbers give other bundles.
        count: Files.
        size: Bundles in a file.
        is_valid: Whether there is nothing to find in any bundle.
    """
    order = random.Random(seed)
    bundles, paths = _bundles(order, is_valid=is_valid), []
    for number in range(count):
        path = folder / f"{number}.jsonl"
        path.write_bytes(b"\n".join(to_json(next(bundles)) for _ in range(size)))
        paths.append(path)
    return paths


def _bundles(order: random.Random, *, is_valid: bool) -> Iterator[Any]:
    records = sources(order, 12)
    made: list[Any] = []
    while True:
        source: Source = order.choice(records)
        bundle = order.choice(made) if made and order.random() < 0.2 else source.bundle()
        if not is_valid or PAIR.python((to_json(bundle), False)) is not None:
            made.append(bundle)
            yield bundle


def _both(folder: Path, work: Callable[[Path], Any]) -> list[Any]:
    """The results of the same work in two stores, one for each engine."""
    results = []
    for name in ("off", "on"):
        with engine(name):
            results.append(work(folder / f"{name}.db"))
    return results


def _damages(path: Path) -> list[Damage]:
    return check(path, CheckScope(), lambda _damage: None).damages


@pytest.mark.parametrize("is_valid", [True, False], ids=["valid", "any"])
@pytest.mark.parametrize("seed", range(2))
def test_merging_writes_the_same_rows(seed: int, is_valid: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """In each order of the sources; `check` by the other engine finds both stores right."""
    files = _files(tmp_path, seed, is_valid=is_valid)

    def merged(path: Path) -> Any:
        findings = _merge(path, files)
        return [(one.code, one.where, one.message, one.member, one.digest) for one in findings]

    python, native = _both(tmp_path, merged)
    assert python == native
    assert _rows(tmp_path / "off.db") == _rows(tmp_path / "on.db")
    with engine("on"):
        assert _damages(tmp_path / "off.db") == []
        _merge(tmp_path / "backwards.db", files[::-1])
    with engine("off"):
        assert _damages(tmp_path / "on.db") == []
        assert _damages(tmp_path / "backwards.db") == []


def test_valid_facts_of_known_records_are_merged_natively(tmp_path: Path) -> None:
    """More facts each time, in bundles that overlap, with no quota and no invalid fact."""
    order = random.Random(5)
    source = sources(order, 0)[0]
    events = [event for event in (source.event() for _ in range(60)) if _is_valid(source, event)]
    lists = [events[start : start + 5] for start in range(0, len(events) - 5, 3)]
    files = []
    for number, chosen in enumerate(lists):
        path = tmp_path / f"{number}.json"
        claims = source.claims[number % 3 : number % 3 + 2]
        path.write_bytes(to_json(source.bundle_of(chosen, [source.receipts[number % 2]], claims)))
        files.append(path)
    _both(tmp_path, lambda path: _merge(path, files))
    rows = _rows(tmp_path / "on.db")
    assert _rows(tmp_path / "off.db") == rows
    assert len(rows["arrival"]) > 5
    assert rows["verdict"] == []


def _is_valid(source: Source, event: Any) -> bool:
    return verdict(event, source.record, keys_of(*TRUSTED)) is None


@pytest.mark.parametrize("seed", range(2))
def test_a_change_of_keys_gives_the_same_states(seed: int, tmp_path: Path) -> None:
    """Keys that are added and removed later: verdicts, states and the tree are the same."""
    files = _files(tmp_path, seed + 100, 2)

    def changed(path: Path) -> None:
        _merge(path, files[:1], keys_of(ALICE))
        with open_store(path) as store:
            add_keys(store, keys_of(*TRUSTED))
            remove_keys(store, [JUDGE.key_id])
        _merge(path, files[1:], keys_of(GUEST))

    _both(tmp_path, changed)
    assert _rows(tmp_path / "off.db") == _rows(tmp_path / "on.db")


@pytest.mark.parametrize("verify", [True, False])
def test_rebuilding_gives_the_same_rows(verify: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """From facts that either engine wrote, by either engine."""
    with engine("on"):
        _merge(tmp_path / "off.db", _files(tmp_path, 7, is_valid=not verify))
    before = _rows(tmp_path / "off.db")
    shutil.copy(tmp_path / "off.db", tmp_path / "on.db")

    def rebuilt(path: Path) -> None:
        with open_store(path) as store:
            assert rebuild(store, verify=verify) == []

    _both(tmp_path, rebuilt)
    assert before == _rows(tmp_path / "off.db") == _rows(tmp_path / "on.db")


def test_the_tree_is_the_same() -> None:
    """Its nodes, over many leaves and few."""
    for count in (0, 1, 2, 17, 5000):
        with open_store(None) as store:
            fill(store, make_leaves(count))
            roots = []
            for nodes_of in (lambda _leaves: None, tree_nodes):
                with store.transaction():
                    store.state_tree.clear()
                    store.state_tree.update(nodes_of)
                roots.append([*store.connection.execute("SELECT * FROM tree_node")])
            assert roots[0] == roots[1]


# Damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store, in one file."""
    folder = tmp_path_factory.mktemp("good")
    with engine("off"):
        path = folder / "good.db"
        _merge(path, _files(folder, 3, 1, 9, is_valid=True))
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    return path


def _others(value: Any) -> list[Any]:
    """Values that a damaged cell may hold."""
    if isinstance(value, int):
        return [value + 1, -1]
    if isinstance(value, str):
        return [f"{value}x", "", b"\xff\xfe"]
    flipped = bytes([value[0] ^ 1]) + value[1:] if value else b"\x00"
    claims_much = b"\x28\xb5\x2f\xfd\xe0" + (1 << 60).to_bytes(8, "little") + b"\x01\x00\x00"
    return [flipped, value[:-1], claims_much, b"", pack([[], b"", [], b"", []])]


def _breakages(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield statements that each damage one cell, or delete one row."""
    for table in TABLES[:8]:
        with closing(sqlite3.connect(path)) as conn:
            columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
            rows = conn.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608
        where = " AND ".join(f"{column} IS ?" for column in columns)
        for row in rows[:1]:
            yield f"DELETE FROM {table} WHERE {where}", row  # noqa: S608
            for column, value in zip(columns, row, strict=True):
                for other in _others(value):
                    yield f"UPDATE {table} SET {column} = ? WHERE {where}", (other, *row)  # noqa: S608


def test_the_native_engine_checks_and_merges_every_valid_record(good: Path) -> None:
    """None takes the other way, so that the tests of damage test it."""
    with open_store(good, read_only=True) as store:
        ids = ids_in(store)
        rows, states = store.stored_records.rows(ids), store.stored_records.states(ids)
        native = engine_for(store.trust_log.key_set())
        assert native is not None
        items = [(rows[one], states[one]) for one in ids]
        assert all(native.check(items))
        assert all(is_same for _, is_same in native.replay(items))
        merged = [state for state, _ in native.replay([(rows[one], None) for one in ids])]
        assert [one.digest for one in merged if one] == [states[one][1] for one in ids]


def test_both_engines_name_the_same_damage(good: Path, tmp_path: Path) -> None:
    """Whatever cell is damaged, and however: the same findings in the same words."""
    path, count = tmp_path / "broken.db", 0
    for query, arguments in _breakages(good):
        shutil.copy(good, path)
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("PRAGMA foreign_keys = OFF")
            conn.execute("PRAGMA ignore_check_constraints = ON")
            try:
                conn.execute(query, arguments)
            except sqlite3.IntegrityError:  # STRICT, or two rows of one key
                continue
        found = []
        for name in ("off", "on"):
            with engine(name):
                found.append(_damages(path))
        assert found[0] == found[1], (query, arguments)
        count += bool(found[0])
    assert count > 60


def test_a_damaged_record_takes_no_new_facts(good: Path, tmp_path: Path) -> None:
    """Merging the same files again over damaged content: the same error, or the same rows."""
    files = _files(tmp_path, 3, 1, 9, is_valid=True)
    for column in ("content", "checksum"):
        results = []
        for name in ("off", "on"):
            path = Path(shutil.copy(good, tmp_path / f"{column}-{name}.db"))
            with closing(sqlite3.connect(path)) as conn, conn:
                conn.execute(f"UPDATE arrival SET {column} = x'00' WHERE id = 1")  # noqa: S608
                conn.execute("DELETE FROM source_cache")
            with engine(name):
                results.append(_outcome(path, files))
            results.append(_rows_if_readable(path))
        assert results[0] == results[2]
        assert results[1] == results[3]


def _outcome(path: Path, files: list[Path]) -> Any:
    try:
        return [(one.code, one.message) for one in _merge(path, files)]
    except StoreError as error:
        return error.code, error.message, error.where


def _rows_if_readable(path: Path) -> Any:
    with closing(sqlite3.connect(path)) as conn:
        return [conn.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES]  # noqa: S608


def test_many_bundles_of_one_record_do_not_merge_it_each_time(tmp_path: Path) -> None:
    """The native engine adds to records of few facts; Python remembers those of many."""
    native = engine_for(keys_of(*TRUSTED), LIMITS.for_bundles(()))
    context = VerifyContext(keys_of(*TRUSTED), LIMITS, NOW, encodes_facts=True, merges=True)
    source = sources(random.Random(1), 0)[0]
    events = [_event(source, number) for number in range(MANY_FACTS + 2)]
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, context.keys)
        for held, expected in ((MANY_FACTS, True), (MANY_FACTS + 1, False)):
            file = tmp_path / f"{held}.json"
            file.write_bytes(to_json(source.bundle_of(events[:held], [], [])))
            ingest(store, ReadRequest([str(file)], lambda _finding: None, limits=LIMITS))
            text = to_json(source.bundle_of([events[-1]], [], []))
            (found,) = process_batch(context, native, store, [SourceMember("", Member("", text))])
            assert isinstance(found, VerifiedMember)
            assert found.new_facts is not None
            assert found.new_facts.events == 1
            assert (found.new_facts.state is not None) == expected


def _event(source: Source, number: int) -> Any:
    return make_event(source.record, ALICE, "x.y", {"number": number})


def test_a_batch_of_large_records_fits_in_memory(tmp_path: Path) -> None:
    """What has too many facts, alone or with the others, is left to Python, which checks it."""
    with engine("on"):
        _merge(tmp_path / "mirror.db", _files(tmp_path, 1, 2, is_valid=True))
    with open_store(tmp_path / "mirror.db") as store, pytest.MonkeyPatch.context() as patch:
        ids = ids_in(store)
        rows = store.stored_records.rows(ids)
        facts = [sum(one.totals[:3]) for one in rows.values()]
        assert store.stored_records.rows(ids, min(facts) - 1) == {}
        patch.setattr(stored_records, "MAX_FACTS_TOGETHER", sum(facts) - 1)
        assert len(store.stored_records.rows(ids)) == len(rows) - 1


def test_rebuilding_repairs_whatever_is_derived(tmp_path: Path) -> None:
    """States from stored verdicts: also where the state is right, and a row beside it is not."""
    good, path = tmp_path / "good.db", tmp_path / "broken.db"
    with engine("off"):
        _merge(
            good, [BUNDLES / "demo.tar"], parse_key_set((BUNDLES / "demo-keys.json").read_bytes())
        )
    with closing(sqlite3.connect(good)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    for query in (
        "DELETE FROM citation",
        "UPDATE citation SET citing_name = 'x' || citing_name",
        "UPDATE state SET outline = x''",
        "UPDATE state SET core_digest = digest",
        "DELETE FROM state WHERE record_id = 2",
    ):
        shutil.copy(good, path)
        with closing(sqlite3.connect(path)) as conn, conn:
            assert conn.execute(query).rowcount > 0
        with engine("on"):
            with open_store(path) as store:
                assert rebuild(store, verify=False) == []
            assert _damages(path) == []
        assert _rows(path) == _rows(good)
