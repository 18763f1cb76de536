"""Metadata of an analysis copy for Datasette: meanings, sources and units of its columns."""

from __future__ import annotations

from mirror.core.values import Object
from mirror.engine.tables.origin import Origin
from mirror.engine.tables.schema import TABLES
from mirror.engine.tables.table import Table

__all__ = ["datasette_metadata"]

_TITLE = "A scholarly registry, as a mirror knows it"
_UNITS = (
    "Times are in UTC (RFC 3339), but a claimed time is as its signer writes it, perhaps with "
    "another offset. Digests are SHA-256, hexadecimal. Counts are numbers of the things that the "
    "column names. 1 is yes and 0 is no. NULL is: not known, or does not apply."
)
_NO_PROOF = (
    "What an event says is the claim of its signer, and what a refused event says is nobody's. "
    "Nothing in these tables is a proof: the proofs are in the store."
)
_SOURCE = "the bundles listed in the table arrivals"
_LICENSE = "each paper has its own, in the column license of the table records"

_LABELS = {"records": "source_id", "events": "event_type", "arrivals": "source"}
"""Columns that stand for a row in the tables that refer to it; never empty there."""
_FACETS = {
    "records": ["primary_category", "year", "title_status", "receipt_key_id"],
    "events": ["event_type", "status", "signer_id", "code"],
    "record_categories": ["category"],
    "aliases": ["kind"],
    "arrivals": ["source"],
    "citations": ["in_force", "relationship"],
    "texts": ["kind"],
    "findings": ["code"],
    "dictionary": ["table_name"],
}
"""Columns with few values, which are counted above the rows."""


def datasette_metadata(database: str, origin: Origin) -> Object:
    """Return the metadata that Datasette reads with `--metadata`.

    Args:
        database: Name of the database in Datasette: of the file, without its ending.
        origin: The origin of the copy.
    """
    known = f"known by {origin.known_by}" if origin.known_by else "nothing known yet"
    of = f"Root {origin.root} under the key set {origin.key_set_digest}, {known}."
    description = f"{of} {_UNITS} {_NO_PROOF}"
    tables: Object = {one.name: _of_table(one) for one in TABLES}
    return {
        "title": _TITLE,
        "description": description,
        "source": _SOURCE,
        "license": _LICENSE,
        "databases": {database: {"description": description, "tables": tables}},
    }


def _of_table(table: Table) -> Object:
    value: Object = {
        "description": table.meaning,
        "columns": {one.name: one.meaning for one in table.all_columns},
    }
    if table.name in _LABELS:
        value["label_column"] = _LABELS[table.name]
    if table.name in _FACETS:
        value["facets"] = [*_FACETS[table.name]]
    return value
