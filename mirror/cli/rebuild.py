"""`mirror rebuild`: derive everything again from the facts."""

from __future__ import annotations

from pathlib import Path

import click

from mirror.cli import exit_codes, options
from mirror.cli.damage_view import damage_line, damage_value
from mirror.cli.output import plural, print_json, print_table, say
from mirror.cli.progress import show_progress
from mirror.engine.anchors.update import update_anchors
from mirror.engine.states.rebuild import rebuild as rebuild_store
from mirror.store import open_store

__all__ = ["rebuild"]


@click.command()
@options.db
@options.jobs
@options.shared("--states-only", is_flag=True, help="Only the states, from the stored verdicts.")
@options.as_json
@click.pass_context
def rebuild(ctx: click.Context, *, db: Path, states_only: bool, as_json: bool) -> None:
    """Derive verdicts, states and indexes again from the facts.

    The digests stay the same, unless derived data was damaged or this version has other rules. The
    next run resumes an interrupted one.

    \b
    Examples:
      mirror rebuild
      mirror rebuild --states-only       no signature is verified again
    """
    with open_store(db, must_exist=True) as store, show_progress("rebuilt") as progress:
        has_anchors = store.anchors.is_used()
        damages = rebuild_store(store, progress.advance, verify=not states_only)
        if has_anchors:
            update_anchors(store)
        count = store.records.count()
    for damage in damages:
        if as_json:
            print_json(damage_value(damage))
        else:
            say(damage_line(damage))
    rebuilt = count - len(damages)
    if as_json:
        print_json({"rebuilt": rebuilt, "damaged": len(damages)})
    else:
        print_table({"rebuilt": plural(rebuilt, "record"), "damaged": f"{len(damages):,}"})
    ctx.exit(exit_codes.FOUND if damages else exit_codes.OK)
