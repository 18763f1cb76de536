"""Strict JSON (V1), canonical bytes (V2, V7), times (V5), strict base64 (V6), written by hand."""

from __future__ import annotations

import datetime as dt
import math
import re
from functools import lru_cache
from typing import Any

MAX_DEPTH = 64  # V1
MAX_INTEGER = 2**53 - 1  # V1

HEX_DIGITS = "0123456789abcdefABCDEF"
BASE64_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

SPACE = re.compile(r"[ \t\n\r]*")
PLAIN_CHARACTERS = re.compile(r'[^"\\\x00-\x1f]*')


class Refused(Exception):  # noqa: N818
    """Input that a rule refuses, with the code of that rule."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


# V1


class _Reader:
    """A recursive descent parser; recursion is no deeper than MAX_DEPTH."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """The next character, or the empty string at the end."""
        if self.at < len(self.text):
            return self.text[self.at]
        return ""

    def skip_space(self) -> None:
        self.pass_over(SPACE)

    def pass_over(self, pattern: re.Pattern[str]) -> str:
        """Go on behind what fits a pattern that may be empty; return that."""
        start = self.at
        self.at += len(pattern.match(self.text, start)[0])  # type: ignore[index]
        return self.text[start : self.at]

    def expect(self, word: str) -> None:
        if not self.text.startswith(word, self.at):
            raise Refused("json.syntax")
        self.at += len(word)

    def value(self, depth: int) -> Any:
        """One value without the space around it; `depth` arrays and objects are open."""
        char = self.peek()
        if char == "{":
            return self.object(depth + 1)
        if char == "[":
            return self.array(depth + 1)
        if char == '"':
            return self.string()
        if char == "t":
            self.expect("true")
            return True
        if char == "f":
            self.expect("false")
            return False
        if char == "n":
            self.expect("null")
            return None
        if char == "N":
            self.expect("NaN")
            raise Refused("json.number")
        if char == "I":
            self.expect("Infinity")
            raise Refused("json.number")
        if char != "" and char in "-0123456789":
            return self.number()
        raise Refused("json.syntax")

    def object(self, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise Refused("json.depth")
        result: dict[str, Any] = {}
        self.expect("{")
        self.skip_space()
        if self.peek() == "}":
            self.at += 1
            return result
        while True:
            self.skip_space()
            name = self.string()
            if name in result:
                raise Refused("json.duplicate_key")
            self.skip_space()
            self.expect(":")
            self.skip_space()
            result[name] = self.value(depth)
            self.skip_space()
            if self.peek() == "}":
                self.at += 1
                return result
            self.expect(",")

    def array(self, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise Refused("json.depth")
        result: list[Any] = []
        self.expect("[")
        self.skip_space()
        if self.peek() == "]":
            self.at += 1
            return result
        while True:
            self.skip_space()
            result.append(self.value(depth))
            self.skip_space()
            if self.peek() == "]":
                self.at += 1
                return result
            self.expect(",")

    def string(self) -> str:
        self.expect('"')
        parts: list[str] = []
        while True:
            parts.append(self.pass_over(PLAIN_CHARACTERS))
            char = self.peek()
            if char == "" or ord(char) < 0x20:
                raise Refused("json.syntax")
            self.at += 1
            if char == '"':
                return "".join(parts)
            escape = self.peek()
            self.at += 1
            if escape in ['"', "\\", "/"]:
                parts.append(escape)
            elif escape == "b":
                parts.append("\b")
            elif escape == "f":
                parts.append("\f")
            elif escape == "n":
                parts.append("\n")
            elif escape == "r":
                parts.append("\r")
            elif escape == "t":
                parts.append("\t")
            elif escape == "u":
                parts.append(self.escaped_code_point())
            else:
                raise Refused("json.syntax")

    def escaped_code_point(self) -> str:
        """What follows a backslash and u, with the second half of a surrogate pair."""
        unit = self.four_hex_digits()
        if 0xDC00 <= unit <= 0xDFFF:
            raise Refused("json.surrogate")
        if 0xD800 <= unit <= 0xDBFF:
            if self.text[self.at : self.at + 2] != "\\u":
                raise Refused("json.surrogate")
            self.at += 2
            second = self.four_hex_digits()
            if not 0xDC00 <= second <= 0xDFFF:
                raise Refused("json.surrogate")
            return chr(0x10000 + (unit - 0xD800) * 0x400 + (second - 0xDC00))
        return chr(unit)

    def four_hex_digits(self) -> int:
        digits = self.text[self.at : self.at + 4]
        if len(digits) != 4:
            raise Refused("json.syntax")
        for digit in digits:
            if digit not in HEX_DIGITS:
                raise Refused("json.syntax")
        self.at += 4
        return int(digits, 16)

    def number(self) -> int | float:
        start = self.at
        if self.text[self.at : self.at + 9] == "-Infinity":
            raise Refused("json.number")
        while self.peek() != "" and self.peek() in "+-.eE0123456789":
            self.at += 1
        token = self.text[start : self.at]
        if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", token) is None:
            raise Refused("json.syntax")
        if "." in token or "e" in token or "E" in token:
            number = float(token)
            if math.isinf(number) or math.isnan(number):
                raise Refused("json.number")
            return number
        # No integer in the range has more than 16 digits, and int() minds very long ones.
        if len(token) > 17:
            raise Refused("json.number")
        integer = int(token)
        if integer > MAX_INTEGER or integer < -MAX_INTEGER:
            raise Refused("json.number")
        return integer


def parse(data: bytes) -> Any:
    """The value of a strict JSON text (V1), or Refused."""
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Refused("json.syntax") from None
    if text.startswith("\ufeff"):
        raise Refused("json.syntax")
    reader = _Reader(text)
    reader.skip_space()
    value = reader.value(0)
    reader.skip_space()
    if reader.peek() != "":
        raise Refused("json.syntax")
    return value


# V2


ESCAPES = {
    **{chr(code): "\\u" + format(code, "04x") for code in range(0x20)},
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
ESCAPED = str.maketrans(ESCAPES)


@lru_cache(maxsize=100_000)  # the same few strings stand in nearly all that tests make
def _write_string(text: str) -> str:
    return '"' + text.translate(ESCAPED) + '"'


def _write_scalar(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _write_string(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if math.isinf(value) or math.isnan(value):
            raise ValueError("not a JSON number")
        return float.__repr__(value)
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def canonical(value: Any) -> bytes:
    """Canonical bytes (V2)."""
    return _canonical_text(value).encode("utf-8")


def _canonical_text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join([_canonical_text(item) for item in value]) + "]"
    if isinstance(value, dict):
        # By Unicode code point, as Python compares strings.
        members = [
            _write_string(name) + ":" + _canonical_text(value[name]) for name in sorted(value)
        ]
        return "{" + ",".join(members) + "}"
    return _write_scalar(value)


def canonical_ascii(value: Any) -> bytes:
    """The ASCII form (V7), from the canonical bytes, character by character."""
    out = ""
    for char in canonical(value).decode("utf-8"):
        code = ord(char)
        if code > 0xFFFF:
            code -= 0x10000
            out += "\\u" + format(0xD800 + code // 0x400, "04x")
            out += "\\u" + format(0xDC00 + code % 0x400, "04x")
        elif code > 0x7E:
            out += "\\u" + format(code, "04x")
        else:
            out += char
    return out.encode("ascii")


def compact(value: Any) -> bytes:
    """The same with members in the order they stand in (M13)."""
    return _compact_text(value).encode("utf-8")


def _compact_text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join([_compact_text(item) for item in value]) + "]"
    if isinstance(value, dict):
        members = [_write_string(name) + ":" + _compact_text(value[name]) for name in value]
        return "{" + ",".join(members) + "}"
    return _write_scalar(value)


# V5


def instant(text: str) -> int | None:
    """Microseconds since 1970 of a time, or None if the text is not one (V5)."""
    match = re.fullmatch(
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
        r"(\.[0-9]{1,6})?(Z|\+00:00)",
        text,
    )
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = int(match[4]), int(match[5]), int(match[6])
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        date = dt.date(year, month, day)  # years 1 to 9999, dates that exist
    except ValueError:
        return None
    days = date.toordinal() - dt.date(1970, 1, 1).toordinal()
    microseconds = 0
    if match[7] is not None:
        digits = match[7][1:]
        while len(digits) < 6:
            digits += "0"
        microseconds = int(digits)
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + microseconds


# V6


def decode_base64(text: str) -> bytes | None:
    """The bytes of strict base64, or None (V6)."""
    if len(text) == 0 or len(text) % 4 != 0:
        return None  # at least one byte; with padding
    padding = 0
    if text.endswith("=="):
        padding = 2
    elif text.endswith("="):
        padding = 1
    bits = ""
    for char in text[: len(text) - padding]:
        if char not in BASE64_LETTERS:
            return None
        bits += format(BASE64_LETTERS.index(char), "06b")
    unused = len(bits) % 8
    if "1" in bits[len(bits) - unused :]:
        return None  # unused bits zero
    return bytes([int(bits[at : at + 8], 2) for at in range(0, len(bits) - unused, 8)])
