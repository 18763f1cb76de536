"""`mirror keys trust-authority` and `distrust-authority`: whose time-stamp tokens are trusted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.output import print_json, print_table, say
from mirror.engine.anchors.authorities import (
    Authority,
    add_authority,
    parse_authority,
    remove_authorities,
)
from mirror.engine.anchors.update import update_anchors
from mirror.store import Store, open_store

__all__ = ["distrust_authority", "print_authorities", "trust_authority"]


@click.command("trust-authority")
@click.argument("file", type=options.SmallFile(), metavar="FILE")
@options.db
@click.option(
    "--name", default="", help="Name of the authority; the common name of its root if not given."
)
@options.as_json
def trust_authority(file: Path, *, db: Path, name: str, as_json: bool) -> None:
    """Trust a time-stamp authority (RFC 3161).

    FILE has certificates in PEM: the root of the authority, and if wanted those between and those
    that sign tokens. If it has one that signs, no other certificate may sign. Compare the
    fingerprints with those that the authority publishes: every token rests on them. States,
    verdicts and the key set digest do not depend on it.

    \b
    Example:
      mirror keys trust-authority freetsa.pem --name freetsa.org
    """
    data = options.read_input(file)
    with options.locate_errors(file):
        authority = parse_authority(data, name)
    with open_store(db) as store:
        is_new = add_authority(store, authority)
        _check_again(store)
    if as_json:
        print_json({**authority.to_value(), "new": is_new})
        return
    if is_new:
        say(f"tokens of this authority are now trusted in {db}:")
    else:
        say("nothing to do: this authority is trusted already")
    print_table(_rows(authority))


@click.command("distrust-authority")
@click.argument("names", nargs=-1, required=True, type=options.Text(), metavar="NAME...")
@options.db
@options.as_json
def distrust_authority(names: tuple[str, ...], *, db: Path, as_json: bool) -> None:
    """Stop trusting time-stamp authorities.

    Their tokens prove nothing any more.

    \b
    Example:
      mirror keys distrust-authority freetsa.org
    """
    with open_store(db, must_exist=True) as store:
        remove_authorities(store, names)
        _check_again(store)
    if as_json:
        print_json({"removed": [*dict.fromkeys(names)]})
    else:
        say(f"no longer trusted in {db}: {', '.join(dict.fromkeys(names))}")


def _check_again(store: Store) -> None:
    """Check the time-stamps again, unless they never were."""
    if store.anchors.is_used():
        update_anchors(store)


def print_authorities(authorities: Iterable[Authority], *, as_json: bool) -> None:
    """Print authorities, for `mirror keys list`."""
    for authority in authorities:
        if as_json:
            print_json(authority.to_value())
        else:
            print_table(_rows(authority))
            click.echo()


def _rows(authority: Authority) -> dict[str, str | list[str]]:
    rows: dict[str, str | list[str]] = {"time-stamp authority": authority.name}
    for one in authority.summaries():
        said = [one.subject, f"SHA-256 {one.fingerprint_sha256}"]
        rows[one.role] = [*rows.get(one.role, []), *said, f"{one.valid_from} to {one.valid_until}"]
    return rows
