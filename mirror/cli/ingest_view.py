"""Findings and figures of a run that reads bundles, for a person or as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from mirror.archive import ReadLimits, Source
from mirror.cli.output import plural, print_json, say
from mirror.cli.progress import show_progress
from mirror.engine.findings import Finding, ReadRequest, Summary

__all__ = ["SHOWN_FINDINGS", "FindingPrinter", "print_reading", "summary_rows"]

SHOWN_FINDINGS = 20
"""Findings that are shown to a person one by one; the rest are counted."""


class FindingPrinter:
    """Prints findings: all of them as JSON Lines on stdout, or the first few for a person."""

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        """Start with no finding.

        Args:
            as_json: Print JSON Lines.
            quiet: Print no known findings, no hints and no progress.
        """
        self.as_json = as_json
        self.quiet = quiet
        self._count = 0
        self._needs_key = False

    def on_finding(self, finding: Finding) -> None:
        """Print a finding; a known one is marked in JSON and not shown to a person."""
        if finding.is_known and (self.quiet or not self.as_json):
            return
        if self.as_json:
            print_json(finding)
        place = ":".join(filter(None, (finding.source, finding.member, finding.where)))
        self.show(finding.code, place, finding.pith_number, finding.message)

    def show(self, code: str, place: str, number: str | None, message: str) -> None:
        """Count a finding, and show it to a person if it is one of the first."""
        self._count += 1
        self._needs_key = self._needs_key or code.endswith(".key_unknown")
        if self._count <= SHOWN_FINDINGS and not self.as_json:
            say(f"{code}: {place}{f' ({number})' if number else ''}: {message}")

    def end(self) -> None:
        """Print the number of findings that were not shown, and a hint about keys."""
        if self.as_json:
            return
        if self._count > SHOWN_FINDINGS:
            say(f"… and {self._count - SHOWN_FINDINGS:,} more findings; --json prints all of them")
        if self._needs_key and not self.quiet:
            say("hint: to trust a key, get it over another channel, then `mirror keys add FILE`")


@contextmanager
def print_reading(
    names: Iterable[str], printer: FindingPrinter, limits: ReadLimits
) -> Iterator[ReadRequest]:
    """Give a request to read sources that prints findings and shows progress."""
    with show_progress(noun="bundles", is_quiet=printer.quiet) as progress:

        def count(source: Source) -> None:
            progress.count_read(source.name, source.position_bytes, source.size_bytes)

        yield ReadRequest(tuple(names), printer.on_finding, limits=limits, progress=count)


def summary_rows(summary: Summary, place: str | None) -> dict[str, str | list[str]]:
    """Return the figures of a run for `print_table`.

    Args:
        summary: The figures.
        place: The store's path; None for a run that stored nothing.
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
    """Return the figures of integrity findings (S4), and the members that are not signed."""
    verified = plural(summary.integrity_verified, "finding")
    return {
        "integrity": [
            f"{plural(summary.documents_read, 'document')} of findings",
            f"{verified} verified: the payload has the digest that is signed",
            _by_code(summary.integrity_faults, "reported"),
        ],
        "not signed": "event_id, created_at, and all other members beside a payload",
    }


def _by_code(counts: Mapping[str, int], word: str) -> str:
    listed = ", ".join(f"{code} {count:,}" for code, count in sorted(counts.items()))
    return f"{sum(counts.values()):,} {word}" + (f" ({listed})" if listed else "")
