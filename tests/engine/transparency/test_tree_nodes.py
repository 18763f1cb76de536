"""Going down two trees: all that differs is found, little is asked, and no lie goes far."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, TypeAlias, cast

import pytest

from mirror.core.record import suffix_of
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import NOTHING, Leaf, Node
from mirror.core.values import encode
from mirror.engine.states.root import StateRoot, read_root
from mirror.engine.transparency import tree_nodes
from mirror.engine.transparency.tree_nodes import TreeNodePage, descend, node_page, parse_node_page
from mirror.errors import FormatError, StoreError, UpstreamError
from mirror.store import StateTree, Store, TreeLeaf, open_store
from mirror.store.state_tree import DEPTH
from tests.helpers import code_of
from tests.synthetic import fill, make_leaves

DIGITS = "0123456789abcdef"

MakeStore: TypeAlias = Callable[[list[Leaf]], Store]

Said: TypeAlias = dict[str, Any]


@pytest.fixture(scope="module")
def make_store() -> Iterator[MakeStore]:
    """`make_store(leaves)` is a store in memory of these made-up states; no test changes it."""
    with ExitStack() as stack:

        @cache
        def filled(leaves: tuple[Leaf, ...]) -> Store:
            store = stack.enter_context(open_store(None))
            fill(store, leaves)
            return store

        yield lambda leaves: filled(tuple(leaves))


class Asking:
    """Asks a store as if it were far away, and counts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[str] = []

    def __call__(self, prefix: str) -> TreeNodePage:
        """What it tells, as it is written and read."""
        self.asked.append(prefix)
        return parse_node_page(encode(node_page(self._store, prefix)), prefix)[0]


Found: TypeAlias = dict[bytes, tuple[bytes | None, bytes | None]]
"""The core digests here and there of what differs, by record."""


def find(here: Store, ask: Callable[[str], TreeNodePage]) -> Found:
    """What is found, which must come in order and once."""
    found = list(descend(here, ask))
    records = [cast("TreeLeaf", one.local or one.remote).record for one in found]
    assert sorted(set(records)) == records
    return {
        record: (one.local and one.local.core_digest, one.remote and one.remote.core_digest)
        for record, one in zip(records, found, strict=True)
    }


def difference(here: list[Leaf], there: list[Leaf]) -> Found:
    """What must be found."""
    ours, theirs = dict(here), dict(there)
    return {
        record: (ours.get(record), theirs.get(record))
        for record in {*ours, *theirs}
        if ours.get(record) != theirs.get(record)
    }


# Two honest trees ----------------------------------------------------------------------------


def varied(leaves: list[Leaf], count: int, seed: int) -> list[Leaf]:
    """The same, but for so many that are changed, missing or new."""
    chance = random.Random(f"varied {seed}")
    others = leaves.copy()
    for place in sorted(chance.sample(range(len(leaves)), k=count), reverse=True):
        match chance.randrange(3):
            case 0:
                others[place] = (leaves[place][0], chance.randbytes(32))
            case 1:
                del others[place]
            case _:
                others.append((chance.randbytes(32), chance.randbytes(32)))
    return others


@pytest.mark.parametrize("count", [0, 1, 3, 20, 60])
@pytest.mark.parametrize("size", [60, 70, 400, 1500])
def test_all_differences_are_found_with_few_requests(
    make_store: MakeStore, size: int, count: int
) -> None:
    """One for the root, and two more for each record at most."""
    leaves = make_leaves(size, size)
    others = varied(leaves, count, count)
    ask = Asking(make_store(others))
    assert difference(leaves, others) == find(make_store(leaves), ask)
    assert len(ask.asked) <= 1 + 2 * count
    assert 1 == max(Counter(ask.asked).values())


SIZES = [(0, 0), (0, 1), (1, 0), (0, 64), (0, 65), (65, 0), (3, 700), (700, 3), (64, 65), (65, 64),
         (64, 64), (900, 0), (0, 900)]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES)
def test_trees_without_common_records_differ_in_every_record(
    make_store: MakeStore, sizes: tuple[int, int]
) -> None:
    """Nothing, few records and many, on each side, none of them on both."""
    here, there = (make_leaves(size, place) for place, size in enumerate(sizes))
    ask = Asking(make_store(there))
    assert difference(here, there) == find(make_store(here), ask)
    assert len(ask.asked) <= 1 + 2 * sizes[1]


def test_differences_with_long_common_prefixes_are_found(make_store: MakeStore) -> None:
    """Records that agree in many digits, more than a suffix has."""
    chance = random.Random(1)
    for begin in ("abcd", "abcd12", "f" * 40):
        names = [(begin + chance.randbytes(32).hex())[:64] for _ in range(150)]
        leaves = [(bytes.fromhex(name), chance.randbytes(32)) for name in names]
        leaves += make_leaves(100)
        others = varied(leaves, 20, 3)
        ask = Asking(make_store(others))
        assert difference(leaves, others) == find(make_store(leaves), ask)
        assert len(ask.asked) <= len(begin) // 2 + 2 * 20


@pytest.mark.parametrize("there", [0, 60, 1500])
def test_local_leaves_are_read_in_parts(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, there: int
) -> None:
    """Also where the other side has nothing, or next to nothing, and all of ours differs."""
    here = make_store(make_leaves(1500, 1))
    others = make_leaves(there, 2)
    most, leaves_of = 0, StateTree.leaves

    def counted(self: StateTree, prefix: str) -> list[TreeLeaf]:
        nonlocal most
        found = leaves_of(self, prefix)
        most = max(most, len(found))
        return found

    ask = Asking(make_store(others))
    monkeypatch.setattr(StateTree, "leaves", counted)
    assert 1500 + there == len(find(here, ask))
    assert most <= tree_nodes.MAX_LEAVES


# A million -----------------------------------------------------------------------------------


class _Million:
    """Stands for a store: a tree of a million records.

    What differs lies below a few of the nodes of four digits, and only there are leaves made.
    """

    def __init__(self, nodes: dict[str, Node], leaves: dict[str, list[Leaf]]) -> None:
        self._nodes = nodes
        self._leaves = leaves
        self.state_tree = self

    def with_leaves(self, leaves: dict[str, list[Leaf]]) -> _Million:
        """The same with these leaves below some of the nodes of four digits."""
        lowest = {name: merkle.subtree(below, DEPTH) for name, below in leaves.items()}
        nodes = self._nodes | lowest
        names = set(lowest)
        for depth in reversed(range(DEPTH)):
            names = {name[:depth] for name in names}
            for name in names:
                nodes[name] = merkle.join([nodes[name + digit] for digit in DIGITS])
        return _Million(nodes, leaves)

    def node(self, prefix: str = "") -> Node:
        """As a store's tree."""
        assert len(prefix) <= DEPTH
        return self._nodes[prefix]

    def leaves(self, prefix: str) -> list[TreeLeaf]:
        """As a store's tree."""
        leaves = self._leaves[prefix[:DEPTH]]
        return sorted(TreeLeaf(*one, "2024") for one in leaves if one[0].hex().startswith(prefix))


def _made_up(name: str) -> list[Leaf]:
    """Sixteen leaves below a node of four digits."""
    begin = bytes.fromhex(name)
    stuff = hashlib.shake_256(begin).digest(16 * 62)
    parts = [stuff[at : at + 62] for at in range(0, len(stuff), 62)]
    return [(begin + part[:30], part[30:]) for part in parts]


@pytest.fixture(scope="module")
def million() -> _Million:
    """A tree of 1,048,576 records, without their leaves."""
    nodes = {
        f"{number:0{DEPTH}x}": Node(16, number.to_bytes(32, "big")) for number in range(16**DEPTH)
    }
    for level in merkle.levels_above(nodes, DEPTH):
        nodes |= level
    return _Million(nodes, {})


@pytest.mark.parametrize("count", [0, 1, 2, 10, 500])
def test_a_million_records_are_compared_with_few_requests(
    million: _Million, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """At most 4 requests and 6 for each record that differs, that for its state included."""
    about = StateRoot("", "0" * 64, "", 0, 0, 0)
    monkeypatch.setattr(tree_nodes, "read_root", lambda _store: about)
    chance = random.Random(count)
    names = [f"{chance.randrange(16**DEPTH):0{DEPTH}x}" for _ in range(count)]
    ours = {name: _made_up(name) for name in names}
    theirs = {name: varied(leaves, 1, 0) for name, leaves in ours.items()}
    theirs = {name: [one for one in leaves if one[0].hex().startswith(name)]
              for name, leaves in theirs.items()}  # fmt: skip
    here = million.with_leaves(ours)
    assert 16**5 == here.node().size
    ask = Asking(cast("Store", million.with_leaves(theirs)))
    found = find(cast("Store", here), ask)
    expected: Found = {}
    for name in names:
        expected |= difference(ours[name], theirs[name])
    assert expected == found
    assert len(found) >= count * 0.9
    assert len(ask.asked) + len(found) <= 4 + 6 * len(found)
    assert len(ask.asked) <= 1 + 2 * len(found)


# What is told --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 64, 65, 3000])
def test_a_written_page_can_be_parsed(make_store: MakeStore, size: int) -> None:
    """Of every node on the way to a leaf and beside it, and it is our own tree."""
    leaves = make_leaves(size, 1)
    store = make_store(leaves)
    names = [leaves[0][0].hex(), leaves[-1][0].hex()] if leaves else []
    for name in [*names, "0" * 64]:
        for depth in range(63):
            told, about = parse_node_page(encode(node_page(store, name[:depth])), name[:depth])
            assert store.state_tree.node(name[:depth]) == told.node
            assert (told.node.size > tree_nodes.MAX_LEAVES) == bool(told.below)
            assert len(told.leaves) == (0 if told.below else told.node.size)
            assert read_root(store).root == about["root"]


def test_the_form_of_a_page_is_fixed(make_store: MakeStore) -> None:
    """Of one leaf: whoever else writes a mirror must say just this."""
    record, core = bytes(range(32)), bytes(range(32, 64))
    digest = "e4fb1329f08b46df92906ff0be9b7ab12c44eabd3eb8651e69edb27bd8a19e95"
    store = make_store([(record, core)])
    assert {
        "prefix": "00",
        "size": 1,
        "digest": digest,
        "leaves": [
            {
                "canonical_sha256": record.hex(),
                "core_digest": core.hex(),
                "pith_number": f"pith:2024:{suffix_of(record)}",
            }
        ],
        "about": {
            "root": digest,
            "key_set_digest": store.trust_log.key_set().digest,
            "merge_version": "pith-open-graph-merge-v1",
            "records": 1,
            "events_valid": 0,
            "events_invalid": 0,
        },
    } == node_page(store, "00")


@pytest.mark.parametrize(
    "prefix", ["g", "AB", "0" * 63, "0" * 64, "a/b", "a\n", "\u0663", " ", "-1"]
)
def test_an_invalid_prefix_is_refused(make_store: MakeStore, prefix: str) -> None:
    """Digits are hexadecimal, in lower case, and 62 at most."""
    store = make_store([])
    assert "request.prefix" == code_of(lambda: node_page(store, prefix))


def test_a_tree_that_is_out_of_date_has_no_pages() -> None:
    """Nor is the root, or any node of it."""
    with open_store(None) as store:
        fill(store, make_leaves(100))
        store.state_tree.enqueue([1])
        for prefix in ("", "ab", "abcdef"):
            with pytest.raises(StoreError, match="out of date") as caught:
                node_page(store, prefix)
            assert "store.behind" == caught.value.code


# Lies ----------------------------------------------------------------------------------------

LEAVES = make_leaves(1500, 5)
FEW_LEAVES = LEAVES[:40]


def told_of(store: Store, prefix: str) -> Said:
    """What a store tells of a node, to be changed."""
    return cast("Said", json.loads(encode(node_page(store, prefix))))


def _first_node(**changes: Any) -> Callable[[Said], object]:
    return lambda said: said["nodes"][0].update(changes)


def _first_leaf(**changes: Any) -> Callable[[Said], object]:
    return lambda said: said["leaves"][0].update(changes)


def _of_all(**changes: Any) -> Callable[[Said], object]:
    return lambda said: said.update(changes)


NO_SIZES: list[Any] = [-1, True, False, 1.0, "1", None, [], 10**400]
NO_DIGESTS: list[Any] = ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, None, 7, ["0" * 64]]
NO_OBJECTS: list[Any] = [None, [], "x", {}]
NO_LISTS: list[Any] = [None, {}, "x", 1, [1], [None], [[]]]

OF_ANY: list[Callable[[Said], object]] = [
    *(_of_all(size=size) for size in NO_SIZES),
    *(_of_all(digest=digest) for digest in NO_DIGESTS),
    _of_all(digest="0" * 64),
    _of_all(digest="1" * 64),
    lambda said: said.update(size=said["size"] + 1),
    lambda said: said.update(size=said["size"] - 1),
    _of_all(size=0),
    *(_of_all(prefix=prefix) for prefix in ("0", "ab", None, 0, "", "AB")),
    lambda said: said.pop("prefix"),
    lambda said: said.pop("size"),
    lambda said: said.pop("digest"),
    lambda said: said.pop("about"),
    *(_of_all(about=value) for value in NO_OBJECTS),
    *(lambda said, one=one: said["about"].update(key_set_digest=one) for one in NO_DIGESTS),
    lambda said: said["about"].update(key_set_digest="x" * 1_000_000),
    *(_of_all(nodes=value) for value in NO_LISTS),
    *(_of_all(leaves=value) for value in NO_LISTS),
    lambda said: said.update(nodes=[], leaves=[]),
]
"""What no node can be told to be."""

ZEROS = {
    "canonical_sha256": "0" * 64,
    "core_digest": "0" * 64,
    "pith_number": f"pith:2024:{suffix_of(bytes(32))}",
}

OF_NODES: list[Callable[[Said], object]] = [
    *(_first_node(size=size) for size in NO_SIZES),
    *(_first_node(digest=digest) for digest in NO_DIGESTS),
    _first_node(digest="1" * 64),
    *(_first_node(prefix=prefix) for prefix in ("zz", "", "0", "000", "0000", None, 7, "\x00" * 2)),
    lambda said: said["nodes"].pop(),
    lambda said: said["nodes"].append(said["nodes"][0]),
    lambda said: said["nodes"].insert(0, {**said["nodes"][0], "digest": "1" * 64}),
    lambda said: said["nodes"].append({"prefix": "zz", "size": 0, "digest": "0" * 64}),
    lambda said: said["nodes"].append({"prefix": "zz", "size": 5, "digest": "1" * 64}),
    lambda said: said["nodes"].append({"prefix": "00ff", "size": 1, "digest": "1" * 64}),
    lambda said: said.update(nodes=[], leaves=[]),
    lambda said: said.update(leaves=[ZEROS]),
    lambda said: said["nodes"][0].update(said["nodes"][1]),
    lambda said: _exchange(said["nodes"], "digest"),
    lambda said: _exchange(said["nodes"], "prefix"),
]

ONES = bytes.fromhex("1" * 64)

OF_LEAVES: list[Callable[[Said], object]] = [
    *(_first_leaf(canonical_sha256=digest) for digest in NO_DIGESTS),
    *(_first_leaf(core_digest=digest) for digest in NO_DIGESTS),
    _first_leaf(core_digest="1" * 64),
    _first_leaf(canonical_sha256="1" * 64),
    _first_leaf(canonical_sha256="1" * 64, pith_number=f"pith:2024:{suffix_of(ONES)}"),
    *(_first_leaf(pith_number=number) for number in (
        "", None, 7, "pith:2024", f"pith:2024:{suffix_of(bytes(32))}")),
    lambda said: said["leaves"][0].update(
        pith_number=said["leaves"][0]["pith_number"].replace("2024", "24")),
    lambda said: said["leaves"][0].update(pith_number=said["leaves"][0]["pith_number"].lower()),
    lambda said: said["leaves"].pop(),
    lambda said: said["leaves"].append(said["leaves"][0]),
    lambda said: said["leaves"].append({**said["leaves"][0], "core_digest": "1" * 64}),
    lambda said: said["leaves"].insert(0, {**said["leaves"][0], "core_digest": "1" * 64}),
    lambda said: _exchange(said["leaves"], "core_digest"),
]  # fmt: skip


def _exchange(items: list[Said], name: str) -> None:
    items[0][name], items[1][name] = items[1][name], items[0][name]


CASES = [
    *(pytest.param(lie, LEAVES, id=f"any-{at}-nodes") for at, lie in enumerate(OF_ANY)),
    *(pytest.param(lie, FEW_LEAVES, id=f"any-{at}-leaves") for at, lie in enumerate(OF_ANY)),
    *(pytest.param(lie, LEAVES, id=f"nodes-{at}") for at, lie in enumerate(OF_NODES)),
    *(pytest.param(lie, FEW_LEAVES, id=f"leaves-{at}") for at, lie in enumerate(OF_LEAVES)),
]


@pytest.fixture(scope="module")
def root_pages(make_store: MakeStore) -> dict[int, bytes]:
    """The root's page of a store whose root has nodes below it, and of one with leaves."""
    pages = {
        len(leaves): encode(node_page(make_store(leaves), "")) for leaves in (LEAVES, FEW_LEAVES)
    }
    for page in pages.values():
        parse_node_page(page, "")
    return pages


@pytest.mark.parametrize(("lie", "leaves"), CASES)
def test_a_node_that_contradicts_itself_is_refused(
    root_pages: dict[int, bytes], lie: Callable[[Said], object], leaves: list[Leaf]
) -> None:
    """What does not have its shape, or does not follow from what is below it."""
    page = root_pages[len(leaves)]
    said = json.loads(page)
    before = json.dumps(said)
    lie(said)
    if json.dumps(said) != before:  # some are no lies of some nodes
        data = json.dumps(said).encode()
        assert code_of(lambda: parse_node_page(data, "")) in {"tree.shape", "json.number"}


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b"null", b'"x"', b"{}", b"{", b"\xff",
                                  b"[" * 100_000, b'{"prefix":"","prefix":""}'])  # fmt: skip
def test_an_invalid_page_is_refused(data: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(FormatError):
        parse_node_page(data, "")


def test_a_leaf_or_node_of_another_prefix_is_refused(make_store: MakeStore) -> None:
    """Though the node would follow from it, if it stood here."""
    store = make_store(LEAVES)
    name = LEAVES[0][0].hex()[:2]
    said = told_of(store, name)
    other = f"{(int(name, 16) ^ 1):02x}"
    data = json.dumps({**said, "prefix": other}).encode()
    assert "tree.shape" == code_of(lambda: parse_node_page(data, other))
    of_nodes = {**told_of(store, ""), "prefix": other}
    data = json.dumps(of_nodes).encode()
    assert "tree.shape" == code_of(lambda: parse_node_page(data, other))


def test_unknown_members_are_ignored(root_pages: dict[int, bytes]) -> None:
    """A later version may say more."""
    said = json.loads(root_pages[len(FEW_LEAVES)])
    more = {**said, "more": 1, "about": {**said["about"], "more": []}}
    more["leaves"] = [{**leaf, "more": {}} for leaf in said["leaves"]]
    assert parse_node_page(json.dumps(said).encode(), "")[0] == parse_node_page(
        json.dumps(more).encode(), "")[0]  # fmt: skip


# Going down with a liar ----------------------------------------------------------------------


class Lying:
    """Tells whatever it was told to of a node, in due form, and counts."""

    def __init__(self, answer: Callable[[str], Said]) -> None:
        self._answer = answer
        self.asked = 0

    def __call__(self, prefix: str) -> TreeNodePage:
        """What it tells, as it is read."""
        self.asked += 1
        assert self.asked < 1000, "there is no end of it"
        about = {"key_set_digest": "0" * 64}
        said = {"prefix": prefix, "about": about, **self._answer(prefix)}
        return parse_node_page(json.dumps(said).encode(), prefix)[0]


def _said(node: Node, **below: Any) -> Said:
    return {"size": node.size, "digest": node.digest.hex(), **below}


def _chain(depth: int, width: int) -> dict[int, Node]:
    """Nodes of which each has so many equal grandchildren, by depth; the lowest is made up."""
    nodes = {depth: Node(1, b"\x07" * 32)}
    for above in range(depth - 2, -1, -2):
        below = [nodes[above + 2]] * width + [NOTHING] * (256 - width)
        nodes[above] = merkle.join([merkle.join(below[at : at + 16]) for at in range(0, 256, 16)])
    return nodes


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 100])
def test_an_endless_tree_is_refused(make_store: MakeStore, size: int, width: int) -> None:
    """However many there seem to be: the first way down leads to what cannot be."""
    nodes = _chain(64, width)
    endings = [one + other for one in DIGITS for other in DIGITS][:width]

    def answer(prefix: str) -> Said:
        below = nodes[len(prefix) + 2]
        return _said(
            nodes[len(prefix)],
            nodes=[_said(below, prefix=prefix + ending) for ending in endings],
        )

    lying = Lying(answer)
    with pytest.raises(UpstreamError, match="deeper than any can be") as caught:
        list(descend(make_store(make_leaves(size)), lying))
    assert ("upstream.tree", 32) == (caught.value.code, lying.asked)


def test_empty_nodes_are_refused(make_store: MakeStore) -> None:
    """Each of them could have 256 below it, and all would add up."""

    def answer(prefix: str) -> Said:
        endings = [one + other for one in DIGITS for other in DIGITS]
        empty = [_said(NOTHING, prefix=prefix + ending) for ending in endings]
        return _said(NOTHING, nodes=empty if len(prefix) < 60 else [])

    lying = Lying(answer)
    with pytest.raises(FormatError, match="does not follow"):
        list(descend(make_store(make_leaves(100)), lying))
    assert 1 == lying.asked


def test_equal_subtrees_at_two_places_are_not_followed_twice(make_store: MakeStore) -> None:
    """Leaves name their place: what was shown below one prefix does not do below another."""
    name = "00" * 31
    endings = ("00", "01")
    leaves = [(bytes.fromhex(name + ending), bytes(32)) for ending in endings]
    bottom = merkle.subtree(leaves, 62)
    nodes = {62: bottom}
    for above in range(60, -1, -2):
        pair = merkle.join([nodes[above + 2]] * 2 + [NOTHING] * 14)
        nodes[above] = merkle.join([pair] + [NOTHING] * 15)

    def answer(prefix: str) -> Said:
        if len(prefix) == 62:
            return _said(bottom, leaves=[
                {"canonical_sha256": prefix + record.hex()[-2:], "core_digest": core.hex(),
                 "pith_number": f"pith:2024:{suffix_of(bytes.fromhex(prefix) + record[-1:])}"}
                for record, core in leaves])  # fmt: skip
        below = nodes[len(prefix) + 2]
        return _said(
            nodes[len(prefix)],
            nodes=[_said(below, prefix=prefix + ending) for ending in endings],
        )

    lying = Lying(answer)
    with pytest.raises(FormatError, match="does not follow"):
        list(descend(make_store([]), lying))
    assert 33 == lying.asked


def test_a_tree_that_changes_during_the_comparison_is_refused(make_store: MakeStore) -> None:
    """What is said of a node must be what was said of it above: size and digest."""
    here = make_store(make_leaves(1000, 1))
    there = make_store(varied(make_leaves(1000, 1), 9, 1))
    later = make_store(varied(make_leaves(1000, 1), 9, 2))
    ask, ask_later = Asking(there), Asking(later)

    def changing(prefix: str) -> TreeNodePage:
        return (ask_later if ask.asked and prefix else ask)(prefix)

    with pytest.raises(UpstreamError, match="not the one that its page above lists") as caught:
        list(descend(here, changing))
    assert "upstream.changed" == caught.value.code
    assert "merging" in caught.value.hint
    assert (1, 1) == (len(ask.asked), len(ask_later.asked))


def test_a_size_that_differs_from_the_page_above_is_refused(make_store: MakeStore) -> None:
    """Sizes are in no hash, and are held against each other all the same."""
    ask = Asking(make_store(varied(make_leaves(1000, 1), 1, 1)))

    def other_sizes(prefix: str) -> TreeNodePage:
        told = ask(prefix)
        if prefix:
            return told
        sizes = {name: node._replace(size=node.size + 1) for name, node in told.below.items()}
        return told._replace(below=sizes)

    with pytest.raises(UpstreamError, match="not the one that its page above lists"):
        list(descend(make_store(make_leaves(1000, 1)), other_sizes))


def test_differences_found_before_an_invalid_page_are_given(make_store: MakeStore) -> None:
    """Findings come one by one, so that a person sees how far it went."""
    leaves = make_leaves(1000, 1)
    ask = Asking(make_store(varied(leaves, 40, 1)))

    def lying_late(prefix: str) -> TreeNodePage:
        if len(ask.asked) == 20:
            return parse_node_page(b"{}", prefix)[0]
        return ask(prefix)

    found = descend(make_store(leaves), lying_late)
    assert next(found).pith_number.startswith("pith:2024:")
    with pytest.raises(FormatError):
        list(found)
