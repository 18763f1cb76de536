"""Strict JSON, canonical bytes, digests, times and base64 (V1 to V7)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mirror.core.profile import SignedContent
from mirror.core.values import (
    Value,
    ascii_form,
    canonical,
    canonical_ascii,
    decode,
    decode_base64,
    decode_strictly,
    encode,
    equal,
    hexdigest,
    instant,
    is_digest,
    is_integer,
    nesting,
    sha256,
    time_text,
)
from mirror.errors import FormatError
from tests import oracle
from tests.helpers import code_of
from tests.shared import lines, shared

Reader = Callable[[bytes], Value]

READERS = pytest.mark.parametrize("read", [decode, decode_strictly])
V1_CODES = {"json.syntax", "json.duplicate_key", "json.number", "json.surrogate", "json.depth"}

# V1 ------------------------------------------------------------------------------------------

REFUSED = [
    (b"", "json.syntax"),
    (b" \t\r\n", "json.syntax"),
    (b"1 2", "json.syntax"),
    (b"{} {}", "json.syntax"),
    (b"[1,]", "json.syntax"),
    (b'{"a":1,}', "json.syntax"),
    (b"{'a':1}", "json.syntax"),
    (b"{a:1}", "json.syntax"),
    (b"01", "json.syntax"),
    (b"+1", "json.syntax"),
    (b"1.", "json.syntax"),
    (b".5", "json.syntax"),
    (b"1e", "json.syntax"),
    (b"-", "json.syntax"),
    (b"0x10", "json.syntax"),
    (b"True", "json.syntax"),
    (b"nul", "json.syntax"),
    (b'"a', "json.syntax"),
    (b'"a\\', "json.syntax"),
    (b'"\\x41"', "json.syntax"),
    (b'"\\u00g0"', "json.syntax"),
    (b'"\\u 041"', "json.syntax"),
    (b'"\n"', "json.syntax"),
    (b'"\x00"', "json.syntax"),
    (b"/**/1", "json.syntax"),
    (b"[}", "json.syntax"),
    (b"]", "json.syntax"),
    (b"]" * 70 + b"[" * 70, "json.syntax"),
    (b"\x0c1", "json.syntax"),
    ("[\u00a01]".encode(), "json.syntax"),
    ("\u0661".encode(), "json.syntax"),
    (b"\xef\xbb\xbf1", "json.syntax"),
    (b"\xef\xbb\xbf", "json.syntax"),
    (b'"\xff"', "json.syntax"),
    (b'"\xc0\x80"', "json.syntax"),
    (b'"\xed\xa0\x80"', "json.syntax"),
    ("1".encode("utf-16"), "json.syntax"),
    (b'{"a":1,"a":1}', "json.duplicate_key"),
    (b'{"a":1,"\\u0061":2}', "json.duplicate_key"),
    (b'[{"x":{"":0,"":0}}]', "json.duplicate_key"),
    (b"NaN", "json.number"),
    (b"[Infinity]", "json.number"),
    (b'{"a":-Infinity}', "json.number"),
    (b"1e309", "json.number"),
    (b"-1e309", "json.number"),
    (b"1.8e308", "json.number"),
    (b"9007199254740992", "json.number"),
    (b"-9007199254740992", "json.number"),
    (b"[18446744073709551616]", "json.number"),
    (b"1" * 10_000, "json.number"),
    (b'"\\ud800"', "json.surrogate"),
    (b'"\\udc00"', "json.surrogate"),
    (b'"\\ud800\\u0041"', "json.surrogate"),
    (b'"\\ude00\\ud83d"', "json.surrogate"),
    (b'{"\\ud83d":"\\ude00"}', "json.surrogate"),
    (b'[{"a":1.5,"b":"\\uD800"}]', "json.surrogate"),
    (b"[" * 65 + b"]" * 65, "json.depth"),
    (b'{"a":' * 65 + b"1" + b"}" * 65, "json.depth"),
    (b'[{"a":' * 33 + b"1" + b"}]" * 33, "json.depth"),
    (b"[" * 100_000 + b"]" * 100_000, "json.depth"),
]


@READERS
@pytest.mark.parametrize(("text", "code"), REFUSED)
def test_a_text_outside_v1_is_refused_with_its_code(read: Reader, text: bytes, code: str) -> None:
    """V1: each fault has its code, read the fast way or the slow one."""
    assert code == code_of(lambda: read(text))


@READERS
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b" [ ] ", b"[]"),
        (b"\t\r\n{ }\n", b"{}"),
        (b"null", b"null"),
        (b"-0", b"0"),
        (b"[-0,0]", b"[0,0]"),
        (b"-0.0", b"-0.0"),
        (b"-0e0", b"-0.0"),
        (b"9007199254740991", b"9007199254740991"),
        (b"-9007199254740991", b"-9007199254740991"),
        (b"9007199254740993.0", b"9007199254740992.0"),
        (b"9007199254740992e0", b"9007199254740992.0"),
        (b"1e308", b"1e+308"),
        (b"1e-400", b"0.0"),
        (b"1E0", b"1.0"),
        (b'"\\ud83d\\uDE00"', '"\U0001f600"'.encode()),
        (b'"\\/\\u002f"', b'"//"'),
        (b'"\\\\ud800"', b'"\\\\ud800"'),
        (b'{"a":"{[","b":"\\"["}', b'{"a":"{[","b":"\\"["}'),
        (b"[" * 64 + b"]" * 64, b"[" * 64 + b"]" * 64),
        (b'"' + b"[" * 100 + b'"', b'"' + b"[" * 100 + b'"'),
        (b"[" + b"[]," * 99 + b"[]]", b"[" + b"[]," * 99 + b"[]]"),
    ],
)
def test_a_text_within_v1_is_read(read: Reader, text: bytes, expected: bytes) -> None:
    """V1: what was read, as V2 writes it."""
    assert expected == canonical(read(text))


@READERS
def test_a_number_with_a_point_or_an_exponent_is_a_float(read: Reader) -> None:
    """V1: no other number is one, and -0 is the integer 0."""
    numbers = read(b"[1,-0,1.0,1e0,1E0]")
    assert isinstance(numbers, list)
    assert [int, int, float, float, float] == [type(number) for number in numbers]


@READERS
def test_the_order_of_members_is_kept(read: Reader) -> None:
    """M13 rests on it: reading sorts nothing."""
    assert encode(read(b'{"b":1,"a":2}')) == b'{"b":1,"a":2}'


def test_a_refusal_names_the_position() -> None:
    """V1: line and column, or the byte, where they are known."""
    with pytest.raises(FormatError) as syntax:
        decode(b'{\n  "a": tru}')
    assert syntax.value.where == "line 2 column 8"
    with pytest.raises(FormatError) as utf8:
        decode(b'"ab\xff"')
    assert utf8.value.where == "byte 3"
    with pytest.raises(FormatError) as bom:
        decode(b"\xef\xbb\xbf{}")
    assert bom.value.hint == "save the file as UTF-8 without BOM"


def test_a_long_name_is_shortened_in_a_refusal() -> None:
    """V1: a message stays short, whatever the input."""
    name = b"x" * 1000
    with pytest.raises(FormatError) as refused:
        decode(b'{"' + name + b'":1,"' + name + b'":2}')
    assert len(refused.value.message) < 100


def _suite() -> list[Path]:
    return sorted(shared("corpora/jsontestsuite/test_parsing").iterdir())


REPEATED_NAMES = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


@READERS
def test_jsontestsuite(read: Reader) -> None:
    """V1: every y_ is read but those with a repeated name, every n_ refused, as the README says."""
    paths = _suite()
    assert len(paths) == 318
    for path in paths:
        data = path.read_bytes()
        code = code_of(lambda data=data: read(data))  # type: ignore[misc]
        if path.name in REPEATED_NAMES:
            assert code == "json.duplicate_key", path.name
        elif path.name.startswith("y_"):
            assert code is None, path.name
        elif path.name.startswith("n_"):
            assert code in V1_CODES, path.name


def test_jsontestsuite_is_read_alike_by_all() -> None:
    """V1: the fast way, the slow way and the oracle read the same values, i_ texts included."""
    for path in _suite():
        data = path.read_bytes()
        outcomes = [_outcome(read, data) for read in (decode, decode_strictly, oracle.parse)]
        assert outcomes[0] == outcomes[1] == outcomes[2], path.name


def _outcome(read: Callable[[bytes], Any], data: bytes) -> bytes | None:
    try:
        return oracle.compact(read(data))
    except (FormatError, oracle.Refused):
        return None


# V2 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        (True, b"true"),
        (False, b"false"),
        (0, b"0"),
        (-5, b"-5"),
        (2**53 - 1, b"9007199254740991"),
        (0.0, b"0.0"),
        (-0.0, b"-0.0"),
        (1.0, b"1.0"),
        (1.5, b"1.5"),
        (0.1, b"0.1"),
        (0.0001, b"0.0001"),
        (0.00012345, b"0.00012345"),
        (0.0000999, b"9.99e-05"),
        (0.00001, b"1e-05"),
        (1e-7, b"1e-07"),
        (1e-10, b"1e-10"),
        (5e-324, b"5e-324"),
        (1e15, b"1000000000000000.0"),
        (9999999999999998.0, b"9999999999999998.0"),
        (1e16, b"1e+16"),
        (1.5e16, b"1.5e+16"),
        (1e21, b"1e+21"),
        (1e22, b"1e+22"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (2.0**53, b"9007199254740992.0"),
        (100.0, b"100.0"),
        ([1, 1.0, True], b"[1,1.0,true]"),
        ({"a": -1e-5}, b'{"a":-1e-05}'),
        ([1e-7], b"[1e-07]"),
        ([[-1e16]], b"[[-1e+16]]"),
        ([0, 1e-7], b"[0,1e-07]"),
        ("1.5", b'"1.5"'),
        (['"', ",1.5"], b'["\\"",",1.5"]'),
        ('"\\/', b'"\\"\\\\/"'),
        ("\b\f\n\r\t", b'"\\b\\f\\n\\r\\t"'),
        ("\x00\x01\x0b\x1f", b'"\\u0000\\u0001\\u000b\\u001f"'),
        ("\x7f\x80\u2028\u2029", '"\x7f\x80\u2028\u2029"'.encode()),
        ("é\U0001f600\uffff", '"é\U0001f600\uffff"'.encode()),
        ([], b"[]"),
        ({}, b"{}"),
        ({"b": 1, "a": {"d": [], "c": {}}}, b'{"a":{"c":{},"d":[]},"b":1}'),
        ([{"z": 0, "A": 0, "a": 0, "": 0}], b'[{"":0,"A":0,"a":0,"z":0}]'),
        ({"a": 1, "aa": 1, "a\x00": 1}, b'{"a":1,"a\\u0000":1,"aa":1}'),
    ],
)
def test_canonical_bytes(value: Value, expected: bytes) -> None:
    """V2: sorted names, no white space, floats as `repr`, nothing escaped that need not be."""
    assert expected == canonical(value)
    assert expected == oracle.canonical(value)


def test_names_are_sorted_by_code_point_and_not_by_utf16_unit() -> None:
    """V2: U+FFFD comes before U+1F600, which RFC 8785 has the other way round."""
    expected = '{"\ufffd":1,"\uffff":2,"\U0001f600":3}'.encode()
    shuffled: Value = {"\U0001f600": 3, "\uffff": 2, "\ufffd": 1}
    assert expected == canonical(shuffled)
    with_float: Value = {"\U0001f600": 3.5, "\ufffd": 1}
    assert '{"\ufffd":1,"\U0001f600":3.5}'.encode() == canonical(with_float)


def test_canonical_bytes_are_those_of_python() -> None:
    """V2 is defined by a call of `json.dumps`."""
    value: Value = {"b": [1.5, "\x1f\u2028", None], "a": {"\U0001f600": 1e-7, "\ufffd": 2**53 - 1}}
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert expected.encode() == canonical(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("~", b'"~"'),
        ("\x7f", b'"\\u007f"'),
        ("\x80\xe9\uffff", b'"\\u0080\\u00e9\\uffff"'),
        ("\U00010000\U0001f600\U0010ffff", b'"\\ud800\\udc00\\ud83d\\ude00\\udbff\\udfff"'),
        ('\b\x00\x1f"\\/', b'"\\b\\u0000\\u001f\\"\\\\/"'),
        ("\\\x7f", b'"\\\\\\u007f"'),
        (
            {"\U0001f600": 1, "\uff5e": [1e-7, {"\x7f": None}], "~": 2},
            b'{"~":2,"\\uff5e":[1e-07,{"\\u007f":null}],"\\ud83d\\ude00":1}',
        ),
    ],
)
def test_the_ascii_form(value: Value, expected: bytes) -> None:
    """V7: names sorted by code point before anything is escaped; all beyond `~` is escaped."""
    assert expected == canonical_ascii(value)
    assert expected == oracle.canonical_ascii(value)
    assert expected == json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def test_the_ascii_form_of_ascii_is_the_canonical_bytes() -> None:
    """V7: for pure ASCII it equals V2; parts of a text are escaped as the whole is."""
    value: Value = {"b": ["a", 1.5], "a": "\n"}
    assert canonical(value) == canonical_ascii(value)
    parts = [canonical("\xe9"), b",", canonical("\U0001f600")]
    assert ascii_form(b"".join(parts)) == b"".join(map(ascii_form, parts))


def test_encode_keeps_the_order_of_members() -> None:
    """M13: as V2 spells it, members in the order they have, with and without floats."""
    assert encode({"b": 1, "a": ["\x1f"]}) == b'{"b":1,"a":["\\u001f"]}'
    assert encode({"b": 1e-7, "a": [1e16]}) == b'{"b":1e-07,"a":[1e+16]}'


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (1.0, True, False),
        (0, False, False),
        (0, None, False),
        (0.0, -0.0, False),
        ("1", 1, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": [1]}, {"a": [1.0]}, False),
        ([1, 2], [2, 1], False),
        ({}, [], False),
        ("\u00e9", "e\u0301", False),
    ],
)
def test_values_are_equal_if_their_canonical_bytes_are(
    one: Value, other: Value, *, expected: bool
) -> None:
    """V2: 1, 1.0 and true all differ."""
    assert expected == equal(one, other)
    assert expected == equal(other, one)


def test_true_is_no_integer() -> None:
    """V2: Python counts it as one."""
    assert [is_integer(value) for value in (0, -1, True, False, 1.0, "1")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 0), ("[[", 0), ([], 1), ({}, 1), ({"a": [1]}, 2), ([[], [[]], {"a": {"b": {}}}], 4)],
)
def test_depth_counts_nested_arrays_and_objects(value: Value, expected: int) -> None:
    """V1, E1: a scalar is 0 deep, an array or object without any other 1."""
    assert expected == nesting(canonical(value))


# V3, V4 --------------------------------------------------------------------------------------

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
EMPTY_LIST = "258153158e38e3291e3d48162225fcdb2d5a3ed65a07baac614ab91432fd4f57"


def test_a_digest_is_sha256_in_lowercase_hexadecimal() -> None:
    """V3 (FIPS 180-4's example)."""
    assert hexdigest(b"abc") == ABC
    assert bytes.fromhex(ABC) == sha256(b"abc")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ABC, True),
        (ABC.upper(), False),
        (ABC[:-1], False),
        (ABC + "0", False),
        (ABC + "\n", False),
        (ABC[:-1] + "g", False),
        (ABC[:-1] + "\u0661", False),
        ("", False),
        (None, False),
        (0, False),
    ],
)
def test_what_is_printed_as_a_digest(value: Value, *, expected: bool) -> None:
    """V3: 64 lowercase hexadecimal digits and nothing else."""
    assert expected == is_digest(value)


def test_the_payload_digest_of_the_empty_list() -> None:
    """V4's constant."""
    text = SignedContent("payload", wrapped=True).text({"p": []}, "/p")
    assert text is not None
    assert hexdigest(text) == EMPTY_LIST


def test_real_graph_snapshots_show_the_payload_digest() -> None:
    """V4: every empty list of a real snapshot has the constant, and there are some."""
    snapshots = lines("real/graph_snapshots.jsonl")
    found = [part for snapshot in snapshots for part in snapshot.values() if _is_listing(part)]
    empty = [part["snapshot_sha256"] for part in found if part["items"] == []]
    assert [EMPTY_LIST] * len(empty) == empty
    assert empty != []


def _is_listing(part: Any) -> bool:
    return isinstance(part, dict) and "snapshot_sha256" in part and "items" in part


# V5 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00+00:00", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.1+00:00", 100_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1969-12-31T23:59:59Z", -1_000_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ("2024-02-29T23:59:59.999999Z", 1_709_251_199_999_999),
        ("2026-05-18T00:50:51.863748Z", 1_779_065_451_863_748),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999+00:00", 253_402_300_799_999_999),
    ],
)
def test_a_time_is_an_instant_in_microseconds(text: str, expected: int) -> None:
    """V5: both endings, fractions of one to six digits, dates that exist."""
    assert expected == instant(text)
    assert expected == oracle.instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2023-04-31T00:00:00Z",
        "2023-00-01T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-01-00T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "999-01-01T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T23:60:00Z",
        "2016-12-31T23:59:60Z",
        "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00.1234567Z",
        "2023-01-01T00:00:00,5Z",
        "2023-01-01T00:00:00",
        "2023-01-01T00:00:00z",
        "2023-01-01t00:00:00Z",
        "2023-01-01 00:00:00Z",
        "2023-01-01T00:00:00-00:00",
        "2023-01-01T00:00:00+01:00",
        "2023-01-01T00:00:00+0000",
        "2023-01-01T00:00:00 Z",
        " 2023-01-01T00:00:00Z",
        "2023-01-01T00:00:00Z\n",
        "2023-01-01T00:00:00Z ",
        "2023-01-01T00:00Z",
        "20230101T000000Z",
        "2023-1-1T00:00:00Z",
        "-2023-01-01T00:00:00Z",
        "\u0662023-01-01T00:00:00Z",
        "202\u0663-01-01T00:00:00Z",
        "2023-W01-1T00:00:00Z",
    ],
)
def test_texts_that_are_not_times(text: str) -> None:
    """V5: one pattern, hours to 23, seconds to 59, years from 0001, and ASCII digits."""
    assert instant(text) is None
    assert oracle.instant(text) is None


@pytest.mark.parametrize("value", [None, 0, 1.5, True, [], {}, ["2023-01-01T00:00:00Z"]])
def test_a_time_is_a_string(value: Value) -> None:
    """V5."""
    assert instant(value) is None


# V6 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("YQ==", b"a"), ("YWI=", b"ab"), ("YWJj", b"abc"), ("+/+/", b"\xfb\xff\xbf"), ("AA==", b"\0")],
)
def test_strict_base64_is_read(text: str, expected: bytes) -> None:
    """V6: RFC 4648 section 4."""
    assert expected == decode_base64(text)
    assert expected == oracle.decode_base64(text)


@pytest.mark.parametrize("length", range(1, 70))
def test_base64_of_any_length_is_read(length: int) -> None:
    """V6: from one byte up."""
    raw = bytes(range(length))
    assert raw == decode_base64(base64.b64encode(raw).decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "==",
        "====",
        "Y",
        "YQ",
        "YQ=",
        "YQ===",
        "YQ====",
        "YR==",
        "YWI",
        "YWJ=",
        "YWJj=",
        "YQ==\n",
        "\nYQ==",
        " YQ==",
        "Y Q==",
        "YW\nJj",
        "_-==",
        "-_-_",
        "YQ==YQ==",
        "Y=Q=",
        "=YQ=",
        "YQ.=",
        "YQ\u00e9=",
        "\uff39\uff31==",
    ],
)
def test_other_base64_is_refused(text: str) -> None:
    """V6: padding, unused bits zero, no white space, no other alphabet, at least one byte."""
    assert decode_base64(text) is None
    assert oracle.decode_base64(text) is None


@pytest.mark.parametrize("value", [None, 0, True, [], {}, ["YQ=="]])
def test_base64_is_a_string(value: Value) -> None:
    """V6."""
    assert decode_base64(value) is None


def test_every_unused_bit_of_base64_must_be_zero() -> None:
    """V6: of the sixteen spellings of one byte and the four of two, one is strict."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    one = [letter for letter in letters if decode_base64(f"A{letter}==") is not None]
    two = [letter for letter in letters if decode_base64(f"AA{letter}=") is not None]
    assert one == ["A", "Q", "g", "w"]
    assert list("AEIMQUYcgkosw048") == two


def test_times_of_our_own_have_one_spelling() -> None:
    """UTC with `Z`, whatever the zone was, and no fraction or six digits of it (V5)."""
    at = datetime(2026, 11, 30, 1, 2, 3, 40, tzinfo=timezone(timedelta(hours=2)))
    assert "2026-11-29T23:02:03Z" == time_text(at)
    assert "2026-11-29T23:02:03.000040Z" == time_text(at, microseconds=True)
    assert instant(time_text(at, microseconds=True)) == int(at.timestamp() * 1_000_000)
