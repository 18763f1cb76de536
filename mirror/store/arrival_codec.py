"""Codec of an arrival's content: the new facts of one bundle, as MessagePack in zstd.

A content is written once and never changed. Its parts are the alias claims, the receipts' digests,
the receipts, the events' digests and the events. A digest is that of the value's canonical bytes,
so that a fact is recognised without being decoded and encoded again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import zstandard

from mirror.core.bundle import AliasClaim
from mirror.core.msgpack_values import might_contain_float, pack, pack_list, unpack
from mirror.core.values import Value, canonical, encode_integers
from mirror.store.zstd_dictionary import DICTIONARY

__all__ = [
    "DIGEST_BYTES",
    "ArrivalContents",
    "compress",
    "decompress",
    "pack_contents",
    "split",
    "unpack_contents",
]

LEVEL = 1
"""zstd level: lower ones save little time and cost a quarter more space."""

DIGEST_BYTES = 32


class ArrivalContents(NamedTuple):
    """The facts of one arrival, each value with its digest."""

    claims: list[AliasClaim]
    receipts: list[tuple[bytes, Value]]
    events: list[tuple[bytes, Value]]
    encode: Callable[[Value], bytes] = canonical
    """Returns canonical bytes of the values; faster if no float is among them."""


def pack_contents(
    claims: Sequence[AliasClaim],
    receipts: Mapping[bytes, bytes],
    events: Mapping[bytes, bytes],
) -> bytes:
    """Return the content of an arrival; empty if there are no facts.

    Args:
        claims: The alias claims.
        receipts: The receipts as MessagePack, by digest.
        events: The events, likewise.
    """
    if not (claims or receipts or events):
        return b""
    parts = [
        pack([[*claim] for claim in claims]),
        _pack_digests(receipts),
        pack_list(list(receipts.values())),
        _pack_digests(events),
        pack_list(list(events.values())),
    ]
    return compress(pack_list(parts))


def _pack_digests(digests: Iterable[bytes]) -> bytes:
    return pack(b"".join(digests))


def unpack_contents(content: bytes) -> ArrivalContents:
    """Return what `pack_contents` was given.

    Raises:
        ValueError: If `content` does not come from there.
    """
    if not content:
        return ArrivalContents([], [], [])
    packed = decompress(content)
    parts: Any = unpack(packed)
    if not isinstance(parts, list) or len(parts) != 5:
        raise ValueError("not the parts of a content")
    claims, receipt_digests, receipts, event_digests, events = parts
    return ArrivalContents(
        [AliasClaim(*claim) for claim in claims],
        _pairs(receipt_digests, receipts),
        _pairs(event_digests, events),
        canonical if might_contain_float(packed) else encode_integers,
    )


def _pairs(digests: bytes, values: list[Value]) -> list[tuple[bytes, Value]]:
    return list(zip(split(digests), values, strict=True))


def split(digests: bytes) -> list[bytes]:
    """Return concatenated digests, 32 bytes each."""
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]


# Compression ---------------------------------------------------------------------------------

_DICTIONARY = zstandard.ZstdCompressionDict(DICTIONARY, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_DICTIONARY.precompute_compress(level=LEVEL)


class _ArrivalCodecs(threading.local):
    """zstd's state; each thread needs its own."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(
            level=LEVEL, dict_data=_DICTIONARY, write_dict_id=False
        ).compress
        self.decompress = zstandard.ZstdDecompressor(dict_data=_DICTIONARY).decompress


_CODECS = _ArrivalCodecs()


def compress(data: bytes) -> bytes:
    """Return `data` in zstd, with the dictionary of the store."""
    return _CODECS.compress(data)


def decompress(data: bytes) -> bytes:
    """Return what `compress` was given.

    Raises:
        ValueError: If `data` does not come from there.
    """
    try:
        return _CODECS.decompress(data)
    except (zstandard.ZstdError, MemoryError) as error:  # a damaged frame may claim any size
        raise ValueError(str(error)) from error
