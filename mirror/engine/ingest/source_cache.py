"""Results of each source of a merge, and their cache by the content of the file.

A source that was read completely gives the same facts and findings again under the same keys,
limits and rules (`RULES`). So an unchanged file is only hashed the next time, and its findings are
reported from the cache. Verdicts on single facts are cached apart from this
(`Facts.stored_facts`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mirror.archive import ReadLimits
from mirror.core.keys import KeySet
from mirror.core.msgpack_values import pack, unpack
from mirror.core.rules import RULES
from mirror.core.values import Value, sha256
from mirror.engine.findings import UNREAD_CODES, Finding, Outcome, ReadRequest, Summary
from mirror.engine.ingest.base_bag import BaseBag, complete_bags, missing_base
from mirror.engine.ingest.worker import SourceBag
from mirror.store import Store
from mirror.store.positions import runs_of

__all__ = ["CacheKey", "SourceResult", "SourceResults", "cache_key"]

MAX_FINDINGS = 10_000
"""A source with more findings is not cached."""
_TRANSIENT = UNREAD_CODES | {"event.future", "limit.time"}
"""Codes that depend on the time or the machine, and may not be found again."""


class CacheKey(NamedTuple):
    """Key of a source in the cache, and the version of the file when it was hashed."""

    digest: bytes
    """SHA-256 of everything on which the result depends."""
    path: Path
    version: tuple[int, ...]

    def is_current(self) -> bool:
        """Whether the file is still the one that was hashed."""
        try:
            return _version(self.path.stat()) == self.version
        except OSError:
            return False


def cache_key(name: str, keys: KeySet, limits: ReadLimits) -> CacheKey | None:
    """Return the cache key of a source; None if it is not a regular file."""
    path = Path(name)
    try:
        found = path.stat()
        if name == "-" or not stat.S_ISREG(found.st_mode):
            return None
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None  # reading it will say why
    digest = sha256(pack([content, RULES, keys.digest, repr(limits)]))
    return CacheKey(digest, path, _version(found))


def _version(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class SourceResult:
    """Result of one source."""

    summary: Summary = field(default_factory=Summary)
    findings: list[Finding] = field(default_factory=list)
    """The first `MAX_FINDINGS`, and those of the member that exceeds them."""
    record_ids: array[int] = field(default_factory=lambda: array("q"))
    bag: BaseBag = field(default_factory=BaseBag)

    def add(self, outcome: Outcome | SourceBag, request: ReadRequest) -> None:
        """Count an outcome, report its findings and keep them for the cache."""
        if isinstance(outcome, SourceBag):
            self.bag = self.bag.with_manifest(outcome.bag)
            return
        self.summary.record(outcome, request)
        if isinstance(outcome, Finding):
            findings = [outcome]
            self.bag = self.bag.after_refusal(outcome)
        else:
            findings = outcome.findings
            if outcome.written is not None:
                self.record_ids.append(outcome.written.record_id)
                if any(outcome.written.left_out):
                    self.bag = self.bag._replace(is_whole=False)
        if len(self.findings) <= MAX_FINDINGS:
            self.findings.extend(findings)

    @property
    def is_cacheable(self) -> bool:
        """Whether the source would give the same again, and the result is short enough."""
        return len(self.findings) <= MAX_FINDINGS and all(
            finding.code not in _TRANSIENT for finding in self.findings
        )

    def to_bytes(self) -> bytes:
        """Return the result as a row of the cache holds it (MessagePack)."""
        summary = self.summary
        findings: list[Value] = [
            [one.member, one.pith_number, one.code, one.where, one.message, one.digest]
            for one in self.findings
        ]
        ranges: list[Value] = [[first, last] for first, last in runs_of(self.record_ids)]
        counts = (summary.bundles_read, summary.events_valid, summary.receipts_verified)
        return pack([*counts, findings, ranges, [*self.bag]])

    @classmethod
    def from_bytes(cls, data: bytes, source: str) -> tuple[SourceResult, list[tuple[int, int]]]:
        """Return a cached result, its findings not counted, and the ranges of its record ids."""
        row: Any = unpack(data)
        bundles, events, receipts, findings, ranges, bag = row
        result = cls(
            Summary(bundles_read=bundles, events_valid=events, receipts_verified=receipts),
            [Finding(source, *one) for one in findings],
            bag=BaseBag(*bag),
        )
        return result, [(first, last) for first, last in ranges]


class SourceResults:
    """Results of all sources of a merge: from the cache, or added as they are written."""

    def __init__(self, store: Store, request: ReadRequest) -> None:
        self._store = store
        self._request = request
        self._results: dict[str, SourceResult] = {}
        self._keys: dict[str, CacheKey] = {}

    def replay_cached(self, sources: list[tuple[str, str]], keys: KeySet) -> list[tuple[str, str]]:
        """Report what the cache holds for the sources.

        Args:
            sources: Path and name of each.
            keys: The key set of the store.

        Returns:
            Path and name of the sources that must be read.
        """
        if self._store.path is None:
            return sources
        counts = Counter(name for _, name in sources)
        return [
            (path, name)
            for path, name in sources
            if counts[name] > 1 or not self._replay(path, name, keys)
        ]

    def _replay(self, path: str, name: str, keys: KeySet) -> bool:
        """Report the cached result of a source; return False if it is not cached."""
        key = cache_key(path, keys, self._request.limits)
        if key is None:
            return False
        cached = self._store.source_cache.get(key.digest)
        if cached is None:
            self._keys[name] = key
            return False
        result, ranges = SourceResult.from_bytes(cached, name)
        self._store.states.mark_ranges_seen(ranges)
        self._results[name] = result
        for finding in result.findings:
            result.summary.record(finding, self._request)
        return True

    def add(self, outcome: Outcome | SourceBag) -> None:
        """Add an outcome to the result of its source."""
        result = self._results.get(outcome.source)
        if result is None:
            result = self._results[outcome.source] = SourceResult()
        result.add(outcome, self._request)

    def save(self, at: str) -> list[Finding]:
        """Put the results and the complete bags into the cache; call within a transaction.

        Args:
            at: When the run began.

        Returns:
            A finding for each increment whose base is missing.
        """
        cache = self._store.source_cache
        for name, key in self._keys.items():
            result = self._results.get(name)
            if result is not None and result.is_cacheable and key.is_current():
                cache.put(key.digest, result.to_bytes())
        bags = {name: result.bag for name, result in self._results.items()}
        complete, lacking = complete_bags(bags, cache.has_bag)
        for name in complete:
            cache.put_bag(bytes.fromhex(bags[name].manifest), name, at)
        return [missing_base(name, bags[name]) for name in lacking]

    def total(self) -> Summary:
        """Return the figures of all sources, and of the distinct records in them."""
        total = Summary(
            records=self._store.states.seen_count(),
            equivocations=self._store.states.seen_equivocations(),
        )
        for result in self._results.values():
            total.add(result.summary)
        return total
