"""Analysis copies: both engines write the same rows, and raise the same error for damage."""

from __future__ import annotations

import random
import shutil
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mirror.core.events.types import GRAPH_SNAPSHOT
from mirror.core.keys import parse_key_set
from mirror.core.record import Record
from mirror.engine.native import native_module
from mirror.engine.tables import copy
from mirror.engine.tables.copy import update_copy
from mirror.engine.tables.native_rows import native_tables
from mirror.engine.tables.parts import PartTask, write_part
from mirror.engine.tables.schema import OF_RECORDS
from mirror.errors import EngineError, StoreError
from mirror.store import Store, open_store
from mirror.store.paper_texts import PaperText
from mirror.store.storage_checks import StorageCheck
from tests.builders import make_bundle, make_event, make_record, sign_event_again, to_json
from tests.engine.tables.test_copy import check_file, rows, values
from tests.fuzz.mutations import ALICE, value
from tests.helpers import BUNDLES, ids_in
from tests.native.test_stores import _breakages, _files, _merge, engine, good

__all__ = ["good"]  # a fixture

pytest.importorskip("mirror_native", reason="the native engine is not built: scripts/setup does it")

_READ = ("record", "arrival", "record_totals", "verdict", "state")
"""Tables with the facts, verdicts and states of records."""


def _is_same(store: Store, folder: Path) -> Path:
    """Make a copy with each engine, compare them, and return one."""
    paths = [folder / "python.db", folder / "native.db"]
    for name, path in zip(("off", "on"), paths, strict=True):
        with engine(name):
            update_copy(store, path)
    assert rows(paths[0]) == rows(paths[1])
    check_file(paths[1])
    return paths[1]


def _part(path: Path, folder: Path, name: str) -> tuple[Any, list[int]]:
    """Return the rows that an engine gives for all records, and the records that Python wrote."""
    with engine(name), open_store(path, read_only=True) as store, store.snapshot():
        task = PartTask(array("q", ids_in(store)), folder / f"{name}.part")
        native, left = native_tables(), [*task.record_ids]
        if native is not None:
            left = [*native.write(store, task.record_ids, task.path)]
        task.path.unlink(missing_ok=True)
        write_part(native, store, task)
    with closing(sqlite3.connect(task.path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = {
            one.name: sorted(conn.execute(f"SELECT * FROM {one.name}"), key=repr)  # noqa: S608
            for one in OF_RECORDS
        }
    task.path.unlink()
    return found, left


def _outcome(path: Path, folder: Path, name: str) -> Any:
    """Return the rows of a part, or the error."""
    try:
        return _part(path, folder, name)[0]
    except StoreError as error:
        return error.code, error.message, error.where


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_PART_RECORDS", 5)
    monkeypatch.setattr(copy, "_FEW_PARTS", 100)


# Rows ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_small_parts")
def test_the_demo_is_the_same(tmp_path: Path) -> None:
    """With a proved title and abstract, and checks of captures."""
    keys = parse_key_set((BUNDLES / "demo-keys.json").read_bytes())
    record = make_record(title="A title", abstract="An abstract")
    file = tmp_path / "titled.json"
    file.write_bytes(to_json(make_bundle(record, [])))
    _merge(tmp_path / "mirror.db", [BUNDLES / "demo.tar", file], keys)
    with open_store(tmp_path / "mirror.db") as store:
        with store.transaction():
            number, at = Record(record).pith_number, "2026-01-01T00:00:00.000000Z"
            texts = [("title", "A title"), ("abstract", "An abstract")]
            store.paper_texts.add([PaperText(number, *one, "dump", at) for one in texts])
            for name in _captures(store):
                store.storage_checks.append(
                    StorageCheck(*name, "url", at, "found", "", 200, "", "", "")
                )
        path = _is_same(store, tmp_path)
    for query in (
        "SELECT count(*) FROM records WHERE title_source = 'dump'",
        "SELECT count(*) FROM texts WHERE kind = 'abstract'",
        "SELECT count(*) FROM storage_attestations WHERE check_status = 'found'",
    ):
        assert values(path, query) != [(0,)]


def _captures(store: Store) -> Iterator[tuple[str, str]]:
    for one in ids_in(store):
        for row in store.facts.arrivals(one):
            for _, event in row.contents().events:
                if isinstance(event, dict) and event.get("event_type") == "storage_attested":
                    yield store.records.get(one).pith_number, str(event["event_id"])


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("is_valid", [True, False], ids=["valid", "any"])
@pytest.mark.parametrize("seed", range(2))
def test_tables_of_random_bundles_are_the_same(seed: int, is_valid: bool, tmp_path: Path) -> None:  # noqa: FBT001
    _merge(tmp_path / "mirror.db", _files(tmp_path, seed + 40, is_valid=is_valid))
    with open_store(tmp_path / "mirror.db") as store:
        _is_same(store, tmp_path)


def _snapshot(order: random.Random) -> Any:
    """A graph snapshot of any shape, usually nearly the one that has columns."""
    names = ["title", "arxiv_id", "doi", "index", "resolved", "text", "claim_id", "kind", "more"]

    def some() -> Any:
        drawn = {name: value(order) for name in names if order.random() < 0.6}
        return drawn if order.random() < 0.9 else value(order)

    def often(shape: Any) -> Any:
        return shape if order.random() < 0.9 else value(order)

    graph = {
        "paper": often({**_some_object(some), "authors_text": value(order)}),
        "references": often({"count": value(order), "sample": often([some() for _ in range(3)])}),
        "claims": often({"count": value(order), "items": often([some() for _ in range(3)])}),
        "builder_version": value(order),
    }
    return {name: one for name, one in graph.items() if order.random() < 0.95}


def _some_object(make: Any) -> Any:
    """The first of several values that is an object."""
    while not isinstance(found := make(), dict):
        continue
    return found


def test_snapshots_of_any_shape_are_the_same(tmp_path: Path) -> None:
    order, bundles = random.Random(8), []
    for number in range(60):
        record = make_record(arxiv_id=f"2401.{number:05}")
        event = make_event(record, ALICE, GRAPH_SNAPSHOT, {GRAPH_SNAPSHOT: _snapshot(order)})
        bundles.append(make_bundle(record, [event]))
    file = tmp_path / "snapshots.jsonl"
    file.write_bytes(b"\n".join(map(to_json, bundles)))
    _merge(tmp_path / "mirror.db", [file])
    python, _ = _part(tmp_path / "mirror.db", tmp_path, "off")
    native, left = _part(tmp_path / "mirror.db", tmp_path, "on")
    assert python == native
    assert len(left) < 20
    assert len(native["graph_references"]) > 20


# The other way -------------------------------------------------------------------------------


def test_only_unusual_facts_are_left_to_python(tmp_path: Path) -> None:
    """Refused facts, a message signed twice, and a row too long for the engine's files."""
    records = [make_record(arxiv_id=f"2401.0000{number}") for number in range(4)]
    notes = [make_event(one, ALICE, "x.y", {"note": "x" * 60_000}) for one in records]
    long = make_event(records[3], ALICE, "x.y", {"note": "x" * 66_000})
    bundles = [
        make_bundle(records[0], [notes[0]]),
        make_bundle(records[1], [notes[1], "no event"]),
        make_bundle(records[2], [notes[2], sign_event_again(notes[2], ALICE)]),
        make_bundle(records[3], [notes[3], long]),
    ]
    file = tmp_path / "odd.jsonl"
    file.write_bytes(b"\n".join(map(to_json, bundles)))
    _merge(tmp_path / "mirror.db", [file])
    python, _ = _part(tmp_path / "mirror.db", tmp_path, "off")
    native, left = _part(tmp_path / "mirror.db", tmp_path, "on")
    assert python == native
    with open_store(tmp_path / "mirror.db") as store:
        names = {store.records.get(one).source["id"] for one in left}
    assert names == {"2401.00001", "2401.00002", "2401.00003"}


def test_both_engines_raise_the_same_error_for_damage(good: Path, tmp_path: Path) -> None:
    """Whatever cell is damaged: the same error, or the same rows."""
    path, count = tmp_path / "broken.db", 0
    for query, arguments in _breakages(good):
        if not any(f" {table} " in query for table in _READ):
            continue
        shutil.copy(good, path)
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("PRAGMA foreign_keys = OFF")
            conn.execute("PRAGMA ignore_check_constraints = ON")
            try:
                conn.execute(query, arguments)
            except sqlite3.IntegrityError:  # STRICT, or two rows of one key
                continue
        found = [_outcome(path, tmp_path, name) for name in ("off", "on")]
        assert found[0] == found[1], (query, arguments)
        count += isinstance(found[0], tuple)
    assert count > 40


@pytest.mark.parametrize("setting", ["auto", "on"])
def test_an_engine_without_tables_is_not_used(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of an earlier version: Python writes the rows, or the setting is refused."""
    monkeypatch.delattr(native_module(), "TableWriter")
    with engine(setting):
        if setting == "auto":
            assert native_tables() is None
        else:
            with pytest.raises(EngineError, match=r"engine\.missing"):
                native_tables()
