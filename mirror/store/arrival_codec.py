"""What one bundle brought that was new, as it stands in the file: values as MessagePack, in zstd.

A content is written once and never changed. It holds, in this order: the alias claims; the
receipts' digests, then the receipts; the events' digests, then the events. A digest is that of
the value's canonical bytes, so that a fact is recognised without being decoded and encoded again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

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
"""Of zstd: quicker ones save little time and cost a quarter more space."""

DIGEST_BYTES = 32


class ArrivalContents(NamedTuple):
    """The facts of one arrival, each value with its digest."""

    claims: list[AliasClaim]
    receipts: list[tuple[bytes, Value]]
    events: list[tuple[bytes, Value]]
    encode: Callable[[Value], bytes] = canonical
    """Gives canonical bytes of values in it: the quicker way where no float is among them."""


def pack_contents(
    claims: Sequence[AliasClaim],
    receipts: Mapping[bytes, bytes],
    events: Mapping[bytes, bytes],
) -> bytes:
    """Return the content of an arrival as it is kept; of no facts, no bytes.

    Args:
        claims: The alias claims.
        receipts: The receipts as MessagePack, by digest.
        events: The events, likewise.
    """
    if not (claims or receipts or events):
        return b""
    parts = [
        pack(cast("Value", claims)),
        pack(cast("Value", b"".join(receipts))),
        pack_list(list(receipts.values())),
        pack(cast("Value", b"".join(events))),
        pack_list(list(events.values())),
    ]
    return compress(pack_list(parts))


def unpack_contents(content: bytes) -> ArrivalContents:
    """Return what `pack_contents` was given.

    Raises:
        ValueError: If `content` is nothing that it gives.
    """
    if not content:
        return ArrivalContents([], [], [])
    packed = decompress(content)
    parts = unpack(packed)
    if not isinstance(parts, list) or len(parts) != 5:
        raise ValueError("not the parts of a content")
    claims, receipt_digests, receipts, event_digests, events = cast("list[list[Value]]", parts)
    return ArrivalContents(
        [AliasClaim(*cast("list[str]", claim)) for claim in claims],
        _pairs(cast("bytes", cast("object", receipt_digests)), receipts),
        _pairs(cast("bytes", cast("object", event_digests)), events),
        canonical if might_contain_float(packed) else encode_integers,
    )


def _pairs(digests: bytes, values: list[Value]) -> list[tuple[bytes, Value]]:
    return list(zip(split(digests), values, strict=True))


def split(digests: bytes) -> list[bytes]:
    """Return digests that stand one after the other, 32 bytes each."""
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]


# Compression ---------------------------------------------------------------------------------

_DICTIONARY = zstandard.ZstdCompressionDict(DICTIONARY, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_DICTIONARY.precompute_compress(level=LEVEL)


class _ArrivalCodecs(threading.local):
    """zstd's own state, of which every thread needs one."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(
            level=LEVEL, dict_data=_DICTIONARY, write_dict_id=False
        ).compress
        self.decompress = zstandard.ZstdDecompressor(dict_data=_DICTIONARY).decompress


_CODECS = _ArrivalCodecs()


def compress(data: bytes) -> bytes:
    """Return `data` in zstd, with a dictionary of what bundles and states hold."""
    return _CODECS.compress(data)


def decompress(data: bytes) -> bytes:
    """Return what `compress` was given.

    Raises:
        ValueError: If `data` is nothing that it gives.
    """
    try:
        return _CODECS.decompress(data)
    except (zstandard.ZstdError, MemoryError) as error:  # a damaged frame may claim any size
        raise ValueError(str(error)) from error
