"""Values of ASN.1 in DER (X.690): tag, length, content; enough to find a token, and to order sets.

Nothing here recurses, and all work is linear in the size of the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["SEQUENCE", "SET", "DerError", "DerValue", "elements", "only", "write"]

SEQUENCE, SET = 0x30, 0x31
"""Tags."""
_LONG_TAG = 0x1F
_LONG_LENGTH = 0x80
_MAX_LENGTH_BYTES = 4


class DerError(ValueError):
    """The bytes are no values in DER."""


class DerValue(NamedTuple):
    """A value."""

    tag: int
    content: bytes
    whole: bytes
    """Tag, length and content."""


def elements(data: bytes) -> Iterator[DerValue]:
    """Yield the values that follow each other in some bytes, such as the content of a sequence.

    Raises:
        DerError: If the bytes end within a value, or its length is not definite.
    """
    at = 0
    while at < len(data):
        begin, end = _content(data, at)
        yield DerValue(data[at], data[begin:end], data[at:end])
        at = end


def only(data: bytes) -> DerValue:
    """Return the value that some bytes are.

    Raises:
        DerError: If they are not one value.
    """
    found = elements(data)
    value = next(found, None)
    if value is None or len(value.whole) != len(data):
        raise DerError("bytes are missing, or follow after the end")
    return value


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the value at a position begins and ends."""
    begin, size = at + 2, data[at + 1] if at + 1 < len(data) else _LONG_LENGTH
    if size >= _LONG_LENGTH:
        count = size - _LONG_LENGTH
        if not 0 < count <= _MAX_LENGTH_BYTES:
            raise DerError("a length is missing, indefinite or too large")
        begin, size = begin + count, int.from_bytes(data[begin : begin + count], "big")
    if data[at] & _LONG_TAG == _LONG_TAG or begin + size > len(data):
        raise DerError("a value ends after its last byte, or has a tag of several bytes")
    return begin, begin + size


def write(tag: int, parts: Iterable[bytes]) -> bytes:
    """Return a value with this content."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG_LENGTH:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_LENGTH | len(length)]) + length + content
