"""Commands that look at the store and take from it: `show`, `export` and `status`."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import cast

import click

from mirror.cli import options
from mirror.cli.citation_table import citation_rows
from mirror.cli.console import plural, print_json, print_table, say
from mirror.cli.outputs import OutputPath, StandardOutput, writes
from mirror.cli.state_table import state_rows
from mirror.core.values import Object, decode
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.bag import (
    NOT_HELD,
    ExportOptions,
    ExportResult,
    bundle_text,
    export_bag,
    record_export,
)
from mirror.engine.export.selection import in_words
from mirror.engine.identifiers import look_up
from mirror.engine.search.citations import citations_of
from mirror.engine.states.replay import current_events, current_text
from mirror.store import open_store

__all__ = ["export", "show", "status"]


@click.command()
@click.argument("identifier", metavar="ID")
@options.db
@options.key_files
@options.as_json
@click.option("--bundle", is_flag=True, help="Print the record's composed bundle instead.")
def show(
    identifier: str, *, db: Path, key_files: tuple[Path, ...], as_json: bool, bundle: bool
) -> None:
    """Show one record: what is claimed about a paper, and what of it was verified.

    ID is a Pith Number or its first 8 letters or more, an arXiv id with or without its version, a
    DOI, or the address of any of these. With --keys the state is shown as it would be if those
    keys were trusted, too; nothing is stored. "Cited by" lists the signed citations of this record;
    "cites", those of other records that name it as the one that cites.

    \b
    Examples:
      mirror show 1705.09786
      mirror show pith:2017:7SOLO26TLPZRGSRX2HH227CICV --json
      mirror show 7SOLO26T --bundle > bundle.json
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        record_id = look_up(store.records, identifier)
        keys = store.trust_log.key_set().with_added(options.read_key_files(key_files))
        if bundle:
            click.echo(bundle_text(store, record_id), nl=False)
            return
        text = current_text(store, record_id, keys)
        if as_json:
            click.echo(text, nl=False)
        else:
            record = store.records.get(record_id)
            events = partial(current_events, store, record_id, keys)
            state = cast("Object", decode(text.rstrip()))
            citations = citations_of(store, record_id, state, keys)
            print_table({**state_rows(state, record, events), **citation_rows(citations)})
            sys.exit(1 if citations.cites.damaged else 0)


@click.command()
@click.argument("out", type=OutputPath(may_be_stdout=True), metavar="OUT.tar|-")
@click.argument("identifiers", nargs=-1, metavar="[ID]...")
@options.db
@click.option(
    "--packed",
    is_flag=True,
    envvar="MIRROR_PACKED",
    show_envvar=True,
    help="Many bundles to a file, compressed: about a fifth of the size.",
)
@click.option(
    "--since",
    type=options.SourceText(),
    metavar="BAG|ROOT",
    envvar="MIRROR_SINCE",
    show_envvar=True,
    help="Only what this bag lacks; or the bag that was exported with this root.",
)
@click.option(
    "--valid-only",
    is_flag=True,
    envvar="MIRROR_VALID_ONLY",
    show_envvar=True,
    help="Only what trusted keys signed; the same as --keep-invalid 0.",
)
@click.option(
    "--keep-invalid",
    type=options.Count(0),
    metavar="N",
    envvar="MIRROR_EXPORT_KEEP_INVALID",
    show_envvar=True,
    help="Of each record, only N alias times, unverified receipts and events; all if not given.",
)
@options.as_json
@writes
def export(
    out: OutputFile | StandardOutput,
    identifiers: tuple[str, ...],
    *,
    db: Path,
    packed: bool,
    since: str | None,
    valid_only: bool,
    keep_invalid: int | None,
    as_json: bool,
) -> None:
    """Write bundles as one BagIt bag: the same bytes for the same facts.

    Without IDs, every record of the store. OUT.tar appears whole or not at all; - is standard
    output. With --since it is an increment: it names the bag that it rests on, and a mirror that
    lacks that bag says so.

    What nobody signed can be left out with --valid-only or --keep-invalid: events that fail,
    receipts that fail or repeat a signature, alias times. The bag says so, names the key set, and
    has the same core digests. This store keeps everything.

    A bag holds the bundles alone: not the trusted keys and profiles, not checkpoints, not what
    upstreams said, not acknowledgements, not where and when each fact came. `mirror backup` keeps
    all of that.

    \b
    Examples:
      mirror export everything.tar
      mirror export everything.tar --packed
      mirror export two.tar 1705.09786 7SOLO26T
      mirror export november.tar --since october.tar
      mirror export signed.tar --valid-only
      mirror export - | zstd > everything.tar.zst
    """
    if as_json and isinstance(out, StandardOutput):
        raise click.UsageError("--json needs a file: standard output is for the bag")
    if valid_only and keep_invalid:
        raise click.UsageError("--valid-only keeps nothing unverified: leave --keep-invalid out")
    keep_invalid = 0 if valid_only else keep_invalid
    with open_store(db, read_only=True) as store:
        chosen = [look_up(store.records, one) for one in identifiers] if identifiers else None
        exported = export_bag(store, out, ExportOptions(chosen, packed, since, keep_invalid))
    if exported.root and exported.left_out is None:
        record_export(db, exported)
    if as_json:
        print_json(_exported_value(out.path, exported))
    else:
        _say_exported(out.path, exported)
    if exported.large:
        sys.exit(1)


def _exported_value(out: Path, exported: ExportResult) -> dict[str, object]:
    return {
        "file": os.fsencode(out).decode("utf-8", "backslashreplace"),
        "records": exported.records,
        "bytes": exported.size_bytes,
        "manifest_sha256": exported.manifest,
        "root": exported.root or None,
        "left_out": exported.left_out and exported.left_out._asdict(),
        "too_large": exported.large,
        "not_held": NOT_HELD,
    }


def _say_exported(out: Path, exported: ExportResult) -> None:
    name = "standard output" if str(out) == "-" else out
    say(f"{name}: {plural(exported.records, 'record')}, {plural(exported.size_bytes, 'byte')}")
    if exported.root:
        say(f"root of the states: {exported.root}")
    if exported.left_out is not None:
        say(f"left out, not verified: {in_words(exported.left_out)}")
    say(f"not in it (see `mirror backup`): {', '.join(NOT_HELD)}")
    for suffix in exported.large:
        say(f"warning: the bundle of {suffix} is larger than mirrors take by default; see --max-…")


@click.command()
@options.db
@options.as_json
def status(*, db: Path, as_json: bool) -> None:
    """Say what is in the store.

    \b
    Examples:
      mirror status
      mirror status --json | jq .records
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        counts = store.status()
        keys = store.trust_log.key_set()
        trusted = ", ".join(key.key_id for key in keys)
        place = {"store": store.location, "schema_version": store.schema_version}
    if as_json:
        print_json({**place, "key_set_digest": keys.digest, **asdict(counts)})
        return
    invalid = ", ".join(f"{code} {count:,}" for code, count in counts.events_invalid.items())
    refused = ", ".join(f"{code} {count:,}" for code, count in counts.receipts_refused.items())
    read = ", ".join(f"{count:,} as {name}" for name, count in counts.events_by_profile.items())
    print_table(
        {
            "store": f"{place['store']}, schema {place['schema_version']}",
            "records": f"{counts.records:,}, {counts.stale:,} of them to be merged again",
            "events": f"{counts.events_valid:,} valid, invalid: {invalid or 'none'}",
            **({"read by profile": read} if read else {}),
            "receipts": f"{counts.receipts_verified:,} verified, refused: {refused or 'none'}",
            "alias times": f"{counts.alias_claims:,}, which nothing signs",
            "equivocations": f"{counts.equivocations:,}",
            "trusted keys": f"{trusted or 'none'} (key set {keys.digest})",
            "last new fact": f"{counts.last_fact_at or 'never'} {counts.last_source or ''}",
        }
    )
