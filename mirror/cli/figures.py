"""`mirror figures`: the figures of the store as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.output import plural, print_table
from mirror.cli.output_paths import OutputPath, writes
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_name
from mirror.engine.atomic_file import OutputFile
from mirror.engine.figures.numbers import Figures
from mirror.engine.figures.reading import CopyFault, UnreadableCopyError, read_figures
from mirror.engine.tables.copy import beside, update_copy
from mirror.errors import SourceError
from mirror.store import open_store

__all__ = ["figures"]


@click.command()
@click.argument("out", type=OutputPath(), metavar="OUT.html")
@options.db
@options.jobs
@writes
def figures(*, out: OutputFile, db: Path) -> None:
    """Write figures of the store, with their numbers, as HTML.

    The file has records by year and category, events by type over claimed and known time,
    findings, signers, the most cited records, and completeness. It needs no other file and no
    script. The numbers are from the analysis copy beside the store (mirror.tables.db
    beside mirror.db), which is made or brought up to date first. `mirror serve` shows the figures
    of that copy at /figures.

    \b
    Examples:
      mirror figures figures.html
      mirror figures figures.html --force --db library.db
    """
    # Other commands need not wait for the templates.
    from mirror.web.pages.environment import environment  # noqa: PLC0415
    from mirror.web.pages.figures import figures_file  # noqa: PLC0415

    path = beside(db)
    with open_store(db, must_exist=True) as store, show_progress("records") as progress:
        update_copy(store, path, (db,), progress.advance)
    numbers = _read(path)
    with out.open() as file:
        file.write(figures_file(numbers, environment()))
    print_table(_words(out.path, path, numbers))


def _read(path: Path) -> Figures:
    """Return the figures of a copy that was just brought up to date.

    Raises:
        SourceError: `tables.damaged`, or `tables.busy` if another process writes to it.
    """
    try:
        return read_figures(path)
    except UnreadableCopyError as error:
        code = "tables.busy" if error.fault is CopyFault.LOCKED else "tables.damaged"
        hint = "run the command again; if that does not help, delete this file, a copy of the store"
        message = f"the analysis copy cannot be read: {error}"
        raise SourceError(code, message, where=escape_name(str(path)), hint=hint) from error


def _words(out: Path, path: Path, figures: Figures) -> dict[str, str]:
    origin = figures.origin
    return {
        "figures": escape_name(str(out)),
        "of": f"{plural(figures.records, 'record')}, {plural(origin.events_valid, 'valid event')}",
        "copy": escape_name(str(path)),
        "root": origin.root,
        "known by": origin.known_by or "nothing is known yet",
    }
