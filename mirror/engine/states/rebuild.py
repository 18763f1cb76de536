"""`mirror rebuild` and `mirror check --repair`: derive everything again from the facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mirror.core.values import time_text
from mirror.engine.states.replay import process_stale
from mirror.errors import CorruptStoreError
from mirror.store import Damage, StaleRecord, Store

__all__ = ["rebuild", "repair"]


def rebuild(
    store: Store,
    progress: Callable[[int], None] = lambda _records: None,
    *,
    judge: bool = True,
) -> list[Damage]:
    """Make every state anew, to the same digests, and before it every verdict.

    Every record is marked first, in one transaction; each chunk is one more. So whatever ends
    the run, the next `rebuild` or `merge` goes on where it stopped, and nothing that is not
    finished is taken for finished.

    Args:
        store: The store.
        progress: Told of records that were done.
        judge: Whether to reach the verdicts anew, too, or to take them as they were reached.

    Returns:
        The records whose facts are damaged. They stay as they were, and are marked.

    Raises:
        CorruptStoreError: If the log of trusted keys is damaged, or the file (`store.corrupt`):
            facts that an index lacks would be taken for none.
    """
    _require_sound_file(store)
    with store.transaction():
        if judge:
            store.states.mark_all_for_verdicts()
            store.search_index.clear()
        else:
            store.states.mark_all_for_merge()
    damages: list[Damage] = []

    def note(stale: StaleRecord, error: CorruptStoreError) -> None:
        damages.append(Damage("record", stale.record_id, stale.record_id, None, error.message))

    process_stale(store, note, progress)
    with store.transaction():
        store.counters.recount()
    return damages


def _require_sound_file(store: Store) -> None:
    for damage in store.integrity.of_file(quick=False):
        if damage.table == "sqlite":
            hint = "run `mirror check --repair`: it saves what can be read"
            raise CorruptStoreError("store.corrupt", damage.reason, where=store.location, hint=hint)


def repair(store: Store, damages: Iterable[Damage]) -> None:
    """Move damaged facts aside, in one transaction, and derive everything again.

    What was moved aside is kept and listed (`Inspection.damaged`). A broken record takes with it
    what was said of it; a broken log of trust leaves only the built-in key trusted.

    Args:
        store: The store; SQLite itself must find nothing wrong in the file.
        damages: What `check` found.
    """
    at = time_text(datetime.now(UTC))
    with store.transaction():
        store.source_cache.clear()  # so that merging the same bundles again restores what is lost
        for damage in damages:
            store.integrity.quarantine(damage, at)
        store.states.mark_all_for_verdicts()  # should the rebuild be cut off, all is stale already
    rebuild(store)
