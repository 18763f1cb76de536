"""Result of checking one time-stamp proof (`timestamp_anchored`), offline."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mirror.core.values import Object

__all__ = ["AnchorResult", "AnchorStatus"]


class AnchorStatus(StrEnum):
    """Answers that a check of a proof gives; only `ANCHORED` proves a time."""

    ANCHORED = "anchored"
    """The digest existed at the time of a block, or at the time in the token of an authority."""
    PENDING = "pending"
    """A calendar promised an attestation that the proof does not have yet."""
    NOT_THIS_DIGEST = "not_this_digest"
    """The proof is about another digest."""
    MALFORMED = "malformed"
    """The bytes are no proof of this method, or exceed its limits."""
    NO_HEADER = "no_header_yet"
    """The proof leads to a block whose header the operator has not given."""
    WRONG_BLOCK = "not_in_this_block"
    """The proof leads to a Merkle root that the given header of that height does not have."""
    AUTHORITY_UNKNOWN = "authority_unknown"
    """No trusted authority made the attestation."""
    EXPIRED = "expired"
    """A certificate was out of its time when the token was made."""
    NOT_CHECKED = "not_checked"
    """This program cannot check the method, or the library for it is not installed."""

    @property
    def words(self) -> str:
        """The status for a person."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class AnchorResult:
    """Result of checking a proof against what this operator has: headers and authorities."""

    status: AnchorStatus
    reason: str
    """The reason, in one sentence for a person."""
    at: str | None = None
    """The time by which the digest existed (V5), if that is proved; else None."""
    details: Object = field(default_factory=dict)
    """More members for JSON: block, hash, work, authority, calendar, …"""

    @property
    def words(self) -> str:
        """The status with its reason, for a person."""
        return f"{self.status.words}: {self.reason}"

    def to_value(self) -> Object:
        """Return the result as a JSON object."""
        return {
            "status": self.status.value,
            "at": self.at,
            "reason": self.reason,
            **self.details,
        }
