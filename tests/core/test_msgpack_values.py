"""MessagePack from elsewhere is read as the JSON text that it stands for (V1, C4)."""

from __future__ import annotations

import importlib
import math
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirror.core import msgpack_values as packed_module
from mirror.core.msgpack_values import decode_packed, might_contain_float, pack, pack_list, unpack
from mirror.core.values import canonical, decode
from mirror.errors import FormatError
from tests import oracle
from tests.helpers import code_of
from tests.properties.strategies import json_values

LIMIT = 2**53 - 1

_T = TypeVar("_T")

_any_text = st.text(st.characters(codec="utf-8"), max_size=3)
_tricky = st.sampled_from(
    [0xCA, 0xCB, "\u0280", "\u02c0", "\u02cb\u02ca", "x" * 0xCA, "x" * 0xCB, [0] * 0xCB, LIMIT,
     -LIMIT, -1, -32, -33, 127, 128, 255, 256, 65535, 65536, 2**32, 1e22, -0.0, 5e-324, 1.5]
)  # fmt: skip


def _values() -> st.SearchStrategy[Any]:
    return json_values() | st.recursive(
        _tricky, lambda children: st.lists(children) | st.dictionaries(_any_text, children)
    )


def _by_each_library(read: Callable[[], _T]) -> list[_T]:
    """The results where each library in turn is the fastest."""
    results = []
    for codec in packed_module._codecs().values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packed_module, "_FASTEST", codec)
            results.append(read())
    return results


def _code(data: bytes) -> str | None:
    """The code that packed bytes are refused with, by every library, quickly and slowly alike."""
    code = code_of(lambda: packed_module._decode_strictly(data))
    assert {code} == {*_by_each_library(lambda: code_of(lambda: decode_packed(data)))}
    return code


# Libraries -----------------------------------------------------------------------------------


def test_the_fastest_library_is_used() -> None:
    """And all tests here are of both."""
    pytest.importorskip("ormsgpack")
    assert [*packed_module._codecs()] == ["msgpack", "ormsgpack"]
    assert packed_module._FASTEST == packed_module._codecs()["ormsgpack"]


def test_ormsgpack_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""

    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    assert [*packed_module._codecs()] == ["msgpack"]


@given(_values())
def test_every_library_gives_the_same_bytes_and_values(value: Any) -> None:
    """The contents of a store and of packed bags do not depend on what is installed."""
    packed = pack(value)
    assert {packed} == {*_by_each_library(lambda: pack(value))}
    for codec in packed_module._codecs().values():
        assert oracle.compact(value) == oracle.compact(codec.unpack(packed))


# What is read --------------------------------------------------------------------------------


@given(_values())
def test_a_packed_value_is_that_of_its_text(value: Any) -> None:
    """V1: the same value, types and order of members included."""
    assert decode_packed(canonical_packed(value)) == decode(canonical(value))
    assert canonical(value) == canonical(decode_packed(pack(value)))
    assert oracle.compact(value) == oracle.compact(decode_packed(pack(value)))
    assert oracle.compact(value) == oracle.compact(packed_module._decode_strictly(pack(value)))
    assert oracle.compact(value) == oracle.compact(unpack(pack(value)))


def canonical_packed(value: Any) -> bytes:
    """A value as MessagePack, its members sorted."""
    return pack(decode(canonical(value)))


def _longest(value: Any) -> bytes:
    """A value as MessagePack, every part of it in the longest form."""
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, bool) or value is None:
        return pack(value)
    if isinstance(value, int):
        return (
            b"\xcf" + struct.pack(">Q", value) if value >= 0 else b"\xd3" + struct.pack(">q", value)
        )
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(_longest, value))
    if isinstance(value, dict):
        members = [_longest(part) for member in value.items() for part in member]
        return b"\xdf" + struct.pack(">I", len(value)) + b"".join(members)
    return b"\xcb" + struct.pack(">d", value)


@given(_values())
def test_a_value_may_be_packed_in_a_longer_form(value: Any) -> None:
    """C4: other writers choose other lengths for the same."""
    assert oracle.compact(value) == oracle.compact(decode_packed(_longest(value)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xca\x3f\xc0\x00\x00", b"1.5"),
        (b"\xca\x80\x00\x00\x00", b"-0.0"),
        (b"\xcb" + struct.pack(">d", 1e-7), b"1e-07"),
        (b"\xcb" + struct.pack(">d", 2.0**53), b"9007199254740992.0"),
        (b"\xcf" + struct.pack(">Q", LIMIT), b"9007199254740991"),
        (b"\xd3" + struct.pack(">q", -LIMIT), b"-9007199254740991"),
        (b"\xd3" + struct.pack(">q", 5), b"5"),
        (b"\xd9\x01a", b'"a"'),
        (b"\xa2\xcb\x8b", b'"\xcb\x8b"'),
        (b"\xa2\xca\x8a", b'"\xca\x8a"'),
        (b"\x92\xcc\xcb\xcc\xca", b"[203,202]"),
        (b"\xd9\xca" + b"x" * 0xCA, b'"' + b"x" * 0xCA + b'"'),
        (b"\xdc\x00\x01\xde\x00\x00", b"[{}]"),
        (b"\x82\xa1b\x01\xa1a\x02", b'{"b":1,"a":2}'),
        (b"\x81\xa0\xc0", b'{"":null}'),
        (b"\xa1\x00", b'"\\u0000"'),
    ],
)
def test_packed_bytes_that_are_json(data: bytes, expected: bytes) -> None:
    """V1: floats of both sizes, long forms, and bytes that only look like a float's."""
    assert _code(data) is None
    assert expected == oracle.compact(decode_packed(data))


# What is refused -----------------------------------------------------------------------------

NAN, INFINITY = float("nan"), float("inf")

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "json.syntax"),
    "no type": (b"\xc1", "json.syntax"),
    "more than one": (b"\x01\x02", "json.syntax"),
    "more than one, the first long": (b"\xd9\x01a\x02", "json.syntax"),
    "a string cut off": (b"\xa5abc", "json.syntax"),
    "an array cut off": (b"\x92\x01", "json.syntax"),
    "a map cut off": (b"\x81\xa1a", "json.syntax"),
    "an integer cut off": (b"\xcf\x01", "json.syntax"),
    "a float cut off": (b"\xcb\x01", "json.syntax"),
    "an array of four thousand million": (b"\xdd\xff\xff\xff\xff", "json.syntax"),
    "a map of four thousand million": (b"\xdf\xff\xff\xff\xff", "json.syntax"),
    "a string of four thousand million": (b"\xdb\xff\xff\xff\xff", "json.syntax"),
    "bytes": (b"\xc4\x01a", "json.syntax"),
    "bytes within": (b"\x91\x81\xa1a\xc4\x00", "json.syntax"),
    "an extension": (b"\xd4\x05a", "json.syntax"),
    "a time": (b"\xd6\xff\x00\x00\x00\x01", "json.syntax"),
    "a time that is none": (b"\xd7\xff" + b"\xff" * 8, "json.syntax"),
    "not UTF-8": (b"\xa1\xff", "json.syntax"),
    "not UTF-8 in a name": (b"\x81\xa1\xff\x01", "json.syntax"),
    "a surrogate": (b"\xa3\xed\xa0\x80", "json.syntax"),
    "an overlong form": (b"\xa2\xc0\x80", "json.syntax"),
    "an integer as name": (b"\x81\x01\x01", "json.syntax"),
    "true as name": (b"\x81\xc3\x01", "json.syntax"),
    "null as name": (b"\x81\xc0\x01", "json.syntax"),
    "a float as name": (b"\x81\xcb" + struct.pack(">d", 1.5) + b"\x01", "json.syntax"),
    "NaN as name": (b"\x81\xcb" + struct.pack(">d", NAN) + b"\x01", "json.syntax"),
    "bytes as name": (b"\x81\xc4\x01a\x01", "json.syntax"),
    "an extension as name": (b"\x81\xd4\x05a\x01", "json.syntax"),
    "a list as name": (b"\x81\x91\x01\x01", "json.syntax"),
    "a map as name": (b"\x81\x80\x01", "json.syntax"),
    "a list as name, within": (b"\x91\x81\x90\x01", "json.syntax"),
    "one name twice": (b"\x82\xa1a\x01\xa1a\x01", "json.duplicate_key"),
    "one name twice, spelled otherwise": (b"\x82\xa1a\x01\xd9\x01a\x01", "json.duplicate_key"),
    "one name twice, within": (b"\x91\x81\xa1x\x82\xa0\x01\xa0\x02", "json.duplicate_key"),
    "one name twice, beside a float": (
        b"\x92\xca\x00\x00\x00\x00\x82\xa1a\x01\xa1a\x01",
        "json.duplicate_key",
    ),
    "NaN": (b"\xcb" + struct.pack(">d", NAN), "json.number"),
    "NaN, short": (b"\xca" + struct.pack(">f", NAN), "json.number"),
    "Infinity": (b"\xcb" + struct.pack(">d", INFINITY), "json.number"),
    "-Infinity, short, within": (
        b"\x81\xa1a\x91\xca" + struct.pack(">f", -INFINITY),
        "json.number",
    ),
    "2^53": (b"\xcf" + struct.pack(">Q", LIMIT + 1), "json.number"),
    "-2^53": (b"\xd3" + struct.pack(">q", -LIMIT - 1), "json.number"),
    "2^64-1": (b"\xcf" + b"\xff" * 8, "json.number"),
    "-2^63, within": (b"\x91\x81\xa1a\xd3\x80" + bytes(7), "json.number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_packed_bytes_outside_v1_are_refused_with_their_code(name: str) -> None:
    """V1: what JSON cannot say is `json.syntax`, all else has the code of the text."""
    data, code = REFUSED[name]
    assert code == _code(data)


@pytest.mark.parametrize(
    "data",
    [b"\x82\x01\x01\x01\x02", b"\x82\x01\x01\xc3\x01", b"\x82\xc0\x01\xc0\x02",
     b"\x82\xc4\x01a\x01\xc4\x01a\x01"],
)  # fmt: skip
def test_a_name_that_is_no_string_twice(data: bytes) -> None:
    """V1: where several codes apply, any of them."""
    assert _code(data) in {"json.duplicate_key", "json.syntax"}


@pytest.mark.parametrize("levels", [1, 32, 63, 64, 65, 66, 254, 255, 256, 511, 512, 1023, 1024])
@pytest.mark.parametrize(
    ("opening", "innermost"),
    [
        (b"\x91", b"\x90"),
        (b"\x81\xa1a", b"\x80"),
        (b"\x92\xcb" + bytes(8), b"\x90"),
        (b"\x92\xa1[", b"\x90"),
    ],
    ids=["lists", "maps", "floats", "brackets"],
)
def test_values_nest_at_most_64_deep(levels: int, opening: bytes, innermost: bytes) -> None:
    """V1 `json.depth`: lists and maps, with floats and without."""
    expected = None if levels <= 64 else "json.depth"
    assert expected == _code(opening * (levels - 1) + innermost)


@pytest.mark.parametrize("levels", [1025, 100_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a"], ids=["lists", "maps"])
def test_values_that_no_reader_can_hold_are_too_deep_as_well(levels: int, opening: bytes) -> None:
    """V1 `json.depth`: as their text is."""
    assert _code(opening * levels + b"\xc0") == "json.depth"


@given(_values(), st.data())
@example([1.5, {"a": 1}], None)
def test_damaged_bytes_are_read_alike_or_refused(value: Any, data: st.DataObject | None) -> None:
    """V1: quickly or slowly the same comes of them; and what is read, is JSON."""
    mutable = bytearray(pack(value))
    for _ in range(data.draw(st.integers(1, 3)) if data else 0):
        assert data is not None
        at = data.draw(st.integers(0, len(mutable)))
        new = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"\x81", b"\xc4", b"\xcb", b"\xd6"])
        )
        mutable[at : at + data.draw(st.integers(0, 2))] = new
    _assert_read_alike(bytes(mutable))


@given(st.binary(max_size=24))
def test_any_bytes_are_read_alike_or_refused(data: bytes) -> None:
    """V1: whatever they are."""
    _assert_read_alike(data)


def _assert_read_alike(data: bytes) -> None:
    if _code(data) is None:
        value = decode_packed(data)
        texts = _by_each_library(lambda: oracle.compact(decode_packed(data)))
        assert {oracle.compact(value)} == {*texts}
        assert oracle.compact(value) == oracle.compact(packed_module._decode_strictly(data))
        assert oracle.compact(value) == oracle.compact(oracle.parse(oracle.compact(value)))
        assert oracle.compact(value) == oracle.compact(decode_packed(pack(value)))


def test_a_refusal_has_a_reason() -> None:
    """V1: a person reads it."""
    with pytest.raises(FormatError, match=r"not one MessagePack value: .*extra data"):
        decode_packed(b"\x01\x02")
    with pytest.raises(FormatError, match="bytes is not a JSON type"):
        decode_packed(b"\xc4\x00")
    with pytest.raises(FormatError, match="a member name is not a string"):
        decode_packed(b"\x81\x01\x01")


# The store's own -----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 65535, 65536, 70_000])
def test_a_list_of_packed_values_is_the_packed_list(count: int) -> None:
    """Whatever its length."""
    items = list(range(count))
    assert items == unpack(pack_list([pack(item) for item in items]))


@given(st.lists(json_values(), max_size=20))
def test_any_list_of_packed_values_is_the_packed_list(values: list[Any]) -> None:
    """Whatever is in it."""
    assert oracle.compact(values) == oracle.compact(
        unpack(pack_list([pack(one) for one in values]))
    )


def test_damage_is_a_value_error() -> None:
    """A byte that begins nothing, and a value that is not all there."""
    with pytest.raises(ValueError, match="incomplete"):
        unpack(b"\x92\x01")
    with pytest.raises(ValueError, match=r"^$"):
        unpack(b"\xc1")


def test_a_float_in_an_object_is_read() -> None:
    """At any depth; one that is not finite is refused (V1)."""
    assert decode_packed(pack({"a": [{"b": 1.5}]})) == {"a": [{"b": 1.5}]}
    assert _code(pack({"a": [{"b": float("inf")}]})) == "json.number"


@given(st.binary(max_size=24))
@example(b"\xc1")
@example(b"\x81\x91\x01\x01")
@example(b"\x81\x80\x01")
@example(b"\xd7\xff" + b"\xff" * 8)
@example(b"\x91" * 2000)
def test_what_was_never_packed_is_a_value_error(data: bytes) -> None:
    """Nothing else comes of damage."""
    try:
        unpack(data)
    except ValueError:
        return
    assert msgpack.unpackb(data, strict_map_key=False) is not NotImplemented


_exponents = st.sampled_from([b"\x7f\xef", b"\x7f\xf0", b"\x7f\xff", b"\xff\xef", b"\xff\xf0"])


@given(_exponents | st.binary(min_size=2, max_size=2), st.binary(min_size=6, max_size=6))
@example(b"\x7f\xf0", bytes(6))
@example(b"\x7f\xef", b"\xff" * 6)
@example(b"\xff\xf0", bytes(5) + b"\x01")
def test_no_nan_and_no_infinity_is_read(exponent: bytes, rest: bytes) -> None:
    """V1: whichever of their many forms it has."""
    number = struct.unpack(">d", exponent + rest)[0]
    assert _code(b"\x81\xa1a\x91\xcb" + exponent + rest) == (
        None if math.isfinite(number) else "json.number"
    )


@pytest.mark.parametrize(
    "value", ["\u02cb\x7f", ["x" * 0xCB, 0x7FF0], [0xCB, 0x7FF0], [0xCB, {"": 0xFFFF}, -1]]
)
def test_bytes_that_only_look_like_an_infinity(value: Any) -> None:
    """V1: they are read the slow way, and no otherwise."""
    assert _code(pack(value)) is None
    assert value == decode_packed(pack(value))


@given(_values())
def test_a_float_is_never_overlooked(value: Any) -> None:
    """What may hold none, holds none."""
    text = oracle.compact(value)
    if not might_contain_float(pack(value)):
        assert text == oracle.compact(_without_floats(value))


def _without_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_floats(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_floats(item) for item in value]
    return None if isinstance(value, float) else value
