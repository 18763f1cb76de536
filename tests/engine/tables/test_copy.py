"""Analysis copies: what they hold, and that they follow the store."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mirror.core.events.types import EVENT_TYPES, LIST_NAMES, REVOCATION
from mirror.core.keys import parse_key_set
from mirror.core.record import Record
from mirror.core.state_view import parse_state
from mirror.core.values import Object, sha256
from mirror.engine.anchors.update import update_anchors
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.processors import with_processes
from mirror.engine.states.current import current_text
from mirror.engine.states.root import read_root, update_root
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.engine.tables import copy
from mirror.engine.tables.copy import CopyResult, beside, update_copy
from mirror.engine.tables.folder import write_folder
from mirror.engine.tables.schema import TABLES
from mirror.errors import OutputError, SourceError, StoreError
from mirror.store import Store, UpstreamStatementRow, open_store
from mirror.store.paper_texts import PaperText
from tests.builders import (
    NOON,
    Signer,
    author_claim,
    challenge,
    citation,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    payload_of,
    revocation,
    sign_event_again,
    snapshot,
    timestamp,
    to_json,
)
from tests.helpers import BUNDLES, keys_of

REGISTRY, AUTHOR = Signer("registry"), Signer("author")


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of a copy, less the numbers that SQLite chose and the time it was made."""
    with closing(sqlite3.connect(path)) as conn:
        found = {}
        for table in TABLES:
            names = ", ".join(table.names)
            query = f"SELECT {names} FROM {table.name} ORDER BY {names}"  # noqa: S608
            listed = conn.execute(query).fetchall()
            found[table.name] = [one for one in listed if one[0] != "made_at"]
        return found


def check_file(path: Path) -> None:
    """Check foreign keys, indexes, and that the full-text index is of the texts."""
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        conn.execute("INSERT INTO texts_fts (texts_fts, rank) VALUES ('integrity-check', 1)")


def merge(store: Store, folder: Path, *bundles: Object) -> None:
    """Merge bundles."""
    path = folder / "step.jsonl"
    path.write_bytes(b"".join(to_json(one) + b"\n" for one in bundles))
    ingest(store, ReadRequest([str(path)], lambda _finding: None))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, CopyResult]]:
    """The store of the demo bundle with its keys, and a copy of it."""
    folder = tmp_path_factory.mktemp("demo")
    with open_store(folder / "mirror.db") as store:
        add_keys(store, parse_key_set((BUNDLES / "demo-keys.json").read_bytes()))
        ingest(store, ReadRequest([str(BUNDLES / "demo.tar")], lambda _finding: None))
        yield store, update_copy(store, folder / "tables.db")


def values(path: Path, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query on a copy."""
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(query).fetchall()


def pairs(path: Path, query: str) -> list[tuple[Any, Any]]:
    """Return the rows of a query with two columns."""
    return [(one, other) for one, other in values(path, query)]


# What a copy holds -----------------------------------------------------------------------------


def test_a_copy_has_the_same_numbers_as_the_states(demo: tuple[Store, CopyResult]) -> None:
    """In force, valid, invalid, retired: counted from the states, slowly."""
    store, result = demo
    states = [parse_state(current_text(store, one)) for one in store.records.in_number_order()]
    shown = Counter(dict.fromkeys(LIST_NAMES, 0))
    for state in states:
        shown.update({name: len(state.entries(name)) for name in LIST_NAMES})
    for name, count in shown.items():
        (found,) = values(result.path, f"SELECT count(*) FROM {name} WHERE in_force")  # noqa: S608
        assert (name, *found) == (name, count)
    retired = Counter(one.reason for state in states for one in state.retired_events)
    query = "SELECT status, count(*) FROM events WHERE retired_by IS NOT NULL GROUP BY status"
    assert dict(pairs(result.path, query)) == retired
    total = "SELECT count(*), sum(events_valid), sum(events_invalid), sum(equivocations)"
    assert values(result.path, f"{total} FROM records") == [
        (
            len(states),
            *(
                sum(state.count(f"{name}_count") for state in states)
                for name in ("valid_event", "invalid_event", "equivocation")
            ),
        )
    ]
    query = "SELECT count(*) FROM events WHERE is_valid AND status != 'repeat'"
    valid = sum(state.count("valid_event_count") for state in states)
    assert values(result.path, query) == [(valid,)]
    check_file(result.path)


def test_a_copy_describes_its_store(demo: tuple[Store, CopyResult]) -> None:
    store, result = demo
    with store.snapshot():
        root = read_root(store)
    about = dict(pairs(result.path, "SELECT name, value FROM about"))
    assert about["root"] == root.root
    assert about["key_set_digest"] == root.key_set_digest
    assert about["records"] == str(root.records)


def test_each_table_and_column_is_in_the_dictionary(demo: tuple[Store, CopyResult]) -> None:
    _, result = demo
    query = "SELECT table_name, column_name FROM dictionary WHERE column_name != ''"
    listed = values(result.path, query)
    query = """
        SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
        WHERE t.type = 'table' AND t.name NOT LIKE 'texts_fts%' AND t.name NOT LIKE 'sqlite_%'
    """
    assert sorted(listed) == sorted(values(result.path, query))
    assert values(result.path, "SELECT count(*) FROM dictionary WHERE meaning = ''") == [(0,)]


def test_a_citation_is_the_right_way_round(tmp_path: Path) -> None:
    """The record is cited; the citing work is resolved as soon as it is held."""
    cited, citing = make_record(arxiv_id="2401.00001"), make_record(arxiv_id="2401.00002")
    numbers = [Record(one).pith_number for one in (citing, cited)]
    named = "https://arxiv.org/abs/2401.00002v1"
    event = make_event(cited, AUTHOR, "citation_signed", citation(citing=named))
    query = """
        SELECT citing_pith_number, citing_arxiv_id, cited_pith_number, cited_arxiv_id
        FROM citations
    """
    path = tmp_path / "tables.db"
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(AUTHOR))
        merge(store, tmp_path, make_bundle(cited, [event]))
        update_copy(store, path)
        assert values(path, query) == [(None, "2401.00002", numbers[1], "2401.00001")]
        merge(store, tmp_path, make_bundle(citing, []))
        assert not update_copy(store, path).is_new
    assert values(path, query) == [(numbers[0], "2401.00002", numbers[1], "2401.00001")]


def test_a_proved_title_comes_before_a_claimed_one(tmp_path: Path) -> None:
    """It is found by its words, too; a title that is kept later changes only its record."""
    record = make_record(title="The true title")
    graph = {"paper": {"title": "Another title"}}
    event = make_event(record, REGISTRY, "graph_snapshot", snapshot(graph))
    number, path = Record(record).pith_number, tmp_path / "tables.db"
    query = "SELECT title, title_status, title_source FROM records"
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(REGISTRY))
        merge(store, tmp_path, make_bundle(record, [event]))
        update_copy(store, path)
        assert values(path, query) == [("Another title", "claimed", event["event_id"])]
        with store.transaction():
            text = PaperText(number, "title", "The true title", "dump.jsonl", "2026-11-30")
            store.paper_texts.add([text])
        assert update_copy(store, path).records_changed == 1
    assert values(path, query) == [("The true title", "proved", "dump.jsonl")]
    assert values(path, "SELECT count(*) FROM texts_fts WHERE texts_fts MATCH 'true'") == [(1,)]


def test_strings_are_data(tmp_path: Path) -> None:
    """Markup, SQL, NUL and other controls come out as they went in, and are found by words."""
    hostile = "'); DROP TABLE records; -- <script>alert(1)</script>\x00 \u202e zebra"
    record = make_record()
    event = make_event(record, AUTHOR, "challenge_filed", challenge(note=hostile))
    path = tmp_path / "tables.db"
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(AUTHOR))
        merge(store, tmp_path, make_bundle(record, [event, hostile, 7.5, None, [], {"signer": 1}]))
        update_copy(store, path)
    assert values(path, "SELECT note FROM challenges") == [(hostile,)]
    assert values(path, "SELECT count(*), sum(is_valid) FROM events") == [(6, 1)]
    words = "SELECT rowid FROM texts_fts WHERE texts_fts MATCH 'zebra'"
    assert values(path, f"SELECT text FROM texts WHERE id IN ({words})") == [(hostile,)]  # noqa: S608


# That it follows the store ---------------------------------------------------------------------


def _events(record: Object) -> list[object]:
    """Events of one record: each type once or more, revoked, superseded, refused, repeated."""
    kinds = [one for one in EVENT_TYPES if one != REVOCATION]
    events: list[Any] = [
        make_event(record, REGISTRY, kind, payload_of(kind, record, REGISTRY)) for kind in kinds
    ]
    claims = [
        make_event(
            record, AUTHOR, "author_claimed", author_claim(), created_at=f"2026-06-0{day}T12:00:00Z"
        )
        for day in (1, 2)
    ]
    back = make_event(record, AUTHOR, REVOCATION, revocation(claims[1]["event_id"]))
    again = sign_event_again(claims[0], AUTHOR)
    return [*events, *claims, again, back, "junk", {**claims[0], "created_at": "never"}]


@pytest.mark.parametrize("seed", range(3))
def test_an_update_gives_what_a_new_copy_has(tmp_path: Path, seed: int) -> None:
    """After each of some random merges and changes of trust, row by row."""
    random = Random(seed)
    records = [make_record(arxiv_id=f"2401.{number:05}") for number in range(5)]
    events = [_events(one) for one in records]
    followed, fresh = tmp_path / "followed.db", tmp_path / "fresh.db"
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(REGISTRY))
        for step in range(8):
            if step == 3:
                add_keys(store, keys_of(AUTHOR))
            if step == 6:
                remove_keys(store, [AUTHOR.key_id])
            number = random.randrange(5)
            some = random.sample(events[number], random.randint(1, 5))
            receipts = [make_receipt(records[number], REGISTRY)]
            merge(store, tmp_path, make_bundle(records[number], some, receipts=receipts))
            result = update_copy(store, followed)
            assert result.is_new == (step in {0, 3, 6})
            fresh.unlink(missing_ok=True)
            update_copy(store, fresh)
            assert rows(followed) == rows(fresh)
            check_file(followed)
        assert update_copy(store, followed).records_changed == 0


def test_processes_write_the_same(
    demo: tuple[Store, CopyResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that processes write, and what a merge adds meanwhile, give one copy."""
    store, result = demo
    monkeypatch.setattr(copy, "_PART_RECORDS", 3)
    with with_processes(2):
        update_copy(store, tmp_path / "parts.db")
    assert rows(tmp_path / "parts.db") == rows(result.path)
    check_file(tmp_path / "parts.db")


def test_what_is_merged_meanwhile_is_in_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is of one version of the store: the last."""
    monkeypatch.setattr(copy, "_PART_RECORDS", 1)
    records = [make_record(arxiv_id=f"2401.{number:05}") for number in range(4)]
    path = tmp_path / "tables.db"
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(AUTHOR))
        merge(store, tmp_path, *(make_bundle(one, []) for one in records[:3]))

        def merge_more(_records: int) -> None:
            for one in (records[0], records[3]):
                event = make_event(one, AUTHOR, "author_claimed", author_claim())
                merge(store, tmp_path, make_bundle(one, [event]))

        with with_processes(1):
            update_copy(store, path, progress=merge_more)
        update_copy(store, tmp_path / "fresh.db")
    assert rows(path) == rows(tmp_path / "fresh.db")
    assert values(path, "SELECT count(*) FROM author_claims") == [(2,)]


# Several processes, and killed ones ------------------------------------------------------------


def _fork(work: Callable[[], object]) -> int:
    """Do work in another process, which ends without cleaning up, as a killed one does."""
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:  # noqa: BLE001 - its exit code says so
            os._exit(1)
        os._exit(0)
    return pid


def _exit_codes(*pids: int) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


@pytest.mark.parametrize("is_new", [True, False])
def test_processes_that_update_one_copy_at_once_take_turns(tmp_path: Path, *, is_new: bool) -> None:
    """Each finds a copy that is up to date when it is done, whether it is new or changed."""
    path, db = tmp_path / "tables.db", tmp_path / "mirror.db"
    with open_store(db) as store:
        add_keys(store, keys_of(AUTHOR))
        merge(store, tmp_path, make_bundle(make_record(), []))
        if not is_new:
            update_copy(store, path)
            events = _events(make_record())
            merge(store, tmp_path, make_bundle(make_record(arxiv_id="2401.00009"), events))

    def update() -> None:
        with open_store(db) as store:
            update_copy(store, path)
            assert update_copy(store, path).records_changed == 0

    assert _exit_codes(*(_fork(update) for _ in range(4))) == [0] * 4
    with open_store(db) as store:
        assert not update_copy(store, path).is_new
        update_copy(store, tmp_path / "fresh.db")
    assert rows(path) == rows(tmp_path / "fresh.db")
    check_file(path)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_copy_is_written_under_the_lock_of_its_folder(tmp_path: Path, *, is_new: bool) -> None:
    """No other process writes meanwhile, and one that waits sees what was written."""
    path, calls = tmp_path / "tables.db", []

    def try_to_lock(records: int) -> None:
        calls.append(records)
        folder = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(folder)

    with open_store(tmp_path / "mirror.db") as store:
        merge(store, tmp_path, make_bundle(make_record(), []))
        if not is_new:
            update_copy(store, path)
            merge(store, tmp_path, make_bundle(make_record(arxiv_id="2401.00009"), []))
        assert update_copy(store, path, progress=try_to_lock).is_new == is_new
    assert calls == [1]


def test_results_of_checking_time_stamps_are_followed(tmp_path: Path) -> None:
    """Whatever the clock says: the time of a result may be before that of the copy."""
    path, record = tmp_path / "tables.db", make_record()
    event = make_event(record, AUTHOR, "timestamp_anchored", timestamp(record))
    query = "SELECT check_status FROM timestamps"
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(AUTHOR))
        merge(store, tmp_path, make_bundle(record, [event]))
        update_anchors(store)
        update_copy(store, path)
        assert values(path, query) == [("malformed",)]
        for at, status in (
            ("2000-01-01T00:00:00Z", "pending"),
            ("2000-01-01T00:00:00Z", "expired"),
        ):
            (found,) = store.anchors.all()
            changed = found._replace(status=status, checked_at=at)
            with store.transaction():
                store.anchors.replace(found.record_id, [changed])
            assert update_copy(store, path).records_changed == 1
            assert values(path, query) == [(status,)]
        with store.transaction():
            store.anchors.clear()
        assert update_copy(store, path).records_changed == 1
        assert values(path, query) == [(None,)]
        assert update_copy(store, path).records_changed == 0


def test_the_copy_of_an_empty_store_follows_it(tmp_path: Path) -> None:
    with open_store(tmp_path / "mirror.db") as store:
        assert update_copy(store, tmp_path / "tables.db").origin.records == 0
        merge(store, tmp_path, make_bundle(make_record(), []))
        assert update_copy(store, tmp_path / "tables.db").origin.records == 1


def test_an_update_of_a_killed_process_is_rolled_back(
    demo: tuple[Store, CopyResult], tmp_path: Path
) -> None:
    """A process that was killed in its transaction leaves a journal, which readers apply."""
    path = tmp_path / "tables.db"
    path.write_bytes(demo[1].path.read_bytes())

    def write_half() -> None:
        conn = sqlite3.connect(path, isolation_level=None)
        conn.execute("PRAGMA cache_size = 1")  # so that changed pages are in the file
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE events SET source = hex(zeroblob(500))")
        os._exit(0)  # without closing the file

    assert _exit_codes(_fork(write_half)) == [0]
    assert Path(f"{path}-journal").stat().st_size > 0
    assert not update_copy(demo[0], path).is_new
    assert rows(path) == rows(demo[1].path)


def test_files_of_killed_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old copy is whole; the next run removes the unfinished copy and its parts, no more."""
    monkeypatch.setattr(copy, "_PART_RECORDS", 1)
    db, path = tmp_path / "mirror.db", tmp_path / "tables.db"
    other = tmp_path / ".tables.db.mine_own.partial"
    other.write_bytes(b"text")
    records = [make_bundle(make_record(arxiv_id=f"2401.{one:05}"), []) for one in range(1, 5)]
    with open_store(db) as store:
        merge(store, tmp_path, *records)
        update_copy(store, path)
        add_keys(store, keys_of(AUTHOR))
    before, names = rows(path), {one.name for one in tmp_path.iterdir()}

    def die(_records: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def update() -> None:
        with open_store(db) as store:
            update_copy(store, path, progress=die)

    assert _exit_codes(_fork(update)) == [-signal.SIGKILL]
    assert rows(path) == before
    left = {one.name for one in tmp_path.iterdir()} - names - {"mirror.db-wal", "mirror.db-shm"}
    assert [one.endswith(".partial") for one in left] == [True, True]
    with open_store(db) as store:
        assert update_copy(store, path).is_new
    assert {one.name for one in tmp_path.iterdir()} == names


def test_the_journal_of_a_deleted_file_is_not_applied(
    demo: tuple[Store, CopyResult], tmp_path: Path
) -> None:
    path = tmp_path / "tables.db"
    Path(f"{path}-journal").write_bytes(b"journal")
    with pytest.raises(OutputError, match=r"output\.refused.*journal of a file that is gone"):
        update_copy(demo[0], path)
    assert not path.exists()


def test_a_copy_that_is_read_for_long_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "_BUSY_MS", 10)
    path = tmp_path / "tables.db"
    with open_store(tmp_path / "mirror.db") as store:
        merge(store, tmp_path, make_bundle(make_record(), []))
        update_copy(store, path)
        before = rows(path)
        merge(store, tmp_path, make_bundle(make_record(arxiv_id="2401.00009"), []))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM records").fetchone()
            with pytest.raises(OutputError, match=r"output\.failed") as raised:
                update_copy(store, path)
            assert "another process reads it" in raised.value.hint
        assert rows(path) == before
        assert update_copy(store, path).records_changed == 1


# What is refused -------------------------------------------------------------------------------


def test_the_copy_of_another_store_is_refused(
    demo: tuple[Store, CopyResult], tmp_path: Path
) -> None:
    _, result = demo
    before = result.path.read_bytes()
    with open_store(tmp_path / "other.db") as other:
        merge(other, tmp_path, make_bundle(make_record(), []))
        with pytest.raises(OutputError, match="copy of another store"):
            update_copy(other, result.path)
    assert result.path.read_bytes() == before


@pytest.mark.parametrize("is_lacking", [True, False])
def test_the_copy_of_a_store_that_was_restored_is_refused(
    tmp_path: Path, *, is_lacking: bool
) -> None:
    """The restored store lacks the last statement of an upstream, or has another in its place."""
    path = tmp_path / "tables.db"

    def add(store: Store, upstream: str) -> None:
        number = store.records.get(1).pith_number
        with store.transaction():
            store.upstream_history.append(
                UpstreamStatementRow(upstream, number, "state", sha256(b"{}"), NOON, b"{}")
            )

    with open_store(tmp_path / "mirror.db") as store:
        merge(store, tmp_path, make_bundle(make_record(), []))
    restored = tmp_path / "restored.db"
    restored.write_bytes((tmp_path / "mirror.db").read_bytes())
    with open_store(tmp_path / "mirror.db") as store:
        add(store, "https://one.example")
        update_copy(store, path)
    with open_store(restored) as store:
        if not is_lacking:
            add(store, "https://other.example")
        with pytest.raises(OutputError, match=r"output\.refused.*a later version of this one"):
            update_copy(store, path)


@pytest.mark.parametrize("content", [b"text", b"SQLite format 3\0" + bytes(100)])
def test_a_file_that_is_no_copy_is_refused(
    demo: tuple[Store, CopyResult], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"output\.(exists|refused)"):
        update_copy(demo[0], path)
    assert path.read_bytes() == content


def test_a_damaged_copy_is_refused(demo: tuple[Store, CopyResult], tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(demo[1].path.read_bytes()[:100])
    with pytest.raises(SourceError, match=r"tables\.damaged"):
        update_copy(demo[0], path)


def damage(path: Path, table: str) -> None:
    """Overwrite the root page of a table."""
    with closing(sqlite3.connect(path)) as conn:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        ((root,),), ((size,),) = conn.execute(query, (table,)), conn.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


def test_damage_of_a_copy_is_not_reported_as_damage_of_the_store(tmp_path: Path) -> None:
    """Neither where it is changed nor where it is read."""
    db = tmp_path / "mirror.db"
    with open_store(db) as store:
        merge(store, tmp_path, make_bundle(make_record(), []))
        update_copy(store, beside(db))
        damage(beside(db), "arrivals")
        with pytest.raises(SourceError, match=r"tables\.damaged"):
            write_folder(store, tmp_path / "folder", "jsonl")
        merge(store, tmp_path, make_bundle(make_record(arxiv_id="2401.00009"), []))
        with pytest.raises(SourceError, match=r"tables\.damaged.*tables\.db"):
            update_copy(store, beside(db))


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("table", ["upstream_history", "run", "state"])
def test_an_error_of_the_store_is_not_one_of_the_copy(
    tmp_path: Path, table: str, *, is_new: bool
) -> None:
    """SQLite cannot read a table of the store: the error names the store."""
    db, path = tmp_path / "mirror.db", tmp_path / "tables.db"

    def deny(action: int, name: str | None, *_: object) -> int:
        is_denied = action == sqlite3.SQLITE_READ and name == table
        return sqlite3.SQLITE_DENY if is_denied else sqlite3.SQLITE_OK

    def read() -> None:
        with open_store(db) as store:
            if not is_new:
                update_copy(store, path)
            merge(store, tmp_path, make_bundle(make_record(arxiv_id="2401.00009"), []))
            update_root(store)
            store.connection.set_authorizer(deny)
            update_copy(store, path)

    with open_store(db) as store:
        merge(store, tmp_path, make_bundle(make_record(), []))
    with pytest.raises(StoreError, match=r"store\.unreadable.*mirror\.db"):
        read()
    assert path.exists() != is_new


@pytest.mark.parametrize("is_new", [True, False])
def test_an_interrupted_run_leaves_the_old_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    path = tmp_path / "tables.db"
    with open_store(tmp_path / "mirror.db") as store:
        merge(store, tmp_path, make_bundle(make_record(), []))
        update_copy(store, path)
        before = rows(path)
        merge(store, tmp_path, make_bundle(make_record(arxiv_id="2401.00009"), []))
        if is_new:
            add_keys(store, keys_of(AUTHOR))

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(copy, "replace_keys", stop)
        with pytest.raises(KeyboardInterrupt):
            update_copy(store, path)
    assert rows(path) == before
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "mirror.db",
        "step.jsonl",
        "tables.db",
    ]
