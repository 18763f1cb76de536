"""The Python library: read a store, verify and merge bundles, compare states.

`import mirror` gives the names in `__all__`. Everything else in the package may change in any
version; these names change only on purpose, and the changelog says so. Answers are values: no
row numbers, no connections. Nothing here writes to a store.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mirror.core.comparison.causes import (
    Cause,
    Comparison,
    LocalRecord,
    compare,
    parse_upstream_state,
    shown_events,
)
from mirror.core.keys import Key, KeySet, parse_key_set
from mirror.core.point_in_time import parse_point_in_time
from mirror.core.record import Record
from mirror.core.state_view import parse_state
from mirror.core.values import Object, decode
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.history.record_history import record_history
from mirror.engine.identifiers import look_up
from mirror.engine.ingest.merge import ingest
from mirror.engine.ingest.pipeline import verify
from mirror.engine.search.find import every_hit
from mirror.engine.states.current import bundle_text, replay
from mirror.engine.states.past import (
    claimed_until as until_claimed,
)
from mirror.engine.states.past import (
    keys_at,
    past_facts,
    require_known,
)
from mirror.engine.states.past_root import past_root
from mirror.engine.states.root import StateRoot, read_root
from mirror.engine.states.trust import add_keys
from mirror.engine.titles import RecordTitle, proved_texts, title_of
from mirror.errors import FormatError, LookUpError, MirrorError, SourceError, StoreError
from mirror.store import RecordFacts, Store, StoreVersion
from mirror.store import open_store as open_rows

__all__ = [
    "Cause",
    "Comparison",
    "Finding",
    "FormatError",
    "Key",
    "KeySet",
    "LookUpError",
    "MirrorError",
    "MirrorStore",
    "Record",
    "RecordState",
    "RecordTitle",
    "SourceError",
    "StateRoot",
    "StoreError",
    "VerificationReport",
    "compare_states",
    "merge_sources",
    "open_store",
    "read_key_set",
    "verify_sources",
]

BundleSource: TypeAlias = str | os.PathLike[str] | bytes
"""A path of a file or folder, or the content of a file."""


@dataclass(frozen=True, slots=True)
class RecordState:
    """The state of a record (M6)."""

    pith_number: str
    text: bytes
    """The state as it is written: one line of JSON, one LF at its end (M13)."""
    digest: str
    """The state digest, 64 hexadecimal digits (M12)."""
    core_digest: str
    """The core digest, 64 hexadecimal digits (M12)."""

    @property
    def value(self) -> Object:
        """The state as a dictionary, members in M6 order; a new one for each call."""
        return parse_state(self.text).value


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """Result of verifying bundles."""

    findings: tuple[Finding, ...]
    """Everything that is wrong or worth a look, in the order of the sources."""
    summary: Summary
    """The numbers of bundles, events, receipts and findings, by code."""

    @property
    def is_valid(self) -> bool:
        """Whether everything was read and no receipt, event or bundle failed a check."""
        return not self.summary.has_findings


# A store -------------------------------------------------------------------------------------


class MirrorStore:
    """A store that is open for reading; made by `open_store`.

    An ID is a Pith Number or at least its first 8 letters, an arXiv id with or without a version,
    a DOI, the hash of a record, or a URL of one of these. A time is written as in V5, such as
    `2026-06-01T12:00:00Z`, or is a date, which means its end in UTC.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __len__(self) -> int:
        """Return how many records the store has."""
        return self._store.records.count()

    @property
    def key_set(self) -> KeySet:
        """The trusted keys and profiles (K2)."""
        return self._store.trust_log.key_set()

    def records(self) -> Iterator[Record]:
        """Yield every record, ascending by Pith Number.

        Raises:
            StoreError: `store.damaged`
        """
        return map(self._store.records.get, self._store.records.in_number_order())

    def states(self) -> Iterator[RecordState]:
        """Yield the state of every record, ascending by Pith Number; errors as `state`."""
        version = self._store.version()
        keys = keys_at(self._store, version)
        for record_id in self._store.records.in_number_order():
            yield _state_of(past_facts(self._store, record_id, version, keys), keys)

    def record(self, identifier: str) -> Record:
        """Return the record of an ID.

        Raises:
            LookUpError: `lookup.unknown`, `lookup.ambiguous`
        """
        return self._store.records.get(look_up(self._store.records, identifier))

    def state(
        self, identifier: str, *, at: str | None = None, claimed_until: str | None = None
    ) -> RecordState:
        """Return the state of a record.

        Args:
            identifier: An ID.
            at: Known time: only what was stored by then, under the keys that were trusted then.
            claimed_until: Claimed time: only what its signers date no later.

        Raises:
            LookUpError: `lookup.unknown`, `lookup.ambiguous`; `lookup.not_yet` if the record was
                not known at that time.
            FormatError: `request.time`
            StoreError: `store.damaged`
        """
        record_id = look_up(self._store.records, identifier)
        version = self._version(record_id, at)
        keys = keys_at(self._store, version)
        facts = past_facts(self._store, record_id, version, keys)
        if claimed_until is not None:
            facts = until_claimed(facts, parse_point_in_time(claimed_until))
        return _state_of(facts, keys)

    def bundle(self, identifier: str, *, at: str | None = None) -> bytes:
        """Return the composed bundle of a record, one line of JSON (B6).

        Arguments and errors as `state`.
        """
        record_id = look_up(self._store.records, identifier)
        version = self._version(record_id, at)
        return bundle_text(self._store, record_id, until=version.arrival)

    def history(self, identifier: str) -> Iterator[Object]:
        """Yield the steps by which a record came to its state, the oldest first.

        Each is a dictionary as a line of `mirror history ID --json`: what arrived or changed, its
        known time, the claimed times of what came, and the state digests before and after.

        Raises:
            LookUpError: `lookup.unknown`, `lookup.ambiguous`
            StoreError: `store.damaged`
        """
        record_id = look_up(self._store.records, identifier)
        return (step.to_value() for step in record_history(self._store, record_id))

    def root(self, *, at: str | None = None) -> StateRoot:
        """Return the digest of all states, with the key set and the counts.

        Args:
            at: Known time: the root of what was stored by then, under the keys that were trusted
                then. States that changed since are merged again.

        Raises:
            FormatError: `request.time`
            StoreError: `store.behind` if states are out of date; `mirror root` updates them.
        """
        current = read_root(self._store)
        if at is None:
            return current
        return past_root(self._store, self._store.version_at(parse_point_in_time(at).text))

    def title(self, identifier: str, *, at: str | None = None) -> RecordTitle | None:
        """Return the title of a record, and where it is from; None if no title is known.

        It is the proved title that the store keeps, or else the one that the last graph snapshot
        of the state claims. Arguments and errors as `state`.
        """
        state = parse_state(self.state(identifier, at=at).text)
        record = self.record(identifier)
        until = None if at is None else parse_point_in_time(at).text
        return title_of(proved_texts(self._store, record, until), record, state)

    def search(self, query: str) -> Iterator[Record]:
        """Yield the records that a query finds, better matches first.

        Args:
            query: A name of a record, a whole title, or words that must all occur in its names,
                titles and claims; `"several words"` is a phrase, `word*` a beginning.

        Raises:
            StoreError: `store.behind` if the index lacks records; `mirror find` updates it.
        """
        if missing := self._store.search_index.unindexed():
            hint = "run `mirror find` on the store, which updates the index"
            raise StoreError("store.behind", f"{missing:,} records are not indexed", hint=hint)
        return (self.record(hit.record.pith_number) for hit in every_hit(self._store, query))

    def _version(self, record_id: int, at: str | None) -> StoreVersion:
        if at is None:
            return self._store.version()
        time = parse_point_in_time(at)
        version = self._store.version_at(time.text)
        require_known(self._store, record_id, version, time)
        return version


def _state_of(facts: RecordFacts, keys: KeySet) -> RecordState:
    state = replay(facts, keys)
    return RecordState(facts.record.pith_number, state.text, state.digest, state.core_digest)


@contextmanager
def open_store(path: str | os.PathLike[str]) -> Iterator[MirrorStore]:
    """Open a store for reading; every answer is of the moment when it was opened.

    Args:
        path: The file, such as `mirror.db`.

    Raises:
        StoreError: If there is no store, or it cannot be read.
    """
    with open_rows(Path(path), read_only=True) as store, store.snapshot():
        yield MirrorStore(store)


# Bundles -------------------------------------------------------------------------------------


def verify_sources(*sources: BundleSource, keys: KeySet | None = None) -> VerificationReport:
    """Verify every hash and signature of bundles; store nothing.

    Args:
        sources: Files or folders of bundles, or the content of a file: one bundle, JSON Lines, a
            tar or a BagIt bag, each of them gzip or zstd.
        keys: The trusted keys; the built-in one if there are none.
    """
    findings: list[Finding] = []
    with _request(sources, findings) as request:
        summary = verify(request, KeySet() if keys is None else keys)
    return VerificationReport(tuple(findings), summary)


def merge_sources(
    *sources: BundleSource, keys: KeySet | None = None
) -> tuple[list[RecordState], VerificationReport]:
    """Verify bundles and merge them in memory.

    Arguments as `verify_sources`.

    Returns:
        The states, ascending by Pith Number, and what was found.
    """
    findings: list[Finding] = []
    with _request(sources, findings) as request, open_rows(None) as store:
        add_keys(store, KeySet() if keys is None else keys)
        summary = ingest(store, request)
        states = list(MirrorStore(store).states())
    return states, VerificationReport(tuple(findings), summary)


@contextmanager
def _request(sources: Iterable[BundleSource], findings: list[Finding]) -> Iterator[ReadRequest]:
    """Give the request to read some sources; content is written to a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        names: dict[str, str] = {}
        for number, source in enumerate(sources, 1):
            if isinstance(source, bytes):
                path = Path(folder, str(number))
                path.write_bytes(source)
                names[str(path)] = f"bytes {number}"
            else:
                names[os.fspath(source)] = os.fspath(source)
        yield ReadRequest([*names], findings.append, urls=names)


def compare_states(ours: RecordState | bytes, other: bytes | Object) -> Comparison:
    """Compare a state with one from elsewhere: what differs, and why.

    Args:
        ours: The state that was merged here, or its text.
        other: The other state, whole or partial: its text, or the object.

    Raises:
        FormatError: A code of V1, or `state.shape`.
    """
    state = parse_state(ours.text if isinstance(ours, RecordState) else ours).value
    upstream = parse_upstream_state(decode(other) if isinstance(other, bytes) else other)
    return compare(LocalRecord(state=state, valid=frozenset(shown_events(state))), upstream)


def read_key_set(path: str | os.PathLike[str]) -> KeySet:
    """Return the built-in key and the keys and profiles of a key set file (K2).

    Raises:
        FormatError: A code of V1, `keys.shape`, `keys.conflict`, `profile.shape`, `profile.unsafe`.
        OSError: If the file cannot be read.
    """
    return parse_key_set(Path(path).read_bytes())
