"""History of a record: the steps by which this mirror came to its present state.

The steps are in the order of their known times. Each has the state digest before and after it,
under the keys that were trusted then and the rules of today: those of a store that stopped there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypedDict

from mirror.core.comparison.changes import StateChange, state_changes
from mirror.core.keys import KeySet
from mirror.core.receipt import Receipt
from mirror.core.shape import objects_member, text_member
from mirror.core.values import Object
from mirror.engine.history.event_steps import ValidMessages, effects_of, event_step
from mirror.engine.history.moments import (
    Moment,
    StoredArrival,
    TrustTransaction,
    UpstreamMoment,
    moments,
)
from mirror.engine.history.steps import (
    ArrivalStep,
    EventStep,
    HistoryStep,
    ReceiptStep,
    StatementStep,
    TrustStep,
)
from mirror.engine.states.current import replay, verify_arrival
from mirror.engine.states.reverify import KeySetChange
from mirror.store import RecordFacts, Store, Verdicts

__all__ = ["record_history"]


def record_history(store: Store, record_id: int) -> Iterator[HistoryStep]:
    """Yield the steps of a record's history, the oldest first.

    Each arrival costs one merge, and so does each change of trust that verdicts on the record may
    depend on. Only facts that name a changed key are verified again.

    Args:
        store: The store; call within a snapshot.
        record_id: The row id of the record.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    replayed = _ReplayedRecord(store, record_id)
    for moment in moments(store, record_id):
        if isinstance(moment.what, UpstreamMoment):
            yield replayed.statement(moment, moment.what)
        elif isinstance(moment.what, StoredArrival):
            yield replayed.arrival(moment, moment.what)
        elif replayed.may_depend_on(moment.what):
            yield replayed.trust(moment, moment.what)
        else:
            replayed.take_keys(moment.what.keys)


class _StepMembers(TypedDict):
    """The members that every step has."""

    known_at: str
    state_before: str | None
    state_after: str | None
    changes: tuple[StateChange, ...]
    key_set_digest: str
    rules: str


class _StateThen(NamedTuple):
    digest: str | None
    value: Object
    """Empty before the record was known."""


class _ReplayedRecord:
    """A record as it was after some moments."""

    def __init__(self, store: Store, record_id: int) -> None:
        self._store = store
        self._sources = store.findings.origins(record_id)
        self._has_verdicts = not store.states.needs_verdicts(record_id)
        self._own = store.trust_log.key_set()
        self._keys = store.trust_log.key_set(until=0)
        self._from_own = KeySetChange(self._own, self._keys)
        self._arrivals: list[tuple[StoredArrival, Verdicts]] = []
        self._facts = RecordFacts(store.records.get(record_id), [], [], [])
        self._messages = ValidMessages()
        self._state = _StateThen(None, {})

    def may_depend_on(self, trust: TrustTransaction) -> bool:
        """Whether a verdict on the facts so far may depend on a change of trust."""
        return bool(self._arrivals and trust.changes)

    def take_keys(self, keys: KeySet) -> None:
        """Take keys under which the facts so far have the same verdicts."""
        self._keys, self._from_own = keys, KeySetChange(self._own, keys)

    # Steps -----------------------------------------------------------------------------------

    def arrival(self, moment: Moment, arrival: StoredArrival) -> ArrivalStep:
        """Add the facts of an arrival."""
        verdicts = self._verify(arrival)
        self._arrivals.append((arrival, verdicts))
        self._facts.add(arrival.contents, verdicts)
        members = self._merge(moment)
        return ArrivalStep(
            **members,
            arrival=arrival.row.id,
            source=self._sources[arrival.row.id].source,
            member=arrival.row.member,
            events=tuple(self._event_steps(verdicts, members["changes"])),
            receipts=tuple(map(_receipt_step, verdicts.receipts)),
            alias_claims=tuple(arrival.contents.claims),
        )

    def trust(self, moment: Moment, trust: TrustTransaction) -> TrustStep:
        """Verify the facts so far under other keys."""
        change = KeySetChange(self._keys, trust.keys)
        self.take_keys(trust.keys)
        record, arrivals = self._facts.record, self._arrivals
        self._facts, self._arrivals = RecordFacts(record, [], [], []), []
        for arrival, kept in arrivals:
            verdicts = change.verdicts(record, arrival.row, arrival.contents, kept)
            self._arrivals.append((arrival, verdicts))
            self._facts.add(arrival.contents, verdicts)
        self._messages = ValidMessages(self._facts.events)
        return TrustStep(**self._merge(moment), trust=trust.changes)

    def statement(self, moment: Moment, statement: UpstreamMoment) -> StatementStep:
        """Note a statement, which changes nothing."""
        members = self._members(moment, self._state, ())
        return StatementStep(**members, **statement._asdict())

    # State -----------------------------------------------------------------------------------

    def _verify(self, arrival: StoredArrival) -> Verdicts:
        record, (row, contents) = self._facts.record, arrival
        if not self._has_verdicts:
            return verify_arrival(record, row, contents, self._keys)
        kept = self._store.facts.with_verdicts(row, contents)
        return self._from_own.verdicts(record, row, contents, kept)

    def _merge(self, moment: Moment) -> _StepMembers:
        """Merge the facts so far."""
        state, before = replay(self._facts, self._keys), self._state
        if before.digest == state.digest:
            return self._members(moment, before, ())
        self._state = _StateThen(state.digest, state.value)
        changes = state_changes(before.value, self._state.value)
        return self._members(moment, before, tuple(changes))

    def _members(
        self, moment: Moment, before: _StateThen, changes: tuple[StateChange, ...]
    ) -> _StepMembers:
        commit = self._store.commits.last(moment.known_at)
        return {
            "known_at": moment.known_at,
            "state_before": before.digest,
            "state_after": self._state.digest,
            "changes": changes,
            "key_set_digest": self._keys.digest,
            "rules": "" if commit is None else commit.rules,
        }

    def _event_steps(
        self, verdicts: Verdicts, changes: tuple[StateChange, ...]
    ) -> Iterator[EventStep]:
        listed = objects_member(self._state.value, "retired_events")
        retired = {text_member(one, "event_id"): one for one in listed}
        effects = effects_of(changes)
        for event in verdicts.events:
            yield event_step(event, retired, effects, self._messages)


def _receipt_step(receipt: Receipt) -> ReceiptStep:
    return ReceiptStep(
        key_id=text_member(receipt.value, "key_id"),
        claimed_at=text_member(receipt.value, "signed_at"),
        code=receipt.code or "",
        reason=receipt.reason,
    )
