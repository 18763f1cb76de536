"""`mirror history`: the steps by which a record came to its state."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import click

from mirror.cli import options
from mirror.cli.history_view import step_rows
from mirror.cli.output import echo, print_json, print_table
from mirror.core.values import Object
from mirror.engine.history.record_history import record_history
from mirror.engine.history.steps import HistoryStep
from mirror.engine.identifiers import look_up
from mirror.store import open_store

__all__ = ["history"]

_Printed = TypeVar("_Printed")


@click.command()
@click.argument("identifier", metavar="ID")
@options.db
@click.option("--reverse", is_flag=True, help="The latest step first.")
@options.as_json
def history(identifier: str, *, db: Path, reverse: bool, as_json: bool) -> None:
    """Show how one record came to its state, step by step.

    The steps are in the order of their known times: when this mirror stored something. They are
    arrivals of facts with their source, changes of trusted keys that the record's facts name, and
    statements of upstreams with what these took back. Times of events, receipts and aliases are
    claimed: the words of their signers.

    Each step has the digest of the state before and after it, under the keys that were trusted
    then and the rules of today; where the rules were others, the step says so.

    \b
    Examples:
      mirror history 1705.09786
      mirror history 1705.09786 --reverse
      mirror history 1705.09786 --json | jq -r '[.known_at, .step] | @tsv'
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        record_id = look_up(store.records, identifier)
        number, steps = store.records.get(record_id).pith_number, record_history(store, record_id)
        if as_json:
            for value in _ordered((_value(number, one) for one in steps), reverse=reverse):
                print_json(value)
        else:
            for rows in _ordered(map(step_rows, steps), reverse=reverse):
                print_table(rows)
                echo()


def _value(number: str, step: HistoryStep) -> Object:
    return {"pith_number": number, **step.to_value()}


def _ordered(printed: Iterable[_Printed], *, reverse: bool) -> Iterable[_Printed]:
    """Return what is printed of each step; reversed, all of it is in memory, but no state is."""
    return reversed([*printed]) if reverse else printed
