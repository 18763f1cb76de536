"""A run over the captures of a store: each is asked for once, and each answer is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mirror.core.state_view import StateView, parse_state
from mirror.engine.states.current import current_text
from mirror.engine.states.trust import remove_keys
from mirror.engine.storage import check as check_module
from mirror.engine.storage.attestations import (
    count_present,
    last_answers,
    read_attestations,
    record_ids,
)
from mirror.engine.storage.check import (
    CaptureResult,
    StorageCheckOptions,
    StorageSummary,
    check_storage,
)
from mirror.engine.storage.status import CaptureStatus
from mirror.net import Client
from mirror.store import Store, open_store
from tests.builders import Object
from tests.engine.storage.archives import bundle_of, page, store_with
from tests.engine.sync.sync_servers import AUTHOR, QUICK, root_of
from tests.helpers import ids_in
from tests.net.server import Exchange, Site, in_turn, redirecting, running, saying


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """An archive."""
    with running(Site()) as site:
        site.at("/here", page())
        site.at("/undated", page(""))
        site.at("/nowhere", page("", "404 Not Found"))
        site.at("/moved", redirecting("/here"))
        yield site


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(QUICK) as client:
        yield client


@pytest.fixture
def store(tmp_path: Path, site: Site) -> Iterator[Store]:
    """A store of three records: with three captures, with none, and with one."""
    first = bundle_of(1, *(site.url(one) for one in ("/here", "/undated", "/nowhere")))
    path = store_with(tmp_path, first, bundle_of(2), bundle_of(3, site.url("/moved")))
    with open_store(path) as store:
        yield store


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Any]:
    """`one(bundle)` opens a store of one record."""
    stores = []

    def make(bundle: Object) -> Store:
        opened = open_store(store_with(tmp_path, bundle))
        stores.append(opened)
        return opened.__enter__()

    yield make
    for opened in stores:
        opened.__exit__(None, None, None)


def _run(
    store: Store, client: Client, **options: Any
) -> tuple[StorageSummary, list[CaptureResult]]:
    results: list[CaptureResult] = []
    chosen = StorageCheckOptions(on_result=results.append, **options)
    return check_storage(store, record_ids(store), client, chosen), results


def _state(store: Store) -> StateView:
    return parse_state(current_text(store, min(ids_in(store))))


def test_every_capture_of_every_record_is_asked_for(
    store: Store, site: Site, client: Client
) -> None:
    """The states are not touched; a record without captures costs no request."""
    assert store.path is not None
    root, done = root_of(store.path), list[int]()
    site.requests.clear()
    summary, results = _run(store, client, progress=done.append)
    assert summary.statuses == {"present": 2, "present_undated": 1, "gone": 1}
    assert (summary.asked, summary.recent, summary.is_all_present) == (4, 0, False)
    assert [one.check for one in results] == list(store.storage_checks.all())
    assert all(one.is_asked for one in results)
    assert done == [1, 1, 1]
    assert {*site.paths} == {"/here", "/undated", "/nowhere", "/moved"}
    assert root == root_of(store.path)


def test_the_last_answer_counts_and_all_are_stored(one: Any, site: Site, client: Client) -> None:
    """What was there and is gone is not there."""
    store = one(bundle_of(4, site.at("/short-lived", in_turn(page(), page("", "410 Gone")))))
    state, counts = _state(store), []
    assert last_answers(store, state) == {}
    for _ in range(2):
        _run(store, client)
        counts.append(count_present(last_answers(store, state)))
    assert counts == [1, 0]
    assert [one.status for one in store.storage_checks.all(state.pith_number)] == [
        "present",
        "gone",
    ]
    assert store.storage_checks.counts() == {"gone": 1}


def test_captures_checked_recently_are_not_requested_again(
    store: Store, site: Site, client: Client
) -> None:
    """Their statuses count as before, so a capture that is gone is not forgotten."""
    first, _ = _run(store, client)
    site.requests.clear()
    again, results = _run(store, client, older_than=timedelta(days=1))
    assert (again.statuses, again.asked, again.recent) == (first.statuses, 0, 4)
    assert site.requests == []
    assert not any(one.is_asked for one in results)
    assert len([*store.storage_checks.all()]) == 4
    last, _ = _run(store, client, older_than=timedelta(0))
    assert last.asked == 4


def test_only_attestations_in_force_count(store: Store, client: Client) -> None:
    """Without its key none of them is; the answers of then are still listed."""
    _run(store, client)
    remove_keys(store, [AUTHOR.key_id])
    summary, results = _run(store, client)
    assert (summary, results) == (StorageSummary(), [])
    assert summary.is_all_present
    assert last_answers(store, _state(store)) == {}
    assert len([*store.storage_checks.all()]) == 4


def test_a_stale_state_is_updated_first(store: Store) -> None:
    """An outline from before says nothing of the facts that came since."""
    first = min(ids_in(store))
    known = read_attestations(store, first)
    store.connection.execute("INSERT INTO stale VALUES (?, 1)", (first,))
    store.connection.execute("DELETE FROM state WHERE record_id = ?", (first,))
    assert (len(known), known) == (3, read_attestations(store, first))


def test_an_archive_that_does_not_answer_delays_no_other(
    one: Any, site: Site, client: Client
) -> None:
    """After three failures in a row it is left out; what was not asked is not stored."""
    with running(Site()) as silent:
        for number in range(5):
            silent.at(f"/{number}", saying(then_hang_up=True))
        urls = [silent.url(f"/{number}") for number in range(5)]
        store = one(bundle_of(5, *urls, site.url("/here")))
        summary, results = _run(store, client)
    assert summary.statuses == {"unreachable": 3, "not_asked": 2, "present": 1}
    assert (summary.asked, summary.recent, summary.is_without_response) == (4, 0, False)
    stored = [one.status for one in store.storage_checks.all()]
    assert sorted(stored) == ["present", "unreachable", "unreachable", "unreachable"]
    left_out = [one.check for one in results if not one.is_asked]
    assert {(one.code, one.at) for one in left_out} == {("storage.not_asked", "")}


def test_failures_are_counted_in_a_row_and_for_few_archives(
    one: Any, site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer in between starts the count again; a flood of addresses costs no memory."""
    fails, works = saying(then_hang_up=True), page()
    in_between = in_turn(fails, fails, works, fails, fails)
    for number in range(5):
        site.at(f"/in-between/{number}", in_between)
    urls = [site.url(f"/in-between/{number}") for number in range(5)]
    store = one(bundle_of(6, *urls))
    assert _run(store, client)[0].statuses == {"unreachable": 4, "present": 1}
    monkeypatch.setattr(check_module, "_MAX_ARCHIVES", 2)
    archives = check_module._Archives()
    for number in (1, 2, 3, 3, 3):
        archives.count(f"http://archive{number}.example/", CaptureStatus.UNREACHABLE)
    assert archives.is_left_out("http://archive3.example/b")
    assert len(archives._failures) == 2


def test_an_interruption_keeps_stored_answers(one: Any, site: Site, client: Client) -> None:
    """Each answer is a transaction of its own."""

    def interrupt(_result: CaptureResult) -> None:
        raise KeyboardInterrupt

    store = one(bundle_of(7, site.url("/here"), site.url("/undated")))
    options = StorageCheckOptions(on_result=interrupt)
    with pytest.raises(KeyboardInterrupt):
        check_storage(store, record_ids(store), client, options)
    assert len([*store.storage_checks.all()]) == 1
    assert not store.connection.in_transaction
    summary, _ = _run(store, client, older_than=timedelta(days=1))
    assert (summary.asked, summary.recent) == (1, 1)


def test_the_store_can_be_written_while_an_archive_is_asked(
    one: Any, site: Site, client: Client
) -> None:
    """No lock is held, and no snapshot, while a server takes its time."""
    opened: list[Store] = []

    def handle(exchange: Exchange) -> None:
        with open_store(opened[0].path) as other, other.transaction():
            other.connection.execute("DELETE FROM check_progress")
        page()(exchange)

    opened.append(one(bundle_of(8, site.at("/slow", handle))))
    assert _run(opened[0], client)[0].statuses == {"present": 1}


def test_a_damaged_record_is_counted_and_left_out(store: Store, client: Client) -> None:
    """So is one with a damaged answer; the others are asked for."""
    _run(store, client)
    first = min(ids_in(store))
    store.connection.execute("UPDATE state SET outline = x'00' WHERE record_id = ?", (first,))
    summary, _ = _run(store, client)
    assert (summary.damaged, summary.is_all_present) == (1, False)
    assert summary.statuses == {"present": 1}
    store.connection.execute("UPDATE storage_check SET status = 'gone'")
    summary, _ = _run(store, client)
    assert (summary.damaged, summary.asked) == (2, 0)
