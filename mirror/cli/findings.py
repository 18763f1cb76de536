"""`mirror findings`: findings in the store, and their acknowledgement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.core import ParameterSource

from mirror.cli import options
from mirror.cli.output import echo, plural, print_json, print_table, say
from mirror.engine.acknowledge import AcknowledgeOptions, acknowledge, read_reports, withdraw
from mirror.engine.identifiers import look_up
from mirror.store import Store, open_store
from mirror.store.acknowledgements import Acknowledgement
from mirror.store.findings import CodeCount, FindingFilter, FindingRow

__all__ = ["findings"]

_SHOWN = 20
_REPORTS_BYTES = 64 << 20
"""Bytes of the findings of a run that are acknowledged together: some 100,000."""

_code = click.option(
    "--code", default="", metavar="CODE", help="Only this code, such as event.signature."
)
_record = click.option("--record", default="", metavar="ID", help="Only this record.")
_source = click.option("--source", default="", metavar="TEXT", help="Only facts from this source.")


@click.group(invoke_without_command=True)
@options.db
@_code
@_record
@_source
@click.option("--new", "new_only", is_flag=True, help="Only findings that are not acknowledged.")
@click.option(
    "--limit",
    type=options.Count(1),
    help=f"Most lines to show; {_SHOWN} if not given, with --json all.",
)
@options.as_json
@click.pass_context
def findings(
    ctx: click.Context,
    *,
    db: Path,
    code: str,
    record: str,
    source: str,
    new_only: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List findings in the store, and acknowledge them.

    Findings are invalid events and receipts, equivocations (different events of one signer at one
    time), and quarantined facts. The counts come first. A bundle that is refused completely is not
    stored; `mirror verify --json` lists it.

    \b
    Examples:
      mirror findings
      mirror findings --new --json
      mirror findings --code event.signature --record 1705.09786
      mirror findings ack --code event.signature --by Ada --reason "reported"
    """
    if ctx.invoked_subcommand is not None:
        given = [one for one in ctx.params if _is_typed(ctx, one)]
        if given:
            raise click.UsageError("options of `findings` go after `ack`")
        return
    with open_store(db, read_only=True) as store, store.snapshot():
        only = _only(store, code, record, source)
        counts = store.findings.counts(only)
        _print_counts(counts, store.status().stale, as_json=as_json)
        lines = _lines(store, only, counts, new_only=new_only)
        _print_lines(lines, limit if as_json else limit or _SHOWN, as_json=as_json)


def _is_typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _only(store: Store, code: str, record: str, source: str) -> FindingFilter:
    return FindingFilter(code, look_up(store.records, record) if record else 0, source)


def _lines(
    store: Store, only: FindingFilter, counts: dict[str, CodeCount], *, new_only: bool
) -> Iterator[tuple[str, FindingRow]]:
    """Yield code and finding."""
    for code, count in counts.items():
        if new_only and count.total == count.known:
            continue
        found = store.findings.all(only._replace(code=code))
        yield from ((code, one) for one in found if not new_only or one.total > one.known)


def _print_counts(counts: dict[str, CodeCount], stale: int, *, as_json: bool) -> None:
    if as_json:
        said = {code: count._asdict() for code, count in counts.items()}
        print_json({"counts": said, "to_be_merged_again": stale})
        return
    rows: dict[str, str | list[str]] = {
        code: f"{plural(count.total, 'finding')}, {count.known:,} known"
        for code, count in counts.items()
    }
    if stale:
        rows["to be merged"] = f"{plural(stale, 'record')} again: run `mirror merge` or `rebuild`"
    print_table(rows or {"findings": "none"})


def _print_lines(
    lines: Iterator[tuple[str, FindingRow]], limit: int | None, *, as_json: bool
) -> None:
    for index, (code, one) in enumerate(lines):
        if index == limit:
            say("… and more; --limit and --json show them")
            return
        if as_json:
            value = {"code": code, **one._asdict()}
            print_json({name: value[name] for name in value if name not in {"at", "suffix"}})
        else:
            _print_finding(code, one, is_first=not index)


def _print_finding(code: str, one: FindingRow, *, is_first: bool) -> None:
    if is_first:
        echo()
    known = "" if not one.known else ", known" if one.known == one.total else f", {one.known} known"
    rows: dict[str, str | list[str]] = {
        "code": f"{code}: {one.total:,}{known}",
        "record": one.pith_number or "unknown",
    }
    if one.source:
        rows["from"] = f"{one.source}:{one.member}" if one.member else one.source
    if one.arrived_at:
        rows["at"] = one.arrived_at
    if one.reason:
        rows["why"] = one.reason
    print_table(rows)
    echo()


# Acknowledging -------------------------------------------------------------------------------


@findings.command()
@options.db
@_code
@_record
@_source
@click.option(
    "--event",
    "events",
    multiple=True,
    metavar="ID|DIGEST",
    help="Only this event, by id or SHA-256, or this receipt, by SHA-256.",
)
@click.option(
    "--from",
    "reports",
    type=options.SmallFile(),
    metavar="FILE|-",
    help="Findings in JSON Lines of a command, including refused bundles.",
)
@click.option(
    "--reason", default="", metavar="TEXT", help="Reason for the acknowledgement; required."
)
@click.option(
    "--by",
    "name",
    default="",
    metavar="NAME",
    help="Name of the person who acknowledges; required.",
)
@click.option("--list", "as_list", is_flag=True, help="Show all acknowledgements.")
@click.option(
    "--withdraw", "line_id", type=options.Count(1), help="Withdraw the one with number N in --list."
)
@options.as_json
def ack(
    *,
    db: Path,
    code: str,
    record: str,
    source: str,
    events: tuple[str, ...],
    reports: Path | None,
    reason: str,
    name: str,
    as_list: bool,
    line_id: int | None,
    as_json: bool,
) -> None:
    """Acknowledge findings, which then count as known.

    A known finding does not change an exit code. A finding must match all of --code, --record,
    --source and --event. Only findings that are in the store now are acknowledged; a later one is
    new, even with the same code. A finding given with --from is recognised by its digest whenever
    it occurs again. Nothing is deleted.

    \b
    Examples:
      mirror findings ack --code event.id --by Ada --reason "see the mail"
      mirror findings ack --record 1705.09786 --by Ada --reason "reported"
      mirror verify bag.tar --json |
        mirror findings ack --from - --by Ada --reason "known since May"
      mirror findings ack --list
      mirror findings ack --withdraw 3 --by Ada --reason "it was no mistake"
    """
    chosen = any((code, record, source, events, reports))
    if as_list:
        if chosen or line_id or name or reason:
            raise click.UsageError("--list takes only --json and --db")
        with open_store(db, read_only=True) as store:
            _print_log(store.acknowledgements.log(), as_json=as_json)
        return
    if not name.strip() or not reason.strip():
        raise click.UsageError("--by and --reason are required")
    if chosen == (line_id is not None):
        raise click.UsageError("give --code, --record, --source, --event, --from or --withdraw")
    with open_store(db, must_exist=True) as store:
        if line_id is not None:
            withdraw(store, line_id, name, reason)
            _say_done({"withdrawn": line_id}, as_json=as_json)
            return
        only = _only(store, code, record, source)
        is_any = bool(code or record or source)
        wish = AcknowledgeOptions(name, reason, only, is_any, events, _read(reports))
        count = acknowledge(store, wish)
    _say_done({"acknowledged": count}, as_json=as_json)


def _read(path: Path | None) -> tuple[tuple[str, str], ...]:
    if path is None:
        return ()
    data = options.read_input(path, _REPORTS_BYTES)
    with options.locate_errors(path):
        return read_reports(data)


def _say_done(done: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
    else:
        print_table({name: f"{count:,}" for name, count in done.items()})


def _print_log(log: list[Acknowledgement], *, as_json: bool) -> None:
    if not log and not as_json:
        say("nothing was acknowledged")
    for index, line in enumerate(log):
        if as_json:
            print_json(line._asdict())
            continue
        if index:
            echo()
        criteria = (
            line.criteria if line.is_in_force or line.withdraws else f"{line.criteria}; withdrawn"
        )
        covers = {} if line.withdraws else {"covers": plural(line.items, "finding")}
        print_table(
            {
                "number": str(line.id),
                "what": criteria,
                **covers,
                "by": line.name,
                "reason": line.reason,
                "at": line.at,
            }
        )
