"""Values: strict JSON, canonical bytes, digests, times and base64 (rules V1 to V7).

Everything that is hashed or compared passes through here, so there is one decoder and one
encoder. Both take a fast path through `orjson` and check that the result is what the rule asks for;
if the check fails they take the slow path, which is Python's own `json` with every liberty taken
away. Parts of a value that are already encoded are embedded as they are (`raw_fragment`).

Two values are equal when their canonical bytes are equal (V2): 1, 1.0 and true all differ, which
Python's `==` would not say. Compare with `equal`.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import math
import re
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias, TypeGuard, cast

import orjson

from mirror.errors import FormatError

__all__ = [
    "DIGEST_PATTERN",
    "MAX_DEPTH",
    "MAX_INTEGER",
    "Object",
    "Value",
    "ascii_form",
    "canonical",
    "canonical_ascii",
    "decode",
    "decode_base64",
    "decode_strictly",
    "dump_fragments",
    "encode",
    "encode_integers",
    "equal",
    "exact",
    "hexdigest",
    "holds_float",
    "instant",
    "is_digest",
    "is_integer",
    "nesting",
    "nests_within",
    "raw_fragment",
    "sha256",
    "time_text",
    "unique_members",
]

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""A JSON value as `decode` gives it."""

Object: TypeAlias = dict[str, Value]
"""A JSON object."""

MAX_DEPTH = 64
"""Nested arrays and objects that V1 allows in one text."""

MAX_INTEGER = 2**53 - 1
"""The largest magnitude of an integer (V1)."""

DIGEST_PATTERN = r"[0-9a-f]{64}"
"""A SHA-256 as it is printed (V3)."""


# V1: strict JSON -----------------------------------------------------------------------------


def decode(data: bytes) -> Value:
    """Read one JSON text (V1).

    The fast path holds only if encoding the result gives the same bytes: then the text has no
    repeated name, no lost digit and no rounded integer.

    Raises:
        FormatError: `json.syntax`, `json.duplicate_key`, `json.number`, `json.surrogate` or
            `json.depth`, with the line and column where they are known.

    Source: V1; RFC 8259.
    """
    try:
        value: Value = orjson.loads(data)
        text = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return decode_strictly(data)
    if text == data.strip(_SPACE) and nests_within(text, MAX_DEPTH):
        return value
    return decode_strictly(data)


_SPACE = b" \t\r\n"


def decode_strictly(data: bytes) -> Value:
    """Read one JSON text (V1) on the slow path, which names the fault.

    Raises:
        FormatError: As `decode`.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            "json.syntax", "the text is not UTF-8", where=f"byte {error.start}"
        ) from error
    _refuse_depth(text)
    try:
        value: Value = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(text, error) from error
    _refuse_surrogates(text, value)
    return value


def _syntax_error(text: str, error: json.JSONDecodeError) -> FormatError:
    if not text.strip(_SPACE.decode()):
        return FormatError("json.syntax", "the text is empty where a JSON value was expected")
    where = f"line {error.lineno} column {error.colno}"
    if text.startswith("\ufeff"):
        hint = "save the file as UTF-8 without BOM"
        return FormatError("json.syntax", "the text starts with a BOM", where=where, hint=hint)
    return FormatError("json.syntax", f"not JSON: {error.msg}", where=where)


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")


def _refuse_depth(text: str) -> None:
    """Raise `json.depth` before any parser recurses that deep."""
    level = 0
    for bracket in _NO_BRACKET.sub("", _STRING.sub("", text)):
        level += 1 if bracket in "[{" else -1
        if level > MAX_DEPTH:
            raise FormatError("json.depth", f"more than {MAX_DEPTH} nested arrays and objects")


def unique_members(pairs: list[tuple[str, Value]]) -> Object:
    """Return the object of these members.

    Raises:
        FormatError: `json.duplicate_key`
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise FormatError("json.duplicate_key", f"the name {_truncate(str(twice))} is repeated")
    return members


def _integer(literal: str) -> int:
    if len(literal) <= 17 and -MAX_INTEGER <= int(literal) <= MAX_INTEGER:
        return int(literal)
    raise FormatError("json.number", f"the integer {_truncate(literal)} is beyond 2^53-1")


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise FormatError("json.number", f"the number {_truncate(literal)} overflows a double")
    return number


def _constant(literal: str) -> float:
    raise FormatError("json.number", f"{literal} is not a JSON number")


_STRICT = json.JSONDecoder(
    object_pairs_hook=unique_members,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)


def _refuse_surrogates(text: str, value: Value) -> None:
    """Raise `json.surrogate` for an escaped surrogate without its partner.

    UTF-8 has no surrogates, so one that does not encode came from an escape.
    """
    if "\\u" not in text:
        return
    try:
        encode(value)
    except (UnicodeEncodeError, TypeError) as error:
        raise FormatError("json.surrogate", "an escaped surrogate lacks its partner") from error


def _truncate(text: str, limit: int = 40) -> str:
    shown = text if len(text) <= limit else text[:limit] + "…"
    return json.dumps(shown, ensure_ascii=True)


# Nesting -------------------------------------------------------------------------------------


_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_QUOTED = re.compile(rb'"[^"]*"')


def nesting(text: bytes) -> int:
    """Return how deep arrays and objects nest in a valid JSON text: 0 for a scalar, 1 for `{}`.

    It removes everything but brackets, then the innermost pairs, level by level.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = text.translate(_BRACKETS, _NO_MARKS).replace(b'""', b"")
    if b'"' in marks:  # brackets within strings
        marks = _QUOTED.sub(b"", marks)
    levels = 0
    while marks:
        marks = marks.replace(b"[]", b"")
        levels += 1
    return levels


def nests_within(text: bytes, depth: int) -> bool:
    """Whether a valid JSON text nests at most `depth` deep; it counts brackets first."""
    # CPython removes a byte faster than it counts one.
    brackets = len(text) - len(text.replace(b"{", b"").replace(b"[", b""))
    return brackets <= depth or nesting(text) <= depth


# V2: canonical bytes -------------------------------------------------------------------------

_MAYBE_FLOAT = re.compile(rb"[:,\[]-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)[,\]}]")
"""Finds every float within compact JSON, and hardly ever a string that looks like one."""


def canonical(value: Value) -> bytes:
    """Return the canonical bytes of `value`: the bytes that are hashed and compared (V2).

    Member names sorted by code point at every depth, no white space, UTF-8, floats as CPython's
    `repr`. This is not RFC 8785.
    """
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return _dumps(value, sort_keys=True) if _needs_slow_path(data, value) else data


def encode_integers(value: Value) -> bytes:
    """Return the canonical bytes of a value without floats."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def exact(text: bytes) -> bytes:
    """Return a copy that takes no more memory than it needs.

    orjson returns bytes in a buffer of several KiB: a million short texts take gigabytes.
    """
    return bytes(memoryview(text))


def raw_fragment(text: bytes) -> Value:
    """Return a fragment: `encode_integers` and `dump_fragments` copy its bytes as they are."""
    return cast("Value", orjson.Fragment(text))


def dump_fragments(value: Value) -> bytes:
    """Return `value` as compact JSON in its own order; only its fragments may hold a float."""
    return orjson.dumps(value)


def encode(value: Value) -> bytes:
    """Return `value` as compact JSON, members in their own order, numbers and strings as V2."""
    data = orjson.dumps(value)
    return _dumps(value, sort_keys=False) if _needs_slow_path(data, value) else data


def _needs_slow_path(data: bytes, value: Value) -> bool:
    # orjson writes some floats unlike `repr` (1e-7, 1e-07), so none may go through it.
    if isinstance(value, dict | list):
        return _MAYBE_FLOAT.search(data) is not None and holds_float(value)
    return isinstance(value, float)


def holds_float(value: Value) -> bool:
    """Whether a float is in `value`, at any depth; fragments do not count."""
    if isinstance(value, dict):
        return any(map(holds_float, value.values()))
    if isinstance(value, list):
        return any(map(holds_float, value))
    return isinstance(value, float)


def _dumps(value: Value, *, sort_keys: bool) -> bytes:
    text = json.dumps(
        value, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def equal(one: Value, other: Value) -> bool:
    """Whether two values are equal: their canonical bytes are (V2)."""
    return canonical(one) == canonical(other)


def is_integer(value: Value) -> TypeGuard[int]:
    """Whether `value` is a JSON integer; Python counts true and false as integers, V2 does not."""
    return isinstance(value, int) and not isinstance(value, bool)


# V7: the ASCII form --------------------------------------------------------------------------

_BEYOND = re.compile("[\x7f-\U0010ffff]")
"""The characters that the ASCII form escapes: all beyond `~`, U+007F included."""


def canonical_ascii(value: Value) -> bytes:
    """Return the ASCII form of `value`, which upstream hashes of integrity findings (V7)."""
    return ascii_form(canonical(value))


def ascii_form(text: bytes) -> bytes:
    r"""Return the ASCII form of a value, or of a part of one, whose canonical bytes are `text`.

    Outside strings canonical bytes are ASCII, so every other character is in a string, and is
    escaped there as `\uxxxx`; as two of these, a pair of surrogates, beyond U+FFFF (V7).
    """
    if text.isascii() and b"\x7f" not in text:
        return text
    return _BEYOND.sub(_escape, text.decode()).encode()


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


# V3, V4: digests -----------------------------------------------------------------------------


def sha256(data: bytes) -> bytes:
    """Return the raw 32-byte SHA-256 of `data`."""
    return hashlib.sha256(data).digest()


def hexdigest(data: bytes) -> str:
    """Return the SHA-256 of `data` as it is printed: 64 lowercase hexadecimal digits (V3)."""
    return hashlib.sha256(data).hexdigest()


_DIGEST = re.compile(DIGEST_PATTERN)


def is_digest(value: Value) -> TypeGuard[str]:
    """Whether `value` is a digest as V3 prints it."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


# V5: times -----------------------------------------------------------------------------------

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(\.[0-9]{1,6})?"
    r"(?:Z|\+00:00)"
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - every time is in UTC (V5)


def instant(value: Value) -> int | None:
    """Return the instant that a time names, in microseconds since 1970-01-01T00:00:00Z (V5).

    Returns None where `value` is no time: not a string, not of the pattern, or no date that
    exists.
    """
    return _instant(value) if isinstance(value, str) else None


@lru_cache(maxsize=4096)  # a bundle repeats its times
def _instant(value: str) -> int | None:
    match = _TIME.fullmatch(value)
    if match is None:
        return None
    seconds, fraction = match.groups()
    try:
        since = datetime.fromisoformat(seconds) - _EPOCH
    except ValueError:
        return None
    whole = (since.days * 86_400 + since.seconds) * 1_000_000
    return whole if fraction is None else whole + int(fraction[1:].ljust(6, "0"))


def time_text(at: datetime, *, microseconds: bool = False) -> str:
    """Return a time as this program writes times of its own: UTC with `Z` (V5).

    Args:
        at: With a time zone.
        microseconds: Whether to write six digits of the second, or none.
    """
    at = at.astimezone(UTC).replace(tzinfo=None)
    return f"{at.isoformat(timespec='microseconds' if microseconds else 'seconds')}Z"


# V6: base64 ----------------------------------------------------------------------------------


def decode_base64(value: Value) -> bytes | None:
    """Return the bytes of strict base64, or None where `value` is anything else (V6).

    Strict is RFC 4648 section 4 with padding, no white space, unused bits zero, and at least one
    byte: the one spelling that encoding gives back.
    """
    if not isinstance(value, str) or not value:
        return None
    try:
        data = binascii.a2b_base64(value, strict_mode=True)
        return data if binascii.b2a_base64(data, newline=False) == value.encode() else None
    except ValueError:
        return None
