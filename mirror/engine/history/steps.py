"""Steps of a record's history: an arrival, a change of trust, or a statement of an upstream.

*Known* times are this mirror's own: when it stored or read something. *Claimed* times are what
signers and bundles say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mirror.core.bundle import AliasClaim
from mirror.core.comparison.changes import StateChange
from mirror.core.events.summary import EventSummary
from mirror.core.rules import RULES
from mirror.core.values import Object, Value
from mirror.store import TrustChange

__all__ = [
    "ArrivalStep",
    "EventEffect",
    "EventStep",
    "HistoryStep",
    "ReceiptStep",
    "StatementStep",
    "TrustStep",
]


@dataclass(frozen=True, slots=True)
class EventEffect:
    """An effect of an event on another one."""

    reason: str
    """`superseded` or `revoked`."""
    event_id: str
    """The event that is no longer in force."""

    def to_value(self) -> Object:
        """Return the effect as JSON."""
        return {"effect": self.reason, "event_id": self.event_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStep:
    """A value of the `events` of a bundle that this mirror did not have before."""

    digest: str
    """sha256(canonical(value))."""
    summary: EventSummary
    """The fields of a refused event are not verified."""
    status: str
    """`in force`, `superseded`, `revoked`, `withdrawn`, `refused`, or `repeat` if the same message
    of the same signer is valid already. After this step, under the keys of then."""
    by: tuple[str, ...] = ()
    """Ids of the events that superseded or revoked it."""
    code: str = ""
    """The code of a refused event (E3)."""
    reason: str = ""
    """The reason of the code."""
    effects: tuple[EventEffect, ...] = ()
    """Effects of the event in this step."""

    def to_value(self) -> Object:
        """Return the event as JSON."""
        return {
            "event_id": self.summary.event_id or None,
            "digest": self.digest,
            "event_type": self.summary.event_type,
            "claimed_at": self.summary.created_at,
            "signer_id": self.summary.signer_id,
            "key_id": self.summary.key_id,
            "text": self.summary.text,
            "status": self.status,
            "by": [*self.by],
            "code": self.code,
            "reason": self.reason,
            "effects": [one.to_value() for one in self.effects],
        }


@dataclass(frozen=True, slots=True)
class ReceiptStep:
    """A receipt of a bundle that this mirror did not have before."""

    key_id: str
    claimed_at: str
    """`signed_at`, which nothing signs."""
    code: str
    """The code of a refused receipt (S2); else empty."""
    reason: str

    def to_value(self) -> Object:
        """Return the receipt as JSON."""
        return {
            "key_id": self.key_id,
            "claimed_at": self.claimed_at,
            "code": self.code,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """Members of every step."""

    known_at: str
    """When this mirror stored or read it, with microseconds; empty if that is not known."""
    state_before: str | None
    """The state digest before the step (M12); None before the record was known."""
    state_after: str | None
    """The same after the step."""
    changes: tuple[StateChange, ...]
    """Changes of the state."""
    key_set_digest: str
    """The digest of the keys and profiles that were trusted after the step (K3)."""
    rules: str
    """The version of this mirror's rules at that time; empty if it is not known."""

    @property
    def has_other_rules(self) -> bool:
        """Whether the states are by other rules than those of that time, as far as is known."""
        return self.rules not in {"", RULES}

    def _value(self, step: str, members: Object) -> Object:
        changes: list[Value] = [
            {
                "kind": one.kind,
                "member": one.member,
                "event_id": one.event_id,
                "words": one.words,
            }
            for one in self.changes
        ]
        return {
            "step": step,
            "known_at": self.known_at or None,
            **members,
            "changes": changes,
            "state_before": self.state_before,
            "state_after": self.state_after,
            "key_set_digest": self.key_set_digest,
            "rules": {"then": self.rules or None, "used": RULES},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalStep(_Step):
    """The new facts of one bundle."""

    arrival: int
    """The id of the arrival."""
    source: str
    """The source that was read; a path or URL may be private."""
    member: str
    """The path of the bundle in the source."""
    events: tuple[EventStep, ...]
    receipts: tuple[ReceiptStep, ...]
    alias_claims: tuple[AliasClaim, ...]

    def to_value(self) -> Object:
        """Return the step as JSON; times of facts are claimed."""
        aliases: list[Value] = [
            {
                "alias_kind": one.alias_kind,
                "alias_value": one.alias_value,
                "claimed_at": one.created_at,
            }
            for one in self.alias_claims
        ]
        members: Object = {
            "arrival": self.arrival,
            "source": self.source,
            "member": self.member,
            "events": [one.to_value() for one in self.events],
            "receipts": [one.to_value() for one in self.receipts],
            "alias_claims": aliases,
        }
        return self._value("arrival", members)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStep(_Step):
    """A change of the trusted keys or profiles that verdicts on the record may depend on."""

    trust: tuple[TrustChange, ...]

    def to_value(self) -> Object:
        """Return the step as JSON."""
        trust: list[Value] = [
            {
                "action": one.action,
                "kind": "profile" if one.is_profile else "key",
                "name": one.name,
            }
            for one in self.trust
        ]
        return self._value("trust", {"trust": trust})


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementStep(_Step):
    """A statement of an upstream, which changes no state here."""

    upstream: str
    """The address of the upstream, or the name of a file or folder."""
    kind: str
    """`state` or `bundle`."""
    digest: str
    """sha256(canonical(statement))."""
    took_back: tuple[str, ...]
    """In words, the facts of its statement before that it lacks (rollback)."""

    def to_value(self) -> Object:
        """Return the step as JSON."""
        members: Object = {
            "upstream": self.upstream,
            "kind": self.kind,
            "sha256": self.digest,
            "took_back": [*self.took_back],
        }
        return self._value("statement", members)


HistoryStep: TypeAlias = ArrivalStep | TrustStep | StatementStep
