"""Rows of a statement on stdout: a table for people, CSV (RFC 4180), or JSON Lines.

Rows are printed as they come, so that memory does not grow with their number.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import click
import orjson

from mirror.cli.output import columns_of, echo, plural, print_table, say
from mirror.core.escaping import escape_terminal

__all__ = ["print_csv_rows", "print_json_rows", "print_lines", "print_table_rows"]

_Row: TypeAlias = Sequence[Any]
_BLOCK_BYTES = 1 << 16


@contextmanager
def _joined_lines() -> Iterator[Callable[[bytes], None]]:
    """Give a function that prints lines, several at once if stdout is no terminal."""
    block = bytearray()
    is_terminal = sys.stdout.isatty()

    def add(line: bytes) -> None:
        block.extend(line)
        if is_terminal or len(block) >= _BLOCK_BYTES:
            printed = bytes(block)
            block.clear()
            echo(printed, nl=False)

    try:
        yield add
    finally:
        if block:
            echo(bytes(block), nl=False)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines of text that holds no control characters."""
    with _joined_lines() as add:
        for line in lines:
            add(f"{line}\n".encode())


# JSON Lines ------------------------------------------------------------------------------------


def print_json_rows(names: Sequence[str], rows: Iterable[_Row]) -> None:
    """Print each row as an object; a blob is hexadecimal text, an infinite number is text."""
    with _joined_lines() as add:
        for row in rows:
            value = dict(zip(names, map(_finite, row), strict=True))
            add(orjson.dumps(value, default=bytes.hex, option=orjson.OPT_APPEND_NEWLINE))


def _finite(value: Any) -> Any:
    return str(value) if value.__class__ is float and not math.isfinite(value) else value


# CSV -------------------------------------------------------------------------------------------


def print_csv_rows(names: Sequence[str], rows: Iterable[_Row]) -> None:
    r"""Print a header and rows as RFC 4180 has it: quoted where it must be, lines end in CRLF.

    NULL is an empty field and an empty text is `""`, as in PostgreSQL; in a single column NULL is
    `""`, too, because readers pass over empty lines. On a terminal, control characters are shown by
    their code.
    """
    show = escape_terminal if sys.stdout.isatty() else str
    with _joined_lines() as add:
        for row in itertools.chain([names], rows):
            line = ",".join(map(_csv_field, row)) or '""'
            add(f"{show(line)}\r\n".encode())


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    text = _plain(value)
    if text and not any(one in text for one in ',"\r\n'):
        return text
    return f'"{text.replace(chr(34), chr(34) * 2)}"'


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


# A table ---------------------------------------------------------------------------------------

_MEASURED_ROWS = 200
"""Rows whose cells set the widths of columns."""
_WIDEST = 60
"""Widest column where the output is no terminal; a longer cell is printed whole."""
_NARROWEST = 8
"""Narrowest column of a terminal that a wider one is shortened to."""
_GAP = "  "


def print_table_rows(names: Sequence[str], rows: Iterator[_Row]) -> None:
    """Print rows as a table, on a terminal with shortened cells; that is said on stderr.

    Where a terminal is too narrow for the columns, each value gets a line of its own.
    """
    headings = [escape_terminal(name) for name in names]
    first = list(itertools.islice(rows, _MEASURED_ROWS))
    room = columns_of(sys.stdout)
    widths = _widths([headings, *([_shown(one) for one in row] for row in first)], room)
    if widths is None:
        _print_blocks(headings, itertools.chain(first, rows))
        return
    shortened = _print_aligned(
        headings, itertools.chain(first, rows), widths, is_shortened=room is not None
    )
    if shortened:
        say(f"{plural(shortened, 'value')} shortened: --csv and --json print all of them whole")


def _shown(value: Any) -> str:
    return "NULL" if value is None else escape_terminal(_plain(value))


def _widths(table: list[list[str]], room: int | None) -> list[int] | None:
    """Return the widths of columns; None if they cannot be made to fit."""
    most = _WIDEST if room is None else room
    widths = [min(max(map(_cell_width, column)), most) for column in zip(*table, strict=True)]
    if room is None:
        return widths
    free = room - len(_GAP) * (len(widths) - 1)
    cap = next((one for one in range(room, _NARROWEST - 1, -1) if _sum(widths, one) <= free), None)
    return None if cap is None else [min(one, cap) for one in widths]


def _sum(widths: list[int], cap: int) -> int:
    return sum(min(one, cap) for one in widths)


def _cell_width(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    # Late: the other forms, and most tables, do without it.
    from rich.cells import cell_len  # noqa: PLC0415

    return cell_len(text)


def _print_aligned(
    headings: list[str], rows: Iterable[_Row], widths: list[int], *, is_shortened: bool
) -> int:
    """Print lines; return how many cells were shortened."""
    shortened = 0
    with _joined_lines() as add:
        heading = _GAP.join(map(_left, headings, widths)).rstrip()
        add(_encoded(click.style(heading, bold=True) if sys.stdout.isatty() else heading))
        for row in rows:
            cells = []
            for value, width in zip(row, widths, strict=True):
                text = _shown(value)
                if is_shortened and _cell_width(text) > width:
                    text, shortened = _cut(text, width), shortened + 1
                cells.append((_right if isinstance(value, (int, float)) else _left)(text, width))
            add(_encoded(_GAP.join(cells).rstrip()))
    return shortened


def _encoded(line: str) -> bytes:
    return f"{line}\n".encode(sys.stdout.encoding or "utf-8", "backslashreplace")


def _left(text: str, width: int) -> str:
    return text + " " * (width - _cell_width(text))


def _right(text: str, width: int) -> str:
    return " " * (width - _cell_width(text)) + text


def _cut(text: str, width: int) -> str:
    from rich.cells import set_cell_size  # noqa: PLC0415 - see `_cell_width`

    return f"{set_cell_size(text[:width], width - 1)}…"


def _print_blocks(headings: list[str], rows: Iterable[_Row]) -> None:
    """Print each row as names and values, with an empty line between rows."""
    for index, row in enumerate(rows):
        if index:
            echo()
        print_table(dict(zip(headings, map(_shown, row), strict=True)))
