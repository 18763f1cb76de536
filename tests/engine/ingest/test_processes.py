"""Merging, verifying and rebuilding in several processes come to the same as in one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest import merge as ingest_module
from mirror.engine.ingest import pipeline as verify_module
from mirror.engine.ingest.merge import ingest
from mirror.engine.ingest.pipeline import verify
from mirror.engine.states import replay as replay_module
from mirror.engine.states.check import CheckScope, check
from mirror.engine.states.current import bundle_text, current_text
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.replay import process_stale
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.errors import KeySetChangedError, WorkerError
from mirror.store import SourceRun, Store, open_store
from tests.builders import (
    Object,
    Signer,
    author_claim,
    citation,
    created,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    sign_event,
    to_json,
)
from tests.cli.conftest import BUNDLES
from tests.helpers import ids_in, keys_of, merged, take
from tests.processes import own_children

REGISTRY, AUTHOR, LATECOMER = Signer("registry"), Signer("author"), Signer("latecomer")
KEYS = keys_of(REGISTRY, AUTHOR)
RECORDS = [make_record(arxiv_id=f"2401.{number:05}") for number in range(12)]

MERGE_TABLES = ("record_totals", "verdict", "key_dependency", "state", "counter", "stale")


def _events(record: Object) -> list[Any]:
    """What is said of a record: valid, invalid, withdrawn, equivocal and revoked."""
    at = "2026-01-01T00:00:01Z"
    claim = make_event(record, AUTHOR, "author_claimed", author_claim(), at)
    twin = make_event(record, AUTHOR, "author_claimed", author_claim(strength="weak"), at)
    cited = make_event(record, AUTHOR, "citation_signed", citation(confidence=0.5))
    return [
        make_event(record, REGISTRY, "record_created", created(record, REGISTRY)),
        claim,
        twin,
        cited,
        make_event(record, AUTHOR, "event_revoked", revocation(cited["event_id"])),
        make_event(record, LATECOMER, "author_claimed", author_claim("late")),
        make_event(record, AUTHOR, "x.y", {}, "9999-01-01T00:00:00Z"),
        {**claim, "target": "graph"},
        sign_event({**claim, "created_at": "yesterday"}, AUTHOR),
        1,
        1.0,
    ]


def _bundles() -> list[Object]:
    """Each record in three bundles, far from each other, with repeats among their facts."""
    found = []
    for part in range(3):
        for record in RECORDS:
            receipts = [make_receipt(record, REGISTRY), part]
            bundle = make_bundle(record, _events(record)[part * 3 : part * 3 + 5], receipts)
            found.append({**bundle, "short_pith_number": "" if part else "pith:"})
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A file of bundles and faulty lines, one that is not there, and the sample bags."""
    folder = tmp_path_factory.mktemp("sources")
    lines = [to_json(bundle) for bundle in _bundles()]
    for place, line in enumerate(
        [b"{", b"[]", b'{"a":1,"a":1}', lines[0].replace(b"2401", b"2402")]
    ):
        lines.insert(7 * place + 3, line)
    path = folder / "bundles.jsonl"
    path.write_bytes(b"\n".join(lines))
    bags = [str(BUNDLES / name) for name in ("demo.tar", "pith.tar")]
    return [str(path), str(folder / "absent"), *bags, str(path)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches out of few bundles."""
    monkeypatch.setattr(verify_module, "BATCH_BUNDLES", 4)
    monkeypatch.setattr(ingest_module, "TRANSACTION_BUNDLES", 16)


@pytest.fixture
def use_processes(monkeypatch: pytest.MonkeyPatch, python_engine: None) -> Callable[..., None]:
    """`use_processes(on=True)`: from now on, several processes work; if False, one."""

    def turn(*, on: bool) -> None:
        few = 0 if on else 10**9
        for module in (ingest_module, verify_module):
            monkeypatch.setattr(module, "FEW_BATCHES", few)
        monkeypatch.setattr(replay_module, "_FEW_MERGES", few)
        monkeypatch.setattr(replay_module, "MERGE_RECORDS", 10)

    return turn


Turn = Callable[..., None]


def _outcome(store: Store) -> list[tuple[bytes, bytes]]:
    """The state and the bundle of every record."""
    keys = store.trust_log.key_set()
    return [(current_text(store, one, keys), bundle_text(store, one)) for one in ids_in(store)]


def _rows(store: Store, *tables: str) -> dict[str, list[Any]]:
    conn = store.connection
    return {table: conn.execute(f"SELECT * FROM {table}").fetchall() for table in tables}  # noqa: S608


def _run(store: Store, sources: list[str]) -> tuple[list[Finding], str]:
    """What a merge says."""
    reports: list[Finding] = []
    summary = ingest(store, ReadRequest(sources, reports.append))
    return reports, repr(summary)


@pytest.mark.parametrize("start", [0, 20])
def test_merge_in_processes_gives_the_same_result(
    start: int, sources: list[str], use_processes: Turn, tmp_path: Path
) -> None:
    """States, bundles, findings in their order, figures, and all tables; from scratch or not."""
    begun = tmp_path / "begun.jsonl"
    begun.write_bytes(b"\n".join(map(to_json, _bundles()[:start])))
    said, found, rows = [], [], []
    for place, on in ((None, False), (tmp_path / "one.db", False), (tmp_path / "many.db", True)):
        use_processes(on=False)
        with open_store(place) as store:
            add_keys(store, KEYS)
            if start:
                _run(store, [str(begun)])
        use_processes(on=on)
        with open_store(place) as store:
            if place is None:
                add_keys(store, KEYS)
                _run(store, [str(begun)] * bool(start))
            said.append(_run(store, sources))
            found.append(_outcome(store))
            rows.append(_rows(store, "record", "arrival", *MERGE_TABLES))
            assert store.counters.actual() == store.counters.counts()
    assert said[0] == said[1] == said[2]
    assert found[0] == found[1] == found[2]
    assert rows[0] == rows[1] == rows[2]
    assert check(tmp_path / "many.db", CheckScope(), lambda _damage: None).damages == []


def test_facts_of_a_record_in_many_bundles_are_all_merged(
    sources: list[str], use_processes: Turn, tmp_path: Path
) -> None:
    """Any process may pack any bundle before the others are written."""
    use_processes(on=True)
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, KEYS)
        _run(store, sources[:1])
        texts = {text for text, _ in _outcome(store)}
    bundles = _bundles()
    expected = {merged(bundles[number::12], KEYS).text for number in range(12)}
    assert expected == texts


def test_verifying_in_processes_gives_the_same_result(
    sources: list[str], use_processes: Turn
) -> None:
    """Findings in their order, and figures."""
    said = []
    for on in (False, True):
        use_processes(on=on)
        reports: list[Finding] = []
        summary = verify(ReadRequest(sources, reports.append), KEYS)
        said.append((reports, repr(summary)))
    assert said[0] == said[1]
    codes = {report.code for report in said[0][0]}
    assert {"json.syntax", "bundle.shape", "json.duplicate_key", "record.digest", "event.id",
            "event.future", "receipt.shape", "bundle.short",
            "source.unreadable"} <= codes  # fmt: skip


def test_a_key_change_by_another_process_stops_the_run(
    sources: list[str], use_processes: Turn, tmp_path: Path
) -> None:
    """However many processes verify under the old keys; and running again mends it."""
    db, told = tmp_path / "mirror.db", list[Finding]()

    def tell(report: Finding) -> None:
        told.append(report)
        if len(told) == 1:
            with open_store(db) as other:
                add_keys(other, keys_of(AUTHOR))

    use_processes(on=True)
    with open_store(db) as store:
        add_keys(store, keys_of(REGISTRY))
        with pytest.raises(KeySetChangedError):
            ingest(store, ReadRequest(sources[:1], tell))
        assert 0 < len(_rows(store, "arrival")["arrival"]) < 36
        _run(store, sources[:1])
        assert len(_rows(store, "arrival")["arrival"]) == 36
        found = _outcome(store)
    assert own_children() == []
    use_processes(on=False)
    with open_store(None) as fresh:
        add_keys(fresh, KEYS)
        _run(fresh, sources[:1])
        assert _outcome(fresh) == found


def test_a_process_that_is_killed_ends_the_run(
    sources: list[str], use_processes: Turn, tmp_path: Path
) -> None:
    """What was stored before is kept, and running it again ends where an undisturbed run ends."""
    told: list[Finding] = []

    def tell(report: Finding) -> None:
        told.append(report)
        if len(told) == 1:
            for process in own_children():
                process.kill()
                process.join()

    use_processes(on=True)
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, KEYS)
        with pytest.raises(WorkerError, match=r"worker\.lost"):
            ingest(store, ReadRequest(sources, tell))
        assert 0 < store.records.count()
        assert store.counters.actual() == store.counters.counts()
        _run(store, sources)
        found = _outcome(store)
    use_processes(on=False)
    with open_store(None) as fresh:
        add_keys(fresh, KEYS)
        _run(fresh, sources)
        assert _outcome(fresh) == found


# Rebuilding ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, sources: list[str]) -> Path:
    """A store of all sources, in one file."""
    path = tmp_path_factory.mktemp("good") / "mirror.db"
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, ReadRequest(sources, lambda _report: None))
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    return path


@pytest.fixture
def path(good: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(good, tmp_path / "mirror.db"))


@pytest.mark.parametrize("with_verdicts", [True, False])
@pytest.mark.parametrize("on", [True, False], ids=["many processes", "one process"])
def test_rebuild_gives_the_same_result(
    on: bool,  # noqa: FBT001
    with_verdicts: bool,  # noqa: FBT001
    path: Path,
    use_processes: Turn,
) -> None:
    """With the verdicts or without: states, ledgers, verdicts, index and counts."""
    use_processes(on=on)
    with open_store(path) as store:
        expected, before = _outcome(store), _rows(store, *MERGE_TABLES)
        with store.transaction():
            for table in (
                "state",
                "counter",
                *(("verdict", "record_totals", "key_dependency") if with_verdicts else ()),
            ):
                store.connection.execute(f"DELETE FROM {table}")  # noqa: S608
        done: list[int] = []
        assert rebuild(store, done.append, verify=with_verdicts) == []
        assert sum(done) == store.records.count() == len(expected)
        assert expected == _outcome(store)
        assert before == _rows(store, *MERGE_TABLES)


def test_a_rebuild_in_processes_names_what_it_cannot_derive(
    path: Path, use_processes: Turn
) -> None:
    """And makes the states of all others."""
    use_processes(on=True)
    with open_store(path) as store:
        expected = dict(zip(ids_in(store), _outcome(store), strict=True))
        with store.transaction():
            store.connection.execute("UPDATE arrival SET content = x'00' WHERE record_id IN (4, 7)")
            store.connection.execute("DELETE FROM state")
        damages = rebuild(store, verify=False)
        assert [("record", 4), ("record", 7)] == [(one.table, one.row_id) for one in damages]
        assert [4, 7] == [one.record_id for one in store.states.stale(10)]
        keys = store.trust_log.key_set()
        for record_id in {*expected} - {4, 7}:
            assert expected[record_id][0] == current_text(store, record_id, keys)


def test_key_change_during_a_rebuild_takes_effect(path: Path, use_processes: Turn) -> None:
    """No state is kept that was made under the keys of before."""
    use_processes(on=True)
    changed: list[int] = []

    def progress(_records: int) -> None:
        if not changed:
            changed.append(1)
            with open_store(path) as other:
                remove_keys(other, [AUTHOR.key_id])

    with open_store(path) as store:
        assert rebuild(store, progress, verify=False) == []
        found = _outcome(store)
        assert store.counters.actual() == store.counters.counts()
    use_processes(on=False)
    with open_store(path) as store:
        assert rebuild(store) == []
        assert found == _outcome(store)
    assert check(path, CheckScope(), lambda _damage: None).damages == []


def _bring_twins(store: Store) -> None:
    """Add two claims to every record that contradict each other, and merge nothing."""
    with store.transaction():
        for record in RECORDS:
            twins = [
                make_event(record, AUTHOR, "author_claimed", author_claim("twin", note=note))
                for note in "ab"
            ]
            take(store, make_bundle(record, twins), KEYS, SourceRun("a source", "2026-01-01"))


def test_a_run_that_was_cut_off_is_finished_in_processes(path: Path, use_processes: Turn) -> None:
    """Its states are made and counted as in one process."""
    single = Path(shutil.copy(path, path.with_name("single.db")))
    found = []
    for place, on in ((single, False), (path, True)):
        use_processes(on=on)
        with open_store(place) as store:
            with store.transaction():
                store.connection.execute("DELETE FROM state WHERE equivocation_count = 0")
            _bring_twins(store)
            assert len(store.states.stale(1000)) == len(RECORDS)
            process_stale(store)
            assert store.states.stale(1000) == []
            assert store.counters.actual() == store.counters.counts()
            found.append((_outcome(store), _rows(store, *MERGE_TABLES)))
    assert found[0] == found[1]


def test_a_state_of_fewer_facts_is_not_kept(path: Path) -> None:
    """What came while it was made makes it stale before it is written."""
    with open_store(path) as store:
        with store.transaction():
            store.states.mark_all_for_merge()
        rows = replay_module.merge_records(KEYS, None, store, store.states.to_merge(0, 1000))
        _bring_twins(store)
        with store.transaction():
            store.states.save_merged(rows)
        assert len(store.states.stale(1000)) == len(RECORDS)
        process_stale(store)
    assert check(path, CheckScope(), lambda _damage: None).damages == []


def _assert_nothing_is_forgotten(path: Path) -> None:
    """Assert that, once all is finished, every verdict follows from the keys of then."""
    with open_store(path) as store:
        process_stale(store)
        remove_keys(store, [REGISTRY.key_id])
    assert check(path, CheckScope(), lambda _damage: None).damages == []


def test_merge_does_not_undo_a_rebuild_that_begins_meanwhile(
    path: Path, use_processes: Turn
) -> None:
    """What is marked to be judged stays marked, whoever had begun to merge it before."""
    use_processes(on=True)
    begun: list[int] = []

    def progress(_records: int) -> None:
        if not begun:
            begun.append(1)
            with open_store(path) as other, other.transaction():
                other.states.mark_all_for_verdicts()

    with open_store(path) as store:
        with store.transaction():
            store.states.mark_all_for_merge()
        replay_module._merge_many(store, progress)
    _assert_nothing_is_forgotten(path)


def test_ingest_does_not_undo_a_rebuild_that_begins_meanwhile(
    path: Path, use_processes: Turn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, where a bundle brings more for a record that waits to be judged."""
    use_processes(on=False)
    monkeypatch.setattr(ingest_module, "TRANSACTION_BUNDLES", 8)
    later = tmp_path / "later.jsonl"
    events = [make_event(one, AUTHOR, "author_claimed", author_claim("later")) for one in RECORDS]
    lines = [
        to_json(make_bundle(one, [event], short_pith_number=""))
        for one, event in zip(RECORDS, events, strict=True)
    ]
    later.write_bytes(b"\n".join(lines))
    begun: list[int] = []

    def tell(_report: Finding) -> None:
        if not begun:
            begun.append(1)
            with open_store(path) as other, other.transaction():
                other.states.mark_all_for_verdicts()

    with open_store(path) as store:
        ingest(store, ReadRequest([str(later)], tell))
    assert begun
    _assert_nothing_is_forgotten(path)
