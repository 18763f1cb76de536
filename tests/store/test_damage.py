"""Broken stores: whatever is damaged is named, and nothing damaged is served or merged as good."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mirror.cli import exit_codes
from mirror.core.bundle import AliasClaim
from mirror.core.keys import BUILT_IN, parse_key_set
from mirror.core.msgpack_values import pack
from mirror.core.transparency.signed_note import make_signer
from mirror.core.values import canonical, sha256
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.bag import ExportOptions, export_bag, record_export
from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.check import CheckScope, check, check_and_repair
from mirror.engine.states.current import bundle_text, current_text
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.engine.transparency.checkpoints import make_checkpoint
from mirror.errors import MirrorError, StoreError
from mirror.store import (
    ArrivalContents,
    ArrivalRow,
    CachedETag,
    Change,
    CheckpointProof,
    Damage,
    PaperText,
    RecordTotals,
    StorageCheck,
    Store,
    UpstreamStatementRow,
    open_store,
)
from mirror.store.acknowledgements import AcknowledgementRequest, CoveredFindings
from mirror.store.arrival_codec import compress, decompress, pack_contents, unpack_contents
from mirror.store.row_checksum import row_checksum
from mirror.store.store import PAGE_BYTES
from tests.archive.tar_builders import bag_files, plain_tar
from tests.builders import (
    NOON,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    sign_event,
    to_json,
)
from tests.cli.conftest import BUNDLES
from tests.helpers import ids_in, keys_of

DEMO = BUNDLES / "demo.tar"
AUTHOR = Signer("author")
KEYS = [*parse_key_set((BUNDLES / "demo-keys.json").read_bytes()), *keys_of(AUTHOR)]

FACTS = ("run", "arrival", "record", "trust")
DERIVED = (
    "record_totals",
    "verdict",
    "key_dependency",
    "state",
    "counter",
    "tree_node",
    "citation",
)
TABLES = (*FACTS, *DERIVED)
"""Tables whose rows are compared with others at each read."""
MEMORIES = (
    "source_cache",
    "sync_state",
    "merged_bag",
    "exported_bag",
    "rules",
    "stale",
    "check_progress",
    "quarantine",
    "tree_queue",
    "arrival_commit",
    "block_header",
    "anchor",
    "anchor_queue",
    "anchor_version",
)
"""Caches, queues and notes: each has its own tests of its damage, below or with its own tests."""

EVIDENCE = (
    "upstream_history", "checkpoint", "acknowledgement", "acknowledged_finding", "storage_check",
    "timestamp_authority", "checkpoint_proof", "paper_text",
)  # fmt: skip
"""Statements of others: shown as such, and nothing depends on them."""

SEARCH = ("index_entry", "index_queue", "index_version", "full_text")
"""The search index, which no state or bundle rests on."""

RECORD = make_record(arxiv_id="2402.00001")
"""A record with facts that fail: the demo's bundles have none."""


def _faulty_bundle() -> bytes:
    noise = random.Random(0).randbytes(4500).hex()  # so that arrivals fill more than a page
    event = make_event(RECORD, AUTHOR, "author_claimed", author_claim(weight=1.5, noise=noise))
    stranger = Signer("stranger")
    events = [
        event,
        {**event, "target": "graph"},
        sign_event({**event, "created_at": "yesterday"}, AUTHOR),
        make_event(RECORD, stranger, "author_claimed", author_claim()),
        1,
        1.0,
    ]
    receipts = [make_receipt(RECORD, AUTHOR), make_receipt(RECORD, stranger), None]
    return to_json(make_bundle(RECORD, events, receipts))


def _demo_bundles(events: int) -> dict[str, bytes]:
    """The bundles of the demo bag, with so many events of each at most."""
    with tarfile.open(DEMO) as tar:
        files = {info.name: tar.extractfile(info) for info in tar}
        bundles = {
            name.removeprefix("pith/data/"): json.load(file)
            for name, file in files.items()
            if file is not None and name.endswith("bundle.json")
        }
    return {
        name: to_json({**bundle, "events": bundle["events"][:events]})
        for name, bundle in bundles.items()
    }


RECORDS = 9
ARRIVALS = 10


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> ReadRequest:
    """The sources of the store: a bag of the demo's records, and a bundle with faults."""
    folder = tmp_path_factory.mktemp("sources")
    bag, faulty = folder / "demo.tar", folder / "faulty.json"
    bag.write_bytes(plain_tar(bag_files(_demo_bundles(events=4))))
    faulty.write_bytes(_faulty_bundle())
    return ReadRequest([str(bag), str(faulty)], lambda _report: None)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, job: ReadRequest) -> Path:
    """A store of them, in one file."""
    path = tmp_path_factory.mktemp("good") / "mirror.db"
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, job)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    assert PAGE_BYTES < sum(len(row[4]) for row in _rows(path, "arrival"))
    return path


@pytest.fixture
def path(good: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copy(good, tmp_path / "mirror.db"))


def _states(path: Path) -> dict[str, bytes]:
    with open_store(path, read_only=True) as store:
        keys = store.trust_log.key_set()
        return {
            store.records.get(one).pith_number: current_text(store, one, keys)
            for one in ids_in(store)
        }


def _served(path: Path) -> list[tuple[str, bytes]]:
    """All that the store is willing to show: states and bundles, record by record."""
    shown = []
    try:
        with open_store(path, read_only=True) as store:
            keys = store.trust_log.key_set()
            ids = list(ids_in(store))
            for one in ids:
                try:
                    number = store.records.get(one).pith_number
                    shown.append((number, current_text(store, one, keys)))
                    shown.append((number + " bundle", bundle_text(store, one)))
                except (StoreError, sqlite3.Error):
                    continue
    except StoreError:
        return shown
    return shown


@cache
def _good_answers(good: Path) -> frozenset[tuple[str, bytes]]:
    return frozenset(_served(good))


@cache
def _good_states(good: Path) -> dict[str, bytes]:
    return _states(good)


class _Bound:
    """Ends a check that would not end: it is called for every checked record."""

    def __init__(self) -> None:
        self._records = 0

    def __call__(self, records: int) -> None:
        self._records += records
        assert self._records <= 20 * RECORDS, "the check sees the same records again and again"


def _check(path: Path, *, quick: bool = False) -> list[Damage]:
    return check(path, CheckScope(quick=quick), lambda _damage: None, _Bound()).damages


def _break(path: Path, query: str, *arguments: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("PRAGMA ignore_check_constraints = ON")
        assert conn.execute(query, arguments).rowcount > 0


@cache
def _columns(table: str) -> list[str]:
    with open_store(None) as store:
        return [row[1] for row in store.connection.execute(f"PRAGMA table_info({table})")]


CELLS = [(table, column) for table in TABLES for column in _columns(table)]


def _changed(value: object) -> object:
    """A value of the same type that differs."""
    if isinstance(value, int):
        return value + 1_000_000
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return {"add": "remove"}.get(str(value), f"{value}x")


def _rows(path: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608


def _is_row(table: str) -> str:
    return " AND ".join(f"{column} IS ?" for column in _columns(table))


# One cell at a time --------------------------------------------------------------------------


def test_every_table_is_damaged_in_these_tests() -> None:
    """A new table must be listed by the effect of its damage."""
    with open_store(None) as store:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        found = {name for (name,) in store.connection.execute(query)}
    hidden = {name for name in found if name.startswith(("full_text_", "_sqlite", "sqlite_"))}
    assert {*TABLES, *MEMORIES, *SEARCH, *EVIDENCE} == found - hidden


@pytest.mark.parametrize("index", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize(("table", "column"), CELLS, ids=lambda name: name)
def test_a_changed_cell_is_found_and_never_served(
    table: str, column: str, index: int, path: Path, good: Path
) -> None:
    """In every table, every column: `check` names it, and answers stay right or are refused."""
    row = [row for row in _rows(path, table) if row[_columns(table).index(column)] != b""][index]
    if (table, column, index) == ("trust", "id", -1):
        pytest.skip("the lines stay in their order, and say the same")
    new = _changed(row[_columns(table).index(column)])
    _break(path, f"UPDATE {table} SET {column} = ? WHERE {_is_row(table)}", new, *row)  # noqa: S608
    assert _check(path) != []
    assert set(_served(path)) <= _good_answers(good)


@pytest.mark.parametrize("index", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("table", TABLES)
def test_a_lost_row_is_found_and_never_served(
    table: str, index: int, path: Path, good: Path
) -> None:
    """A missing row is found, except the last line of the log of trust."""
    row = _rows(path, table)[index]
    _break(path, f"DELETE FROM {table} WHERE {_is_row(table)}", *row)  # noqa: S608
    assert _check(path) != []
    assert set(_served(path)) <= _good_answers(good)


@pytest.mark.parametrize("arrival_id", range(1, ARRIVALS + 1))
def test_a_changed_bit_of_a_content_is_found_and_never_served(
    arrival_id: int, path: Path, good: Path
) -> None:
    """Wherever it is: `check` names the row, quick or not; all else is as it was."""
    order = random.Random(arrival_id)
    content = bytearray(_rows(path, "arrival")[arrival_id - 1][4])
    if content:
        content[order.randrange(len(content))] ^= 1 << order.randrange(8)
    else:
        content += b"\x00"
    _break(path, "UPDATE arrival SET content = ? WHERE id = ?", bytes(content), arrival_id)
    for quick in (False, True):
        (damage,) = _check(path, quick=quick)
        assert ("arrival", arrival_id) == (damage.table, damage.row_id)
    served, answers = set(_served(path)), _good_answers(good)
    assert {name for name, _ in answers - served} == {
        damage.pith_number,
        f"{damage.pith_number} bundle",
    }
    assert served <= answers


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, content FROM arrival WHERE content != x''",
        "SELECT record_id, outline FROM state",
    ],
)
def test_a_frame_that_declares_a_huge_size_is_damage(
    query: str, path: Path, good: Path, job: ReadRequest
) -> None:
    """One bit in the head of what is compressed, and it speaks of more than there is memory."""
    table, column, key = (
        ("state", "outline", "record_id") if "state" in query else ("arrival", "content", "id")
    )
    with closing(sqlite3.connect(path)) as conn:
        rows = conn.execute(query).fetchall()
    for row_id, frame in rows:
        damaged = frame[:4] + bytes([frame[4] | 0xC0]) + frame[5:]
        statement = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"  # noqa: S608
        _break(path, statement, damaged, row_id)
    assert len(rows) == len([one for one in _check(path) if one.table == table])
    assert set(_served(path)) <= _good_answers(good)
    try:
        with open_store(path) as store:
            ingest(store, job)
    except StoreError:
        pass
    assert check_and_repair(path, CheckScope(), lambda _damage: None).is_repaired
    _mended(path, good, job)


ADD_VERDICT = "INSERT INTO verdict VALUES ({}, 'mirror-v1', '', '{}', 'x', '{}', 1)"
FORGERIES = {
    "a verdict on an event that passed": ADD_VERDICT.format("5, 'event'", "event.id", 0),
    "a verdict beyond the facts": ADD_VERDICT.format("5, 'event'", "event.id", 999),
    "a verdict on a receipt": ADD_VERDICT.format("1, 'receipt'", "receipt.role", 0),
    "a missing verdict": "DELETE FROM verdict WHERE code = 'event.id'",
    "a missing verdict on a number": "DELETE FROM verdict WHERE code = 'event.shape'",
    "another code": "UPDATE verdict SET code = 'event.shape' WHERE code = 'event.id'",
    "another reason": "UPDATE verdict SET reason = '' WHERE code = 'event.time'",
    "another fact": "UPDATE verdict SET positions = '0' WHERE code = 'event.time'",
    "invalid positions": "UPDATE verdict SET positions = 'x' WHERE code = 'event.time'",
    "more positions": "UPDATE verdict SET positions = '0-9999999999' WHERE code = 'event.time'",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_verdict_is_found(name: str, path: Path, good: Path) -> None:
    """To write that an event is invalid, or valid, does not make it so."""
    _break(path, FORGERIES[name])
    assert "verdict" in {damage.table for damage in _check(path)}
    assert set(_served(path)) <= _good_answers(good)


# Damage whose seals fit ----------------------------------------------------------------------


def _recompute_checksums(store: Store) -> None:
    """Make every checksum fit what is there now, as no broken disk does."""
    conn = store.connection
    for record_id in ids_in(store):
        rows = [(row, row.contents()) for row in store.facts.arrivals(record_id)]
        for row, _ in rows:
            checksum = ArrivalRow.checksum_of(
                row.id, row.record_id, row.run_id, row.member, row.content
            )
            conn.execute("UPDATE arrival SET checksum = ? WHERE id = ?", (checksum, row.id))
        ledger = RecordTotals.of(rows)
        ledger.save(conn, record_id)
        query = "UPDATE state SET totals_checksum = ? WHERE record_id = ?"
        conn.execute(query, (ledger.checksum, record_id))
        _recompute_state_checksum(conn, record_id)


def _recompute_state_checksum(conn: sqlite3.Connection, record_id: int) -> None:
    query = "SELECT * FROM state WHERE record_id = ?"
    *row, _ = conn.execute(query, (record_id,)).fetchone()
    conn.execute(
        "UPDATE state SET checksum = ? WHERE record_id = ?", (row_checksum(*row), record_id)
    )


def _repacked(contents: ArrivalContents) -> bytes:
    receipts = {digest: pack(value) for digest, value in contents.receipts}
    events = {digest: pack(value) for digest, value in contents.events}
    return pack_contents(contents.claims, receipts, events)


def _with_another_value(contents: ArrivalContents) -> ArrivalContents:
    (digest, value), *others = contents.events
    assert isinstance(value, dict)
    return contents._replace(events=[(digest, {**value, "target": "graph"}), *others])


def _with_another_receipt(contents: ArrivalContents) -> ArrivalContents:
    (digest, _), *others = contents.receipts
    return contents._replace(receipts=[(digest, None), *others])


def _with_another_digest(contents: ArrivalContents) -> ArrivalContents:
    (_, value), *others = contents.events
    return contents._replace(events=[(bytes(32), value), *others])


def _with_digests_exchanged(contents: ArrivalContents) -> ArrivalContents:
    (one, first), (other, second), *others = contents.events
    return contents._replace(events=[(other, first), (one, second), *others])


def _with_one_event_less(contents: ArrivalContents) -> ArrivalContents:
    return contents._replace(events=contents.events[1:])


def _with_one_claim_less(contents: ArrivalContents) -> ArrivalContents:
    return contents._replace(claims=contents.claims[1:])


def _with_a_claim_of_another(contents: ArrivalContents) -> ArrivalContents:
    claim = AliasClaim("arxiv", "9999.99999", "2026-01-01T00:00:00Z")
    return contents._replace(claims=[claim, *contents.claims[1:]])


def _with_a_claim_at_no_time(contents: ArrivalContents) -> ArrivalContents:
    claim = contents.claims[0]._replace(created_at="never")
    return contents._replace(claims=[claim, *contents.claims[1:]])


FORGED_VALUES = (
    _with_another_value,
    _with_another_receipt,
    _with_another_digest,
    _with_digests_exchanged,
    _with_a_claim_of_another,
    _with_a_claim_at_no_time,
)
"""Content that no bundle can have; other changes show only in what depends on them."""


@pytest.mark.parametrize("change", [*FORGED_VALUES, _with_one_event_less, _with_one_claim_less])
def test_a_content_that_was_forged_with_all_its_checksums_is_found(
    change: Callable[[ArrivalContents], ArrivalContents], path: Path
) -> None:
    """Seals are against broken disks; values, digests and signatures are verified again."""
    with open_store(path) as store, store.transaction():
        conn = store.connection
        query = "SELECT id, content FROM arrival ORDER BY id DESC LIMIT 1"
        arrival_id, content = conn.execute(query).fetchone()
        forged = _repacked(change(unpack_contents(content)))
        assert forged != content
        conn.execute("UPDATE arrival SET content = ? WHERE id = ?", (forged, arrival_id))
        _recompute_checksums(store)
    assert _check(path) != []
    if change in FORGED_VALUES:
        found = [(one.table, one.row_id) for one in _check(path, quick=True)]
        assert ("arrival", arrival_id) in found


@pytest.mark.parametrize("name", FORGERIES)
def test_a_verdict_that_was_forged_with_all_its_checksums_is_found(name: str, path: Path) -> None:
    """Every verdict is reached again."""
    _break(path, FORGERIES[name])
    with open_store(path) as store, store.transaction():
        _recompute_checksums(store)
    assert "verdict" in {damage.table for damage in _check(path)}


@pytest.mark.parametrize("recomputed", [False, True])
def test_an_outline_that_does_not_follow_from_the_facts_is_found(
    path: Path, good: Path, *, recomputed: bool
) -> None:
    """Every state is merged again; and none is shown that does not have its digest (M12)."""
    with open_store(path) as store, store.transaction():
        conn = store.connection
        (outline,) = conn.execute("SELECT outline FROM state WHERE record_id = 1").fetchone()
        forged = decompress(outline).replace(b'"equivocation_count":0', b'"equivocation_count":1')
        query = "UPDATE state SET outline = ? WHERE record_id = 1"
        assert decompress(outline) != forged
        conn.execute(query, (compress(forged),))
        if recomputed:
            _recompute_state_checksum(conn, 1)
    (damage,) = _check(path)
    assert ("state", 1) == (damage.table, damage.record_id)
    assert set(_served(path)) < _good_answers(good)


# Repair and rebuild --------------------------------------------------------------------------

BREAKS = {
    "content": "UPDATE arrival SET content = x'00' WHERE id = 7",
    "content of another": "UPDATE arrival SET content = (SELECT content FROM arrival WHERE id = 6) "
    "WHERE id = 7",
    "no content": "UPDATE arrival SET content = x'' WHERE id = 1",
    "member": "UPDATE arrival SET member = 'elsewhere' WHERE id = 1",
    "checksum": "UPDATE arrival SET checksum = x'00' WHERE id = 10",
    "lost arrival": "DELETE FROM arrival WHERE id = 2",
    "record": "UPDATE record SET value = x'c1' WHERE id = 2",
    "digest": "UPDATE record SET digest = x'00' WHERE id = 9",
    "run": "UPDATE run SET source = 'elsewhere'",
    "lost runs": "DELETE FROM run",
    "verdict": "UPDATE verdict SET code = 'event.id' WHERE positions = '3'",
    "lost verdicts": "DELETE FROM verdict",
    "totals": "UPDATE record_totals SET checksum = x'00' WHERE record_id = 3",
    "lost totals": "DELETE FROM record_totals",
    "outline": "UPDATE state SET outline = x'00' WHERE record_id = 3",
    "lost states": "DELETE FROM state",
    "key dependency": "DELETE FROM key_dependency",
    "counter": "UPDATE counter SET count = count + 1",
    "lost counters": "DELETE FROM counter",
    "lost record": "DELETE FROM record WHERE id = 4",
}
LOSSES = ("content", "content of another", "no content", "member", "checksum", "lost arrival",
          "record", "digest")  # fmt: skip
"""Where a bundle must come again."""


@pytest.mark.parametrize("name", BREAKS)
def test_a_repaired_store_is_complete_after_its_bundle_is_merged_again(
    name: str, path: Path, good: Path, job: ReadRequest
) -> None:
    """Damaged rows are quarantined; the record is named; its bundle restores it."""
    _break(path, BREAKS[name])
    report = check_and_repair(path, CheckScope(), lambda _damage: None)
    assert report.is_repaired
    assert _check(path) == []
    if name in LOSSES:
        assert len(report.need_bundles) == 1
    with open_store(path) as store:
        ingest(store, job)
        assert store.counters.actual() == store.counters.counts()
    assert _good_states(good) == _states(path)
    assert _check(path) == []


def test_a_broken_log_of_trust_leaves_only_the_built_in_key(path: Path, good: Path) -> None:
    """The trusted keys are not known any more: a person adds them again."""
    _break(path, "UPDATE trust SET value = x'00' WHERE id = 1")
    with pytest.raises(MirrorError, match=r"store\.damaged"), open_store(path) as store:
        store.trust_log.key_set()
    assert check_and_repair(path, CheckScope(), lambda _damage: None).is_repaired
    with open_store(path) as store:
        assert len(store.trust_log.key_set()) == 1
        assert store.status().events_valid == 0
        add_keys(store, KEYS)
    assert _good_states(good) == _states(path)
    assert _check(path) == []


@pytest.mark.parametrize(
    ("query", "is_trusted"),
    [
        ("UPDATE trust SET value = x'00' WHERE id = {last}", False),
        ("UPDATE trust SET value = x'00' WHERE id = 1", False),
        ("DELETE FROM trust WHERE id = 2", False),
        ("UPDATE trust SET action = 'add' WHERE id = {last}", True),
    ],
)
def test_a_repair_trusts_no_built_in_key_that_was_removed(
    query: str, path: Path, *, is_trusted: bool
) -> None:
    """The broken log says that it was, as far as it can be read; what is missing says nothing."""
    with open_store(path) as store:
        remove_keys(store, [BUILT_IN.key_id])
        last = store.trust_log.version
    _break(path, query.format(last=last))
    assert check_and_repair(path, CheckScope(), lambda _damage: None).is_repaired
    with open_store(path) as store:
        assert [BUILT_IN] * is_trusted == [*store.trust_log.key_set()]
        add_keys(store, KEYS)
    assert _check(path) == []


def _break_page_of(path: Path, table: str) -> None:
    """Make the first page of a table unreadable."""
    with closing(sqlite3.connect(path)) as conn:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = conn.execute(query, (table,)).fetchone()
        conn.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(path.read_bytes())
    content[(page - 1) * PAGE_BYTES : page * PAGE_BYTES] = bytes([7]) * PAGE_BYTES
    path.write_bytes(content)


def test_an_unreadable_trust_log_trusts_no_key(path: Path) -> None:
    """Not the built-in key either, for nobody knows whether it was removed."""
    _break_page_of(path, "trust")
    assert check_and_repair(path, CheckScope(), lambda _damage: None, _Bound()).is_repaired
    with open_store(path) as store:
        assert [] == [*store.trust_log.key_set()]


@pytest.mark.parametrize("table", ["timestamp_authority", "record_totals"])
def test_an_incomplete_log_of_authorities_trusts_none(table: str, path: Path) -> None:
    """An authority that a lost line removed does not come back when the file is salvaged."""
    with open_store(path) as store, store.transaction():
        store.authorities.append("add", "tsa.example", b"certificates", NOON)
        store.authorities.append("remove", "tsa.example", b"certificates", NOON)
    _break(path, "DELETE FROM timestamp_authority WHERE action = 'remove'")
    _break_page_of(path, table)
    assert check_and_repair(path, CheckScope(), lambda _damage: None, _Bound()).is_repaired
    with open_store(path) as store:
        assert store.authorities.trusted() == {}


def test_rebuild_ends_in_the_same_digests(path: Path, good: Path) -> None:
    """Everything derived may be lost: it follows from the facts."""
    for table in DERIVED:
        _break(path, f"DELETE FROM {table}")  # noqa: S608
    with open_store(path) as store:
        assert rebuild(store) == []
    assert _good_states(good) == _states(path)
    assert _check(path) == []
    for table in ("record_totals", "verdict", "key_dependency", "counter", "state"):
        assert _rows(good, table) == _rows(path, table)


def test_states_alone_are_made_again_from_facts_and_verdicts(path: Path, good: Path) -> None:
    """`judge=False`: the same states, ledgers and counts, and no verdict is touched."""
    for table in ("state", "counter"):
        _break(path, f"DELETE FROM {table}")  # noqa: S608
    with open_store(path) as store:
        assert rebuild(store, verify=False) == []
    assert _good_states(good) == _states(path)
    assert _check(path) == []
    for table in DERIVED:
        assert _rows(good, table) == _rows(path, table)


def test_rebuild_names_what_it_cannot_derive(path: Path, good: Path) -> None:
    """A damaged fact stays as it was, and its record is said."""
    _break(path, BREAKS["content"])
    for judge in (True, False):
        with open_store(path) as store:
            (damage,) = rebuild(store, verify=judge)
        assert ("record", 6) == (damage.table, damage.row_id)
    assert set(_served(path)) <= _good_answers(good)


# The file itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_in_the_file_is_never_served(
    seed: int, path: Path, good: Path, job: ReadRequest
) -> None:
    """Bytes are flipped in a random page; answers stay right or are refused, and a merge too."""
    order = random.Random(seed)
    content = bytearray(path.read_bytes())
    page = order.randrange(len(content) // PAGE_BYTES)
    for _ in range(order.choice([1, 8, 200])):
        content[page * PAGE_BYTES + order.randrange(PAGE_BYTES)] ^= 1 << order.randrange(8)
    path.write_bytes(content)
    answers = _good_answers(good)
    assert set(_served(path)) <= answers
    try:
        with open_store(path) as store:
            ingest(store, job)
    except StoreError:
        pass
    assert set(_served(path)) <= answers


@pytest.mark.parametrize("seed", range(12))
def test_a_corrupt_file_is_salvaged(seed: int, path: Path, good: Path, job: ReadRequest) -> None:
    """Readable rows are copied to a new file; the bundle brings the rest; the old file is kept."""
    order = random.Random(seed)
    content = bytearray(path.read_bytes())
    pages = _pages_in_use(path)
    start = order.choice(pages) * PAGE_BYTES
    content[start : start + PAGE_BYTES] = order.randbytes(PAGE_BYTES)
    path.write_bytes(content)
    report = check_and_repair(path, CheckScope(), lambda _damage: None, _Bound())
    assert report.damages != []
    assert report.is_repaired
    if report.old_files:
        assert bytes(content) == report.old_files[0].read_bytes()
    _mended(path, good, job)


def _pages_in_use(path: Path) -> list[int]:
    """The pages of facts and of what is derived from them, counted from 0; not the schema's."""
    names = {*TABLES, "record_by_suffix", "record_by_source", "arrival_by_record"}
    with closing(sqlite3.connect(path)) as conn:
        (count,) = conn.execute("PRAGMA page_count").fetchone()
        query = "SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0"
        roots = {page: name for name, page in conn.execute(query)}
    assert path.stat().st_size == count * PAGE_BYTES
    return [page - 1 for page in range(2, count + 1) if roots.get(page, "record") in names]


# What others said ----------------------------------------------------------------------------

# Of each table, one column at a time. The rows of an acknowledgement are damaged apart: one is
# checked with the other.
_COVERED = "acknowledged_finding"
EVIDENCE_CELLS = [
    *({_COVERED: column} for column in _columns(_COVERED)),
    *(
        {table: _columns(table)[at] for table in EVIDENCE if len(_columns(table)) > at}
        for at in range(max(len(_columns(table)) for table in EVIDENCE))
    ),
]
for _cells in EVIDENCE_CELLS[len(_columns(_COVERED)) :]:
    _cells.pop(_COVERED, None)


def _with_evidence(path: Path) -> None:
    """Give a store statements of upstream and an archive, a checkpoint, and a person's logs."""
    text = canonical({"pith_number": "pith:2024:X"})
    signer = make_signer("mirror.example", bytes(32))
    with open_store(path) as store:
        with store.transaction():
            claim = UpstreamStatementRow("there", "pith:2024:X", "state", sha256(text), NOON, text)
            store.upstream_history.append(claim)
            answer = ("gone", "storage.gone", 404, "Mon, 04 May 2026 00:00:00 GMT", "there", "so")
            store.storage_checks.append(StorageCheck("pith:2024:X", "an event", "u", NOON, *answer))
            known = CoveredFindings("digest", 0, "bundle.shape", digest=bytes(32))
            store.acknowledgements.add(
                AcknowledgementRequest(NOON, "Ada", "it is known", "a digest"), [known]
            )
            store.authorities.append("add", "tsa.example", b"certificates", NOON)
            title = PaperText("pith:2024:X", "title", "A title", "dump.jsonl", NOON)
            store.paper_texts.add([title])
            store.checkpoint_proofs.append(CheckpointProof(bytes(32), NOON, ("there",), b"proof"))
        make_checkpoint(store, signer, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def attested(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store with all of this, in one file; nothing in it is damaged."""
    path = Path(shutil.copy(good, tmp_path_factory.mktemp("attested") / "mirror.db"))
    _with_evidence(path)
    assert _check(path) == []
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    return path


@pytest.mark.parametrize("cells", EVIDENCE_CELLS)
def test_damaged_evidence_is_named_and_moved_aside(
    cells: dict[str, str], attested: Path, tmp_path: Path, good: Path
) -> None:
    """Whatever it said, nothing else is lost with it."""
    path = Path(shutil.copy(attested, tmp_path / "mirror.db"))
    for table, column in cells.items():
        (row,) = _rows(path, table)
        value = row[_columns(table).index(column)]
        new = "bundle" if value == "state" else _changed(value)
        _break(path, f"UPDATE {table} SET {column} = ?", new)  # noqa: S608
    named = ["acknowledgement" if table == _COVERED else table for table in cells]
    assert sorted(named) == sorted(damage.table for damage in _check(path))
    assert set(_served(path)) == _good_answers(good)
    report = check_and_repair(path, CheckScope(), lambda _damage: None, _Bound())
    assert report.is_repaired
    assert all(_rows(path, table) == [] for table in cells)
    assert set(_served(path)) == _good_answers(good)


# Parts and time ------------------------------------------------------------------------------


def test_parts_make_up_the_whole(path: Path) -> None:
    """Ten parts check each record once."""
    reports = [
        check(path, CheckScope(part=one, of=10), lambda _damage: None) for one in range(1, 11)
    ]
    assert [report.records for report in reports] == [0, *[1] * RECORDS]
    assert all(exit_codes.of_check(report) == 0 for report in reports)


def test_a_check_that_runs_out_of_time_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check reports that it is not finished, and resumes where it stopped."""
    monkeypatch.setattr("mirror.engine.states.check.CHUNK_RECORDS", 3)
    times = iter([0.0, 0.0, 99.0, 0.0, 0.0, 0.0, 99.0])
    monkeypatch.setattr("mirror.engine.states.check.time.monotonic", lambda: next(times))
    first = check(path, CheckScope(time_limit_s=1.0), lambda _damage: None)
    assert (3, False, 1) == (first.records, first.is_complete, exit_codes.of_check(first))
    again = check(path, CheckScope(time_limit_s=1.0), lambda _damage: None)
    assert (6, True, 0) == (again.records, again.is_complete, exit_codes.of_check(again))


def test_a_large_store_is_checked_in_several_processes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same damages are found, in the same order."""
    _break(path, "UPDATE arrival SET content = x'00' WHERE id IN (2, 4, 7, 9)")
    _break(path, "UPDATE verdict SET code = 'event.role'")
    _break(path, "UPDATE state SET core_digest = digest WHERE record_id = 4")
    expected = _check(path)
    monkeypatch.setattr("mirror.engine.states.check.CHUNK_RECORDS", 1)
    assert expected == _check(path)
    assert [damage.row_id for damage in expected if damage.table == "arrival"] == [2, 4, 7, 9]
    assert {"arrival", "verdict", "state"} <= {damage.table for damage in expected}


def test_a_quick_check_finds_broken_facts_only(path: Path) -> None:
    """A quick check computes no verdict and no state."""
    _break(path, "UPDATE verdict SET reason = 'another'")
    assert _check(path, quick=True) == []
    assert _check(path) != []
    _break(path, BREAKS["content"])
    (damage,) = _check(path, quick=True)
    assert ("arrival", 7) == (damage.table, damage.row_id)


# Facts that are lost, or slipped to where they do not belong ------------------------------------


def _mended(path: Path, good: Path, job: ReadRequest) -> None:
    """Assert that keys and bundles bring a repaired store back."""
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, job)
    assert _good_states(good) == _states(path)
    assert _check(path) == []


@pytest.mark.parametrize("arrival_id", range(1, ARRIVALS + 1))
def test_a_lost_fact_names_the_record_that_needs_a_bundle(
    arrival_id: int, path: Path, good: Path, job: ReadRequest
) -> None:
    """A row that is gone cannot be moved aside; its record is named all the same."""
    _break(path, "DELETE FROM arrival WHERE id = ?", arrival_id)
    report = check_and_repair(path, CheckScope(), lambda _damage: None)
    assert (True, 1) == (report.is_repaired, len(report.need_bundles))
    _mended(path, good, job)


def test_an_arrival_with_the_id_of_another_record_is_quarantined(
    path: Path, good: Path, job: ReadRequest
) -> None:
    """The row is quarantined, and both records are restored by their bundles."""
    _break(path, "UPDATE arrival SET record_id = 1 WHERE id = 5")
    report = check_and_repair(path, CheckScope(), lambda _damage: None)
    assert (True, 2) == (report.is_repaired, len(report.need_bundles))
    _mended(path, good, job)


@pytest.mark.parametrize("table", [*TABLES, *MEMORIES])
def test_a_missing_table_is_restored(table: str, path: Path, good: Path, job: ReadRequest) -> None:
    """Keys and bundles restore its content."""
    _break_schema(path, f"DROP TABLE {table}")
    assert check_and_repair(path, CheckScope(), lambda _damage: None).is_repaired
    _mended(path, good, job)


def _break_schema(path: Path, query: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute(query)


def _second_halves(content: bytes, *, used: bool) -> list[slice]:
    """The second halves of pages that hold anything, or of those that hold nothing there."""
    starts = range(PAGE_BYTES // 2, len(content), PAGE_BYTES)
    halves = [slice(start, start + PAGE_BYTES // 2) for start in starts]
    return [half for half in halves if any(content[half]) == used]


def _overwrite(path: Path, content: bytes, *halves: slice) -> bytes:
    """Write a file in which some halves of pages are damaged."""
    damaged = bytearray(content)
    for half in halves:
        damaged[half] = b"\x55" * (PAGE_BYTES // 2)
    path.write_bytes(damaged)
    return bytes(damaged)


@pytest.mark.parametrize("tenth", range(10))
def test_an_overwritten_page_is_repaired_or_refused_as_unrepairable(
    tenth: int, path: Path, good: Path, job: ReadRequest
) -> None:
    """Each tenth page is damaged: the store is repaired, or unchanged."""
    content = path.read_bytes()
    for page in _second_halves(content, used=True)[tenth::10]:
        damaged = _overwrite(path, content, page)
        try:
            report = check_and_repair(path, CheckScope(), lambda _damage: None, _Bound())
        except StoreError:
            assert damaged == path.read_bytes(), page
            continue
        assert report.is_repaired or not report.damages, page
        _mended(path, good, job)


def test_overwritten_unused_space_is_no_damage(path: Path, good: Path, job: ReadRequest) -> None:
    """Nothing is found, and rows are written there as ever."""
    content = path.read_bytes()
    _overwrite(path, content, *_second_halves(content, used=False))
    assert _check(path) == []
    _mended(path, good, job)


# What saves work, and notes ------------------------------------------------------------------


def _told(path: Path, job: ReadRequest) -> tuple[list[Finding], str]:
    """The output of a merge of the same sources."""
    reports: list[Finding] = []
    with open_store(path) as store:
        summary = ingest(store, ReadRequest(job.names, reports.append))
    return reports, repr(summary)


MEMORY_CELLS = [
    (table, column)
    for table in ("source_cache", "merged_bag", "rules")
    for column in _columns(table)
]


@pytest.mark.parametrize("index", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize(("table", "column"), MEMORY_CELLS, ids=lambda name: name)
def test_a_damaged_cache_gives_no_wrong_answer(
    table: str, column: str, index: int, path: Path, job: ReadRequest
) -> None:
    """A merge of what was read before says just what it said, or that the store is damaged."""
    expected, answers = _told(path, job), set(_served(path))
    row = _rows(path, table)[index]
    new = _changed(row[_columns(table).index(column)])
    _break(path, f"UPDATE {table} SET {column} = ? WHERE {_is_row(table)}", new, *row)  # noqa: S608
    try:
        assert expected == _told(path, job)
    except StoreError:
        assert _check(path) != []
    assert set(_served(path)) <= answers


@pytest.mark.parametrize("seed", range(12))
def test_a_changed_bit_of_a_cached_result_gives_no_wrong_answer(
    seed: int, path: Path, job: ReadRequest
) -> None:
    """The same, wherever in the outcome it is."""
    expected = _told(path, job)
    order = random.Random(seed)
    key, outcome, *_ = order.choice(_rows(path, "source_cache"))
    changed = bytearray(outcome)
    changed[order.randrange(len(changed))] ^= 1 << order.randrange(8)
    _break(path, "UPDATE source_cache SET result = ? WHERE key = ?", bytes(changed), key)
    try:
        assert expected == _told(path, job)
    except StoreError:
        assert _check(path) != []


UPSTREAM = "https://pith.example"
FETCHED = {
    "": lambda store: store.sync_state.position(UPSTREAM),
    "*": lambda store: store.sync_state.begun_at(UPSTREAM),
    "!pith:2024:OWED": lambda store: store.sync_state.position(UPSTREAM),
    "2402.00001": lambda store: store.sync_state.answered(UPSTREAM, "2402.00001"),
}
"""By the column `name`, what is known while the row is as it was written."""


@pytest.mark.parametrize("column", _columns("sync_state"))
@pytest.mark.parametrize("what", FETCHED)
def test_a_damaged_row_of_sync_state_counts_as_missing(
    what: str, column: str, path: Path, good: Path
) -> None:
    """No damaged ETag, run or position in a feed is used: the upstream is asked again."""
    at = "2026-01-01T00:00:00.000000+00:00"
    with open_store(path) as store, store.transaction():
        store.sync_state.put_etags(UPSTREAM, [CachedETag("2402.00001", '"an-etag"', at)])
        store.sync_state.begin(UPSTREAM, at)
        store.sync_state.move(UPSTREAM, Change(7, "pith:2024:LAST", at), {"pith:2024:OWED"}, set())
        assert FETCHED[what](store) is not None
    (row,) = [row for row in _rows(path, "sync_state") if row[1] == what]
    new = _changed(row[_columns("sync_state").index(column)] or "x")
    if column == "cursor":
        new = 99
    _break(path, f"UPDATE sync_state SET {column} = ? WHERE {_is_row('sync_state')}", new, *row)  # noqa: S608
    with open_store(path) as store:
        assert FETCHED[what](store) is None
    assert _check(path) == []
    assert set(_served(path)) == _good_answers(good)


def _exported(path: Path, out: Path, since: str | None = None) -> tuple[str, bytes]:
    """Root and bag of an export of everything."""
    with open_store(path, read_only=True) as store:
        exported = export_bag(store, OutputFile(out, force=True), ExportOptions(since=since))
    return exported.root, out.read_bytes()


@pytest.mark.parametrize("column", _columns("exported_bag"))
def test_a_damaged_root_leaves_nothing_out_of_an_increment(
    column: str, path: Path, tmp_path: Path
) -> None:
    """An increment on a root has all later facts and names its base, or it is refused."""
    with open_store(path, read_only=True) as store:
        exported = export_bag(store, OutputFile(tmp_path / "base.tar"), ExportOptions())
    record_export(path, exported)
    later = tmp_path / "later.json"
    record = make_record(arxiv_id="2403.00001")
    later.write_bytes(to_json(make_bundle(record)))
    with open_store(path) as store:
        ingest(store, ReadRequest([str(later)], lambda _report: None))
    expected = _exported(path, tmp_path / "expected.tar", exported.root)
    row = _rows(path, "exported_bag")[0]
    new = _changed(row[_columns("exported_bag").index(column)])
    _break(path, f"UPDATE exported_bag SET {column} = ? WHERE {_is_row('exported_bag')}", new, *row)  # noqa: S608
    try:
        assert expected == _exported(path, tmp_path / "increment.tar", exported.root)
    except MirrorError:
        assert not (tmp_path / "increment.tar").exists()


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE state SET core_digest = digest WHERE record_id = 1",
        "DELETE FROM state WHERE record_id = 1",
        "UPDATE state SET record_id = 77 WHERE record_id = 1",
        "UPDATE record SET digest = x'00' WHERE id = 1",
        "DELETE FROM record WHERE id = 1",
        "UPDATE state SET core_digest = x'00'",
    ],
)
def test_a_root_is_never_that_of_damaged_states(query: str, path: Path, tmp_path: Path) -> None:
    """The printed root of the states is that of the facts, or the export is refused."""
    expected, _ = _exported(path, tmp_path / "expected.tar")
    assert expected
    _break(path, query)
    try:
        root, _ = _exported(path, tmp_path / "out.tar")
    except StoreError:
        return
    assert root in {"", expected}


def test_a_stale_mark_on_a_missing_record_is_removed(path: Path, good: Path) -> None:
    """Such a mark stops neither a merge nor a repair."""
    _break(path, "INSERT INTO stale VALUES (99999, 1)")
    assert {damage.table for damage in _check(path)} == {"stale"}
    assert check_and_repair(path, CheckScope(), lambda _damage: None).is_repaired
    assert _good_states(good) == _states(path)


@pytest.mark.parametrize("judge", [0, 1, -1])
def test_an_additional_stale_mark_changes_no_state(
    judge: int, path: Path, good: Path, job: ReadRequest
) -> None:
    """The state is made again, and is the same."""
    _break(path, "INSERT INTO stale VALUES (1, ?), (9, ?)", judge, judge)
    assert _check(path) == []
    assert set(_served(path)) == _good_answers(good)
    _mended(path, good, job)


def test_a_lost_stale_mark_is_found(path: Path, good: Path) -> None:
    """A stale state is found, even if it is not marked."""
    with open_store(path) as store, store.transaction():
        store.states.mark_all_for_verdicts()
    _break(path, "DELETE FROM stale")
    damages = _check(path)
    assert {damage.table for damage in damages} == {"key_dependency"}
    assert set(_served(path)) <= _good_answers(good)
    assert check_and_repair(path, CheckScope(), lambda _damage: None).is_repaired
    assert _rows(good, "key_dependency") == _rows(path, "key_dependency")
