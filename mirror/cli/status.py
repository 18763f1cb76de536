"""`mirror status`: counts of what is in the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.output import print_json, print_table
from mirror.engine.native import description
from mirror.store import open_store

__all__ = ["status"]


@click.command()
@options.db
@options.as_json
def status(*, db: Path, as_json: bool) -> None:
    """Count what is in the store.

    \b
    Examples:
      mirror status
      mirror status --json | jq .records
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        counts = store.status()
        keys = store.trust_log.key_set()
        trusted = ", ".join(key.key_id for key in keys)
        answers = store.storage_checks.counts()
        place = {"store": store.location, "schema_version": store.schema_version}
    if as_json:
        engine = {"engine": description()}
        digest = {"key_set_digest": keys.digest}
        print_json({**place, **engine, **digest, **asdict(counts), "storage_checks": answers})
        return
    invalid = ", ".join(f"{code} {count:,}" for code, count in counts.events_invalid.items())
    refused = ", ".join(f"{code} {count:,}" for code, count in counts.receipts_refused.items())
    read = ", ".join(f"{count:,} as {name}" for name, count in counts.events_by_profile.items())
    copies = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in answers.items())
    print_table(
        {
            "store": f"{place['store']}, schema {place['schema_version']}",
            "records": f"{counts.records:,}, {counts.stale:,} of them to be merged again",
            "events": f"{counts.events_valid:,} valid, invalid: {invalid or 'none'}",
            **({"read by profile": read} if read else {}),
            "receipts": f"{counts.receipts_verified:,} verified, refused: {refused or 'none'}",
            "alias times": f"{counts.alias_claims:,}, which nothing signs",
            "equivocations": f"{counts.equivocations:,}",
            **({"stored copies": copies} if copies else {}),
            "trusted keys": f"{trusted or 'none'} (key set {keys.digest})",
            "last new fact": f"{counts.last_fact_at or 'never'} {counts.last_source or ''}",
            "engine": description(),
        }
    )
