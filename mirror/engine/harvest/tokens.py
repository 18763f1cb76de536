"""Resumption tokens: all that the next page of a list needs, so that a server keeps nothing.

A token survives restarts, and merges into the store. Its last characters are a checksum, so that
one that was cut or mistyped is refused.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple, TypeVar, get_type_hints

from mirror.core.values import sha256
from mirror.engine.harvest.errors import HarvestError

__all__ = ["ListPosition", "SetPosition", "read_position", "write_position"]

_CHECKSUM_BYTES = 4
_VERSION = "1"


class ListPosition(NamedTuple):
    """A place in a list of records, or of their headers; its fields contain no space."""

    verb: str
    prefix: str
    """The metadata format."""
    set_spec: str
    """Empty for records of all sets."""
    bound: int
    """The last arrival of the store when the list began."""
    until: int
    """The last arrival that may be the last one of a listed record."""
    after: int
    """The arrival that the page before ended with."""
    cursor: int
    """How many records the pages before have."""
    size: int
    """How many records the list has; 0 if that is not known."""
    mark: str = ""
    """A part of the checksum of the arrival `after`, which differs in another store."""


class SetPosition(NamedTuple):
    """A place in the list of sets."""

    verb: str
    after: str
    """The set that the page before ended with."""
    cursor: int
    """How many sets the pages before have."""


_Position = TypeVar("_Position", ListPosition, SetPosition)


def write_position(position: ListPosition | SetPosition) -> str:
    """Return the token of a place: base64url (RFC 4648 section 5) without padding."""
    text = " ".join([_VERSION, *map(str, position)]).encode()
    return base64.urlsafe_b64encode(text + _checksum(text)).decode().rstrip("=")


def read_position(token: str, verb: str, kind: type[_Position]) -> _Position:
    """Return the place that a token was written for.

    Args:
        token: What a harvester sent.
        verb: The verb of its request.
        kind: The kind of list that the verb gives.

    Raises:
        HarvestError: `badResumptionToken`
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
        text, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        version, *fields = text.decode("ascii").split(" ")
        is_ours = (_checksum(text), _VERSION, verb) == (checksum, version, fields[0])
        types = get_type_hints(kind).values()
        position = kind._make(
            int(one) if type_ is int else one for type_, one in zip(types, fields, strict=True)
        )
    except (ValueError, binascii.Error, IndexError) as error:
        raise _refused() from error
    if not is_ours or position.cursor <= 0 or write_position(position) != token:
        raise _refused()
    return position


def _refused() -> HarvestError:
    message = "the token is not one that this server gave for this verb; begin the list again"
    return HarvestError("badResumptionToken", message)


def _checksum(text: bytes) -> bytes:
    return sha256(text)[:_CHECKSUM_BYTES]
