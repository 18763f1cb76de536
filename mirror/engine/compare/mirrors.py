"""`mirror compare --mirror`: what differs between two mirrors, in a handful of requests.

The trees say which records differ (`engine.descent`); for each of these the other mirror's state is
fetched, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from mirror.core.comparison.causes import Cause, Comparison, compare, parse_claim
from mirror.core.values import Object, decode
from mirror.engine.compare.states import CompareSummary, here_of
from mirror.engine.states.root import read_root, update_root
from mirror.engine.transparency.tree_nodes import (
    TreeDifference,
    TreeNodePage,
    descend,
    parse_node_page,
)
from mirror.errors import FormatError, UpstreamError
from mirror.net import PER_RESPONSE_CODES, Client, MirrorClient, parse_url
from mirror.store import Store

__all__ = ["MirrorCompareOptions", "compare_with_mirror"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorCompareOptions:
    """Which mirror to compare with, and whom to tell."""

    url: str
    quick: bool = False
    """Only name the records; do not fetch their states to say why."""
    on_finding: Callable[[Comparison], None] = lambda _comparison: None
    progress: Callable[[int], None] = lambda _count: None


def compare_with_mirror(
    store: Store, errand: MirrorCompareOptions, client: Client
) -> CompareSummary:
    """Compare the states of a store with those of another mirror.

    Args:
        store: The store; states and tree are brought up to date first.
        errand: What to compare.
        client: How to ask.

    Returns:
        What differs, counted; `match` counts all other records of ours.

    Raises:
        UpstreamError: If it cannot be reached or read, or contradicts itself.
        CorruptStoreError: `store.damaged`
    """
    parse_url(errand.url)
    update_root(store)
    other = _OtherMirror(MirrorClient(client, errand.url))
    tally = CompareSummary()
    ours = 0
    with store.snapshot():
        records = read_root(store).records
        for differing in descend(store, other.node_page):
            comparison = _explain(store, differing, other, quick=errand.quick)
            tally.count(comparison)
            errand.on_finding(comparison)
            errand.progress(1)
            ours += differing.here is not None
    tally.statuses["match"] += records - ours
    tally.requests = client.requests
    return tally


class _OtherMirror:
    """Another mirror, asked over HTTP."""

    def __init__(self, remote: MirrorClient) -> None:
        self._remote = remote
        self.about: Object = {}

    def node_page(self, prefix: str) -> TreeNodePage:
        """Return what it tells of a node."""
        told, self.about = self._remote.get_tree_node(
            prefix, lambda data: parse_node_page(data, prefix)
        )
        return told

    def state(self, suffix: str) -> Object:
        """Return the state that it serves of a record.

        Raises:
            FormatError: If it is none.
        """
        return parse_claim(decode(self._remote.get_state(suffix)))


def _explain(
    store: Store, differing: TreeDifference, other: _OtherMirror, *, quick: bool
) -> Comparison:
    number = differing.pith_number
    if differing.here is None:
        return _one_sided(number, "missing_here", "no bundle of it was merged here")
    if differing.there is None:
        return _one_sided(number, "missing_upstream", "the other mirror does not have it")
    record_id = cast("int", store.records.find(differing.here.record))
    if quick:
        causes = tuple(_of_keys(store, other))
        return Comparison(pith_number=number, status="differs", causes=causes)
    try:
        comparison = compare(here_of(store, record_id), other.state(number[-26:]))
    except (FormatError, UpstreamError) as error:
        if isinstance(error, UpstreamError) and error.code not in PER_RESPONSE_CODES:
            raise
        return _one_sided(number, "unreadable", f"{error.code}: {error.message}")
    return _with_more_causes(store, comparison, other)


def _one_sided(number: str, status: str, text: str) -> Comparison:
    return Comparison(pith_number=number, status=status, causes=(Cause(f"record.{status}", text),))


def _with_more_causes(store: Store, comparison: Comparison, other: _OtherMirror) -> Comparison:
    # What is valid here or there depends on the keys, so they come before all else.
    causes = [*_of_keys(store, other), *comparison.causes]
    status = comparison.status
    if comparison.is_same:
        text = (
            "its tree says that this record differs, and its state does not: unless it merged in "
            "between, it contradicts itself"
        )
        causes, status = [Cause("tree", text), *causes], "differs"
    return Comparison(
        pith_number=comparison.pith_number,
        status=status,
        causes=tuple(causes),
        first_difference=comparison.first_difference,
        only_here=comparison.only_here,
        only_upstream=comparison.only_upstream,
    )


def _of_keys(store: Store, other: _OtherMirror) -> Iterator[Cause]:
    """Say that the mirrors trust different keys, so that their states may well differ (K3)."""
    ours, theirs = store.trust_log.key_set().digest, other.about.get("key_set_digest")
    if theirs != ours:
        text = f"the mirrors trust different keys: key set {ours} here, {theirs} there (K3)"
        yield Cause("key_set", text)
