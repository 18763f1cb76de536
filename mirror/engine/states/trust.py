"""Changes of trusted keys and profiles: the log, and the verdicts and states that depend on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from mirror.core.keys import BUILT_IN, Key, KeySet
from mirror.core.profile import Profile
from mirror.core.values import time_text
from mirror.engine.states.replay import process_stale, update_states, update_tree
from mirror.engine.states.reverify import names_built_in_key, names_of_all, reverify_named
from mirror.errors import LookUpError
from mirror.store import StaleRecord, Store

__all__ = [
    "AddedTrust",
    "add_keys",
    "remove_keys",
    "remove_profiles",
    "require_key",
    "require_profile",
]


class AddedTrust(NamedTuple):
    """Keys and profiles that were not trusted before."""

    keys: list[Key]
    profiles: list[Profile]


def add_keys(
    store: Store,
    wanted: Iterable[Key],
    progress: Callable[[int], None] = lambda _records: None,
) -> AddedTrust:
    """Trust more keys, and profiles if `wanted` is a key set, and verify affected facts again.

    Args:
        store: The store.
        wanted: Keys, or a key set.
        progress: Receives numbers of records that were verified again; a profile may affect all.

    Raises:
        FormatError: `keys.conflict` if a key of the same id but another content is trusted (K2);
            `profile.conflict` if a profile of the same name but another content ever was;
            `limit.count` if there would be too many (B4).
    """
    with store.transaction():
        before = store.trust_log.key_set()
        after = before.with_added(wanted)
        keys = [key for key in after if before.get(key.key_id) is None]
        profiles = [one for one in after.profiles if before.profile(one.name) is None]
        if not keys and not profiles:
            return AddedTrust([], [])
        store.trust_log.ever_trusted().with_profiles(profiles)  # a name is never used again
        _change(store, "add", keys, profiles)
    _process_marked(store, progress, marked=bool(profiles) or names_built_in_key(keys))
    return AddedTrust(keys, profiles)


def remove_keys(
    store: Store,
    key_ids: Iterable[str],
    progress: Callable[[int], None] = lambda _records: None,
) -> list[Key]:
    """Stop trusting keys, and verify the facts that name them again.

    Args:
        store: The store.
        key_ids: Ids of the keys; the built-in one may be among them.
        progress: See `add_keys`; without the built-in key all records are verified again.

    Raises:
        LookUpError: `keys.unknown` if no such key is trusted.
    """
    with store.transaction():
        before = store.trust_log.key_set()
        removed = [require_key(before, key_id) for key_id in dict.fromkeys(key_ids)]
        _change(store, "remove", removed, [])
    _process_marked(store, progress, marked=names_built_in_key(removed))
    return removed


def remove_profiles(
    store: Store,
    names: Iterable[str],
    progress: Callable[[int], None] = lambda _records: None,
) -> list[Profile]:
    """Stop trusting profiles, and verify the events again that may be valid under them.

    Args:
        store: The store.
        names: Names of the profiles.
        progress: See `add_keys`.

    Raises:
        LookUpError: `profile.unknown` if no such profile is trusted.
    """
    with store.transaction():
        before = store.trust_log.key_set()
        removed = [require_profile(before, name) for name in dict.fromkeys(names)]
        _change(store, "remove", [], removed)
    _process_marked(store, progress, marked=True)
    return removed


def _change(store: Store, action: str, keys: list[Key], profiles: list[Profile]) -> None:
    """Log changes, and verify the affected records again or mark them as stale.

    Their time is set again at the end, which may be minutes later: who reads the store in between
    must not take what it gives for newer than the changes.
    """
    last = store.trust_log.version
    store.trust_log.append(action, [*keys, *profiles], _now())
    _update_affected(store, keys, profiles)
    store.trust_log.date_again(last, _now())


def _update_affected(store: Store, keys: list[Key], profiles: list[Profile]) -> None:
    if BUILT_IN in keys:  # nearly everything names it, and no index does
        store.states.mark_all_for_verdicts()
        return
    if profiles or names_built_in_key(keys):
        store.states.mark_for_event_verdicts()
    if keys:
        _reverify(store, keys, store.trust_log.key_set())


def _process_marked(store: Store, progress: Callable[[int], None], *, marked: bool) -> None:
    """Update the marked records; the next `merge` or `rebuild` resumes an interrupted update."""
    if marked:
        process_stale(store, progress=progress)
    else:
        update_tree(store)


def require_profile(keys: KeySet, name: str) -> Profile:
    """Return the trusted profile of this name.

    Raises:
        LookUpError: `profile.unknown`
    """
    profile = keys.profile(name)
    if profile is None:
        hint = "`mirror keys list` shows the trusted profiles"
        raise LookUpError("profile.unknown", f"no trusted profile is named {name!r}", hint=hint)
    return profile


def require_key(keys: KeySet, key_id: str) -> Key:
    """Return the trusted key of this id.

    Raises:
        LookUpError: `keys.unknown`
    """
    key = keys.get(key_id)
    if key is None:
        hint = "`mirror keys list` shows the trusted keys"
        raise LookUpError("keys.unknown", f"no trusted key is named {key_id!r}", hint=hint)
    return key


def _now() -> str:
    return time_text(datetime.now(UTC), microseconds=True)


def _reverify(store: Store, changed: Iterable[Key], keys: KeySet) -> None:
    """Verify the facts that may depend on a changed key again, and update their states."""
    names = names_of_all(changed, keys)
    for record_id in store.facts.depending_on(names):
        record = store.records.get(record_id)
        verified = [
            (
                row,
                contents,
                reverify_named(record, store.facts.with_verdicts(row, contents), names, keys),
            )
            for row, contents in store.facts.rows(record_id)
        ]
        store.facts.replace_verdicts(record_id, verified, keys)
        update_states(store, keys, [StaleRecord(record_id, needs_verdicts=False)])
