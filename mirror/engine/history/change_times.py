"""Known times at which this mirror's knowledge of a record may have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from mirror.core.keys import Key
from mirror.core.profile import Profile
from mirror.engine.states.reverify import affected_names
from mirror.store import Store, TrustChange

__all__ = ["change_times", "trust_changes_of"]


def change_times(store: Store, record_id: int) -> list[str]:
    """Return the known times at which the state of a record may have changed.

    These are the commits of its arrivals, and the changes of trust since the first of them that
    its verdicts may depend on.

    Args:
        store: The store.
        record_id: The row id of the record.

    Returns:
        Times with microseconds, ascending, each once; empty if none is known.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    stored = store.commits.times_of(record_id)
    if not stored:
        return []
    trusted = {change.at for change in trust_changes_of(store, record_id)}
    return sorted({*stored, *(at for at in trusted if at >= stored[0])})


def trust_changes_of(store: Store, record_id: int) -> list[TrustChange]:
    """Return the changes of trust, the oldest first, that may have changed verdicts on a record.

    Arguments and errors as `change_times`.
    """
    log = store.trust_log.log()
    keys = _by_public_key(log)
    depends_on = cache(lambda name: store.facts.depends_on(record_id, name))
    has_foreign = cache(lambda: store.facts.depends_on_profiles(record_id))
    return [change for change in log if _may_touch(change, keys, depends_on, has_foreign)]


def _by_public_key(log: Iterable[TrustChange]) -> dict[str, list[Key]]:
    """Return all keys that are or were trusted, by their public key in hexadecimal."""
    keys: dict[str, list[Key]] = {}
    for change in log:
        if isinstance(change.what, Key):
            keys.setdefault(change.what.public_key_hex, []).append(change.what)
    return keys


def _may_touch(
    change: TrustChange,
    keys: Mapping[str, list[Key]],
    depends_on: Callable[[str], bool],
    has_foreign: Callable[[], bool],
) -> bool:
    """Return whether a change may have changed verdicts on a record.

    Args:
        change: The change.
        keys: All keys that are or were trusted, by their public key.
        depends_on: Whether a verdict on the record may depend on a key of a name.
        has_foreign: Whether an event of the record did not pass under the built-in profile.
    """
    if isinstance(change.what, Profile):
        return has_foreign()
    others = [key for name in change.what.names for key in keys.get(name, [])]
    names = affected_names([change.what], others)
    return names is None or any(depends_on(name) for name in names)
