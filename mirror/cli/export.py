"""`mirror export`: bundles of the store as one BagIt bag."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from mirror.cli import exit_codes, options, time_options
from mirror.cli.output import plural, print_json, say
from mirror.cli.output_paths import OutputPath, StandardOutput, writes
from mirror.core.escaping import escape_name
from mirror.core.point_in_time import PointInTime
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
from mirror.engine.states.past import require_known
from mirror.store import Store, StoreVersion, open_store

__all__ = ["export"]


@click.command()
@click.argument("out", type=OutputPath(may_be_stdout=True), metavar="OUT.tar|-")
@click.argument("identifiers", nargs=-1, metavar="[ID]...")
@options.db
@options.shared(
    "--packed",
    is_flag=True,
    help="Compressed files of many bundles: about a fifth of the size.",
)
@options.shared(
    "--since",
    type=options.SourceText(),
    metavar="BAG|ROOT",
    help="Only facts that this bag, or the bag exported with this root, lacks.",
)
@options.shared(
    "--valid-only",
    is_flag=True,
    help="Only facts signed by trusted keys; the same as --keep-invalid 0.",
)
@click.option(
    "--keep-invalid",
    type=options.Count(0),
    metavar="N",
    envvar="MIRROR_EXPORT_KEEP_INVALID",
    show_envvar=True,
    help="At most N alias times, unverified receipts and events per record.",
)
@time_options.at
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
    at: PointInTime | None,
    as_json: bool,
) -> None:
    """Write bundles as one reproducible BagIt bag.

    The same facts give the same bytes. Without IDs, all records are exported. OUT.tar is created
    completely or not at all; - is standard output. With --since the bag is an increment: it names
    its base bag, and a mirror without that bag reports it.

    --valid-only and --keep-invalid leave out unsigned facts: invalid events, receipts that are
    invalid or repeat a signature, and alias times. The bag states this and the key set, and has the
    same core digests. The store is not changed.

    A bag contains only bundles: no trusted keys, profiles, checkpoints, statements of upstreams,
    acknowledgements, block headers, time-stamp authorities, answers of archives, titles or
    abstracts, and no source and time of facts. `mirror backup` copies all of these.

    With --at the bag is the one that an export at that time wrote: the facts that were stored here
    by then.

    \b
    Examples:
      mirror export everything.tar
      mirror export everything.tar --packed
      mirror export two.tar 1705.09786 7SOLO26T
      mirror export november.tar --since october.tar
      mirror export signed.tar --valid-only
      mirror export june.tar --at 2026-06-30
      mirror export - | zstd > everything.tar.zst
    """
    if as_json and isinstance(out, StandardOutput):
        raise click.UsageError("--json needs a file: standard output is for the bag")
    if valid_only and keep_invalid:
        raise click.UsageError("--valid-only keeps nothing unverified: leave --keep-invalid out")
    keep_invalid = 0 if valid_only else keep_invalid
    with open_store(db, read_only=True) as store:
        chosen = [look_up(store.records, one) for one in identifiers] if identifiers else None
        version = None if at is None else _version_at(store, at, chosen or [])
        exported = export_bag(
            store, out, ExportOptions(chosen, packed, since, version, keep_invalid)
        )
    if exported.root and exported.left_out is None:
        record_export(db, exported)
    if as_json:
        print_json(_exported_value(out.path, exported))
    else:
        _say_exported(out.path, exported)
    if exported.large:
        sys.exit(exit_codes.FOUND)


def _version_at(store: Store, at: PointInTime, chosen: Iterable[int]) -> StoreVersion:
    """Return the version of a time, at which the chosen records must have been known."""
    version = time_options.version_at(store, at)
    for record_id in chosen:
        require_known(store, record_id, version, at)
    return version


def _exported_value(out: Path, exported: ExportResult) -> dict[str, object]:
    return {
        "file": escape_name(str(out)),
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
