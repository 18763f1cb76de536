"""Verification status of a record: which claims about it exist, and which of them were checked.

A valid event proves who signed a claim, and nothing about the claim itself. Each kind of claim is
therefore at one of three levels: none, claimed, or checked here. The caller passes how many claims
of a kind were checked; all else, the registry's flags included, follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mirror.core.events.types import STATUS_LISTS
from mirror.core.shape import integer_member, object_member
from mirror.core.state_view import EventEntry, StateView
from mirror.core.values import Object

__all__ = [
    "MAX_SIGNERS",
    "CheckedClaims",
    "ClaimStatus",
    "Level",
    "claim_statuses",
    "verification_status",
]

MAX_SIGNERS = 20
"""Signer ids listed for one kind of claim."""
_NAMED = 3
"""Signer ids that the words for a person name."""
_NONE_CHECKED: Mapping[str, int] = {}


class Level(StrEnum):
    """How much is known about one kind of claim."""

    NONE = "none"
    CLAIMED = "claimed"
    CHECKED = "checked"


@dataclass(frozen=True, slots=True)
class ClaimStatus:
    """The signed claims of one kind that are in force for a record."""

    claimed: int
    """Number of claims."""
    by: tuple[str, ...]
    """Distinct ids of their signers, ascending; all of them."""
    checked: int = 0
    """Number of claims whose content this program checked itself, and found to be so."""

    @classmethod
    def of(cls, events: Iterable[EventEntry], checked: int = 0) -> ClaimStatus:
        """Return the status of claims, each an event of a state (M6)."""
        signers = [event.signer_id for event in events]
        return cls(len(signers), tuple(sorted(set(signers))), checked)

    @property
    def level(self) -> Level:
        """The level that the counts give."""
        if self.checked:
            return Level.CHECKED
        return Level.CLAIMED if self.claimed else Level.NONE

    @property
    def words(self) -> str:
        """The level in words for a person, with the signers of what was not checked."""
        if self.level is Level.NONE:
            return "none"
        if self.level is Level.CHECKED:
            some = "" if self.checked == self.claimed else f"{self.checked:,} of {self.claimed:,} "
            return f"{some}checked here"
        times = "" if self.claimed == 1 else f" {self.claimed:,} times"
        more = len(self.by) - _NAMED
        names = ", ".join(self.by[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        return f"claimed{times} by {names}, not checked here"

    def to_value(self) -> Object:
        """Return the counts and at most `MAX_SIGNERS` signer ids as a JSON object."""
        return {"claimed": self.claimed, "checked": self.checked, "by": [*self.by[:MAX_SIGNERS]]}


@dataclass(frozen=True, slots=True)
class CheckedClaims:
    """Results of this program's own checks of the claims in a state."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """How many claims in force were found to be so, as `claim_statuses` takes them."""
    results: Mapping[str, str] = field(default_factory=dict)
    """The last result on a claim in words, by event id."""
    undecided: frozenset[str] = frozenset()
    """The event ids of results that neither confirm a claim nor contradict it."""


def claim_statuses(
    state: StateView, checked: Mapping[str, int] = _NONE_CHECKED
) -> dict[str, ClaimStatus]:
    """Return the status of each kind of claim, by the member of `verification_status` it decides.

    References and formal links are claimed by the last graph snapshot of each authority, formal
    links by replications of the kind `formal_bridge`, too.

    Args:
        state: The state of a record.
        checked: How many claims in force were checked and are so, by that member; 0 if missing.
    """
    snapshots = _last_snapshots(state.graph_snapshots)
    replications = state.entries("replications")
    bridges = [one for one in replications if one.payload["kind"] == "formal_bridge"]
    claims = {
        **{flag: state.entries(name) for flag, name in STATUS_LISTS.items()},
        "references_resolved": _claiming(snapshots, _has_resolved_references),
        "formal_links_present": [*bridges, *_claiming(snapshots, _has_formal_links)],
    }
    return {flag: ClaimStatus.of(events, checked.get(flag, 0)) for flag, events in claims.items()}


def verification_status(state: StateView, checked: Mapping[str, int] = _NONE_CHECKED) -> Object:
    """Return the members of `verification_status` as the registry names them, and `claims`.

    A flag is true only for what this program checked itself: the record's hash, which a state
    cannot exist without; the signatures of receipt and events; and of the claims those whose
    `checked` is not 0. Counts are of events in force, whose signatures were verified. The arguments
    are those of `claim_statuses`.
    """
    strengths = [claim.payload["strength"] for claim in state.entries("author_claims")]
    claims = claim_statuses(state, checked)
    is_checked = {kind: one.level is Level.CHECKED for kind, one in claims.items()}
    return {
        "content_addressed": True,
        "pith_receipt": state.receipt is not None,
        "author_attested": is_checked["author_attested"],
        "weak_author_claims": strengths.count("weak"),
        "strong_author_claims": strengths.count("strong"),
        "externally_anchored": is_checked["externally_anchored"],
        "storage_verified": is_checked["storage_verified"],
        "citation_signatures": len(state.citations),
        "replication_records": len(state.entries("replications")),
        "graph_snapshot": bool(state.graph_snapshots),
        "references_resolved": is_checked["references_resolved"],
        "formal_links_present": is_checked["formal_links_present"],
        "claims": {kind: one.to_value() for kind, one in claims.items()},
    }


# What snapshots claim ------------------------------------------------------------------------


def _last_snapshots(snapshots: list[EventEntry]) -> list[EventEntry]:
    """Return the last snapshot of each authority (M2)."""
    return list({event.authority: event for event in snapshots}.values())


def _claiming(snapshots: list[EventEntry], claims: Callable[[Object], bool]) -> list[EventEntry]:
    """Return the snapshots whose graph makes a claim."""
    return [event for event in snapshots if claims(event.graph)]


def _has_resolved_references(graph: Object) -> bool:
    """Whether a graph has references and says that all of them are resolved."""
    references = object_member(graph, "references")
    count = integer_member(references, "count") or 0
    return count > 0 and integer_member(references, "resolved_work") == count


def _has_formal_links(graph: Object) -> bool:
    return (integer_member(object_member(graph, "formal_canon"), "evidence_count") or 0) > 0
