"""Options that several commands share, each with its environment variable `MIRROR_…`."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import click
from click.core import ParameterSource

from mirror.archive import ReadLimits, read_standard_input
from mirror.cli.console import say
from mirror.core.keys import KeySet, parse_key_set
from mirror.engine.process_pool import with_processes
from mirror.engine.states.trust_effect import doubts_about
from mirror.errors import FormatError, LimitError, SourceError
from mirror.net import ClientConfig
from mirror.store import Store, open_store

__all__ = [
    "SMALL_BYTES",
    "Count",
    "SmallFile",
    "SourceText",
    "Text",
    "TextOrFile",
    "as_json",
    "db",
    "jobs",
    "key_files",
    "limits",
    "naming",
    "politeness",
    "quiet",
    "read_file",
    "read_key_files",
    "sources",
    "store_if_there",
    "store_keys",
]

_Decorator: TypeAlias = Callable[[Any], Any]
_Command = TypeVar("_Command", bound=Callable[..., Any])

_MOST = 1 << 62
_FILE = click.Path(path_type=Path, dir_okay=False)


class Count(click.IntRange):
    """A whole number, no larger than SQLite and the machine can count."""

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if number > _MOST:
            self.fail(f"must not be more than {_MOST}", param, ctx)
        return number


class Text(click.types.StringParamType):
    """A text: what cannot be written in UTF-8 is none, and neither kept nor looked for."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the text; an argument that is not UTF-8 has surrogates in it (PEP 383)."""
        text = super().convert(value, param, ctx)
        if any("\ud800" <= one <= "\udfff" for one in text):
            self.fail("must be text in UTF-8", param, ctx)
        return text


class SourceText(click.types.StringParamType):
    """The type of a parameter that may name a file or folder to read; also a URL, or `-`."""


class TextOrFile(SourceText):
    """The type of a parameter that is a text, or `@FILE` for the text in a small file."""


class SmallFile(click.Path):
    """The type of a parameter that names a small file for `read_file`; `-` is standard input."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; of a file that is named `-`, which is given as `./-`, the whole."""
        try:
            path = Path(os.fsdecode(super().convert(value, param, ctx)))
        except ValueError:  # a NUL is in it: reading says so
            return Path(value)
        return Path.cwd() / path if str(path) == "-" != str(value) else path


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


db: _Decorator = click.option(
    "--db",
    callback=_store,
    type=_FILE,
    default=Path("mirror.db"),
    show_default=True,
    envvar="MIRROR_DB",
    show_envvar=True,
    help="The store, one SQLite file.",
)

key_files: _Decorator = click.option(
    "--keys",
    "key_files",
    type=SmallFile(),
    multiple=True,
    metavar="FILE",
    envvar="MIRROR_KEYS",
    show_envvar=True,
    help="A key set file to trust beside the built-in key; may be given again.",
)

as_json: _Decorator = click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="MIRROR_JSON",
    show_envvar=True,
    help="JSON Lines on stdout, and nothing else there.",
)


def _limit_processes(ctx: click.Context, _param: click.Parameter, value: int | None) -> None:
    ctx.with_resource(with_processes(value))


jobs: _Decorator = click.option(
    "--jobs",
    type=Count(1),
    metavar="N",
    envvar="MIRROR_JOBS",
    show_envvar=True,
    expose_value=False,
    callback=_limit_processes,
    help="Processes to work in; one for each processor that may be used if not given.",
)


quiet: _Decorator = click.option(
    "--quiet",
    is_flag=True,
    envvar="MIRROR_QUIET",
    show_envvar=True,
    help="Print only findings that nobody acknowledged.",
)


class _Seconds(click.FloatRange):
    """A time in seconds, greater than 0; what is no number is no time."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail("must be a number", param, ctx)
        return seconds


_SECONDS = _Seconds(min=0, min_open=True)

_LIMITS = {
    "max-member": ("member_bytes", "Bytes of a bundle in an archive or folder."),
    "max-segment": ("segment_bytes", "Bytes of a segment of a packed bag, compressed."),
    "max-bundle": ("bundle_bytes", "Bytes of a bundle in a file of its own."),
    "max-line": ("line_bytes", "Bytes of a line of JSON Lines."),
    "max-header": ("header_bytes", "Bytes of an extended header of a tar."),
    "max-members": ("members", "Members of an archive, lines of a file, files of a folder."),
    "max-values": ("values", "Values in one bundle, strings and numbers and all."),
    "max-events": ("events", "Events, receipts or aliases in one bundle."),
    "max-invalid": ("invalid", "Items of a list that fail by their shape, if most do."),
    "max-record": ("record_bytes", "Bytes of a record."),
    "max-receipt": ("receipt_bytes", "Bytes of a receipt outside an event."),
    "keep-invalid": ("kept_invalid", "Such events, receipts and alias times of one record."),
    "max-depth": ("depth", "Nested arrays and objects in one bundle; 64 at most (V1)."),
    "max-ratio": ("ratio", "Bytes that one compressed byte may give."),
    "max-expanded": ("expanded_bytes", "Bytes that one compressed source may give."),
    "max-seconds": ("bundle_s", "Seconds that verifying one bundle may take."),
}
"""What a person may set of `ReadLimits`, by option."""


def _range_of(field: str) -> click.ParamType[Any]:
    """Return what a limit may be."""
    if field == "bundle_s":
        return _SECONDS
    least = 0 if field in {"invalid", "kept_invalid"} else 1
    return Count(least, 64) if field == "depth" else Count(least)


def limits(command: _Command) -> _Command:
    """Give a command an option for each limit (B4), and hand it `limits`."""

    @functools.wraps(command)
    def with_limits(**parameters: Any) -> Any:
        chosen = {field: parameters.pop(field) for field, _ in _LIMITS.values()}
        return command(**parameters, limits=ReadLimits(**chosen))

    for name, (field, text) in reversed(_LIMITS.items()):
        default = getattr(ReadLimits(), field)
        option = click.option(
            f"--{name}",
            field,
            type=_range_of(field),
            default=default,
            show_default=True,
            envvar=f"MIRROR_{name.upper().replace('-', '_')}",
            help=f"Limit: {text}",
        )
        with_limits = option(with_limits)
    return cast("_Command", with_limits)


# How to ask others ---------------------------------------------------------------------------

_POLITE = ClientConfig()

_POLITENESS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("rate", "requests_per_second", {
        "type": click.FloatRange(min=0), "help": "Requests in a second; 0 for no limit.",
    }),
    ("retries", "retries", {
        "type": Count(0), "help": "Further tries for what may pass.",
    }),
    ("timeout", "read_seconds", {
        "type": _SECONDS, "help": "Seconds to wait for an answer to go on.",
    }),
    ("max-answer", "answer_bytes", {
        "type": Count(1), "help": "Bytes that one answer may have.",
    }),
    ("allow-private", "allow_private", {
        "is_flag": True, "help": "Also ask addresses that are not on the public internet.",
    }),
    ("allow-other-hosts", "allow_other_hosts", {
        "is_flag": True, "help": "Follow redirects to other hosts.",
    }),
)  # fmt: skip
"""What a person may set of `ClientConfig`, by option."""


def politeness(command: _Command) -> _Command:
    """Give a command the options of one that asks over HTTP, and hand it `politeness`."""

    @functools.wraps(command)
    def with_politeness(*, contact: str, **parameters: Any) -> Any:
        chosen = {field: parameters.pop(field) for _, field, _ in _POLITENESS}
        agent = f"{_POLITE.user_agent} {contact}".strip()
        try:
            polite = ClientConfig(**chosen, user_agent=agent)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return command(**parameters, politeness=polite)

    text = "How to reach you; it is told to whom you ask."
    with_politeness = click.option(
        "--contact",
        default="",
        metavar="TEXT",
        envvar="MIRROR_CONTACT",
        show_envvar=True,
        help=text,
    )(with_politeness)
    for name, field, settings in reversed(_POLITENESS):
        envvar = f"MIRROR_{name.upper().replace('-', '_')}"
        shown = {"default": getattr(_POLITE, field), "show_default": True, "show_envvar": True}
        option = click.option(f"--{name}", field, envvar=envvar, **shown, **settings)
        with_politeness = option(with_politeness)
    return cast("_Command", with_politeness)


def store_keys(db: Path) -> KeySet:
    """Return the keys that a store trusts; the built-in one where there is no store."""
    with store_if_there(db) as store:
        return KeySet() if store is None else store.trust_log.key_set()


@contextmanager
def store_if_there(db: Path) -> Iterator[Store | None]:
    """Open a store to read it; None if there is no file."""
    try:
        is_there = db.exists()
    except OSError:
        is_there = True  # opening it will say why it cannot be read
    if not is_there:
        yield None
        return
    with open_store(db, read_only=True) as store:
        yield store


SMALL_BYTES = 4 << 20
"""Bytes of a key set, a profile, a proof, or whatever else is read as a whole (B4)."""


def read_file(path: Path, most_bytes: int = SMALL_BYTES) -> bytes:
    """Return what is in a small file, or on standard input for `-`.

    Args:
        path: Of anything that can be read, also a device or a pipe that never ends.
        most_bytes: No more than one byte beyond is read.

    Raises:
        SourceError: `source.unreadable`
        LimitError: `limit.size`
    """
    data = _read_at_most(path, most_bytes + 1)
    if len(data) > most_bytes:
        message = f"more than {most_bytes:,} bytes"
        hint = "check that it is the file that you mean"
        raise LimitError("limit.size", message, where=str(path), hint=hint)
    return data


def _read_at_most(path: Path, count_bytes: int) -> bytes:
    if str(path) == "-":
        return read_standard_input(count_bytes)
    try:
        with path.open("rb") as file:
            return file.read(count_bytes)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        hint = "check the path"
        raise SourceError("source.unreadable", reason, where=str(path), hint=hint) from error


def read_key_files(paths: Iterable[Path], *, warn: bool = True) -> KeySet:
    """Return the keys and profiles of key set files.

    Args:
        paths: The files.
        warn: Whether to say what in them is allowed and seldom meant.

    Raises:
        SourceError: If one cannot be read.
        LimitError: If one is too large.
        FormatError: If one is refused (K2), with its path before the place of the fault.
    """
    keys = KeySet()
    for path in paths:
        data = read_file(path)
        with naming(path):
            keys = keys.with_added(parse_key_set(data))
    for doubt in doubts_about(keys) if warn else ():
        say(f"warning: {doubt}")
    return keys


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the path of a file before the place of a fault in it."""
    try:
        yield
    except FormatError as error:
        place = f"{path}: {error.where}" if error.where else str(path)
        raise type(error)(error.code, error.message, where=place, hint=error.hint) from error
