"""One root for a whole mirror: a Merkle tree over the core digests of all states (M12).

A leaf stands for a record; which of sixteen children of a node it lies under is said by the next
hexadecimal digit of its `canonical_sha256`. A subtree that holds one leaf is that leaf, so the
tree is as deep as it must be, and its root follows from the set of leaves alone.

    leaf = SHA-256(0x00 || canonical_sha256 || core digest)            32 raw bytes each
    node = SHA-256(0x01 || child 0 || ... || child 15)                 32 zero bytes for no child
    root of no leaves = 32 zero bytes

The first byte keeps leaves and nodes apart, so that neither can be passed off as the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

from mirror.core.values import sha256

__all__ = ["EMPTY", "Leaf", "root"]

Leaf: TypeAlias = tuple[bytes, bytes]
"""`canonical_sha256` and core digest of a state, 32 raw bytes each."""

EMPTY = bytes(32)
"""What stands for no leaf."""


def root(leaves: Iterable[Leaf]) -> bytes:
    """Return the root of the tree of `leaves`, 32 raw bytes; their order does not matter.

    Raises:
        ValueError: If two leaves have one `canonical_sha256`.
    """
    ordered = sorted(leaves)
    if any(one[0] == other[0] for one, other in pairwise(ordered)):
        raise ValueError("two states of one record")
    return _subtree(ordered, 0)


def _subtree(leaves: Sequence[Leaf], level: int) -> bytes:
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0][0] + leaves[0][1])
    children: list[list[Leaf]] = [[] for _ in range(16)]
    for leaf in leaves:
        children[_digit(leaf[0], level)].append(leaf)
    return sha256(b"\x01" + b"".join([_subtree(child, level + 1) for child in children]))


def _digit(digest: bytes, level: int) -> int:
    """Return a hexadecimal digit of a digest, the first at level 0."""
    byte = digest[level // 2]
    return byte & 15 if level % 2 else byte >> 4
