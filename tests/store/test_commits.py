"""Commits: when each fact was known, whatever the clock did."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from mirror.core.values import time_text
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.check import CheckScope, check_and_repair
from mirror.engine.states.trust import add_keys
from mirror.store import Damage, Store, known_time, open_store
from mirror.store.migrations import migrate
from mirror.store.schema import SCRIPTS, tables
from tests.builders import Signer, created, make_bundle, make_event, make_record, to_json
from tests.helpers import keys_of

REGISTRY = Signer("registry")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "mirror.db") as opened:
        yield opened


def _merge(store: Store, folder: Path, number: int) -> str:
    """Merge a new record; return the time when it was done."""
    record = make_record(arxiv_id=f"2401.{number:05}")
    event = make_event(record, REGISTRY, "record_created", created(record, REGISTRY))
    path = folder / f"{number}.json"
    path.write_bytes(to_json(make_bundle(record, [event])))
    ingest(store, ReadRequest([str(path)], lambda _report: None))
    return time_text(datetime.now(UTC), microseconds=True)


def test_the_version_of_a_time_has_what_was_stored_by_then(store: Store, tmp_path: Path) -> None:
    """Arrivals and trust are those of then, and all of them for a time after the last commit."""
    before = time_text(datetime.now(UTC), microseconds=True)
    first = _merge(store, tmp_path, 1)
    add_keys(store, keys_of(REGISTRY))
    second = _merge(store, tmp_path, 2)
    versions = [store.version_at(at) for at in (before, first, second)]
    assert [(one.arrival, one.trust) for one in versions] == [(0, 0), (1, 0), (2, 1)]
    assert versions[2] == store.version()
    assert versions[0].rules == ""


def test_a_clock_that_is_set_back_does_not_change_the_order(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later commit never counts as known before an earlier one."""
    at = _merge(store, tmp_path, 1)
    clock = SimpleNamespace(now=lambda _zone: datetime(2001, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(known_time, "datetime", clock)
    _merge(store, tmp_path, 2)
    times = [store.commits.stored_at(one) for one in (1, 2, 3)]
    assert times[0] is not None
    assert times[1] is not None
    assert times[0] < times[1] <= at
    assert times[2] is None


def test_arrivals_of_a_store_without_commits_are_known_since_their_run(
    store: Store, tmp_path: Path
) -> None:
    """The second migration cannot know more: it takes the start of each run."""
    for number in (1, 2):
        _merge(store, tmp_path, number)
    runs = [row[0] for row in store.connection.execute("SELECT started_at FROM run ORDER BY id")]
    for name in tables("".join(SCRIPTS["m0002_evidence_in_time"])):
        store.connection.execute(f"DROP TABLE {name}")
    store.connection.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm0002%'")
    migrate(store.connection)
    assert [store.commits.stored_at(one) for one in (1, 2)] == runs
    assert store.version_at(runs[0]).arrival == 1
    assert store.version_at(runs[0]).rules == ""


def test_a_damaged_commit_is_found_and_its_arrivals_count_as_known_later(tmp_path: Path) -> None:
    """Nothing is lost but the time, and nothing counts as known before it surely was."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        first = _merge(store, tmp_path, 1)
        second = _merge(store, tmp_path, 2)
        store.connection.execute("UPDATE arrival_commit SET stored_at = '2001' WHERE id = 1")
    found: list[Damage] = []
    report = check_and_repair(path, CheckScope(), found.append)
    assert report.is_repaired
    assert [one.table for one in found] == ["arrival_commit"]
    with open_store(path, read_only=True) as store:
        assert store.version_at(first).arrival == 0
        assert store.version_at(second).arrival == 2
        assert [row[1] for row in store.integrity.quarantined()] == ["arrival_commit"]


@pytest.mark.parametrize(
    "damage", ["DELETE FROM arrival_commit WHERE id = 2", "UPDATE arrival_commit SET rules = 'x'"]
)
def test_arrivals_without_a_commit_count_as_known_from_the_repair_on(
    tmp_path: Path, damage: str
) -> None:
    """The last commits are missing or damaged: nothing counts as known with an earlier one."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        times = [_merge(store, tmp_path, number) for number in (1, 2)]
        store.connection.execute(damage)
    found: list[Damage] = []
    assert check_and_repair(path, CheckScope(), found.append).is_repaired
    assert {one.table for one in found} == {"arrival_commit"}
    assert not check_and_repair(path, CheckScope(), found.append).is_repaired
    with open_store(path, read_only=True) as store:
        assert [store.version_at(at).arrival < 2 for at in times] == [True, True]
        known = store.commits.stored_at(2)
        assert known is not None
        assert known > times[1]
        assert store.version_at(known).arrival == 2
