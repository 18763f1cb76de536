"""`mirror keys`: whom the store trusts."""

from __future__ import annotations

from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.checkpoint import new_key
from mirror.cli.console import print_json, print_table, say
from mirror.core.keys import BUILT_IN, Key
from mirror.core.values import Object
from mirror.engine.trust import add_keys, parse_published_keys, remove_keys
from mirror.store import open_store

__all__ = ["keys"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def keys() -> None:
    """List and change the keys that the store trusts.

    The registry's key is built in. Nothing in a bundle ever adds one. A change judges again the
    events that name the key, and merges their records again, without reading any bundle.
    """


keys.add_command(new_key)


@keys.command("list")
@options.db
@options.as_json
def list_keys(*, db: Path, as_json: bool) -> None:
    """List the trusted keys, and the digest that names the set.

    \b
    Examples:
      mirror keys list
      mirror keys list --json
    """
    key_set = options.store_keys(db)
    for key in key_set:
        if as_json:
            print_json(key.to_value())
        else:
            print_table(_rows(key))
            click.echo()
    if not as_json:
        click.echo(f"key set {key_set.digest}")


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
@click.argument("file", type=_FILE, metavar="FILE")
@options.db
def add(file: Path, *, db: Path) -> None:
    """Trust the keys of a key set file: {"keys": [...]}.

    A fault in any of them refuses the whole file.

    \b
    Example:
      mirror keys add institution-keys.json
    """
    wanted = options.read_key_files([file])
    with open_store(db) as store:
        added = add_keys(store, wanted)
    _say_added(added, db)


@keys.command("remove")
@click.argument("key_ids", nargs=-1, required=True, metavar="KEY_ID...")
@options.db
def remove(key_ids: tuple[str, ...], *, db: Path) -> None:
    """Trust keys no longer.

    \b
    Example:
      mirror keys remove demo-author-2026
    """
    with open_store(db) as store:
        removed = remove_keys(store, key_ids)
    say(f"no longer trusted in {db}: {', '.join(key.key_id for key in removed)}")


@keys.command("import")
@click.argument("file", type=_FILE, metavar="FILE")
@options.db
@click.option("--signer-id", help="Who signs with it; else the host that publishes the key.")
@click.option("--signer-type", default="pith_registry", show_default=True, help="What they are.")
@click.option("--valid-from", metavar="TIME", help="From when the key counts; else from ever.")
@click.option("--valid-until", metavar="TIME", help="Until when it counts; else for ever.")
@click.option(
    "--event-type", "event_types", multiple=True, help="What it may sign; else everything."
)
def import_keys(
    file: Path,
    *,
    db: Path,
    signer_id: str | None,
    signer_type: str,
    valid_from: str | None,
    valid_until: str | None,
    event_types: tuple[str, ...],
) -> None:
    """Trust the key that a registry publishes in pith-mirrors.json or pith-signing-key.json.

    An import never lets a key revoke what others signed. Compare the fingerprint that
    `mirror keys list` shows with one that you got another way.

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
    published = parse_published_keys(options.read_file(file), trust_as)
    with open_store(db) as store:
        added = add_keys(store, published)
    _say_added(added, db)


def _say_added(added: list[Key], db: Path) -> None:
    if not added:
        say("nothing to do: every key in it is trusted already")
    for key in added:
        say(f"now trusted in {db}: {key.key_id}, fingerprint {key.fingerprint}, {key.signer_id}")
