"""Options that several commands share, each with its environment variable `MIRROR_…`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import click

from mirror.core.keys import Key, KeySet, parse_key_set
from mirror.errors import FormatError, SourceError

__all__ = ["as_json", "db", "key_files", "read_file", "read_key_files", "sources"]

_Decorator: TypeAlias = Callable[[Any], Any]

_FILE = click.Path(path_type=Path, dir_okay=False)

sources: _Decorator = click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")

db: _Decorator = click.option(
    "--db",
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
    type=_FILE,
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


def read_file(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        SourceError: `source.unreadable`
    """
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError(
            "source.unreadable", reason, where=str(path), hint="check the path"
        ) from error


def read_key_files(paths: Iterable[Path]) -> list[Key]:
    """Return the keys of key set files.

    Raises:
        SourceError: If one cannot be read.
        FormatError: If one is refused (K2), with its path before the place of the fault.
    """
    keys: list[Key] = []
    for path in paths:
        try:
            keys.extend(parse_key_set(read_file(path)))
        except FormatError as error:
            place = f"{path}: {error.where}" if error.where else str(path)
            raise type(error)(error.code, error.message, where=place, hint=error.hint) from error
    return list(KeySet(keys))
