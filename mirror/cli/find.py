"""`mirror find`: search by identifier, title and words."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mirror.cli import exit_codes, options
from mirror.cli.output import plural, print_json, print_text, say
from mirror.cli.record_search import (
    describe_receipt,
    describe_source,
    report_unindexed,
    update_index,
)
from mirror.core.escaping import escape_terminal
from mirror.engine.search.find import find as find_records
from mirror.engine.search.results import SearchHit
from mirror.store import open_store

__all__ = ["find"]


@click.command()
@click.argument("query", nargs=-1, required=True, metavar="QUERY...")
@options.db
@options.jobs
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Most results to show.",
)
@options.as_json
def find(*, query: tuple[str, ...], db: Path, limit: int, as_json: bool) -> None:
    """Find records by identifier, title or words.

    QUERY is read as an identifier (see `mirror show`), then as an exact title, then as words that
    must all occur. Put a phrase in quotes; word* matches a prefix. There is no other syntax.

    Anyone can publish a record that claims an arXiv id, so each result shows whether it has a
    verified receipt from a trusted key. The index is updated first, unless another process writes.

    Exit codes: 0 something was found; 1 nothing was found.

    \b
    Examples:
      mirror find 1705.09786
      mirror find holographic bookkeep*
      mirror find '"lemma 2"' --json
    """
    update_index(db)
    with open_store(db, read_only=True) as store, store.snapshot():
        found = find_records(store, " ".join(query), limit)
    for hit in found.hits:
        if as_json:
            print_json(hit.to_value())
        else:
            _print_hit(hit)
    if found.has_more:
        say("more records match; --limit shows them")
    if not found.hits:
        say("nothing was found")
    report_unindexed(found.unindexed)
    sys.exit(exit_codes.OK if found.hits else exit_codes.FOUND)


def _print_hit(hit: SearchHit) -> None:
    standing = hit.record
    parts = [
        standing.pith_number,
        describe_source(standing),
        f"by {hit.matched_by}",
        describe_receipt(standing),
    ]
    print_text(escape_terminal("  ".join(parts)))
    if hit.title and hit.title.text != "".join(hit.excerpt):
        print_text(escape_terminal(hit.title.text), 4)
    if hit.excerpt:
        pieces = [
            click.style(escape_terminal(piece), bold=True) if index % 2 else escape_terminal(piece)
            for index, piece in enumerate(hit.excerpt)
        ]
        print_text("".join(pieces), 4)
    if hit.title:
        print_text(escape_terminal(f"title {hit.title.origin}"), 4)
    if hit.cited_by or hit.cites:
        cites, cited_by = plural(hit.cites, "record"), plural(hit.cited_by, "work")
        print_text(f"by signed citations: cites {cites}, cited by {cited_by}", 4)
