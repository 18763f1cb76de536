"""`mirror identify`: which record a paper is."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import click

from mirror.cli import exit_codes, options
from mirror.cli.ingest_view import SHOWN_FINDINGS
from mirror.cli.output import print_json, print_table, say
from mirror.cli.progress import show_progress
from mirror.cli.record_search import (
    describe_receipt,
    describe_source,
    report_unindexed,
    update_index,
)
from mirror.engine.search.identify import Candidate, TextMatch
from mirror.engine.search.identify import identify as identify_paper
from mirror.engine.search.metadata_check import (
    MalformedLine,
    MetadataCheck,
    check_metadata,
    open_metadata,
)
from mirror.store import Store, open_store

__all__ = ["identify"]


@click.command()
@click.option(
    "--title",
    type=options.TextOrFile(),
    metavar="TEXT",
    help="Title of the paper; @FILE or - reads it.",
)
@click.option(
    "--abstract",
    type=options.TextOrFile(),
    metavar="TEXT",
    help="Abstract of the paper; @FILE or - reads it.",
)
@click.option("--arxiv", "arxiv_id", metavar="ID", help="Only records of this arXiv id.")
@click.option(
    "--metadata",
    type=options.SourceText(),
    metavar="FILE",
    help="Check a dump of arXiv's metadata instead: JSON Lines, plain, gzip or zstd; - reads it.",
)
@options.db
@options.jobs
@options.as_json
def identify(
    *,
    title: str | None,
    abstract: str | None,
    arxiv_id: str | None,
    metadata: str | None,
    db: Path,
    as_json: bool,
) -> None:
    """Find the record of a paper by its title and abstract.

    A record contains the digests of title and abstract, so they match exactly or not at all. Text
    copied from a PDF or from LaTeX is also tried in likely original forms, and the form that
    matched is named. Exit 0 if a record matches in everything that was given.

    With --metadata, every line (id, title, abstract, versions) is compared with the record of its
    id. Exit 1 if one differs, is ambiguous or cannot be read; missing papers are counted.

    \b
    Examples:
      mirror identify --title "GoSam applications for automated NLO calculations"
      mirror identify --arxiv 1309.3741 --title @title.txt --abstract - < abstract
      mirror identify --metadata arxiv-metadata.jsonl.gz --json
    """
    if metadata is not None:
        if (title, abstract, arxiv_id) != (None, None, None):
            raise click.UsageError("--metadata excludes --title, --abstract and --arxiv")
        sys.exit(_identify_all(metadata, db, as_json=as_json))
    if title is None and abstract is None:
        raise click.UsageError("give --title, --abstract or both, or --metadata")
    if title == abstract == "-":
        raise click.UsageError("only one text can be read from standard input")
    title = title and options.read_text(title)
    abstract = abstract and options.read_text(abstract)
    sys.exit(_identify_one(title, abstract, arxiv_id, db, as_json=as_json))


def _identify_one(
    title: str | None, abstract: str | None, arxiv_id: str | None, db: Path, *, as_json: bool
) -> int:
    if arxiv_id is None:
        update_index(db)
    with open_store(db, read_only=True) as store, store.snapshot():
        known = identify_paper(store, title, abstract, arxiv_id)
    for index, candidate in enumerate(known.candidates):
        if as_json:
            print_json(_candidate_value(candidate))
            continue
        if index:
            click.echo()
        print_table(_candidate_rows(candidate))
    if known.has_more:
        say("more records match as well")
    if not known.candidates:
        say("no record has that arXiv id" if arxiv_id else "no record has that title or abstract")
    report_unindexed(known.unindexed)
    return exit_codes.OK if known.is_found else exit_codes.FOUND


def _candidate_value(candidate: Candidate) -> dict[str, object]:
    return {
        **candidate.record.to_value(),
        "matches": candidate.matches,
        "title": _match_value(candidate.title),
        "abstract": _match_value(candidate.abstract),
    }


def _match_value(match: TextMatch | None) -> dict[str, object] | None:
    if match is None:
        return None
    return {"matches": match.matches, "variant": match.variant, "confirmed": match.is_confirmed}


def _candidate_rows(candidate: Candidate) -> dict[str, str | list[str]]:
    standing = candidate.record
    rows: dict[str, str | list[str]] = {
        "Pith Number": standing.pith_number,
        "source": describe_source(standing),
        "receipt": describe_receipt(standing),
    }
    for name, match in (("title", candidate.title), ("abstract", candidate.abstract)):
        if match is not None:
            rows[name] = _match_text(match)
    return rows


def _match_text(match: TextMatch) -> str:
    said = f"matches, {match.variant}" if match.matches else "differs from what was recorded"
    if match.is_confirmed:
        return f"{said} (confirmed)"
    return f"{said} (unconfirmed: it is not ASCII, and how upstream hashes such text is unknown)"


_STATUSES = ("match", "title_differs", "abstract_differs", "both_differ", "missing", "ambiguous")


_PAPERS_AT_ONCE = 100


def _identify_all(metadata: str, db: Path, *, as_json: bool) -> int:
    printer = MetadataPrinter(as_json=as_json)
    with open_store(db, read_only=True) as store, open_metadata(metadata) as file:
        _check(store, file, printer)
    printer.end()
    return printer.exit_code


def _check(store: Store, file: BinaryIO, printer: MetadataPrinter) -> None:
    with store.snapshot(), show_progress("checked") as progress:
        for number, line in enumerate(check_metadata(store, file), 1):
            printer.on_line(line)
            if number % _PAPERS_AT_ONCE == 0:
                progress.advance(_PAPERS_AT_ONCE)


class MetadataPrinter:
    """Prints the lines of a dump that differ, and counts all."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts = Counter[str]()
        self._unconfirmed = 0
        self._shown = 0

    def on_line(self, line: MetadataCheck | MalformedLine) -> None:
        """Count a line; print it if it differs, or always with --json."""
        if isinstance(line, MalformedLine):
            self._counts["bad lines"] += 1
            self._show(f"line {line.number}: {line.message}", is_always=self._as_json)
            return
        self._counts[line.status] += 1
        self._unconfirmed += not line.is_confirmed and line.status != "missing"
        if self._as_json:
            value = asdict(line)
            del value["is_confirmed"]
            print_json(value)
        elif line.is_mismatch:
            record = f" ({line.pith_number}, version {line.version})" if line.pith_number else ""
            self._show(f"{line.status}: {line.arxiv_id}{record}")

    def _show(self, text: str, *, is_always: bool = False) -> None:
        self._shown += 1
        if is_always or self._shown <= SHOWN_FINDINGS:
            say(text)

    def end(self) -> None:
        """Print the counts, and the number of lines that were not shown."""
        if not self._as_json and self._shown > SHOWN_FINDINGS:
            say(f"… and {self._shown - SHOWN_FINDINGS} more; --json prints all of them")
        rows: dict[str, str | list[str]] = {
            "papers": f"{sum(self._counts[status] for status in _STATUSES):,}",
            **{status.replace("_", " "): f"{self._counts[status]:,}" for status in _STATUSES},
            "bad lines": f"{self._counts['bad lines']:,}",
            "unconfirmed": f"{self._unconfirmed:,}, which are not all ASCII",
        }
        print_table(rows, err=self._as_json)

    @property
    def exit_code(self) -> int:
        """0 if nothing differs, nothing is ambiguous and every line is a paper."""
        is_fine = set(+self._counts) <= {"match", "missing"}
        return exit_codes.OK if is_fine else exit_codes.FOUND
