"""Values as MessagePack: what went in comes out, integers and floats apart."""

from __future__ import annotations

from typing import cast

import msgpack

from mirror.core.values import Value

__all__ = ["pack", "unpack"]


def pack(value: Value) -> bytes:
    """Return `value` as MessagePack."""
    return cast("bytes", msgpack.packb(value))


def unpack(data: bytes) -> Value:
    """Return the value that `pack` was given."""
    return cast("Value", msgpack.unpackb(data))
