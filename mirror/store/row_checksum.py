"""Row checksums: short digests that show whether a row is as it was written.

They detect broken disks and pages, not people: anyone who can write the file can compute them.
People are detected by the signatures, which `mirror check` verifies again.

The facts of a record are several rows. Their checksums are combined by exclusive or in one row of
`record_totals`: adding a fact costs the same however many there are, and a lost, doubled or changed
row or verdict shows when the record is next loaded.
"""

from __future__ import annotations

from typing import TypeAlias

from mirror.core.msgpack_values import pack
from mirror.core.values import sha256

__all__ = ["EMPTY", "Column", "combine", "row_checksum"]

Column: TypeAlias = str | bytes | int | None

CHECKSUM_BYTES = 16

EMPTY = bytes(CHECKSUM_BYTES)
"""The combined checksum of no rows."""


def row_checksum(*columns: Column) -> bytes:
    """Return the checksum of a row, 16 bytes."""
    return sha256(pack(columns))[:CHECKSUM_BYTES]


def combine(one: bytes, other: bytes) -> bytes:
    """Add a checksum to a combined one, or remove it: exclusive or does both."""
    total = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return total.to_bytes(CHECKSUM_BYTES, "big")
