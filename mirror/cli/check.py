"""The command `check`: verifies a whole store again, and repairs it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

from mirror.cli import exit_codes, options
from mirror.cli.damage_view import damage_line, damage_value
from mirror.cli.output import plural, print_json, print_table, say
from mirror.cli.progress import show_progress
from mirror.engine.anchors.update import check_anchors, update_anchors
from mirror.engine.states.check import CheckReport, CheckScope, check_and_repair
from mirror.engine.states.check import check as check_store
from mirror.store import Damage, open_store

__all__ = ["check"]


class _Part(click.ParamType[tuple[int, int]]):
    """`3/10`: the third of ten parts."""

    name = "I/N"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        match = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", str(value))
        if match is None or int(match[1]) > int(match[2]):
            self.fail("must be like 3/10: the third of ten parts", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@options.db
@options.jobs
@click.option(
    "--part", type=_Part(), default="1/1", help="Only one part of the records, such as 3/10."
)
@click.option(
    "--time-limit",
    "time_limit_s",
    type=options.Duration(),
    help="Stop after 90s, 10m or 2h; the next run resumes there.",
)
@click.option("--quick", is_flag=True, help="Only checksums of facts; no signatures.")
@click.option("--repair", is_flag=True, help="Quarantine damaged facts, and derive all data again.")
@options.as_json
@options.quiet
@click.pass_context
def check(
    ctx: click.Context,
    *,
    db: Path,
    part: tuple[int, int],
    time_limit_s: float | None,
    quick: bool,
    repair: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Verify the whole store: hashes, signatures, states, SQLite.

    All data is computed again from the facts and compared with the store. Each damage is listed.
    With --repair, damaged facts are moved to the quarantine, all data is derived again, and the
    records that need a bundle are listed; stop other mirror processes first.

    \b
    Examples:
      mirror check
      mirror check --time-limit 10m           every night, a further part
      mirror check --part 3/10 --json         one of ten parts
      mirror check --repair

    Exit codes: 0 everything is as it should be; 1 something is damaged, or was not reached.
    """
    if repair and (part != (1, 1) or time_limit_s is not None or quick):
        raise click.UsageError(
            "--repair checks everything: leave out --part, --time-limit and --quick"
        )
    scope = CheckScope(part=part[0], of=part[1], time_limit_s=time_limit_s, quick=quick)
    started = time.monotonic()

    def on_damage(damage: Damage) -> None:
        if as_json:
            if not (quiet and damage.is_known):
                print_json(damage_value(damage))
        elif not damage.is_known:
            say(damage_line(damage))

    with show_progress("checked", is_quiet=quiet) as progress:
        run = check_and_repair if repair else check_store
        report = run(db, scope, on_damage, progress.advance, check_anchors)
        if report.is_repaired:
            with open_store(db) as store:
                update_anchors(store)  # the repair made all derived data again
    if quiet:
        ctx.exit(exit_codes.of_check(report))
    if as_json:
        print_json(
            {
                "checked": report.records,
                "damaged": len(report.damages),
                "known": report.known,
                "finished": report.is_complete,
            }
        )
    print_table(_rows(report, time.monotonic() - started, time_limit_s), err=as_json)
    ctx.exit(exit_codes.of_check(report))


def _rows(
    report: CheckReport, seconds: float, time_limit_s: float | None
) -> dict[str, str | list[str]]:
    rows: dict[str, str | list[str]] = {
        "checked": f"{plural(report.records, 'record')} in {seconds:.1f} s",
        "damaged": f"{len(report.damages):,}",
    }
    if report.known:
        rows["known"] = f"{report.known:,} acknowledged, of these"
    if not report.is_complete and not report.is_repaired:
        rows["not finished"] = (
            "not all of the file can be read; mirror check --repair saves all readable facts"
            if time_limit_s is None
            else "time limit reached; rerun the same command to resume"
        )
    if report.is_repaired:
        needed = ", ".join(report.need_bundles) or "none whose number is known"
        rows["repaired"] = (
            f"the other facts are sound; quarantined: {plural(report.quarantined, 'fact')}"
        )
        rows["need a bundle"] = needed
    if report.old_files:
        rows["old file"] = [str(one) for one in report.old_files]
    return rows
