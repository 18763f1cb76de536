"""Commands that read sources: `merge` and `verify`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mirror.archive import ReadLimits
from mirror.cli import cluster, options
from mirror.cli.console import Findings, echo, print_table, say, show_progress, summary_rows
from mirror.cli.outputs import OutputFolder, inputs_of
from mirror.engine.acknowledge import AcknowledgedFindings
from mirror.engine.export.bag import write_states
from mirror.engine.ingest.merge import ingest
from mirror.engine.ingest.pipeline import verify as verify_sources
from mirror.engine.states.trust import add_keys
from mirror.store import open_store

__all__ = ["merge", "verify"]


@click.command()
@options.sources
@options.db
@options.jobs
@options.key_files
@click.option(
    "--in-memory",
    is_flag=True,
    envvar="MIRROR_IN_MEMORY",
    show_envvar=True,
    help="Keep no store.",
)
@click.option(
    "--out",
    type=OutputFolder(),
    metavar="DIR|URL",
    envvar="MIRROR_OUT",
    show_envvar=True,
    help="Also write each state to DIR/<suffix>/state.json; with --cluster, a dataset to the URL.",
)
@cluster.options
@options.as_json
@options.quiet
@options.limits
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
    **wished: Any,
) -> None:
    """Read bundles, verify them, store them, and merge them into states.

    A SOURCE is a bundle.json, JSON Lines of bundles, a tar or BagIt bag, any of them gzip or zstd,
    a folder, or - for standard input; what it is, is known by its content. Merging what is
    already there changes nothing.

    Keys given with --keys are added to those that the store trusts, as `mirror keys add` does.

    With --cluster the work is done by the workers of a Dask cluster, and no store is written:
    sources and --out are paths or URLs (s3://, gs://, https://), and the states, the findings and
    the root, the same as on one machine, become a Parquet dataset (docs/cluster.md). The keys are
    those that the store trusts, if there is one, and --keys. The same command goes on with a run
    that was cut off.

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
    workers = cluster.Workers(**wished)
    if fault := workers.fault(sources, out):
        raise click.UsageError(fault)
    if workers.cluster is not None and out is not None:
        if in_memory:
            raise click.UsageError("--in-memory says nothing with --cluster: there is no store")
        trusted = options.store_keys(db).with_added(options.read_key_files(key_files))
        settings = (sources, out, trusted, limits, workers)
        sys.exit(cluster.merge_on_cluster(*settings, as_json=as_json))
    if out is not None and Path(out).is_file():
        raise click.UsageError(f"--out: {out} is a file; name a folder")
    keys = options.read_key_files(key_files, warn=not quiet)
    findings = Findings(as_json=False, quiet=quiet)
    with open_store(None if in_memory else db) as store:
        added = add_keys(store, keys)
        with show_progress(sources, findings, limits) as job:
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
    sys.exit(summary.exit_code)


@click.command()
@options.sources
@options.db
@options.jobs
@options.key_files
@options.as_json
@options.quiet
@options.limits
def verify(
    *,
    sources: tuple[str, ...],
    db: Path,
    key_files: tuple[Path, ...],
    as_json: bool,
    quiet: bool,
    limits: ReadLimits,
) -> None:
    """Check bundles as `merge` does, and store nothing.

    The keys to trust are those of the store, or the built-in one where there is none, and --keys. A
    registry's integrity.json is verified, too: that the payload of each finding has the digest
    that is signed. Without its payload, nothing ties a finding to words (finding.unbound).

    \b
    Examples:
      mirror verify bundle.json
      mirror verify integrity.json
      mirror verify bundle.tar --json | jq -r .code | sort | uniq -c
    """
    keys = options.store_keys(db).with_added(options.read_key_files(key_files, warn=not quiet))
    findings = Findings(as_json=as_json, quiet=quiet)
    with options.store_if_there(db) as store, show_progress(sources, findings, limits) as job:
        is_known = job.is_known if store is None else AcknowledgedFindings(store)
        summary = verify_sources(replace(job, is_known=is_known), keys)
    findings.end()
    if not quiet:
        print_table(summary_rows(summary, None), err=as_json)
        if not summary.new_findings:
            say("nothing new was found" if summary.has_findings else "nothing wrong was found")
    sys.exit(summary.exit_code)
