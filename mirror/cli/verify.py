"""`mirror verify`: check sources as `mirror merge` does, and store nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from mirror.archive import ReadLimits
from mirror.cli import exit_codes, limit_options, options, trusted_keys
from mirror.cli.ingest_view import FindingPrinter, print_reading, summary_rows
from mirror.cli.output import print_table, say
from mirror.engine.acknowledge import AcknowledgedFindings
from mirror.engine.ingest.pipeline import verify as verify_sources

__all__ = ["verify"]


@click.command()
@options.sources
@options.db
@options.jobs
@trusted_keys.key_files
@options.as_json
@options.quiet
@limit_options.limits
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

    Trusted keys: those of the store, or the built-in key without a store, and --keys. In a
    registry's integrity.json, the payload of each finding must have the signed digest; a finding
    without a payload is reported (finding.unbound).

    \b
    Examples:
      mirror verify bundle.json
      mirror verify integrity.json
      mirror verify bundle.tar --json | jq -r .code | sort | uniq -c
    """
    keys = trusted_keys.store_keys(db).with_added(
        trusted_keys.read_key_files(key_files, warn=not quiet)
    )
    findings = FindingPrinter(as_json=as_json, quiet=quiet)
    with trusted_keys.store_if_there(db) as store, print_reading(sources, findings, limits) as job:
        is_known = job.is_known if store is None else AcknowledgedFindings(store)
        summary = verify_sources(replace(job, is_known=is_known), keys)
    findings.end()
    if not quiet:
        print_table(summary_rows(summary, None), err=as_json)
        if not summary.new_findings:
            say("nothing new was found" if summary.has_findings else "nothing wrong was found")
    sys.exit(exit_codes.of_summary(summary))
