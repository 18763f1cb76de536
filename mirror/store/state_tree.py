"""The tree over all states (`core.tree`), kept up to date at a cost that grows with what changed.

The table `tree_node` holds its upper nodes, those of up to four hexadecimal digits; lower nodes
are computed from the leaves on demand. Writing a state adds its record to `tree_queue`; `update`
processes the queue.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from mirror.core.record import suffix_of
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import NOTHING, Node, Siblings
from mirror.errors import CorruptStoreError
from mirror.store.checked_table import CheckedTable, Row, is_intact
from mirror.store.records import damaged

__all__ = ["DEPTH", "StateTree", "TreeLeaf"]

DEPTH = 4
"""Digits of the lowest nodes that are kept: a million records are some fifteen under each."""

_LETTERS = DEPTH * 4 // 5
"""Letters of a suffix that the digits of such a node fix: five bits each."""

_FEW_IN = 32
"""The whole tree is made anew if more than one in so many states changed: that is quicker then."""

_DIGITS = "0123456789abcdef"


class TreeLeaf(NamedTuple):
    """A state as a leaf of the tree."""

    record: bytes
    """`canonical_sha256`, raw."""
    core_digest: bytes
    """M12, raw."""
    year: str
    """Of the Pith Number."""

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

    # Following the states --------------------------------------------------------------------

    def enqueue(self, record_ids: Iterable[int]) -> None:
        """Queue records whose states were written."""
        rows = [(record_id,) for record_id in record_ids]
        self._conn.executemany("INSERT OR IGNORE INTO tree_queue VALUES (?)", rows)

    def clear(self) -> None:
        """Forget the tree; the next `update` makes it anew."""
        self._conn.execute("DELETE FROM tree_node")
        self._conn.execute("DELETE FROM tree_queue")

    def lag(self) -> int:
        """Return how many states are not in the tree yet."""
        table = "state" if self._kept("") is None else "tree_queue"
        return int(self._conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608

    def update(self) -> None:
        """Bring the tree up to date; call within a transaction.

        Raises:
            CorruptStoreError: `store.damaged` if a state is not as it was written.
        """
        marked = self._marked()
        if marked is None:
            self._build()
        else:
            self._grow(marked)
        self._conn.execute("DELETE FROM tree_queue")

    def _marked(self) -> set[str] | None:
        """Return the lowest nodes that lag behind; None if all of them may."""
        root = self._kept("")
        if root is None or self.lag() > root.size // _FEW_IN:
            return None
        return {digest[:DEPTH] for digest in self._queued()}

    def _queued(self) -> Iterator[str]:
        """Yield the `canonical_sha256` of every record that is queued, hexadecimal."""
        query = "SELECT digest FROM tree_queue JOIN record ON record.id = record_id"
        return (digest.hex() for (digest,) in self._conn.execute(query))

    def _build(self) -> None:
        self._conn.execute("DELETE FROM tree_node")
        for nodes in self._made():
            self._save(nodes)

    def _made(self) -> Iterator[dict[str, Node]]:
        """Make the whole tree from the leaves, and yield its nodes, the lowest first."""
        nodes = {prefix: _subtree(leaves, DEPTH) for prefix, leaves in self._all()}
        yield nodes
        for depth in reversed(range(DEPTH)):
            above = {prefix[:depth] for prefix in nodes} or {""}
            nodes = {
                prefix: merkle.join([nodes.get(prefix + digit, NOTHING) for digit in _DIGITS])
                for prefix in above
            }
            yield nodes

    def is_whole(self) -> bool:
        """Whether all that is kept is as it was written, and is the tree of the states.

        What stands above a state that is queued lags behind, and may be another state's.
        """
        kept = self._all_kept()
        if not kept:
            return kept is not None
        lagging = {digest[:depth] for digest in self._queued() for depth in range(DEPTH + 1)}
        made = {prefix: node for nodes in self._made() for prefix, node in nodes.items()}
        prefixes = {*kept, *made} - lagging
        return all(kept.get(one, NOTHING) == made.get(one, NOTHING) for one in prefixes)

    def _all_kept(self) -> dict[str, Node] | None:
        """Return all stored nodes, or None if one is damaged."""
        try:
            rows = list(self._nodes.rows())
        except CorruptStoreError:
            return None
        return {prefix: Node(size, digest) for _, prefix, size, digest in rows}

    def _all(self) -> Iterator[tuple[str, list[TreeLeaf]]]:
        """Yield the leaves under each of the lowest nodes, in the order of the suffixes."""
        # The plus makes SQLite sort: the index would lead to rows all over the file.
        rows = self._leaves("ORDER BY +suffix", ())
        for _, group in groupby(rows, key=lambda leaf: suffix_of(leaf.record)[:_LETTERS]):
            # The letters fix fewer bits than the digits do, so a group is a few nodes.
            ordered = sorted(group)
            for prefix, leaves in groupby(ordered, key=lambda leaf: leaf.record.hex()[:DEPTH]):
                yield prefix, list(leaves)

    def _grow(self, marked: set[str]) -> None:
        """Make the nodes that lag behind, from the lowest up."""
        nodes = {prefix: _subtree(self.leaves(prefix), DEPTH) for prefix in marked}
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
            return self._kept(prefix) or NOTHING
        return _subtree(self.leaves(prefix), len(prefix))

    def current_root(self) -> Node:
        """Return the root over all states, computed from them if the stored one is out of date.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        if not self.lag():
            return self.node()
        *_, root = self._made()
        return root[""]

    def children(self, prefix: str) -> list[Node]:
        """Return the sixteen subtrees below one; raises as `node`."""
        return [self.node(prefix + digit) for digit in _DIGITS]

    def leaves(self, prefix: str) -> list[TreeLeaf]:
        """Return the states below a node, ascending by `canonical_sha256`; raises as `node`.

        Best asked for few: below a node that is not much above the lowest ones.
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

    def _kept(self, prefix: str) -> Node | None:
        row = self._nodes.row("WHERE depth = ? AND prefix = ?", (len(prefix), prefix))
        return None if row is None else Node(*row[2:])

    def _leaves(self, condition: str, arguments: tuple[str, ...]) -> Iterator[TreeLeaf]:
        query = f"""
            SELECT record.digest, year, suffix, state.*
            FROM record JOIN state ON record.id = record_id {condition}
        """  # noqa: S608
        for digest, year, suffix, *row, checksum in self._conn.execute(query, arguments):
            if not is_intact(row, checksum) or suffix_of(digest) != suffix:
                raise damaged("checksum mismatch", f"state of pith:{year}:{suffix}")
            yield TreeLeaf(digest, row[2], year)


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
