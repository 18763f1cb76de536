"""Texts at the edges of V1 to V4: which are JSON, and what their canonical bytes are."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mirror.engine.conformance.task import ConformanceTask

__all__ = ["FLOATS", "REFUSED_TEXTS", "text_cases"]

REFUSED_TEXTS: dict[str, tuple[bytes, ...]] = {
    "json.syntax": (
        b"", b" ", b"\n", b"\xef\xbb\xbf{}", b"\xff", b'"\xc0\x80"', b'"\xed\xa0\x80"',
        b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b"[01]", b"[-]", b"[+1]", b"[1.]", b"[.5]", b"[1e]",
        b"[1e+]", b"[0x1]", b"[1,]", b"[,1]", b'{"a":1,}', b"{a:1}", b"{'a':1}", b'{"a"}',
        b'{"a":}', b"[1 2]", b"[1]]", b"[1", b'{"a":1', b'"a', b'"\\x41"', b'"\\u00g0"', b'"\\u12"',
        b'"\t"', b'"\x00"', b'"\x1f"', b'"a\nb"', b"nul", b"True", b"undefined", b"{} {}",
        b"// a\n{}", b"[1]\x0b", b"\x00", b"\xc2\xa0[]", b"[1]\x00", b"{1:2}", b"[--1]", b"[1_0]",
        b"\xff\xfe{\x00}\x00", b"[\xef\xbc\x91]", b"[00]", b"[-01]", b"[1e5.0]", b"\x0c[]",
    ),
    "json.duplicate_key": (
        b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'[{"x":{"b":1,"c":2,"b":3}}]', b'{"":1,"":2}',
        b'{"\\ud83d\\ude00":1,"\xf0\x9f\x98\x80":2}', b'{"\\/":1,"/":2}',
    ),
    "json.number": (
        b"NaN", b"[Infinity]", b'{"a":-Infinity}', b"[1e400]", b"[-1e309]", b"[9007199254740992]",
        b"[-9007199254740992]", b"[100000000000000000000]", b"[1.8e308]",
        b"[1797693134862315808" + b"0" * 290 + b".0]", b"9" * 400,
    ),
    "json.surrogate": (
        b'"\\ud83d"', b'"\\ude00"', b'"\\ud83d\\ud83d"', b'"\\ude00\\ud83d"', b'{"\\udfff":1}',
        b'"\\ud83dx\\ude00"', b'"\\uD800\\u0041"',
    ),
    "json.depth": (b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65,
    b"[" * 5000 + b"]" * 5000),
}  # fmt: skip
"""Texts with one fault each, by the code of the fault."""

_ACCEPTED = (
    b"0", b"-0", b"-0.0", b"0.0", b"0e5", b"-0e0", b"null", b"true", b'""', b"[]", b"{}", b" {} ",
    b"\r\n\t [ 1 , 2 ]\n", b"[9007199254740991,-9007199254740991]", b"[9007199254740992.0]",
    b"[1e-400,-1e-400]", b'"\\ud83d\\ude00"', b'"\\uD83D\\uDE00"', b'"\\u0000\\u001f\\b\\f"',
    b'"\\u007f\\u2028\\u2029\\ufeff\\uffff"', b'"\\/\\"\\\\"', b"[" * 64 + b"]" * 64,
    b'{"a":' * 64 + b"1" + b"}" * 64, b"[1,1.0,true,1e0,1E0,1e+0,1E-0,10e-1]",
    b'{"b":{"d":1,"c":2},"a":[{"z":1,"y":2}]}', b'{"":0," ":1,"A":2,"a":3,"aa":4,"a\\u0000":5}',
    '{"\uff5e":1,"\U0001f600":2,"\u00e9":3,"e\u0301":4,"\ue000":5,"\ud7ff":6}'.encode(),
    b'{"10":1,"9":2,"1":3,"__proto__":4,"constructor":5,"toString":6,"hasOwnProperty":7}',
    b'{"-1":0,"0":1,"00":2,"4294967295":3,"length":4,"__defineGetter__":5}',
    '"\u00e9 e\u0301 \u212b \u00c5 \ufb01"'.encode(), b'"\\u00E9\\u0041\\n\\r\\t\\u000B\\u007F"',
)  # fmt: skip

FLOATS = (
    "1.0", "0.1", "1e-4", "9.999e-5", "1e-5", "1e15", "9999999999999998.0", "1e16", "1e21", "1e22",
    "1e23", "5e-324", "2.5e-324", "2.4703282292062328e-324", "1.7976931348623157e308", "4.9e-324",
    "1.7976931348623158e308", "2.2250738585072014e-308", "2.2250738585072011e-308", "1e-10",
    "123456789012345680.0", "1.2345678901234568e17", "9007199254740993.0", "9007199254740992.5",
    "9007199254740993.00000000000000000000000001", "0.30000000000000004", "2.0000000000000002e0",
    "1.00000000000000011102230246251565404236316680908203125", "100000000000000008192.0",
    "1.00000000000000011102230246251565404236316680908203124", "8.41e21", "9.5367431640625e-07",
    "1.00000000000000011102230246251565404236316680908203126", "5e-5", "0.00001234", "12345.678",
    "0.000123", "1E5", "1e+5", "100e-2", "-1.5e-7", "-123456.789e3", "4.35", "0.5", "2e0", "1e100",
    "17976931348623157e292", "0." + "0" * 330 + "1", "1" + "0" * 300 + ".0", "123e-7", "1.0e-5",
    "6.0221e23", "4503599627370496.5", "4503599627370497.5", "1125899906842624.125",
    "72057594037927945.0",
)  # fmt: skip
"""Spellings of floats, some of them halfway between two doubles."""


def text_cases() -> Iterator[ConformanceTask]:
    """Yield a task for each text."""
    for code, texts in REFUSED_TEXTS.items():
        for text in texts:
            yield _digest(f"a text that is refused: {code}", ("V1",), text)
    for text in _ACCEPTED:
        yield _digest("a text with odd values or names", ("V1", "V2", "V3"), text)
    for spelling in FLOATS:
        text = f"[{spelling},-{spelling.lstrip('-')}]".encode()
        yield _digest("a float in an odd spelling", ("V1", "V2"), text)
    characters = "".join(map(chr, [*range(0x20, 0x180), 0x7FF, 0x800, 0xD7FF, 0xE000, 0x10FFFF]))
    yield _digest(
        "escapes of characters", ("V2",), json.dumps([characters, {characters: 1}]).encode()
    )
    controls = "".join(map(chr, range(0x20)))
    yield _digest("control characters", ("V2",), json.dumps({controls: controls}).encode())
    yield _digest("a payload digest", ("V2", "V4"), b'{"payload":[]}')


def _digest(case: str, rules: tuple[str, ...], text: bytes) -> ConformanceTask:
    return ConformanceTask(kind="digest", case=case, rules=rules, text=text)
