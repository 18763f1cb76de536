"""`mirror headers`: Bitcoin block headers, against which time-stamp proofs are checked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from mirror.archive import standard_input, unreadable
from mirror.cli import options
from mirror.cli.anchors import report_left_out, status_words
from mirror.cli.output import plural, print_json, print_table
from mirror.cli.progress import show_progress
from mirror.core.block_header import MAX_HEIGHT
from mirror.engine.anchors.headers import AddedHeaders, HeaderRange, add_headers, header_ranges
from mirror.engine.anchors.update import update_anchors
from mirror.store import open_store

__all__ = ["headers"]


@click.group()
def headers() -> None:
    """Add Bitcoin block headers, which time-stamp proofs lead to.

    Each header is checked for proof of work and for its links to the headers beside it. Which chain
    it is, only the headers say: take them from a node that you trust.
    """


@headers.command("add")
@click.argument("file", type=options.InputFile(), metavar="FILE|-")
@options.db
@click.option(
    "--height",
    type=click.IntRange(0, MAX_HEIGHT),
    metavar="N",
    help="Height of the first header in a file of raw headers.",
)
@options.as_json
def add(file: Path, *, db: Path, height: int | None, as_json: bool) -> None:
    """Check the headers of a file, and store them, all or none.

    The proofs of time-stamps are then checked again. FILE holds raw headers of 80 bytes (with
    --height), JSON Lines with a height and a header, or an archive that begins with OTSH. It may
    have any size.

    \b
    Examples:
      mirror headers add headers.bin --height 358000
      mirror headers add headers.jsonl
    """
    with open_store(db) as store, show_progress("checked") as progress:
        with store.transaction(), _open(file) as stream, options.locate_errors(file):
            added = add_headers(store, stream, height, progress.advance)
        ranges, damaged = header_ranges(store), update_anchors(store)
        statuses = store.anchors.counts()
    if as_json:
        print_json({**added.to_value(), "anchors": statuses})
    else:
        print_table({**_added(added, ranges), "time-stamps": status_words(statuses)})
    sys.exit(report_left_out(damaged))


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, or standard input for `-`; errors of reading name it."""
    if str(path) == "-":
        yield standard_input()
        return
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise unreadable(str(path), error) from error


def _added(added: AddedHeaders, ranges: list[HeaderRange]) -> dict[str, str]:
    held = [one for one in ranges if one.first <= (added.first or 0) <= one.last]
    return {
        "form": added.form,
        "headers": f"{added.new:,} new, {added.known:,} known before",
        "heights": f"{added.first:,} to {added.last:,}",
        "difficulty": held[0].words,
    }


@headers.command("list")
@options.db
@options.as_json
def list_headers(*, db: Path, as_json: bool) -> None:
    """List the ranges of linked headers, with what their work says.

    \b
    Examples:
      mirror headers list
      mirror headers list --json
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        ranges = header_ranges(store)
    for number, one in enumerate(ranges):
        if as_json:
            print_json(one.to_value())
        else:
            click.echo("\n" * bool(number), nl=False)
            print_table(_range_rows(one))
    if not (ranges or as_json):
        print_table({"headers": "none: `mirror headers add FILE` adds some"})


def _range_rows(one: HeaderRange) -> dict[str, str]:
    return {
        "headers": f"{plural(one.last - one.first + 1, 'header')}, each linked to the one before",
        "first": f"height {one.first:,}, {one.first_hash}, {one.first_time}",
        "last": f"height {one.last:,}, {one.last_hash}, {one.last_time}",
        "work": f"about {one.work:.4g} hashes in all",
        "difficulty": one.words,
    }
