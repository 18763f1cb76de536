"""The times at which a record may have changed: no more than those, and none is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from mirror.core.keys import BUILT_IN, KeySet
from mirror.core.values import time_text
from mirror.engine.findings import ReadRequest
from mirror.engine.history.change_times import change_times, trust_changes_of
from mirror.engine.ingest.merge import ingest
from mirror.engine.states import trust
from mirror.engine.states.past import past_text
from mirror.engine.states.trust import add_keys, remove_keys, remove_profiles
from mirror.store import Store, open_store
from tests.builders import (
    Signer,
    author_claim,
    created,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.engine.invented_envelopes import ALICE, INVENTED
from tests.helpers import keys_of
from tests.profiles import profile_of

REGISTRY, AUTHOR, STRANGER = Signer("registry"), Signer("author"), Signer("stranger")
PROFILE = profile_of(INVENTED[0])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "mirror.db") as opened:
        yield opened


def _now() -> str:
    return time_text(datetime.now(UTC), microseconds=True)


def _merge(store: Store, folder: Path, number: int, *events: object) -> None:
    record = make_record(arxiv_id=f"2401.{number:05}")
    path = folder / "bundle.json"
    receipts = [make_receipt(record, REGISTRY)]
    path.write_bytes(to_json(make_bundle(record, [*events], receipts=receipts)))
    ingest(store, ReadRequest([str(path)], lambda _report: None))


def _claim(number: int, day: int = 1) -> object:
    record = make_record(arxiv_id=f"2401.{number:05}")
    at = f"2026-06-{day:02}T12:00:00Z"
    return make_event(record, AUTHOR, "author_claimed", author_claim(), created_at=at)


def _created(number: int) -> object:
    record = make_record(arxiv_id=f"2401.{number:05}")
    return make_event(record, REGISTRY, "record_created", created(record, REGISTRY))


def test_the_times_are_those_of_arrivals_and_of_changes_of_the_keys_they_name(
    store: Store, tmp_path: Path
) -> None:
    """Neither another record's arrival nor another key's change is among them."""
    add_keys(store, keys_of(REGISTRY))  # before the record was known
    _merge(store, tmp_path, 1, _created(1))
    _merge(store, tmp_path, 2, _claim(2))
    add_keys(store, keys_of(STRANGER))
    add_keys(store, keys_of(AUTHOR))
    _merge(store, tmp_path, 1, _claim(1))
    remove_keys(store, [AUTHOR.key_id])
    remove_keys(store, [BUILT_IN.key_id])
    log = store.trust_log.log()
    stored = [store.commits.stored_at(one) for one in (1, 2, 3)]
    assert change_times(store, 1) == [stored[0], log[2].at, stored[2], log[3].at, log[4].at]
    assert [one.name for one in trust_changes_of(store, 1)] == [
        REGISTRY.key_id, AUTHOR.key_id, AUTHOR.key_id, BUILT_IN.key_id,
    ]  # fmt: skip
    assert change_times(store, 2) == [stored[1], log[2].at, log[3].at, log[4].at]


def test_a_new_profile_may_change_a_record_with_an_invalid_event(
    store: Store, tmp_path: Path
) -> None:
    add_keys(store, keys_of(REGISTRY))
    _merge(store, tmp_path, 1, _created(1))
    _merge(store, tmp_path, 2, _claim(2))
    add_keys(store, KeySet((), [PROFILE]))
    at = store.trust_log.log()[-1].at
    assert at not in change_times(store, 1)
    assert at in change_times(store, 2)


def test_without_commits_no_time_is_known(store: Store, tmp_path: Path) -> None:
    """An arrival whose commit is missing counts as stored with the next one, or the last one."""
    for day in (1, 2, 3):
        _merge(store, tmp_path, 1, _claim(1, day))
    times = change_times(store, 1)
    assert len(times) == 3
    store.connection.execute("DELETE FROM arrival_commit WHERE id = 2")
    assert change_times(store, 1) == [times[0], times[2]]
    store.connection.execute("DELETE FROM arrival_commit WHERE id = 3")
    assert change_times(store, 1) == times[:1]
    assert store.version_at(times[0]).arrival == 3
    store.connection.execute("DELETE FROM arrival_commit")
    assert change_times(store, 1) == []


def test_another_key_id_of_the_same_public_key_may_change_a_record(
    store: Store, tmp_path: Path
) -> None:
    _merge(store, tmp_path, 1, _claim(1))
    add_keys(store, keys_of(AUTHOR))
    add_keys(store, keys_of(Signer("author", key_id="another-id")))
    assert change_times(store, 1)[1:] == [one.at for one in store.trust_log.log()]


def test_a_clock_that_is_set_back_does_not_change_earlier_states(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored later is never known earlier: neither a change of trust nor an arrival."""
    _merge(store, tmp_path, 1, _claim(1))
    later, earlier = "2100-01-02T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"
    for at, signer in ((later, AUTHOR), (earlier, STRANGER)):
        monkeypatch.setattr(trust, "_now", lambda at=at: at)
        add_keys(store, keys_of(signer))
    _merge(store, tmp_path, 1, _claim(1, 2))
    assert store.version_at(earlier)[:2] == (1, 0)
    assert store.version_at(later)[:2] == (1, 1)
    assert store.commits.stored_at(2) == "2100-01-02T00:00:00.000002Z"
    assert change_times(store, 1) == [
        store.commits.stored_at(1), later, store.commits.stored_at(2)
    ]  # fmt: skip


def _steps(store: Store, folder: Path) -> list[Callable[[], object]]:
    """Merges and changes of trust; each may be done several times."""
    events = {n: [_created(n), *(_claim(n, day) for day in (1, 2, 3)), "junk"] for n in (1, 2)}

    def merge(number: int, random: Random) -> None:
        _merge(store, folder, number, *random.sample(events[number], random.randint(1, 2)))

    def turn(signer: Signer) -> None:
        if store.trust_log.key_set().get(signer.key_id) is None:
            add_keys(store, keys_of(signer))
        else:
            remove_keys(store, [signer.key_id])

    def turn_profile() -> None:
        if store.trust_log.key_set().profile(PROFILE.name) is None:
            add_keys(store, keys_of(ALICE).with_profiles([PROFILE]))
        else:
            remove_profiles(store, [PROFILE.name])

    one = Random(1)
    return [
        lambda: merge(1, one), lambda: merge(2, one), lambda: turn(AUTHOR),
        lambda: turn(REGISTRY), lambda: turn(STRANGER), turn_profile,
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_between_these_times_the_state_is_the_same(store: Store, tmp_path: Path, seed: int) -> None:
    """At any time, the state is that of the last change before it."""
    random, steps = Random(seed), _steps(store, tmp_path)
    steps[0]()
    steps[1]()
    moments = []
    for _ in range(12):
        random.choice(steps)()
        moments.append(_now())
    for record_id in (1, 2):
        times = change_times(store, record_id)
        for at in moments:
            last = max(one for one in times if one <= at)
            now, then = (past_text(store, record_id, store.version_at(one)) for one in (at, last))
            assert now == then
