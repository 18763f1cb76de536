"""Python's hash seed orders sets and must not order results (section 5: no randomness)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import hashlib
from tests.builders import *
from mirror.core.merge import merge_bundles
from tests.helpers import composed_of, keys_of, verified

alice, bob, judge = Signer("alice"), Signer("bob"), Signer("judge", may_revoke_others=True)
keys, record = keys_of(alice, bob, judge), make_record()
events = [
    make_event(record, signer, kind, {**payload_of(kind, record, signer), "n": number}, time)
    for signer in (alice, bob)
    for kind in [*EVENT_TARGETS, "x.y"]
    for number in (1, 2)
    for time in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01+00:00")
]
events += [
    make_event(record, signer, "event_revoked", revocation(event["event_id"]))
    for event in events[::5]
    for signer in (alice, judge)
]
times = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 9)]
claims = [claim for time in times for claim in make_claims(record, time)]
receipts = [make_receipt(record, signer, note=note) for signer in (alice, bob) for note in "abc"]
bundles = [
    verified(make_bundle(record, [*events[part::3], part], receipts, claims), keys)
    for part in range(3)
]
state = merge_bundles(bundles, keys)
print(state.digest, state.core_digest, hashlib.sha256(state.text).hexdigest())
print(hashlib.sha256(composed_of(bundles)).hexdigest(), keys.digest)
"""


def _run(seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_hash_seed_changes_nothing() -> None:
    """M1, B6, K3: state, core, text, composed bundle and key set digest."""
    (only,) = {_run(seed) for seed in ("0", "1", "12345", "random")}
    assert len(only.split()) == 5
