"""`mirror tables`: the data of the store as tables."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.output import plural, print_json, print_table
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_name
from mirror.engine.tables.copy import CopyResult, update_copy
from mirror.engine.tables.folder import write_folder
from mirror.engine.tables.metadata import datasette_metadata
from mirror.engine.tables.table_files import FORMS
from mirror.store import open_store

__all__ = ["tables"]


@click.command()
@click.argument("out", type=click.Path(path_type=Path), metavar="OUT")
@click.option(
    "--format",
    "form",
    type=click.Choice(("sqlite", *FORMS)),
    default="sqlite",
    show_default=True,
    help="One SQLite file, or a folder with a file for each table.",
)
@click.option(
    "--metadata", is_flag=True, help="Print the metadata of a SQLite file for Datasette, as JSON."
)
@options.db
@options.jobs
@options.as_json
def tables(*, out: Path, form: str, metadata: bool, db: Path, as_json: bool) -> None:
    """Write everything known as tables, for analysis.

    The table `dictionary` describes all tables and columns. The table `about` names the root, the
    key set and the time that they are of. A SQLite file that an earlier run made is brought up to
    date: only records that changed are written again. A folder is always written whole, from the
    copy that is kept beside the store.

    \b
    Examples:
      mirror tables registry.db
      sqlite3 registry.db "SELECT event_type, count(*) FROM events GROUP BY 1"
      mirror tables registry --format parquet
      duckdb -c "SELECT count(*) FROM 'registry/events.parquet'"
      mirror tables registry.db --metadata > metadata.json
      datasette registry.db --metadata metadata.json
    """
    if metadata and form != "sqlite":
        raise click.UsageError("--metadata is of a SQLite file: leave out --format")
    with open_store(db, must_exist=True) as store, show_progress("records") as progress:
        if form == "sqlite":
            result = update_copy(store, out, (db,), progress.advance)
        else:
            result = write_folder(store, out, form, progress.advance)
    if metadata:
        print_json(datasette_metadata(out.stem, result.origin))
    elif as_json:
        print_json(_value(result))
    else:
        print_table(_words(result))


def _value(result: CopyResult) -> dict[str, object]:
    return {
        **asdict(result.origin),
        "is_new": result.is_new,
        "records_changed": result.records_changed,
    }


def _words(result: CopyResult) -> dict[str, str]:
    origin = result.origin
    if result.is_new:
        written = f"all rows written: {plural(result.records_changed, 'record')}"
    elif result.records_changed:
        written = f"brought up to date: {plural(result.records_changed, 'changed record')}"
    else:
        written = "nothing changed" if origin.records else "no records"
    return {
        "tables": escape_name(str(result.path)),
        "written": written,
        "records": f"{origin.records:,}",
        "events": f"{origin.events_valid:,} valid, {origin.events_invalid:,} invalid",
        "root": origin.root,
        "key set": origin.key_set_digest,
        "known by": origin.known_by or "nothing is known yet",
    }
