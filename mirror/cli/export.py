"""`mirror export`: bundles of the store as one BagIt bag."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.output import plural, print_json, say
from mirror.cli.output_paths import OutputPath, StandardOutput, writes
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.bag import (
    NOT_HELD,
    ExportOptions,
    ExportResult,
    export_bag,
    record_export,
)
from mirror.engine.export.selection import in_words
from mirror.engine.identifiers import look_up
from mirror.store import open_store

__all__ = ["export"]


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
    """Write bundles as one reproducible BagIt bag.

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
