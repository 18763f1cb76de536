"""The root over a whole mirror: a function of the set of leaves, and of nothing else."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.transparency.merkle import (
    EMPTY,
    FANOUT,
    NOTHING,
    Leaf,
    Node,
    Siblings,
    join,
    levels_above,
    path,
    root,
    root_from_path,
    subtree,
)

DIGITS = "0123456789abcdef"


def sha256(*parts: bytes) -> bytes:
    """The digest of parts one behind the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def plain_root(leaves: Iterable[Leaf], begin: str = "") -> bytes:
    """The root as the module describes it: of the leaves whose first name begins with `begin`."""
    here = [leaf for leaf in leaves if leaf[0].hex().startswith(begin)]
    if len(here) == 0:
        return bytes(32)
    if len(here) == 1:
        return sha256(b"\x00", here[0][0], here[0][1])
    return sha256(b"\x01", *[plain_root(here, begin + digit) for digit in DIGITS])


def leaf(name: str, core: str = "") -> Leaf:
    """A leaf whose record's digest begins with `name`, in hexadecimal, the rest being zeros."""
    return bytes.fromhex(name.ljust(64, "0")), sha256(core.encode())


def random_leaves(seed: int, count: int) -> list[Leaf]:
    """Leaves of as many records."""
    chance = random.Random(seed)
    return [(chance.randbytes(32), chance.randbytes(32)) for _ in range(count)]


def node(**children: bytes) -> bytes:
    """A node by hand; children are named `at_0` to `at_f`."""
    return sha256(b"\x01", *[children.get(f"at_{digit}", bytes(32)) for digit in DIGITS])


# Small trees by hand -------------------------------------------------------------------------


def test_no_leaves_are_32_zero_bytes() -> None:
    """A store of no records has a root, too."""
    assert bytes(32) == root([]) == EMPTY


def test_one_leaf_is_its_own_root() -> None:
    """A zero byte, the record's digest and the core digest."""
    record, core = bytes(range(32)), bytes(range(32, 64))
    expected = hashlib.sha256(b"\x00" + record + core).digest()
    assert expected == root([(record, core)])
    pinned = "e4fb1329f08b46df92906ff0be9b7ab12c44eabd3eb8651e69edb27bd8a19e95"
    assert pinned == root([(record, core)]).hex()


def test_two_leaves_stand_under_their_first_digits() -> None:
    """The high half of the first byte says where; all other places hold zeros."""
    one, other = (b"\x3f" * 32, b"\x01" * 32), (b"\xe0" * 32, b"\x02" * 32)
    expected = hashlib.sha256(
        b"\x01"
        + bytes(32) * 3
        + hashlib.sha256(b"\x00" + b"\x3f" * 32 + b"\x01" * 32).digest()
        + bytes(32) * 10
        + hashlib.sha256(b"\x00" + b"\xe0" * 32 + b"\x02" * 32).digest()
        + bytes(32)
    ).digest()
    assert expected == root([one, other])
    pinned = "fb43dcd9708bfab8a069fb6109d647d670789269791af01343e2daf3c7f9c912"
    assert pinned == root([one, other]).hex()


def test_leaves_that_agree_in_a_byte_part_below_it() -> None:
    """High half, then low half; a third leaf that parts earlier stays where it parts."""
    a, b, c = leaf("ab1", "a"), leaf("ab2", "b"), leaf("a5", "c")
    of_a, of_b, of_c = (sha256(b"\x00", *one) for one in (a, b, c))
    low = node(at_b=node(at_1=of_a, at_2=of_b), at_5=of_c)
    assert node(at_a=low) == root([a, b, c])
    pinned = "57ad9c75ac2cb9107cd828028356475c57f7798d61c6bf12dfa72b37358ee05c"
    assert pinned == root([a, b, c]).hex()


@pytest.mark.parametrize("shared", range(64))
def test_the_tree_is_as_deep_as_two_leaves_agree(shared: int) -> None:
    """Leaves that share any number of digits part at the next, down to the last of all."""
    begin = "".join(random.Random(shared).choices(DIGITS, k=shared))
    one, other = leaf(f"{begin}3", "one"), leaf(f"{begin}c", "other")
    expected = node(at_3=sha256(b"\x00", *one), at_c=sha256(b"\x00", *other))
    for digit in reversed(begin):
        expected = node(**{f"at_{digit}": expected})
    assert expected == root([one, other])


# Any tree ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 16, 17, 40, 300])
def test_random_leaves_have_the_plain_root(count: int) -> None:
    """As many as there are."""
    leaves = random_leaves(count, count)
    assert plain_root(leaves) == root(leaves)


NAMES = st.text("0f", max_size=4).map(lambda begin: bytes.fromhex(begin.ljust(64, "0")))
CROWDED = st.dictionaries(
    st.one_of(NAMES, st.binary(min_size=32, max_size=32)),
    st.binary(min_size=32, max_size=32),
    max_size=12,
)
"""Leaves of which many share their first digits."""


@given(CROWDED, st.randoms(use_true_random=False))
def test_crowded_leaves_have_the_plain_root_in_any_order(
    leaves: dict[bytes, bytes], chance: random.Random
) -> None:
    """The root follows from the set of leaves alone."""
    order = list(leaves.items())
    chance.shuffle(order)
    assert plain_root(leaves.items()) == root(order)


def test_leaves_may_come_one_by_one_in_any_order() -> None:
    """Sorted, reversed, shuffled, from a list or a generator: one root."""
    leaves = random_leaves(1, 60)
    expected = root(leaves)
    assert expected == root(iter(leaves))
    assert expected == root(sorted(leaves))
    assert expected == root(reversed(leaves))
    for seed in range(20):
        assert expected == root(random.Random(seed).sample(leaves, k=len(leaves)))


@pytest.mark.parametrize("count", [1, 2, 30])
def test_every_change_of_a_leaf_changes_the_root(count: int) -> None:
    """A bit of either digest, a leaf more, a leaf less, two leaves with digests exchanged."""
    leaves = random_leaves(2, count)
    others = [leaves[1:], [*leaves, leaf("77")]]
    for place in range(count):
        record, core = leaves[place]
        for bit in (0, 7, 100, 255):
            mask = (1 << bit).to_bytes(32, "big")
            changed = bytes(a ^ b for a, b in zip(record, mask, strict=True))
            others.append([*leaves[:place], (changed, core), *leaves[place + 1 :]])
            changed = bytes(a ^ b for a, b in zip(core, mask, strict=True))
            others.append([*leaves[:place], (record, changed), *leaves[place + 1 :]])
        others.append([*leaves[:place], (core, record), *leaves[place + 1 :]])
    if count > 1:
        (one, first), (other, second), *rest = leaves
        others.append([(one, second), (other, first), *rest])
    roots = {root(leaves), *map(root, others)}
    assert 1 + len(others) == len(roots)


def test_a_leaf_of_two_digests_is_not_the_node_of_both() -> None:
    """The first byte differs, so what is under a node is not found as a digest in a leaf."""
    one, other = leaf("0", "one"), leaf("1", "other")
    forged = (sha256(b"\x00", *one), sha256(b"\x00", *other))
    assert root([one, other]) != root([forged])
    assert root([one, other]) != sha256(b"\x00", *forged, *[bytes(32)] * 14)


def test_order_by_core_digest_does_not_matter() -> None:
    """Core digests may be equal, or in any order: records are told apart by their own."""
    leaves = [(record, b"\x05" * 32) for record, _ in random_leaves(3, 20)]
    assert plain_root(leaves) == root(leaves)


# What has no root ----------------------------------------------------------------------------


@pytest.mark.parametrize("core", ["same", "other"])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_two_leaves_of_one_record_are_refused(count: int, core: str) -> None:
    """Whether or not they agree, and wherever they stand among others."""
    leaves = [*random_leaves(4, count), leaf("abc", "same"), leaf("abc", core)]
    for seed in range(5):
        random.Random(seed).shuffle(leaves)
        with pytest.raises(ValueError, match="two states of one record"):
            root(leaves)


@pytest.mark.parametrize("level", [0, 3])
def test_two_leaves_of_one_record_have_no_subtree_either(level: int) -> None:
    """Wherever it stands."""
    with pytest.raises(ValueError, match="two states of one record"):
        subtree([leaf("abc", "one"), leaf("abd"), leaf("abc", "other")], level)


# Subtrees ------------------------------------------------------------------------------------


def test_what_is_joined_of_nothing_is_nothing() -> None:
    """Sixteen times no leaf."""
    assert Node(0, bytes(32)) == NOTHING == join([NOTHING] * FANOUT) == subtree([], 5)


@pytest.mark.parametrize("place", range(FANOUT))
def test_what_is_joined_of_one_leaf_is_that_leaf(place: int) -> None:
    """Wherever it stands, there is no node above it."""
    alone = subtree([leaf("abc")], 0)
    children = [NOTHING] * FANOUT
    children[place] = alone
    assert alone == join(children) == Node(1, sha256(b"\x00", *leaf("abc")))


def test_what_is_joined_of_more_is_a_node() -> None:
    """Its size is all of theirs; its digest says nothing of sizes."""
    children = [NOTHING] * FANOUT
    children[3], children[9] = Node(2, b"\x03" * 32), Node(7, b"\x09" * 32)
    assert Node(9, node(at_3=b"\x03" * 32, at_9=b"\x09" * 32)) == join(children)


@given(CROWDED, st.integers(0, 6))
def test_a_tree_is_that_of_its_subtrees(leaves: dict[bytes, bytes], depth: int) -> None:
    """Cut at any depth and joined again."""

    def joined(begin: str) -> Node:
        here = [one for one in leaves.items() if one[0].hex().startswith(begin)]
        if len(begin) == depth:
            return subtree(here, depth)
        return join([joined(begin + digit) if here else NOTHING for digit in DIGITS])

    assert Node(len(leaves), root(leaves.items())) == joined("")


# Proofs --------------------------------------------------------------------------------------


@settings(max_examples=settings().max_examples // 2)
@given(CROWDED)
def test_every_leaf_climbs_to_the_root(leaves: dict[bytes, bytes]) -> None:
    """By its path, in as many steps as there are nodes above it; and no more are given."""
    for one in leaves.items():
        steps = path(leaves.items(), one[0], 0)
        assert root(leaves.items()) == root_from_path(one, steps)
        for level, step in enumerate(steps):
            others = [name for name in leaves if name.hex()[:level] == one[0].hex()[:level]]
            assert len(others) > 1
            assert FANOUT == len(step)
            assert plain_root(leaves.items(), one[0].hex()[: level + 1]) in step


def test_a_path_may_begin_further_down() -> None:
    """Of the leaves below a node, it is the rest of the path from the root."""
    leaves = random_leaves(5, 2000)
    record = leaves[7][0]
    whole = path(leaves, record, 0)
    assert len(whole) > 2
    for level in range(len(whole) + 1):
        below = [one for one in leaves if one[0].hex()[:level] == record.hex()[:level]]
        assert whole[level:] == path(below, record, level)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_there_is_no_path_to_what_is_not_there(count: int) -> None:
    """Neither where its place is empty nor where another leaf stands in it."""
    leaves = random_leaves(6, count)
    near = [bytes([*record[:-1], record[-1] ^ 1]) for record, _ in leaves]
    for record in [bytes(32), b"\xff" * 32, *near]:
        with pytest.raises(KeyError, match=record.hex()):
            path(leaves, record, 0)


def changed(data: bytes, place: int) -> bytes:
    """The same with one bit turned."""
    return data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def replaced(steps: list[Siblings], level: int, place: int, child: bytes) -> list[Siblings]:
    """The same with another child."""
    step = steps[level]
    return [*steps[:level], (*step[:place], child, *step[place + 1 :]), *steps[level + 1 :]]


PROVED = random_leaves(8, 50)
ROOT = root(PROVED)
STEPS = path(PROVED, PROVED[0][0], 0)


def test_no_byte_of_a_proof_can_be_changed() -> None:
    """Of the record, of its core digest, of any child of any node above it."""
    record, core = PROVED[0]
    assert len(STEPS) > 1
    assert ROOT == root_from_path((record, core), STEPS)
    for place in range(32):
        assert ROOT != root_from_path((changed(record, place), core), STEPS)
        assert ROOT != root_from_path((record, changed(core, place)), STEPS)
        for level, step in enumerate(STEPS):
            for at, child in enumerate(step):
                other = replaced(STEPS, level, at, changed(child, place))
                assert ROOT != root_from_path((record, core), other)


def test_nothing_of_a_proof_can_change_places() -> None:
    """Nodes, the children of a node, and the two digests of the leaf."""
    record, core = PROVED[0]
    assert ROOT != root_from_path((core, record), STEPS)
    assert ROOT != root_from_path((record, core), STEPS[::-1])
    for level, step in enumerate(STEPS):
        for one in range(FANOUT):
            for other in range(one):
                turned = replaced(STEPS, level, one, step[other])
                turned = replaced(turned, level, other, step[one])
                assert (step[one] == step[other]) == (
                    ROOT == root_from_path((record, core), turned)
                )


def test_nothing_of_a_proof_can_be_left_out_or_added() -> None:
    """A node at any place, or a child at any place of a node."""
    for level, step in enumerate(STEPS):
        assert ROOT != root_from_path(PROVED[0], STEPS[:level] + STEPS[level + 1 :])
        assert ROOT != root_from_path(PROVED[0], [*STEPS[:level], step, *STEPS[level:]])
        for other in (step[1:], step[:-1], (*step, EMPTY), ()):
            assert root_from_path(PROVED[0], [*STEPS[:level], other, *STEPS[level + 1 :]]) is None
    assert ROOT != root_from_path(PROVED[0], [*STEPS, (EMPTY,) * FANOUT])


def test_bytes_cannot_move_from_one_part_to_the_next() -> None:
    """All that is hashed stays the same; but digests are 32 bytes long."""
    record, core = PROVED[0]
    assert root_from_path((record + core[:1], core[1:]), STEPS) is None
    assert root_from_path((record[:-1], record[-1:] + core), STEPS) is None
    for level, step in enumerate(STEPS):
        for at in range(FANOUT - 1):
            one, other = step[at] + step[at + 1][:1], step[at + 1][1:]
            moved = replaced(replaced(STEPS, level, at, one), level, at + 1, other)
            assert b"".join(moved[level]) == b"".join(step)
            assert root_from_path((record, core), moved) is None


def test_a_proof_holds_for_no_other_leaf() -> None:
    """But for one that stands under the very same nodes, whose proof it is as well."""
    strangers = random_leaves(9, 50)
    for one in [*PROVED, *strangers]:
        is_its_own = one in PROVED and path(PROVED, one[0], 0) == STEPS
        assert is_its_own == (ROOT == root_from_path(one, STEPS))
    assert ROOT != root_from_path((PROVED[0][0], PROVED[1][1]), STEPS)
    assert ROOT != root_from_path((PROVED[1][0], PROVED[0][1]), STEPS)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    """Nor the children of a node for a record and its core digest, however they are cut."""
    children = b"".join(STEPS[-1])
    assert root_from_path((children[:32], children[32:]), STEPS[:-1]) is None
    assert root_from_path((children[:32], children[32:64]), STEPS[:-1]) is None
    one, other = leaf("0", "one"), leaf("1", "other")
    digests = sha256(b"\x00", *one), sha256(b"\x00", *other)
    assert root([one, other]) != root_from_path(digests, [])


def test_a_leaf_cannot_pass_for_a_node() -> None:
    """A node of sixteen children of which a leaf would be hashed: they are not of the length."""
    record, core = PROVED[0]
    alone = root([PROVED[0]])
    assert alone == root_from_path(PROVED[0], [])
    parts = (record, core, *[b""] * (FANOUT - 2))
    assert root_from_path(PROVED[0], [parts]) is None
    assert alone != sha256(b"\x01", record, core)


def test_no_proof_is_longer_than_a_digest() -> None:
    """Leaves that part at the last digit have 64 nodes above them; there is no 65th."""
    one, other = (bytes(32), b"1" * 32), (bytes(31) + b"\x01", b"2" * 32)
    steps = path([one, other], one[0], 0)
    assert 64 == len(steps)
    assert root([one, other]) == root_from_path(one, steps) == root_from_path(other, steps)
    top = root([one, other])
    assert root_from_path(one, [(top, *[EMPTY] * (FANOUT - 1)), *steps]) is None
    assert root_from_path(one, [steps[0]] * 100_000) is None


def test_the_levels_above_some_nodes_end_in_the_root() -> None:
    """Whatever the level is, and for no leaves, too."""
    leaves = [leaf(f"{number:02x}", str(number)) for number in range(40)]
    for level in (1, 2):
        prefixes = {one[0].hex()[:level] for one in leaves}
        nodes = {
            prefix: subtree([one for one in leaves if one[0].hex().startswith(prefix)], level)
            for prefix in prefixes
        }
        *_, top = levels_above(nodes, level)
        assert top == {"": subtree(leaves, 0)}
    assert list(levels_above({}, 1)) == [{"": NOTHING}]
