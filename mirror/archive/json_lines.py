"""Reads a JSON file with one bundle, or a JSON Lines file with bundles (rules C1, V1)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple, TypeAlias

from mirror.archive.compression import DECOMPRESSION_ERRORS, TRAILING_DATA, has_trailing
from mirror.archive.limits import ReadLimits
from mirror.archive.member import Member, MemberOrBag, RefusedMember, member_or_refusal
from mirror.core.values import decode
from mirror.errors import FormatError, LimitError

__all__ = ["read_json"]


class _Line(NamedTuple):
    number: int
    data: bytes
    """The line with its LF, if it has one."""


_Lines: TypeAlias = Iterator[_Line | RefusedMember]

_BLANK = b" \t\r\n"
_LINES_AHEAD = 100_000
"""Lines that are searched for a bundle, before a text is refused as one too large value."""


def read_json(stream: BinaryIO, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield the bundle of a JSON file, or the bundles of a JSON Lines file.

    The text is one bundle if all of it is one JSON value, on any number of lines. It is JSON Lines
    if its first line is a JSON value, or else if any line is a bundle, so that an invalid first
    line refuses only that line.
    """
    lines = _lines(stream, limits)
    first = next(lines, None)
    if first is None:
        yield Member("", b"")
    elif isinstance(first, RefusedMember) or _is_value(first.data, limits):
        yield from _read_lines(first, lines, limits)
    else:
        yield from _read_bundle_or_lines(first, lines, limits)


def _read_lines(
    first: _Line | RefusedMember, lines: _Lines, limits: ReadLimits
) -> Iterator[MemberOrBag]:
    """Yield the members of a JSON Lines file; a single line is named as the whole file."""
    second = next(lines, None)
    if second is None and isinstance(first, _Line):
        yield member_or_refusal("", first.data, limits)
        return
    rest = lines if second is None else chain([second], lines)
    yield from _members(chain([first], rest), limits)


def _read_bundle_or_lines(first: _Line, lines: _Lines, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Decide between one bundle on many lines and JSON Lines with an invalid first line."""
    text = bytearray(first.data)
    last = first.number
    has_bundle = False
    stop: _Line | RefusedMember | None = None
    for line in lines:
        if isinstance(line, RefusedMember) or len(text) + len(line.data) > limits.bundle_bytes:
            stop = line
            break
        text += b"\n" * (line.number - last - 1) + line.data  # blank lines keep line numbers right
        last = line.number
        has_bundle = has_bundle or _is_bundle(line.data, limits)
    if stop is None and (not has_bundle or _is_value(bytes(text), limits)):
        yield member_or_refusal("", bytes(text), limits)
        return
    ahead = [] if stop is None else [stop]
    if has_bundle or _bundle_follows(ahead, lines, limits):
        known = _split(bytes(text), first.number)
        yield from _members(chain(known, ahead, lines), limits)
    elif isinstance(stop, RefusedMember) and stop.code != "limit.size":
        yield stop
    else:
        yield RefusedMember("", "limit.size", f"larger than {limits.bundle_bytes} bytes")


def _bundle_follows(ahead: list[_Line | RefusedMember], lines: _Lines, limits: ReadLimits) -> bool:
    """Whether a bundle is within the next `bundle_bytes`; lines that are read go to `ahead`."""
    size = 0
    for line in chain(list(ahead), lines):
        if line is not ahead[0]:
            ahead.append(line)
        if isinstance(line, _Line):
            size += len(line.data)
            if _is_bundle(line.data, limits):
                return True
        if size > limits.bundle_bytes or len(ahead) > _LINES_AHEAD:
            return False
    return False


def _split(text: bytes, number: int) -> Iterator[_Line]:
    for offset, line in enumerate(text.split(b"\n")):
        if line.strip(_BLANK):
            yield _Line(number + offset, line + b"\n")


def _members(lines: _Lines, limits: ReadLimits) -> Iterator[MemberOrBag]:
    for line in lines:
        if isinstance(line, RefusedMember):
            yield line
        else:
            yield member_or_refusal(f"line {line.number}", line.data, limits)


def _lines(stream: BinaryIO, limits: ReadLimits) -> _Lines:
    """Yield each line that is not blank, and refusals."""
    number = 0
    try:
        while data := stream.readline(limits.line_bytes + 1):
            number += 1
            if number > limits.members:
                message = f"more than {limits.members} lines; the rest was not read"
                yield RefusedMember(f"line {number}", "limit.count", message)
                return
            if len(data) > limits.line_bytes:
                _skip_line(stream, data)
                message = f"longer than {limits.line_bytes} bytes"
                yield RefusedMember(f"line {number}", "limit.size", message)
            elif data.strip(_BLANK):
                yield _Line(number, data)
        if has_trailing(stream):
            yield RefusedMember(f"after line {number}", "archive.trailing", TRAILING_DATA)
    except DECOMPRESSION_ERRORS as error:
        yield RefusedMember(f"after line {number}", "archive.truncated", str(error))
    except LimitError as error:
        yield RefusedMember(f"after line {number}", error.code, error.message)


def _skip_line(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(1 << 20)


def _is_value(text: bytes, limits: ReadLimits) -> bool:
    if isinstance(member_or_refusal("", text, limits), RefusedMember):
        return False
    try:
        decode(text)
    except FormatError:
        return False
    return True


def _is_bundle(text: bytes, limits: ReadLimits) -> bool:
    return b'"bundle_type"' in text and text.lstrip(_BLANK)[:1] == b"{" and _is_value(text, limits)
