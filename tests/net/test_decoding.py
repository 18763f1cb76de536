"""Compressed bodies: in any pieces, several members, damage, truncation, bombs."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mirror.errors import UpstreamError
from mirror.net.decoding import decoded
from mirror.net.errors import TransientError

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
CODINGS = sorted(COMPRESS)
TEXT = b"".join(b'{"line": %d}\n' % number for number in range(20_000))


def unpack(data: bytes, coding: str, size: int = 65536) -> bytes:
    """Decode what comes in pieces of a size."""
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(decoded(chunks, coding))


@pytest.mark.parametrize("size", [1, 7, 256, 65536])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_is_what_was_compressed(coding: str, size: int) -> None:
    """This is so for any division into pieces."""
    assert unpack(COMPRESS[coding](TEXT), coding, size) == TEXT


@pytest.mark.parametrize("coding", CODINGS)
@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 50))
def test_members_and_frames_one_after_the_other_are_one_body(
    coding: str, parts: list[bytes], size: int
) -> None:
    """Empty members and frames are allowed."""
    packed = b"".join(map(COMPRESS[coding], parts))
    assert unpack(packed, coding, size) == b"".join(parts)


@pytest.mark.parametrize("length", [65535, 65536, 65537, 65536 * 3, 65536 * 3 + 258])
def test_no_byte_is_held_back_at_the_edge_of_a_piece(length: int) -> None:
    """The library may have consumed all input and still hold output."""
    assert unpack(gzip.compress(b"a" * length), "gzip") == b"a" * length


@pytest.mark.parametrize("name", ["gzip", "GZIP", " x-gzip "])
def test_names_of_codings_have_several_spellings(name: str) -> None:
    """RFC 9110 section 8.4.1."""
    assert unpack(gzip.compress(b"text"), name) == b"text"


@pytest.mark.parametrize("name", ["", "identity"])
def test_a_body_without_a_coding_is_unchanged(name: str) -> None:
    """An empty name and `identity` mean no coding."""
    assert unpack(b"text", name) == b"text"


@pytest.mark.parametrize("name", ["br", "deflate", "gzip, gzip", "compress", "\u00fc"])
def test_a_coding_that_was_not_requested_is_refused(name: str) -> None:
    """Two nested codings are refused, too."""
    with pytest.raises(UpstreamError, match="not requested"):
        decoded([b""], name)


@pytest.mark.parametrize("coding", CODINGS)
def test_an_empty_body_needs_no_member(coding: str) -> None:
    """Servers send Content-Encoding with empty bodies."""
    assert unpack(b"", coding) == b""


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("cut", [1, 5, 9, 100])
def test_a_truncated_body_is_refused(coding: str, cut: int) -> None:
    """The error allows a retry: the next body may be complete."""
    with pytest.raises(TransientError) as caught:
        unpack(COMPRESS[coding](TEXT)[:-cut], coding)
    assert caught.value.error.code == "upstream.truncated"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("damage", ["other", "flipped", "after"])
def test_a_damaged_body_is_refused(coding: str, damage: str) -> None:
    """It may be another format, or have a flipped bit or bytes after the end."""
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
    packed = packed if coding == "zstd" else gzip.compress(TEXT)
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes([packed[middle] ^ 64]) + packed[middle + 1 :]
    data = {"other": b"<html>", "flipped": flipped, "after": packed + b"more"}[damage]
    with pytest.raises(UpstreamError) as caught:
        unpack(data, coding)
    assert caught.value.code == "upstream.encoding"


def test_a_frame_that_asks_for_much_memory_is_refused() -> None:
    """RFC 9659 section 3: 8 MiB is the largest window on the web."""
    options = zstandard.ZstdCompressionParameters(window_log=24)
    packer = zstandard.ZstdCompressor(compression_params=options).compressobj()
    data = packer.compress(random.Random(1).randbytes(20_000)) + packer.flush()
    with pytest.raises(UpstreamError, match="damaged"):
        unpack(data, "zstd")


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compression_bomb_is_unpacked_in_small_pieces(coding: str) -> None:
    """A caller that counts bytes can stop in time."""
    bomb = COMPRESS[coding](bytes(100_000_000))
    tracemalloc.start()
    first = next(iter(decoded([bomb], coding)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < len(first) < 15_000_000
    assert peak < 32_000_000
