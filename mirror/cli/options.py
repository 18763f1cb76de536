"""Options that several commands share, each with its environment variable `MIRROR_…`."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from click.core import ParameterSource

from mirror.engine.processors import with_processes
from mirror.errors import FormatError, LimitError, SourceError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "SMALL_BYTES",
    "Count",
    "Duration",
    "InputFile",
    "SmallFile",
    "SourceText",
    "Text",
    "TextOrFile",
    "as_json",
    "complete_paths",
    "db",
    "grouped",
    "input_lines",
    "jobs",
    "locate_errors",
    "quiet",
    "read_input",
    "read_text",
    "setting",
    "shared",
    "sources",
]

_Decorator: TypeAlias = Callable[[Any], Any]

_MOST = 1 << 62


class Count(click.IntRange):
    """A whole number within the range of SQLite."""

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if number > _MOST:
            self.fail(f"must not be more than {_MOST}", param, ctx)
        return number


class Text(click.types.StringParamType):
    """A text that can be encoded as UTF-8; anything else is refused."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the text; an argument that is not UTF-8 has surrogates in it (PEP 383)."""
        text = super().convert(value, param, ctx)
        if any("\ud800" <= one <= "\udfff" for one in text):
            self.fail("must be text in UTF-8", param, ctx)
        return text


class Duration(click.ParamType[float]):
    """`90s`, `10m`, `2h`: a time in seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the time in seconds."""
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", str(value))
        if match is None:
            self.fail("must be like 90s, 10m or 2h", param, ctx)
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def complete_paths(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Have the shell complete paths, for a parameter that click does not know to be one."""
    return click.Path().shell_complete(ctx, param, incomplete)


class SourceText(click.types.StringParamType):
    """The type of a parameter that may name a file or folder to read; also a URL, or `-`."""

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Have the shell complete paths."""
        return complete_paths(ctx, param, incomplete)


class TextOrFile(SourceText):
    """The type of a parameter that is a text, or `@FILE` for the text in a small file."""

    def shell_complete(self, *_: Any) -> list[CompletionItem]:
        """Complete nothing: shells do not know that a path follows the `@`."""
        return []


class InputFile(click.Path):
    """The type of a parameter that names a file to read; `-` is standard input."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; an absolute one for `./-`, which names a file and not standard input."""
        try:
            path = Path(os.fsdecode(super().convert(value, param, ctx)))
        except ValueError:  # it contains a NUL: reading it reports that
            return Path(value)
        return Path.cwd() / path if str(path) == "-" != str(value) else path


class SmallFile(InputFile):
    """The type of a parameter that names a small file for `read_input`."""


sources: _Decorator = click.argument(
    "sources", type=SourceText(), nargs=-1, required=True, metavar="SOURCE..."
)


def _store(ctx: click.Context, _param: click.Parameter, value: Path) -> Path:
    """Return the store that was named after the command, or before it (`mirror --db FILE …`)."""
    before = ctx.find_object(Path)
    if before is None or ctx.get_parameter_source("db") != ParameterSource.COMMANDLINE:
        return before or value
    if before != value:
        raise click.UsageError("--db names one store before the command and another after it")
    return value


def shared(name: str, *names: str, **settings: Any) -> _Decorator:
    """Return an option whose environment variable is named after the option alone."""
    envvar = f"MIRROR_{name.lstrip('-').upper().replace('-', '_')}"
    return click.option(name, *names, **{"envvar": envvar, "show_envvar": True, **settings})


_Setting: TypeAlias = tuple[str, str, dict[str, Any]]


def setting(option: str, field: str, **settings: Any) -> _Setting:
    """Return an option of a group, with the field that it sets and its click settings."""
    return option, field, settings


def grouped(name: str, make: Callable[..., object], table: Iterable[_Setting]) -> _Decorator:
    """Return a decorator that passes several options to a command as one parameter.

    Args:
        name: The parameter.
        make: Makes its value from the fields.
        table: The options.
    """
    rows = list(table)

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_group(**parameters: Any) -> Any:
            chosen = {field: parameters.pop(field) for _, field, _ in rows}
            return command(**parameters, **{name: make(**chosen)})

        for option, field, settings in reversed(rows):
            with_group = shared(option, field, **settings)(with_group)
        return with_group

    return decorate


db = shared(
    "--db",
    callback=_store,
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("mirror.db"),
    show_default=True,
    help="The store, one SQLite file.",
)

as_json = shared(
    "--json", "as_json", is_flag=True, help="Print JSON Lines, and nothing else, on stdout."
)


def _limit_processes(ctx: click.Context, _param: click.Parameter, value: int | None) -> None:
    ctx.with_resource(with_processes(value))


jobs = shared(
    "--jobs",
    type=Count(1),
    metavar="N",
    expose_value=False,
    callback=_limit_processes,
    help="Number of processes; one per usable processor if not given.",
)

quiet = shared("--quiet", is_flag=True, help="Print only findings that are not acknowledged.")

_LINE_BYTES = 4096
SMALL_BYTES = 4 << 20
"""Bytes of a key set, a profile, a proof or another file that is read completely (B4)."""


def read_input(path: Path, most_bytes: int = SMALL_BYTES) -> bytes:
    """Return the content of a small file, or of standard input for `-`.

    Args:
        path: A file, a device or a pipe, which may never end.
        most_bytes: Size limit; at most one byte more is read.

    Raises:
        SourceError: `source.unreadable`
        LimitError: `limit.size`
    """
    data = _read_at_most(path, most_bytes + 1)
    if len(data) > most_bytes:
        message = f"more than {most_bytes:,} bytes"
        raise LimitError("limit.size", message, where=str(path), hint="is it the right file?")
    return data


def _read_at_most(path: Path, count_bytes: int) -> bytes:
    if str(path) == "-":
        # Late: a command that reads no file need not load the readers of archives.
        from mirror.archive import read_standard_input  # noqa: PLC0415

        return read_standard_input(count_bytes)
    try:
        with path.open("rb") as file:
            return file.read(count_bytes)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(
            "source.unreadable", reason, where=str(path), hint="check the path"
        ) from error


def input_lines() -> Iterator[str]:
    """Yield the lines of standard input that are not empty, as they come.

    Raises:
        SourceError: `source.unreadable`
        LimitError: `limit.size` if a line is too long.
    """
    from mirror.archive import standard_input  # noqa: PLC0415 - as in `_read_at_most`

    try:
        while line := standard_input().readline(_LINE_BYTES + 1):
            if len(line) > _LINE_BYTES:
                message = f"a line of more than {_LINE_BYTES:,} bytes"
                raise LimitError("limit.size", message, where="-", hint="give one ID a line")
            if name := os.fsdecode(line.strip()):
                yield name
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError("source.unreadable", reason, where="-") from error


def read_text(value: str) -> str:
    """Return a text, or for `@FILE` and `-` the text in that file (`TextOrFile`).

    Raises:
        SourceError: `source.unreadable`, also if it is not UTF-8.
        LimitError: `limit.size`
    """
    if value != "-" and not value.startswith("@"):
        return value
    path = value.removeprefix("@")
    try:
        return read_input(Path(path)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError("source.unreadable", str(error), where=path) from error


@contextmanager
def locate_errors(path: Path, place: str = "") -> Iterator[None]:
    """Put the path of a file, and a place in it, before the place of a format error."""
    try:
        yield
    except FormatError as error:
        name = "standard input" if str(path) == "-" else str(path)
        where = ": ".join(filter(None, (name, place, error.where)))
        raise type(error)(error.code, error.message, where=where, hint=error.hint) from error
