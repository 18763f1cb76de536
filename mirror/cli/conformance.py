"""`mirror conformance`: whether another implementation follows the rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mirror.archive.standard_input import standard_input
from mirror.cli import exit_codes, options
from mirror.cli.output import echo, plural, print_json, print_table
from mirror.cli.output_paths import OutputPath, writes
from mirror.cli.progress import show_progress
from mirror.core.rule_numbers import TITLES
from mirror.core.shape import list_member, object_member
from mirror.core.values import Object, encode
from mirror.engine.atomic_file import OutputFile
from mirror.engine.conformance.report import ConformanceReport
from mirror.engine.conformance.run import ConformanceRequest, run_conformance
from mirror.engine.conformance.store_answers import answer_lines
from mirror.engine.conformance.task import KINDS

__all__ = ["conformance"]


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument(
    "command",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[COMMAND]...",
    shell_complete=options.complete_paths,
)
@click.option("--seed", default="0", show_default=True, help="The made-up worlds follow from it.")
@click.option(
    "--worlds",
    type=click.IntRange(0, 1_000_000),
    default=100,
    show_default=True,
    help="How many worlds to make up.",
)
@click.option(
    "--vectors",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also ask the tasks of a folder of vectors.",
)
@click.option(
    "--task",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="Ask only tasks of this kind; repeatable.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0.1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Limit for each start of the program, with up to 250 tasks.",
)
@click.option("--report", type=OutputPath(), metavar="FILE", help="Write the report as JSON.")
@click.option("--html", type=OutputPath(), metavar="FILE", help="Write the report as a page.")
@click.option("--answer", is_flag=True, help="Answer tasks from standard input; run nothing.")
@options.as_json
@options.quiet
@writes
def conformance(
    command: tuple[str, ...],
    *,
    seed: str,
    worlds: int,
    vectors: Path | None,
    kinds: tuple[str, ...],
    time_limit: float,
    report: OutputFile | None,
    html: OutputFile | None,
    answer: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find out whether another implementation follows the rules.

    COMMAND is a program that reads tasks from standard input and writes answers, in JSON Lines. It
    is asked about every rule, and about made-up worlds that follow from --seed. The first
    difference is made as small as possible, and the rule is named.

    With --answer, this implementation answers tasks itself, in the same form.

    \b
    Examples:
      mirror conformance node verifier/conformance.js
      mirror conformance --worlds 5000 --seed 7 --html report.html ./my-program
      mirror conformance mirror conformance --answer

    Exit codes: 0 every answer is alike; 1 something differs, is unsupported or was not answered;
    3 the program or the vectors could not be read.
    """
    if answer == bool(command):
        raise click.UsageError("give either a command or --answer")
    if answer:
        _answer_tasks()
        return
    with show_progress("tasks", is_quiet=quiet) as progress:
        found = run_conformance(
            ConformanceRequest(
                command=command,
                seed=seed,
                worlds=worlds,
                vectors=vectors,
                kinds=kinds or KINDS,
                time_limit_s=time_limit,
                progress=progress.advance,
            )
        )
    _write(found, report, html)
    if as_json:
        print_json(found.to_value())
    else:
        _print(found)
    sys.exit(exit_codes.of_conformance(found))


def _answer_tasks() -> None:
    for line in answer_lines(standard_input()):
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _write(found: ConformanceReport, report: OutputFile | None, html: OutputFile | None) -> None:
    if report is not None:
        with report.open() as file:
            file.write(encode(found.to_value()) + b"\n")
    if html is not None:
        from mirror.web.pages.conformance_report import render  # noqa: PLC0415 - jinja2 is slow

        with html.open() as file:
            file.write(render(found))


_FEW = 5
"""Codes and rules that are named as not covered; with more, a part was not asked."""

_RESULTS = {
    "alike": "every answer is alike",
    "partial": "every answer is alike; some tasks are unsupported",
    "different": "different",
}


def _print(found: ConformanceReport) -> None:
    value = found.to_value()
    rows: dict[str, Any] = {"result": _RESULTS[found.result]}
    for kind, counts in object_member(value, "tasks").items():
        shown = counts.items() if isinstance(counts, dict) else ()
        rows[kind] = ", ".join(f"{count:,} {name}" for name, count in shown if count) or "none"
    for name in ("codes", "rules"):
        coverage = object_member(value, name)
        left = [str(one) for one in list_member(coverage, "not_covered")]
        covered = len(list_member(coverage, "covered"))
        rows[name] = f"{covered} of {covered + len(left)} covered"
        if 0 < len(left) <= _FEW:
            rows[name] += f", not {', '.join(left)}"
    for name in ("fault", "stopped"):
        if value[name]:
            rows[name] = str(value[name])
    print_table(rows)
    if found.first is not None:
        _print_difference(object_member(value, "first_difference"), found)


def _print_difference(first: Object, found: ConformanceReport) -> None:
    rules = [str(one) for one in list_member(first, "rules")]
    named = [f"{one}, {TITLES[one]}" if one in TITLES else one for one in rules]
    echo(f"\nThe first difference, in task {first['task_id']}: {first['case']}")
    rows = {
        "rule": "; ".join(named),
        "where": str(first["where"]),
        "expected": str(first["expected"]),
        "answered": str(first["answered"]),
    }
    if first["stderr"]:
        rows["stderr"] = str(first["stderr"]).strip()
    print_table(rows)
    echo("The task, made as small as possible:")
    echo(encode(first["task"]).decode())
    others = found.differences.total() - 1
    if others > 0:
        echo(
            f"{plural(others, 'other task')} differ, by rule: "
            + ", ".join(f"{rule} {count:,}" for rule, count in found.differences.most_common())
        )
