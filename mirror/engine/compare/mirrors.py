"""Compares the states of a store with those of another mirror, with few requests.

The trees of both mirrors show which records differ (`mirror.engine.transparency.tree_nodes`). Only
the states of these records are fetched from the other mirror, to find the causes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mirror.core.comparison.causes import Cause, Comparison, compare, parse_upstream_state
from mirror.core.record import suffix_in
from mirror.core.shape import text_member
from mirror.core.values import Object, decode
from mirror.engine.compare.local import local_record
from mirror.engine.compare.states import CompareSummary
from mirror.engine.states.root import read_root, update_root
from mirror.engine.transparency.tree_nodes import (
    TreeDifference,
    TreeNodePage,
    descend,
    parse_node_page,
)
from mirror.errors import FormatError, UpstreamError
from mirror.net import PER_RESPONSE_CODES, Client, MirrorClient, parse_url
from mirror.store import Store, damaged

__all__ = ["MirrorCompareOptions", "compare_with_mirror"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorCompareOptions:
    """The mirror to compare with, and the callbacks for results."""

    url: str
    quick: bool = False
    """Whether to name the records only, without fetching their states to find the causes."""
    on_finding: Callable[[Comparison], None] = lambda _comparison: None
    progress: Callable[[int], None] = lambda _count: None


def compare_with_mirror(
    store: Store, options: MirrorCompareOptions, client: Client
) -> CompareSummary:
    """Compare the states of a store with those of another mirror.

    Args:
        store: The store; its states and its tree are updated first.
        options: What to compare.
        client: The HTTP client.

    Returns:
        The counts of all results; `match` counts the records of the store that do not differ.

    Raises:
        UpstreamError: If the other mirror cannot be read, or contradicts itself.
        CorruptStoreError: `store.damaged`
    """
    parse_url(options.url)
    update_root(store)
    other = _OtherMirror(MirrorClient(client, options.url))
    summary = CompareSummary()
    local_differing = 0
    with store.snapshot():
        records = read_root(store).records
        for difference in descend(store, other.node_page):
            comparison = _explain(store, difference, other, quick=options.quick)
            summary.count(comparison)
            options.on_finding(comparison)
            options.progress(1)
            local_differing += difference.local is not None
    summary.statuses["match"] += records - local_differing
    summary.requests = client.requests
    return summary


class _OtherMirror:
    """The other mirror, read over HTTP."""

    def __init__(self, remote: MirrorClient) -> None:
        self._remote = remote
        self._about: Object = {}

    def node_page(self, prefix: str) -> TreeNodePage:
        """Return a node of its tree.

        Raises:
            UpstreamError: `upstream.tree` if the page contradicts itself; others if there is none.
        """
        page, self._about = self._remote.get_tree_node(
            prefix, lambda data: parse_node_page(data, prefix)
        )
        return page

    def state(self, suffix: str) -> Object:
        """Return its state of a record.

        Raises:
            FormatError: If the response is not a state.
            UpstreamError: If there is no usable response.
        """
        return parse_upstream_state(decode(self._remote.get_state(suffix)))

    @property
    def key_set_digest(self) -> str:
        """The digest of its key set (K3), according to the page of a node."""
        return text_member(self._about, "key_set_digest")


def _explain(
    store: Store, difference: TreeDifference, other: _OtherMirror, *, quick: bool
) -> Comparison:
    number = difference.pith_number
    if difference.local is None:
        return _one_sided(number, "missing_here", "no bundle of it was merged here")
    if difference.remote is None:
        return _one_sided(number, "missing_upstream", "the other mirror does not have it")
    if quick:
        causes = tuple(_key_causes(store, other))
        return Comparison(pith_number=number, status="differs", causes=causes)
    record_id = store.records.find(difference.local.record)
    if record_id is None:
        raise damaged("the record of a leaf of the tree is missing", number)
    try:
        comparison = compare(local_record(store, record_id), other.state(suffix_in(number)))
    except (FormatError, UpstreamError) as error:
        if isinstance(error, UpstreamError) and error.code not in PER_RESPONSE_CODES:
            raise
        return _one_sided(number, "unreadable", f"{error.code}: {error.message}")
    return _add_causes(store, comparison, other)


def _one_sided(number: str, status: str, text: str) -> Comparison:
    return Comparison(pith_number=number, status=status, causes=(Cause(f"record.{status}", text),))


def _add_causes(store: Store, comparison: Comparison, other: _OtherMirror) -> Comparison:
    """Return a comparison with the causes that only the trees show, the gravest first."""
    # Other keys come first, because the verdicts on both sides depend on them.
    causes = [*_key_causes(store, other), *comparison.causes]
    if not comparison.is_same:
        return replace(comparison, causes=tuple(causes))
    text = (
        "its tree says that this record differs, and its state does not: unless it merged in "
        "between, it contradicts itself"
    )
    return replace(comparison, status="differs", causes=(Cause("tree", text), *causes))


def _key_causes(store: Store, other: _OtherMirror) -> Iterator[Cause]:
    """Yield a cause if the mirrors trust different keys, so that their states may differ (K3)."""
    local, remote = store.trust_log.key_set().digest, other.key_set_digest
    if remote != local:
        text = f"the mirrors trust different keys: key set {local} here, {remote} there (K3)"
        yield Cause("key_set", text)
