"""The command `merge`: reads sources into a store, or gives them to a cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mirror.archive import ReadLimits
from mirror.cli import exit_codes, limit_options, options, trusted_keys
from mirror.cli.cluster import ClusterOptions, cluster_options, merge_on_cluster
from mirror.cli.ingest_view import FindingPrinter, print_reading, summary_rows
from mirror.cli.output import echo, print_table
from mirror.cli.output_paths import OutputFolder, inputs_of
from mirror.engine.export.bag import write_states
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.trust import add_keys
from mirror.store import open_store

__all__ = ["merge"]


@click.command()
@options.sources
@options.db
@options.jobs
@trusted_keys.key_files
@options.shared("--in-memory", is_flag=True, help="Keep no store.")
@options.shared(
    "--out",
    type=OutputFolder(),
    metavar="DIR|URL",
    help="Also write each state to DIR/<suffix>/state.json; with --cluster, a dataset to the URL.",
)
@cluster_options
@options.as_json
@options.quiet
@limit_options.limits
def merge(
    *,
    sources: tuple[str, ...],
    db: Path,
    key_files: tuple[Path, ...],
    in_memory: bool,
    out: str | None,
    as_json: bool,
    quiet: bool,
    limits: ReadLimits,
    cluster: ClusterOptions,
) -> None:
    """Read bundles, verify, store, and merge them into states.

    A SOURCE is a bundle.json, JSON Lines of bundles, a tar or BagIt bag, each also compressed with
    gzip or zstd, a folder, or - for standard input; its format is recognised by content. Merging
    the same bundles again changes nothing.

    The keys of --keys are added to the trusted keys of the store, as by `mirror keys add`.

    With --cluster the workers of a Dask cluster do the work, and no store is written: sources and
    --out are paths or URLs (s3://, gs://, https://), and the states, findings and root become a
    Parquet dataset, equal to those of one machine. Trusted keys: those of the store, if it exists,
    and --keys. Rerun the same command to resume an interrupted run.

    \b
    Examples:
      mirror merge bundle.tar
      mirror merge downloads/ more.jsonl.zst --db library.db
      curl -s https://pith.science/pith/7SOLO26TLPZRGSRX2HH227CICV/bundle.json |
        mirror merge -
      mirror merge bundle.json --in-memory --json    the states of just these
      mirror merge --cluster local bags/*.tar --out states/
      mirror merge --cluster tcp://10.0.0.5:8786 's3://bags/*.tar' --out s3://s
    """
    if conflict := cluster.find_conflict(sources, out):
        raise click.UsageError(conflict)
    if cluster.cluster is not None and out is not None:
        if in_memory:
            raise click.UsageError("--in-memory has no effect with --cluster")
        trusted = trusted_keys.store_keys(db).with_added(trusted_keys.read_key_files(key_files))
        settings = (sources, out, trusted, limits, cluster)
        sys.exit(merge_on_cluster(*settings, as_json=as_json))
    if out is not None and Path(out).is_file():
        raise click.UsageError(f"--out: {out} is a file; name a folder")
    keys = trusted_keys.read_key_files(key_files, warn=not quiet)
    findings = FindingPrinter(as_json=False, quiet=quiet)
    with open_store(None if in_memory else db) as store:
        added = add_keys(store, keys)
        with print_reading(sources, findings, limits) as job:
            summary = ingest(store, job)
        findings.end()
        if out is not None:
            write_states(store, Path(out), inputs_of(click.get_current_context()))
        if as_json:
            for state in store.states.seen_states():
                echo(state.text, nl=False)
        rows = summary_rows(summary, "none (in memory)" if in_memory else store.location)
        names = [key.key_id for key in added.keys] + [one.name for one in added.profiles]
        if names:
            rows["trusted for this run" if in_memory else "now trusted"] = ", ".join(names)
        if not quiet:
            print_table(rows, err=as_json)
    sys.exit(exit_codes.of_summary(summary))
