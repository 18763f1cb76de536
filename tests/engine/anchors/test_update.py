"""Results of time-stamps: stored, shown, made again when something changed, and checked."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirror.core.record import parse_record
from mirror.engine.anchors.headers import add_headers
from mirror.engine.anchors.time_stamps import read_time_stamps
from mirror.engine.anchors.update import (
    CHECKS,
    anchors_of,
    check_anchors,
    count_anchored,
    stored_anchors,
    update_anchors,
)
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.check import CheckScope, check, check_and_repair
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.store import Store, open_store
from tests.builders import Object, Signer, make_bundle, make_event, make_record, to_json
from tests.chains import chain, roots
from tests.helpers import keys_of
from tests.proofs import in_block, path, promised, stamp

SIGNER, OTHER = Signer("stamper"), Signer("other")
RECORD, BARE = make_record(), make_record(arxiv_id="2401.00002")
PARSED = parse_record(RECORD)
HEIGHT = 500
PROOF, (ROOT,) = stamp(bytes.fromhex(PARSED.canonical_sha256), (path(), in_block(HEIGHT)))
PROMISE, _ = stamp(bytes.fromhex(PARSED.canonical_sha256), (path(), promised()))


def time_stamp(proof: bytes, signer: Signer = SIGNER, method: str = "opentimestamps") -> Object:
    """An event that claims a time-stamp of the record."""
    payload = {
        "method": method,
        "digest": PARSED.canonical_sha256,
        "proof_b64": base64.b64encode(proof).decode(),
    }
    return make_event(RECORD, signer, "timestamp_anchored", payload)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "mirror.db") as opened:
        add_keys(opened, keys_of(SIGNER, OTHER))
        yield opened


def _merge(store: Store, folder: Path, record: Object, *events: Object) -> int:
    """Merge a bundle of a record; return the record's id."""
    source = folder / "bundle.json"
    source.write_bytes(to_json(make_bundle(record, [*events])))
    ingest(store, ReadRequest([str(source)], lambda _report: None))
    found = store.records.find(bytes.fromhex(parse_record(record).canonical_sha256))
    assert found is not None
    return found


def _add_headers(store: Store, headers: list[bytes], height: int) -> None:
    with store.transaction():
        add_headers(store, io.BytesIO(b"".join(headers)), height)


def _statuses(store: Store, record_id: int) -> list[Any]:
    return sorted(str(one["status"]) for one in stored_anchors(store, record_id).values())


def _is_current(store: Store) -> bool:
    return store.anchors.is_current(CHECKS)


def test_results_follow_facts_trust_and_headers(store: Store, tmp_path: Path) -> None:
    """Each change makes again what it may change, and nothing else."""
    one = _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    bare = _merge(store, tmp_path, BARE)
    assert not _is_current(store)
    assert stored_anchors(store, one) == {}
    assert update_anchors(store) == []
    assert (_statuses(store, one), _statuses(store, bare)) == (["no_header_yet"], [])
    assert _is_current(store)
    _add_headers(store, chain(roots(3)), HEIGHT + 1)
    assert stored_anchors(store, one) == {}  # the stored result may be wrong now
    update_anchors(store)
    assert _statuses(store, one) == ["no_header_yet"]
    _merge(store, tmp_path, RECORD, time_stamp(PROMISE, OTHER))
    assert not _is_current(store)
    assert _statuses(store, one) == ["no_header_yet"]  # which the new event does not change
    update_anchors(store)
    assert _statuses(store, one) == ["no_header_yet", "pending"]
    remove_keys(store, [OTHER.key_id])
    update_anchors(store)
    assert _statuses(store, one) == ["no_header_yet"]
    assert store.anchors.counts() == {"no_header_yet": 1}


def test_only_what_changed_is_checked(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update without a change reads no record."""
    _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    bare = _merge(store, tmp_path, BARE)
    update_anchors(store)
    seen: list[int] = []
    outline = store.states.outline

    def read(record_id: int) -> Object:
        seen.append(record_id)
        return outline(record_id)

    monkeypatch.setattr(store.states, "outline", read)
    update_anchors(store)
    assert seen == []
    _merge(store, tmp_path, BARE, make_event(BARE, SIGNER, "x.y", {}))
    update_anchors(store)
    assert seen == [bare]


def test_headers_anchor_it_and_more_of_them_add_work(store: Store, tmp_path: Path) -> None:
    """No state depends on a result: its digest stays."""
    one = _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    digest = store.states.digest(one)
    made = chain([ROOT, *roots(4)])
    for count in (1, 5):
        _add_headers(store, made[:count], HEIGHT)
        update_anchors(store)
        ((_, value),) = stored_anchors(store, one).items()
        attestations: Any = value["attestations"]
        assert value["status"] == "anchored"
        assert attestations[0]["block"]["headers_after"] == count - 1
    assert count_anchored(stored_anchors(store, one).values()) == 1
    assert store.states.digest(one) == digest


def test_every_method_has_a_result(store: Store, tmp_path: Path) -> None:
    stamps = [
        time_stamp(PROOF),
        time_stamp(b"no token", OTHER, "rfc3161"),
        time_stamp(b"?", OTHER, "other"),
    ]
    one = _merge(store, tmp_path, RECORD, *stamps)
    update_anchors(store)
    found = {anchor.method: anchor.status for anchor in store.anchors.all(one)}
    assert found == {
        "opentimestamps": "no_header_yet",
        "rfc3161": "malformed",
        "other": "not_checked",
    }


def test_results_that_are_not_stored_are_made_for_one_record(store: Store, tmp_path: Path) -> None:
    """Nothing is stored by that."""
    one = _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    stamps = read_time_stamps(store, one)
    (value,) = anchors_of(store, one, PARSED, stamps).values()
    assert (value["status"], store.anchors.counts()) == ("no_header_yet", {})
    update_anchors(store)
    (stored,) = anchors_of(store, one, PARSED, stamps).values()
    assert "checked_at" in stored


def test_a_damaged_record_stays_queued_and_is_named(store: Store, tmp_path: Path) -> None:
    one = _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    content = store.connection.execute("SELECT content FROM arrival").fetchone()[0]
    store.connection.execute("UPDATE arrival SET content = x'00'")
    assert update_anchors(store) == [one]
    assert not _is_current(store)
    store.connection.execute("UPDATE arrival SET content = ?", (content,))
    assert update_anchors(store) == []
    assert _statuses(store, one) == ["no_header_yet"]


DAMAGE = {
    "a changed status": "UPDATE anchor SET status = 'anchored'",
    "a changed result": "UPDATE anchor SET result = x'80'",
    "a lost row": "DELETE FROM anchor",
    "a row of no record": "UPDATE anchor SET record_id = 99",
    "a changed sum": "UPDATE anchor_version SET combined = x'00'",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_made_again(tmp_path: Path, store: Store, name: str) -> None:
    one = _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    update_anchors(store)
    before = [row[:5] for row in store.anchors.all()]
    database = tmp_path / "mirror.db"

    def damages() -> list[str]:
        found = check(database, CheckScope(), lambda _damage: None, more=check_anchors).damages
        return [damage.table for damage in found]

    assert damages() == []
    store.connection.execute(DAMAGE[name])
    assert "anchor" in damages()
    repaired = check_and_repair(database, CheckScope(), lambda _damage: None, more=check_anchors)
    assert repaired.is_repaired
    update_anchors(store)
    assert [row[:5] for row in store.anchors.all()] == before
    assert _statuses(store, one) == ["no_header_yet"]


def test_a_result_that_does_not_follow_is_damage(tmp_path: Path, store: Store) -> None:
    """Written with its checksum, so that only checking the proof again shows it."""
    one = _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    update_anchors(store)
    (row,) = store.anchors.all()
    with store.transaction():
        forged = {**row.result, "status": "anchored"}
        store.anchors.replace(one, [row._replace(status="anchored", result=forged)])
    assert store.anchors.is_whole()
    (damage,) = check_anchors(store)
    assert (damage.table, damage.pith_number) == ("anchor", PARSED.pith_number)


def test_a_rebuild_makes_the_results_again(store: Store, tmp_path: Path) -> None:
    one = _merge(store, tmp_path, RECORD, time_stamp(PROOF))
    update_anchors(store)
    rebuild(store)
    assert not store.anchors.is_used()
    update_anchors(store)
    assert _statuses(store, one) == ["no_header_yet"]
