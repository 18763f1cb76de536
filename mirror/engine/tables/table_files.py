"""Writers of one table to one file: Parquet and JSON Lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from mirror.engine.tables.record_rows import Row
from mirror.engine.tables.table import Table
from mirror.errors import OutputError

if TYPE_CHECKING:  # an extra, and slow to import
    import pyarrow as pa

__all__ = ["FORMS", "Rows", "Writer", "writer_of"]

FORMS = ("parquet", "jsonl")
"""Forms of files, each the ending of their names."""

Rows: TypeAlias = list[Row]
"""Some rows, with all columns of the table."""
Writer: TypeAlias = Callable[[Path, Table, Iterable[Rows], Mapping[str, str]], None]
"""Writes a file from a table, its rows, and the origin of the tables."""

_GROUP_ROWS = 100_000
"""Rows of a row group in Parquet."""
_GROUP_BYTES = 64 * 1024 * 1024
"""Bytes of a row group, uncompressed, from which it is written before it has all these rows."""


def writer_of(form: str) -> Writer:
    """Return the writer of a form.

    Raises:
        OutputError: `tables.missing` if its library is not installed.
    """
    if form == "parquet":
        _require_pyarrow()
        return _write_parquet
    return _write_json_lines


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an extra, and slow to import
    except ImportError as error:
        message = f"Parquet needs the library pyarrow, which cannot be loaded ({error})"
        hint = "install the extra `tables`: pip install 'pith-mirror[tables]'"
        raise OutputError("tables.missing", message, hint=hint) from error


def _write_json_lines(
    path: Path, table: Table, rows: Iterable[Rows], _about: Mapping[str, str]
) -> None:
    """Write an object a line, with all columns in their order."""
    names = [one.name for one in table.all_columns]
    with path.open("wb") as file:
        for some in rows:
            file.writelines(
                orjson.dumps(dict(zip(names, row, strict=True))) + b"\n" for row in some
            )


def _write_parquet(
    path: Path, table: Table, rows: Iterable[Rows], about: Mapping[str, str]
) -> None:
    """Write row groups of at most 100,000 rows."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    schema = _arrow_schema(table, about)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        group: list[Any] = []
        for some in rows:
            columns = zip(*some, strict=True)
            arrays = [
                pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)
            ]
            group.append(pa.record_batch(arrays, schema=schema))
            if _is_full(group):
                writer.write_table(pa.Table.from_batches(group), _GROUP_ROWS)
                group = []
        if group:
            writer.write_table(pa.Table.from_batches(group), _GROUP_ROWS)


def _is_full(group: list[Any]) -> bool:
    rows: int = sum(one.num_rows for one in group)
    size: int = sum(one.nbytes for one in group)
    return rows >= _GROUP_ROWS or size >= _GROUP_BYTES


def _arrow_schema(table: Table, about: Mapping[str, str]) -> pa.Schema:
    """Return the columns of a table with their types and meanings, and the origin of the rows."""
    import pyarrow as pa  # noqa: PLC0415

    types = {"TEXT": pa.string(), "INTEGER": pa.int64()}
    fields = [
        pa.field(
            one.name,
            types[one.type],
            nullable=not one.is_required,
            metadata={"meaning": one.meaning, "refers_to": one.references},
        )
        for one in table.all_columns
    ]
    return pa.schema(fields, {**about, "table": table.name, "meaning": table.meaning})
