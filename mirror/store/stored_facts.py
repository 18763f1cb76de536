"""Digests and verdicts of the stored facts of a record, to find out which facts are new."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from mirror.core.bundle import AliasClaim, StoredVerdicts
from mirror.core.events.verdict import EventVerdict, ProfileVerdict
from mirror.core.receipt import Fault
from mirror.core.shape import text_member
from mirror.core.values import Value
from mirror.store.arrival_codec import ArrivalContents
from mirror.store.arrivals import ArrivalRow, RecordTotals, event_verdicts, receipt_verdicts

__all__ = ["SHAPE", "StoredFacts", "StoredFactsCache", "signature_of"]

SHAPE = "event.shape"
"""The code of values without the shape of an event (E1): no key can have signed them."""


def signature_of(receipt: Value, is_refused: bool) -> tuple[str, str] | None:  # noqa: FBT001
    """Return key id and signature of a receipt that passed; None for a refused one."""
    if is_refused:
        return None
    return text_member(receipt, "key_id"), text_member(receipt, "signature_b64")


@dataclass(slots=True)
class StoredFacts:
    """The stored facts of one record, with their verdicts, without values."""

    record_id: int | None = None
    """None if the store does not know the record."""
    alias_claims: set[AliasClaim] = field(default_factory=set)
    receipts: dict[bytes, Fault] = field(default_factory=dict)
    """Verdicts on receipts, by digest."""
    events: dict[bytes, EventVerdict] = field(default_factory=dict)
    """Verdicts on events, by digest."""
    signatures: set[tuple[str, str]] = field(default_factory=set)
    """Key id and signature of the receipts that passed."""
    malformed_events: int = 0
    """Events with the code `event.shape`."""
    last_arrival: int = 0
    """The id of the last arrival that was added."""
    totals: RecordTotals = field(default_factory=RecordTotals)
    """Totals of the arrivals that were added."""

    @property
    def known(self) -> StoredVerdicts:
        """All verdicts on receipts and events."""
        return StoredVerdicts(self.receipts, self.events)

    @property
    def unsigned_receipts(self) -> int:
        """Receipts that were refused, or that repeat a signature."""
        return len(self.receipts) - len(self.signatures)

    @property
    def size(self) -> int:
        """How many facts there are."""
        return len(self.alias_claims) + len(self.receipts) + len(self.events)

    def add(self, rows: Iterable[tuple[ArrivalRow, ArrivalContents]]) -> None:
        """Add arrivals of the record, in the order of their ids."""
        for row, contents in rows:
            self._add_facts(row, contents)
            self.last_arrival = row.id
            self.totals.add(row, contents, row.verdict_rows)

    def _add_facts(self, row: ArrivalRow, contents: ArrivalContents) -> None:
        refused, verdicts = receipt_verdicts(row.verdict_rows), event_verdicts(row.verdict_rows)
        self.alias_claims.update(contents.claims)
        for position, (digest, value) in enumerate(contents.receipts):
            self.receipts[digest] = refused.get(position)
            signature = signature_of(value, position in refused)
            if signature is not None:
                self.signatures.add(signature)
        for position, (digest, _) in enumerate(contents.events):
            verdict = verdicts.get(position)
            self.events[digest] = verdict
            self.malformed_events += _code_of(verdict) == SHAPE


def _code_of(verdict: EventVerdict) -> str | None:
    fault = verdict.fault if isinstance(verdict, ProfileVerdict) else verdict
    return None if fault is None else fault[0]


class StoredFactsCache:
    """LRU cache of `StoredFacts`, by record id, so that n bundles of one record cost n and not n².

    It is bounded by the number of facts in it. An entry that is out of date (verdicts were
    replaced, a transaction was rolled back) differs in its totals from the stored ones.
    """

    MAX_FACTS = 200_000

    def __init__(self) -> None:
        self._entries: OrderedDict[int, StoredFacts] = OrderedDict()
        self._facts = 0

    def pop(self, record_id: int) -> StoredFacts | None:
        """Remove and return the entry of a record."""
        held = self._entries.pop(record_id, None)
        self._facts -= 0 if held is None else held.size
        return held

    def put(self, record_id: int, held: StoredFacts) -> None:
        """Add an entry; the least recently used ones go if there are too many facts."""
        self._entries[record_id] = held
        self._facts += held.size
        while self._facts > self.MAX_FACTS and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self._facts -= oldest.size
