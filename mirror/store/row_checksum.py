"""Seals: short digests that show whether rows are as they were written.

They are against broken disks and pages, not against people: whoever can write the file can seal
what they like. Against people stand the signatures, which `mirror check` verifies again.

The facts of a record are several rows, so their seals are added up by exclusive or in one row of
`ledger`: adding a fact costs the same however many there are, and a row that is lost, doubled,
changed or judged otherwise shows when the record is next loaded.
"""

from __future__ import annotations

from typing import TypeAlias

import msgpack

from mirror.core.values import sha256

__all__ = ["EMPTY", "Column", "add_up", "seal"]

Column: TypeAlias = str | bytes | int | None

SEAL_BYTES = 16

EMPTY = bytes(SEAL_BYTES)
"""What no rows add up to."""


def seal(*columns: Column) -> bytes:
    """Return the seal of a row, 16 bytes."""
    return sha256(msgpack.packb(columns))[:SEAL_BYTES]


def add_up(one: bytes, other: bytes) -> bytes:
    """Add a seal to a sum, or take it out again: the same operation does both."""
    total = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return total.to_bytes(SEAL_BYTES, "big")
