"""The native engine: verifies and merges batches in Rust.

It answers each item with all that follows from it, if the item passes every rule without any
finding, or else with None. Then the rules in `mirror.core` judge: codes, reasons and their order
are there only. Keys, types of events, limits and the zstd dictionary are handed to it as data.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from mirror.core.bundle import BUNDLE_TYPE, BUNDLE_VERSION, BundleLimits
from mirror.core.events.event import MAX_EVENT_BYTES, MAX_PAYLOAD_DEPTH
from mirror.core.events.types import (
    CITATION,
    LIST_NAMES,
    RECORD_CREATED,
    REVOCATION,
    table_of_types,
)
from mirror.core.keys import BUILT_IN, KeySet
from mirror.core.rules import MERGE_VERSION
from mirror.core.values import MAX_INTEGER, Object, canonical
from mirror.engine.native import native_module, require_python_allowed
from mirror.store import DICTIONARY, NewFacts, StateColumns, StoredRecord
from mirror.store.citations import citing_names
from mirror.store.state_tree import DEPTH, Leaves

__all__ = ["CheckedRecord", "Engine", "VerifiedBundleColumns", "engine_for", "tree_nodes"]

_LOG = logging.getLogger(__name__)


class VerifiedBundleColumns(NamedTuple):
    """A bundle that passes every rule without a finding."""

    pith_number: str
    events: int
    receipts: int
    new_facts: NewFacts | None
    """All its facts, if they were to be encoded, with the state that follows from them alone."""


class CheckedRecord(NamedTuple):
    """The entries that two indexes must hold of a record whose rows are right."""

    key_ids: frozenset[str]
    citing: tuple[str, ...]
    """The names of the works that cite it, ascending."""


class Engine:
    """The native engine for one key set and one set of limits."""

    def __init__(self, module: Any, keys: KeySet, limits: BundleLimits) -> None:
        self.key_set_digest, self.limits = keys.digest, limits
        self._is_reported = False
        self._engine = module.Engine(canonical(_settings(keys, limits)), DICTIONARY)

    @property
    def panics(self) -> int:
        """How many items took the other way because of a fault in the engine."""
        return int(self._engine.panics)

    def verify(
        self, bundles: Sequence[tuple[bytes, bool]], now: int, *, encode: bool
    ) -> list[VerifiedBundleColumns | None]:
        """Verify bundles.

        Args:
            bundles: The text or MessagePack of each, and whether it is MessagePack.
            now: The time in microseconds since 1970 (B5).
            encode: Whether to encode and merge the facts.
        """
        found = self._engine.verify(bundles, now, encode)
        self._report_panics()
        return [None if one is None else _verified(*one) for one in found]

    def extend(self, items: Sequence[tuple[StoredRecord, bytes]]) -> list[NewFacts | None]:
        """Return the facts of contents that stored records lack, with the new states."""
        found = self._of_stored("extend", items)
        return [
            None if one is None else _new_facts(*one)._replace(base=stored.totals[3])
            for one, (stored, _) in zip(found, items, strict=True)
        ]

    def replay(
        self, items: Sequence[tuple[StoredRecord, tuple[Any, ...] | None]]
    ) -> list[tuple[StateColumns | None, bool]]:
        """Merge stored records from their stored verdicts.

        Args:
            items: The records, each with its row of `state` if there is one.

        Returns:
            The state, None if Python must make it; and whether that row is this state already.
        """
        found = self._of_stored("replay", items)
        return [(None, False) if one is None else (_state(*one[0]), one[1]) for one in found]

    def check(
        self, items: Sequence[tuple[StoredRecord, tuple[Any, ...]]]
    ) -> list[CheckedRecord | None]:
        """Verify stored records again, and compare them with their rows of `state`."""
        return [
            None if one is None else CheckedRecord(frozenset(one[0]), citing_names(one[1]))
            for one in self._of_stored("check", items)
        ]

    def _of_stored(self, name: str, items: Sequence[Any]) -> list[tuple[Any, ...] | None]:
        """Call a function with rows of a store, whose columns may be damaged."""
        try:
            found: list[tuple[Any, ...] | None] = getattr(self._engine, name)(items)
        except (TypeError, ValueError, OverflowError):
            return [None] * len(items)
        self._report_panics()
        return found

    def _report_panics(self) -> None:
        """Log once that the engine is at fault somewhere; Python does what it left."""
        if self.panics and not self._is_reported:
            self._is_reported = True
            _LOG.warning("the native engine failed within, and Python did the work: report it")


def engine_for(keys: KeySet, limits: BundleLimits | None = None) -> Engine | None:
    """Return the native engine for a key set; None if Python does the work.

    It does where the engine cannot read the settings: then it is of another version.

    Raises:
        EngineError: `engine.setting`, `engine.missing`; see `MIRROR_NATIVE`.
    """
    module = native_module()
    try:
        return None if module is None else _made(module, keys, limits or BundleLimits())
    except ValueError as error:
        require_python_allowed()
        _report(str(error))
        return None


@cache
def _report(reason: str) -> None:
    """Say once why the engine is not used."""
    _LOG.warning("the native engine is not used: %s", reason)


def _made(module: Any, keys: KeySet, limits: BundleLimits) -> Engine:
    """Return the last engine again, if it is of the same keys and limits: it has their tables."""
    global _last  # noqa: PLW0603 - the tables of a key take milliseconds
    if _last is None or (_last.key_set_digest, _last.limits) != (keys.digest, limits):
        _last = Engine(module, keys, limits)
    return _last


_last: Engine | None = None


def tree_nodes(leaves: Leaves) -> list[tuple[str, int, bytes]] | None:
    """Return the lowest nodes of the tree over all states; see `StateTree.update`."""
    module = native_module()
    if module is None:
        return None
    try:
        rows = [(leaf[0], leaf[2], leaf[3:]) for leaf in leaves]
        found: list[tuple[str, int, bytes]] | None = module.tree_nodes(rows, DEPTH)
    except (TypeError, ValueError, OverflowError):
        return None  # a damaged column
    return found


def _verified(
    pith_number: str, events: int, receipts: int, facts: tuple[Any, ...] | None
) -> VerifiedBundleColumns:
    new_facts = None if facts is None else _new_facts(*facts)
    return VerifiedBundleColumns(pith_number, events, receipts, new_facts)


def _new_facts(*columns: Any) -> NewFacts:
    digest, record, claims, receipts, events, content, key_ids, state = columns
    return NewFacts(digest, record, claims, receipts, events, content, (), key_ids, _state(*state))


def _state(*columns: Any) -> StateColumns:
    digest, core_digest, valid, invalid, equivocations, outline, citing = columns
    return StateColumns(
        digest, core_digest, valid, invalid, equivocations, outline, citing_names(citing)
    )


# Settings --------------------------------------------------------------------------------------


def _settings(keys: KeySet, limits: BundleLimits) -> Object:
    return {
        "keys": [{**key.to_value(), **key.signer} for key in keys],
        "types": table_of_types(),
        "lists": [*LIST_NAMES],
        "built_in_names": [*BUILT_IN.names],
        "words": {
            "bundle_type": BUNDLE_TYPE,
            "bundle_version": BUNDLE_VERSION,
            "merge_version": MERGE_VERSION,
            "creation": RECORD_CREATED,
            "revocation": REVOCATION,
            "citation": CITATION,
        },
        "limits": {
            "items": _limit(limits.items),
            "depth": _limit(limits.depth),
            "record_bytes": _limit(limits.record_bytes),
            "receipt_bytes": _limit(limits.receipt_bytes),
            "event_bytes": MAX_EVENT_BYTES,
            "payload_depth": MAX_PAYLOAD_DEPTH,
        },
    }


def _limit(value: int | None) -> int | None:
    """Return a limit as the engine can read it (V1); no input is larger."""
    return None if value is None else min(value, MAX_INTEGER)
