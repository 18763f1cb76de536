"""One root for a whole mirror: a Merkle tree over the core digests of all states (M12).

A leaf is of a record; the next hexadecimal digit of its `canonical_sha256` says which of the
sixteen children of a node it is below. A subtree of one leaf is that leaf, so the tree is no deeper
than needed, and its root follows from the set of leaves alone.

    leaf = SHA-256(0x00 || canonical_sha256 || core digest)            32 raw bytes each
    node = SHA-256(0x01 || child 0 || ... || child 15)                 32 zero bytes for no child
    root of no leaves = 32 zero bytes

The first byte separates leaves from nodes, so that neither can be taken for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from mirror.core.values import sha256

__all__ = [
    "EMPTY",
    "FANOUT",
    "NOTHING",
    "Leaf",
    "Node",
    "Siblings",
    "join",
    "levels_above",
    "path",
    "root",
    "root_from_path",
    "subtree",
]

Leaf: TypeAlias = tuple[bytes, bytes]
"""`canonical_sha256` and core digest of a state, 32 raw bytes each."""

EMPTY = bytes(32)
"""The digest of a subtree without leaves."""

FANOUT = 16
"""Children of a node: one for each hexadecimal digit."""

_DIGITS = 64
"""Hexadecimal digits of a digest: no tree is deeper."""


class Node(NamedTuple):
    """A subtree."""

    size: int
    """Leaves in it."""
    digest: bytes
    """32 raw bytes."""


NOTHING = Node(0, EMPTY)
"""The subtree of no leaves."""

Siblings: TypeAlias = tuple[bytes, ...]
"""The digests of all children of a node, 32 raw bytes each; `EMPTY` for no child."""


def root(leaves: Iterable[Leaf]) -> bytes:
    """Return the root of the tree of `leaves`, 32 raw bytes; their order does not matter.

    Raises:
        ValueError: If two leaves have one `canonical_sha256`.
    """
    return subtree(leaves, 0).digest


def subtree(leaves: Iterable[Leaf], level: int) -> Node:
    """Return the subtree of leaves that agree in their first `level` hexadecimal digits.

    Raises:
        ValueError: If two leaves have one `canonical_sha256`.
    """
    ordered = sorted(leaves)
    if any(one[0] == other[0] for one, other in pairwise(ordered)):
        raise ValueError("two states of one record")
    return _subtree(ordered, level)


def _subtree(leaves: Sequence[Leaf], level: int) -> Node:
    if not leaves:
        return NOTHING
    if len(leaves) == 1:
        return Node(1, _leaf_digest(leaves[0]))
    return join([_subtree(child, level + 1) for child in _split(leaves, level)])


def join(children: Sequence[Node]) -> Node:
    """Return the node of sixteen children; of only one leaf, that leaf."""
    size = sum(child.size for child in children)
    if size <= 1:
        return next((child for child in children if child.size), NOTHING)
    return Node(size, _node_digest([child.digest for child in children]))


def levels_above(nodes: Mapping[str, Node], level: int) -> Iterator[dict[str, Node]]:
    """Yield the nodes of each level above a level, by prefix; those of the root last.

    Args:
        nodes: All nodes of the level that are not empty, by their prefix of `level` digits.
        level: The level.
    """
    below: Mapping[str, Node] = nodes
    for depth in reversed(range(level)):
        above = {prefix[:depth] for prefix in below} or {""}
        joined = {
            prefix: join([below.get(f"{prefix}{digit:x}", NOTHING) for digit in range(FANOUT)])
            for prefix in above
        }
        yield joined
        below = joined


def _split(leaves: Sequence[Leaf], level: int) -> list[list[Leaf]]:
    children: list[list[Leaf]] = [[] for _ in range(FANOUT)]
    for leaf in leaves:
        children[_digit(leaf[0], level)].append(leaf)
    return children


def _leaf_digest(leaf: Leaf) -> bytes:
    return sha256(b"\x00" + leaf[0] + leaf[1])


def _node_digest(children: Sequence[bytes]) -> bytes:
    return sha256(b"\x01" + b"".join(children))


def _digit(digest: bytes, level: int) -> int:
    """Return a hexadecimal digit of a digest, the first at level 0."""
    byte = digest[level // 2]
    return byte & 15 if level % 2 else byte >> 4


# Proofs that a leaf is in a tree -------------------------------------------------------------


def path(leaves: Iterable[Leaf], record: bytes, level: int) -> list[Siblings]:
    """Return the children of every node above a leaf, the node at `level` first.

    Args:
        leaves: Of the subtree at `level`; they agree in their first `level` digits.
        record: The `canonical_sha256` of one of them, raw.
        level: How far down the subtree is.

    Raises:
        KeyError: If there is no such leaf.
    """
    leaves = sorted(leaves)
    steps: list[Siblings] = []
    while len(leaves) > 1:
        children = _split(leaves, level)
        steps.append(tuple([_subtree(child, level + 1).digest for child in children]))
        leaves = children[_digit(record, level)]
        level += 1
    if [leaf[0] for leaf in leaves] != [record]:
        raise KeyError(record.hex())
    return steps


def root_from_path(leaf: Leaf, steps: Sequence[Siblings]) -> bytes | None:
    """Return the root of a leaf and the nodes above it; None if the leaf is not below them.

    Args:
        leaf: The record and its core digest.
        steps: The children of every node above it, those of the root first.
    """
    if len(steps) > _DIGITS or not all(map(_is_node, steps)) or not _are_digests(leaf):
        return None
    digest = _leaf_digest(leaf)
    for level in reversed(range(len(steps))):
        if steps[level][_digit(leaf[0], level)] != digest:
            return None
        digest = _node_digest(steps[level])
    return digest


def _is_node(children: Siblings) -> bool:
    return len(children) == FANOUT and _are_digests(children)


def _are_digests(parts: Iterable[bytes]) -> bool:
    """Whether each part has the length of a digest, so that the hashed bytes are unambiguous."""
    return all(len(part) == len(EMPTY) for part in parts)
