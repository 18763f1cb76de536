"""`mirror show`: one record and its claims."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from mirror.cli import exit_codes, options, trusted_keys
from mirror.cli.citations_view import citation_rows
from mirror.cli.output import print_table
from mirror.cli.state_view import state_rows
from mirror.core.state_view import parse_state
from mirror.engine.identifiers import look_up
from mirror.engine.search.citations import citations_of
from mirror.engine.states.current import bundle_text, current_events, current_text
from mirror.store import open_store

__all__ = ["show"]


@click.command()
@click.argument("identifier", metavar="ID")
@options.db
@trusted_keys.key_files
@options.as_json
@click.option("--bundle", is_flag=True, help="Print the composed bundle of the record.")
def show(
    identifier: str, *, db: Path, key_files: tuple[Path, ...], as_json: bool, bundle: bool
) -> None:
    """Show one record: its claims, and which of them are verified.

    ID is a Pith Number or at least its first 8 letters, an arXiv id with or without a version, a
    DOI, or a URL of one of these. With --keys the state is shown under additional trusted keys;
    nothing is stored. "Cited by" lists the signed citations of this record; "cites" lists those of
    other records that name this one as the citing work.

    \b
    Examples:
      mirror show 1705.09786
      mirror show pith:2017:7SOLO26TLPZRGSRX2HH227CICV --json
      mirror show 7SOLO26T --bundle > bundle.json
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        record_id = look_up(store.records, identifier)
        keys = store.trust_log.key_set().with_added(trusted_keys.read_key_files(key_files))
        if bundle:
            click.echo(bundle_text(store, record_id), nl=False)
            return
        text = current_text(store, record_id, keys)
        if as_json:
            click.echo(text, nl=False)
        else:
            record = store.records.get(record_id)
            events = partial(current_events, store, record_id, keys)
            state = parse_state(text)
            citations = citations_of(store, record_id, state, keys)
            print_table({**state_rows(state, record, events), **citation_rows(citations)})
            sys.exit(exit_codes.FOUND if citations.cites.damaged else exit_codes.OK)
