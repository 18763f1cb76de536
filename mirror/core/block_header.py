"""Bitcoin block headers: their members, hash, proof of work, and the work that they cost.

A header has 80 bytes: version (4), hash of the header before it (32), Merkle root of the block
(32), time (4), compact target (4) and nonce (4); numbers are little-endian. Source: the reference
at https://developer.bitcoin.org/reference/block_chain.html. Nothing here knows a chain: there are
no checkpoints and no least difficulty.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from mirror.core.values import time_text
from mirror.errors import FormatError

__all__ = [
    "HEADER_BYTES",
    "MAX_HEIGHT",
    "BlockHeader",
    "block_hash",
    "difficulty_words",
    "display_hash",
    "parse_header",
    "proven_hash",
    "target",
    "work",
]

HEADER_BYTES = 80
MAX_HEIGHT = 2**32 - 1
"""The greatest height that is accepted; Bitcoin's reaches it in 80,000 years."""

_SIGN = 0x00800000
_DIFFICULTY_1 = 0xFFFF << 208
"""The target of difficulty 1, the unit of difficulty: compact 1d00ffff."""
_FREE = 2**20
"""Hashes that any computer makes in a second or two."""


class BlockHeader(NamedTuple):
    """The members of a header."""

    version: int
    previous: bytes
    """Hash of the header before it, 32 bytes."""
    merkle_root: bytes
    """32 bytes, in the order in which they are hashed."""
    time: int
    """Seconds since 1970-01-01T00:00:00Z: the miner's word, within some hours."""
    bits: int
    """The compact target."""
    nonce: int

    @property
    def time_text(self) -> str:
        """The time of the block in UTC (V5)."""
        return time_text(datetime.fromtimestamp(self.time, UTC))


def parse_header(data: bytes) -> BlockHeader:
    """Return the members of a header.

    Args:
        data: 80 bytes.

    Raises:
        FormatError: `headers.shape` for another length.
    """
    if len(data) != HEADER_BYTES:
        raise FormatError("headers.shape", f"a header has 80 bytes, and this has {len(data)}")
    version, time, bits, nonce = (
        int.from_bytes(data[start : start + 4], "little") for start in (0, 68, 72, 76)
    )
    return BlockHeader(version, data[4:36], data[36:68], time, bits, nonce)


def block_hash(data: bytes) -> bytes:
    """Return the hash of a header: SHA-256 twice, 32 bytes in the order of the next header."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def display_hash(digest: bytes) -> str:
    """Return a hash or Merkle root as people write it: hexadecimal, the last byte first."""
    return digest[::-1].hex()


@lru_cache(maxsize=4096)  # blocks in a row have the same
def target(bits: int) -> int | None:
    """Return the greatest hash that a compact target allows; None if it allows none.

    The first byte of `bits` is the length of the number in bytes, the others are its first three
    bytes, in which the highest bit is a sign. None is returned for a negative target, for zero,
    and for one of more than 256 bits, which Bitcoin refuses, too.
    """
    size, digits = bits >> 24, bits & 0x007FFFFF
    number = digits >> 8 * (3 - size) if size <= 3 else digits << 8 * (size - 3)
    is_negative = bits & _SIGN
    return None if is_negative or number == 0 or number >> 256 else number


def proven_hash(data: bytes) -> bytes | None:
    """Return the hash of a header with proof of work; None for a header without.

    The proof is that the hash, as a number, is at most the header's own target.
    """
    most, digest = target(int.from_bytes(data[72:76], "little")), block_hash(data)
    return None if most is None or int.from_bytes(digest, "little") > most else digest


def work(bits: int) -> int:
    """Return the number of hashes that a header with this compact target costs on average.

    Raises:
        ValueError: If no hash meets the target.
    """
    most = target(bits)
    if most is None:
        raise ValueError(f"no target: {bits:08x}")
    return 2**256 // (most + 1)


def difficulty_words(hashes: int) -> str:
    """Return the difficulty of a header in words, and what such a header costs.

    Args:
        hashes: `work` of its compact target, at least 1.
    """
    unit = 2**256 // (_DIFFICULTY_1 + 1)
    text = f"difficulty {hashes / unit:.4g}, about {hashes:.4g} hashes for a block"
    if hashes < _FREE:
        return f"{text}: such a chain costs nothing to make"
    if hashes < unit:
        return f"{text}: any computer makes such a chain"
    return text
