"""Selects the facts of a record that an export writes: all verified ones, and some of the others.

Anybody can add alias times, receipts and events to a record. An export may leave out those that no
trusted key signed: the core digest (M12) stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mirror.core.bundle import AliasClaim
from mirror.core.composed import event_order
from mirror.core.events.event import Event, ValidEvent
from mirror.core.merge import by_id
from mirror.core.receipt import Receipt
from mirror.core.values import canonical
from mirror.engine.states.past import past_facts
from mirror.store import OverQuota, RecordFacts, Store, StoreVersion, signature_of

__all__ = ["FactSelection", "in_words"]


@dataclass(slots=True)
class FactSelection:
    """Selects facts of records, and counts those that are left out."""

    keep: int
    """Unverified facts of each kind that stay, for each record."""
    version: StoreVersion
    """The version of the store whose facts and keys count."""
    left_out: OverQuota = field(default_factory=OverQuota)

    def of(self, store: Store, record_id: int, facts: RecordFacts) -> RecordFacts:
        """Return the selected ones of some facts of a record.

        Args:
            store: The store.
            record_id: The record.
            facts: All its facts, or those of an increment; the selection depends on all of them.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        everything = past_facts(store, record_id, self.version)
        claims = set(sorted(everything.alias_claims, key=_claim_text)[: self.keep])
        receipts = {one.digest for one in self._receipts(everything.receipts)}
        events = {one.digest for one in self._events(everything.events)}
        selected = RecordFacts(
            facts.record,
            [one for one in facts.alias_claims if one in claims],
            [one for one in facts.receipts if one.digest in receipts],
            [one for one in facts.events if one.digest in events],
        )
        self._count(facts, selected)
        return selected

    def _receipts(self, receipts: list[Receipt]) -> Iterator[Receipt]:
        """Yield one receipt of each verified signature, and the first others in B6's order."""
        signatures: set[tuple[str, str]] = set()
        others = 0
        for receipt in sorted(receipts, key=lambda one: canonical(one.value)):
            refused = receipt.code is not None
            signature = signature_of(receipt.value, refused)
            if signature is not None and signature not in signatures:
                signatures.add(signature)
            elif others < self.keep:
                others += 1
            else:
                continue
            yield receipt

    def _events(self, events: list[Event]) -> list[Event]:
        """Return each valid event once (M1), and the first other values in B6's order."""
        in_order = sorted(events, key=event_order)
        valid = list(by_id(one for one in in_order if isinstance(one, ValidEvent)).values())
        digests = {one.digest for one in valid}
        return [*valid, *[one for one in in_order if one.digest not in digests][: self.keep]]

    def _count(self, facts: RecordFacts, selected: RecordFacts) -> None:
        counts = (
            len(facts.alias_claims) - len(selected.alias_claims),
            len(facts.receipts) - len(selected.receipts),
            len(facts.events) - len(selected.events),
        )
        self.left_out = OverQuota(
            *(before + now for before, now in zip(self.left_out, counts, strict=True))
        )


def _claim_text(claim: AliasClaim) -> bytes:
    return canonical(claim.to_value())


def in_words(left_out: OverQuota) -> str:
    """Return the counts as text."""
    return (
        f"{left_out.alias_claims} alias times, {left_out.receipts} receipts, "
        f"{left_out.events} events"
    )
