"""`mirror rebuild` and `mirror check --repair`: derives everything again from the facts."""

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
    verify: bool = True,
) -> list[Damage]:
    """Verify every fact and make every state again, with the same digests.

    One transaction marks every record as stale; each chunk of records is another transaction. So
    the next `rebuild` or `merge` resumes an interrupted run, and a record that was not processed
    stays stale.

    Args:
        store: The store.
        progress: Receives numbers of records that were processed.
        verify: Whether to verify the facts again; else the stored verdicts are used.

    Returns:
        The records whose facts are damaged. They are not changed, and stay stale.

    Raises:
        CorruptStoreError: If the log of trusted keys is damaged, or the file (`store.corrupt`):
            facts that an index lacks would be passed over.
    """
    _require_sound_file(store)
    with store.transaction():
        store.anchors.clear()
        if verify:
            store.states.mark_all_for_verdicts()
            store.search_index.clear()
        else:
            store.states.mark_all_for_merge()
            store.state_tree.clear()
    damages: list[Damage] = []

    def record(stale: StaleRecord, error: CorruptStoreError) -> None:
        damages.append(Damage("record", stale.record_id, stale.record_id, None, error.message))

    process_stale(store, record, progress)
    with store.transaction():
        store.counters.recount()
    return damages


def _require_sound_file(store: Store) -> None:
    for damage in store.integrity.check_file(quick=False):
        if damage.table == "sqlite":
            hint = "run `mirror check --repair`: it saves what can be read"
            raise CorruptStoreError("store.corrupt", damage.reason, where=store.location, hint=hint)


def repair(store: Store, damages: Iterable[Damage]) -> None:
    """Move damaged facts into quarantine, in one transaction, and derive everything again.

    The facts in quarantine stay in the store and are listed (`IntegrityCheck.damaged`). A damaged
    record takes its facts with it; a damaged log of trust leaves only the built-in key trusted.

    Args:
        store: The store; SQLite must find nothing wrong in the file.
        damages: The damages that `check` found.
    """
    with store.transaction():
        at = time_text(datetime.now(UTC))  # after waiting for the lock
        store.source_cache.clear()  # merging the same bundles again restores lost facts
        for damage in damages:
            store.integrity.quarantine(damage, at)
        store.states.mark_all_for_verdicts()  # an interrupted rebuild can be resumed
    rebuild(store)
