"""How the events and alias claims of a made-up record are written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests import builders, oracle
from tests.builders import Object, Signer, make_bundle


class Log:
    """The events of one record, in the order they were signed."""

    def __init__(self, record: Object) -> None:
        self.record = record
        self.events: list[Object] = []

    def add(
        self, signer: Signer, event_type: str, created_at: str, payload: Object, **extra: Any
    ) -> Object:
        """Sign an event, append it and return it."""
        event = builders.make_event(self.record, signer, event_type, payload, created_at, **extra)
        self.events.append(event)
        return event

    def create(self, signer: Signer, created_at: str, signed_at: str | None = None) -> Object:
        """Add a `record_created` with its receipt."""
        payload = builders.created(self.record, signer, signed_at or created_at)
        return self.add(signer, "record_created", created_at, payload)

    def revoke(self, signer: Signer, event: Object, created_at: str, reason: str) -> Object:
        """Add a revocation of `event`, whether it has an effect or not."""
        payload = builders.revocation(event["event_id"], reason)
        return self.add(signer, "event_revoked", created_at, payload)

    def cite(self, signer: Signer, created_at: str, citing: Object, **members: Any) -> Object:
        """Add a `citation_signed`: `citing` cites this record."""
        payload = builders.citation(oracle.pith_number_of(citing), **members)
        return self.add(signer, "citation_signed", created_at, payload)

    def bundle(self, claims: Sequence[Object], receipts: Sequence[Object] | None = None) -> Object:
        """Return the bundle of all that was signed."""
        return make_bundle(self.record, self.events, receipts, claims)


def claims_of(record: Object, *times: str) -> list[Object]:
    """Return the first alias claimed for the first time, the second for the second, and so on."""
    pairs = oracle.aliases_of(record)
    return [
        {"alias_kind": kind, "alias_value": value, "created_at": created_at}
        for (kind, value), created_at in zip(pairs, times, strict=False)
    ]
