"""The quota of a record: how many facts that nobody signed a store keeps for it (B4).

Anybody can make any number of alias times, of receipts that differ in unsigned members, and of
values that are not events. Without a quota, a stranger could make the composed bundle of a
record (B6) larger than other mirrors accept. What only a trusted key can have signed has none.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from mirror.core.bundle import AliasClaim
from mirror.core.values import Value
from mirror.store.arrivals import VerdictRow
from mirror.store.stored_facts import SHAPE, StoredFacts, signature_of

__all__ = ["OVER_QUOTA", "OverQuota", "Quota"]

OVER_QUOTA = "store.quota"
"""The code of the finding that facts were not stored."""


class OverQuota(NamedTuple):
    """Numbers of new facts of a bundle that are not stored."""

    alias_claims: int = 0
    receipts: int = 0
    events: int = 0


class Quota:
    """The unused quota of one record."""

    def __init__(self, items: int, held: StoredFacts) -> None:
        """Start from the stored facts; `items` is the limit for each kind of fact."""
        self._claims = items - len(held.alias_claims)
        self._receipts = items - held.unsigned_receipts
        self._events = items - held.malformed_events
        self._signatures = held.signatures

    def claims(self, new: Sequence[AliasClaim]) -> Sequence[AliasClaim]:
        """Return the alias claims to store: the first ones, up to the quota."""
        return new[: max(0, self._claims)]

    def receipts(
        self,
        new: Sequence[int],
        values: Sequence[tuple[bytes, Value]],
        verdict_rows: Sequence[VerdictRow],
    ) -> list[int]:
        """Return the positions of the receipts to store; the first of each signature always is.

        Args:
            new: Positions of those that the store lacks.
            values: All receipts of the arrival, each with its digest.
            verdict_rows: The verdicts on those that did not pass.
        """
        refused = {one.position for one in verdict_rows if one.kind == "receipt"}
        signatures, left, kept = set(self._signatures), self._receipts, []
        for position in new:
            signature = signature_of(values[position][1], position in refused)
            if signature is not None and signature not in signatures:
                signatures.add(signature)
            elif left > 0:
                left -= 1
            else:
                continue
            kept.append(position)
        return kept

    def events(self, new: Sequence[int], verdict_rows: Sequence[VerdictRow]) -> list[int]:
        """Return the positions of the events to store: all that have the shape of one (E1)."""
        malformed: Container[int] = {
            one.position for one in verdict_rows if one.kind == "event" and one.code == SHAPE
        }
        left, kept = self._events, []
        for position in new:
            if position in malformed:
                if left <= 0:
                    continue
                left -= 1
            kept.append(position)
        return kept
