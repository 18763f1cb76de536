"""Short ways into the core, for tests that ask it one question."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mirror.core.bundle import VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.composed import compose
from mirror.core.events.event import EncodedEvent, InvalidEvent
from mirror.core.events.verdict import verify_event
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.merge import State, merge_bundles
from mirror.core.record import parse_record
from mirror.errors import FormatError
from mirror.store import InsertCounts, NewFacts, SourceRun, Store, StoredFacts, pack_new_facts
from tests.builders import Signer, key_set_file, to_json

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"


def sample_states(name: str) -> list[Any]:
    """The states that a sample bag must give: what it holds is counted from them."""
    return [
        json.loads(line) for line in (BUNDLES / f"{name}.states.jsonl").read_bytes().splitlines()
    ]


PITH_RECORDS, DEMO_RECORDS = len(sample_states("pith")), len(sample_states("demo"))


def state_leaves(store: Store) -> list[tuple[bytes, bytes]]:
    """`canonical_sha256` and core digest of every record's state, from the tables of states."""
    query = "SELECT record.digest, core_digest FROM record JOIN state ON record_id = id"
    return store.connection.execute(query).fetchall()


def code_of(work: Callable[[], object]) -> str | None:
    """The code that `work` is refused with, or None."""
    try:
        work()
    except FormatError as error:
        return error.code
    return None


def keys_of(*signers: Signer) -> KeySet:
    """The built-in key and those of `signers`."""
    return parse_key_set(key_set_file(*signers))


def verdict(event: Any, record: Any, keys: KeySet) -> str | None:
    """The code of one value of `events`, or None if it is valid (E3)."""
    judged = verify_event(EncodedEvent.of(event), parse_record(record), keys)
    return judged.code if isinstance(judged, InvalidEvent) else None


def verified(bundle: Any, keys: KeySet) -> VerifiedBundle:
    """A bundle with all its verdicts."""
    return verify_bundle(parse_bundle(to_json(bundle)), keys)


def findings(bundle: Any, keys: KeySet) -> list[tuple[str, str]]:
    """(JSON Pointer, code) of all that B3 reports."""
    return [(finding.where, finding.code) for finding in verified(bundle, keys).findings]


def composed_of(bundles: Sequence[VerifiedBundle]) -> bytes:
    """The composed bundle, each fact once (B6)."""
    return compose(
        bundles[0].record,
        {claim for bundle in bundles for claim in bundle.alias_claims},
        _once(receipt for bundle in bundles for receipt in bundle.receipts),
        _once(event for bundle in bundles for event in bundle.events),
    )


def _once(facts: Iterable[Any]) -> Iterable[Any]:
    return {fact.digest: fact for fact in facts}.values()


def merged(bundles: Iterable[Any], keys: KeySet) -> State:
    """The state of bundles of one record, from their values."""
    return merge_bundles([verified(bundle, keys) for bundle in bundles], keys)


def new_facts_of(
    bundle: Any, keys: KeySet, held: StoredFacts, *, with_state: bool = False
) -> NewFacts:
    """What a store that holds so much lacks of a bundle; with the state of the bundle alone."""
    raw = parse_bundle(to_json(bundle))
    judged = verify_bundle(raw, keys, held.known)
    return pack_new_facts(
        raw, judged, held, merge_bundles([judged], keys) if with_state else None, keys
    )


def take(store: Store, bundle: Any, keys: KeySet, run: SourceRun) -> tuple[int, InsertCounts]:
    """Write what is new in a bundle, in the transaction that is open; its record is stale then."""
    held = store.facts.stored_facts(parse_bundle(to_json(bundle)).record.digest)
    writer = store.batch_writer()
    taken = writer.add(new_facts_of(bundle, keys, held), run, "a member")
    writer.flush()
    return taken.record_id, taken.new


def ids_in(store: Store) -> list[int]:
    """The row id of every record, in the order of a bag."""
    return [record_id for _, record_id in store.records.in_bag_order(None)]
