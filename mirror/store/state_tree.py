"""Merkle tree over all states (`core.transparency.merkle`), updated at the cost of the changes.

The table `tree_node` holds its upper nodes, those of up to four hexadecimal digits; lower nodes
are computed from the leaves on demand. Writing a state adds its record to `tree_queue`; `update`
processes the queue.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

from mirror.core.record import suffix_of
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import NOTHING, Node, Siblings
from mirror.errors import CorruptStoreError
from mirror.store.checked_table import CheckedTable, Row, is_intact
from mirror.store.records import damaged

__all__ = ["DEPTH", "StateTree", "TreeLeaf"]

DEPTH = 4
"""Digits of the lowest stored nodes: of a million records, each has about fifteen."""

_LETTERS = DEPTH * 4 // 5
"""Letters of a suffix that the digits of such a node determine: five bits each."""

_FEW_IN = 32
"""If more than one in so many states changed, the whole tree is built: that is faster."""

_DIGITS = "0123456789abcdef"


_CHUNK_LEAVES = 2000
"""Leaves that are read at a time, at least."""

Leaves: TypeAlias = Sequence[tuple[Any, ...]]
"""Rows: digest, year and suffix of a record, then all columns of its state."""

NodesOf: TypeAlias = Callable[[Leaves], list[tuple[str, int, bytes]] | None]
"""Returns prefix, size and digest of the lowest nodes of some leaves; None to have Python do it."""


class TreeLeaf(NamedTuple):
    """Leaf of the tree: a state."""

    record: bytes
    """`canonical_sha256`, raw."""
    core_digest: bytes
    """M12, raw."""
    year: str
    """The year in the Pith Number."""

    @property
    def pith_number(self) -> str:
        """R3."""
        return f"pith:{self.year}:{suffix_of(self.record)}"


class StateTree:
    """The tables `tree_node` and `tree_queue`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        columns = "depth, prefix, size, digest"
        self._nodes = CheckedTable(conn, "tree_node", columns, _where)

    # Updates -------------------------------------------------------------------------------

    def enqueue(self, record_ids: Iterable[int]) -> None:
        """Add records whose states were written to the queue."""
        rows = [(record_id,) for record_id in record_ids]
        self._conn.executemany("INSERT OR IGNORE INTO tree_queue VALUES (?)", rows)

    def clear(self) -> None:
        """Delete the tree; the next `update` builds it."""
        self._conn.execute("DELETE FROM tree_node")
        self._conn.execute("DELETE FROM tree_queue")

    def lag(self) -> int:
        """Return how many states are not in the tree yet."""
        table = "state" if self._stored_node("") is None else "tree_queue"
        return int(self._conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608

    def update(self, nodes_of: NodesOf = lambda _leaves: None) -> None:
        """Process the queue; call within a transaction.

        Args:
            nodes_of: A faster way to compute nodes.

        Raises:
            CorruptStoreError: `store.damaged` if a state is damaged.
        """
        outdated = self._outdated()
        if outdated is None:
            self._build(nodes_of)
        else:
            self._update_nodes(outdated)
        self._conn.execute("DELETE FROM tree_queue")

    def _outdated(self) -> set[str] | None:
        """Return the lowest nodes that are out of date; None if all of them may be."""
        root = self._stored_node("")
        if root is None or self.lag() > root.size // _FEW_IN:
            return None
        return {digest[:DEPTH] for digest in self._queued()}

    def _queued(self) -> Iterator[str]:
        """Yield the `canonical_sha256` of every record that is queued, hexadecimal."""
        query = "SELECT digest FROM tree_queue JOIN record ON record.id = record_id"
        return (digest.hex() for (digest,) in self._conn.execute(query))

    def _build(self, nodes_of: NodesOf) -> None:
        self._conn.execute("DELETE FROM tree_node")
        for nodes in self._compute_all(nodes_of):
            self._save(nodes)

    def _compute_all(self, nodes_of: NodesOf = lambda _leaves: None) -> Iterator[dict[str, Node]]:
        """Compute the whole tree from the leaves; yield its nodes, the lowest first."""
        nodes = {
            prefix: Node(size, digest)
            for leaves in self._leaves_by_letters()
            for prefix, size, digest in nodes_of(leaves) or _lowest_nodes(leaves)
        }
        yield nodes
        yield from merkle.levels_above(nodes, DEPTH)

    def is_whole(self) -> bool:
        """Whether all stored nodes are intact and are those of the states.

        Nodes above a queued state are out of date, and are not compared.
        """
        stored = self._all_stored()
        if not stored:
            return stored is not None
        queued = {digest[:depth] for digest in self._queued() for depth in range(DEPTH + 1)}
        computed = {prefix: node for nodes in self._compute_all() for prefix, node in nodes.items()}
        prefixes = {*stored, *computed} - queued
        return all(stored.get(one, NOTHING) == computed.get(one, NOTHING) for one in prefixes)

    def _all_stored(self) -> dict[str, Node] | None:
        """Return all stored nodes, or None if one is damaged."""
        try:
            rows = list(self._nodes.rows())
        except CorruptStoreError:
            return None
        if any(len(prefix) != depth for depth, prefix, *_ in rows):
            return None
        return {prefix: Node(size, digest) for _, prefix, size, digest in rows}

    def _leaves_by_letters(self) -> Iterator[Leaves]:
        """Yield all leaves, ascending by suffix; those with the same first letters together."""
        leaves: list[tuple[Any, ...]] = []
        # The plus makes SQLite sort: the index would lead to rows all over the file.
        for row in self._conn.execute(f"{_LEAVES} ORDER BY +suffix"):
            # The letters fix fewer bits than the digits do, so no node is in two chunks.
            if len(leaves) >= _CHUNK_LEAVES and row[2][:_LETTERS] != leaves[-1][2][:_LETTERS]:
                yield leaves
                leaves = []
            leaves.append(row)
        yield leaves

    def _update_nodes(self, outdated: set[str]) -> None:
        """Compute the nodes that are out of date, from the lowest up."""
        nodes = {prefix: _subtree(self.leaves(prefix), DEPTH) for prefix in outdated}
        self._save(nodes)
        for depth in reversed(range(DEPTH)):
            above = {prefix[:depth] for prefix in nodes}
            nodes = {prefix: merkle.join(self.children(prefix)) for prefix in above}
            self._save(nodes)

    def _save(self, nodes: dict[str, Node]) -> None:
        rows = [(len(prefix), prefix, *node) for prefix, node in sorted(nodes.items())]
        self._nodes.add(rows, "REPLACE")

    # Reading ---------------------------------------------------------------------------------

    def node(self, prefix: str = "") -> Node:
        """Return the subtree of the states whose `canonical_sha256` begins with `prefix`.

        Args:
            prefix: Lowercase hexadecimal digits; none for the root.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        if len(prefix) <= DEPTH:
            return self._stored_node(prefix) or NOTHING
        return _subtree(self.leaves(prefix), len(prefix))

    def current_root(self) -> Node:
        """Return the root over all states, computed from them if the stored one is out of date.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        if not self.lag():
            return self.node()
        *_, root = self._compute_all()
        return root[""]

    def children(self, prefix: str) -> list[Node]:
        """Return the sixteen subtrees below one; raises as `node`."""
        return [self.node(prefix + digit) for digit in _DIGITS]

    def leaves(self, prefix: str) -> list[TreeLeaf]:
        """Return the states below a node, ascending by `canonical_sha256`; raises as `node`.

        All of them are held in memory: meant for the lower nodes.
        """
        letters = _letters(prefix)
        condition = "WHERE suffix >= ? AND suffix < ?"
        found = self._leaves(condition, (letters, letters + "["))
        return sorted(leaf for leaf in found if leaf.record.hex().startswith(prefix))

    def path(self, record: bytes) -> list[Siblings]:
        """Return the children of every node above a state, the root's first.

        Args:
            record: Its `canonical_sha256`, raw.

        Raises:
            KeyError: If there is no such state.
            CorruptStoreError: `store.damaged`
        """
        steps: list[Siblings] = []
        prefix = ""
        while len(prefix) < DEPTH and self.node(prefix).size > 1:
            steps.append(tuple([child.digest for child in self.children(prefix)]))
            prefix = record.hex()[: len(prefix) + 1]
        leaves = map(_pair, self.leaves(prefix))
        return steps + merkle.path(leaves, record, len(prefix))

    def _stored_node(self, prefix: str) -> Node | None:
        row = self._nodes.row("WHERE depth = ? AND prefix = ?", (len(prefix), prefix))
        return None if row is None else Node(*row[2:])

    def _leaves(self, condition: str, arguments: tuple[str, ...]) -> Iterator[TreeLeaf]:
        return map(_leaf, self._conn.execute(f"{_LEAVES} {condition}", arguments))


_LEAVES = """
    SELECT record.digest, year, suffix, state.* FROM record JOIN state ON record.id = record_id
"""


def _leaf(row: tuple[Any, ...]) -> TreeLeaf:
    digest, year, suffix, *state, checksum = row
    if not is_intact(state, checksum) or suffix_of(digest) != suffix:
        raise damaged("checksum mismatch", f"state of pith:{year}:{suffix}")
    return TreeLeaf(digest, state[2], year)


def _lowest_nodes(leaves: Leaves) -> Iterator[tuple[str, int, bytes]]:
    ordered = sorted(map(_leaf, leaves))
    for prefix, group in groupby(ordered, key=lambda leaf: leaf.record.hex()[:DEPTH]):
        yield prefix, *_subtree(group, DEPTH)


def _where(row: Row) -> str:
    return f"node {row[1]} of the tree" if row[1] else "root of the tree"


def _pair(leaf: TreeLeaf) -> merkle.Leaf:
    return leaf.record, leaf.core_digest


def _subtree(leaves: Iterable[TreeLeaf], level: int) -> Node:
    try:
        return merkle.subtree(map(_pair, leaves), level)
    except ValueError as error:
        raise damaged(str(error), "table of records") from error


def _letters(prefix: str) -> str:
    """Return the letters that every suffix begins with whose digest begins with these digits."""
    digest = bytes.fromhex(prefix.ljust(64, "0"))
    return suffix_of(digest)[: len(prefix) * 4 // 5]
