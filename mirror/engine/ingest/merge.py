"""`mirror merge`: writes verified bundles into the store, and their states with them.

Bundles are verified and encoded in `worker`, which also merges a bundle whose record is new. Only
writing is left for the process that holds the lock of the store. A record that the store has
already is merged there, from all its facts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from mirror.core.keys import KeySet
from mirror.core.values import time_text
from mirror.engine.acknowledge import AcknowledgedFindings
from mirror.engine.findings import Finding, Outcome, ReadRequest, Summary, VerifiedMember
from mirror.engine.ingest.pipeline import FEW_BATCHES, read_batches
from mirror.engine.ingest.source_cache import SourceResults
from mirror.engine.ingest.worker import Item, SourceBag, VerifyContext, process_batch
from mirror.engine.native_engine import engine_for
from mirror.engine.process_pool import StoreTask
from mirror.engine.states.replay import process_stale, update_states
from mirror.engine.thread_pool import map_in_order
from mirror.errors import KeySetChangedError
from mirror.store import OVER_QUOTA, BatchWriter, OverQuota, SourceRun, StaleRecord, Store

__all__ = ["ingest"]

TRANSACTION_BUNDLES = 1024
"""Bundles that are written together."""

LARGE_RECORD_FACTS = 1000
"""A record with so many facts is not merged in every transaction that adds some."""

_Outcomes: TypeAlias = list[Outcome | SourceBag]


def ingest(store: Store, request: ReadRequest) -> Summary:
    """Read, verify, store and merge sources under the store's key set (`mirror merge`).

    Raises:
        KeySetChangedError: If another process changes the trusted keys meanwhile.
    """
    process_stale(store)  # an interrupted run may have left some
    request = replace(request, is_known=AcknowledgedFindings(store))
    sources = request.sources()
    writer = MergeWriter(store, request)
    sources = writer.results.replay_cached(sources, writer.keys)
    context = VerifyContext(
        writer.keys, request.limits, writer.now, encodes_facts=True, merges=True
    )
    engine = engine_for(writer.keys, request.limits.for_bundles(writer.keys.profiles))
    work = partial(process_batch, context, engine)
    opened: AbstractContextManager[Callable[[list[Item]], _Outcomes]]
    opened = nullcontext(partial(work, None)) if store.path is None else StoreTask(store.path, work)
    with opened as task:
        waiting: _Outcomes = []
        for outcomes in map_in_order(read_batches(request, sources), task, few=FEW_BATCHES):
            waiting.extend(outcomes)
            if len(waiting) >= TRANSACTION_BUNDLES:
                writer.write(waiting)
                waiting = []
        writer.write(waiting)
    writer.finish()
    process_stale(store)  # records with many facts
    return writer.results.total()


class MergeWriter:
    """Writes outcomes: each time one transaction, with the states that follow from it.

    So an interrupted run keeps what it reported, and running it again ends where an undisturbed
    run ends.
    """

    def __init__(self, store: Store, request: ReadRequest) -> None:
        """Read the key set of the store, which must stay the same."""
        self.results = SourceResults(store, request)
        self._store = store
        self._quota = request.limits.kept_invalid
        self._started = datetime.now(UTC)
        self.now = int(self._started.timestamp() * 1_000_000)
        """When the run began, in microseconds since 1970."""
        self._runs: dict[str, SourceRun] = {}
        self._merge_from: dict[int, int] = {}
        with store.snapshot():
            self._trust_version = store.trust_log.version
            self.keys: KeySet = store.trust_log.key_set()

    def write(self, outcomes: _Outcomes) -> None:
        """Store the facts of outcomes, update the states, and then report the findings."""
        with self._store.transaction():
            self._require_same_keys()
            rows = self._store.batch_writer(self._quota)
            members = [one for one in outcomes if isinstance(one, VerifiedMember)]
            rows.look_up([one.new_facts for one in members if one.new_facts is not None])
            outcomes = [self._write_facts(rows, outcome) for outcome in outcomes]
            rows.flush()
            members = [one for one in outcomes if isinstance(one, VerifiedMember)]
            written = [one.written for one in members if one.written is not None]
            self._store.states.mark_seen(one.record_id for one in written)
            if changed := {one.record_id for one in written if one.is_stale}:
                update_states(self._store, self.keys, self._due(changed))
        for outcome in outcomes:
            self.results.add(outcome)

    def _write_facts(self, rows: BatchWriter, outcome: Outcome | SourceBag) -> Outcome | SourceBag:
        """Write the facts of an outcome; return it with the result, and a finding of the quota."""
        if not isinstance(outcome, VerifiedMember) or outcome.new_facts is None:
            return outcome
        run = self._runs.get(outcome.source)
        if run is None:
            started = time_text(self._started, microseconds=True)
            run = self._runs[outcome.source] = SourceRun(outcome.source, started)
        written = rows.add(outcome.new_facts, run, outcome.member)
        if not any(written.left_out):
            return outcome._replace(written=written)
        finding = _beyond_quota(outcome, written.left_out, self._quota)
        return outcome._replace(written=written, findings=[*outcome.findings, finding])

    def _due(self, changed: set[int]) -> list[StaleRecord]:
        """Return the changed records that are merged now.

        A large record is merged when its facts have doubled, and at the end: to merge it in each
        transaction would cost n² for n bundles of it.
        """
        due = []
        for record_id in sorted(changed):
            facts = self._store.facts.totals(record_id).facts
            if facts >= self._merge_from.get(record_id, 0):
                due.append(StaleRecord(record_id, needs_verdicts=False))
                if facts >= LARGE_RECORD_FACTS:
                    self._merge_from[record_id] = 2 * facts
        return due

    def finish(self) -> None:
        """Cache the results of the sources, and report increments whose base is missing."""
        with self._store.transaction():
            self._require_same_keys()
            findings = self.results.save(time_text(self._started))
        for finding in findings:
            self.results.add(finding)

    def _require_same_keys(self) -> None:
        if self._store.trust_log.version != self._trust_version:
            raise KeySetChangedError(
                "store.keys_changed",
                "another process changed the trusted keys while this one was verifying",
                where=self._store.location,
                hint="what was committed is kept; run the command again",
            )


def _beyond_quota(member: VerifiedMember, left_out: OverQuota, quota: int | None) -> Finding:
    """Return the finding that not all facts of a bundle were kept."""
    names = ("alias times", "receipts", "malformed events")
    counts = ", ".join(
        f"{count} {name}" for count, name in zip(left_out, names, strict=True) if count
    )
    message = f"not kept: {counts}; this mirror keeps {quota} of each for one record"
    return Finding(member.source, member.member, member.pith_number, OVER_QUOTA, "", message)
