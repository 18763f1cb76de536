"""How long each stage of a merge takes alone: one thread, one stage after the other.

    python -m benchmark.stages SOURCE KEYS DB

Bundles pass through in batches. Each stage has its own clock, which runs only while it works. It
prints the seconds of each.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from mirror.archive import Member, ReadLimits, open_source
from mirror.core.bundle import VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.merge import State, merge
from mirror.engine.states.trust import add_keys
from mirror.store import SourceRun, Store, StoredFacts, open_store, pack_new_facts

_BATCH = 256

_seconds: defaultdict[str, float] = defaultdict(float)


def main(source_path: str, keys_path: Path, db: Path) -> None:
    """Take every bundle of a source through all stages, and print the seconds of each."""
    keys = parse_key_set(keys_path.read_bytes())
    run = SourceRun(source_path, datetime.now(UTC).isoformat(timespec="microseconds"))
    with open_store(db) as store, open_source(source_path, ReadLimits()) as source:
        add_keys(store, keys)
        items = source.items()
        while members := _read(items):
            _take(members, keys, store, run)
    print(json.dumps(_seconds))


def _read(items: Iterator[object]) -> list[Member]:
    with _clock("reading"):
        return [item for item in islice(items, _BATCH) if isinstance(item, Member)]


def _take(members: list[Member], keys: KeySet, store: Store, run: SourceRun) -> None:
    with _clock("parsing"):
        parsed = [parse_bundle(one.data, is_packed=one.is_packed) for one in members]
    with _clock("verifying"):
        verified = [verify_bundle(bundle, keys) for bundle in parsed]
    with _clock("merging"):
        states = [_merge(bundle, keys) for bundle in verified]
    with _clock("packing"):
        parcels = [
            pack_new_facts(raw, bundle, StoredFacts(), state, keys)
            for raw, bundle, state in zip(parsed, verified, states, strict=True)
        ]
    with _clock("writing"), store.transaction():
        intake = store.batch_writer()
        for member, parcel in zip(members, parcels, strict=True):
            intake.add(parcel, run, member.name)
        intake.flush()


def _merge(bundle: VerifiedBundle, keys: KeySet) -> State:
    return merge(bundle.record, bundle.receipts, bundle.alias_claims, bundle.events, keys)


@contextmanager
def _clock(stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    _seconds[stage] += time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
