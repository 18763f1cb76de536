"""Keys that a command trusts: those of the store, and those of `--keys`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror.cli.options import SmallFile, locate_errors, read_input, shared
from mirror.cli.output import say
from mirror.core.keys import KeySet, parse_key_set
from mirror.engine.states.key_warnings import key_warnings
from mirror.store import Store, open_store

__all__ = ["key_files", "read_key_files", "store_if_there", "store_keys"]

key_files = shared(
    "--keys",
    "key_files",
    type=SmallFile(),
    multiple=True,
    metavar="FILE",
    help="Key set file to trust in addition; may be given again.",
)


def store_keys(db: Path) -> KeySet:
    """Return the trusted keys of a store; the built-in key if there is no store."""
    with store_if_there(db) as store:
        return KeySet() if store is None else store.trust_log.key_set()


@contextmanager
def store_if_there(db: Path) -> Iterator[Store | None]:
    """Open a store to read it; give None if there is no file."""
    try:
        is_there = db.exists()
    except OSError:
        is_there = True  # opening it will say why it cannot be read
    if not is_there:
        yield None
        return
    with open_store(db, read_only=True) as store:
        yield store


def read_key_files(paths: Iterable[Path], *, warn: bool = True) -> KeySet:
    """Return the keys and profiles of key set files.

    Args:
        paths: The files.
        warn: Whether to print warnings about them.

    Raises:
        SourceError: If one cannot be read.
        LimitError: If one is too large.
        FormatError: If one is invalid (K2), with its path before the place in it.
    """
    keys = KeySet()
    for path in paths:
        data = read_input(path)
        with locate_errors(path):
            keys = keys.with_added(parse_key_set(data))
    for doubt in key_warnings(keys) if warn else ():
        say(f"warning: {doubt}")
    return keys
