"""`mirror sync`: bundles of a registry or another mirror, fetched, verified and merged."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mirror.archive import ReadLimits
from mirror.cli import exit_codes, limit_options, network_options, options
from mirror.cli.ingest_view import FindingPrinter, summary_rows
from mirror.cli.output import plural, print_json, print_table
from mirror.cli.progress import show_progress
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
    help="Also the identifiers in a file, one a line; - for standard input.",
)
@click.option(
    "--kind",
    type=click.Choice([REGISTRY, MIRROR]),
    help="Kind of server; without it, the server is asked.",
)
@click.option("--full", "whole", is_flag=True, help="Fetch all records of a mirror in one bag.")
@click.option(
    "--ignore-cache", is_flag=True, help="Ignore ETags, cursors and results of earlier runs."
)
@click.option(
    "--max-bag",
    "whole_bytes",
    type=options.Count(1),
    default=SyncOptions(url="").bag_bytes,
    show_default=True,
    help="Limit: Bytes of the bag of --full.",
)
@click.option(
    "--max-empty",
    type=options.Count(1),
    default=SyncOptions(url="").max_empty,
    show_default=True,
    help="Limit: Responses in a row without a record that the mirror's feed names.",
)
@options.as_json
@options.quiet
@network_options.client_config
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
    client_config: ClientConfig,
    limits: ReadLimits,
) -> None:
    """Fetch bundles from a registry or a mirror, and merge them.

    From a registry: the bundles of the given IDs; without an ID, the changed bundles of all records
    in the store. From a mirror: everything that is new there since the last sync. Fetched bundles
    are trusted no more than files, and verified as `merge` does it.

    Rerun the same command to resume an interrupted run.

    \b
    Examples:
      mirror sync https://pith.science 1705.09786
      mirror sync https://pith.science --ids ids.txt --contact mailto:me@a.example
      mirror sync https://pith.science      changes of the records in the store
      mirror sync https://mirror.example    everything new in another mirror

    Exit codes: 0 all records fetched, nothing found; 1 something was refused or is missing; 4 the
    store could not be used; 5 upstream could not be reached or read, or the run was given up.
    """
    base = _base(url)
    named = (*names, *_read_ids(id_file))
    if whole and (named or kind == REGISTRY):
        raise click.UsageError("--full takes no IDs and no --kind registry")
    if id_file is not None and not named:
        raise click.UsageError("the file of --ids has no identifiers")
    printer = SyncPrinter(as_json=as_json, quiet=quiet)
    with Client(client_config) as client:
        upstream = ServerKind(kind) if kind else identify(client, base)
        if whole and upstream.kind == REGISTRY:
            raise click.UsageError("--full needs a mirror; this is a registry")
        with open_store(db) as store, show_progress("asked for", is_quiet=quiet) as progress:
            request = SyncOptions(
                url=base,
                names=named,
                full=whole,
                ignore_cache=ignore_cache,
                limits=limits,
                response_bytes=client_config.response_bytes,
                bag_bytes=whole_bytes,
                max_empty=max_empty,
                on_finding=printer.on_finding,
                on_result=printer.on_result,
                expect=progress.expect,
                progress=progress.advance,
            )
            summary = sync_store(store, request, upstream, client)
    printer.print_summary(summary, base, str(db))
    if summary.stopped is not None:
        raise _given_up(summary.stopped, summary)
    sys.exit(exit_codes.of_sync(summary))


def _base(url: str) -> str:
    """Return the URL of an upstream without a trailing slash."""
    if not (url.isascii() and url.isprintable()):
        raise click.UsageError("URL contains characters that a URL cannot have")
    if "?" in url or "#" in url:
        raise click.UsageError("URL must be that of a registry or mirror, without ? and #")
    return url.rstrip("/")


def _read_ids(path: Path | None) -> list[str]:
    if path is None:
        return []
    return read_identifiers(options.read_input(path).decode("utf-8", "replace"))


def _given_up(error: UpstreamError, summary: SyncSummary) -> UpstreamError:
    """Return the error that ended a run, with the number of finished records as a hint."""
    done = sum(summary.statuses[name] for name in ("fetched", "unchanged", "skipped"))
    hint = f"{plural(done, 'record')} done before are stored; rerun the command to resume"
    hint = f"{error.hint} {hint}".strip()
    return UpstreamError(error.code, error.message, where=error.where, hint=hint)


# Output --------------------------------------------------------------------------------------


class SyncPrinter(FindingPrinter):
    """Prints findings and the results of records: as JSON Lines, or failures for a person."""

    def on_result(self, result: SyncResult) -> None:
        """Print the result of a record; the findings of a refused one were printed before."""
        is_failure = bool(result.code) and result.status != "refused"
        if self.quiet and not is_failure:
            return
        if self.as_json:
            print_json(result._asdict())
        elif is_failure:
            self.show(result.code, result.url or result.asked, result.pith_number, result.message)

    def print_summary(self, summary: SyncSummary, url: str, place: str) -> None:
        """Print the figures of the run."""
        if self.quiet:
            return
        if self.as_json:
            print_json({"summary": _summary_value(summary, url)})
            return
        self.end()
        print_table(_rows(summary, url) | summary_rows(summary.ingested, place))


def _summary_value(summary: SyncSummary, url: str) -> dict[str, Any]:
    stopped = summary.stopped
    return {
        "upstream": url,
        "kind": summary.kind,
        **{name: summary.statuses[name] for name in _STATUSES},
        "codes": dict(sorted(summary.codes.items())),
        "bundles": summary.ingested.bundles_read,
        "new": asdict(summary.ingested.new),
        "requests": summary.requests,
        "is_from_start": summary.is_from_start,
        "stopped": None if stopped is None else {"code": stopped.code, "message": stopped.message},
    }


def _rows(summary: SyncSummary, url: str) -> dict[str, str | list[str]]:
    rows: dict[str, str | list[str]] = {"upstream": f"{url} ({summary.kind})"}
    for name, heading in _STATUSES.items():
        if summary.statuses[name] or name in _ALWAYS:
            rows[heading] = plural(summary.statuses[name], "record")
    if summary.codes:
        rows["why"] = [f"{code} {count:,}" for code, count in sorted(summary.codes.items())]
    if summary.is_from_start:
        rows["feed"] = "it is not the feed of the last sync, so it was read from its start"
    return rows | {"requests": f"{summary.requests:,}"}
