"""Reading and writing JSON: the fast way, the slow way, the oracle and Python agree (V1, V2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from mirror.core.values import (
    canonical,
    canonical_ascii,
    decode,
    decode_base64,
    decode_strictly,
    encode,
    equal,
    instant,
    nesting,
)
from mirror.errors import FormatError
from tests import oracle
from tests.properties.strategies import json_texts, json_values, mutated_texts, token_texts


@given(json_values())
def test_canonical_bytes_are_those_of_the_rule(value: Any) -> None:
    """V2: of `json.dumps`, of the hand-written oracle, and of the sorted copy."""
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert expected == canonical(value)
    assert expected == oracle.canonical(value)


@given(json_values())
def test_the_ascii_form_is_that_of_the_rule(value: Any) -> None:
    """V7: of `json.dumps`, and of the hand-written oracle; it is read back as the same value."""
    expected = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    assert expected == canonical_ascii(value)
    assert expected == oracle.canonical_ascii(value)
    assert equal(value, decode(expected))


@given(json_values())
def test_encoding_keeps_the_order_of_members(value: Any) -> None:
    """M13: spelled as V2 says."""
    expected = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    assert expected == encode(value)
    assert expected == oracle.compact(value)


@given(json_values())
def test_what_is_written_is_read_back(value: Any) -> None:
    """V1, V2: the same value, types and order of members included."""
    for data in (encode(value), canonical(value)):
        assert data == encode(decode(data))
        assert data == encode(decode_strictly(data))
        assert equal(value, decode(data))


def _outcome(read: Callable[[bytes], Any], data: bytes) -> bytes | None:
    """What was read, to the type and the order of members; None if it was refused."""
    try:
        return oracle.compact(read(data))
    except (FormatError, oracle.Refused):
        return None


def _assert_read_alike(data: bytes) -> None:
    expected = _outcome(oracle.parse, data)
    assert expected == _outcome(decode, data)
    assert expected == _outcome(decode_strictly, data)


@given(json_texts())
def test_every_spelling_is_read_alike(data: bytes) -> None:
    """V1: by all three readers, and none refuses it."""
    _assert_read_alike(data)
    assert oracle.compact(json.loads(data)) == encode(decode(data))


@given(mutated_texts())
@example(b'{"a":1,"a":1}')
@example(b"1e16")
@example(b"-0")
@example(b"[1.0,9007199254740992.0]")
@example(b"[-0.0,1e-7,1e22,100000000000000000000.0]")
@example(b'"\\ud83d\\ude00\\ud83d"')
@example(b"[" * 64 + b"]" * 64)
@example(b"[" * 65 + b"]" * 65)
@example(b'{"a":' * 254 + b"1" + b"}" * 254)
@example(b"[" * 1030 + b"]" * 1030)
def test_mutated_texts_are_read_alike(data: bytes) -> None:
    """V1: accepted by all three readers with one value, or refused by all."""
    _assert_read_alike(data)


@given(token_texts())
def test_texts_of_tokens_are_read_alike(data: bytes) -> None:
    """V1: what looks like JSON and seldom is."""
    _assert_read_alike(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_alike(data: bytes) -> None:
    """V1: whatever they are."""
    _assert_read_alike(data)


@given(json_values(), json_values())
def test_equal_means_equal_canonical_bytes(one: Any, other: Any) -> None:
    """V2: for any two values, and for a value and itself."""
    assert (oracle.canonical(one) == oracle.canonical(other)) == equal(one, other)
    assert equal(one, one)


@given(json_values())
def test_depth_is_what_brackets_show(value: Any) -> None:
    """V1: the most that are open at once, outside strings."""
    level = deepest = 0
    quoted = False
    text = json.dumps(value).replace("\\\\", "").replace('\\"', "")
    for char in text:
        quoted ^= char == '"'
        if not quoted:
            level += (char in "[{") - (char in "]}")
            deepest = max(deepest, level)
    assert deepest == nesting(canonical(value))


_digits = st.sampled_from("0123456789")
_two_digits = st.tuples(_digits, _digits).map("".join) | st.sampled_from(["23", "24", "59", "60"])
_times = st.builds(
    "{}{}-{}-{}T{}:{}:{}{}{}".format,
    *(_two_digits,) * 2,
    st.sampled_from(["00", "01", "02", "04", "12", "13"]),
    st.sampled_from(["00", "01", "28", "29", "30", "31", "32"]),
    *(_two_digits,) * 3,
    st.sampled_from(["", ".", ".0", ".123456", ".1234567", ",1"]),
    st.sampled_from(["Z", "+00:00", "z", "-00:00", "", "Z\n"]),
)


@given(_times | st.text("0123456789-:.TZ+ ", max_size=30))
def test_times_are_read_as_the_oracle_reads_them(text: str) -> None:
    """V5: the same instants, and the same texts refused."""
    assert oracle.instant(text) == instant(text)


@given(st.text("AEIMQUYZaz09+/=-_ \n\u00e9", max_size=13))
def test_base64_is_read_as_the_oracle_reads_it(text: str) -> None:
    """V6: the same bytes, and the same texts refused."""
    assert oracle.decode_base64(text) == decode_base64(text)
