"""`mirror status`: counts of what is in the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.anchors import status_words
from mirror.cli.output import print_json, print_table
from mirror.engine.anchors.update import CHECKS
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
        anchors = store.anchors.counts()
        texts = store.paper_texts.counts()
        is_checked = not store.anchors.is_used() or store.anchors.is_current(CHECKS)
        place = {"store": store.location, "schema_version": store.schema_version}
    if as_json:
        engine = {"engine": description()}
        digest = {"key_set_digest": keys.digest}
        print_json(
            {
                **place,
                **engine,
                **digest,
                **asdict(counts),
                "storage_checks": answers,
                "anchors": anchors,
                "proved_texts": texts,
            }
        )
        return
    invalid = ", ".join(f"{code} {count:,}" for code, count in counts.events_invalid.items())
    refused = ", ".join(f"{code} {count:,}" for code, count in counts.receipts_refused.items())
    read = ", ".join(f"{count:,} as {name}" for name, count in counts.events_by_profile.items())
    copies = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in answers.items())
    proved = ", ".join(f"{name}s {count:,}" for name, count in texts.items())
    print_table(
        {
            "store": f"{place['store']}, schema {place['schema_version']}",
            "records": f"{counts.records:,}, {counts.stale:,} of them to be merged again",
            "events": f"{counts.events_valid:,} valid, invalid: {invalid or 'none'}",
            **({"read by profile": read} if read else {}),
            "receipts": f"{counts.receipts_verified:,} verified, refused: {refused or 'none'}",
            "alias times": f"{counts.alias_claims:,}, which nothing signs",
            **({"proved texts": proved} if proved else {}),
            "equivocations": f"{counts.equivocations:,}",
            **({"stored copies": copies} if copies else {}),
            **({"time-stamps": _time_stamps(anchors, is_current=is_checked)} if anchors else {}),
            "trusted keys": f"{trusted or 'none'} (key set {keys.digest})",
            "last new fact": f"{counts.last_fact_at or 'never'} {counts.last_source or ''}",
            "engine": description(),
        }
    )


def _time_stamps(counts: dict[str, int], *, is_current: bool) -> str:
    more = "" if is_current else "; the store has changed since: run `mirror anchors`"
    return status_words(counts) + more
