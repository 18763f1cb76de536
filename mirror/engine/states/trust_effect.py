"""Effects of a removal of keys or profiles, computed before it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from mirror.core.events.event import ValidEvent
from mirror.core.keys import KeySet
from mirror.engine.batching import pages
from mirror.engine.states.current import verify_arrival
from mirror.engine.states.reverify import affected_names, reverify_named
from mirror.engine.states.trust import require_key, require_profile
from mirror.store import Store, Verdicts

__all__ = ["TrustEffect", "effect_of_removal"]

_PAGE = 500


@dataclass(slots=True)
class TrustEffect:
    """Verdicts that a removal of keys or profiles changes."""

    events: Counter[str] = field(default_factory=Counter)
    """Valid events that become invalid, by type."""
    receipts: int = 0
    """Verified receipts that become refused."""
    records: int = 0
    """Records with such an event or receipt."""

    def count(self, before: Verdicts, after: Verdicts) -> bool:
        """Count the facts of an arrival that are lost; return whether there are any."""
        lost = [
            event.event_type
            for event, other in zip(before.events, after.events, strict=True)
            if isinstance(event, ValidEvent) and not isinstance(other, ValidEvent)
        ]
        receipts = sum(
            one.code is None and other.code is not None
            for one, other in zip(before.receipts, after.receipts, strict=True)
        )
        self.events.update(lost)
        self.receipts += receipts
        return bool(lost or receipts)


def effect_of_removal(
    store: Store,
    key_ids: Iterable[str] = (),
    profiles: Iterable[str] = (),
    progress: Callable[[int], None] = lambda _records: None,
) -> TrustEffect:
    """Return the verdicts that a removal of keys or profiles changes; nothing is stored.

    Args:
        store: The store; call within a snapshot.
        key_ids: The keys.
        profiles: The profiles, by name.
        progress: Receives numbers of records that were verified.

    Raises:
        LookUpError: `keys.unknown` or `profile.unknown`.
        CorruptStoreError: `store.damaged`
    """
    before = store.trust_log.key_set()
    keys = [require_key(before, one) for one in dict.fromkeys(key_ids)]
    removed = [require_profile(before, one) for one in dict.fromkeys(profiles)]
    after = before.without({key.key_id for key in keys}, {one.name for one in removed})
    names = None if removed else affected_names(keys, after)
    effect = TrustEffect()
    every = chain.from_iterable(pages(partial(store.integrity.ids, 1, 1), _PAGE, int))
    for record_id in every if names is None else store.facts.depending_on(names):
        effect.records += _verify_record(store, record_id, after, names, effect)
        progress(1)
    return effect


def _verify_record(
    store: Store, record_id: int, keys: KeySet, names: Collection[str] | None, effect: TrustEffect
) -> bool:
    """Verify a record under other keys; return whether a verdict changes."""
    record, is_changed = store.records.get(record_id), False
    for row, contents in store.facts.rows(record_id):
        kept = store.facts.with_verdicts(row, contents)
        fresh = (
            verify_arrival(record, row, contents, keys)
            if names is None
            else reverify_named(record, kept, names, keys)
        )
        is_changed |= effect.count(kept, fresh)
    return is_changed
