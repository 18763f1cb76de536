"""The tree over HTTP: what a mirror tells of a node, and finding what differs by going down.

A node is told with its grandchildren, 256 at most, or with its leaves where there are few. Whoever
asks computes the node again from what was told, and holds it against what the node above it said:
a mirror that lies about a part contradicts itself. So with a million records, three answers lead
from the root to a record that differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import NamedTuple, cast

from mirror.core.record import is_pith_number, suffix_of
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import FANOUT, NOTHING, Node
from mirror.core.values import Object, Value, decode, is_digest, is_integer
from mirror.engine.states.root import read_root
from mirror.errors import FormatError, UpstreamError
from mirror.store import Store, TreeLeaf
from mirror.store.state_tree import DEPTH

__all__ = ["TreeDifference", "TreeNodePage", "descend", "node_page", "parse_node_page"]

FEW = 64
"""Leaves up to which a node is told with them, not with its grandchildren."""
_DIGITS = "0123456789abcdef"
_STEP = 2
_ENDINGS = tuple([first + second for first in _DIGITS for second in _DIGITS])
_PREFIX = re.compile(r"[0-9a-f]{0,62}")


class TreeNodePage(NamedTuple):
    """What is told of a node."""

    node: Node
    below: dict[str, Node]
    """Its grandchildren that are not empty, by prefix; none where leaves are told."""
    leaves: dict[bytes, TreeLeaf]
    """Its leaves by `canonical_sha256`, where they are few."""


# What a mirror tells -------------------------------------------------------------------------


def node_page(store: Store, prefix: str) -> Object:
    """Return what is told of a node; call within a snapshot.

    Raises:
        FormatError: `request.prefix` if it is no prefix.
        StoreError: `store.behind` if the tree lags behind the facts.
    """
    if _PREFIX.fullmatch(prefix) is None:
        message = "a prefix is up to 62 hexadecimal digits in lowercase"
        raise FormatError("request.prefix", message)
    about = read_root(store)
    told = _look(store, prefix)
    said: Object = {"prefix": prefix, "size": told.node.size, "digest": told.node.digest.hex()}
    if told.below:
        said["nodes"] = [_node_value(*item) for item in sorted(told.below.items())]
    else:
        said["leaves"] = [_leaf_value(leaf) for leaf in sorted(told.leaves.values())]
    return {**said, "about": cast("Object", asdict(about))}


def _look(store: Store, prefix: str) -> TreeNodePage:
    """Return a node of our own tree as it would be told."""
    node = store.state_tree.node(prefix)
    if node.size > FEW:
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


# What another one told -----------------------------------------------------------------------


def parse_node_page(data: bytes, prefix: str) -> tuple[TreeNodePage, Object]:
    """Return what another mirror tells of a node, and of its whole tree.

    Raises:
        FormatError: V1 codes, or `tree.shape` if it is not what `tell` tells.
    """
    value = decode(data)
    if not isinstance(value, dict) or value.get("prefix") != prefix:
        raise FormatError("tree.shape", f"it does not tell of the node {prefix!r}")
    about = value.get("about")
    if not isinstance(about, dict):
        raise FormatError("tree.shape", "it is not an object", where="/about")
    _digest(about, "key_set_digest")
    below = [(_text(one, "prefix"), _node(one)) for one in _items(value, "nodes")]
    leaves = [_leaf(one) for one in _items(value, "leaves")]
    told = TreeNodePage(_node(value), dict(below), {leaf.record: leaf for leaf in leaves})
    are_distinct = (len(below), len(leaves)) == (len(told.below), len(told.leaves))
    if _made_of(told, prefix) != told.node or not are_distinct:
        message = f"the node {prefix!r} does not follow from what is below it"
        raise FormatError("tree.shape", message)
    return told, about


def _made_of(told: TreeNodePage, prefix: str) -> Node | None:
    """Return the node that follows from what is below it; None if that lies elsewhere.

    A node of nothing is not told: there could be no end of them.
    """
    if not told.below:
        is_here = all(record.hex().startswith(prefix) for record in told.leaves)
        leaves = [leaf[:2] for leaf in told.leaves.values()]
        return merkle.subtree(leaves, len(prefix)) if is_here else None
    nodes = [told.below.get(prefix + ending, NOTHING) for ending in _ENDINGS]
    if told.leaves or sum(node.size > 0 for node in nodes) != len(told.below):
        return None
    return merkle.join(
        [merkle.join(nodes[at : at + FANOUT]) for at in range(0, len(nodes), FANOUT)]
    )


def _items(holder: Object, name: str) -> list[Object]:
    value = holder.get(name, [])
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return cast("list[Object]", value)
    raise FormatError("tree.shape", "it is not a list of objects", where=f"/{name}")


def _node(value: Object) -> Node:
    size = value.get("size")
    if not is_integer(size) or size < 0:
        raise FormatError("tree.shape", "a size is no number", where="/size")
    return Node(size, _digest(value, "digest"))


def _leaf(value: Object) -> TreeLeaf:
    record, core = _digest(value, "canonical_sha256"), _digest(value, "core_digest")
    number = _text(value, "pith_number")
    if not (is_pith_number(number) and number.endswith(suffix_of(record))):
        raise FormatError("tree.shape", "a Pith Number is not that of its record", where="/leaves")
    return TreeLeaf(record, core, number[5:9])


def _digest(value: Object, name: str) -> bytes:
    text = _text(value, name)
    if not is_digest(text):
        raise FormatError("tree.shape", "it is not a digest", where=f"/{name}")
    return bytes.fromhex(text)


def _text(value: Object, name: str) -> str:
    text: Value = value.get(name)
    if not isinstance(text, str):
        raise FormatError("tree.shape", "it is not a string", where=f"/{name}")
    return text


# Going down ----------------------------------------------------------------------------------


class TreeDifference(NamedTuple):
    """A record whose states differ, or that only one side has."""

    here: TreeLeaf | None
    there: TreeLeaf | None

    @property
    def pith_number(self) -> str:
        """R3."""
        return cast("TreeLeaf", self.here or self.there).pith_number


def descend(
    store: Store, ask: Callable[[str], TreeNodePage], prefix: str = "", expected: Node | None = None
) -> Iterator[TreeDifference]:
    """Yield the records that differ below a node; call within a snapshot.

    Args:
        store: Our side.
        ask: Returns what the other side tells of a node.
        prefix: Where to begin.
        expected: What was said of that node above it.

    Raises:
        UpstreamError: `upstream.changed` if the other side contradicts what it said before.
    """
    if _PREFIX.fullmatch(prefix) is None:
        raise UpstreamError("upstream.tree", "its tree is deeper than any can be")
    there = ask(prefix)
    if expected is not None and there.node != expected:
        message = f"what it says of the node {prefix!r} is not what it said before"
        hint = "it may be merging; try again when it is done"
        raise UpstreamError("upstream.changed", message, hint=hint)
    if not there.below:
        yield from _of_leaves(store, prefix, there.leaves)
        return
    ours = _below(store, prefix)
    for name in sorted({*ours, *there.below}):
        other = there.below.get(name)
        if other is None:
            yield from _of_leaves(store, name, {})
        elif other != ours.get(name):
            yield from descend(store, ask, name, other)


def _of_leaves(
    store: Store, prefix: str, there: Mapping[bytes, TreeLeaf]
) -> Iterator[TreeDifference]:
    """Yield what differs below a node from its leaves there; ours, if many, are read in parts."""
    if len(prefix) < DEPTH and store.state_tree.node(prefix).size > FEW:
        for name in [prefix + digit for digit in _DIGITS]:
            part = {record: leaf for record, leaf in there.items() if record.hex().startswith(name)}
            yield from _of_leaves(store, name, part)
        return
    ours = {leaf.record: leaf for leaf in store.state_tree.leaves(prefix)}
    for record in sorted({*ours, *there}):
        here, other = ours.get(record), there.get(record)
        if here is None or other is None or here.core_digest != other.core_digest:
            yield TreeDifference(here, other)
