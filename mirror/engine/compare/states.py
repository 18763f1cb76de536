"""Compares the states of a store with those of an upstream, record by record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import TypeAlias

from mirror.core.comparison.causes import Cause, Comparison, compare
from mirror.core.escaping import escape_name
from mirror.core.identifier import names_in
from mirror.core.record import suffix_in
from mirror.core.redaction import redact
from mirror.core.values import canonical, sha256, time_text
from mirror.engine.batching import batched, pages
from mirror.engine.compare.history import Rollback, append_statement
from mirror.engine.compare.local import local_record
from mirror.engine.compare.upstream import (
    Unreadable,
    UpstreamResponse,
    UpstreamSource,
    UpstreamStatement,
)
from mirror.engine.identifiers import find_all, look_up
from mirror.engine.states.root import update_root
from mirror.engine.sync.requests import RecordRequest, request_all, request_for
from mirror.net import Client
from mirror.store import Store, UpstreamStatementRow

__all__ = [
    "SAME",
    "CompareOptions",
    "CompareResult",
    "CompareSummary",
    "compare_with_upstream",
]

_MANY, _FEW = 200, 10
"""Comparisons in one transaction: of responses from a disk, and over the network."""
_BATCH_BYTES = 16 << 20
"""Most bytes of statements in one transaction; a larger statement has its own."""
_PAGE = 200

SAME = frozenset({"match", "match_known"})
"""Statuses of records that are equal on both sides."""

CompareResult: TypeAlias = Comparison | Rollback


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """Options of a comparison, and the callbacks for results."""

    upstream: UpstreamSource
    names: tuple[str, ...] = ()
    """Identifiers of records; none for all records of both sides."""
    upstream_name: str = ""
    """The name of the upstream in the history; empty for its address or path."""
    keep_history: bool = True
    """Whether to store the statements of the upstream."""
    on_finding: Callable[[CompareResult], None] = lambda _finding: None
    progress: Callable[[int], None] = lambda _count: None

    @property
    def history_name(self) -> str:
        """The name of the upstream in the history."""
        return redact(escape_name(self.upstream_name or self.upstream.url.rstrip("/")))


@dataclass(slots=True)
class CompareSummary:
    """Counts of the results of a comparison."""

    statuses: Counter[str] = field(default_factory=Counter)
    rollbacks: int = 0
    requests: int = 0

    def count(self, finding: CompareResult) -> None:
        """Count a result."""
        if isinstance(finding, Rollback):
            self.rollbacks += 1
        else:
            self.statuses[finding.status] += 1

    @property
    def findings(self) -> int:
        """Number of records that differ or were not compared, and of rollbacks."""
        return sum(n for status, n in self.statuses.items() if status not in SAME) + self.rollbacks


def compare_with_upstream(store: Store, options: CompareOptions, client: Client) -> CompareSummary:
    """Compare the records of a store, or some of them, with the statements of an upstream.

    Args:
        store: The store; its states are updated first if the history is kept.
        options: What to compare.
        client: The client for an upstream that is an address.

    Raises:
        UpstreamError: If the upstream cannot be read; the results so far were passed on.
        LookUpError: If an identifier names several records.
        CorruptStoreError: `store.damaged`
    """
    if options.keep_history:
        update_root(store)
    comparison = _StateComparison(store, options)
    summary = CompareSummary()
    size = _FEW if options.upstream.is_address else _MANY
    for batch in batched(comparison.responses(client), size, _size_of, _BATCH_BYTES):
        with store.transaction() if options.keep_history else store.snapshot():
            findings = [finding for one in batch for finding in comparison.compare_response(one)]
        for finding in findings:
            summary.count(finding)
            options.on_finding(finding)
        options.progress(len(batch))
    for missing in comparison.missing_upstream():
        summary.count(missing)
        options.on_finding(missing)
    summary.requests = client.requests
    return summary


def _size_of(response: UpstreamResponse) -> int:
    return len(response.text) if isinstance(response, UpstreamStatement) else 0


class _StateComparison:
    """A comparison, and which records the upstream has reported so far."""

    def __init__(self, store: Store, options: CompareOptions) -> None:
        self._store = store
        self._options = options
        self._upstream = options.upstream
        self._at = time_text(datetime.now(UTC))
        self._requests = [_request(store, name) for name in options.names]
        self._reported = bytearray(store.records.last_id() + 1)
        """By row id: 1 if the upstream reported a record that was in the store at the start."""
        self._reported_names: set[str] = set()
        """Requested names of which the upstream has a record, and the store does not."""
        self._was_read = self._was_unreadable = False

    # Reading ---------------------------------------------------------------------------------

    def responses(self, client: Client) -> Iterator[UpstreamResponse]:
        """Yield the responses of the upstream on the records to compare."""
        if self._upstream.is_address:
            return self._upstream.responses(client, self._requests or request_all(self._store))
        return self._selected_members() if self._requests else self._upstream.members()

    def _selected_members(self) -> Iterator[UpstreamResponse]:
        """Yield the members of a source on the requested records, and the unreadable members."""
        numbers = {one.pith_number for one in self._requests}
        unresolved = {one.record: _name_test(one) for one in self._requests if not one.pith_number}
        for response in self._upstream.members():
            if isinstance(response, UpstreamStatement):
                self._was_read = True
                names = [name for name, is_named in unresolved.items() if is_named(response)]
                self._reported_names.update(names)
                if not names and response.pith_number not in numbers:
                    continue
            yield response

    # Comparing -------------------------------------------------------------------------------

    def compare_response(self, response: UpstreamResponse) -> Iterator[CompareResult]:
        """Yield the result for a response, and the rollback if it is one."""
        if isinstance(response, Unreadable):
            yield self._compare_unreadable(response)
            return
        self._was_read = True
        yield self._compare_statement(response)
        if self._options.keep_history:
            digest = sha256(response.text) if self._upstream.bundles else response.digest
            kind, number = self._upstream.kind, response.pith_number
            name = self._options.history_name
            row = UpstreamStatementRow(name, number, kind, digest, self._at, response.text)
            if (rollback := append_statement(self._store, row)) is not None:
                yield rollback

    def _compare_unreadable(self, response: Unreadable) -> Comparison:
        number, causes = response.pith_number, [Cause(response.code, response.reason)]
        if response.is_missing:
            status = "missing_upstream"
            causes += self._earlier_statement(number)
        elif response.is_proof:
            status, self._was_read = "differs", True
        else:
            status, self._was_unreadable = "unreadable", True
        return Comparison(pith_number=number, status=status, causes=tuple(causes))

    def _compare_statement(self, statement: UpstreamStatement) -> Comparison:
        number = statement.pith_number
        record_id = self._store.records.numbered(number)
        if record_id is None:
            if self._requests:
                self._reported_names.add(number)
            cause = Cause("record.missing_here", "no bundle of it was merged here")
            return Comparison(pith_number=number, status="missing_here", causes=(cause,))
        if record_id < len(self._reported):
            self._reported[record_id] = 1
        if self._store.states.current_digest(record_id) == statement.digest:
            return Comparison(pith_number=number, status="match")
        return compare(local_record(self._store, record_id), statement.state)

    # Records that the upstream does not report ------------------------------------------------

    def missing_upstream(self) -> Iterator[Comparison]:
        """Yield the records that the upstream did not report; call after all responses.

        Nothing is yielded for an upstream that was asked for each record, or of which nothing
        could be read.
        """
        if self._upstream.is_address or (self._was_unreadable and not self._was_read):
            return
        for record, is_known in self._unreported():
            where = "upstream" if is_known else "either side"
            cause = Cause("record.missing_upstream", f"it is not known on {where}")
            causes = (cause, *self._earlier_statement(record))
            yield Comparison(pith_number=record, status="missing_upstream", causes=causes)

    def _unreported(self) -> Iterator[tuple[str, bool]]:
        """Yield the Pith Numbers or names of unreported records, and whether the store has them."""
        if not self._requests:
            for record_id, _, number in self._all_records():
                if not self._is_reported(record_id):
                    yield number, True
        for request in self._requests:
            if request.is_known:
                known_id = self._store.records.numbered(request.pith_number)
                is_reported = known_id is not None and self._is_reported(known_id)
            else:
                is_reported = request.record in self._reported_names
            if not is_reported:
                yield request.record, request.is_known

    def _is_reported(self, record_id: int) -> bool:
        """Whether the upstream reported a record; true if it was merged after the start."""
        return record_id >= len(self._reported) or self._reported[record_id] == 1

    def _all_records(self) -> Iterator[tuple[int, str, str]]:
        return chain.from_iterable(pages(self._store.records.page, _PAGE, lambda row: row[0]))

    def _earlier_statement(self, number: str) -> Iterator[Cause]:
        """Yield a cause if the upstream made a statement on this record before."""
        name, kind = self._options.history_name, self._upstream.kind
        if (before := self._store.upstream_history.last(name, number, kind)) is not None:
            digest, at = before.digest.hex(), before.first_read_at
            yield Cause("rollback.record", f"upstream reported it before: {kind} {digest}, {at}")


def _request(store: Store, identifier: str) -> RecordRequest:
    """Return the request for the record of an identifier.

    Raises:
        LookUpError: `lookup.ambiguous`
    """
    if not find_all(store.records, identifier):
        return request_for(identifier)
    record = store.records.get(look_up(store.records, identifier))
    return RecordRequest(identifier, record.suffix, record.pith_number, is_known=True)


def _name_test(request: RecordRequest) -> Callable[[UpstreamStatement], bool]:
    """Return a test whether a statement is on a record of a name that no local record has (R4)."""
    if not request.name:
        return lambda _statement: False
    if names_in(request.name)[0].scheme == "pith":
        return lambda statement: suffix_in(statement.pith_number).startswith(request.name)
    alias = canonical({"alias_value": request.name})[1:-1]
    return lambda statement: alias in statement.text
