"""`mirror root`: the Merkle root of all states."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirror.cli import options, time_options
from mirror.cli.output import print_json, print_table
from mirror.cli.progress import show_progress
from mirror.core.point_in_time import PointInTime
from mirror.engine.states.past_root import past_root
from mirror.engine.states.root import StateRoot, read_root, update_root
from mirror.store import Store, open_store

__all__ = ["root"]


@click.command()
@options.db
@options.jobs
@time_options.at
@options.as_json
def root(*, db: Path, at: PointInTime | None, as_json: bool) -> None:
    """Print one digest of all states of the store.

    Two mirrors with the same root, under the same key set and merge version, have the same current
    state for every record. It is the root of a tree of hashes (SHA-256) with one leaf for each
    record.

    With --at it is the root that this mirror had then: of the facts that it had stored, under the
    keys that it trusted. States that changed since are merged again; facts that name a
    key that was added or removed since are verified again.

    \b
    Examples:
      mirror root
      mirror root --json | jq -r .root
      mirror root --at 2026-06-30
    """
    with open_store(db, must_exist=True) as store:
        update_root(store)
        found = _current_root(store) if at is None else _past_root(store, at)
    value = asdict(found) if at is None else {**asdict(found), "known_by": at.text}
    if as_json:
        print_json(value)
        return
    if at is not None:
        value["known_by"] = at.words
    print_table({name.replace("_", " "): str(one) for name, one in value.items()})


def _current_root(store: Store) -> StateRoot:
    with store.snapshot():
        return read_root(store)


def _past_root(store: Store, at: PointInTime) -> StateRoot:
    version = time_options.version_at(store, at)
    with show_progress("read") as progress:
        return past_root(store, version, progress.advance)
