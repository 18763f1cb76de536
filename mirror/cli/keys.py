"""`mirror keys`: trusted keys and event profiles of the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from mirror.cli import options, trusted_keys
from mirror.cli.new_key import new_key
from mirror.cli.output import print_json, print_table, say
from mirror.cli.progress import show_progress
from mirror.cli.timestamp_authorities import (
    distrust_authority,
    print_authorities,
    trust_authority,
)
from mirror.cli.trust_view import remove_and_report, report_added
from mirror.core.escaping import escape_terminal
from mirror.core.events.types import EVENT_TYPES
from mirror.core.keys import BUILT_IN, Key, KeySet
from mirror.core.profile import Profile, SignedContent
from mirror.core.profile_file import loose_members, parse_profile, read_alike, require_safe
from mirror.core.published_keys import parse_published_keys
from mirror.core.values import Object
from mirror.engine.anchors.authorities import trusted_authorities
from mirror.engine.states.trust import add_keys
from mirror.store import open_store

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """List and change the trusted keys and event profiles.

    The registry's key is built in; it can be removed and added again. Bundles never add keys. After
    a change, the affected events are verified again and their records are merged again, without
    reading bundles. Time-stamp authorities are listed with them; no state depends on those.
    """


keys.add_command(new_key)
keys.add_command(trust_authority)
keys.add_command(distrust_authority)


@keys.command("list")
@options.db
@options.as_json
def list_keys(*, db: Path, as_json: bool) -> None:
    """List the trusted keys, profiles and authorities.

    The digest of the key set is listed, too.

    \b
    Examples:
      mirror keys list
      mirror keys list --json
    """
    key_set = trusted_keys.store_keys(db)
    for key in key_set:
        if as_json:
            print_json(key.to_value())
        else:
            print_table(_rows(key))
            click.echo()
    for profile in key_set.profiles:
        if as_json:
            print_json(profile.to_value())
        else:
            print_table(_rows_of_profile(profile))
            click.echo()
    with trusted_keys.store_if_there(db) as store:
        authorities = [] if store is None else trusted_authorities(store)
    print_authorities(authorities, as_json=as_json)
    if not as_json:
        click.echo(f"key set {key_set.digest}")
    if not key_set.has_built_in:
        say(f"the registry's key {BUILT_IN.key_id}, which is built in, was removed;")
        say("  `mirror keys add --built-in` trusts it again")


def _rows_of_profile(profile: Profile) -> dict[str, str]:
    loose = loose_members(profile)
    named = [f"{name} is {meaning}" for name, meaning in sorted(profile.types.items())]
    return {
        "profile": escape_terminal(profile.name),
        "signed": escape_terminal(cast("SignedContent", profile.signed).words),
        "not protected": escape_terminal(", ".join(loose)) or "nothing is left out",
        **({"types": escape_terminal(", ".join(named))} if named else {}),
    }


def _rows(key: Key) -> dict[str, str]:
    return {
        "key": key.key_id + (" (built in)" if key == BUILT_IN else ""),
        "public key": key.public_key_hex,
        "fingerprint": f"{key.fingerprint} or {key.fingerprint_base32}",
        "signer": f"{key.signer_id} ({key.signer_type})",
        "valid": f"from {key.valid_from or 'ever'} until {key.valid_until or 'ever'}",
        "may sign": "anything" if "*" in key.event_types else ", ".join(key.event_types),
        "may revoke others": "yes" if key.may_revoke_others else "no",
    }


@keys.command("add")
@click.argument("file", type=options.SmallFile(), metavar="[FILE]", required=False)
@options.db
@options.jobs
@click.option("--built-in", is_flag=True, help="Trust the registry's key again, after its removal.")
@options.as_json
def add(file: Path | None, *, db: Path, built_in: bool, as_json: bool) -> None:
    """Trust the keys and profiles of a key set file.

    FILE is JSON: {"keys": [...], "profiles": [...]}, of which the profiles may be absent. One that
    is invalid refuses the whole file. The registry's key is trusted from the start; --built-in adds
    it again after its removal.

    \b
    Examples:
      mirror keys add institution-keys.json
      mirror keys add --built-in
    """
    if file is None and not built_in:
        raise click.UsageError("give a key set FILE or --built-in")
    wanted = trusted_keys.read_key_files([] if file is None else [file], warn=False)
    wanted = wanted.with_added([BUILT_IN] if built_in else [])
    with open_store(db) as store, show_progress("verified again") as progress:
        added = add_keys(store, wanted, progress.advance)
    report_added(added, db, as_json=as_json)


@keys.command("trust-profile")
@click.argument("file", type=options.SmallFile(), metavar="FILE")
@options.db
@options.jobs
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="NAME=TYPE",
    help="Map an event type of the profile to one of E4; may be given again.",
)
@options.as_json
def trust_profile(file: Path, *, db: Path, mapped: tuple[str, ...], as_json: bool) -> None:
    """Trust an event profile, such as one from `mirror probe`.

    Events that are invalid under the built-in profile are verified under this one, with the same
    checks in the same order, and merged. Read the file first: it defines which members are signed.

    \b
    Examples:
      mirror keys trust-profile profile.json
      mirror keys trust-profile profile.json --map paper.cited=citation_signed
    """
    types = dict(_meaning(one) for one in mapped)
    data = options.read_input(file)
    with options.locate_errors(file):
        profile = parse_profile(data)
        profile = require_safe(replace(profile, types={**profile.types, **types}))
    with open_store(db) as store, show_progress("verified again") as progress:
        added = add_keys(store, KeySet((), [profile]), progress.advance)
        trusted = store.trust_log.key_set().profiles
    report_added(added, db, as_json=as_json)
    for other in trusted:
        if not read_alike(profile, other):
            say(f"warning: {other.name} reads the same events with another target or other types;")
            say("  a relay of such an event could choose between the two: trust one of them")


def _meaning(text: str) -> tuple[str, str]:
    name, is_there, meaning = text.rpartition("=")
    if not is_there or not name:
        raise click.UsageError(f"--map: {text!r} is not NAME=TYPE")
    if meaning not in EVENT_TYPES:
        raise click.UsageError(
            f"--map: E4 has no type {meaning!r}; it has {', '.join(EVENT_TYPES)}"
        )
    if name in EVENT_TYPES:
        raise click.UsageError(f"--map: {name} is a type of E4 itself")
    return name, meaning


_dry_run = click.option(
    "--dry-run", is_flag=True, help="Only print the facts that become invalid; change nothing."
)


@keys.command("distrust-profile")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.db
@options.jobs
@_dry_run
@options.as_json
def distrust_profile(names: tuple[str, ...], *, db: Path, dry_run: bool, as_json: bool) -> None:
    """Remove event profiles from the trusted ones.

    The events that become invalid are counted before the change.

    \b
    Examples:
      mirror keys distrust-profile probed --dry-run
      mirror keys distrust-profile probed
    """
    remove_and_report(db, (), names, dry_run=dry_run, as_json=as_json)


@keys.command("remove")
@click.argument("key_ids", nargs=-1, required=True, metavar="KEY_ID...")
@options.db
@options.jobs
@_dry_run
@options.as_json
def remove(key_ids: tuple[str, ...], *, db: Path, dry_run: bool, as_json: bool) -> None:
    """Remove keys from the trusted ones.

    The events and receipts that become invalid are counted before the change.

    Without the registry's key, nothing signed by the registry is valid until
    `mirror keys add --built-in` adds the key again.

    \b
    Examples:
      mirror keys remove demo-author-2026 --dry-run
      mirror keys remove demo-author-2026
    """
    remove_and_report(db, key_ids, (), dry_run=dry_run, as_json=as_json)


@keys.command("import")
@click.argument("file", type=options.SmallFile(), metavar="FILE")
@options.db
@options.jobs
@click.option("--signer-id", help="Signer id; the host that publishes the key if not given.")
@click.option("--signer-type", default="pith_registry", show_default=True, help="Signer type.")
@click.option("--valid-from", metavar="TIME", help="Start of validity; unlimited if not given.")
@click.option("--valid-until", metavar="TIME", help="End of validity; unlimited if not given.")
@click.option(
    "--event-type", "event_types", multiple=True, help="Event type it may sign; all if not given."
)
@options.as_json
def import_keys(
    file: Path,
    *,
    db: Path,
    signer_id: str | None,
    signer_type: str,
    valid_from: str | None,
    valid_until: str | None,
    event_types: tuple[str, ...],
    as_json: bool,
) -> None:
    """Trust the key that a registry publishes.

    FILE is the registry's pith-mirrors.json or pith-signing-key.json. An imported key can never
    revoke events of others. Compare the fingerprint in `mirror keys list` with one from another
    channel.

    \b
    Example:
      mirror keys import pith-mirrors.json --signer-id pith.example.org
    """
    trust_as: Object = {
        "signer_type": signer_type,
        "valid_from": valid_from,
        "valid_until": valid_until,
        "event_types": list(event_types) or ["*"],
    }
    if signer_id is not None:
        trust_as["signer_id"] = signer_id
    data = options.read_input(file)
    with options.locate_errors(file):
        published = parse_published_keys(data, trust_as)
    with open_store(db) as store:
        added = add_keys(store, published)
    report_added(added, db, as_json=as_json)
