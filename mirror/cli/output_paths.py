"""Options and arguments that name files to write, and the check of them before a command runs."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import click

from mirror.cli.options import SourceText
from mirror.engine.atomic_file import OutputFile
from mirror.errors import OutputError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["OutputFolder", "OutputPath", "StandardOutput", "inputs_of", "writes"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class OutputPath(click.Path):
    """The type of a parameter that names a file to write; `writes` makes it an `OutputFile`."""

    def __init__(
        self, *, may_be_stdout: bool = False, may_replace: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(path_type=Path, dir_okay=False, allow_dash=may_be_stdout)
        self.may_be_stdout = may_be_stdout
        self.may_replace = may_replace

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; `-` only where the command can write to standard output."""
        if str(value) == "-" and not self.may_be_stdout:
            self.fail("must name a file; ./- is one of that name", param, ctx)
        return super().convert(value, param, ctx)


class OutputFolder(click.types.StringParamType):
    """The type of a parameter that names a folder, or a URL, under which files are written."""

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Have the shell complete paths of folders."""
        return click.Path(file_okay=False).shell_complete(ctx, param, incomplete)


class StandardOutput:
    """Standard output, for a command that also writes files."""

    path = Path("-")

    def __init__(self, inputs: tuple[Path, ...]) -> None:
        self._inputs = inputs

    def check(self) -> None:
        """Check that standard output is neither a terminal nor a file that this run reads.

        Raises:
            OutputError: `output.refused`
        """
        if sys.stdout.isatty():
            hint = "give the name of a file, or send the output to a pipe"
            raise OutputError("output.refused", "standard output is a terminal", hint=hint)
        try:
            about = os.fstat(sys.stdout.fileno())
        except (OSError, ValueError):
            return  # it is not a file
        for one in self._inputs:
            if one.exists() and os.path.samestat(about, one.stat()):
                message = "this command reads the same file"
                raise OutputError("output.refused", message, where=f"- ({one})")

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Give standard output, and flush it at the end."""
        self.check()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


def writes(command: _Command) -> _Command:
    """Give a command `--force`, and its outputs as `OutputFile`, each of them checked.

    An output that would replace a file is refused before the command runs, so that no work is lost;
    writing it checks again.
    """

    @functools.wraps(command)
    def checked(*args: Any, force: bool, **parameters: Any) -> Any:
        context = click.get_current_context()
        inputs = inputs_of(context)
        found = {}
        for name, kind in _outputs(context):
            path = parameters[name]
            if path is None:
                continue
            is_stdout = kind.may_be_stdout and str(path) == "-"
            found[name] = (
                StandardOutput(inputs)
                if is_stdout
                else OutputFile(path, force, inputs, kind.may_replace)
            )
        _require_different(list(found.values()))
        for one in found.values():
            one.check()
        return command(*args, **{**parameters, **found})

    with_force = click.option("--force", is_flag=True, help="Replace an existing file.")
    return cast("_Command", with_force(checked))


def _outputs(context: click.Context) -> Iterator[tuple[str, OutputPath]]:
    for parameter in context.command.params:
        if isinstance(parameter.type, OutputPath) and parameter.name is not None:
            yield parameter.name, parameter.type


def _require_different(outputs: list[OutputFile | StandardOutput]) -> None:
    places = [os.path.realpath(one.path) for one in outputs]
    if len(set(places)) < len(places):
        raise click.UsageError("two outputs have one name: one would replace the other")


def inputs_of(context: click.Context) -> tuple[Path, ...]:
    """Return the files and folders that a command was given to read, its store among them."""
    found: list[Path] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        if isinstance(parameter.type, SourceText):
            names = {one for text in values for one in (text, text.removeprefix("@"))} - {"", "-"}
            found += map(Path, sorted(names))
        elif isinstance(parameter.type, click.Path) and not isinstance(parameter.type, OutputPath):
            found += values
    return tuple(dict.fromkeys(found))
