"""A change of trust judges again just what names the key, all of it in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states import current, replay, reverify, trust
from mirror.engine.states.trust import add_keys, remove_keys
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
from tests.helpers import keys_of

REGISTRY, AUTHOR = Signer("registry"), Signer("author")


@pytest.fixture
def store(tmp_path: Path) -> Iterable[Store]:
    """Two records: of the first speak both signers, of the second only the registry."""
    one, two = make_record(arxiv_id="2401.00001"), make_record(arxiv_id="2401.00002")
    bundles = [
        make_bundle(
            one,
            [
                make_event(one, REGISTRY, "record_created", created(one, REGISTRY)),
                make_event(one, AUTHOR, "author_claimed", author_claim()),
                make_event(one, AUTHOR, "record_created", created(one, REGISTRY)),
                "junk",
            ],
            receipts=[make_receipt(one, REGISTRY), make_receipt(one, AUTHOR), 1],
        ),
        make_bundle(two, [make_event(two, REGISTRY, "record_created", created(two, REGISTRY))]),
    ]
    path = tmp_path / "bundles.jsonl"
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    with open_store(tmp_path / "mirror.db") as opened:
        ingest(opened, ReadRequest([str(path)], lambda _report: None))
        yield opened


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The facts that are verified again, in order."""
    seen: list[str] = []

    def spy(name: str, kind: str) -> None:
        work = reverify.__dict__[name]

        def judge(*arguments: Any) -> Any:
            seen.append(kind)
            return work(*arguments)

        monkeypatch.setattr(reverify, name, judge)

    spy("verify_event", "event")
    spy("verify_receipt", "receipt")
    return seen


def test_only_facts_that_name_a_changed_key_are_verified_again(
    store: Store, judged: list[str]
) -> None:
    """The author's two events and receipt; the registry's also by the receipts within events."""
    add_keys(store, keys_of(AUTHOR))
    assert ["event", "event", "receipt"] == sorted(judged)
    judged.clear()
    add_keys(store, keys_of(REGISTRY))
    assert ["event", "event", "event", "receipt"] == sorted(judged)
    judged.clear()
    add_keys(store, keys_of(REGISTRY))
    assert [] == judged
    remove_keys(store, [AUTHOR.key_id])
    assert ["event", "event", "receipt"] == sorted(judged)


def test_a_change_that_fails_midway_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the log nor a verdict."""
    before = store.status()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(trust, "update_states", fail)
    with pytest.raises(ZeroDivisionError):
        add_keys(store, keys_of(REGISTRY, AUTHOR))
    assert before == store.status()
    assert [] == store.trust_log.log()


def test_everything_is_verified_again_under_other_rules(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time that a version with other rules brings a store up to date, and only then."""
    seen: list[Any] = []
    work = current.__dict__["verify_event"]

    def judge(*arguments: Any) -> Any:
        seen.append(arguments)
        return work(*arguments)

    monkeypatch.setattr(current, "verify_event", judge)
    replay.process_stale(store)
    assert [] == seen
    monkeypatch.setattr(replay, "RULES", "other")
    replay.process_stale(store)
    assert 5 == len(seen)  # events of both records
    replay.process_stale(store)
    assert 5 == len(seen)


def test_a_change_has_the_time_at_which_its_transaction_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever read the store while records were verified again saw nothing of it."""
    times = iter(["2026-06-01T12:00:00.000000Z", "2026-06-01T12:05:00.000000Z"])
    monkeypatch.setattr(trust, "_now", lambda: next(times))
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(Signer("one"), Signer("other")))
        assert [change.at[:16] for change in store.trust_log.log()] == ["2026-06-01T12:05"] * 2
        assert not store.trust_log.is_truncated()
