"""Chains of block headers that cost nothing to make: the difficulty of Bitcoin's regtest."""

from __future__ import annotations

from collections.abc import Iterable

from mirror.core.block_header import block_hash, proven_hash

EASIEST = 0x207FFFFF
"""The compact target of regtest: every second hash meets it."""
FIRST_TIME = 1_780_000_000
"""2026-05-28T20:26:40Z, the time of the first block."""


def header(previous: bytes, root: bytes, time: int, bits: int = EASIEST) -> bytes:
    """A header with proof of work."""
    head = b"".join(
        [
            (4).to_bytes(4, "little"),
            previous,
            root,
            *(n.to_bytes(4, "little") for n in (time, bits)),
        ]
    )
    for nonce in range(1 << 32):
        made = head + nonce.to_bytes(4, "little")
        if proven_hash(made) is not None:
            return made
    raise AssertionError("no nonce")


def chain(
    roots: Iterable[bytes], previous: bytes = bytes(32), time: int = FIRST_TIME, bits: int = EASIEST
) -> list[bytes]:
    """Headers in a row, ten minutes apart, one for each Merkle root."""
    made: list[bytes] = []
    for number, root in enumerate(roots):
        made.append(header(previous, root, time + 600 * number, bits))
        previous = block_hash(made[-1])
    return made


def roots(count: int, start: int = 0) -> list[bytes]:
    """Merkle roots that differ."""
    return [number.to_bytes(32, "big") for number in range(start + 1, start + count + 1)]
