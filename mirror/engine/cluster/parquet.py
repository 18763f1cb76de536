"""Parquet files that appear whole or not at all, written row by row in bounded memory.

What a file came to stands in its footer, so that a file is the whole of what a task leaves, and
its presence says that the task was done.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import orjson
import pyarrow as pa
from pyarrow import parquet

from mirror.core.redaction import redact
from mirror.core.values import Object
from mirror.engine.cluster.storage import StoragePath
from mirror.errors import SourceError

__all__ = ["FACTS", "FINDINGS", "STATES", "ParquetFile", "read_footer", "read_group"]

FACTS = pa.schema({
    "prefix": pa.int32(),
    "digest": pa.binary(),
    "record": pa.binary(),
    "content": pa.large_binary(),
    "faults": pa.large_binary(),
})  # fmt: skip
"""Verified facts of a bundle: the first 16 bits of `canonical_sha256`; all of it; the record as
MessagePack; claims, receipts and events as a store keeps them; the verdicts that did not pass."""

FINDINGS = pa.schema({
    "source": pa.large_string(),
    "member": pa.large_string(),
    "pith_number": pa.string(),
    "code": pa.string(),
    "where": pa.large_string(),
    "message": pa.large_string(),
    "digest": pa.string(),
})  # fmt: skip
"""What was found, as `mirror verify --json` tells it; without a store, nothing is acknowledged."""

STATES = pa.schema({
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
"""States, each with its digests (M12) and counts (M6), and the text of M13, its LF included."""

_KEY = b"mirror"
_ROWS = 100_000
"""Of a group at most, however small they are."""


class ParquetFile:
    """A Parquet file that is being written; it takes its name when `publish` is called."""

    def __init__(self, schema: Any, group_bytes: int) -> None:
        """Begin a file on this machine.

        Args:
            schema: Its columns.
            group_bytes: Bytes of the rows that are held, and then written as one group.
        """
        self._schema = schema
        self._group_bytes = group_bytes
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
        self.groups: list[int] = []
        """Bytes of the rows of each group that was written."""
        self.count = 0
        """Rows that were taken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        self._folder.cleanup()

    def write_row(self, row: Sequence[Any], size_bytes: int) -> None:
        """Take a row.

        Args:
            row: Its values, in the order of the columns.
            size_bytes: About how much memory it takes.
        """
        self._rows.append(row)
        self._bytes += size_bytes
        self.count += 1
        if self._bytes >= self._group_bytes or len(self._rows) == _ROWS:
            self.flush()

    def publish(self, place: StoragePath, name: str, footer: Object) -> None:
        """Give the file its name in a folder, with what it came to in its footer.

        Raises:
            OutputError: `output.failed`
        """
        self.flush()
        self._writer.add_key_value_metadata({_KEY: orjson.dumps(footer)})
        self._writer.close()
        place.publish(name, self._path)

    def flush(self) -> None:
        """Write the rows that are held as a group."""
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self.groups.append(self._bytes)
        self._rows, self._bytes = [], 0


def read_footer(place: StoragePath, name: str) -> Object:
    """Return what a file came to.

    Raises:
        SourceError: `source.unreadable`, also if it is no file that `ParquetFile` wrote.
    """
    with place.open(name) as file:
        try:
            metadata = parquet.ParquetFile(file).metadata.metadata or {}
            return cast("Object", orjson.loads(metadata[_KEY]))
        except (pa.ArrowException, KeyError, orjson.JSONDecodeError, OSError) as error:
            raise _damaged(place, name, error) from error


def read_group(place: StoragePath, name: str, group: int) -> Any:
    """Return a group of rows of a file, as a table of Arrow.

    Raises:
        SourceError: `source.unreadable`, also if it is damaged.
    """
    with place.open(name) as file:
        try:
            found = parquet.ParquetFile(file, page_checksum_verification=True)
            return found.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(place, name, error) from error


def _damaged(place: StoragePath, name: str, error: Exception) -> SourceError:
    where = redact(f"{place.url.rstrip('/')}/{name}")
    hint = "remove that file and run the command again"
    reason = str(error).partition(os.linesep)[0]
    return SourceError("source.unreadable", f"it is damaged: {reason}", where=where, hint=hint)
