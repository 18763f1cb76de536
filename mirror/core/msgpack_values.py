"""Values as MessagePack, in packed bags (C4) and in stores; V1 holds here, too.

MessagePack has values that JSON has not: byte strings, extensions, names that are not strings, NaN,
integers beyond 2^53. A packed bundle that holds one is refused as its JSON text would be.

`msgpack` names the faults, and reads what `pack` packed. `ormsgpack` (extra `fast`) takes half the
time; where it is installed it packs, and reads on the fast path.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import msgpack
import orjson

from mirror.core.values import (
    MAX_DEPTH,
    MAX_INTEGER,
    Value,
    nests_within,
    unique_members,
)
from mirror.errors import FormatError

__all__ = ["Packable", "decode_packed", "might_contain_float", "pack", "pack_list", "unpack"]

_FLOAT = b"\xcb"
"""The byte before a float in its shortest form; within a string or a length it means something
else."""
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
"""Finds every NaN and infinity, and hardly ever something else: its exponent has no bit unset."""


Packable: TypeAlias = "Value | bytes | Sequence[Packable]"
"""A value that MessagePack has; bytes are for stores alone."""


class _Codec(NamedTuple):
    """Functions of a library."""

    pack: Callable[[Packable], bytes]
    unpack: Callable[[bytes], Value]


def _codecs() -> dict[str, _Codec]:
    """Return the codecs of this machine by the names of the libraries, the fastest last."""
    found = {"msgpack": _Codec(msgpack.packb, msgpack.unpackb)}
    try:
        faster = importlib.import_module("ormsgpack")
    except ImportError:
        return found
    return {**found, "ormsgpack": _Codec(faster.packb, faster.unpackb)}


_FASTEST = list(_codecs().values())[-1]


def pack(value: Packable) -> bytes:
    """Return `value` as MessagePack, every part of it in the shortest form."""
    return _FASTEST.pack(value)


def pack_list(packed: Sequence[bytes]) -> bytes:
    """Return a list of packed values as MessagePack."""
    count = len(packed)
    header = bytes((0x90 | count,)) if count < 16 else b"\xdd" + count.to_bytes(4, "big")
    return header + b"".join(packed)


def unpack(data: bytes) -> Value:
    """Return the value that `pack` packed.

    Raises:
        ValueError: If `data` is not from `pack`.
    """
    try:
        value: Value = msgpack.unpackb(data)
    except (TypeError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(str(error)) from error
    return value


def might_contain_float(data: bytes) -> bool:
    """Whether what `pack` packed may hold a float; False if it certainly holds none."""
    return _FLOAT in data


def decode_packed(data: bytes) -> Value:
    """Read one value from elsewhere.

    The fast path holds only if packing the result gives the same bytes (so that no name is
    repeated, and every part has its shortest form), and if it is JSON.

    Raises:
        FormatError: The code of V1 that the value would have as JSON; `json.syntax` for a value
            that JSON does not have, and for bytes that are not MessagePack.
    """
    try:
        value = _FASTEST.unpack(data)
        lossless = pack(value) == data and _NOT_FINITE.search(data) is None
        text = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException):
        return _decode_strictly(data)
    return value if lossless and nests_within(text, MAX_DEPTH) else _decode_strictly(data)


def _decode_strictly(data: bytes) -> Value:
    """Read one value on the slow path, which names the fault."""
    try:
        value: Value = msgpack.unpackb(data, object_pairs_hook=unique_members, strict_map_key=False)
    except FormatError:
        raise
    except (msgpack.exceptions.StackError, RecursionError) as error:
        raise _too_deep() from error
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        reason = str(error) or type(error).__name__
        raise FormatError("json.syntax", f"not one MessagePack value: {reason}") from error
    _require_json(value, 0)
    return value


def _too_deep() -> FormatError:
    return FormatError("json.depth", f"more than {MAX_DEPTH} nested arrays and objects")


def _require_json(value: object, level: int) -> None:
    """Raise the code of V1 for a value, `level` deep, that is not JSON or nests too deep."""
    if isinstance(value, dict | list):
        if level == MAX_DEPTH:
            raise _too_deep()
        for child in value.values() if isinstance(value, dict) else value:
            _require_json(child, level + 1)
        if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
            raise FormatError("json.syntax", "a member name is not a string")
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise FormatError("json.number", f"the integer {value} is beyond 2^53-1")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise FormatError("json.number", f"{value} is not a JSON number")
    elif not (value is None or isinstance(value, str)):
        raise FormatError("json.syntax", f"{type(value).__name__} is not a JSON type")
