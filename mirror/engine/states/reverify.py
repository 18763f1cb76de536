"""Verdicts under other keys, of which only those are reached again that can differ."""

from __future__ import annotations

from mirror.core.keys import KeySet
from mirror.core.record import Record
from mirror.engine.states.current import verify_arrival
from mirror.engine.states.trust import affected_names, reverify_named
from mirror.store import ArrivalContents, ArrivalRow, Verdicts

__all__ = ["KeySetChange"]


class KeySetChange:
    """A change from one key set to another, whatever lies between them in time."""

    def __init__(self, before: KeySet, after: KeySet) -> None:
        changed = {*before} ^ {*after}
        has_profiles = before.profiles != after.profiles
        self.after = after
        """The keys after the change."""
        self.is_empty = not changed and not has_profiles
        """Whether both are the same."""
        self.names = None if has_profiles else affected_names(changed, after)
        """The names under which facts may refer to changed keys; None if any fact may."""

    def verdicts(
        self, record: Record, row: ArrivalRow, contents: ArrivalContents, kept: Verdicts
    ) -> Verdicts:
        """Return the verdicts on an arrival under the keys after the change.

        Args:
            record: The record.
            row: The arrival.
            contents: Its facts.
            kept: The verdicts on them under the keys before the change.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        if self.is_empty:
            return kept
        if self.names is None:
            return verify_arrival(record, row, contents, self.after)
        return reverify_named(record, kept, self.names, self.after)
