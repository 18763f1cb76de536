"""Parquet files that are published atomically, and written row by row in bounded memory.

The footer contains the result of the task, so a file is the only output of a task, and its
presence shows that the task has finished.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import orjson
import pyarrow as pa
from pyarrow import parquet

from mirror.core.redaction import redact
from mirror.engine.cluster.storage import StoragePath
from mirror.errors import SourceError

__all__ = [
    "FACTS_SCHEMA",
    "FINDINGS_SCHEMA",
    "STATES_SCHEMA",
    "ParquetFile",
    "read_footer",
    "read_row_group",
]

FACTS_SCHEMA = pa.schema({
    "prefix": pa.int32(),
    "digest": pa.binary(),
    "record": pa.binary(),
    "content": pa.large_binary(),
    "faults": pa.large_binary(),
})  # fmt: skip
"""Verified facts of a bundle: the first 16 bits of `canonical_sha256`; all of it; the record as
MessagePack; claims, receipts and events as in a store; the verdicts other than valid."""

FINDINGS_SCHEMA = pa.schema({
    "source": pa.large_string(),
    "member": pa.large_string(),
    "pith_number": pa.string(),
    "code": pa.string(),
    "where": pa.large_string(),
    "message": pa.large_string(),
    "digest": pa.string(),
})  # fmt: skip
"""Findings, with the members of `mirror verify --json`, except `acknowledged`."""

STATES_SCHEMA = pa.schema({
    "pith_number": pa.string(),
    "canonical_sha256": pa.string(),
    "state_digest": pa.string(),
    "core_digest": pa.string(),
    "event_count": pa.int64(),
    "valid_event_count": pa.int64(),
    "invalid_event_count": pa.int64(),
    "equivocation_count": pa.int64(),
    "state": pa.large_string(),
})  # fmt: skip
"""States, each with its digests (M12), counts (M6), and text with its LF (M13)."""

_FOOTER_KEY = b"mirror"
_MAX_ROWS = 100_000
"""Largest number of rows of a row group."""


class ParquetFile:
    """Writer of a Parquet file, which gets its name when `publish` is called."""

    def __init__(self, schema: Any, row_group_bytes: int) -> None:
        """Begin a local temporary file.

        Args:
            schema: Its columns.
            row_group_bytes: Bytes of rows that are collected in memory for one row group.
        """
        self._schema = schema
        self._group_bytes = row_group_bytes
        self._rows: list[Sequence[Any]] = []
        self._bytes = 0
        self._folder = tempfile.TemporaryDirectory(prefix="mirror-")
        self._path = Path(self._folder.name, "table.parquet")
        self._writer = parquet.ParquetWriter(
            self._path,
            schema,
            compression="zstd",
            use_dictionary=False,
            write_page_checksum=True,
            write_statistics=[name for name in ("prefix", "pith_number") if name in schema.names],
        )
        self.row_group_sizes: list[int] = []
        """Bytes of the rows of each row group."""
        self.row_count = 0
        """Number of rows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._folder.cleanup()

    def write_row(self, row: Sequence[Any], size_bytes: int) -> None:
        """Add a row.

        Args:
            row: Its values, in the order of the columns.
            size_bytes: Its approximate size in memory.
        """
        self._rows.append(row)
        self._bytes += size_bytes
        self.row_count += 1
        if self._bytes >= self._group_bytes or len(self._rows) == _MAX_ROWS:
            self.flush()

    def publish(self, storage: StoragePath, name: str, footer: dict[str, Any]) -> None:
        """Write the footer, and put the complete file into a folder.

        Raises:
            OutputError: `output.failed`
        """
        self.flush()
        self._writer.add_key_value_metadata({_FOOTER_KEY: orjson.dumps(footer)})
        self._writer.close()
        storage.put_file(name, self._path)

    def flush(self) -> None:
        """Write the collected rows as a row group."""
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self.row_group_sizes.append(self._bytes)
        self._rows, self._bytes = [], 0


def read_footer(storage: StoragePath, name: str) -> dict[str, Any]:
    """Return the JSON value that `ParquetFile.publish` wrote into the footer of a file.

    Raises:
        SourceError: `source.unreadable`, also if `ParquetFile` did not write the file.
    """
    with storage.open(name) as file:
        try:
            metadata = parquet.ParquetFile(file).metadata.metadata or {}
            footer: dict[str, Any] = orjson.loads(metadata[_FOOTER_KEY])
        except (pa.ArrowException, KeyError, orjson.JSONDecodeError, OSError) as error:
            raise _damaged(storage, name, error) from error
    return footer


def read_row_group(storage: StoragePath, name: str, group: int) -> Any:
    """Return a row group of a file, as a `pyarrow.Table`.

    Raises:
        SourceError: `source.unreadable`, also if it is damaged.
    """
    with storage.open(name) as file:
        try:
            found = parquet.ParquetFile(file, page_checksum_verification=True)
            return found.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(storage, name, error) from error


def _damaged(storage: StoragePath, name: str, error: Exception) -> SourceError:
    where = redact(f"{storage.url.rstrip('/')}/{name}")
    hint = "remove that file and run the command again"
    reason = str(error).partition(os.linesep)[0]
    return SourceError("source.unreadable", f"it is damaged: {reason}", where=where, hint=hint)
