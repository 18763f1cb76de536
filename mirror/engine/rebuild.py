"""`mirror rebuild` and `mirror check --repair`: derive everything again from the facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mirror.engine.replay import bring_up_to_date
from mirror.errors import CorruptStoreError
from mirror.store import Damage, Store

__all__ = ["rebuild", "repair"]

_CHUNK = 200


def rebuild(store: Store, progress: Callable[[int], None] = lambda _records: None) -> list[Damage]:
    """Reach every verdict and every state anew, to the same digests.

    Every record is marked first, in one transaction; each chunk is one more. So whatever ends
    the run, the next `rebuild` or `merge` goes on where it stopped, and nothing that is not
    finished is taken for finished.

    Returns:
        The records whose facts are damaged. They stay as they were, and are marked.

    Raises:
        CorruptStoreError: If the log of trusted keys is damaged.
    """
    with store.transaction():
        store.derived.mark_all_to_judge()
    damages: list[Damage] = []
    after = 0
    while True:
        with store.transaction():
            keys = store.trust.key_set()
            stale = store.derived.stale(_CHUNK, after)
            for one in stale:
                try:
                    bring_up_to_date(store, keys, [one])
                except CorruptStoreError as error:
                    damage = Damage("record", one.record_id, one.record_id, None, error.message)
                    damages.append(damage)
        if not stale:
            return damages
        after = stale[-1].record_id
        progress(len(stale))


def repair(store: Store, damages: Iterable[Damage]) -> None:
    """Move damaged facts aside, in one transaction, and derive everything again.

    What was moved aside is kept and listed (`Inspection.damaged`). A broken record takes with it
    what was said of it; a broken log of trust leaves only the built-in key trusted.

    Args:
        store: The store; SQLite itself must find nothing wrong in the file.
        damages: What `check` found.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with store.transaction():
        for damage in damages:
            store.inspection.move_aside(damage, at)
    rebuild(store)
