"""`mirror merge`: verified bundles into the store, states up to date with every transaction.

To the stages of `mirror.engine.ingest.pipeline` this adds three: packing what is new, merging the
bundle where its record is new, and writing. The first two run where the bundle was verified; only
writing is left for the process that holds the store's lock. A record that the store knew before
is merged there, too, from all that is known of it then.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from mirror.archive import Bag, ReadLimits
from mirror.core.bundle import Bundle, VerifiedBundle
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge
from mirror.core.values import time_text
from mirror.engine.acknowledge import AcknowledgedFindings
from mirror.engine.export.base import BaseBag, find_footing, missing_base
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.ingest.pipeline import (
    FEW_BATCHES,
    Batch,
    SourceMember,
    VerifiedMember,
    batches,
    outcome_of,
    parse,
    read,
    record_finding,
    record_outcome,
    verify_parsed,
)
from mirror.engine.ingest.source_cache import MAX_REPORTS, CacheKey, SourceResult, key_of
from mirror.engine.process_pool import map_in_processes
from mirror.engine.states.replay import process_stale, update_states
from mirror.errors import KeySetChangedError
from mirror.store import (
    BatchWriter,
    OverQuota,
    SourceRun,
    StaleRecord,
    Store,
    StoredFacts,
    make_parcel,
    open_store,
)

__all__ = ["ingest"]

TRANSACTION_BUNDLES = 1024
"""Bundles that are written together."""

LARGE_RECORD_FACTS = 1000
"""Facts from which on a record is not merged with every transaction that brings more."""

QUOTA = "store.quota"
"""The code of facts that are not kept because their record has used up its quota (B4)."""


def ingest(store: Store, job: ReadRequest) -> Summary:
    """Read, verify, store and merge sources under the store's key set (`mirror merge`).

    Raises:
        KeySetChangedError: If another process changes the trusted keys meanwhile.
    """
    summary = Summary()
    process_stale(store)  # what an interrupted run left behind
    job = replace(job, is_known=AcknowledgedFindings(store))
    writer = _MergeWriter(store, job, summary)
    names = [name for name in job.names if not writer.replay_cached_source(name)]
    with _MergeWorker(writer.keys, job.limits, writer.now, store.path) as desk:
        waiting: list[VerifiedMember | Finding] = []
        items = read(job, names, writer.record_bag)
        for outcomes in map_in_processes(batches(items), desk, few=FEW_BATCHES):
            waiting.extend(outcomes)
            if len(waiting) >= TRANSACTION_BUNDLES:
                writer.write(waiting)
                waiting = []
        writer.write(waiting)
    writer.store_results()
    process_stale(store)  # records of which many bundles came
    summary.records = store.states.seen_count()
    summary.equivocations = store.states.seen_equivocations()
    return summary


class _MergeWorker:
    """Where bundles are verified, packed and merged, in any process.

    It asks the store what it knows already, through a connection of its own.
    """

    def __init__(self, keys: KeySet, limits: ReadLimits, now: int, path: Path | None) -> None:
        self._settings = (keys, limits, now, path)
        self._keys = keys
        self._limits = limits
        self._now = now
        self._path = path
        self._stack = ExitStack()
        self._reader: Store | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._settings  # a connection stays where it was opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, batch: Batch) -> list[VerifiedMember | Finding]:
        """Return what came of a batch, with a parcel of each bundle."""
        if self._reader is None and self._path is not None:
            self._reader = self._stack.enter_context(open_store(self._path, read_only=True))
        return [item if isinstance(item, Finding) else self._prepare(item) for item in batch]

    def _prepare(self, item: SourceMember) -> VerifiedMember | Finding:
        bundle = parse(item, self._limits, self._keys)
        if isinstance(bundle, Finding):
            return bundle
        held = self._stored_facts(bundle)
        verified = verify_parsed(item, bundle, self._keys, held.known, self._limits)
        if isinstance(verified, Finding):
            return verified
        outcome = outcome_of(item, verified, self._now)
        state = self._state(verified) if held.record_id is None else None
        return outcome._replace(parcel=make_parcel(bundle, verified, held, state, self._keys))

    def _stored_facts(self, bundle: Bundle) -> StoredFacts:
        """Return what the store holds for a bundle's record, as far as it was committed."""
        name = (bundle.record.digest, bundle.record.suffix)
        if self._reader is None or self._reader.records.find(*name) is None:
            return StoredFacts()
        with self._reader.snapshot():
            return self._reader.facts.stored_facts(bundle.record.digest)

    def _state(self, bundle: VerifiedBundle) -> State:
        """Return what a bundle comes to alone."""
        facts = (bundle.record, bundle.receipts, bundle.alias_claims, bundle.events)
        return merge(*facts, self._keys)


class _MergeWriter:
    """Writes what was prepared: each time one transaction, with the states that follow from it.

    So an interrupted run keeps what it reported, and running it again ends where an undisturbed
    run ends.
    """

    def __init__(self, store: Store, job: ReadRequest, summary: Summary) -> None:
        self._store = store
        self._job = job
        self._summary = summary
        self._started = datetime.now(UTC)
        self._runs: dict[str, SourceRun] = {}
        self._readings: dict[str, SourceResult] = {}
        self._keys_of_readings: dict[str, CacheKey] = {}
        self._touched: list[int] = []
        self._changed: set[int] = set()
        self._merge_from: dict[int, int] = {}
        with store.snapshot():
            self._trust_version = store.trust_log.version
            self.keys: KeySet = store.trust_log.key_set()

    @property
    def now(self) -> int:
        """When the run began, in microseconds since 1970."""
        return int(self._started.timestamp() * 1_000_000)

    # Sources that were read before -----------------------------------------------------------

    def replay_cached_source(self, name: str) -> bool:
        """Tell again what a source came to, if it was read before; False if it was not."""
        key, called = key_of(name, self.keys, self._job.limits), self._job.name_of(name)
        alike = [other for other in self._job.names if self._job.name_of(other) == called]
        if key is None or self._store.path is None or len(alike) > 1:
            return False
        kept = self._store.source_cache.get(key.digest)
        if kept is None:
            self._keys_of_readings[called] = key
            return False
        reading, ranges = SourceResult.from_bytes(kept, called)
        self._store.states.mark_ranges_seen(ranges)
        self._readings[called] = reading
        self._summary.bundles_read += reading.bundles
        self._summary.events_valid += reading.events_valid
        self._summary.receipts_verified += reading.receipts_verified
        for report in reading.reports:
            record_finding(report, self._job, self._summary)
        return True

    def record_bag(self, source: str, bag: Bag) -> None:
        """Note that all of a bag was read, and what it rests on."""
        reading = self._reading(source)
        reading.footing = BaseBag.of(bag, is_whole=reading.footing.is_whole)

    def _reading(self, source: str) -> SourceResult:
        if source not in self._readings:
            self._readings[source] = SourceResult()
        return self._readings[source]

    def store_results(self) -> None:
        """Remember what every source came to, and say which bags others rest on are missing."""
        at = time_text(self._started)
        with self._store.transaction():
            self._require_same_keys()
            for source, reading in self._readings.items():
                key = self._keys_of_readings.get(source)
                if key is not None and reading.is_memorable and key.is_current():
                    self._store.source_cache.put(key.digest, reading.to_bytes())
            missing = self._record_bags(at)
        for source in missing:
            report = missing_base(source, self._readings[source].footing)
            record_finding(report, self._job, self._summary)

    def _record_bags(self, at: str) -> list[str]:
        """Note the bags of which all is in the store now; return what lacks its base."""
        footings = {source: reading.footing for source, reading in self._readings.items()}
        ready, missing = find_footing(footings, self._store.source_cache.has_bag)
        for source in ready:
            manifest = bytes.fromhex(footings[source].manifest)
            self._store.source_cache.put_bag(manifest, source, at)
        return missing

    # Writing ---------------------------------------------------------------------------------

    def write(self, outcomes: list[VerifiedMember | Finding]) -> None:
        """Store outcomes, bring their states up to date, and then tell of them."""
        with self._store.transaction():
            self._require_same_keys()
            intake = self._store.intake(self._job.limits.kept_invalid)
            outcomes = [self._write_facts(intake, outcome) for outcome in outcomes]
            intake.flush()
            self._store.states.mark_seen(self._touched)
            update_states(self._store, self.keys, self._due())
        for outcome in outcomes:
            record_outcome(outcome, self._job, self._summary)
            self._add_to_source(outcome)

    def _write_facts(
        self, intake: BatchWriter, outcome: VerifiedMember | Finding
    ) -> VerifiedMember | Finding:
        """Write the facts of an outcome; return it with what was found as they were written."""
        if isinstance(outcome, Finding) or outcome.parcel is None:
            return outcome
        run = self._run(outcome.source)
        record_id, new, left_out = intake.add(outcome.parcel, run, outcome.member)
        self._touched.append(record_id)
        self._reading(outcome.source).record_ids.append(record_id)
        self._summary.new.add(new)
        if new and not (new.records and outcome.parcel.state and not any(left_out)):
            self._changed.add(record_id)
        if not any(left_out):
            return outcome
        report = _beyond_quota(outcome, left_out, self._job.limits.kept_invalid)
        return outcome._replace(reports=[*outcome.reports, report])

    def _due(self) -> list[StaleRecord]:
        """Return the changed records that are merged now.

        A large record is merged when its facts have doubled, and at the end: to merge it with each
        transaction would cost n² for n bundles of it.
        """
        changed, due = self._changed, []
        self._touched, self._changed = [], set()
        for record_id in sorted(changed):
            facts = self._store.facts.totals(record_id).facts
            if facts >= self._merge_from.get(record_id, 0):
                due.append(StaleRecord(record_id, needs_verdicts=False))
                if facts >= LARGE_RECORD_FACTS:
                    self._merge_from[record_id] = 2 * facts
        return due

    def _add_to_source(self, outcome: VerifiedMember | Finding) -> None:
        """Add an outcome to what its source came to."""
        reading = self._reading(outcome.source)
        if isinstance(outcome, Finding):
            if len(reading.reports) <= MAX_REPORTS:
                reading.reports.append(outcome)
            # What any mirror refuses is missed by none; what only this one does, may be.
            if outcome.code.startswith("limit."):
                reading.footing.is_whole = False
            return
        if any(report.code == QUOTA for report in outcome.reports):
            reading.footing.is_whole = False
        reading.bundles += 1
        reading.events_valid += outcome.events_valid
        reading.receipts_verified += outcome.receipts_verified
        if len(reading.reports) <= MAX_REPORTS:
            reading.reports.extend(outcome.reports)

    def _run(self, source: str) -> SourceRun:
        if source not in self._runs:
            self._runs[source] = SourceRun(source, time_text(self._started, microseconds=True))
        return self._runs[source]

    def _require_same_keys(self) -> None:
        if self._store.trust_log.version != self._trust_version:
            raise KeySetChangedError(
                "store.keys_changed",
                "another process changed the trusted keys while this one was verifying",
                where=self._store.location,
                hint="what was committed is kept; run the command again",
            )


def _beyond_quota(outcome: VerifiedMember, left_out: OverQuota, quota: int) -> Finding:
    """Return the finding that not all facts of a bundle were kept."""
    names = ("alias times", "receipts", "malformed events")
    counts = ", ".join(
        f"{count} {name}" for count, name in zip(left_out, names, strict=True) if count
    )
    message = f"not kept: {counts}; this mirror keeps {quota} of each for one record"
    return Finding(outcome.source, outcome.member, outcome.pith_number, QUOTA, "", message)
