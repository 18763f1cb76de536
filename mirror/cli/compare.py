"""`mirror compare`: our states against upstream's, or another mirror's."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mirror.archive import ReadLimits
from mirror.cli import exit_codes, limit_options, network_options, options
from mirror.cli.ingest_view import SHOWN_FINDINGS
from mirror.cli.output import plural, print_json, print_table, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.cli.progress import show_progress
from mirror.core.comparison.causes import Cause
from mirror.core.values import canonical, decode, sha256
from mirror.engine.atomic_file import OutputFile
from mirror.engine.compare.history import Rollback, history
from mirror.engine.compare.mirrors import MirrorCompareOptions, compare_with_mirror
from mirror.engine.compare.states import (
    CompareOptions,
    CompareResult,
    CompareSummary,
    compare_with_upstream,
)
from mirror.engine.compare.upstream import UpstreamSource
from mirror.errors import MirrorError
from mirror.net import Client, ClientConfig
from mirror.store import UpstreamStatementRow, open_store

if TYPE_CHECKING:
    from mirror.web.pages.comparison_report import ComparisonReport

__all__ = ["compare"]

_ORDER = (
    "match", "match_known", "behind", "ahead", "forked", "differs", "missing_here",
    "missing_upstream", "unreadable",
)  # fmt: skip


@click.command()
@click.argument("names", nargs=-1, metavar="[ID]...")
@options.db
@options.jobs
@click.option(
    "--upstream",
    type=options.SourceText(),
    metavar="URL|DIR|FILE",
    help="Source of the states to compare with.",
)
@click.option("--mirror", "mirror_url", metavar="URL", help="Compare with another mirror's tree.")
@click.option(
    "--history",
    "history_of",
    metavar="ID",
    help="Show all stored statements of upstreams on a record.",
)
@click.option("--bundles", is_flag=True, help="Compare with states made from upstream's bundles.")
@click.option("--upstream-name", metavar="NAME", help="Name under which its statements are stored.")
@click.option("--no-history", is_flag=True, help="Do not store upstream's statements.")
@click.option("--quick", is_flag=True, help="With --mirror: only list the records that differ.")
@click.option(
    "--report",
    type=OutputPath(),
    metavar="FILE.html",
    help="Also write all findings to an HTML page.",
)
@options.as_json
@options.quiet
@network_options.client_config
@limit_options.limits
@writes
def compare(
    names: tuple[str, ...],
    *,
    db: Path,
    upstream: str | None,
    mirror_url: str | None,
    history_of: str | None,
    bundles: bool,
    upstream_name: str | None,
    no_history: bool,
    quick: bool,
    report: OutputFile | None,
    as_json: bool,
    quiet: bool,
    client_config: ClientConfig,
    limits: ReadLimits,
) -> None:
    """Compare the states with upstream's or another mirror's.

    Upstream is an address, a folder or a bag with state.json members, JSON Lines of states, or one
    state. Without an ID all records of both sides are compared. Upstream's statements are stored;
    a later withdrawal of one is a finding (rollback).

    \b
    match             equal in all that both have
    match_known       equal, but upstream has members that are unknown here
    behind, ahead     valid events are missing here, or missing upstream
    forked            both
    differs           same events, different state
    missing_here, missing_upstream, unreadable

    \b
    Examples:
      mirror compare --upstream https://pith.science 1705.09786
      mirror compare --upstream states/ --report report.html
      mirror compare --mirror https://mirror.example
      mirror compare --history 1705.09786

    Exit codes: 0 all match; 1 something else was found; 5 upstream could not be read.
    """
    _require_consistent(click.get_current_context().params)
    if history_of is not None:
        with open_store(db, read_only=True) as store, store.snapshot():
            _show_history(history(store, history_of), as_json=as_json)
        return
    printer = ComparisonPrinter(
        _report_on(upstream or mirror_url or "", report), as_json=as_json, quiet=quiet
    )
    with ExitStack() as stack:
        store = stack.enter_context(open_store(db, read_only=no_history, must_exist=True))
        client = stack.enter_context(Client(client_config))
        printer.acknowledged = store.acknowledgements.digests()
        progress = stack.enter_context(show_progress("compared", is_quiet=quiet))
        stack.enter_context(printer.printed_on_error())
        if mirror_url is not None:
            mirror = MirrorCompareOptions(
                url=mirror_url,
                quick=quick,
                on_finding=printer.on_finding,
                progress=progress.advance,
            )
            summary = compare_with_mirror(store, mirror, client)
        else:
            source = UpstreamSource(upstream or "", store.trust_log.key_set(), bundles, limits)
            chosen = CompareOptions(
                upstream=source,
                names=names,
                upstream_name=upstream_name or "",
                keep_history=not no_history,
                on_finding=printer.on_finding,
                progress=progress.advance,
            )
            summary = compare_with_upstream(store, chosen, client)
    printer.end(summary)
    sys.exit(exit_codes.of_comparison(summary, printer.known))


def _require_consistent(given: Mapping[str, Any]) -> None:
    """Refuse options that would be ignored."""
    if [given["upstream"], given["mirror_url"], given["history_of"]].count(None) != 2:
        raise click.UsageError("give one of --upstream, --mirror, --history")
    of_upstream = any(given[name] for name in ("names", "bundles", "upstream_name", "no_history"))
    if of_upstream and given["upstream"] is None:
        raise click.UsageError("[ID], --bundles, --upstream-name, --no-history go with --upstream")
    if given["quick"] and given["mirror_url"] is None:
        raise click.UsageError("--quick goes with --mirror")
    if given["report"] is not None and given["history_of"] is not None:
        raise click.UsageError("--report goes with --upstream or --mirror")


# Output --------------------------------------------------------------------------------------


@dataclass(slots=True)
class ComparisonPrinter:
    """Prints findings as JSON Lines or the first few for a person, and adds them to a report."""

    report: ReportFile | None
    as_json: bool
    quiet: bool = False
    acknowledged: Collection[tuple[str, bytes]] = ()
    """Status and digest of acknowledged findings."""
    summary: CompareSummary = field(default_factory=CompareSummary)
    """Figures of all findings so far."""
    _count: int = 0
    known: int = 0
    """Acknowledged findings."""

    def on_finding(self, finding: CompareResult) -> None:
        """Count and print a finding."""
        self.summary.count(finding)
        if not self.as_json and not isinstance(finding, Rollback) and finding.is_same:
            return
        value = finding.to_value()
        digest = sha256(canonical(value))
        is_same = not isinstance(finding, Rollback) and finding.is_same
        is_known = not is_same and (value["status"], digest) in self.acknowledged
        self.known += is_known
        if self.as_json and not (self.quiet and (is_same or is_known)):
            print_json({**value, "digest": digest.hex(), "is_known": is_known})
        if is_same:
            return
        if self.report is not None:
            self.report.page.add(value)
        if is_known:
            return
        self._count += 1
        if not self.as_json and self._count <= SHOWN_FINDINGS:
            for line in _lines(finding):
                say(line)

    @contextmanager
    def printed_on_error(self) -> Iterator[None]:
        """Print the findings so far also if an error or Ctrl-C ends the run."""
        try:
            yield
        except (MirrorError, KeyboardInterrupt) as error:
            if self.summary.statuses:
                self.end(self.summary, stopped=str(error) or "Interrupted.")
            raise

    def end(self, summary: CompareSummary, stopped: str = "") -> None:
        """Print the figures, and write the report."""
        if self._count > SHOWN_FINDINGS and not self.as_json:
            say(f"… and {self._count - SHOWN_FINDINGS:,} more; --json prints all of them")
        if not self.quiet:
            known = {"known": f"{self.known:,} acknowledged, of these"} if self.known else {}
            print_table({**summary_rows(summary), **known}, err=self.as_json)
        if self.report is not None:
            self.report.write(summary_rows(summary), stopped)


class ReportFile(NamedTuple):
    file: OutputFile
    page: ComparisonReport

    def write(self, figures: dict[str, str | list[str]], stopped: str) -> None:
        with self.file.open() as file:
            file.write(self.page.render(figures, stopped))
        say(f"report written to {self.file.path}")


def _report_on(upstream: str, file: OutputFile | None) -> ReportFile | None:
    if file is None:
        return None
    # Other ways of comparing need not wait for the templates.
    from mirror.web.pages.comparison_report import ComparisonReport  # noqa: PLC0415

    return ReportFile(file, ComparisonReport(upstream))


def _lines(finding: CompareResult) -> Iterator[str]:
    if isinstance(finding, Rollback):
        yield f"rollback: {finding.pith_number}: {_words(finding.causes)}"
        return
    number = f"{finding.pith_number}: " if finding.pith_number else ""
    yield f"{finding.status}: {number}{_words(list(finding.causes))}"
    if (first := finding.first_difference) is not None:
        yield f"  first difference at {first.place}: {first.sides}"


def _words(causes: list[Cause]) -> str:
    if not causes:
        return "no cause is known"
    more = f" (and {plural(len(causes) - 1, 'more cause')})" if len(causes) > 1 else ""
    return causes[0].text + more


def summary_rows(summary: CompareSummary) -> dict[str, str | list[str]]:
    """Return the figures of a run for `print_table`."""
    statuses: Counter[str] = summary.statuses
    rows: dict[str, str | list[str]] = {
        name: plural(statuses[name], "record") for name in _ORDER if statuses[name]
    }
    if summary.rollbacks:
        rows["rollbacks"] = f"{summary.rollbacks:,}"
    if summary.requests:
        rows["requests"] = f"{summary.requests:,}"
    return rows or {"compared": "nothing: there are no records"}


def _show_history(rows: list[tuple[UpstreamStatementRow, list[Cause]]], *, as_json: bool) -> None:
    for row, causes in rows:
        taken_back = [cause.text for cause in causes]
        if as_json:
            said = decode(row.text)
            digest = row.digest.hex()
            print_json(
                {
                    "pith_number": row.pith_number,
                    "upstream": row.upstream,
                    "kind": row.kind,
                    "at": row.first_read_at,
                    "sha256": digest,
                    "took_back": taken_back,
                    "said": said,
                }
            )
            continue
        print_table(
            {
                "at": row.first_read_at,
                "upstream": row.upstream,
                f"{row.kind} sha256": row.digest.hex(),
                "took back": taken_back or "nothing",
            }
        )
        click.echo()
