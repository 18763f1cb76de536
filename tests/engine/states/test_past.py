"""Past states: those that a store which stopped then has, to the byte."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from mirror.core.events.summary import event_summary
from mirror.core.point_in_time import PointInTime, parse_point_in_time
from mirror.core.values import time_text
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.bag import ExportOptions, export_bag
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.current import current_facts, current_text, replay
from mirror.engine.states.past import claimed_until, past_text, require_known
from mirror.engine.states.past_root import past_root
from mirror.engine.states.root import StateRoot, read_root
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.errors import LookUpError
from mirror.store import Store, StoreVersion, open_store
from tests.builders import (
    Object,
    Signer,
    author_claim,
    created,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    to_json,
)
from tests.helpers import keys_of

REGISTRY, AUTHOR = Signer("registry"), Signer("author")


def _events(record: Object) -> list[object]:
    """Events of one record, of two signers, with one revocation and one that is refused."""
    first = make_event(record, REGISTRY, "record_created", created(record, REGISTRY))
    claims = [
        make_event(
            record, AUTHOR, "author_claimed", author_claim(), created_at=f"2026-06-0{day}T12:00:00Z"
        )
        for day in (1, 2, 3)
    ]
    back = make_event(record, AUTHOR, "event_revoked", revocation(claims[1]["event_id"]))
    return [first, *claims, back, "junk"]


def _step(store: Store, folder: Path, random: Random, events: dict[int, list[object]]) -> None:
    """Merge some events of one record, or change trust."""
    if random.random() < 0.3:
        trusted = store.trust_log.key_set().get(AUTHOR.key_id) is not None
        if trusted:
            remove_keys(store, [AUTHOR.key_id])
        else:
            add_keys(store, keys_of(AUTHOR))
        return
    number = random.choice([*events])
    record = make_record(arxiv_id=f"2401.{number:05}")
    some = random.sample(events[number], random.randint(1, 3))
    path = folder / "step.json"
    path.write_bytes(to_json(make_bundle(record, some, receipts=[make_receipt(record, REGISTRY)])))
    ingest(store, ReadRequest([str(path)], lambda _report: None))


class _Knowledge(NamedTuple):
    """All that a store tells of its records."""

    states: dict[str, bytes]
    root: StateRoot
    bags: list[bytes]


def _knowledge(store: Store, folder: Path, at: PointInTime | None) -> _Knowledge:
    """Return what a store reports now, or of a time."""
    if at is None:
        with store.snapshot():
            root = read_root(store)
        return _Knowledge(_states(store), root, _bags(store, folder, None))
    version = store.version_at(at.text)
    return _Knowledge(
        _past_states(store, at), past_root(store, version), _bags(store, folder, version)
    )


def _bags(store: Store, folder: Path, version: StoreVersion | None) -> list[bytes]:
    """Return bags of all records: whole, packed, without junk, and an increment."""
    path, bags = folder / "out.tar", []
    base = folder / "base.tar"
    if not base.exists():
        export_bag(store, OutputFile(base, force=True), ExportOptions())
    for options in (
        ExportOptions(version=version),
        ExportOptions(version=version, packed=True),
        ExportOptions(version=version, keep_invalid=0),
        ExportOptions(version=version, since=str(base)),
    ):
        export_bag(store, OutputFile(path, force=True), options)
        bags.append(path.read_bytes())
    return bags


def _states(store: Store) -> dict[str, bytes]:
    return {
        store.records.get(one).pith_number: current_text(store, one)
        for one, _, _ in store.records.page(0, 100)
    }


def _past_states(store: Store, at: PointInTime) -> dict[str, bytes]:
    version = store.version_at(at.text)
    known = [row for row in store.records.page(0, 100) if _is_known(store, row[0], at)]
    return {number: past_text(store, one, version) for one, _, number in known}


def _is_known(store: Store, record_id: int, at: PointInTime) -> bool:
    try:
        require_known(store, record_id, store.version_at(at.text), at)
    except LookUpError:
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_a_past_state_is_the_one_that_the_store_had_then(tmp_path: Path, seed: int) -> None:
    random, path = Random(seed), tmp_path / "mirror.db"
    events = {number: _events(make_record(arxiv_id=f"2401.{number:05}")) for number in (1, 2, 3)}
    steps: list[tuple[PointInTime, _Knowledge]] = []
    with open_store(path) as store:
        add_keys(store, keys_of(REGISTRY))
        for _ in range(10):
            _step(store, tmp_path, random, events)
            at = parse_point_in_time(time_text(datetime.now(UTC), microseconds=True))
            steps.append((at, _knowledge(store, tmp_path, None)))
        for at, expected in steps:
            assert _knowledge(store, tmp_path, at) == expected
    assert len({known.root.root for _, known in steps}) > 3


def test_a_state_by_claimed_time_ignores_the_time_of_arrival(tmp_path: Path) -> None:
    """Of one arrival, what claims a later time is left out, and what claims none is, too."""
    record = make_record()
    path = tmp_path / "one.json"
    path.write_bytes(to_json(make_bundle(record, _events(record))))
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(REGISTRY, AUTHOR))
        ingest(store, ReadRequest([str(path)], lambda _report: None))
        facts = claimed_until(current_facts(store, 1), parse_point_in_time("2026-06-02"))
        state = replay(facts, store.trust_log.key_set())
    claimed = {event_summary(event).created_at for event in facts.events}
    assert max(claimed) == "2026-06-02T12:00:00Z"
    assert state.count("invalid_event_count") == 0
