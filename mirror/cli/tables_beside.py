"""The analysis copy beside a store, brought up to date and opened: `query`, `list`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mirror.cli import exit_codes, options
from mirror.cli.output import plural, say
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_name
from mirror.engine.tables.copy import CopyResult, beside, update_copy
from mirror.engine.tables.query import CopyReader, open_copy
from mirror.errors import OutputError, StoreError
from mirror.store import open_store

__all__ = ["no_refresh", "opened_tables", "time_limit"]

no_refresh = click.option(
    "--no-refresh",
    is_flag=True,
    help="Use the tables beside the store as they are, and say of what time.",
)
time_limit = click.option(
    "--time-limit",
    "time_limit_s",
    type=options.Duration(),
    default="60s",
    show_default=True,
    help="Stop after this time of work: 90s, 10m or 2h.",
)

_WATCH_S = 0.5
_GRACE_S = 5.0
"""Seconds beyond its limit after which a statement that cannot be interrupted ends the process."""


@contextmanager
def opened_tables(db: Path, *, no_refresh: bool) -> Iterator[CopyReader]:
    """Open the analysis copy beside a store, made or brought up to date first.

    Args:
        db: The store.
        no_refresh: Use the copy as it is.

    Raises:
        MirrorError: As `update_copy` and `open_copy`.
    """
    path = beside(db)
    if not no_refresh:
        _refresh(db, path)
    with open_copy(path) as reader, _ended_when_stuck(reader):
        if no_refresh:
            origin = reader.origin
            known = f"known by {origin.known_by}" if origin.known_by else "nothing known yet"
            say(f"tables of {known}, root {origin.root}")
        yield reader


def _refresh(db: Path, path: Path) -> None:
    hint = "--no-refresh uses the tables that are there as they are" if path.exists() else ""
    try:
        with open_store(db, must_exist=True) as store, show_progress("records") as progress:
            result = update_copy(store, path, (db,), progress.advance)
    except (StoreError, OutputError) as error:
        both = (hint,) if error.code == "output.exists" else (error.hint, hint)
        error.hint = "; ".join(filter(None, both))
        raise
    _report(result)


def _report(result: CopyResult) -> None:
    """Say what was written, if anything was."""
    name = escape_name(str(result.path))
    if result.is_new:
        say(f"{name}: tables of {plural(result.records_changed, 'record')} written")
    elif result.records_changed:
        say(f"{name}: {plural(result.records_changed, 'changed record')} written again")


@contextmanager
def _ended_when_stuck(reader: CopyReader) -> Iterator[None]:
    """End the process if a statement neither ends nor can be interrupted."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_WATCH_S):
            if reader.overdue_s() > _GRACE_S:
                say("error: query.limit: it ran for too long, and could not be interrupted")
                say("hint: some rows may be missing; search in smaller values")
                sys.stderr.flush()
                os._exit(exit_codes.FOUND)

    thread = threading.Thread(target=watch, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the machine has no thread left
        yield
        return
    try:
        yield
    finally:
        is_over.set()
        thread.join()
