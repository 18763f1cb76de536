"""`mirror root`: the Merkle root of all states."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.output import print_json, print_table
from mirror.engine.states.root import read_root, update_root
from mirror.store import open_store

__all__ = ["root"]


@click.command()
@options.db
@options.jobs
@options.as_json
def root(*, db: Path, as_json: bool) -> None:
    """Print one digest of all states of the store.

    Two mirrors with the same root, under the same key set and merge version, have the same current
    state for every record. Its computation is described in docs/tree.md.

    \b
    Examples:
      mirror root
      mirror root --json | jq -r .root
    """
    with open_store(db, must_exist=True) as store:
        update_root(store)
        with store.snapshot():
            found = read_root(store)
    if as_json:
        print_json(found)
        return
    rows = {name.replace("_", " "): str(value) for name, value in asdict(found).items()}
    print_table(rows)
