"""`mirror compare --upstream`: our states against upstream's, record by record.

What upstream says is kept with its digest and the time, so that what it takes back later is seen
(`core.rollback`). It is evidence: nothing of it is ever merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias, cast

from mirror.core.comparison.causes import (
    UNIDENTIFIED_CODES,
    Cause,
    Comparison,
    LocalRecord,
    compare,
    retired_events,
)
from mirror.core.comparison.rollback import rollbacks
from mirror.core.escaping import escape_name
from mirror.core.events.event import Event, ValidEvent
from mirror.core.redaction import redact
from mirror.core.values import Object, canonical, decode, sha256, time_text
from mirror.engine.compare.upstream import (
    Unreadable,
    UpstreamAnswer,
    UpstreamSource,
    UpstreamStatement,
)
from mirror.engine.identifiers import find_all, look_up
from mirror.engine.states.current import current_text
from mirror.engine.states.root import update_root
from mirror.engine.sync.requests import RecordRequest, request_all, request_for
from mirror.errors import LookUpError, UpstreamError
from mirror.net import Client
from mirror.store import Store, UpstreamStatementRow

__all__ = [
    "SAME",
    "CompareOptions",
    "CompareResult",
    "CompareSummary",
    "Rollback",
    "compare_with",
    "here_of",
    "history",
    "retired_here",
]

_MANY, _FEW = 200, 10
"""Comparisons of one transaction: where answers come from a disk, and over the network."""
_BATCH_BYTES = 16 << 20
"""What the answers of one transaction may come to, but for the last of them."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """Upstream took back what it said before."""

    pith_number: str
    upstream: str
    kind: str
    causes: list[Cause]
    before: UpstreamStatementRow
    after: UpstreamStatementRow

    def to_value(self) -> Object:
        """Return the finding as it is printed."""
        return {
            "pith_number": self.pith_number,
            "status": "rollback",
            "upstream": self.upstream,
            "kind": self.kind,
            "cause": self.causes[0].text,
            "causes": [{"code": cause.code, "text": cause.text} for cause in self.causes],
            "before": {"sha256": self.before.digest.hex(), "at": self.before.first_read_at},
            "after": {"sha256": self.after.digest.hex(), "at": self.after.first_read_at},
        }


CompareResult: TypeAlias = Comparison | Rollback


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What to compare, and whom to tell."""

    upstream: UpstreamSource
    names: tuple[str, ...] = ()
    """Ids of records; none means all, on both sides."""
    called: str = ""
    """Under what name to keep what upstream says; empty for its address or path."""
    keep_history: bool = True
    """Whether to keep it."""
    on_finding: Callable[[CompareResult], None] = lambda _finding: None
    progress: Callable[[int], None] = lambda _count: None

    @property
    def remembered_as(self) -> str:
        """Under what name what upstream says is kept."""
        return redact(escape_name(self.called or self.upstream.url.rstrip("/")))


@dataclass(slots=True)
class CompareSummary:
    """What a run came to."""

    statuses: Counter[str] = field(default_factory=Counter)
    rollbacks: int = 0
    requests: int = 0

    def count(self, finding: CompareResult) -> None:
        """Count a finding."""
        if isinstance(finding, Rollback):
            self.rollbacks += 1
        else:
            self.statuses[finding.status] += 1

    @property
    def findings(self) -> int:
        """Number of records that are not the same, and of rollbacks."""
        return sum(n for status, n in self.statuses.items() if status not in SAME) + self.rollbacks


SAME = frozenset({"match", "match_known"})
"""Statuses of records that are the same here and there."""


def compare_with(store: Store, errand: CompareOptions, client: Client) -> CompareSummary:
    """Compare the records of a store, or some of them, with what upstream says.

    Args:
        store: The store; states that lag behind are made first, where it can be written.
        errand: What to compare.
        client: For an upstream that is an address.

    Raises:
        UpstreamError: If upstream cannot be read; what was found before was told.
        LookUpError: If an id names several records.
        CorruptStoreError: `store.damaged`
    """
    if errand.keep_history:
        update_root(store)
    run = _CompareRun(store, errand)
    tally = CompareSummary()
    size = _FEW if errand.upstream.is_address else _MANY
    for batch in _batches(run.answers(client), size):
        with store.transaction() if errand.keep_history else store.snapshot():
            findings = [finding for answer in batch for finding in run.compare_answer(answer)]
        for finding in findings:
            tally.count(finding)
            errand.on_finding(finding)
        errand.progress(len(batch))
    for comparison in run.missing_upstream():
        tally.count(comparison)
        errand.on_finding(comparison)
    tally.requests = client.requests
    return tally


def _batches(answers: Iterator[UpstreamAnswer], size: int) -> Iterator[list[UpstreamAnswer]]:
    """Yield answers by the batch; if asking fails, first those that came before."""
    batch: list[UpstreamAnswer] = []
    size_bytes = 0
    try:
        for answer in answers:
            batch.append(answer)
            size_bytes += len(answer.text) if isinstance(answer, UpstreamStatement) else 0
            if len(batch) == size or size_bytes >= _BATCH_BYTES:
                yield batch
                batch, size_bytes = [], 0
    except UpstreamError:
        yield batch
        raise
    yield batch


class _NamedRecord(NamedTuple):
    """A record that was asked for by a person."""

    request: RecordRequest
    record_id: int | None


class _CompareRun:
    """One comparison of a store with upstream."""

    def __init__(self, store: Store, errand: CompareOptions) -> None:
        self._store = store
        self._errand = errand
        self._upstream = errand.upstream
        self._at = time_text(datetime.now(UTC))
        self._wanted = [self._want(name) for name in errand.names]
        self._seen = bytearray(store.records.last_id() + 1)
        """By row id, whether upstream spoke of a record that was here when the run began."""
        self._named: set[str] = set()
        """Names that no record here has, and one of upstream's does."""
        self._was_read = self._was_unreadable = False

    def _want(self, name: str) -> _NamedRecord:
        found = find_all(self._store.records, name)
        if not found:
            return _NamedRecord(request_for(name), None)
        record = self._store.records.get(look_up(self._store.records, name))
        request = RecordRequest(name, record.suffix, record.pith_number, is_known=True)
        return _NamedRecord(request, found[0])

    def answers(self, client: Client) -> Iterator[UpstreamAnswer]:
        """Yield what upstream says of the records that are compared."""
        if self._upstream.is_address:
            return self._upstream.answers(client, self._requests())
        if not self._wanted:
            return self._upstream.members()
        return self._members_of([one.request for one in self._wanted])

    def _members_of(self, requests: list[RecordRequest]) -> Iterator[UpstreamAnswer]:
        """Yield what the members of a container say of some records."""
        wished = {request.pith_number for request in requests}
        unknown = [_UnresolvedName(request) for request in requests if not request.pith_number]
        for answer in self._upstream.members():
            # Of what cannot be read, nobody knows of which record it is.
            if isinstance(answer, UpstreamStatement):
                self._was_read = True
                named = [one.name for one in unknown if one.is_in(answer)]
                self._named.update(named)
                if not named and answer.pith_number not in wished:
                    continue
            yield answer

    def _requests(self) -> Iterable[RecordRequest]:
        if self._wanted:
            return [one.request for one in self._wanted]
        return request_all(self._store)

    def _all_records(self) -> Iterator[tuple[int, str, str]]:
        after = 0
        while page := self._store.records.page(after, _MANY):
            yield from page
            after = page[-1][0]

    # One answer ------------------------------------------------------------------------------

    def compare_answer(self, answer: UpstreamAnswer) -> Iterator[CompareResult]:
        """Yield what comes of an answer."""
        if isinstance(answer, Unreadable):
            yield self._of_nothing(answer)
            return
        self._was_read = True
        yield self._compare(answer)
        if self._errand.keep_history:
            yield from self._record_statement(answer)

    def _of_nothing(self, answer: Unreadable) -> Comparison:
        number, causes = answer.pith_number, [Cause(answer.code, answer.reason)]
        if answer.is_missing:
            status = "missing_upstream"
            causes += self._told_before(number)
        elif answer.is_proof:
            status, self._was_read = "differs", True
        else:
            status, self._was_unreadable = "unreadable", True
        return Comparison(pith_number=number, status=status, causes=tuple(causes))

    def _compare(self, answer: UpstreamStatement) -> Comparison:
        number = answer.pith_number
        record_id = self._store.records.numbered(number)
        if record_id is None:
            if self._wanted:
                self._named.add(number)
            cause = Cause("record.missing_here", "no bundle of it was merged here")
            return Comparison(pith_number=number, status="missing_here", causes=(cause,))
        if record_id < len(self._seen):
            self._seen[record_id] = True
        if self._store.states.current_digest(record_id) == answer.digest:
            return Comparison(pith_number=number, status="match")
        return compare(here_of(self._store, record_id), answer.state)

    # Memory ----------------------------------------------------------------------------------

    def _record_statement(self, answer: UpstreamStatement) -> Iterator[Rollback]:
        name, kind, number = self._errand.remembered_as, self._upstream.kind, answer.pith_number
        digest = sha256(answer.text) if self._upstream.bundles else answer.digest
        before = self._store.upstream_history.last(name, number, kind)
        if before is not None and before.digest == digest:
            return
        after = UpstreamStatementRow(name, number, kind, digest, self._at, answer.text)
        self._store.upstream_history.append(after)
        if before is not None:
            yield from _rollback_of(before, after, self._retired(number))

    def _retired(self, number: str) -> set[str]:
        record_id = self._store.records.numbered(number)
        return set() if record_id is None else retired_here(self._store, record_id)

    def _told_before(self, number: str) -> Iterator[Cause]:
        """Say that upstream spoke before of a record of which it now has nothing."""
        name, kind = self._errand.remembered_as, self._upstream.kind
        if (before := self._store.upstream_history.last(name, number, kind)) is not None:
            at = before.first_read_at
            text = f"upstream told of it before: {kind} {before.digest.hex()}, {at}"
            yield Cause("rollback.record", text)

    # What upstream did not speak of ----------------------------------------------------------

    def missing_upstream(self) -> Iterator[Comparison]:
        """Yield the records that should have been told of, and were not."""
        if self._upstream.is_address or (self._was_unreadable and not self._was_read):
            return  # each was asked for; or what upstream has is not known
        for record_id, number in self._expected():
            where = "upstream" if record_id is not None else "either side"
            cause = Cause("record.missing_upstream", f"it is not known on {where}")
            causes = (cause, *self._told_before(number))
            yield Comparison(pith_number=number, status="missing_upstream", causes=causes)

    def _expected(self) -> Iterator[tuple[int | None, str]]:
        """Yield the records of which upstream should have spoken, and did not."""
        if not self._wanted:
            for record_id, _, number in self._all_records():
                if record_id < len(self._seen) and not self._seen[record_id]:
                    yield record_id, number
        for one in self._wanted:
            is_known = one.record_id is not None
            is_told = (
                self._seen[one.record_id or 0] if is_known else one.request.record in self._named
            )
            if not is_told:
                yield one.record_id, one.request.record


class _UnresolvedName:
    """A name that no record here has; upstream may know one that has it."""

    def __init__(self, request: RecordRequest) -> None:
        self.name = request.record
        self._path_name = request.name
        self._alias = canonical({"alias_value": request.name})[1:-1]

    def is_in(self, answer: UpstreamStatement) -> bool:
        """Whether an answer is of a record of this name (R4)."""
        return self._path_name != "" and (
            answer.pith_number[-26:].startswith(self._path_name) or self._alias in answer.text
        )


def here_of(store: Store, record_id: int) -> LocalRecord:
    """Return our side of a record.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = decode(current_text(store, record_id).rstrip())
    events = store.facts.load(record_id).events
    valid = frozenset(one.event_id for one in events if isinstance(one, ValidEvent))
    return LocalRecord(state=cast("Object", state), valid=valid, refused=_refused(events))


def _refused(events: Collection[Event]) -> dict[str, str]:
    """Return the code of each invalid event by the id that it bears."""
    invalid = [one for one in events if not isinstance(one, ValidEvent)]
    refused: dict[str, str] = {}
    # Of several that bear one id, the one whose own it is comes last, and counts.
    for one in sorted(invalid, key=lambda one: one.code not in UNIDENTIFIED_CODES):
        claimed = one.value.get("event_id") if isinstance(one.value, dict) else None
        if isinstance(claimed, str):
            refused[claimed] = one.code
    return refused


def retired_here(store: Store, record_id: int) -> set[str]:
    """Return the ids of the events that are retired here: nobody need show them (M11).

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = cast("Object", decode(current_text(store, record_id).rstrip()))
    return set(retired_events(state))


def _rollback_of(
    before: UpstreamStatementRow, after: UpstreamStatementRow, retired: set[str]
) -> Iterator[Rollback]:
    was, now = (cast("Object", decode(claim.text)) for claim in (before, after))
    if causes := rollbacks(was, now, retired if after.kind == "state" else ()):
        yield Rollback(after.pith_number, after.upstream, after.kind, causes, before, after)


def history(store: Store, name: str) -> list[tuple[UpstreamStatementRow, list[Cause]]]:
    """Return all that upstreams said of a record, each with what it took back then.

    Raises:
        LookUpError: `lookup.unknown` if nobody was ever asked about it, `lookup.ambiguous`
    """
    is_here = bool(find_all(store.records, name))
    record_id = look_up(store.records, name) if is_here else 0
    number = store.records.get(record_id).pith_number if is_here else escape_name(name.strip())
    rows = store.upstream_history.history(number)
    if not rows:
        hint = "`mirror compare --upstream` keeps what upstream says"
        message = f"nothing that an upstream said of {name!r} is kept"
        raise LookUpError("lookup.unknown", message, hint=hint)
    retired = retired_here(store, record_id) if is_here else set()
    return [(row, _removed_events(rows, index, retired)) for index, row in enumerate(rows)]


def _removed_events(rows: list[UpstreamStatementRow], index: int, retired: set[str]) -> list[Cause]:
    after = rows[index]
    before = rows[index - 1] if index else None
    if before is None or before[:3] != after[:3]:
        return []
    return [cause for one in _rollback_of(before, after, retired) for cause in one.causes]
