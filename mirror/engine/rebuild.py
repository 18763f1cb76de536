"""`mirror rebuild` and `mirror check --repair`: derive everything again from the facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from mirror.engine.replay import finish
from mirror.errors import CorruptStoreError
from mirror.store import Damage, Stale, Store

__all__ = ["rebuild", "repair"]


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

    def note(stale: Stale, error: CorruptStoreError) -> None:
        damages.append(Damage("record", stale.record_id, stale.record_id, None, error.message))

    finish(store, note, progress)
    return damages


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
            if damage.fact == "ledger" and damage.record_id is not None:
                for stranger in _strangers(store, damage.record_id):
                    store.inspection.move_aside(stranger, at)
    rebuild(store)


def _strangers(store: Store, record_id: int) -> Iterator[Damage]:
    """Yield the events of a record that speak of another one.

    Where the rows of a record do not add up, a row may have come from elsewhere. Such an event
    counts for nothing (`event.subject`), and if it did belong here its bundle brings it back.
    """
    number = store.records.get(record_id).pith_number
    for row in store.facts.unjudged(record_id).events:
        value = row.whole_value(number)
        if isinstance(value, dict) and value.get("subject_pith_number") != number:
            why = "it speaks of another record, and the rows of this one do not add up"
            yield Damage("event", row.id, record_id, number, why)
