"""Ingest: what happens when others write meanwhile, or a run ends early."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.cli import exit_codes
from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest import merge as ingest_module
from mirror.engine.ingest import pipeline as verify_module
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.current import current_text
from mirror.engine.states.trust import add_keys
from mirror.errors import KeySetChangedError
from mirror.store import Store, open_store
from tests.builders import Signer, author_claim, make_bundle, make_event, make_record, to_json
from tests.helpers import ids_in, keys_of, merged

AUTHOR = Signer("author")


def _jsonl(folder: Path, count: int) -> Path:
    """So many records in one file, each with an event."""
    records = [make_record(arxiv_id=f"2401.{number:05}") for number in range(count)]
    path = folder / "many.jsonl"
    path.write_bytes(b"\n".join(
        to_json(make_bundle(one, [make_event(one, AUTHOR, "author_claimed", author_claim())]))
        for one in records
    ))  # fmt: skip
    return path


def _job(path: Path, tell: list[Finding] | None = None) -> ReadRequest:
    return ReadRequest([str(path)], (tell if tell is not None else []).append)


def _texts(store: Store) -> list[bytes]:
    keys = store.trust_log.key_set()
    return [current_text(store, record_id, keys) for record_id in ids_in(store)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches out of few bundles."""
    monkeypatch.setattr(verify_module, "BATCH_BUNDLES", 3)
    monkeypatch.setattr(ingest_module, "TRANSACTION_BUNDLES", 3)


def test_a_key_change_by_another_process_stops_the_run(tmp_path: Path) -> None:
    """Verdicts under the old keys are never written under the new; running again mends it."""
    path, db = _jsonl(tmp_path, 10), tmp_path / "mirror.db"
    told: list[Finding] = []

    def tell(report: Finding) -> None:
        told.append(report)
        if len(told) == 1:
            with open_store(db) as other:
                add_keys(other, keys_of(AUTHOR))

    with open_store(db) as store, pytest.raises(KeySetChangedError):
        ingest(store, ReadRequest([str(path)], tell))
    with open_store(db) as store:
        assert 0 < store.records.count() < 10
        assert exit_codes.of_summary(ingest(store, _job(path))) == 0
        assert store.status().events_valid == 10
        with open_store(None) as fresh:
            add_keys(fresh, keys_of(AUTHOR))
            ingest(fresh, _job(path))
            assert _texts(fresh) == _texts(store)


def test_a_run_that_was_cut_off_is_finished_by_the_next(tmp_path: Path) -> None:
    """Facts that are stored but not yet merged are merged by whatever runs next."""
    path = _jsonl(tmp_path, 4)
    with open_store(tmp_path / "mirror.db") as store:
        ingest(store, _job(path))
        expected = _texts(store)
        with store.transaction():
            store.connection.execute("INSERT INTO stale SELECT id, 0 FROM record")
        assert expected == _texts(store)  # replayed on the way, not stored
        assert store.status().stale == 4
        ingest(store, _job(path))
        assert store.status().stale == 0
        assert expected == _texts(store)


def test_events_of_one_record_may_come_in_any_batches(tmp_path: Path) -> None:
    """A record that is met again in a later batch comes to the union's state."""
    record = make_record()
    events = [
        make_event(record, AUTHOR, "author_claimed", author_claim(claimant_id=str(number)))
        for number in range(8)
    ]
    path = tmp_path / "one-record.jsonl"
    path.write_bytes(b"\n".join(to_json(make_bundle(record, [event])) for event in events))
    with open_store(None) as store:
        add_keys(store, keys_of(AUTHOR))
        summary = ingest(store, _job(path))
        assert (1, 8) == (summary.records, summary.new.events)
        expected = merged([make_bundle(record, events)], keys_of(AUTHOR)).text
        assert [expected] == _texts(store)


def test_what_was_verified_is_not_verified_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time, no signature is checked, and the findings are the same."""
    path = _jsonl(tmp_path, 5)
    first: list[Finding] = []
    again: list[Finding] = []
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(AUTHOR))
        ingest(store, _job(path, first))
        monkeypatch.setattr("mirror.core.bundle.verify_event", None)
        summary = ingest(store, _job(path, again))
    assert first == again
    assert (5, 0) == (summary.events_valid, summary.new.events)
