"""The codec of an arrival: facts are packed, compressed and read back."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.bundle import AliasClaim
from mirror.core.msgpack_values import pack
from mirror.store.arrival_codec import (
    ArrivalContents,
    compress,
    decompress,
    pack_contents,
    split,
    unpack_contents,
)
from mirror.store.zstd_dictionary import DICTIONARY
from tests import oracle
from tests.builders import Signer, make_bundle, make_event, make_record, payload_of
from tests.properties.strategies import json_values

RECORD, ALICE = make_record(), Signer("alice")

Facts = dict[bytes, bytes]
"""Packed values by the digest of their canonical bytes."""


def _facts(values: list[Any]) -> Facts:
    return {hashlib.sha256(oracle.canonical(value)).digest(): pack(value) for value in values}


def _packed(values: list[tuple[bytes, Any]]) -> Facts:
    return {digest: pack(value) for digest, value in values}


_claims = st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"))] * 3), max_size=3)


@given(_claims, st.lists(json_values(), max_size=5), st.lists(json_values(), max_size=20))
def test_any_facts_are_unpacked_as_they_were_packed(
    claims: list[tuple[str, str, str]], receipts: list[Any], events: list[Any]
) -> None:
    """To the type and the order of members, each with its digest, in their order."""
    said = [AliasClaim(*claim) for claim in claims]
    content = pack_contents(said, _facts(receipts), _facts(events))
    contents = unpack_contents(content)
    assert said == contents.claims
    assert all(type(claim) is AliasClaim for claim in contents.claims)
    assert list(_facts(receipts).items()) == list(_packed(contents.receipts).items())
    assert list(_facts(events).items()) == list(_packed(contents.events).items())
    for digest, value in (*contents.receipts, *contents.events):
        assert oracle.canonical(value) == contents.encode(value)
        assert hashlib.sha256(oracle.canonical(value)).digest() == digest


@pytest.mark.parametrize("kind", ["claims", "receipts", "events"])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 70_000])
def test_any_number_of_facts_is_unpacked(count: int, kind: str) -> None:
    """Facts of each kind alone; no facts take no bytes."""
    digests = [number.to_bytes(32, "big") for number in range(count)]
    facts = {digest: pack({"n": number}) for number, digest in enumerate(digests)}
    claims = [AliasClaim("arxiv", str(number), "") for number in range(count)]
    arguments: dict[str, tuple[list[AliasClaim], Facts, Facts]] = {
        "claims": (claims, {}, {}),
        "receipts": ([], facts, {}),
        "events": ([], {}, facts),
    }
    content = pack_contents(*arguments[kind])
    assert (content == b"") == (count == 0)
    contents = unpack_contents(content)
    found: list[Any] = getattr(contents, kind)
    if kind == "claims":
        assert claims == found
    else:
        assert [(digest, {"n": number}) for number, digest in enumerate(digests)] == found
    assert count == len(contents.claims) + len(contents.receipts) + len(contents.events)


def test_digests_are_split_every_32_bytes() -> None:
    """And what is left over is no digest, so that its value is missed."""
    assert split(b"") == []
    assert split(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
    assert split(b"a" * 33) == [b"a" * 32, b"a"]


# The format ----------------------------------------------------------------------------------

DICTIONARY_SHA256 = "fce3186f51a9a30e8e5052e1065fc60e002a8a422d54f3e778cef41ea1a52871"


WRITTEN = (
    "28b52ffd20c3b50500340a9591aa32343031312d3031543132c42074234e98afe7498fb5daf1f36ac2d78acc"
    "339464f950703b8c019892f982b90b91c0c4606b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c0"
    "1e52ddb7875b4bd0ff5974b6aa52cf562bea5921840c032a860a91a3512f7fe8f768f6bbe005f689d66b5dbc"
    "fcd42e092710c3ef995e399f50fbb939cff1094ad6511031fa3df49301cb3ff00082a16290a161a2cb8b0500"
    "0c9c90201b38208175c1ab0f92412c"
)
"""A content, compressed with that dictionary."""


def test_the_dictionary_never_changes() -> None:
    """The dictionary is part of the format: existing stores cannot be read with another one."""
    assert hashlib.sha256(DICTIONARY).hexdigest() == DICTIONARY_SHA256


def test_a_content_of_the_first_version_is_still_read() -> None:
    """Bytes that an earlier program wrote."""
    content = bytes.fromhex(WRITTEN)
    contents = unpack_contents(content)
    assert contents.claims == [AliasClaim("arxiv", "2401.00001", "2026-01-01T12:00:00Z")]
    assert [value for _, value in contents.receipts] == [None]
    assert [value for _, value in contents.events] == [1, 1.0, {"b": [], "a": "\u02cb"}]
    for digest, value in (*contents.receipts, *contents.events):
        assert hashlib.sha256(oracle.canonical(value)).digest() == digest


def test_the_dictionary_saves_space() -> None:
    """Most of a usual bundle is in it: half of what is left are digests and signatures."""
    event = make_event(RECORD, ALICE, "record_created", payload_of("record_created", RECORD, ALICE))
    facts = _facts([event])
    claims = [AliasClaim(**claim) for claim in make_bundle(RECORD)["source_aliases"]]
    with_digests = 32 + sum(map(len, facts.values()))
    assert 3 * len(pack_contents(claims, {}, facts)) < 2 * with_digests


# Damage --------------------------------------------------------------------------------------

SAMPLE = pack_contents(
    [AliasClaim("arxiv", "2401.00001", "2026-01-01T12:00:00Z")],
    _facts([None, {"kind": "x"}]),
    _facts([1, 1.0, "x", make_event(RECORD, ALICE, "x.y", {"a": [1, 2, 3]})]),
)


def _error_of(read: Callable[[bytes], object], data: bytes) -> type[BaseException] | None:
    try:
        read(data)
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return type(error)
    return None


def test_a_content_with_a_bit_changed_is_the_same_kind_of_error() -> None:
    """Wherever the bit is: something is read, or a ValueError or TypeError says that it is not."""
    for at in range(8 * len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[at // 8] ^= 1 << at % 8
        error = _error_of(unpack_contents, bytes(damaged))
        assert error is None or issubclass(error, (ValueError, TypeError)), (at, error)


def test_a_truncated_content_is_refused() -> None:
    """At whatever byte."""
    for end in range(1, len(SAMPLE)):
        with pytest.raises(ValueError):  # noqa: PT011 - that is all it says
            unpack_contents(SAMPLE[:end])


@pytest.mark.parametrize("size", [1 << 20, 1 << 33, 1 << 40, 1 << 62, (1 << 64) - 1])
def test_a_content_that_declares_a_huge_size_is_refused(size: int) -> None:
    """A few flipped bits in the head of a frame, and it speaks of more than there is memory."""
    frame = compress(b"x" * 300)
    huge = frame[:4] + b"\xe0" + size.to_bytes(8, "little") + frame[7:]
    with pytest.raises(ValueError):  # noqa: PT011 - that is all it says
        decompress(huge)


@pytest.mark.parametrize(
    "parts",
    [
        None,
        5,
        "parts",
        {},
        [],
        [[], b"", [], b""],
        [[], b"", [], b"", [], []],
        [[], b"", [], b"a" * 32, []],
        [[], b"", [], b"", [1]],
        [[], b"", [], b"a" * 33, [1]],
        [[], b"a" * 64, [1], b"", []],
        [[["arxiv"]], b"", [], b"", []],
        [[["a", "b", "c", "d"]], b"", [], b"", []],
        [[1], b"", [], b"", []],
        [1, b"", [], b"", []],
        [[], 1, [], b"", []],
        [[], b"", 1, b"", []],
        [[], b"", [], None, []],
        [[], b"", [], b"", None],
    ],
)
def test_another_compressed_value_is_refused(parts: Any) -> None:
    """Whatever else may be packed there."""
    error = _error_of(unpack_contents, compress(pack(parts)))
    assert error is not None
    assert issubclass(error, (ValueError, TypeError))


@given(json_values())
def test_any_other_value_is_refused(value: Any) -> None:
    """No JSON value is a content: a content has five parts, and two of them are bytes."""
    parts: Any = [value, b"", [], b"", [], 0]
    error = _error_of(unpack_contents, compress(pack(parts)))
    assert error is not None
    assert issubclass(error, (ValueError, TypeError))


@given(st.binary(max_size=200))
def test_compressed_bytes_are_decompressed_unchanged(data: bytes) -> None:
    """Any bytes, the dictionary or not."""
    assert data == decompress(compress(data))
    assert DICTIONARY + data == decompress(compress(DICTIONARY + data))


def test_the_same_facts_are_the_same_bytes() -> None:
    """Whatever was compressed before; and what is in it is in it."""
    order = random.Random(1)
    for _ in range(20):
        compress(order.randbytes(order.randrange(5000)))
        contents = unpack_contents(SAMPLE)
        again = pack_contents(contents.claims, _packed(contents.receipts), _packed(contents.events))
        assert again == SAMPLE
    assert contents != ArrivalContents([], [], [])
