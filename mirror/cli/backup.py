"""`mirror backup`: a copy of the whole store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.output import plural, print_json, print_table
from mirror.cli.output_paths import OutputPath, writes
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_name
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.backup import BackupResult, back_up
from mirror.store import APPLICATION_ID

__all__ = ["backup"]


@click.command()
@click.argument("out", type=OutputPath(may_replace=frozenset({APPLICATION_ID})), metavar="OUT.db")
@options.db
@options.as_json
@writes
def backup(out: OutputFile, *, db: Path, as_json: bool) -> None:
    """Copy the whole store to a file, while others read and write it.

    Unlike an export, the copy includes the trusted keys and profiles, checkpoints, statements of
    upstreams, acknowledgements, and the source and time of each fact. It is checked, and created
    only if it is sound. With --force, an older copy of the same store is replaced, unless it
    contains a fact that this store lacks.

    To restore, copy in the other direction, to a new name:
    `mirror backup --db OUT.db mirror.db`.

    \b
    Examples:
      mirror backup backup.db
      mirror backup backup.db --force     every night
    """
    with show_progress("copied", "pages") as progress:
        made = back_up(db, out, progress.advance)
    if as_json:
        name = escape_name(str(out.path))
        print_json({"file": name, **asdict(made)})
    else:
        print_table(_rows(out.path, made))


def _rows(path: Path, made: BackupResult) -> dict[str, str | list[str]]:
    return {
        "backup": f"{path}, {plural(made.size_bytes, 'byte')}, checked",
        "records": f"{made.records:,}, from {plural(made.arrivals, 'bundle')}",
        "key set": f"{made.key_set_digest}, {plural(made.trust_changes, 'change')} of trust",
        "checkpoints": f"{made.checkpoints:,}",
        "upstreams": plural(made.upstream_statements, "statement"),
    }
