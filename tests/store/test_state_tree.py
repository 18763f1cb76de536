"""The tree that a store keeps is that of its states, whatever happened to it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from mirror.core.record import suffix_of
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import NOTHING, Leaf, Node
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest import merge as ingest_module
from mirror.engine.ingest.merge import ingest
from mirror.engine.states import replay
from mirror.engine.states.check import CheckScope, check, check_and_repair
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.root import read_root, update_root
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.errors import CorruptStoreError, StoreError
from mirror.store import StateTree, Store, TreeLeaf, open_store
from mirror.store.row_checksum import row_checksum
from mirror.store.state_tree import DEPTH
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.helpers import keys_of, state_leaves
from tests.synthetic import fill, make_leaves, write_states

DIGITS = "0123456789abcdef"

Row = tuple[int, str, int, bytes, bytes]


def rows_of(store: Store) -> set[Row]:
    """The stored nodes of the tree."""
    return set(store.connection.execute("SELECT * FROM tree_node"))


def rows_for(leaves: list[Leaf]) -> set[Row]:
    """The rows of the tree of these leaves: all nodes of up to four digits."""
    groups: dict[str, list[Leaf]] = {"": []}
    for leaf in leaves:
        for depth in range(DEPTH + 1):
            groups.setdefault(leaf[0].hex()[:depth], []).append(leaf)
    nodes = [(len(name), name, *merkle.subtree(group, len(name))) for name, group in groups.items()]
    return {(*node, row_checksum(*node)) for node in nodes}


def assert_kept(store: Store) -> None:
    """Check that what is kept is the tree of the states, no more and no less."""
    leaves = state_leaves(store)
    assert 0 == store.state_tree.lag()
    assert Node(len(leaves), merkle.root(leaves)) == store.state_tree.node()
    assert rows_for(leaves) == rows_of(store)
    assert store.state_tree.is_whole()


def execute(store: Store, query: str, *arguments: object) -> None:
    """Change a store behind its back."""
    store.connection.execute("PRAGMA foreign_keys = OFF")
    assert store.connection.execute(query, arguments).rowcount > 0


def update(store: Store) -> None:
    """Bring the tree up to date."""
    with store.transaction():
        store.state_tree.update()


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store in memory."""
    with open_store(None) as store:
        yield store


# Any history ---------------------------------------------------------------------------------

ALICE, BOB = Signer("alice"), Signer("bob")
RECORDS = [make_record(arxiv_id=f"2401.{number:05}") for number in range(40)]


def _bundles() -> list[Object]:
    """Three bundles of each record: of one event, of another, of nothing."""
    claims = [
        [make_event(record, signer, "author_claimed", author_claim()) for signer in (ALICE, BOB)]
        for record in RECORDS
    ]
    return [
        make_bundle(record, events)
        for record, (one, other) in zip(RECORDS, claims, strict=True)
        for events in ([one], [other], [])
    ]


BUNDLES = _bundles()


class _CutOffError(Exception):
    """Stands for a process that is killed."""


def _cut_off(*_: object) -> None:
    raise _CutOffError


class _History:
    """A random sequence of operations on a store on file."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.chance = random.Random(seed)

    def merge(self, store: Store, count: int = 0) -> None:
        """Merge some bundles, in some order."""
        source = self.path.with_name("bundles.jsonl")
        chosen = self.chance.sample(BUNDLES, k=count or self.chance.choice([1, 2, 10, 60]))
        source.write_bytes(b"\n".join(map(to_json, chosen)))
        ingest(store, ReadRequest([str(source)], lambda _report: None))

    def turn_key(self, store: Store) -> None:
        """Trust a key from now on, or no longer."""
        signer = self.chance.choice([ALICE, BOB])
        if store.trust_log.key_set().get(signer.key_id) is None:
            add_keys(store, keys_of(signer))
        else:
            remove_keys(store, [signer.key_id])

    def rebuild(self, store: Store) -> None:
        """Derive everything again, or only the states."""
        rebuild(store, verify=self.chance.random() < 0.5)

    def cut_off(self, store: Store) -> None:
        """Do one of these, and be killed at some point of it."""
        step = self.chance.choice([self.merge, self.turn_key, self.rebuild])
        with pytest.MonkeyPatch.context() as patch, suppress(_CutOffError):
            match self.chance.randrange(4):
                case 0:  # before states are placed
                    patch.setattr(StateTree, "update", _cut_off)
                case 1:  # while they are
                    patch.setattr(StateTree, "_save", self._cut_off_later(StateTree._save))
                case 2:  # between two transactions of a merge
                    patch.setattr(ingest_module, "update_states", _cut_off)
                case _:  # while states are made again
                    patch.setattr(replay, "_CHUNK", 5)
                    patch.setattr(replay, "update_states", self._cut_off_later(
                        replay.update_states))  # fmt: skip
            step(store)

    def _cut_off_later(self, function: Callable[..., None]) -> Callable[..., None]:
        left = self.chance.randrange(1, 12)

        def work(*arguments: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise _CutOffError
            function(*arguments)

        return work


def assert_right(store: Store) -> None:
    """Check that a root, if one is said, is that of the states; and bring it up to date."""
    with store.snapshot():
        is_said = store.state_tree.lag() == 0 and not store.states.stale(1)
        with nullcontext() if is_said else pytest.raises(StoreError, match="out of date"):
            assert merkle.root(state_leaves(store)).hex() == read_root(store).root
    update_root(store)
    with store.snapshot():
        assert merkle.root(state_leaves(store)).hex() == read_root(store).root
        assert_kept(store)


@pytest.mark.parametrize("seed", range(10))
def test_the_tree_is_that_of_the_states_after_any_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Merges, keys that come and go, rebuilds, and each of these cut off."""
    if seed % 2:  # the tree grows then, however much of it changes
        monkeypatch.setattr("mirror.store.state_tree._FEW_IN", 1)
    history = _History(tmp_path / "mirror.db", seed)
    steps = [history.merge, history.turn_key, history.rebuild, history.cut_off, history.cut_off]
    with open_store(history.path) as store:
        history.merge(store)
        for _ in range(8):
            history.chance.choice(steps)(store)
            assert_right(store)


def test_the_root_is_the_same_whatever_the_history(tmp_path: Path) -> None:
    """All facts in one run, and in many; under keys that came first, last or in between."""
    roots = set()
    for seed in range(3):
        chance = random.Random(seed)
        bundles = chance.sample(BUNDLES[:60], k=60)
        parts = [bundles[at :: seed * 4 + 1] for at in range(seed * 4 + 1)]
        with open_store(None) as store:
            for number, part in enumerate(parts):
                source = tmp_path / "bundles.jsonl"
                source.write_bytes(b"\n".join(map(to_json, part)))
                ingest(store, ReadRequest([str(source)], lambda _report: None))
                if number == seed:
                    add_keys(store, keys_of(ALICE, BOB))
            remove_keys(store, [BOB.key_id])
            assert_kept(store)
            roots.add(read_root(store).root)
    assert 1 == len(roots)


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of many records, whose tree is up to date."""
    history = _History(tmp_path_factory.mktemp("merged") / "mirror.db", 1)
    with open_store(history.path) as store:
        add_keys(store, keys_of(ALICE))
        history.merge(store, 30)
    return history.path


DAMAGES = {
    "a node": "UPDATE tree_node SET digest = zeroblob(32) WHERE depth = 2",
    "the root": "UPDATE tree_node SET size = size + 1 WHERE depth = 0",
    "no root": "DELETE FROM tree_node WHERE depth = 0",
    "a state": "UPDATE state SET core_digest = zeroblob(32) WHERE record_id = 3",
    "no state": "DELETE FROM state WHERE record_id = 3",
    "a record": "UPDATE record SET value = x'00' WHERE id = 3",
    "the digest of a record": "UPDATE record SET digest = zeroblob(32) WHERE id = 3",
    "no record": "DELETE FROM record WHERE id = 3",
    "an arrival": "UPDATE arrival SET content = x'00' WHERE id = 3",
    "the trusted keys": "UPDATE trust SET name = 'x'",
}


@pytest.mark.parametrize(
    ("damage", "queued"),
    [
        *((damage, False) for damage in DAMAGES),
        *((damage, True) for damage in ("a node", "the root", "no root", "no state", "no record")),
    ],
)
def test_a_repair_leaves_the_tree_of_what_is_left(
    merged: Path, tmp_path: Path, damage: str, *, queued: bool
) -> None:
    """Facts moved aside and all; also where states were waiting to be placed."""
    path = Path(shutil.copy(merged, tmp_path / "mirror.db"))
    with open_store(path) as store:
        before = read_root(store).root
        if queued:
            with store.transaction():
                store.state_tree.enqueue([1, 2])
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        assert conn.execute(DAMAGES[damage]).rowcount > 0
    report = check_and_repair(path, CheckScope(), lambda _damage: None)
    if (damage, queued) != ("no root", True):  # a root that is out of date anyway is not missed
        assert report.damages
        assert report.is_repaired
    with open_store(path) as store:
        update_root(store)
        assert_kept(store)
        is_lost = damage in {"a record", "the digest of a record", "no record", "an arrival",
                             "the trusted keys"}  # fmt: skip
        assert is_lost == (before != read_root(store).root)


def test_a_damaged_node_above_queued_states_is_found_and_repaired(tmp_path: Path) -> None:
    """A damaged node keeps states from being placed; a check says so, though they are queued."""
    history = _History(tmp_path / "mirror.db", 2)
    with open_store(history.path) as store:
        history.merge(store, 90)
        execute(store, "UPDATE tree_node SET size = 9 WHERE depth = 1 AND prefix = ("
                       "SELECT max(prefix) FROM tree_node WHERE depth = 1)")  # fmt: skip
        with store.transaction():
            store.state_tree.enqueue([1])
        with pytest.raises(CorruptStoreError, match="checksum mismatch"):
            update(store)
        replay.update_tree(store)  # waits for a repair
        assert 1 == store.state_tree.lag()
        with pytest.raises(CorruptStoreError):
            update_root(store)
    found = check(history.path, CheckScope(quick=True), lambda _damage: None).damages
    assert ["tree_node"] == [damage.table for damage in found]
    assert check_and_repair(history.path, CheckScope(), lambda _damage: None).is_repaired
    with open_store(history.path) as store:
        assert_kept(store)


# Made-up states ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 20, 800])
def test_a_tree_built_at_once_is_stored(store: Store, count: int) -> None:
    """The root of any number of states."""
    fill(store, make_leaves(count))
    assert_kept(store)


def _crowded(count: int) -> list[Leaf]:
    """Leaves of which many share their first digits, some almost all of them."""
    chance = random.Random(count)
    begins = ["", "0", "abcd", "abcd", "abcdef0123", "f" * 33, "f" * 34, "f" * 40, "f" * 62]
    names = {
        (begin + chance.randbytes(32).hex())[:64]
        for begin in begins
        for _ in range(count // len(begins))
    }
    return [(bytes.fromhex(name), chance.randbytes(32)) for name in sorted(names)]


@pytest.mark.parametrize("parts", [1, 7, 60])
def test_a_tree_built_in_steps_equals_one_built_at_once(store: Store, parts: int) -> None:
    """In few steps or in many, and then with states that change."""
    leaves = _crowded(180)
    random.Random(parts).shuffle(leaves)
    for part in range(parts):
        fill(store, leaves[part::parts])
    assert rows_for(leaves) == rows_of(store)
    for row_id in (1, 100, len(leaves)):
        with store.transaction():
            write_states(store, {row_id: bytes([row_id % 256]) * 32})
            store.state_tree.update()
        assert_kept(store)


@pytest.mark.parametrize("make", [make_leaves, _crowded], ids=["spread", "crowded"])
def test_a_node_at_any_depth_is_that_of_its_leaves(
    store: Store, make: Callable[[int], list[Leaf]]
) -> None:
    """With its children and its leaves; kept or made when it is asked for; and of nothing."""
    leaves = make(90)
    fill(store, leaves)
    for name in [leaves[0][0].hex(), leaves[-1][0].hex(), "7" * 64]:
        for depth in range(65):
            begin = name[:depth]
            below = sorted(leaf for leaf in leaves if leaf[0].hex().startswith(begin))
            expected = [TreeLeaf(*leaf, "2024") for leaf in below]
            assert expected == store.state_tree.leaves(begin)
            assert merkle.subtree(below, depth) == store.state_tree.node(begin)
            if depth in {0, 3, 4, 5, 33, 40, 63}:
                assert [
                    store.state_tree.node(begin + one) for one in DIGITS
                ] == store.state_tree.children(begin)


@pytest.mark.parametrize("count", [1, 2, 17, 300])
def test_every_state_has_its_path(store: Store, count: int) -> None:
    """The same that the leaves alone give, whatever of it is kept."""
    leaves = _crowded(count) if count == 300 else make_leaves(count)
    fill(store, leaves)
    for record, core in leaves[:: max(1, count // 5)]:
        steps = store.state_tree.path(record)
        assert merkle.path(leaves, record, 0) == steps
        assert merkle.root(leaves) == merkle.root_from_path((record, core), steps)


@pytest.mark.parametrize("count", [0, 1, 300])
def test_there_is_no_path_to_a_state_that_is_not_there(store: Store, count: int) -> None:
    """Near one that is there, or far from all."""
    fill(store, make_leaves(count))
    for record in [bytes(32), *(leaf[0][:-1] + b"\x00" for leaf in make_leaves(count)[:3])]:
        with pytest.raises(KeyError):
            store.state_tree.path(record)


def test_a_leaf_has_its_pith_number() -> None:
    """R3."""
    record = bytes(range(32))
    assert f"pith:2024:{suffix_of(record)}" == TreeLeaf(record, b"", "2024").pith_number


# What it costs -------------------------------------------------------------------------------


def _cost(store: Store, work: Callable[[], None]) -> tuple[int, int]:
    """How many statements some work runs, and how many rows it changes."""
    statements: list[str] = []
    before = store.connection.total_changes
    store.connection.set_trace_callback(statements.append)
    work()
    store.connection.set_trace_callback(None)
    return len(statements), store.connection.total_changes - before


def test_one_change_costs_a_few_nodes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows, the children of four, and the leaves below one; however many there are."""
    read = 0
    leaves_of = StateTree._leaves

    def counted(self: StateTree, *arguments: Any) -> Iterator[TreeLeaf]:
        nonlocal read
        for leaf in leaves_of(self, *arguments):
            read += 1
            yield leaf

    monkeypatch.setattr(StateTree, "_leaves", counted)
    costs = []
    for count in (500, 2500):
        fill(store, make_leaves(count, count))
        with store.transaction():
            write_states(store, {7: bytes([count % 256]) * 32})
        read = 0
        costs.append(_cost(store, lambda: update(store)))
        assert read <= 4  # of 3000 states, few agree in four digits
    for statements, rows in costs:
        assert statements <= 16 * DEPTH + 20
        assert rows == DEPTH + 1 + 1  # and the row of the queue
    assert abs(costs[0][0] - costs[1][0]) <= 2
    assert_kept(store)


def test_an_update_without_changes_writes_nothing(store: Store) -> None:
    """A merge that brought nothing new writes nothing."""
    fill(store, make_leaves(300))
    statements, rows = _cost(store, lambda: update(store))
    assert statements <= 10
    assert 0 == rows


def test_many_changes_are_made_at_once(store: Store) -> None:
    """If most of the tree changes, all of it is built, with one or two statements."""
    fill(store, make_leaves(1000))
    with store.transaction():
        write_states(store, {row_id: bytes(32) for row_id in range(1, 200)})
    statements, _ = _cost(store, lambda: update(store))
    assert statements <= len(rows_of(store)) + 20
    assert_kept(store)


# How far it is out of date --------------------------------------------------------------------


def test_lag_counts_the_states_that_are_not_placed(store: Store) -> None:
    """Each once; all of them where there is no tree."""
    assert 0 == store.state_tree.lag()
    fill(store, make_leaves(50))
    assert 0 == store.state_tree.lag()
    with store.transaction():
        write_states(store, {1: bytes(32), 2: bytes(32)})
        write_states(store, {2: bytes(32)})
    assert 2 == store.state_tree.lag()
    with store.transaction():
        store.state_tree.clear()
    assert 50 == store.state_tree.lag()
    update(store)
    assert 0 == store.state_tree.lag()
    execute(store, "DELETE FROM tree_node WHERE depth = 0")
    assert 50 == store.state_tree.lag()
    update(store)
    assert_kept(store)


def test_an_update_that_is_cut_off_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queued records stay queued."""
    fill(store, make_leaves(200))
    before = rows_of(store)
    with store.transaction():
        write_states(store, {5: bytes(32)})
    saved = 0
    save = StateTree._save

    def cut_off_in_the_middle(self: StateTree, nodes: dict[str, Node]) -> None:
        nonlocal saved
        saved += 1
        save(self, nodes)
        if saved == 3:
            raise _CutOffError

    monkeypatch.setattr(StateTree, "_save", cut_off_in_the_middle)
    with pytest.raises(_CutOffError):
        update(store)
    monkeypatch.undo()
    assert (before, 1) == (rows_of(store), store.state_tree.lag())
    update(store)
    assert_kept(store)


# Damage --------------------------------------------------------------------------------------


def _with_checksum(depth: int, prefix: str, size: int, digest: bytes) -> Row:
    return depth, prefix, size, digest, row_checksum(depth, prefix, size, digest)


def _insert(store: Store, row: Row) -> None:
    execute(store, "INSERT OR REPLACE INTO tree_node VALUES (?, ?, ?, ?, ?)", *row)


COLUMNS = {
    "depth": "depth + 10",
    "prefix": "prefix || '0'",
    "size": "size + 1",
    "digest": "zeroblob(32)",
    "checksum": "zeroblob(16)",
}


@pytest.mark.parametrize("queued", [False, True], ids=["placed", "queued"])
@pytest.mark.parametrize("depth", [0, 2, DEPTH])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_node_is_found(store: Store, column: str, depth: int, *, queued: bool) -> None:
    """Whatever of it, at any depth; also while states are queued."""
    fill(store, make_leaves(100))
    if queued:
        with store.transaction():
            store.state_tree.enqueue([1])
    assert store.state_tree.is_whole()
    last = max(prefix for its_depth, prefix, *_ in rows_of(store) if its_depth == depth)
    change = f"{column} = {COLUMNS[column]}"
    execute(store, f"UPDATE tree_node SET {change} WHERE depth = ? AND prefix = ?", depth, last)  # noqa: S608
    assert not store.state_tree.is_whole()
    if column not in {"depth", "prefix"}:  # else it is not there any more
        with pytest.raises(CorruptStoreError, match="checksum mismatch"):
            store.state_tree.node(last)


@pytest.mark.parametrize("queued", [False, True], ids=["placed", "queued"])
def test_a_lost_or_invented_node_is_found(store: Store, *, queued: bool) -> None:
    """Though each row that is there be in order; elsewhere than above what is queued."""
    leaves = sorted(make_leaves(100))
    fill(store, leaves)
    if queued:
        with store.transaction():
            store.state_tree.enqueue([1])  # the first in order
    last = leaves[-1][0].hex()
    before = rows_of(store)
    for depth in range(1, DEPTH + 1):
        execute(store, "DELETE FROM tree_node WHERE prefix = ?", last[:depth])
        assert not store.state_tree.is_whole()
        for size, digest in ((1, bytes(32)), (0, bytes(32)), (2, b"\x07" * 32)):
            _insert(store, _with_checksum(depth, last[:depth], size, digest))
            assert not store.state_tree.is_whole()
        (row,) = [row for row in before if row[1] == last[:depth]]
        _insert(store, row)
        assert store.state_tree.is_whole()
    _insert(store, _with_checksum(2, "zz", 1, bytes(32)))
    assert not store.state_tree.is_whole()


CHANGES: dict[str, Callable[[Store], None]] = {
    "a state less": lambda store: execute(store, "DELETE FROM state WHERE record_id = 50"),
    "a record less": lambda store: execute(store, "DELETE FROM record WHERE id = 50"),
    "another state": lambda store: _write_unnoticed(store, 50),
    "lost from the queue": lambda store: execute(store, "DELETE FROM tree_queue"),
}


def _write_unnoticed(store: Store, row_id: int) -> None:
    write_states(store, {row_id: b"\x07" * 32})
    execute(store, "DELETE FROM tree_queue WHERE record_id = ?", row_id)


def _add_unnoticed(store: Store) -> None:
    digest = b"\x07" * 32
    columns = (digest, "2024", suffix_of(digest), "arxiv", "2401.1", 1, b"")
    store.records.add([(1000, columns)])
    _write_unnoticed(store, 1000)


CHANGES["a state more"] = _add_unnoticed


@pytest.mark.parametrize("change", CHANGES)
def test_states_that_changed_without_being_queued_are_found(store: Store, change: str) -> None:
    """The tree is not theirs then, though every row be in order."""
    fill(store, sorted(make_leaves(100)))
    write_states(store, {1: bytes(32)})
    assert store.state_tree.is_whole()
    CHANGES[change](store)
    assert not store.state_tree.is_whole()


def test_queued_states_are_no_damage(store: Store) -> None:
    """Queued states, with a tree and without one."""
    fill(store, make_leaves(100))
    with store.transaction():
        write_states(store, {row_id: bytes(32) for row_id in range(1, 40)})
    assert store.state_tree.is_whole()
    with store.transaction():
        store.state_tree.clear()
    assert store.state_tree.is_whole()


def test_a_damaged_state_is_in_no_tree(store: Store) -> None:
    """Every read of it is refused; nodes that are not above it are updated."""
    fill(store, sorted(make_leaves(100)))
    execute(store, "UPDATE state SET core_digest = zeroblob(32) WHERE record_id = 1")
    first = store.records.suffix(1)
    for work in (
        store.state_tree.is_whole,
        lambda: store.state_tree.leaves(""),
    ):
        with pytest.raises(CorruptStoreError, match="checksum mismatch"):
            work()
    with store.transaction():
        write_states(store, {100: bytes(32)})
    update(store)
    with store.transaction():
        store.state_tree.enqueue([1])
    with pytest.raises(CorruptStoreError, match=first):
        store.state_tree.current_root()
    with pytest.raises(CorruptStoreError, match=first):
        update(store)
    replay.update_tree(store)
    assert 1 == store.state_tree.lag()


def test_two_records_of_one_digest_are_damage(store: Store) -> None:
    """And no fault of the program's."""
    fill(store, sorted(make_leaves(100)))
    execute(store, "INSERT INTO record SELECT 1000, digest, year, suffix, kind, source_id, version,"
                   " value FROM record WHERE id = 1")  # fmt: skip
    with store.transaction():
        write_states(store, {1000: bytes(32)})
    with pytest.raises(CorruptStoreError, match="two states of one record"):
        update(store)
    with pytest.raises(CorruptStoreError, match="two states of one record"):
        store.state_tree.is_whole()


def test_a_root_that_lacks_a_record_is_refused(store: Store) -> None:
    """A state that is lost is lost from the tree, too, once its neighbours change."""
    leaves = [(bytes([1]) * 31 + bytes([last]), bytes(32)) for last in range(40)]
    fill(store, leaves)
    assert 40 == read_root(store).records
    execute(store, "DELETE FROM state WHERE record_id = 7")
    with store.transaction():
        write_states(store, {8: b"\x01" * 32})
        store.state_tree.update()
    assert Node(39, store.state_tree.node().digest) == store.state_tree.node()
    with pytest.raises(CorruptStoreError, match="of 40 records, 39 are in the tree"):
        read_root(store)


def test_a_root_is_refused_while_states_are_stale(store: Store) -> None:
    """Though the tree be that of the states there are."""
    fill(store, make_leaves(10))
    with store.transaction():
        store.states.mark_stale([3])
    assert 0 == store.state_tree.lag()
    with pytest.raises(StoreError, match="out of date"):
        read_root(store)


def test_an_empty_store_has_the_empty_root(store: Store) -> None:
    """An empty store has the root of nothing, before and after it is made."""
    assert (
        NOTHING
        == store.state_tree.node()
        == store.state_tree.node("abc")
        == store.state_tree.node("abcdef")
    )
    assert bytes(32).hex() == read_root(store).root
    update(store)
    assert_kept(store)
    assert bytes(32).hex() == read_root(store).root
