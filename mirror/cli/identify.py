"""`mirror identify`: which record a paper is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

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
from mirror.core.escaping import escape_name
from mirror.engine.search.identify import Candidate, TextMatch
from mirror.engine.search.identify import identify as identify_paper
from mirror.engine.search.metadata_check import (
    MalformedLine,
    MetadataCheck,
    check_metadata,
    keep_metadata,
    open_metadata,
)
from mirror.store import open_store

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
@click.option(
    "--keep",
    is_flag=True,
    help="With --metadata: store each title and abstract that has the digest in a record.",
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
    keep: bool,
    db: Path,
    as_json: bool,
) -> None:
    """Find the record of a paper by its title and abstract.

    A record contains the digests of title and abstract, so they match exactly or not at all. Text
    copied from a PDF or from LaTeX is also tried in likely original forms, and the form that
    matched is named.

    With --metadata, every line (id, title, abstract, versions) is compared with the record of its
    id; title or abstract may be left out.

    With --keep, each title and abstract that has the digest in a record of its id is stored: it is
    proved, and pages, `mirror show` and `mirror find` use it. Spaces and line ends become single
    spaces; capital letters stay as they are in FILE, because no digest covers them.

    \b
    Examples:
      mirror identify --title "GoSam applications for automated NLO calculations"
      mirror identify --arxiv 1309.3741 --title @title.txt --abstract - < abstract
      mirror identify --metadata arxiv-metadata.jsonl.gz --json
      mirror identify --metadata arxiv-metadata.jsonl.gz --keep

    Exit codes: 0 a record matches in everything that was given, or each paper of --metadata matches
    or has no record here; 1 none matches, or a paper differs, is ambiguous, cannot be read or is
    not kept.
    """
    if metadata is not None:
        if (title, abstract, arxiv_id) != (None, None, None):
            raise click.UsageError("--metadata excludes --title, --abstract and --arxiv")
        sys.exit(_identify_all(metadata, db, keep=keep, as_json=as_json))
    if keep:
        raise click.UsageError("--keep goes with --metadata")
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


def _identify_all(metadata: str, db: Path, *, keep: bool, as_json: bool) -> int:
    printer = MetadataPrinter(keep=keep, as_json=as_json)
    with (
        open_store(db, read_only=not keep, must_exist=True) as store,
        open_metadata(metadata) as file,
        nullcontext() if keep else store.snapshot(),
    ):
        source = _source_name(metadata)
        checked = keep_metadata(store, file, source) if keep else check_metadata(store, file)
        _print_all(checked, printer)
    printer.end()
    return printer.exit_code


def _source_name(metadata: str) -> str:
    """Return the name of a file without its folders, which may be private."""
    return "standard input" if metadata == "-" else escape_name(Path(metadata).name)


def _print_all(checked: Iterator[MetadataCheck | MalformedLine], printer: MetadataPrinter) -> None:
    with show_progress("checked") as progress:
        for number, line in enumerate(checked, 1):
            printer.on_line(line)
            if number % _PAPERS_AT_ONCE == 0:
                progress.advance(_PAPERS_AT_ONCE)


class MetadataPrinter:
    """Prints the lines of a dump that differ, and counts all."""

    def __init__(self, *, keep: bool, as_json: bool) -> None:
        self._keep = keep
        self._as_json = as_json
        self._kept = Counter[str]()
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
        self._kept.update(one.kind for one in line.kept)
        self._counts["not kept"] += len(line.refused)
        for kind in line.refused:
            reason = "it has characters that do not print, or is empty or too long"
            self._show(f"{kind} not kept: {line.arxiv_id}: {reason}", is_always=self._as_json)
        if self._as_json:
            print_json(self._value(line))
        elif line.is_mismatch:
            record = f" ({line.pith_number}, version {line.version})" if line.pith_number else ""
            self._show(f"{line.status}: {line.arxiv_id}{record}")

    def _value(self, line: MetadataCheck) -> dict[str, object]:
        value: dict[str, object] = {
            "arxiv_id": line.arxiv_id,
            "pith_number": line.pith_number,
            "status": line.status,
            "version": line.version,
        }
        if self._keep:
            value["kept"] = [{"pith_number": one[0], "kind": one[1]} for one in line.kept]
            value["not_kept"] = [*line.refused]
        return value

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
        if self._keep:
            rows["titles kept"] = f"{self._kept['title']:,}"
            rows["abstracts kept"] = f"{self._kept['abstract']:,}"
            rows["not kept"] = f"{self._counts['not kept']:,}"
        print_table(rows, err=self._as_json)

    @property
    def exit_code(self) -> int:
        """0 if nothing differs, nothing is ambiguous and every line is a paper."""
        is_fine = set(+self._counts) <= {"match", "missing"}
        return exit_codes.OK if is_fine else exit_codes.FOUND
