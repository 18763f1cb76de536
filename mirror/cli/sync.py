"""`mirror sync`: bundles of a registry or another mirror, fetched, verified and merged."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from mirror.archive import ReadLimits
from mirror.cli import exit_codes, limit_options, network_options, options
from mirror.cli.ingest_view import SHOWN_FINDINGS, summary_rows
from mirror.cli.output import plural, print_json, print_table, say
from mirror.cli.progress import show_progress
from mirror.engine.findings import Finding
from mirror.engine.sync.report import SyncOptions, SyncResult, SyncSummary
from mirror.engine.sync.requests import read_identifiers
from mirror.engine.sync.sync import MIRROR, REGISTRY, ServerKind, identify
from mirror.engine.sync.sync import sync as sync_store
from mirror.errors import UpstreamError
from mirror.net import Client, ClientConfig
from mirror.store import open_store

__all__ = ["sync"]

_STATUSES = {
    "fetched": "fetched",
    "unchanged": "unchanged",
    "skipped": "already done",
    "refused": "refused",
    "other_record": "another record",
    "gone": "gone",
    "unknown": "unknown",
    "ambiguous": "ambiguous",
    "failed": "failed",
}
_ALWAYS = ("fetched", "unchanged", "refused", "gone", "failed")


@click.command()
@click.argument("url", metavar="URL")
@click.argument("names", nargs=-1, metavar="[ID]...")
@options.db
@options.jobs
@click.option(
    "--ids",
    "id_file",
    type=options.SmallFile(),
    metavar="FILE",
    help="Also the ids of a file, one a line; - for standard input.",
)
@click.option(
    "--kind",
    type=click.Choice([REGISTRY, MIRROR]),
    help="What URL is that of, if it shall not be asked.",
)
@click.option(
    "--full",
    "whole",
    is_flag=True,
    help="Take the whole of a mirror in one tar.",
)
@click.option("--ignore-cache", is_flag=True, help="Ask as if nothing had been asked before.")
@click.option(
    "--max-bag",
    "whole_bytes",
    type=options.Count(1),
    default=SyncOptions(url="").whole_bytes,
    show_default=True,
    envvar="MIRROR_MAX_BAG",
    help="Limit: Bytes of the tar of --full.",
)
@click.option(
    "--max-empty",
    type=options.Count(1),
    default=SyncOptions(url="").max_empty,
    show_default=True,
    envvar="MIRROR_MAX_EMPTY",
    help="Limit: Answers in a row that bring no record that the feed of a mirror names.",
)
@options.as_json
@options.quiet
@network_options.politeness
@limit_options.limits
def sync(
    url: str,
    names: tuple[str, ...],
    *,
    db: Path,
    id_file: Path | None,
    kind: str | None,
    whole: bool,
    ignore_cache: bool,
    whole_bytes: int,
    max_empty: int,
    as_json: bool,
    quiet: bool,
    politeness: ClientConfig,
    limits: ReadLimits,
) -> None:
    """Fetch bundles from a registry or another mirror, and merge them.

    From a registry: the bundles of the ids that are named; without any, those of all records in
    the store, if they have changed. From a mirror: all that came to it since the last time. What
    comes is trusted no more than a file, and checked as `merge` checks it.

    A run that ends early is gone on with by running the same command again.

    \b
    Examples:
      mirror sync https://pith.science 1705.09786
      mirror sync https://pith.science --ids ids.txt --contact mailto:me@a.example
      mirror sync https://pith.science      what is new of the records here
      mirror sync https://mirror.example    what is new in another mirror

    Exit codes: 0 all came and nothing was found; 1 something was refused, or did not come; 4 the
    store; 5 the upstream could not be reached or read, or was given up midway.
    """
    base = _base(url)
    named = (*names, *_read_ids(id_file))
    if whole and (named or kind == REGISTRY):
        raise click.UsageError("--full takes the whole of a mirror, and no ids")
    if id_file is not None and not named:
        raise click.UsageError("no id is in that file")
    said = _Said(as_json=as_json, quiet=quiet)
    with Client(politeness) as client:
        upstream = ServerKind(kind) if kind else identify(client, base)
        if whole and upstream.kind == REGISTRY:
            raise click.UsageError("that is no mirror; a registry gives no --full")
        with open_store(db) as store, show_progress("asked for", is_quiet=quiet) as progress:
            errand = SyncOptions(
                url=base,
                names=named,
                whole=whole,
                fresh=ignore_cache,
                limits=limits,
                answer_bytes=politeness.answer_bytes,
                whole_bytes=whole_bytes,
                max_empty=max_empty,
                on_finding=said.tell,
                on_result=said.tell_result,
                expect=progress.expect,
                progress=progress.advance,
            )
            tally = sync_store(store, errand, upstream, client)
    said.end(tally, base, str(db))
    if tally.stopped is not None:
        raise _given_up(tally.stopped, tally)
    sys.exit(exit_codes.of_sync(tally))


def _base(url: str) -> str:
    """Return the address of an upstream, without a slash at its end."""
    if not (url.isascii() and url.isprintable()):
        raise click.UsageError("URL holds characters that no address has")
    if "?" in url or "#" in url:
        raise click.UsageError("URL is that of a whole registry or mirror, without ? and #")
    return url.rstrip("/")


def _read_ids(path: Path | None) -> list[str]:
    if path is None:
        return []
    return read_identifiers(options.read_input(path).decode("utf-8", "replace"))


def _given_up(error: UpstreamError, tally: SyncSummary) -> UpstreamError:
    """Return the error that a run ended with, and how far it came."""
    done = sum(tally.statuses[name] for name in ("fetched", "unchanged", "skipped"))
    hint = (
        f"{plural(done, 'record')} came before, and are kept; run it again: it goes on from there"
    )
    hint = f"{error.hint} {hint}".strip()
    return UpstreamError(error.code, error.message, where=error.where, hint=hint)


# What was found ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Said:
    """Tells of findings and records: each as a line of JSON, or what is wrong to a person."""

    as_json: bool
    quiet: bool = False
    _count: int = 0
    _needs_key: bool = False

    def tell(self, report: Finding) -> None:
        """Take a finding in what was fetched."""
        if report.is_known and (self.quiet or not self.as_json):
            return
        if self.as_json:
            print_json(report)
        else:
            place = ":".join(one for one in (report.source, report.member, report.where) if one)
            self._show(report.code, place, report.pith_number, report.message)

    def tell_result(self, result: SyncResult) -> None:
        """Take what came of a record."""
        if self.quiet and (not result.code or result.status == "refused"):
            return
        if self.as_json:
            print_json(result._asdict())
        elif result.code and result.status != "refused":  # why, its findings said
            self._show(result.code, result.url or result.asked, result.pith_number, result.message)

    def _show(self, code: str, place: str, number: str | None, message: str) -> None:
        self._count += 1
        self._needs_key = self._needs_key or code.endswith(".key_unknown")
        if self._count <= SHOWN_FINDINGS:
            say(f"{code}: {place}{f' ({number})' if number else ''}: {message}")

    def end(self, tally: SyncSummary, url: str, place: str) -> None:
        """Show what it came to."""
        if self.quiet:
            return
        if self.as_json:
            print_json({"summary": _summary_value(tally, url)})
            return
        if self._count > SHOWN_FINDINGS:
            say(f"… and {self._count - SHOWN_FINDINGS:,} more findings; --json names each")
        if self._needs_key:
            say("hint: to trust a key, get it over another channel, then `mirror keys add FILE`")
        print_table(_rows(tally, url) | summary_rows(tally.ingested, place))


def _summary_value(tally: SyncSummary, url: str) -> dict[str, Any]:
    stopped = tally.stopped
    return {
        "upstream": url,
        "kind": tally.kind,
        **{name: tally.statuses[name] for name in _STATUSES},
        "codes": dict(sorted(tally.codes.items())),
        "bundles": tally.ingested.bundles_read,
        "new": asdict(tally.ingested.new),
        "requests": tally.requests,
        "is_from_start": tally.is_from_start,
        "stopped": None if stopped is None else {"code": stopped.code, "message": stopped.message},
    }


def _rows(tally: SyncSummary, url: str) -> dict[str, str | list[str]]:
    rows: dict[str, str | list[str]] = {"upstream": f"{url} ({tally.kind})"}
    for name, heading in _STATUSES.items():
        if tally.statuses[name] or name in _ALWAYS:
            rows[heading] = plural(tally.statuses[name], "record")
    if tally.codes:
        rows["why"] = [f"{code} {count:,}" for code, count in sorted(tally.codes.items())]
    if tally.is_from_start:
        rows["feed"] = "another one than before; it was read from its start"
    return rows | {"requests": f"{tally.requests:,}"}
