"""States that are kept in memory: quick, and never older than the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.errors import AmbiguousError
from mirror.store import open_store
from mirror.web import store_reader
from mirror.web.state_cache import StateCache, decompress
from mirror.web.store_reader import StoreReader
from tests.builders import (
    Object,
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.web.conftest import run_mirror

SIGNER = Signer("kept")
RECORD = make_record()
SUFFIX = make_bundle(RECORD)["pith_number"].rpartition(":")[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one record and one trusted key."""
    path = tmp_path / "mirror.db"
    keys = tmp_path / "keys.json"
    keys.write_bytes(key_set_file(SIGNER))
    assert run_mirror("keys", "add", keys, "--db", path) == 0
    _merge(path, make_bundle(RECORD))
    return path


@pytest.fixture
def library(store: Path) -> Iterator[StoreReader]:
    """That store, served."""
    opened = StoreReader(store, cache_bytes=1 << 20)
    yield opened
    opened.close()


def _merge(store: Path, bundle: Object) -> None:
    source = store.with_suffix(".bundle.json")
    source.write_bytes(to_json(bundle))
    assert run_mirror("merge", source, "--db", store) == 0


def _event_count(library: StoreReader, name: str = SUFFIX) -> int:
    named, frame = library.state(name)
    state = json.loads(decompress(frame))
    assert named.suffix == SUFFIX
    return int(state["event_count"])


def test_a_state_is_made_once(library: StoreReader) -> None:
    first, frame = library.state(SUFFIX)
    again, same_frame = library.state(SUFFIX)
    assert first is again
    assert frame is same_frame


def test_a_new_event_is_seen_at_once(library: StoreReader, store: Path) -> None:
    assert _event_count(library) == 0
    event = make_event(RECORD, SIGNER, "author_claimed", author_claim())
    _merge(store, make_bundle(RECORD, [event]))
    assert _event_count(library) == 1


def test_a_commit_to_another_record_keeps_the_cached_state(
    library: StoreReader, store: Path
) -> None:
    _, frame = library.state(SUFFIX)
    _merge(store, make_bundle(make_record(arxiv_id="2401.00002")))
    named, same_frame = library.state(SUFFIX)
    assert same_frame is frame
    assert library.state(SUFFIX)[0] is named


def test_a_state_stays_cached_while_a_merge_stores_many_others(
    library: StoreReader, store: Path
) -> None:
    """Nobody asked meanwhile: the next request finds more than ten thousand arrivals."""
    named, frame = library.state(SUFFIX)
    _merge(store, make_bundle(make_record(arxiv_id="2401.00002")))
    with open_store(store) as opened, opened.transaction():
        query = """
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
            INSERT INTO arrival
            SELECT last.id + i, record_id, run_id, member, x'', x'' FROM n,
                (SELECT * FROM arrival ORDER BY id DESC LIMIT 1) AS last
        """
        opened.connection.execute(query)
    same, same_frame = library.state(SUFFIX)
    assert same is named
    assert same_frame is frame


def test_a_new_event_is_seen_among_many_arrivals(
    library: StoreReader, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more arrivals than are read, every name is looked up again."""
    monkeypatch.setattr(store_reader, "_MANY", 0)
    assert _event_count(library) == 0
    event = make_event(RECORD, SIGNER, "author_claimed", author_claim())
    _merge(store, make_bundle(RECORD, [event]))
    assert _event_count(library) == 1


def test_a_key_that_is_not_trusted_any_more_is_seen_at_once(
    library: StoreReader, store: Path
) -> None:
    event = make_event(RECORD, SIGNER, "author_claimed", author_claim())
    _merge(store, make_bundle(RECORD, [event]))
    before, _ = library.state(SUFFIX)
    assert run_mirror("keys", "remove", SIGNER.key_id, "--db", store) in {0, 1}
    after, frame = library.state(SUFFIX)
    assert after.digest != before.digest
    assert json.loads(decompress(frame))["invalid_event_count"] == 1


def test_a_stale_state_is_made_and_named_by_its_own_digest(
    library: StoreReader, store: Path
) -> None:
    before, _ = library.state(SUFFIX)
    with open_store(store) as opened, opened.transaction():
        opened.states.mark_all_for_verdicts()
    after, _ = library.state(SUFFIX)
    assert after.digest == before.digest


def test_a_short_form_that_becomes_ambiguous_is_not_answered_from_the_cache(
    library: StoreReader, store: Path
) -> None:
    assert _event_count(library, "2401.00001") == 0
    _merge(store, make_bundle(make_record(version=2)))
    with pytest.raises(AmbiguousError):
        library.state("2401.00001")


def test_a_suffix_that_becomes_the_source_id_of_another_record_is_ambiguous(
    library: StoreReader, store: Path
) -> None:
    """Whatever a source calls its papers: a name that fits two records says so."""
    library.state(SUFFIX)
    _merge(store, make_bundle(make_record(arxiv_id=SUFFIX, kind="other")))
    with pytest.raises(AmbiguousError):
        library.state(SUFFIX)


def test_the_least_recently_used_state_is_evicted() -> None:
    kept = StateCache(capacity=10)
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    assert kept.get("a") == b"1234"
    kept.put("c", b"1234")
    assert kept.get("b") is None
    assert kept.get("a") == b"1234"
    assert kept.get("c") == b"1234"


def test_a_state_larger_than_the_cache_is_not_cached() -> None:
    kept = StateCache(capacity=3)
    kept.put("a", b"1234")
    assert kept.get("a") is None
    kept.put("b", b"12")
    assert kept.get("b") == b"12"


def test_a_cache_without_room_caches_nothing(store: Path) -> None:
    library = StoreReader(store)
    assert _event_count(library) == 0
    assert _event_count(library) == 0
    library.close()


def test_a_state_changed_when_trust_did(library: StoreReader, store: Path) -> None:
    """RFC 9110 section 8.8.2: no fact came, and the state is another one."""
    _merge(
        store, make_bundle(RECORD, [make_event(RECORD, SIGNER, "author_claimed", author_claim())])
    )
    before, _ = library.state(SUFFIX)
    assert run_mirror("keys", "remove", SIGNER.key_id, "--db", store) == 0
    after, _ = library.state(SUFFIX)
    assert before.changed_at is not None
    assert after.changed_at is not None
    assert after.digest != before.digest
    assert after.changed_at > before.changed_at
