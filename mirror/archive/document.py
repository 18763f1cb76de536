"""A file that is no archive: one bundle, or JSON Lines of bundles (rules C1, V1)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from mirror.archive.compression import DAMAGE
from mirror.archive.limits import Limits
from mirror.archive.member import Item, Member, Refused
from mirror.core.values import decode
from mirror.errors import FormatError, LimitError

__all__ = ["read_document"]


def read_document(stream: BinaryIO, limits: Limits) -> Iterator[Item]:
    """Yield the bundle or the lines of bundles in `stream`.

    The text is one bundle if the whole of it is one JSON value, over however many lines. It is
    JSON Lines if its first line is a value by itself, or else if any line is a bundle by itself,
    so that a fault in the first line refuses only that line.
    """
    lines = _lines(stream, limits)
    first = next(lines, None)
    if first is None:
        yield Member("", b"")
    elif isinstance(first, Refused) or _is_value(first.data):
        yield from _only_or_lines(first, lines)
    else:
        yield from _one_or_lines(first, lines, limits)


def _only_or_lines(first: Item, lines: Iterator[Item]) -> Iterator[Item]:
    """Yield JSON Lines; a file of one line is named as a whole."""
    second = next(lines, None)
    if second is None and isinstance(first, Member):
        yield Member("", first.data)
        return
    yield first
    if second is not None:
        yield from chain([second], lines)


def _one_or_lines(first: Member, lines: Iterator[Item], limits: Limits) -> Iterator[Item]:
    """Decide between one bundle over many lines and JSON Lines whose first line is at fault."""
    seen = [first]
    size = len(first.data)
    for line in lines:
        if isinstance(line, Refused) or (size := size + len(line.data)) > limits.bundle_bytes:
            yield from _lines_or_refusal(seen, line, lines, limits)
            return
        seen.append(line)
    whole = Member("", b"".join(line.data for line in seen))
    yield from seen if any(map(_is_bundle, seen)) and not _is_value(whole.data) else [whole]


def _lines_or_refusal(
    seen: list[Member], line: Item, rest: Iterator[Item], limits: Limits
) -> Iterator[Item]:
    """Give a text that cannot be one bundle: JSON Lines, or one that is cut off or too large."""
    if any(map(_is_bundle, seen)):
        yield from chain(seen, [line], rest)
    elif isinstance(line, Refused) and line.code != "limit.size":
        yield line
    else:
        yield Refused("", "limit.size", f"larger than {limits.bundle_bytes} bytes")


def _lines(stream: BinaryIO, limits: Limits) -> Iterator[Item]:
    """Yield each line that is not blank, with its LF, named by its number."""
    number = 0
    try:
        while line := stream.readline(limits.line_bytes + 1):
            number += 1
            if number > limits.members:
                message = f"more than {limits.members} lines; the rest was not read"
                yield Refused(f"line {number}", "limit.count", message)
                return
            if len(line) > limits.line_bytes:
                _skip_line(stream, line)
                message = f"longer than {limits.line_bytes} bytes"
                yield Refused(f"line {number}", "limit.size", message)
            elif line.strip(b" \t\r\n"):
                yield Member(f"line {number}", line)
    except DAMAGE as error:
        yield Refused(f"after line {number}", "archive.truncated", str(error))
    except LimitError as error:
        yield Refused(f"after line {number}", error.code, error.message)


def _skip_line(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(1 << 20)


def _is_value(text: bytes) -> bool:
    try:
        decode(text)
    except FormatError:
        return False
    return True


def _is_bundle(line: Member) -> bool:
    try:
        value = decode(line.data)
    except FormatError:
        return False
    return isinstance(value, dict) and "bundle_type" in value
