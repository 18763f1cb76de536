"""`mirror export`: composed bundles (B6) in a bag (C2), the same bytes for the same facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from mirror.archive import Limits, write_bag
from mirror.core.bundle import compose
from mirror.engine.output import write_whole
from mirror.errors import OutputError
from mirror.store import Store

__all__ = ["Exported", "bundle_text", "export_bag", "write_states"]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    records: int
    large: list[str]
    """The suffixes of records whose bundles exceed the limits of other mirrors."""


def bundle_text(store: Store, record_id: int) -> bytes:
    """Return the composed bundle of a record, one line of JSON (B6)."""
    facts = store.facts.load(record_id)
    return compose(facts.record, facts.alias_claims, facts.receipts, facts.events)


def export_bag(store: Store, out: Path, record_ids: Collection[int] | None = None) -> Exported:
    """Write records as a bag to `out`, which appears whole or not at all.

    Args:
        store: The store; its facts are read as they are at one moment.
        out: The file.
        record_ids: The records; None means all.

    Returns:
        How many records were written, and which of their bundles are larger than a mirror takes
        that keeps to the limits as they come (B4).

    Raises:
        OutputError: If `out` cannot be written, or is a database.
    """
    large: set[str] = set()
    _require_no_store(out)
    with store.snapshot(), write_whole(out) as file:
        count = store.records.count() if record_ids is None else len(set(record_ids))
        info = [
            ("Bag-Group-Identifier", "pith-open-graph"),
            ("External-Description", f"Pith Open Graph bundles of {count} records"),
        ]
        write_bag(file, lambda: _payload(store, record_ids, large), info)
    return Exported(count, sorted(large))


def _require_no_store(out: Path) -> None:
    """Refuse to write over a SQLite database: it may be the very store that is read."""
    try:
        with out.open("rb") as file:
            is_database = file.read(16) == b"SQLite format 3\0"
    except OSError:
        return  # not there, or not to be read: writing will say so
    if is_database:
        hint = "name another file; nothing was changed in this one"
        message = "it is a SQLite database, perhaps a store"
        raise OutputError("output.refused", message, where=str(out), hint=hint)


def _payload(
    store: Store, record_ids: Collection[int] | None, large: set[str]
) -> Iterator[tuple[str, bytes]]:
    limits = Limits()
    for suffix, record_id in store.records.in_bag_order(record_ids):
        text = bundle_text(store, record_id)
        if len(text) > limits.member_bytes or store.facts.ledger(record_id).events > limits.events:
            large.add(suffix)
        yield f"pith/{suffix[:2]}/{suffix}/bundle.json", text


def write_states(store: Store, out: Path) -> None:
    """Write the state of each record of this run to `<out>/<suffix>/state.json` (M13).

    Raises:
        OutputError: If one cannot be written.
    """
    for state in store.derived.touched_states():
        with write_whole(out / state.suffix / "state.json", make_folder=True) as file:
            file.write(state.text)
