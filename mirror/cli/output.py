"""Output of commands: JSON Lines, tables and text for a person.

Every string from outside is shown as text: markup is off, and characters that do not print or
that turn the direction of writing are shown by their code.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import orjson

from mirror.core.escaping import escape_terminal

__all__ = [
    "columns_of",
    "drawn",
    "echo",
    "plural",
    "prepare_streams",
    "print_json",
    "print_table",
    "print_text",
    "say",
]


def prepare_streams() -> None:
    """Let a character that a terminal cannot show be printed by its code, not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo(text: str | bytes = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text on stdout or stderr unchanged, while shown progress is erased.

    Raises:
        OSError: If it cannot be written; on stderr, only if its reader is gone: a command works
            also without a place for messages.
    """
    with _without_bars(sys.stderr if err else sys.stdout):
        try:
            click.echo(text, err=err, nl=nl)
        except OSError as error:
            if not err or error.errno == errno.EPIPE:
                raise


def say(text: str) -> None:
    """Print a line for people on stderr; on a terminal it wraps by words."""
    echo(_wrapped(escape_terminal(text), sys.stderr), err=True)


def print_text(text: str, indent: int = 0) -> None:
    """Print a line for people on stdout; on a terminal it wraps by words, under its indent.

    Args:
        text: Escaped for a terminal (`escape_terminal`); it may contain styles.
        indent: Spaces before each line.
    """
    echo(_wrapped(text, sys.stdout, " " * indent))


def print_json(value: object) -> None:
    """Print a value as one line of JSON on stdout."""
    echo(orjson.dumps(value))


def print_table(rows: Mapping[str, str | list[str]], *, err: bool = False) -> None:
    """Print names and values in two columns; a list is a value of several lines."""
    width = max(map(len, rows), default=0)
    stream = sys.stderr if err else sys.stdout
    for name, value in rows.items():
        for index, line in enumerate([value] if isinstance(value, str) else value):
            heading = f"{'' if index else name:<{width}}  "
            echo(_wrapped(escape_terminal(line), stream, heading), err=err)


def _wrapped(text: str, stream: io.TextIOBase | Any, heading: str = "") -> str:
    """Return text in lines that fit the terminal, if `stream` is one.

    A word is never broken. A long word, such as a digest of 64 digits, gets a line of its own with
    less indent.

    Args:
        text: The text; its leading spaces are repeated on every line.
        stream: The output; it gets one line if it is not a terminal.
        heading: Before the first line; the others are indented as far.
    """
    columns = columns_of(stream)
    if columns is None or len(heading) + len(text) <= columns:
        return heading + text
    inner = len(text) - len(text.lstrip())
    indent = " " * (len(heading) + inner + (0 if heading and not inner else 2))
    lines = textwrap.wrap(
        text.lstrip(),
        columns,
        initial_indent=heading + " " * inner,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(_fitted(line, columns) for line in lines) or heading


def _fitted(line: str, columns: int) -> str:
    """Return a line; if it is too wide, its last word goes to the right of the next one."""
    before, space, word = line.rpartition(" ")
    if len(line) <= columns or not space:
        return line
    return "\n".join(filter(None, (before.rstrip(), word.rjust(columns))))


def columns_of(stream: io.TextIOBase | Any) -> int | None:
    """Return the width of a terminal; None for anything else."""
    if stream is None or not stream.isatty():
        return None
    chosen = os.environ.get("COLUMNS", "")
    width = int(chosen) if chosen.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    return width if width > 0 else None


def plural(count: int, noun: str) -> str:
    """Return a count and its noun, such as `1 record` or `2,000 records`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# Progress on the same terminal ---------------------------------------------------------------


drawn: list[Any] = []
"""Progress that is drawn on stderr now (`progress.py`), which can `stop()` and `start()`."""


@contextmanager
def _without_bars(stream: io.TextIOBase | Any) -> Iterator[None]:
    """Erase progress while something else is printed on the terminal, and draw it again."""
    bars = drawn if stream is not None and stream.isatty() else []
    for one in bars:
        one.stop()
    try:
        yield
    finally:
        for one in bars:
            one.start()
