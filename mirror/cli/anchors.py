"""`mirror anchors`: checks the proofs of time-stamps, and lists the results."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from mirror.cli import exit_codes, options
from mirror.cli.output import plural, print_json, print_table, print_text, say
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_terminal
from mirror.core.values import Object
from mirror.engine.anchors.result import AnchorStatus
from mirror.engine.anchors.update import CONTRADICTIONS, anchor_value, update_anchors
from mirror.engine.identifiers import look_up
from mirror.store import open_store

__all__ = ["anchors", "report_left_out", "status_words"]


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@options.db
@options.as_json
def anchors(identifier: str | None, *, db: Path, as_json: bool) -> None:
    """Check the proofs of time-stamps, offline, and list the results.

    Without an ID, those of all records. A proof of OpenTimestamps is checked against the block
    headers that `mirror headers add` stored, a token of RFC 3161 against the authorities that
    `mirror keys` trusts. Only what changed is checked again. The results are this operator's: they
    are no part of a state.

    \b
    Examples:
      mirror anchors
      mirror anchors 1705.09786 --json

    Exit codes: 0 none contradicts its claim; 1 one is malformed, expired, about another digest or
    not in its block, or a damaged record was left out.
    """
    with open_store(db, must_exist=True) as store:
        record_id = None if identifier is None else look_up(store.records, identifier)
        with show_progress("checked") as progress:
            damaged = update_anchors(store, progress.advance)
        with store.snapshot():
            counts = Counter[str]()
            for one in store.anchors.all(record_id):
                counts[one.status] += 1
                print_result = print_json if as_json else _print_result
                print_result(anchor_value(store, one))
    if not as_json:
        print_table({"time-stamps": status_words(dict(sorted(counts.items())))})
    left_out = report_left_out(damaged)
    sys.exit(exit_codes.FOUND if CONTRADICTIONS.intersection(counts) else left_out)


def _print_result(value: Object) -> None:
    status = AnchorStatus(str(value["status"])).words
    at = f" {value['at']}" if value["at"] else ""
    print_text(escape_terminal(f"{value['pith_number']} {status}{at}"))
    print_text(escape_terminal(f"{value['method']}: {value['reason']}"), 2)
    print_text(escape_terminal(f"event {value['event_id']}"), 2)


def status_words(counts: Mapping[str, int]) -> str:
    """Return the numbers of results by status, in words."""
    named = (f"{count:,} {AnchorStatus(status).words}" for status, count in counts.items())
    return ", ".join(named) or "none in force"


def report_left_out(damaged: Sequence[int]) -> int:
    """Report damaged records whose time-stamps were not checked; return the exit code."""
    if not damaged:
        return exit_codes.OK
    say(f"left out: {plural(len(damaged), 'damaged record')}; see `mirror check`")
    return exit_codes.FOUND
