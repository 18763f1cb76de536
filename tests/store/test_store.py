"""The store itself: whose file it is, versions, locks, transactions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given

from mirror.core.keys import KeySet
from mirror.core.merge import merge_bundles
from mirror.core.msgpack_values import pack, unpack
from mirror.core.values import canonical
from mirror.engine.search.index import update_index
from mirror.engine.states.current import bundle_text
from mirror.engine.states.replay import update_states
from mirror.errors import CorruptStoreError, SchemaVersionError, StoreBusyError, StoreError
from mirror.store import SourceRun, Store, copy, open_store, recover, schema
from mirror.store import store as store_module
from mirror.store.arrival_codec import compress
from mirror.store.states import outline_of
from tests.builders import (
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
)
from tests.helpers import composed_of, keys_of, take, verified
from tests.properties.strategies import json_values

AUTHOR = Signer("author")
RECORD = make_record()
VALUE = make_bundle(
    RECORD,
    [make_event(RECORD, AUTHOR, "author_claimed", author_claim()), 1, 1.0],
    [make_receipt(RECORD, AUTHOR), None],
)
BUNDLE = verified(VALUE, keys_of(AUTHOR))


def test_every_table_of_facts_is_copied_compared_and_salvaged() -> None:
    """A new table cannot be forgotten where one store takes the place of another."""
    tables = {name for facts, _ in schema.SCRIPTS.values() for name in schema.tables(facts)}
    assert tables == {*recover.TABLES}
    assert tables == {
        *copy.IDENTITY,
        "acknowledged_finding",
    }  # covered by `acknowledgement.checksum`


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be."""
    return tmp_path / "mirror.db"


def _fill(store: Store) -> int:
    with store.transaction():
        record_id, _ = take(store, VALUE, keys_of(AUTHOR), SourceRun("a source", "2026-01-01"))
        update_states(store, keys_of(AUTHOR), store.states.stale(10))
    return record_id


@given(json_values())
def test_a_packed_value_is_unpacked_unchanged(value: object) -> None:
    """Integers and floats apart, members in their order."""
    assert canonical(value) == canonical(unpack(pack(value)))  # type: ignore[arg-type]


def test_facts_are_loaded_as_they_were_stored(path: Path) -> None:
    """Loaded facts compose to the bytes of the ones that were added, verdicts and all (B6)."""
    with open_store(path) as store:
        record_id = _fill(store)
    with open_store(path, read_only=True) as store:
        facts = store.facts.load(record_id)
        assert list(BUNDLE.events) == facts.events
        assert list(BUNDLE.receipts) == facts.receipts
        assert list(BUNDLE.alias_claims) == facts.alias_claims
        assert composed_of([BUNDLE]) == bundle_text(store, record_id)
        assert store.states.text(record_id) == merge_bundles([BUNDLE], keys_of(AUTHOR)).text
        assert store.states.staleness(record_id) is None


def test_what_fails_midway_leaves_nothing(path: Path) -> None:
    """A transaction is all or nothing."""

    def fail(store: Store) -> None:
        with store.transaction():
            take(store, VALUE, keys_of(AUTHOR), SourceRun("a source", "2026-01-01"))
            raise ZeroDivisionError

    with open_store(path) as store:
        with pytest.raises(ZeroDivisionError):
            fail(store)
        assert store.records.count() == 0
        assert store.counters.counts() == {}
        assert store.status().last_fact_at is None


def test_the_source_of_each_fact_is_stored(path: Path) -> None:
    """The first source, member and time of a bundle's facts are stored with them."""
    with open_store(path) as store:
        _fill(store)
        with store.transaction():
            _, new = take(store, VALUE, keys_of(AUTHOR), SourceRun("later", "2026-02-02"))
        assert not new
    query = """
        SELECT source, started_at, member FROM arrival JOIN run ON run.id = run_id
    """
    conn = sqlite3.connect(path)
    assert conn.execute(query).fetchall() == [("a source", "2026-01-01", "a member")]
    assert conn.execute("SELECT count(*) FROM run").fetchone() == (1,)
    conn.close()


def test_the_store_is_in_wal_mode(path: Path) -> None:
    """A reader is not held up by a writer, and sees the last commit."""
    with open_store(path) as writer:
        _fill(writer)
        with writer.transaction(), open_store(path, read_only=True) as reader:
            writer.states.mark_all_for_verdicts()
            assert reader.status().stale == 0
            assert reader.records.count() == 1


def test_a_new_store_has_large_pages(path: Path) -> None:
    """Several contents fit on one; a store keeps the pages that it was made with."""
    with open_store(path) as store:
        _fill(store)
    with open_store(path, read_only=True) as store:
        assert store.connection.execute("PRAGMA page_size").fetchone() == (16384,)


def test_a_reader_cannot_write(path: Path) -> None:
    """Read-only is read-only."""
    with open_store(path) as store:
        _fill(store)
    with (
        pytest.raises(StoreError, match=r"store\.read_only"),
        open_store(path, read_only=True) as store,
        store.transaction(),
    ):
        store.states.mark_all_for_verdicts()


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    """Nothing is added to it."""
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE diary (page)")
    conn.commit()
    for read_only in (False, True):
        with (
            pytest.raises(SchemaVersionError, match=r"store\.foreign"),
            open_store(path, read_only=read_only),
        ):
            pass
    assert conn.execute("SELECT name FROM sqlite_schema").fetchall() == [("diary",)]
    conn.close()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("m9999_future", "store.newer"),
        ("m0001_facts_and_derived", "store.older"),
        ("m0001_first_release", "store.older"),
    ],
)
def test_a_store_of_another_version_is_refused(
    path: Path,
    name: str,
    code: str,
    read_only: bool,  # noqa: FBT001
) -> None:
    """Its tables may be others; those from before the first release are."""
    with open_store(path):
        pass
    conn = sqlite3.connect(path)
    conn.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('mirror', ?, '')",
        (name,),
    )
    conn.commit()
    conn.close()
    with (
        pytest.raises(SchemaVersionError, match=code.replace(".", r"\.")),
        open_store(path, read_only=read_only),
    ):
        pass


def test_a_store_of_an_older_version_is_brought_up_to_date_by_a_writer(path: Path) -> None:
    """A reader says what to do; a writer migrates."""
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA application_id = 0x70697468")
    conn.execute(
        "CREATE TABLE _sqlite_migrations"
        " (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT)"
    )
    conn.commit()
    conn.close()
    with (
        pytest.raises(SchemaVersionError, match=r"store\.older"),
        open_store(path, read_only=True),
    ):
        pass
    with open_store(path) as store:
        assert store.schema_version == len(schema.MIGRATIONS)
        _fill(store)


def test_an_index_of_the_second_version_stays(path: Path) -> None:
    """The third migration adds a table and two columns; nothing has to be indexed again."""
    with open_store(path) as store:
        _fill(store)
        update_index(store)
        for table in ("index_entry", "index_version"):
            store.connection.execute(f"ALTER TABLE {table} DROP COLUMN last_paper_text_id")
        store.connection.execute("DROP TABLE paper_text")
        store.connection.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm0003%'")
    with open_store(path) as store:
        assert store.schema_version == len(schema.MIGRATIONS)
        assert (0, True) == (store.search_index.unindexed(), store.search_index.is_current())


def test_a_locked_store_is_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that one waits for another writer."""
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.05)
    with (
        open_store(path) as first,
        first.transaction(),
        pytest.raises(StoreBusyError, match=r"store\.busy"),
        open_store(path) as second,
        second.transaction(),
    ):
        pass


def test_a_corrupt_file_is_reported(path: Path) -> None:
    """SQLite's own word for it becomes ours."""
    with open_store(path) as store:
        _fill(store)
    broken = bytearray(path.read_bytes())
    broken[4096:] = b"\xff" * (len(broken) - 4096)
    path.write_bytes(broken)
    with pytest.raises(CorruptStoreError, match=r"store\.corrupt"), open_store(path) as store:
        store.status()


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    """The path is named."""
    with (
        pytest.raises(StoreError, match=r"store\.unreadable at .*absent"),
        open_store(tmp_path / "absent" / "mirror.db"),
    ):
        pass


def test_an_empty_log_of_trust_is_the_built_in_key(path: Path) -> None:
    """And the log itself grows only."""
    with open_store(path) as store:
        assert store.trust_log.key_set().digest == KeySet().digest
        with store.transaction():
            keys = [key for key in keys_of(AUTHOR) if key.key_id == AUTHOR.key_id]
            store.trust_log.append("add", keys, "2026-01-01")
        (change,) = store.trust_log.log()
        assert ("add", "2026-01-01", AUTHOR.key_id) == (change.action, change.at, change.name)


@pytest.mark.parametrize("outline", [b"", b"\xff", compress(b"{")])
def test_an_outline_that_cannot_be_read_is_damage(outline: bytes) -> None:
    """Not a frame, or not JSON: the error names the row."""
    with pytest.raises(CorruptStoreError, match="state of record 7: it cannot be read"):
        outline_of([7, outline])
