"""Verdicts under other keys, of which only those are reached again that can differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mirror.core.events.event import EncodedEvent
from mirror.core.events.verdict import ANY_KEY, key_ids_of_event, verify_event
from mirror.core.keys import BUILT_IN, Key, KeySet
from mirror.core.receipt import key_ids_of_receipt, verify_receipt
from mirror.core.record import Record
from mirror.engine.states.current import verify_arrival
from mirror.store import ArrivalContents, ArrivalRow, Verdicts

__all__ = [
    "KeySetChange",
    "affected_names",
    "names_built_in_key",
    "names_of_all",
    "reverify_named",
]


def names_built_in_key(keys: Iterable[Key]) -> bool:
    """Return whether a key goes by a name of the built-in key, which no index holds."""
    return any({*BUILT_IN.names} & {*key.names} for key in keys)


def names_of_all(changed: Iterable[Key], keys: Iterable[Key]) -> set[str]:
    """Return the names of changed keys, among all that are trusted after the change."""
    names = {name for key in changed for name in key.names} | {ANY_KEY}
    return names | {key.key_id for key in keys if key.public_key_hex in names}


def affected_names(changed: Iterable[Key], keys: Iterable[Key]) -> set[str] | None:
    """Return the names under which events and receipts may refer to changed keys.

    None if the built-in key has such a name, because no index holds its names.

    Args:
        changed: The keys.
        keys: All that are trusted after the change, or those of them that have a public key which
            is a name of a changed key.
    """
    listed = list(changed)
    return None if names_built_in_key(listed) else names_of_all(listed, keys)


def reverify_named(
    record: Record, kept: Verdicts, names: Collection[str], keys: KeySet
) -> Verdicts:
    """Return the verdicts on facts, verified again where they may depend on a changed key."""
    return Verdicts(
        [
            verify_receipt(one.value, record, keys)
            if not key_ids_of_receipt(one.value).isdisjoint(names)
            else one
            for one in kept.receipts
        ],
        [
            verify_event(EncodedEvent.of(one.value), record, keys)
            if not key_ids_of_event(one, keys).isdisjoint(names)
            else one
            for one in kept.events
        ],
    )


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
