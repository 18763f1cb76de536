"""Quotas: what strangers add to a record is bounded, and what a trusted key signed is kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from mirror.archive import ReadLimits
from mirror.cli import exit_codes
from mirror.core.bundle import parse_bundle
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.current import bundle_text
from mirror.engine.states.trust import add_keys
from mirror.store import OverQuota, SourceRun, Store, StoredFacts, open_store
from mirror.store import stored_facts as held_module
from mirror.store.facts import Facts
from mirror.store.store import Store as StoreType
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.helpers import ids_in, keys_of, new_facts_of

AUTHOR, STRANGER = Signer("author"), Signer("stranger")
KEYS = keys_of(AUTHOR)
RECORD = make_record()
ALIAS = {"alias_kind": "arxiv", "alias_value": RECORD["source"]["id"]}
QUOTA = 3


def _claim(second: int) -> Object:
    return {**ALIAS, "created_at": f"2026-01-01T00:00:{second:02}Z"}


EVENT = make_event(RECORD, AUTHOR, "author_claimed", author_claim())
RECEIPT = make_receipt(RECORD, AUTHOR)
JUNK = [
    make_bundle(
        RECORD,
        [*range(10 * part, 10 * part + 5), *([EVENT] if part == 1 else [])],
        [
            {**make_receipt(RECORD, STRANGER), "n": part},
            {**RECEIPT, "n": part},
            {**RECEIPT, "n": part + 10},
        ],
        [_claim(10 * part + second) for second in range(4)],
    )
    for part in range(3)
]
"""Three bundles; the second has events signed by an author."""


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory, with a transaction open."""
    with open_store(None) as opened, opened.transaction():
        yield opened


def _take(store: StoreType, bundle: Any, *, held: bool) -> OverQuota:
    writer = store.batch_writer(QUOTA)
    digest = parse_bundle(to_json(bundle)).record.digest
    known = store.facts.stored_facts(digest) if held else StoredFacts()
    taken = writer.add(
        new_facts_of(bundle, KEYS, known, with_state=not held), SourceRun("a", "b"), "c"
    )
    writer.flush()
    return taken.left_out


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_record_keeps_what_is_signed_and_its_quota_of_the_rest(
    order: tuple[int, ...],
    held: bool,  # noqa: FBT001
    store: Store,
) -> None:
    """In any order, and with any facts stored when new facts were packed (B4)."""
    left_out = [_take(store, JUNK[at], held=held) for at in order]
    (record_id,) = ids_in(store)
    bundle = json.loads(bundle_text(store, record_id))
    assert len(bundle["source_aliases"]) == QUOTA
    assert EVENT in bundle["events"]
    assert len(bundle["events"]) == QUOTA + 1
    # The first receipt of the trusted key's signature is beside the quota.
    assert len(bundle["receipts"]) == QUOTA + 1
    assert any(one["key_id"] == AUTHOR.key_id for one in bundle["receipts"])
    totals = [sum(kind) for kind in zip(*left_out, strict=True)]
    assert totals == [3 * 4 - QUOTA, 3 * 3 - QUOTA - 1, 3 * 5 - QUOTA]
    assert store.counters.actual() == store.counters.counts()


def test_a_stored_fact_uses_no_quota_again(store: Store) -> None:
    """Repeating a bundle leaves out only what was left out before."""
    first = _take(store, JUNK[0], held=True)
    assert _take(store, JUNK[0], held=True) == first == OverQuota(1, 0, 2)


def _merge(db: Path | None, bundles: list[Any], folder: Path, **limits: int) -> list[Finding]:
    path = folder / "many.jsonl"
    path.write_bytes(b"\n".join(to_json(one) for one in bundles))
    reports: list[Finding] = []
    with open_store(db) as store:
        add_keys(store, KEYS)
        summary = ingest(
            store, ReadRequest([str(path)], reports.append, limits=ReadLimits(**limits))
        )
        assert exit_codes.of_summary(summary) == 1
        assert _counted(summary, reports)
    return reports


def _counted(summary: Summary, reports: list[Finding]) -> bool:
    return summary.warnings["store.quota"] == sum(one.code == "store.quota" for one in reports)


def test_a_merge_reports_what_exceeds_the_quota(tmp_path: Path) -> None:
    """`store.quota` names the bundle and the counts; the exit code is 1."""
    reports = _merge(tmp_path / "mirror.db", JUNK, tmp_path, kept_invalid=QUOTA)
    said = [one for one in reports if one.code == "store.quota"]
    assert [one.member for one in said] == ["line 1", "line 2", "line 3"]
    assert "1 alias times, 2 malformed events" in said[0].message


def test_unsigned_facts_do_not_make_a_record_too_large_for_other_mirrors(tmp_path: Path) -> None:
    """Sixty bundles within every limit; the composed bundle is within them, too (B6)."""
    claims = [make_bundle(RECORD, [EVENT], [RECEIPT])]
    claims += [make_bundle(RECORD, list(range(900 * n, 900 * n + 900))) for n in range(8)]
    _merge(tmp_path / "a.db", claims, tmp_path)
    with open_store(tmp_path / "a.db") as store:
        text = bundle_text(store, ids_in(store)[0])
    (tmp_path / "composed.json").write_bytes(text)
    with open_store(None) as other:
        add_keys(other, KEYS)
        summary = ingest(
            other, ReadRequest([str(tmp_path / "composed.json")], lambda _report: None)
        )
        assert (summary.bundles_read, summary.events_valid, summary.receipts_verified) == (1, 1, 1)
        assert summary.events_invalid["event.shape"] == ReadLimits().kept_invalid


def test_a_long_name_of_a_key_is_not_repeated_in_the_index(store: Store) -> None:
    """Its beginning finds the record when the key is trusted, and when it is not any more."""
    signer = Signer("long", key_id="k" * 100_000)
    event = make_event(RECORD, signer, "author_claimed", author_claim())
    _take(store, make_bundle(RECORD, [event]), held=False)
    (record_id,) = ids_in(store)
    ((size,),) = store.connection.execute("SELECT max(length(key_id)) FROM key_dependency")
    assert size == 128
    assert store.facts.depending_on([signer.key_id]) == [record_id]
    assert not store.integrity.lacks_key_dependency(record_id, [signer.key_id])


# What is held --------------------------------------------------------------------------------


def _load_everything(store: Store, digest: bytes) -> StoredFacts:
    return Facts(store.connection, store.records).stored_facts(digest)


def test_stored_facts_do_not_depend_on_how_they_were_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added up arrival by arrival, or read at once; with a cache of any size."""
    others = [make_record(arxiv_id=f"2401.{number:05}") for number in range(3)]
    monkeypatch.setattr(held_module.StoredFactsCache, "MAX_FACTS", 10)
    for part, bundle in enumerate(JUNK):
        _take(store, bundle, held=True)
        for other in others:
            _take(store, make_bundle(other, list(range(part + 2))), held=True)
        for record in (RECORD, *others):
            digest = parse_bundle(to_json(make_bundle(record))).record.digest
            assert store.facts.stored_facts(digest) == _load_everything(store, digest)


def _take_and_fail(store: Store, digest: bytes) -> None:
    with store.transaction():
        _take(store, JUNK[1], held=True)
        store.facts.stored_facts(digest)
        raise sqlite3.IntegrityError


def test_stored_facts_follow_a_rollback() -> None:
    """Facts that were never committed are not held, though they were cached."""
    with open_store(None) as store:
        with store.transaction():
            _take(store, JUNK[0], held=True)
        digest = store.records.get(1).digest
        with pytest.raises(sqlite3.IntegrityError):
            _take_and_fail(store, digest)
        with store.transaction():
            assert store.facts.stored_facts(digest) == _load_everything(store, digest)
            _take(store, JUNK[2], held=True)
            assert store.facts.stored_facts(digest) == _load_everything(store, digest)
