"""The group of all commands, and the message and exit code of one that fails."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

import mirror
from mirror.cli import exit_codes
from mirror.cli.commands import COMMANDS, SUBCOMMANDS
from mirror.cli.options import Text
from mirror.cli.output import echo, prepare_streams, say
from mirror.cli.pipes import abandon_stdout, die_of_closed_pipe, is_closed_pipe
from mirror.core.redaction import redact
from mirror.engine.native import description
from mirror.errors import MirrorError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["main"]


_COMPLETE_VARIABLE = "_MIRROR_COMPLETE"
"""The environment variable by which the script of a shell asks for completions."""


class LogPrinter(logging.Handler):
    """Prints log messages on standard error, such as that a store is locked."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        say(record.getMessage())


logging.getLogger("mirror").addHandler(LogPrinter(logging.WARNING))


class CommandGroup(click.Group):
    """A group that imports a command when it is run, and reports the project's errors.

    Command `x` is the attribute `x` of the module `mirror.cli.x`. The list of commands in the
    help is made from `COMMANDS`, without an import of any.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        """Return the names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click calls it
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return a command; None if the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            command = getattr(importlib.import_module(f"mirror.cli.{cmd_name}"), cmd_name)
            _name_variables(command, f"MIRROR_{cmd_name}")
            _give_lines(command)
            _set_up_options(command)
            self.add_command(command)
        return self.commands[cmd_name]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with a text, without an import of any."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*_completion().complete_names(COMMANDS, incomplete), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, as click does it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command; help and usage messages can also fail to be written."""
        _occupy_closed_descriptors()
        if sys.stderr is None:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for good
        if sys.stdout is None:
            say("error: output.failed: standard output is closed")
            sys.exit(exit_codes.UNREADABLE)
        prepare_streams()
        if _COMPLETE_VARIABLE in os.environ:
            _completion().register_shells()
        try:
            return super().main(*args, **{"complete_var": _COMPLETE_VARIABLE, **settings})
        except OSError:  # no output is left to report it on
            abandon_stdout()
            sys.exit(exit_codes.UNREADABLE)

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Parse the arguments, which prints help."""
        with _errors_reported():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _errors_reported():
            return super().invoke(ctx)


def _completion() -> ModuleType:
    """Import and return the module of completion, which no command needs."""
    return importlib.import_module("mirror.cli.completion")


@contextmanager
def _errors_reported() -> Iterator[None]:
    """Print the error that ended a command, and exit with its code.

    If the reader of a pipe closed it (`| head -1`), the process ends by SIGPIPE without a message,
    as `git` does.
    """
    try:
        yield
    except MirrorError as error:
        if is_closed_pipe(error.__cause__):
            die_of_closed_pipe()
        say(f"error: {redact(str(error))}")
        if error.hint:
            say(f"hint: {redact(error.hint)}")
        raise click.exceptions.Exit(exit_codes.of_error(error)) from error
    except OSError as error:
        if is_closed_pipe(error):
            die_of_closed_pipe()
        say(f"error: output.failed: {error.strerror or error}")
        abandon_stdout()
        raise click.exceptions.Exit(exit_codes.UNREADABLE) from error
    except KeyboardInterrupt as error:
        say("interrupted: stored data is kept; rerun the command to resume")
        raise click.exceptions.Exit(exit_codes.INTERRUPTED) from error


def _occupy_closed_descriptors() -> None:
    """Open the null device for each of the first three descriptors that is closed.

    Otherwise the next opened file would get the number, and output of a library would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one


def _name_variables(command: click.Command, prefix: str) -> None:
    """Give each option the environment variable of command and option, if it has none.

    click would use the name of the parameter, which users do not see.
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None:
            name = f"{prefix}_{option.opts[0].lstrip('-')}"
            option.envvar = name.upper().replace("-", "_")
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            _name_variables(one, f"{prefix}_{name}")


def _give_lines(command: click.Command) -> None:
    """Give each command of a group its whole line in help, which click would shorten."""
    if isinstance(command, click.Group):
        for name, line in SUBCOMMANDS[command.name or ""].items():
            command.commands[name].short_help = line


def _set_up_options(command: click.Command) -> None:
    """Give all options that are plain strings the type `Text`, and all that are numbers the name N.

    Arguments can be any bytes: an identifier that is not UTF-8 names no record.
    """
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.type is click.STRING:
            parameter.type = Text()
        if isinstance(parameter.type, click.IntRange | click.FloatRange):
            parameter.metavar = parameter.metavar or "N"
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _set_up_options(below)


def _print_version(ctx: click.Context, _parameter: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 - as click calls it
    """Print the version and the engine that works, and exit."""
    if is_asked and not ctx.resilient_parsing:
        echo(f"mirror, version {mirror.__version__}\nengine: {description()}")
        ctx.exit()


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and the engine, and exit.",
)
@click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    envvar="MIRROR_DB",
    help="The store; the same as --db after the command.",
)
@click.pass_context
def main(ctx: click.Context, db: Path | None) -> None:
    """Hold a scholarly registry to its word.

    mirror reads portable graph bundles of pith.science, verifies every hash and signature, stores
    them in one SQLite file, and merges them into the current state of each record, without trust in
    their source.

    \b
    Examples:
      mirror merge bundle.tar              verify, store, merge
      mirror show arxiv:1705.09786         claims about one paper
      mirror verify bundle.json --json     every finding, one line each
      mirror export mine.tar               everything, as a BagIt bag

    An ID is a Pith Number or at least its first 8 letters, an arXiv id, a DOI, or a URL of one of
    these. A TIME is in UTC: 2026-06-30, or 2026-06-30T12:00:00Z.

    Exit codes: 0 success, without findings; 1 something was refused, invalid, different or missing;
    2 wrong usage; 3 input could not be read at all, or output not be written; 4 the store could not
    be used; 5 upstream could not be reached or read; 130 interrupted.

    Environment: each option may come from a variable, named after the option (MIRROR_DB) or after
    command and option (MIRROR_SHOW_BUNDLE); a flag is set by 1. MIRROR_NATIVE=off does without the
    native engine.

    `mirror completion` prints a script with which a shell completes commands after TAB.
    """
    if ctx.get_parameter_source("db") == ParameterSource.COMMANDLINE:
        ctx.obj = db
