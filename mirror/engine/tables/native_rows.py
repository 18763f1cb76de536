"""Rows of records from the native engine: it writes them to a SQLite file.

It leaves to Python every record that is not in the ordinary case, whatever is odd about it: a fact
that was refused or is of another profile, a repeated event id, a damaged row.
"""

from __future__ import annotations

import logging
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirror.core.events.types import (
    CITATION,
    EVENT_TYPES,
    GRAPH_SNAPSHOT,
    REVOCATION,
    STORAGE,
    TIME_STAMP,
)
from mirror.core.profile import MIRROR_V1
from mirror.core.values import canonical
from mirror.engine.native import native_module, require_python_allowed
from mirror.engine.tables.citing import citing_columns
from mirror.engine.tables.record_extras import last_checks, proved_texts
from mirror.engine.tables.record_rows import EVENTS_PER_ARRIVAL
from mirror.engine.tables.schema import OF_RECORDS, TABLE_OF_TYPE, payload_members
from mirror.store import DICTIONARY, Store
from mirror.store.records import checked_record
from mirror.store.stored_records import StoredRecord
from mirror.store.whole_records import ArrivalOrigin, arrival_origins

__all__ = ["NativeTables", "fill_citing", "native_tables"]

_LOG = logging.getLogger(__name__)


class NativeTables:
    """The native engine for the tables of this version."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._is_reported = False

    def write(self, store: Store, record_ids: array[int], path: Path) -> array[int]:
        """Write the rows of records to a new file, in which every table is there.

        Returns:
            The records whose rows are not in it.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        items = _items(store, record_ids)
        try:
            found = self._writer.part([*items.values()])
        except (TypeError, ValueError, OverflowError):  # a damaged column
            found = None
        self._report_panics()
        content, is_written = found or (self._writer.part([])[0], [False] * len(items))
        path.write_bytes(content)
        written = {one for one, is_in in zip(items, is_written, strict=True) if is_in}
        return array("q", [one for one in record_ids if one not in written])

    def _report_panics(self) -> None:
        """Log once that the engine is at fault somewhere; Python does what it left."""
        if self._writer.panics and not self._is_reported:
            self._is_reported = True
            _LOG.warning("the native engine failed within, and Python did the work: report it")


def native_tables() -> NativeTables | None:
    """Return the native engine; None if Python does the work.

    Raises:
        EngineError: `engine.setting`, `engine.missing`; see `MIRROR_NATIVE`.
    """
    module = native_module()
    if module is None:
        return None
    try:
        return NativeTables(module.TableWriter(canonical(_layout()), DICTIONARY))
    except (AttributeError, ValueError):
        require_python_allowed()
        _LOG.warning("the native engine is not used for tables: it is of another version")
        return None


_FURTHER_COLUMNS = {
    GRAPH_SNAPSHOT: "snapshot",
    CITATION: "citation",
    TIME_STAMP: "check",
    STORAGE: "check",
}
"""Names for the columns of a type that are not members of the payload."""


def _layout() -> Any:
    """Return the tables as data."""
    types = {
        name: [
            TABLE_OF_TYPE[name],
            [member for member, _, _ in payload_members(name, kind)],
            _FURTHER_COLUMNS.get(name, ""),
        ]
        for name, kind in EVENT_TYPES.items()
    }
    return {
        "tables": [[one.name, one.create_part, one.has_integer_key] for one in OF_RECORDS],
        "types": types,
        "profile": MIRROR_V1.name,
        "snapshot": GRAPH_SNAPSHOT,
        "revocation": REVOCATION,
        "events_per_arrival": EVENTS_PER_ARRIVAL,
    }


def _items(store: Store, record_ids: array[int]) -> dict[int, tuple[Any, ...]]:
    """Return by id what the rows are made from, of records whose facts are all valid."""
    states = store.stored_records.states(record_ids)
    stored = {
        one: row for one, row in store.stored_records.rows(record_ids).items() if one in states
    }
    numbers = {one: _number(row) for one, row in stored.items()}
    origins = arrival_origins(store.connection, record_ids)
    texts = _texts(store, stored, numbers)
    checks: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for (number, event_id), check in last_checks(store, numbers).items():
        checks[number].append((event_id, *check))
    nothing: list[ArrivalOrigin] = []
    return {
        one: (
            row,
            states[one],
            origins.get(one, nothing),
            *texts.get(numbers[one], (None, None)),
            checks.get(numbers[one], []),
        )
        for one, row in stored.items()
    }


def _number(row: StoredRecord) -> str:
    _, year, suffix, *_ = row.record
    return f"pith:{year}:{suffix}"


def _texts(
    store: Store, stored: Mapping[int, StoredRecord], numbers: Mapping[int, str]
) -> dict[str, tuple[tuple[str, str] | None, str | None]]:
    """Return the proved title with its source, and the proved abstract."""
    ids = {number: one for one, number in numbers.items()}
    found = proved_texts(
        store, ids, lambda number: checked_record(ids[number], stored[ids[number]].record)
    )
    return {
        number: (
            None if title is None else (title.text, title.source),
            None if abstract is None else abstract.text,
        )
        for number, (title, abstract, _) in found.items()
    }


def fill_citing(conn: sqlite3.Connection) -> None:
    """Write what the citing works of native rows are: `citing_columns` alone has these rules."""
    found = conn.execute("SELECT event, citing FROM citations").fetchall()
    rows = [(*citing_columns(citing), event) for event, citing in found]
    conn.executemany(_FILL_CITING, rows)


_FILL_CITING = """
    UPDATE citations SET citing_pith_number = ?, citing_arxiv_id = ?, citing_suffix = ?,
        citing_source_id = ?, citing_version = ? WHERE event = ?
"""
