"""Nodes of the tree of states over HTTP, and the difference of two trees.

A node page lists the grandchildren of a node (at most 256), or its leaves if there are few. The
reader computes the node from the page and compares it with the node in the page above it, so a
mirror with an inconsistent tree contradicts itself. In a tree of a million records, three pages
lead from the root to a record that differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import NamedTuple

from mirror.core.record import is_pith_number, suffix_of
from mirror.core.shape import ObjectReader, read_object
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import FANOUT, NOTHING, Node
from mirror.core.values import Object, decode
from mirror.engine.states.root import read_root
from mirror.errors import FormatError, UpstreamError
from mirror.store import Store, TreeLeaf
from mirror.store.state_tree import DEPTH

__all__ = ["TreeDifference", "TreeNodePage", "descend", "node_page", "parse_node_page"]

MAX_LEAVES = 64
"""The most leaves of a node whose page lists them instead of its grandchildren."""
_SHAPE = "tree.shape"
_DIGITS = "0123456789abcdef"
_STEP = 2
_ENDINGS = tuple([first + second for first in _DIGITS for second in _DIGITS])
_PREFIX = re.compile(r"[0-9a-f]{0,62}")


class TreeNodePage(NamedTuple):
    """A node with what is below it."""

    node: Node
    below: dict[str, Node]
    """Its grandchildren that are not empty, by prefix; none if the leaves are listed."""
    leaves: dict[bytes, TreeLeaf]
    """Its leaves by `canonical_sha256`, if they are few."""


# Writing a page ------------------------------------------------------------------------------


def node_page(store: Store, prefix: str) -> Object:
    """Return the page of a node; call within a snapshot.

    Raises:
        FormatError: `request.prefix` if it is not a prefix.
        StoreError: `store.behind` if the tree is out of date.
    """
    if _PREFIX.fullmatch(prefix) is None:
        message = "a prefix is up to 62 hexadecimal digits in lowercase"
        raise FormatError("request.prefix", message)
    about = read_root(store)
    page = _read_page(store, prefix)
    value = _node_value(prefix, page.node)
    if page.below:
        value["nodes"] = [_node_value(*item) for item in sorted(page.below.items())]
    else:
        value["leaves"] = [_leaf_value(leaf) for leaf in sorted(page.leaves.values())]
    return {**value, "about": asdict(about)}


def _read_page(store: Store, prefix: str) -> TreeNodePage:
    node = store.state_tree.node(prefix)
    if node.size > MAX_LEAVES:
        return TreeNodePage(node, _below(store, prefix), {})
    return TreeNodePage(node, {}, {leaf.record: leaf for leaf in store.state_tree.leaves(prefix)})


def _below(store: Store, prefix: str) -> dict[str, Node]:
    if len(prefix) + _STEP <= DEPTH:
        nodes = {prefix + ending: store.state_tree.node(prefix + ending) for ending in _ENDINGS}
        return {name: node for name, node in nodes.items() if node.size}
    groups: dict[str, list[merkle.Leaf]] = {}
    for leaf in store.state_tree.leaves(prefix):
        groups.setdefault(leaf.record.hex()[: len(prefix) + _STEP], []).append(leaf[:2])
    return {name: merkle.subtree(leaves, len(name)) for name, leaves in groups.items()}


def _node_value(prefix: str, node: Node) -> Object:
    return {"prefix": prefix, "size": node.size, "digest": node.digest.hex()}


def _leaf_value(leaf: TreeLeaf) -> Object:
    return {
        "canonical_sha256": leaf.record.hex(),
        "core_digest": leaf.core_digest.hex(),
        "pith_number": leaf.pith_number,
    }


# Reading a page ------------------------------------------------------------------------------


def parse_node_page(data: bytes, prefix: str) -> tuple[TreeNodePage, Object]:
    """Return the page of a node of another mirror, and the description of its tree.

    Raises:
        FormatError: V1 codes, or `tree.shape` if it is not a page of `node_page` on this prefix.
    """
    reader = read_object(decode(data), _SHAPE)
    if reader.value.get("prefix") != prefix:
        raise FormatError(_SHAPE, f"the page is not that of the node {prefix!r}")
    about = reader.object("about")
    about.digest("key_set_digest")
    below = [(one.text("prefix"), _node(one)) for one in _objects(reader, "nodes")]
    leaves = [_leaf(one) for one in _objects(reader, "leaves")]
    page = TreeNodePage(_node(reader), dict(below), {leaf.record: leaf for leaf in leaves})
    are_distinct = (len(below), len(leaves)) == (len(page.below), len(page.leaves))
    if _compute_node(page, prefix) != page.node or not are_distinct:
        raise FormatError(_SHAPE, f"the node {prefix!r} does not follow from what is below it")
    return page, about.value


def _objects(reader: ObjectReader, name: str) -> list[ObjectReader]:
    return reader.objects(name) if name in reader.value else []


def _compute_node(page: TreeNodePage, prefix: str) -> Node | None:
    """Return the node that follows from what is below it; None if that is not below it.

    An empty node must not be listed, because there could be any number of them.
    """
    if not page.below:
        is_below = all(record.hex().startswith(prefix) for record in page.leaves)
        leaves = [leaf[:2] for leaf in page.leaves.values()]
        return merkle.subtree(leaves, len(prefix)) if is_below else None
    nodes = [page.below.get(prefix + ending, NOTHING) for ending in _ENDINGS]
    if page.leaves or sum(node.size > 0 for node in nodes) != len(page.below):
        return None
    return merkle.join(
        [merkle.join(nodes[at : at + FANOUT]) for at in range(0, len(nodes), FANOUT)]
    )


def _node(reader: ObjectReader) -> Node:
    size = reader.integer("size")
    if size < 0:
        raise reader.fault("must not be negative", "size")
    return Node(size, reader.digest("digest"))


def _leaf(reader: ObjectReader) -> TreeLeaf:
    record, core = reader.digest("canonical_sha256"), reader.digest("core_digest")
    number = reader.text("pith_number")
    if not (is_pith_number(number) and number.endswith(suffix_of(record))):
        raise reader.fault("must be the Pith Number of canonical_sha256", "pith_number")
    return TreeLeaf(record, core, number[5:9])


# The difference of two trees -----------------------------------------------------------------


class TreeDifference(NamedTuple):
    """A record whose states differ, or that only one side has."""

    pith_number: str
    local: TreeLeaf | None
    remote: TreeLeaf | None


def descend(
    store: Store,
    get_page: Callable[[str], TreeNodePage],
    prefix: str = "",
    expected: Node | None = None,
) -> Iterator[TreeDifference]:
    """Yield the records that differ below a node; call within a snapshot.

    Args:
        store: The local side.
        get_page: Returns the page of a node of the other side.
        prefix: The node to start at.
        expected: The node in the page above it.

    Raises:
        UpstreamError: `upstream.changed` if the other side contradicts an earlier page;
            `upstream.tree` if its tree is too deep.
    """
    if _PREFIX.fullmatch(prefix) is None:
        raise UpstreamError("upstream.tree", "its tree is deeper than any can be")
    page = get_page(prefix)
    if expected is not None and page.node != expected:
        message = f"the node {prefix!r} is not the one that its page above lists"
        hint = "it may be merging; try again when it is done"
        raise UpstreamError("upstream.changed", message, hint=hint)
    if not page.below:
        yield from _leaf_differences(store, prefix, page.leaves)
        return
    local_nodes = _below(store, prefix)
    for name in sorted({*local_nodes, *page.below}):
        remote_node = page.below.get(name)
        if remote_node is None:
            yield from _leaf_differences(store, name, {})
        elif remote_node != local_nodes.get(name):
            yield from descend(store, get_page, name, remote_node)


def _leaf_differences(
    store: Store, prefix: str, remote_leaves: Mapping[bytes, TreeLeaf]
) -> Iterator[TreeDifference]:
    """Yield the differences below a node; many local leaves are read in parts."""
    if len(prefix) < DEPTH and store.state_tree.node(prefix).size > MAX_LEAVES:
        for name in [prefix + digit for digit in _DIGITS]:
            part = {one: leaf for one, leaf in remote_leaves.items() if one.hex().startswith(name)}
            yield from _leaf_differences(store, name, part)
        return
    local_leaves = {leaf.record: leaf for leaf in store.state_tree.leaves(prefix)}
    for record in sorted({*local_leaves, *remote_leaves}):
        local, remote = local_leaves.get(record), remote_leaves.get(record)
        if local is None or remote is None:
            leaf = local or remote_leaves[record]
            yield TreeDifference(leaf.pith_number, local, remote)
        elif local.core_digest != remote.core_digest:
            yield TreeDifference(local.pith_number, local, remote)
