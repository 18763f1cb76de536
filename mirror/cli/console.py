"""What a person sees: text on stderr, tables, findings, progress.

Every string from outside is shown as text: markup is off, and characters that do not print or
that turn the direction of writing are shown by their code.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from mirror.archive import ReadLimits, Source
from mirror.engine.findings import Finding, ReadRequest, Summary

__all__ = [
    "SHOWN_FINDINGS",
    "Findings",
    "echo",
    "plural",
    "prepare_streams",
    "print_json",
    "print_table",
    "printable",
    "say",
    "show_bars",
    "show_count",
    "show_progress",
    "summary_rows",
]

SHOWN_FINDINGS = 20
"""Findings that are shown to a person one by one; the rest are counted."""

_REFRESH_S = 0.1


def printable(text: str) -> str:
    r"""Return `text` with what does not print, or hides, as `\u202e`."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text
    )


def prepare_streams() -> None:
    """Let a character that a terminal cannot show be printed by its code, not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo(text: str | bytes = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text on stdout or stderr as it is, after whatever progress is shown was erased.

    Raises:
        OSError: If it cannot be written; on stderr, only if its reader is gone. A command does
            its work also where nobody can be told.
    """
    with _without_bars(sys.stderr if err else sys.stdout):
        try:
            click.echo(text, err=err, nl=nl)
        except OSError as error:
            if not err or error.errno == errno.EPIPE:
                raise


def say(text: str) -> None:
    """Print a line for people on stderr; on a terminal it wraps by words."""
    echo(_wrapped(printable(text), sys.stderr), err=True)


def print_text(text: str, indent: int = 0) -> None:
    """Print a line for people on stdout; on a terminal it wraps by words, under its indent.

    Args:
        text: What a terminal can show (`printable`), perhaps with styles.
        indent: Spaces before each line.
    """
    echo(_wrapped(text, sys.stdout, " " * indent))


def print_json(value: object) -> None:
    """Print a value as one line of JSON on stdout."""
    echo(orjson.dumps(value))


def print_table(rows: Mapping[str, str | list[str]], *, err: bool = False) -> None:
    """Print names and values in two columns; a list is a value of several lines."""
    width = max(map(len, rows), default=0)
    stream = sys.stderr if err else sys.stdout
    for name, value in rows.items():
        for index, line in enumerate([value] if isinstance(value, str) else value):
            heading = f"{'' if index else name:<{width}}  "
            echo(_wrapped(printable(line), stream, heading), err=err)


def _wrapped(text: str, stream: io.TextIOBase | Any, heading: str = "") -> str:
    """Return text in lines that fit the terminal, if `stream` is one.

    A word is never broken. One that does not fit beside the indent stands on a line of its own,
    with less indent, such as a digest of 64 digits.

    Args:
        text: What to print; the spaces that it begins with are kept on every line.
        stream: Where; what is no terminal gets one line.
        heading: Before the first line; the others are indented as far.
    """
    columns = _columns(stream)
    if columns is None or len(heading) + len(text) <= columns:
        return heading + text
    inner = len(text) - len(text.lstrip())
    indent = " " * (len(heading) + inner + (0 if heading and not inner else 2))
    lines = textwrap.wrap(
        text.lstrip(),
        columns,
        initial_indent=heading + " " * inner,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(_fitted(line, columns) for line in lines) or heading


def _fitted(line: str, columns: int) -> str:
    """Return a line; if it is too wide, its last word goes to the right of the next one."""
    before, space, word = line.rpartition(" ")
    if len(line) <= columns or not space:
        return line
    return "\n".join(filter(None, (before.rstrip(), word.rjust(columns))))


def _columns(stream: io.TextIOBase | Any) -> int | None:
    """Return the width of a terminal; None for anything else."""
    if stream is None or not stream.isatty():
        return None
    chosen = os.environ.get("COLUMNS", "")
    width = int(chosen) if chosen.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    return width if width > 0 else None


class Findings:
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
    if summary.written:
        rows["also found"] = _by_code(summary.written, "odd")
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


def plural(count: int, noun: str) -> str:
    """Return a count and its noun, such as `1 record` or `2,000 records`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# Progress ------------------------------------------------------------------------------------

_shown: list[Progress] = []
"""The bars that are drawn on stderr now."""


@contextmanager
def show_bars(*columns: ProgressColumn, quiet: bool = False) -> Iterator[Progress | None]:
    """Give bars on stderr, which are gone at the end; None if `quiet` or if it is no terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        _shown.append(bars)
        try:
            yield bars
        finally:
            _shown.remove(bars)


@contextmanager
def _without_bars(stream: io.TextIOBase | Any) -> Iterator[None]:
    """Erase the bars while something else is printed on the terminal, and draw them again."""
    drawn = [one for one in _shown if one.console.is_interactive]
    if not drawn or stream is None or not stream.isatty():
        yield
        return
    for bars in drawn:
        bars.stop()
    try:
        yield
    finally:
        for bars in drawn:
            bars.start()


@contextmanager
def show_progress(
    names: Iterable[str], findings: Findings, limits: ReadLimits
) -> Iterator[ReadRequest]:
    """Give a job that shows its progress on a terminal, and says nothing in a pipe."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[bundles]:,} bundles, {task.fields[rate]:,.0f}/s", markup=False),
        TimeRemainingColumn(),
    )
    with show_bars(*columns, quiet=findings.quiet) as bars:
        job = ReadRequest(tuple(names), findings.tell, limits=limits)
        yield job if bars is None else replace(job, progress=_Bar(bars).advance)


@contextmanager
def show_count(
    verb: str, noun: str = "records", *, quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """Give a function that takes counts of things and shows their sum and rate on a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        TextColumn(f"{{task.completed:,.0f}} {noun}, {{task.fields[rate]:,.0f}}/s", markup=False),
    )
    with show_bars(*columns, quiet=quiet) as bars:
        if bars is None:
            yield lambda _records: None
            return
        task = bars.add_task(verb, total=None, rate=0.0)
        started = time.monotonic()
        done = 0

        def advance(records: int) -> None:
            nonlocal done
            done += records
            seconds = time.monotonic() - started
            bars.update(task, completed=done, rate=done / seconds if seconds else 0.0)

        yield advance


class _Bar:
    """One bar, for the source at work."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("", total=None, bundles=0, rate=0.0)
        self._started = self._shown = time.monotonic()
        self._count = 0

    def advance(self, source: Source) -> None:
        """Count a member, and draw now and then."""
        self._count += 1
        now = time.monotonic()
        if now - self._shown < _REFRESH_S:
            return
        self._shown = now
        self._bars.update(
            self._task,
            description=printable(source.name)[-40:],
            total=source.size_bytes,
            completed=source.position_bytes,
            bundles=self._count,
            rate=self._count / (now - self._started),
        )
