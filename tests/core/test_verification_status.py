"""The status of a record: a signature shows who claimed a thing, and not that it is so."""

from __future__ import annotations

from typing import Any

import pytest

from mirror.core.state_view import StateView
from mirror.core.verification_status import (
    MAX_SIGNERS,
    ClaimStatus,
    Level,
    claim_statuses,
    verification_status,
)

Raw = dict[str, Any]

LISTS = (
    "graph_snapshots", "timestamps", "storage_attestations", "author_claims", "citations",
    "replications", "integrity_findings", "challenges", "other_events",
)  # fmt: skip
FLAGS = (
    "author_attested", "externally_anchored", "storage_verified", "references_resolved",
    "formal_links_present",
)  # fmt: skip
RESOLVED = {"references": {"count": 4, "resolved_work": 4}}
LINKED = {"formal_canon": {"evidence_count": 2}}


def entry(payload: Raw, signer_id: str = "registry", signer_type: str = "person") -> Raw:
    """An event as a state lists it, as far as a status depends on it."""
    return {"payload": payload, "signer": {"signer_id": signer_id, "signer_type": signer_type}}


def graph(value: Raw, signer_id: str = "registry") -> Raw:
    """A graph snapshot as a state lists it."""
    return entry({"graph_snapshot": value}, signer_id)


def state(receipt: Raw | None = None, **lists: list[Raw]) -> StateView:
    """A state with these events in force."""
    current: Any = {**{name: [] for name in LISTS}, "receipt": receipt, **lists}
    return StateView({"current": current})


EVERYTHING = state(
    {"key_id": "k"},
    timestamps=[entry({"method": "opentimestamps"})],
    storage_attestations=[entry({"archive": "tape"}, "library")],
    author_claims=[entry({"strength": "strong"}), entry({"strength": "weak"}, "author")],
    citations=[entry({}), entry({})],
    replications=[entry({"kind": "formal_bridge"}, "prover"), entry({"kind": "replication"})],
    graph_snapshots=[graph(RESOLVED | LINKED)],
)


def test_the_flags_of_a_bare_record_are_false() -> None:
    """Only its hash was checked."""
    status = verification_status(state())
    claims = status.pop("claims")
    assert {name: value for name, value in status.items() if value} == {"content_addressed": True}
    assert len(status) == 12
    none = {"claimed": 0, "checked": 0, "by": []}
    assert claims == dict.fromkeys(claim_statuses(state()), none)


def test_an_unchecked_claim_sets_no_flag() -> None:
    """However many signed it; the claims stand beside the flags, with who made them."""
    status = verification_status(EVERYTHING)
    assert [name for name in FLAGS if status[name] is not False] == []
    assert (status["pith_receipt"], status["graph_snapshot"]) == (True, True)
    counts = ("weak_author_claims", "strong_author_claims", "citation_signatures")
    assert [status[name] for name in (*counts, "replication_records")] == [1, 1, 2, 2]
    assert status["claims"] == {
        "externally_anchored": {"claimed": 1, "checked": 0, "by": ["registry"]},
        "storage_verified": {"claimed": 1, "checked": 0, "by": ["library"]},
        "author_attested": {"claimed": 2, "checked": 0, "by": ["author", "registry"]},
        "references_resolved": {"claimed": 1, "checked": 0, "by": ["registry"]},
        "formal_links_present": {"claimed": 2, "checked": 0, "by": ["prover", "registry"]},
    }


@pytest.mark.parametrize("flag", FLAGS)
def test_a_checked_claim_sets_its_flag(flag: str) -> None:
    """Its own and no other; the count stands with the claims."""
    status: Raw = verification_status(EVERYTHING, {flag: 1})
    assert [name for name in FLAGS if status[name]] == [flag]
    checked = {name: one["checked"] for name, one in status["claims"].items()}
    assert checked == {name: int(name == flag) for name in FLAGS}
    assert claim_statuses(EVERYTHING, {flag: 1})[flag].level is Level.CHECKED


@pytest.mark.parametrize(
    "said",
    [{}, {"references": None}, {"references": {"count": 0, "resolved_work": 0}},
     {"references": {"count": 4, "resolved_work": 3}}, {"references": {"count": 4}},
     {"references": {"count": True, "resolved_work": True}},
     {"references": {"count": 1, "resolved_work": True}},
     {"references": {"count": "4", "resolved_work": "4"}},
     {"formal_canon": 7}, {"formal_canon": {}}, {"formal_canon": {"evidence_count": 0}},
     {"formal_canon": {"evidence_count": True}}],
)  # fmt: skip
def test_a_snapshot_that_claims_neither(said: Raw) -> None:
    """A graph may hold any JSON."""
    statuses = claim_statuses(state(graph_snapshots=[graph(said)]))
    assert {one.level for one in statuses.values()} == {Level.NONE}


def test_the_last_snapshot_of_each_authority_counts() -> None:
    """An earlier one is its signer's former word; another signer's stands beside it."""
    snapshots = [graph(RESOLVED), graph(RESOLVED, "other"), graph({})]
    status = claim_statuses(state(graph_snapshots=snapshots))["references_resolved"]
    assert (1, ("other",)) == (status.claimed, status.by)


@pytest.mark.parametrize(
    ("status", "level", "words"),
    [
        (ClaimStatus(0, ()), "none", "none"),
        (ClaimStatus(1, ("a",)), "claimed", "claimed by a, not checked here"),
        (ClaimStatus(2, ("a",)), "claimed", "claimed 2 times by a, not checked here"),
        (
            ClaimStatus(3, ("a", "b", "c")),
            "claimed",
            "claimed 3 times by a, b, c, not checked here",
        ),
        (
            ClaimStatus(1002, ("a", "b", "c", "d", "e")),
            "claimed",
            "claimed 1,002 times by a, b, c and 2 more, not checked here",
        ),
        (ClaimStatus(2, ("a",), 2), "checked", "checked here"),
        (ClaimStatus(2000, ("a",), 1), "checked", "1 of 2,000 checked here"),
    ],
)
def test_there_are_three_levels(status: ClaimStatus, level: str, words: str) -> None:
    """And a person is told which, and by whom."""
    assert (level, words) == (status.level, status.words)


def test_signers_are_listed_up_to_a_limit() -> None:
    """The count is of all claims."""
    events = [entry({}, f"signer {number:03}") for number in range(90)] * 2
    value: Raw = claim_statuses(state(timestamps=events))["externally_anchored"].to_value()
    assert (180, MAX_SIGNERS) == (value["claimed"], len(value["by"]))
    assert value["by"][0] == "signer 000"
