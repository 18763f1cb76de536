"""The merge, rule by rule (M1 to M13)."""

from __future__ import annotations

import hashlib
import json
from itertools import permutations
from typing import Any

import pytest

from mirror.core.keys import KeySet
from mirror.core.merge import State, fill
from mirror.core.record import parse_record
from mirror.core.rules import MERGE_VERSION
from tests import oracle
from tests.builders import (
    EVENT_TARGETS,
    NOON,
    Object,
    Signer,
    author_claim,
    challenge,
    citation,
    created,
    integrity,
    key_set_file,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    payload_of,
    replication,
    revocation,
    sign_event,
    sign_event_again,
    snapshot,
    storage,
    timestamp,
    to_json,
)
from tests.helpers import composed_of, keys_of, merged, verified

RECORD = make_record()

ALICE = Signer("alice")
ALICES_OTHER_KEY = Signer("alice-2", signer_id="alice")
ALICE_THE_ROBOT = Signer("alice-3", signer_id="alice", signer_type="robot")
BOB = Signer("bob")
JUDGE = Signer("judge", may_revoke_others=True)
SIGNERS = (ALICE, ALICES_OTHER_KEY, ALICE_THE_ROBOT, BOB, JUDGE)
KEYS = keys_of(*SIGNERS)
ORACLE_KEYS = oracle.load_keys(key_set_file(*SIGNERS))


def merge_bundles(*bundles: Object) -> State:
    """The state of bundles, on every member and both digests of which the oracle agrees."""
    state = merged(bundles, KEYS)
    read = [oracle.read_bundle(to_json(bundle)) for bundle in bundles]
    expected = oracle.merge(read, ORACLE_KEYS)
    assert oracle.state_text(expected) == state.text
    assert oracle.state_digest(expected) == state.digest
    assert oracle.core_digest(read, ORACLE_KEYS) == state.core_digest
    return state


def merge_events(*events: Any, **members: Any) -> Any:
    """The state of one bundle of these events, as a value."""
    return merge_bundles(make_bundle(RECORD, events, **members)).value


def event_at(
    seconds: int, event_type: str, payload: Object, signer: Signer = ALICE, ending: str = "Z"
) -> Object:
    """An event so many seconds into the year 2026."""
    return make_event(RECORD, signer, event_type, payload, f"2026-01-01T00:00:{seconds:02}{ending}")


def revoke(event: Object, signer: Signer = ALICE, created_at: str = NOON) -> Object:
    """A revocation of `event`."""
    return make_event(RECORD, signer, "event_revoked", revocation(event["event_id"]), created_at)


def ids(entries: Any) -> list[str]:
    """The ids of a list of `current`."""
    return [entry["event_id"] for entry in entries]


def ids_of(*events: Object) -> list[str]:
    """The ids of events."""
    return [event["event_id"] for event in events]


def retired(state: Any) -> dict[str, tuple[str, list[str]]]:
    """`retired_events`: (reason, by) by event id."""
    return {entry["event_id"]: (entry["reason"], entry["by"]) for entry in state["retired_events"]}


CREATED = make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE))
CLAIMED = event_at(1, "author_claimed", author_claim())
WITHDRAWN = event_at(2, "author_claimed", author_claim(status="withdrawn"))
CLAIMED_AGAIN = event_at(3, "author_claimed", author_claim(strength="weak"))


# M1 ------------------------------------------------------------------------------------------


def test_equal_values_are_one_event() -> None:
    """M1: in one bundle or several."""
    bundle = make_bundle(RECORD, [CLAIMED, CLAIMED, dict(reversed(CLAIMED.items()))])
    state: Any = merge_bundles(bundle, bundle, make_bundle(RECORD, [CLAIMED])).value
    assert counts(state) == (1, 1, 0)
    assert ids_of(CLAIMED) == ids(state["current"]["author_claims"])


def counts(state: Any) -> tuple[int, int, int]:
    """`event_count`, `valid_event_count`, `invalid_event_count`."""
    return state["event_count"], state["valid_event_count"], state["invalid_event_count"]


def test_two_valid_signatures_of_one_event_are_one_event() -> None:
    """M1: they differ in `signature` only."""
    again = sign_event_again(CLAIMED, ALICE)
    assert again != CLAIMED
    texts = {
        merge_bundles(make_bundle(RECORD, events)).text
        for events in ([CLAIMED], [again], [CLAIMED, again], [again, CLAIMED])
    }
    assert len(texts) == 1
    assert counts(merge_events(CLAIMED, again)) == (1, 1, 0)


def test_one_valid_and_one_invalid_signature_are_two_values() -> None:
    """M1: the invalid one counts as such and harms nothing."""
    forged = {**CLAIMED, "signature": {"algorithm": "ed25519", "signature_b64": "AA=="}}
    state = merge_events(forged, CLAIMED)
    assert counts(state) == (2, 1, 1)
    assert ids_of(CLAIMED) == ids(state["current"]["author_claims"])


def test_invalid_values_are_counted_once_each() -> None:
    """M1, V2: 1, 1.0 and true are three, and so are 0 and -0.0."""
    state = merge_events(*[1, 1.0, True, 1, 0, -0.0, {}, {}], CLAIMED)
    assert counts(state) == (7, 1, 6)


# M2 ------------------------------------------------------------------------------------------


def test_events_stand_by_instant_then_id() -> None:
    """M2: whatever the spelling of the instant and the order of arrival."""
    same = [
        event_at(1, "storage_attested", storage(url=str(number)), ending=ending)
        for number, ending in enumerate(("Z", "+00:00", ".0Z", ".000000+00:00"))
    ]
    early = make_event(RECORD, BOB, "storage_attested", storage(), "1969-12-31T23:59:59.9Z")
    late = event_at(1, "storage_attested", storage(url="late"), ending=".000001Z")
    expected = [*ids_of(early), *sorted(ids_of(*same)), *ids_of(late)]
    for events in ([late, *same, early], [early, *reversed(same), late]):
        state = merge_events(*events)
        assert expected == ids(state["current"]["storage_attestations"])


# M3 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("created_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", NOON])
def test_a_revoked_event_stays_revoked(created_at: str) -> None:
    """M3: whatever the `created_at` of the revocation."""
    revoking = revoke(CLAIMED, created_at=created_at)
    state = merge_events(revoking, CLAIMED)
    assert state["current"]["author_claims"] == []
    assert {CLAIMED["event_id"]: ("revoked", ids_of(revoking))} == retired(state)


@pytest.mark.parametrize(
    ("signer", "expected"),
    [
        (ALICE, True),
        (ALICES_OTHER_KEY, True),
        (ALICE_THE_ROBOT, False),
        (BOB, False),
        (JUDGE, True),
    ],
)
def test_who_may_revoke(signer: Signer, *, expected: bool) -> None:
    """M3: one authority is one `signer_id` and `signer_type`; or the key may revoke others."""
    revoking = revoke(CLAIMED, signer)
    state = merge_events(CLAIMED, revoking)
    assert counts(state) == (2, 2, 0)
    assert ids_of(CLAIMED) * (not expected) == ids(state["current"]["author_claims"])
    reasons = {CLAIMED["event_id"]: ("revoked", ids_of(revoking))} if expected else {}
    assert reasons == retired(state)


def test_the_key_set_determines_who_may_revoke_others() -> None:
    """M3, K3: under another key set the same bundle has another state."""
    bundle = make_bundle(RECORD, [CLAIMED, revoke(CLAIMED, JUDGE)])
    plain = keys_of(ALICE, Signer("judge"))
    expected = oracle.merge(
        [bundle], oracle.load_keys(key_set_file(ALICE, Signer("judge", may_revoke_others=False)))
    )
    assert oracle.state_text(expected) == merged([bundle], plain).text
    assert merged([bundle], plain).digest != merged([bundle], KEYS).digest


def test_a_revocation_cannot_be_revoked() -> None:
    """M3: not by its own authority, nor by a key that may revoke others."""
    revoking = revoke(CLAIMED)
    attempts = [revoke(revoking), revoke(revoking, JUDGE)]
    state = merge_events(CLAIMED, revoking, *attempts)
    assert {CLAIMED["event_id"]: ("revoked", ids_of(revoking))} == retired(state)
    assert counts(state) == (4, 4, 0)


def test_all_revocations_of_an_event_are_named() -> None:
    """M3, M11: ascending by id, not by instant."""
    revoking = [
        revoke(CLAIMED, signer, f"2026-01-0{day}T00:00:00Z")
        for signer in (ALICE, ALICES_OTHER_KEY, JUDGE)
        for day in (3, 2, 1)
    ]
    state = merge_events(*revoking, CLAIMED, revoke(CLAIMED, BOB))
    assert retired(state) == {CLAIMED["event_id"]: ("revoked", sorted(ids_of(*revoking)))}


def test_a_revocation_of_what_is_not_there_or_not_valid_waits() -> None:
    """M3: it has no effect until the event comes."""
    forged = {**CLAIMED, "signature": {}}
    assert retired(merge_events(revoke(CLAIMED))) == {}
    assert retired(merge_events(revoke(CLAIMED), forged)) == {}


def test_an_invalid_revocation_revokes_nothing() -> None:
    """M3: only valid ones do."""
    state = merge_events(CLAIMED, {**revoke(CLAIMED), "target": "record"})
    assert ids_of(CLAIMED) == ids(state["current"]["author_claims"])


@pytest.mark.parametrize("event_type", [*EVENT_TARGETS, "x.y"])
def test_events_of_every_type_but_one_can_be_revoked(event_type: str) -> None:
    """M3: types without slots and types that E4 does not name, too."""
    event = make_event(RECORD, ALICE, event_type, payload_of(event_type, RECORD, ALICE))
    state = merge_events(event, revoke(event))
    expected = [] if event_type == "event_revoked" else ids_of(event)
    assert expected == ids(state["retired_events"])


# M4, M9 --------------------------------------------------------------------------------------


def test_an_equivocation_is_listed_and_takes_nothing_away() -> None:
    """M4, M9: one authority says two things in one slot at one instant."""
    one = event_at(1, "author_claimed", author_claim("me", strength="weak"))
    other = event_at(1, "author_claimed", author_claim("me"), ALICES_OTHER_KEY, "+00:00")
    first, last = sorted([one, other], key=lambda event: event["event_id"])
    state = merge_events(one, other)
    expected = {
        "event_type": "author_claimed",
        "slot_key": ["me"],
        "signer_id": "alice",
        "signer_type": "person",
        "created_at": first["created_at"],
        "event_ids": ids_of(first, last),
    }
    assert state["equivocations"] == [expected]
    assert state["equivocation_count"] == 1
    assert ids_of(last) == ids(state["current"]["author_claims"])


@pytest.mark.parametrize(
    "other",
    [
        event_at(1, "author_claimed", author_claim("you")),
        event_at(2, "author_claimed", author_claim("me", strength="weak")),
        event_at(1, "author_claimed", author_claim("me", strength="weak"), BOB),
        event_at(1, "author_claimed", author_claim("me", strength="weak"), ALICE_THE_ROBOT),
        event_at(1, "author_claimed", author_claim("me"), ALICES_OTHER_KEY),
        event_at(1, "author_claimed", author_claim("me"), ending=".0Z"),
        event_at(1, "challenge_filed", challenge("me")),
    ],
)
def test_what_is_no_equivocation(other: Object) -> None:
    """M4: another slot, instant, authority or type, or one and the same payload."""
    state = merge_events(event_at(1, "author_claimed", author_claim("me")), other)
    assert (state["equivocation_count"], state["equivocations"]) == (0, [])


def test_payloads_that_python_calls_equal_are_an_equivocation() -> None:
    """M4, V4: 1, 1.0 and true have three payload digests."""
    events = [event_at(1, "author_claimed", author_claim(n=number)) for number in (1, 1.0, True)]
    state = merge_events(*events)
    assert [sorted(ids_of(*events))] == [entry["event_ids"] for entry in state["equivocations"]]


def test_revoked_events_still_equivocate() -> None:
    """M4: evidence stays."""
    one = event_at(1, "graph_snapshot", snapshot({"n": 1}))
    other = event_at(1, "graph_snapshot", snapshot({"n": 2}))
    state = merge_events(one, other, revoke(one), revoke(other))
    assert state["equivocation_count"] == 1
    assert state["current"]["graph_snapshots"] == []
    assert len(state["retired_events"]) == 2


def test_invalid_events_do_not_equivocate() -> None:
    """M4: only valid ones."""
    other = event_at(1, "author_claimed", author_claim(strength="weak"))
    assert merge_events(CLAIMED, {**other, "signature": {}})["equivocations"] == []


@pytest.mark.parametrize("event_type", ["event_revoked", "x.y"])
def test_types_that_do_not_equivocate(event_type: str) -> None:
    """M4: revocations and types that E4 does not name."""
    payloads = [revocation("sha256:" + digit * 64) for digit in "01"]
    state = merge_events(*(event_at(1, event_type, payload) for payload in payloads))
    assert state["equivocation_count"] == 0


@pytest.mark.parametrize("event_type", [name for name in EVENT_TARGETS if name != "event_revoked"])
def test_every_other_type_can_equivocate(event_type: str) -> None:
    """M4: those without slots with an empty slot key, in one group for all of them."""
    payload = payload_of(event_type, RECORD, ALICE)
    events = [event_at(1, event_type, {**payload, "n": number}) for number in range(3)]
    state = merge_events(*events)
    slot_key = oracle.slot_key(events[0])
    expected = [(event_type, slot_key, sorted(ids_of(*events)))]
    assert expected == [
        (entry["event_type"], entry["slot_key"], entry["event_ids"])
        for entry in state["equivocations"]
    ]


def test_an_absent_member_is_null_in_a_slot_key() -> None:
    """M4, E4: and another slot than the empty string."""
    absent = [event_at(1, "timestamp_anchored", timestamp(RECORD, n=number)) for number in (1, 2)]
    empty = event_at(1, "timestamp_anchored", timestamp(RECORD, calendar=""))
    state = merge_events(*absent, empty)
    (entry,) = state["equivocations"]
    assert entry["slot_key"] == ["opentimestamps", None]
    assert sorted(ids_of(*absent)) == entry["event_ids"]


def test_equivocations_ascend_by_first_id() -> None:
    """M9: not by instant; and `created_at` is as the first of them prints it."""
    events = [
        event_at(slot, "author_claimed", author_claim(str(slot), n=number), ending=ending)
        for slot in range(8)
        for number, ending in enumerate(("Z", "+00:00"))
    ]
    state = merge_events(*events)
    firsts = [entry["event_ids"][0] for entry in state["equivocations"]]
    times = {event["event_id"]: event["created_at"] for event in events}
    assert len(firsts) == 8
    assert sorted(firsts) == firsts
    assert [times[first] for first in firsts] == [
        entry["created_at"] for entry in state["equivocations"]
    ]


# M5, M11 -------------------------------------------------------------------------------------


def test_a_slot_shows_its_last_event() -> None:
    """M5, M11: earlier events are superseded by it, not by each other."""
    state = merge_events(CLAIMED_AGAIN, CLAIMED, WITHDRAWN)
    assert ids_of(CLAIMED_AGAIN) == ids(state["current"]["author_claims"])
    expected = ("superseded", ids_of(CLAIMED_AGAIN))
    assert {event["event_id"]: expected for event in (CLAIMED, WITHDRAWN)} == retired(state)


def test_a_slot_is_empty_if_its_last_event_is_a_withdrawal() -> None:
    """M5, M11: `by` is empty, and what came before stays superseded."""
    state = merge_events(CLAIMED, WITHDRAWN)
    assert state["current"]["author_claims"] == []
    expected = {
        CLAIMED["event_id"]: ("superseded", ids_of(WITHDRAWN)),
        WITHDRAWN["event_id"]: ("withdrawn", []),
    }
    assert expected == retired(state)


def test_a_slot_is_empty_if_its_last_event_is_revoked() -> None:
    """M5: what came before does not come back."""
    revoking = revoke(CLAIMED_AGAIN)
    state = merge_events(CLAIMED, CLAIMED_AGAIN, revoking)
    assert state["current"]["author_claims"] == []
    expected = {
        CLAIMED["event_id"]: ("superseded", ids_of(CLAIMED_AGAIN)),
        CLAIMED_AGAIN["event_id"]: ("revoked", ids_of(revoking)),
    }
    assert expected == retired(state)


def test_a_revoked_withdrawal_leaves_the_slot_empty() -> None:
    """M5, M11: it is the last word all the same, and revoked comes before withdrawn."""
    revoking = revoke(WITHDRAWN)
    state = merge_events(CLAIMED, WITHDRAWN, revoking)
    assert state["current"]["author_claims"] == []
    expected = {
        CLAIMED["event_id"]: ("superseded", ids_of(WITHDRAWN)),
        WITHDRAWN["event_id"]: ("revoked", ids_of(revoking)),
    }
    assert expected == retired(state)


def test_a_later_event_fills_a_slot_again() -> None:
    """M5: after a withdrawal and after a revocation."""
    state = merge_events(CLAIMED, WITHDRAWN, revoke(WITHDRAWN), CLAIMED_AGAIN)
    assert ids_of(CLAIMED_AGAIN) == ids(state["current"]["author_claims"])
    assert retired(state)[WITHDRAWN["event_id"]][0] == "revoked"


def test_revoked_comes_before_superseded_and_that_before_withdrawn() -> None:
    """M11: the precedence of reasons."""
    revoking = revoke(CLAIMED)
    state = merge_events(CLAIMED, WITHDRAWN, CLAIMED_AGAIN, revoking)
    expected = {
        CLAIMED["event_id"]: ("revoked", ids_of(revoking)),
        WITHDRAWN["event_id"]: ("superseded", ids_of(CLAIMED_AGAIN)),
    }
    assert expected == retired(state)
    assert sorted(expected) == ids(state["retired_events"])


def test_of_one_instant_the_event_with_the_greater_id_is_the_last() -> None:
    """M5, M2: so a tie is settled alike everywhere."""
    events = [event_at(1, "author_claimed", author_claim(n=number)) for number in range(6)]
    state = merge_events(*events)
    assert [max(ids_of(*events))] == ids(state["current"]["author_claims"])
    assert {("superseded", (max(ids_of(*events)),))} == {
        (reason, tuple(by)) for reason, by in retired(state).values()
    }


def test_each_authority_has_slots_of_its_own() -> None:
    """M5: `signer_id` and `signer_type` both count; two keys of one authority are one."""
    events = [
        event_at(number, "author_claimed", author_claim(), signer)
        for number, signer in enumerate((ALICE, BOB, ALICE_THE_ROBOT, ALICES_OTHER_KEY))
    ]
    state = merge_events(*events)
    assert ids_of(*events[1:]) == ids(state["current"]["author_claims"])
    assert {events[0]["event_id"]: ("superseded", ids_of(events[3]))} == retired(state)


SLOTS: list[tuple[str, Object, Object | None]] = [
    ("timestamp_anchored", timestamp(RECORD), None),
    ("storage_attested", storage(), None),
    ("author_claimed", author_claim(), author_claim(status="withdrawn")),
    ("citation_signed", citation(), citation(status="withdrawn")),
    ("replication_recorded", replication(), replication(status="withdrawn")),
    ("pith.integrity.v1", integrity(), integrity(verdict_class="rescinded")),
    ("challenge_filed", challenge(), challenge(status="withdrawn")),
]


@pytest.mark.parametrize(("event_type", "payload", "withdrawal"), SLOTS)
def test_each_type_with_slots(event_type: str, payload: Object, withdrawal: Object | None) -> None:
    """M5, M6, E4: superseding and withdrawing, where the type can."""
    events = [event_at(number, event_type, {**payload, "n": number}) for number in (1, 2)]
    state = merge_events(*events)
    assert ids_of(events[1]) == ids(state["current"][LISTS[event_type]])
    assert ids_of(events[0]) == ids(state["retired_events"])
    if withdrawal is not None:
        last = event_at(3, event_type, withdrawal)
        state = merge_events(*events, last)
        assert state["current"][LISTS[event_type]] == []
        assert retired(state)[last["event_id"]] == ("withdrawn", [])


DIFFERENCES: list[tuple[str, Object, Object]] = [
    ("timestamp_anchored", timestamp(RECORD), timestamp(RECORD, "rfc3161")),
    ("timestamp_anchored", timestamp(RECORD), timestamp(RECORD, calendar="")),
    ("storage_attested", storage(), storage(archive="other")),
    ("storage_attested", storage(), storage(url="other")),
    ("author_claimed", author_claim(), author_claim("other")),
    ("citation_signed", citation(), citation("other")),
    ("citation_signed", citation(), citation(asserted_by="other")),
    ("citation_signed", citation(), citation(relationship="refutes")),
    ("citation_signed", citation(), citation(claim_id="")),
    ("replication_recorded", replication(), replication("other")),
    ("replication_recorded", replication(), replication(kind="falsification")),
    ("replication_recorded", replication(), replication(asserted_by="other")),
    ("replication_recorded", replication(claim_id="a"), replication(claim_id="b")),
    ("pith.integrity.v1", integrity(), integrity("f" * 64)),
    ("challenge_filed", challenge(), challenge("other")),
]


@pytest.mark.parametrize(("event_type", "one", "other"), DIFFERENCES)
def test_events_of_different_slots_stand_side_by_side(
    event_type: str, one: Object, other: Object
) -> None:
    """M5, E4: each member of each slot key counts."""
    events = [event_at(1, event_type, one), event_at(2, event_type, other)]
    state = merge_events(*events)
    assert ids_of(*events) == ids(state["current"][LISTS[event_type]])
    assert state["retired_events"] == []


@pytest.mark.parametrize("event_type", ["graph_snapshot", "x.y"])
def test_logs_are_never_superseded(event_type: str) -> None:
    """M5: nor withdrawn."""
    payload = {**payload_of(event_type, RECORD, ALICE), "status": "withdrawn"}
    events = [event_at(number, event_type, payload) for number in (1, 2, 3)]
    state = merge_events(*events)
    assert ids_of(*events) == ids(state["current"][LISTS[event_type]])


# M6, M13 -------------------------------------------------------------------------------------

LISTS = {
    "graph_snapshot": "graph_snapshots",
    "timestamp_anchored": "timestamps",
    "storage_attested": "storage_attestations",
    "author_claimed": "author_claims",
    "citation_signed": "citations",
    "replication_recorded": "replications",
    "pith.integrity.v1": "integrity_findings",
    "challenge_filed": "challenges",
    "x.y": "other_events",
}


def test_the_state_of_nothing_but_a_record_literally() -> None:
    """M6, M13: every member, in its order, to the byte."""
    record = make_record("T", "A", cross_cats=())
    suffix = oracle.short_pith_number_of(record)[5:]
    state = merged([make_bundle(record, alias_claims=[])], KeySet())
    canonical_record = oracle.canonical(record).decode()
    aliases = ",".join(
        f'{{"alias_kind":"{kind}","alias_value":"{value}","created_at":null}}'
        for kind, value in oracle.aliases_of(record)
    )
    expected = (
        '{"state_type":"pith_open_graph_state","state_version":"1.0",'
        f'"pith_number":"{oracle.pith_number_of(record)}",'
        '"merge_version":"pith-open-graph-merge-v1","event_count":0,"valid_event_count":0,'
        '"invalid_event_count":0,"equivocation_count":0,'
        f'"current":{{"canonical_record":{canonical_record},"source_aliases":[{aliases}],'
        '"graph_snapshots":[],"receipt":null,"timestamps":[],"storage_attestations":[],'
        '"author_claims":[],"citations":[],"replications":[],"integrity_findings":[],'
        '"challenges":[],"other_events":[]},'
        '"equivocations":[],"invalid_events":[],"retired_events":[]}\n'
    )
    assert expected.encode() == state.text
    assert MERGE_VERSION == "pith-open-graph-merge-v1"
    assert suffix in expected


@pytest.mark.parametrize("event_type", list(LISTS))
def test_an_entry_of_each_list_literally(event_type: str) -> None:
    """M6: its members and their order, the payload sorted at every depth."""
    payload = {"z": {"b": 1.0, "a": [{"d": 1, "c": 2}]}, **payload_of(event_type, RECORD, ALICE)}
    plain = make_event(RECORD, ALICE, event_type, payload, note="kept, not shown")
    event = sign_event({**plain, "signer": ALICE.signer_value(more=1)}, ALICE)
    current = merge_events(event)["current"]
    kind = {"event_type": event_type} if event_type == "x.y" else {}
    expected = {
        "event_id": event["event_id"],
        **kind,
        "target": event["target"],
        "created_at": NOON,
        "signer": ALICE.signer_value(),
        "payload": json.loads(oracle.canonical(payload)),
    }
    assert [to_json(expected)] == [to_json(entry) for entry in current[LISTS[event_type]]]
    others = [name for name in LISTS.values() if name != LISTS[event_type]]
    assert [[]] * len(others) == [current[name] for name in others]


def test_creations_and_revocations_have_no_entry() -> None:
    """M6: though they count."""
    state = merge_events(CREATED, revoke(CLAIMED))
    assert counts(state) == (2, 2, 0)
    assert [[]] * len(LISTS) == [state["current"][name] for name in LISTS.values()]


def test_the_record_is_shown_sorted() -> None:
    """M6: however the bundle orders its members."""
    shuffled = {name: RECORD[name] for name in ("source", "schema_version", "metadata")}
    state: Any = merge_bundles(make_bundle(shuffled)).value
    assert oracle.canonical(RECORD) == to_json(state["current"]["canonical_record"])


# M7 ------------------------------------------------------------------------------------------


def creation_at(created_at: str, signer: Signer = ALICE) -> Object:
    """A valid `record_created`."""
    return make_event(RECORD, signer, "record_created", created(RECORD, signer), created_at)


def alias_times(*events: Any, claims: tuple[str, ...] = ()) -> list[str | None]:
    """`created_at` of the aliases: of the first, for which there are claims, and of the second."""
    items = [make_claims(RECORD, created_at)[0] for created_at in claims]
    aliases = merge_events(*events, alias_claims=items)["current"]["source_aliases"]
    assert list(oracle.aliases_of(RECORD)) == [
        (alias["alias_kind"], alias["alias_value"]) for alias in aliases
    ]
    assert len({alias["created_at"] for alias in aliases[1:]}) == 1
    return [aliases[0]["created_at"], aliases[1]["created_at"]]


MAY = "2026-05-18T00:00:00Z"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ((), MAY),
        (("2026-05-18T00:00:00Z",), "2026-05-18T00:00:00Z"),
        (("2026-05-18T00:00:00+00:00",), "2026-05-18T00:00:00+00:00"),
        (("2026-05-17T23:59:59.999999Z",), MAY),
        (("0001-01-01T00:00:00Z", "2026-05-18T00:00:00.1Z"), "2026-05-18T00:00:00.1Z"),
        (("2027-01-01T00:00:00Z", "2026-06-01T00:00:00Z"), "2026-06-01T00:00:00Z"),
        (("2026-06-01T00:00:00Z", "2026-06-01T00:00:00+00:00"), "2026-06-01T00:00:00+00:00"),
        (("2026-06-01T00:00:00.0Z", "2026-06-01T00:00:00Z"), "2026-06-01T00:00:00.0Z"),
        (("9999-12-31T23:59:59Z",), "9999-12-31T23:59:59Z"),
    ],
)
def test_the_earliest_time_claimed_since_the_creation(
    claims: tuple[str, ...], expected: str
) -> None:
    """M7: claims before F are ignored; of two spellings of an instant the lesser string."""
    creation = creation_at("2026-05-18T00:00:00.9+00:00")
    for order in permutations(claims):
        assert [expected, MAY] == alias_times(creation, claims=order)


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        ("2026-05-18T00:50:51.863748Z", "2026-05-18T00:50:51Z"),
        ("2026-05-18T00:50:51+00:00", "2026-05-18T00:50:51Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59Z"),
        ("1969-12-31T23:59:58.000001+00:00", "1969-12-31T23:59:58Z"),
        ("0999-03-04T05:06:07.5Z", "0999-03-04T05:06:07Z"),
        ("0001-01-01T00:00:00.000001Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_the_time_of_the_creation_is_cut_to_whole_seconds(created_at: str, expected: str) -> None:
    """M7: cut, not rounded, also before 1970; four digits of the year."""
    assert [expected, expected] == alias_times(creation_at(created_at))


def test_a_claim_in_the_second_of_the_creation_is_not_before_it() -> None:
    """M7: because F is cut."""
    creation = creation_at("2026-05-18T00:00:00.9Z")
    claim = "2026-05-18T00:00:00.1Z"
    assert [claim, MAY] == alias_times(creation, claims=(claim,))


def test_the_earliest_unrevoked_creation_counts() -> None:
    """M7: revoked, invalid and later ones do not."""
    early, late = creation_at("2026-01-01T00:00:00Z", BOB), creation_at("2026-05-18T00:00:00.5Z")
    invalid = {**creation_at("2020-01-01T00:00:00Z"), "signature": {}}
    assert alias_times(late, early, invalid) == ["2026-01-01T00:00:00Z"] * 2
    assert alias_times(late, early, revoke(early, BOB)) == [MAY, MAY]
    assert alias_times(late, early, revoke(early, BOB), revoke(late)) == [None, None]


def test_without_a_creation_no_claim_is_ignored() -> None:
    """M7: and without a claim the time is null."""
    assert alias_times() == [None, None]
    claims = ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z")
    assert alias_times(claims=claims) == ["0001-01-01T00:00:00Z", None]


def test_the_claims_of_all_bundles_count() -> None:
    """M7: by any merged bundle, for each alias on its own."""
    times = ["2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z"]
    bundles = [make_bundle(RECORD, alias_claims=make_claims(RECORD, time)) for time in times]
    bundles[1]["source_aliases"] = bundles[1]["source_aliases"][:1]
    state: Any = merge_bundles(*bundles).value
    expected = [times[1], *[times[0]] * 5]
    assert expected == [alias["created_at"] for alias in state["current"]["source_aliases"]]


# M8 ------------------------------------------------------------------------------------------


def receipt_of(*events: Any, receipts: list[Any]) -> Any:
    """The receipt that the state shows."""
    return merge_events(*events, receipts=receipts)["current"]["receipt"]


def test_the_receipt_is_that_of_the_first_creation() -> None:
    """M8: `signed_at` as it says, other members left out, a bundle's receipts not asked."""
    receipt = make_receipt(RECORD, BOB, "2026-05-18T00:50:51.8+00:00", builder="x")
    first = make_event(
        RECORD, ALICE, "record_created", created(RECORD, ALICE, receipt=receipt), MAY
    )
    later = creation_at("2026-05-18T00:00:01Z")
    shown = receipt_of(later, first, receipts=[make_receipt(RECORD, ALICE)])
    expected = {
        "algorithm": "ed25519",
        "key_id": "key-bob",
        "kind": "pith_receipt",
        "signature_b64": receipt["signature_b64"],
        "signed_at": "2026-05-18T00:50:51.8+00:00",
    }
    assert to_json(expected) == to_json(shown)
    revoked = receipt_of(later, first, revoke(first), receipts=[])
    assert (revoked["key_id"], revoked["signed_at"]) == ("key-alice", NOON)


def test_without_a_creation_the_least_receipt_is_shown_without_its_time() -> None:
    """M8: by `key_id`, then `signature_b64`, of those that pass S2; nothing signs `signed_at`."""
    digest = bytes.fromhex(oracle.record_digest(RECORD))
    signatures = [BOB.sign(digest), *(BOB.sign_with_nonce(digest, nonce) for nonce in range(2, 6))]
    receipts: list[Any] = [
        make_receipt(RECORD, BOB, signature_b64=signature) for signature in signatures
    ]
    receipts += [make_receipt(RECORD, JUDGE), make_receipt(RECORD, BOB, key_id="key-alice"), None]
    expected = {
        "algorithm": "ed25519",
        "key_id": "key-bob",
        "kind": "pith_receipt",
        "signature_b64": min(signatures),
        "signed_at": None,
    }
    assert to_json(expected) == to_json(receipt_of(receipts=receipts))
    assert expected == receipt_of(receipts=receipts[::-1])
    alice = make_receipt(RECORD, ALICE)
    assert receipt_of(receipts=[*receipts, alice])["key_id"] == "key-alice"


def test_copies_of_a_receipt_with_other_times_show_alike() -> None:
    """M8: whoever copies a receipt may write any time there."""
    copies = [make_receipt(RECORD, ALICE, time, n=1) for time in (NOON, MAY, NOON)]
    assert receipt_of(receipts=copies) == receipt_of(receipts=copies[1:2])


def test_without_any_receipt_there_is_none() -> None:
    """M8: null, also if all fail S2 or the only creation is revoked."""
    assert receipt_of(receipts=[]) is None
    assert receipt_of(receipts=[1, make_receipt(RECORD, ALICE, key_id="key-bob")]) is None
    assert receipt_of(CREATED, revoke(CREATED), receipts=[]) is None


# M10 -----------------------------------------------------------------------------------------


def test_invalid_events_ascend_by_digest() -> None:
    """M10: with digest and code, and no id."""
    values: list[Any] = [1, 1.0, None, [], {}, {**CLAIMED, "target": "graph"}, "x"]
    state = merge_events(*values, CLAIMED)
    expected = sorted(
        (hashlib.sha256(oracle.canonical(value)).hexdigest(), code)
        for value, code in zip(
            values, [*["event.shape"] * 5, "event.id", "event.shape"], strict=True
        )
    )
    assert [{"digest": digest, "code": code} for digest, code in expected] == (
        state["invalid_events"]
    )


# M12 -----------------------------------------------------------------------------------------


def test_the_core_digest_literally() -> None:
    """M12: its members, from the state."""
    bundle = make_bundle(RECORD, [CREATED, CLAIMED, WITHDRAWN, 1], [make_receipt(RECORD, BOB)])
    state = merge_bundles(bundle)
    value: Any = state.value
    current = {
        name: value["current"][name] for name in value["current"] if name != "source_aliases"
    }
    core = {
        "canonical_sha256": oracle.record_digest(RECORD),
        "current": {**current, "receipt": "key-alice"},
        "equivocation_count": 0,
        "equivocations": [],
        "merge_version": "pith-open-graph-merge-v1",
        "pith_number": oracle.pith_number_of(RECORD),
        "retired_events": value["retired_events"],
        "valid_event_count": 3,
    }
    assert hashlib.sha256(oracle.canonical(core)).hexdigest() == state.core_digest
    assert hashlib.sha256(oracle.canonical(value)).hexdigest() == state.digest


NOISE: list[Object] = [
    make_bundle(RECORD, [1, None, {**CLAIMED, "signature": {}}], alias_claims=[]),
    make_bundle(RECORD, alias_claims=make_claims(RECORD, "2026-01-02T00:00:00Z")),
    make_bundle(RECORD, receipts=[make_receipt(RECORD, ALICE, MAY), None], alias_claims=[]),
    make_bundle(RECORD, [sign_event_again(CLAIMED, ALICE)], alias_claims=[], source={}),
]


@pytest.mark.parametrize("events", [[], [CLAIMED], [CREATED, CLAIMED]])
@pytest.mark.parametrize("noise", NOISE[:3])
def test_invalid_and_unsigned_facts_do_not_change_the_core_digest(
    events: list[Object], noise: Object
) -> None:
    """M12: junk, unsigned claims and a bundle's own receipts move the state digest at most."""
    bundle = make_bundle(RECORD, events, alias_claims=[])
    alone, noisy = merge_bundles(bundle), merge_bundles(bundle, noise)
    assert alone.core_digest == noisy.core_digest


def test_junk_moves_the_state_digest_and_a_second_signature_does_not() -> None:
    """M12, M1."""
    bundle = make_bundle(RECORD, [CLAIMED], alias_claims=[])
    alone = merge_bundles(bundle)
    assert alone.digest != merge_bundles(bundle, NOISE[0]).digest
    assert alone.digest != merge_bundles(bundle, NOISE[1]).digest
    assert alone.digest == merge_bundles(bundle, NOISE[3]).digest


def test_another_receipt_of_the_same_key_in_a_creation_keeps_the_core() -> None:
    """M12: only the key's id is in it; but it is another event, so the count moves."""
    state = merge_bundles(make_bundle(RECORD, [CREATED]))
    receipt = make_receipt(RECORD, ALICE, MAY)
    other = make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE, receipt=receipt))
    assert state.core_digest == merge_bundles(make_bundle(RECORD, [other])).core_digest
    assert state.digest != merge_bundles(make_bundle(RECORD, [other])).digest


# All rules -----------------------------------------------------------------------------------


def test_events_of_all_types_in_any_grouping() -> None:
    """M1 to M13: one bundle or one for each event, forwards or backwards, and composed."""
    events = [
        event_at(number, event_type, payload_of(event_type, RECORD, signer), signer)
        for number, event_type in enumerate([*EVENT_TARGETS, "x.y"])
        for signer in (ALICE, BOB)
    ]
    events += [revoke(events[4]), revoke(events[8], JUDGE), *([CLAIMED] * 2)]
    whole = merge_bundles(make_bundle(RECORD, [*events, 1, "x"]))
    single = [make_bundle(RECORD, [event]) for event in [*events, 1, "x"]]
    assert whole.text == merge_bundles(*single).text
    assert whole.text == merge_bundles(*reversed(single)).text
    composed = json.loads(composed_of([verified(bundle, KEYS) for bundle in single]))
    assert whole.text == merge_bundles(composed).text


def test_an_untrusted_signer_changes_the_key_sets_state_only() -> None:
    """K2, M6: under the built-in set alone, events of others are invalid."""
    bundle = make_bundle(RECORD, [CREATED, CLAIMED])
    state: Any = merged([bundle], KeySet()).value
    assert counts(state) == (2, 0, 2)
    assert {entry["code"] for entry in state["invalid_events"]} == {"event.key_unknown"}
    assert oracle.state_text(oracle.merge([bundle], oracle.builtin_keys())) == (
        merged([bundle], KeySet()).text
    )


# M12, M13: outlines ----------------------------------------------------------------------


def test_an_outline_repeats_nothing_of_the_facts() -> None:
    """The record and the payloads stand in the facts alone."""
    event = make_event(RECORD, ALICE, "author_claimed", author_claim("someone special"))
    state = merged([make_bundle(RECORD, [event])], keys_of(ALICE))
    assert b"someone special" in state.text
    assert b"someone special" not in state.outline
    assert RECORD["metadata"]["title_canon_sha256"].encode() not in state.outline


def test_an_outline_without_its_payloads_is_not_filled() -> None:
    """A state is whole or not shown."""
    event = make_event(RECORD, ALICE, "author_claimed", author_claim())
    state = merged([make_bundle(RECORD, [event])], keys_of(ALICE))
    payload = oracle.canonical(event["payload"])
    assert (state.text, state.raw_digest) == fill(
        state.outline, parse_record(RECORD), {event["event_id"]: payload, "another": b"{}"}
    )
    with pytest.raises(KeyError):
        fill(state.outline, parse_record(RECORD), {})
