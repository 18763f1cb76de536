"""`mirror export`: composed bundles (B6) in a bag (C2), the same bytes for the same facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from mirror.archive import write_bag
from mirror.core.bundle import compose
from mirror.engine.output import write_whole
from mirror.store import Store

__all__ = ["bundle_text", "export_bag", "write_states"]


def bundle_text(store: Store, record_id: int) -> bytes:
    """Return the composed bundle of a record, one line of JSON (B6)."""
    facts = store.facts.load(record_id)
    return compose(facts.record, facts.alias_claims, facts.receipts, facts.events)


def export_bag(store: Store, out: Path, record_ids: Collection[int] | None = None) -> int:
    """Write records as a bag to `out`, which appears whole or not at all.

    Args:
        store: The store; its facts are read as they are at one moment.
        out: The file.
        record_ids: The records; None means all.

    Returns:
        How many records were written.

    Raises:
        OutputError: If `out` cannot be written.
    """
    with store.snapshot(), write_whole(out) as file:
        count = store.records.count() if record_ids is None else len(set(record_ids))
        info = [
            ("Bag-Group-Identifier", "pith-open-graph"),
            ("External-Description", f"Pith Open Graph bundles of {count} records"),
        ]
        write_bag(file, lambda: _payload(store, record_ids), info)
    return count


def _payload(store: Store, record_ids: Collection[int] | None) -> Iterator[tuple[str, bytes]]:
    for suffix, record_id in store.records.in_bag_order(record_ids):
        yield f"pith/{suffix[:2]}/{suffix}/bundle.json", bundle_text(store, record_id)


def write_states(store: Store, out: Path) -> None:
    """Write the state of each record of this run to `<out>/<suffix>/state.json` (M13).

    Raises:
        OutputError: If one cannot be written.
    """
    for state in store.derived.touched_states():
        with write_whole(out / state.suffix / "state.json", make_folder=True) as file:
            file.write(state.text)
