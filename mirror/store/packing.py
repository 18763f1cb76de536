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
    """Return the value that `pack` was given.

    Raises:
        ValueError: If `data` is nothing that `pack` gives.
    """
    try:
        return cast("Value", msgpack.unpackb(data))
    except (TypeError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(str(error)) from error
