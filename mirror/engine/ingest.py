"""`mirror merge`: verified bundles into the store, states up to date with every batch."""

from __future__ import annotations

from datetime import UTC, datetime

from mirror.core.keys import KeySet
from mirror.engine.replay import bring_up_to_date, finish
from mirror.engine.report import Job, Summary
from mirror.engine.verify import Verified, read_bundles, settle, verify_all
from mirror.errors import KeySetChangedError
from mirror.store import Run, Stale, Store

__all__ = ["ingest"]


def ingest(store: Store, job: Job) -> Summary:
    """Read, verify, store and merge sources under the store's key set (`mirror merge`).

    Raises:
        KeySetChangedError: If another process changes the trusted keys meanwhile.
    """
    summary = Summary()
    finish(store)  # what an interrupted run left behind
    writer = _Writer(store)
    for batch in verify_all(read_bundles(job), writer.keys, job.limits, store.facts.known):
        writer.write([item for item in batch if isinstance(item, Verified)], summary)
        for item in batch:
            settle(item, writer.now, job, summary)
    summary.records = store.derived.touched_count()
    summary.equivocations = store.derived.touched_equivocations()
    return summary


class _Writer:
    """Writes batches: each is one transaction, with the states that follow from it.

    So an interrupted run keeps what it reported, and running it again ends where an undisturbed
    run ends.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._started = datetime.now(UTC)
        self._runs: dict[str, Run] = {}
        with store.snapshot():
            self._trust_version = store.trust.version
            self.keys: KeySet = store.trust.key_set()

    @property
    def now(self) -> int:
        """When the run began, in microseconds since 1970."""
        return int(self._started.timestamp() * 1_000_000)

    def write(self, batch: list[Verified], summary: Summary) -> None:
        """Store a batch, bring its states up to date, and count what was new."""
        with self._store.transaction():
            self._require_same_keys()
            stale = set()
            for verified in batch:
                run = self._run(verified.source)
                record_id, new = self._store.facts.add(verified.bundle, run, verified.member)
                self._store.derived.touch([record_id])
                summary.new.add(new)
                if new:
                    stale.add(Stale(record_id, judge=False))
            bring_up_to_date(self._store, self.keys, stale)

    def _run(self, source: str) -> Run:
        started_at = self._started.isoformat(timespec="microseconds")
        return self._runs.setdefault(source, Run(source, started_at))

    def _require_same_keys(self) -> None:
        if self._store.trust.version != self._trust_version:
            raise KeySetChangedError(
                "store.keys_changed",
                "another process changed the trusted keys while this one was verifying",
                where=self._store.place,
                hint="what was committed is kept; run the command again",
            )
