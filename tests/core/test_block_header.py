"""Block headers: members, hash, targets with their edges, proof of work and work."""

from __future__ import annotations

import pytest

from mirror.core.block_header import (
    block_hash,
    difficulty_words,
    display_hash,
    parse_header,
    proven_hash,
    target,
    work,
)
from mirror.errors import FormatError
from tests.chains import EASIEST, chain, roots

pytestmark = pytest.mark.examples

GENESIS = bytes.fromhex(
    "01000000" + "00" * 32 + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    "29ab5f49ffff001d1dac2b7c"
)
"""The first header of Bitcoin."""


def test_the_first_header_of_bitcoin() -> None:
    header = parse_header(GENESIS)
    assert (header.version, header.previous, header.bits) == (1, bytes(32), 0x1D00FFFF)
    assert header.nonce == 2083236893
    assert header.time_text == "2009-01-03T18:15:05Z"
    assert display_hash(header.merkle_root).startswith("4a5e1e4baab89f3a32518a88c31bc87f618f7667")
    assert display_hash(block_hash(GENESIS)) == (
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    )
    assert proven_hash(GENESIS) == block_hash(GENESIS)


@pytest.mark.parametrize("length", [0, 79, 81])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(FormatError) as refused:
        parse_header(bytes(length))
    assert refused.value.code == "headers.shape"


@pytest.mark.parametrize(
    ("bits", "number"),
    [
        (0x00000000, None),
        (0x00123456, None),  # no byte of the number is left
        (0x01003456, None),
        (0x02000056, None),
        (0x03000000, None),
        (0x20000000, None),
        (0x01123456, 0x12),
        (0x02123456, 0x1234),
        (0x03123456, 0x123456),
        (0x04123456, 0x12345600),
        (0x05009234, 0x92340000),
        (0x1D00FFFF, 0xFFFF << 208),
        (0x20123456, 0x123456 << 232),
        (0x207FFFFF, 0x7FFFFF << 232),
        (0x01FEDCBA, None),  # negative
        (0x04923456, None),
        (0x00923456, None),
        (0x2100FFFF, 0xFFFF << 240),
        (0x220000FF, 0xFF << 248),
        (0x21010000, None),  # 257 bits
        (0x22000100, None),
        (0x23000001, None),
        (0xFF123456, None),
    ],
)
def test_targets_are_those_of_bitcoin(bits: int, number: int | None) -> None:
    """As in Bitcoin's own tests of compact numbers; negative, zero and too large: none."""
    assert target(bits) == number


def test_work_is_the_mean_number_of_hashes() -> None:
    assert work(EASIEST) == 2
    assert work(0x1D00FFFF) == 0x0100010001
    assert work(0x03000001) == 2**255
    with pytest.raises(ValueError, match="no target: 04923456"):
        work(0x04923456)


def test_every_bit_of_a_header_counts() -> None:
    """At a target that few hashes meet, no changed header has proof of work."""
    for bit in range(640):
        changed = bytearray(GENESIS)
        changed[bit // 8] ^= 1 << bit % 8
        if bit // 8 not in range(72, 76):  # another target may be easier
            assert proven_hash(bytes(changed)) is None
    impossible = (0x04923456).to_bytes(4, "little")
    assert proven_hash(GENESIS[:72] + impossible + GENESIS[76:]) is None


def test_a_chain_at_the_least_difficulty_is_described_as_such() -> None:
    first, second = chain(roots(2))
    assert parse_header(second).previous == block_hash(first)
    assert difficulty_words(work(EASIEST)) == (
        "difficulty 4.657e-10, about 2 hashes for a block: such a chain costs nothing to make"
    )


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x1E00FFFF, "difficulty 0.003906, about 1.678e+07 hashes for a block: any computer makes"),
        (0x1D00FFFF, "difficulty 1, about 4.295e+09 hashes for a block"),
        (0x1B0404CB, "difficulty 1.631e+04, about 7.004e+13 hashes for a block"),
    ],
)
def test_difficulty_in_words(bits: int, words: str) -> None:
    found = difficulty_words(work(bits))
    assert found.startswith(words)
    assert found.endswith("for a block") or bits == 0x1E00FFFF
