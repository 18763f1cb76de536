"""Metadata for Datasette."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.engine.tables.metadata import _FACETS, _LABELS, datasette_metadata
from mirror.engine.tables.origin import Origin
from mirror.engine.tables.schema import TABLES
from mirror.store import open_store


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """The origin of the copy of an empty store."""
    with open_store(tmp_path / "mirror.db") as store, store.snapshot():
        return Origin.of(store)


def test_every_table_and_column_has_its_meaning(origin: Origin) -> None:
    value: Any = datasette_metadata("registry", origin)
    tables = value["databases"]["registry"]["tables"]
    assert [*tables] == [one.name for one in TABLES]
    for table in TABLES:
        assert tables[table.name]["description"] == table.meaning
        assert [*tables[table.name]["columns"]] == [one.name for one in table.all_columns]
        assert all(tables[table.name]["columns"].values())


def test_the_metadata_describes_the_store(origin: Origin) -> None:
    later = replace(origin, known_by="2026-11-30T12:00:00Z")
    for one, words in ((origin, "nothing known yet"), (later, "known by 2026-11-30T12:00:00Z")):
        text = str(datasette_metadata("x", one)["description"])
        assert f"Root {origin.root}" in text
        assert origin.key_set_digest in text
        assert words in text


def test_labels_and_facets_are_columns() -> None:
    columns = {one.name: {column.name for column in one.all_columns} for one in TABLES}
    assert all(label in columns[table] for table, label in _LABELS.items())
    assert all(columns[table] >= {*names} for table, names in _FACETS.items())
