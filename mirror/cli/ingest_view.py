"""Findings and figures of a run that reads bundles, for a person or as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from mirror.archive import ReadLimits, Source
from mirror.cli.output import plural, print_json, say
from mirror.cli.progress import show_progress
from mirror.engine.findings import Finding, ReadRequest, Summary

__all__ = ["SHOWN_FINDINGS", "FindingPrinter", "show_job", "summary_rows"]

SHOWN_FINDINGS = 20
"""Findings that are shown to a person one by one; the rest are counted."""


class FindingPrinter:
    """Tells of findings: all of them as JSON Lines on stdout, or the first few to a person."""

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        """Start with none.

        Args:
            as_json: Print JSON Lines.
            quiet: Print neither what is known, nor hints, nor progress.
        """
        self._as_json = as_json
        self.quiet = quiet
        self._count = 0
        self._needs_key = False

    def tell(self, report: Finding) -> None:
        """Show one finding; what is known is only counted, or marked in JSON."""
        if report.is_known and (self.quiet or not self._as_json):
            return
        self._count += 1
        self._needs_key = self._needs_key or report.code.endswith(".key_unknown")
        if self._as_json:
            print_json(report)
        elif self._count <= SHOWN_FINDINGS:
            say(_line(report))

    def end(self) -> None:
        """Say how many were not shown, and what helps."""
        hidden = self._count - SHOWN_FINDINGS
        if hidden > 0 and not self._as_json:
            say(f"… and {hidden} more findings; `mirror verify --json` names each")
        if self._needs_key and not self._as_json and not self.quiet:
            say("hint: to trust a key, get it over another channel, then `mirror keys add FILE`")


@contextmanager
def show_job(
    names: Iterable[str], printer: FindingPrinter, limits: ReadLimits
) -> Iterator[ReadRequest]:
    """Give a job that reads sources, prints its findings and shows its progress."""
    with show_progress(noun="bundles", is_quiet=printer.quiet) as progress:

        def count(source: Source) -> None:
            progress.count_read(source.name, source.position_bytes, source.size_bytes)

        yield ReadRequest(tuple(names), printer.tell, limits=limits, progress=count)


def _line(report: Finding) -> str:
    place = ":".join(part for part in (report.source, report.member, report.where) if part)
    record = f" ({report.pith_number})" if report.pith_number else ""
    return f"{report.code}: {place}{record}: {report.message}"


def summary_rows(summary: Summary, place: str | None) -> dict[str, str | list[str]]:
    """Return what a run came to, for `print_table`.

    Args:
        summary: The figures.
        place: The store's path; None for a run that kept nothing.
    """
    rows: dict[str, str | list[str]] = {
        "bundles": f"{summary.bundles_read:,} read, {_by_code(summary.refused, 'refused')}",
        "events": f"{summary.events_valid:,} valid, {_by_code(summary.events_invalid, 'invalid')}",
        "receipts": (
            f"{summary.receipts_verified:,} verified, "
            f"{_by_code(summary.receipts_refused, 'refused')}"
        ),
    }
    if summary.documents_read:
        rows |= _integrity_rows(summary)
    if summary.warnings:
        rows["also found"] = _by_code(summary.warnings, "odd")
    if summary.known:
        rows["known"] = f"{_by_code(summary.known, 'acknowledged')}, of all these"
    if summary.sources_failed:
        rows["sources"] = f"{summary.sources_failed:,} could not be read"
    if place is not None:
        new = summary.new
        rows["records"] = f"{summary.records:,}, {plural(summary.equivocations, 'equivocation')}"
        counts = {
            "record": new.records,
            "event": new.events,
            "receipt": new.receipts,
            "alias time": new.alias_claims,
        }
        rows["new"] = ", ".join(plural(count, noun) for noun, count in counts.items())
        rows["store"] = place
    return rows


def _integrity_rows(summary: Summary) -> dict[str, str | list[str]]:
    """Return what was checked of documents of integrity findings (S4), and what is not signed."""
    verified = plural(summary.integrity_verified, "finding")
    return {
        "integrity": [
            f"{plural(summary.documents_read, 'document')} of findings",
            f"{verified} verified: the payload has the digest that is signed",
            _by_code(summary.integrity_faults, "reported"),
        ],
        "not signed": "event_id, created_at, and whatever else stands beside a payload",
    }


def _by_code(counts: Mapping[str, int], word: str) -> str:
    listed = ", ".join(f"{code} {count:,}" for code, count in sorted(counts.items()))
    return f"{sum(counts.values()):,} {word}" + (f" ({listed})" if listed else "")
