"""The typed view of a state shows what the merge wrote (M6)."""

from __future__ import annotations

import pytest

from mirror.core.events.types import LIST_NAMES
from mirror.core.record import parse_record
from mirror.core.state_view import RetiredEvent, StateView, parse_state
from mirror.errors import FormatError
from tests.builders import (
    Signer,
    author_claim,
    citation,
    created,
    make_bundle,
    make_event,
    make_record,
    revocation,
    snapshot,
)
from tests.helpers import keys_of, merged

RECORD = make_record()
ALICE = Signer("alice")
KEYS = keys_of(ALICE)
TIMES = [f"2026-01-01T00:00:0{second}Z" for second in range(10)]

CREATED = make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE), TIMES[0])
SNAPSHOT = make_event(RECORD, ALICE, "graph_snapshot", snapshot({"a": 1}), TIMES[1])
CITED = make_event(RECORD, ALICE, "citation_signed", citation(), TIMES[2])
REVOKED = make_event(RECORD, ALICE, "author_claimed", author_claim(), TIMES[3])
REVOCATION = make_event(RECORD, ALICE, "event_revoked", revocation(REVOKED["event_id"]), TIMES[4])
EQUIVOCAL = [
    make_event(RECORD, ALICE, "author_claimed", author_claim(strength=strength), TIMES[5])
    for strength in ("weak", "strong")
]
STATE = merged(
    [make_bundle(RECORD, [CREATED, SNAPSHOT, CITED, REVOKED, REVOCATION, *EQUIVOCAL, 7])], KEYS
)
VIEW = parse_state(STATE.text)
EMPTY = parse_state(merged([make_bundle(RECORD, [])], KEYS).text)


def test_counts_and_lists() -> None:
    """Every member of M6."""
    assert VIEW.value == STATE.value
    assert VIEW.pith_number == parse_record(RECORD).pith_number
    names = ("event_count", "valid_event_count", "invalid_event_count", "equivocation_count")
    assert [VIEW.count(name) for name in names] == [8, 7, 1, 1]
    assert VIEW.source_aliases == VIEW.current["source_aliases"] != []
    assert [one["code"] for one in VIEW.invalid_events] == ["event.shape"]
    assert VIEW.equivocating_ids == [sorted(one["event_id"] for one in EQUIVOCAL)]
    assert [one["event_ids"] for one in VIEW.equivocations] == VIEW.equivocating_ids


def test_entries() -> None:
    """An event in a list shows what was signed."""
    (cited,), (shown,) = VIEW.citations, VIEW.graph_snapshots
    assert cited.value == VIEW.current["citations"][0]  # type: ignore[index]
    assert (cited.event_id, cited.created_at) == (CITED["event_id"], TIMES[2])
    assert (cited.signer_id, cited.authority) == ("alice", ("alice", "person"))
    assert cited.payload == CITED["payload"]
    assert cited.text("citing") == CITED["payload"]["citing"]
    assert (shown.graph, cited.graph) == ({"a": 1}, {})
    assert [one for name in LIST_NAMES for one in VIEW.entries(name)] == VIEW.events
    assert VIEW.events[:1] == [shown]


def test_the_receipt() -> None:
    """M8: none without a valid `record_created`."""
    assert VIEW.receipt == VIEW.current["receipt"]
    assert VIEW.receipt_key_id == ALICE.key_id
    assert (EMPTY.receipt, EMPTY.receipt_key_id) == (None, "")


def test_retired_events() -> None:
    """M11: id, reason and the events that retired it."""
    by_id = {one.event_id: one for one in VIEW.retired_events}
    event_id = REVOKED["event_id"]
    assert by_id[event_id] == RetiredEvent(event_id, "revoked", (REVOCATION["event_id"],))


def test_an_outline_lacks_the_payloads() -> None:
    """Its lists and counts are those of the state."""
    outline = parse_state(STATE.outline)
    assert [one.event_id for one in outline.events] == [one.event_id for one in VIEW.events]
    assert outline.receipt_key_id == ALICE.key_id
    with pytest.raises(FormatError, match=r"state\.shape at /payload: must be an object"):
        _ = outline.citations[0].payload


def test_a_state_is_an_object() -> None:
    """What is not one is refused."""
    with pytest.raises(FormatError, match=r"state\.shape: must be an object"):
        parse_state(b"[]\n")
    with pytest.raises(FormatError, match=r"state\.shape at /current: must be an object"):
        _ = StateView({}).current
