"""Comparing two states of one record: every status, every cause, and laws that hold for any state.

Our side is made by the real merge. Upstream's side is that of another merge, or one that was
tampered with in just one way.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.comparison.causes import (
    Comparison,
    LocalRecord,
    compare,
    parse_upstream_state,
    shown_entries,
    shown_events,
)
from mirror.core.events.event import InvalidEvent, ValidEvent
from mirror.core.keys import KeySet
from mirror.core.merge import merge_bundles
from mirror.core.values import canonical, decode
from mirror.errors import FormatError
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    author_claim,
    citation,
    created,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    revocation,
    sign_event,
    snapshot,
    storage,
    to_json,
    without,
)
from tests.helpers import keys_of, verified
from tests.properties import strategies as worlds_of
from tests.properties.strategies import World, json_values
from tests.shared import real_lines

RECORD = make_record()
OTHER_RECORD = make_record("On windows", arxiv_id="2401.00002")
NUMBER = oracle.pith_number_of(RECORD)

ALICE = Signer("alice")
BOB = Signer("bob")
STRANGER = Signer("stranger")
JUDGE = Signer("judge", may_revoke_others=True)
KEYS = keys_of(ALICE, BOB, JUDGE)


def here_of(bundle: Object, keys: KeySet = KEYS) -> LocalRecord:
    """Our side, of one bundle."""
    judged = verified(bundle, keys)
    invalid = [one for one in judged.events if isinstance(one, InvalidEvent)]
    return LocalRecord(
        state=merge_bundles([judged], keys).value,
        valid=frozenset(one.event_id for one in judged.events if isinstance(one, ValidEvent)),
        refused={
            claimed: one.code
            for one in invalid
            if isinstance(one.value, dict) and isinstance(claimed := one.value.get("event_id"), str)
        },
    )


def holding(*events: Any, **members: Any) -> LocalRecord:
    """Our side, of these events."""
    return here_of(make_bundle(RECORD, events, **members))


def said(*events: Any, **members: Any) -> Any:
    """What an honest upstream prints that holds these events."""
    return holding(*events, **members).state


def in_part(state: Any, *lists: str) -> Any:
    """A state as the registry was seen to print it, with these lists of `current`."""
    told = without(state, "equivocations", "invalid_events", "retired_events")
    names = ("canonical_record", "source_aliases", *lists)
    return {**told, "current": {name: state["current"][name] for name in names}}


def changed(state: Any, pointer: str, value: Any) -> Any:
    """A copy of a state with one place changed; None of `...` takes the member away."""
    state = copy.deepcopy(state)
    *way, last = _steps(pointer)
    holder = state
    for step in way:
        holder = holder[step]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return state


def _steps(pointer: str) -> list[Any]:
    names = [one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:]]
    return [int(one) if one.isdecimal() else one for one in names]


def at(value: Any, pointer: str) -> Any:
    """What stands at a pointer (RFC 6901); `...` if nothing does."""
    for name in pointer.split("/")[1:]:
        token = name.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(token) if isinstance(value, list) else token]
        except (KeyError, IndexError):
            return ...
    return value


def codes(comparison: Comparison) -> list[str]:
    """The codes of all causes, in order."""
    return [cause.code for cause in comparison.causes]


def told(here: LocalRecord, upstream: Any) -> tuple[str, list[str]]:
    """Status and codes."""
    comparison = compare(here, parse_upstream_state(upstream))
    return comparison.status, codes(comparison)


# Events that the cases are made of -----------------------------------------------------------

CREATED = make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE))
GRAPH = make_event(RECORD, ALICE, "graph_snapshot", snapshot())
NEWER_GRAPH = make_event(RECORD, ALICE, "graph_snapshot", snapshot({}), "2026-01-02T12:00:00Z")
CLAIM = make_event(RECORD, ALICE, "author_claimed", author_claim())
NEWER_CLAIM = make_event(
    RECORD, ALICE, "author_claimed", author_claim(strength="weak"), "2026-01-02T12:00:00Z"
)
WITHDRAWAL = make_event(
    RECORD, ALICE, "author_claimed", author_claim(status="withdrawn"), "2026-01-03T12:00:00Z"
)
CITATION = make_event(RECORD, BOB, "citation_signed", citation())
NOVEL = make_event(RECORD, BOB, "x.y", {"n": 1})
REVOCATION = make_event(RECORD, JUDGE, "event_revoked", revocation(GRAPH["event_id"]))
OF_NOTHING = make_event(RECORD, JUDGE, "event_revoked", revocation("sha256:" + "0" * 64))
STRANGE = make_event(RECORD, STRANGER, "storage_attested", storage())
G, C, N = GRAPH["event_id"], CLAIM["event_id"], NEWER_CLAIM["event_id"]


# Statuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        (),
        (CREATED,),
        (CREATED, GRAPH, NEWER_GRAPH, REVOCATION),
        (CLAIM, NEWER_CLAIM, WITHDRAWAL, CITATION, NOVEL, OF_NOTHING),
        (STRANGE, None, 7, "x", {}),
    ],
)
def test_equal_states_match(events: Sequence[Any]) -> None:
    """A state matches itself, whatever is in it, and also what is left of it in part."""
    here = holding(*events)
    assert told(here, here.state) == ("match", [])
    assert told(here, in_part(here.state, "graph_snapshots")) == ("match", [])
    assert told(here, {"pith_number": NUMBER}) == ("match", [])


def test_members_that_only_upstream_has_are_listed_and_are_no_difference() -> None:
    """`match_known`: upstream may know of more than the protocol does."""
    here = holding(GRAPH)
    upstream = changed(here.state, "/current/ratings~1stars", [5])
    upstream = changed(upstream, "/current/graph_snapshots/0/signer/orcid", "0000")
    comparison = compare(here, upstream)
    assert comparison.status == "match_known"
    assert comparison.is_same
    assert comparison.only_upstream == (
        "/current/graph_snapshots/0/signer/orcid",
        "/current/ratings~1stars",
    )
    assert comparison.only_here == ()
    assert comparison.first_difference is None


def test_members_that_only_we_have_are_listed_and_leave_a_match() -> None:
    """The registry was seen to print the first of M6 only."""
    here = holding(GRAPH)
    comparison = compare(here, in_part(here.state, "graph_snapshots"))
    assert comparison.status == "match"
    assert "/current/author_claims" in comparison.only_here
    assert "/retired_events" in comparison.only_here


@pytest.mark.parametrize(
    ("ours", "theirs", "status"),
    [
        ((), (GRAPH,), "behind"),
        ((CREATED,), (CREATED, CLAIM, CITATION, NOVEL), "behind"),
        ((CLAIM,), (CLAIM, NEWER_CLAIM), "behind"),
        ((CLAIM,), (CLAIM, WITHDRAWAL), "behind"),
        ((GRAPH,), (GRAPH, REVOCATION), "behind"),
        ((GRAPH, CREATED), (GRAPH, REVOCATION, CREATED, OF_NOTHING), "behind"),
        ((GRAPH,), (), "ahead"),
        ((CLAIM, NEWER_CLAIM), (CLAIM,), "ahead"),
        ((CLAIM, NEWER_CLAIM), (NEWER_CLAIM,), "ahead"),
        ((CLAIM, WITHDRAWAL), (CLAIM,), "ahead"),
        ((GRAPH, REVOCATION), (GRAPH,), "ahead"),
        ((GRAPH,), (CLAIM,), "forked"),
        ((GRAPH,), (CLAIM, CITATION, OF_NOTHING), "forked"),
        ((CREATED,), (OF_NOTHING,), "differs"),
        ((), (OF_NOTHING,), "differs"),
    ],
)
def test_the_side_that_is_behind_is_determined_by_events(
    ours: Sequence[Any], theirs: Sequence[Any], status: str
) -> None:
    """`behind`, `ahead`, `forked` by what is shown; what no state shows only counts."""
    assert told(holding(*ours), said(*theirs))[0] == status


@pytest.mark.parametrize(
    ("ours", "theirs", "status"),
    [
        ((GRAPH,), (GRAPH, REVOCATION), "behind"),  # it is not shown, for it was revoked
        ((CLAIM,), (CLAIM, NEWER_CLAIM), "behind"),  # it is not shown, for it was superseded
        ((CLAIM, NEWER_CLAIM), (CLAIM,), "ahead"),
        ((GRAPH, REVOCATION), (GRAPH,), "ahead"),
        ((GRAPH, REVOCATION), (GRAPH, CLAIM), "forked"),
        ((GRAPH,), (CLAIM,), "forked"),
        ((GRAPH,), (), "ahead"),
        ((GRAPH,), (OF_NOTHING,), "differs"),  # as many, and none that is not here is shown
    ],
)
def test_counts_decide_where_upstream_lists_no_retired_events(
    ours: Sequence[Any], theirs: Sequence[Any], status: str
) -> None:
    """An event may be missing from a list because one that is not shown took it away."""
    upstream = in_part(said(*theirs), "graph_snapshots", "author_claims")
    assert told(holding(*ours), upstream)[0] == status


def test_without_counts_the_listed_events_decide() -> None:
    """Whatever was left out."""
    upstream = without(in_part(said(GRAPH, REVOCATION), "graph_snapshots"), "valid_event_count")
    assert told(holding(GRAPH), upstream) == ("ahead", ["event.missing_upstream"])


@pytest.mark.parametrize("number", [True, 1.0, "1", None, [], -5])
def test_a_count_that_is_none_decides_nothing(number: Any) -> None:
    """Only integers are counts; others differ."""
    upstream = changed(said(GRAPH), "/valid_event_count", number)
    status, found = told(holding(GRAPH), upstream)
    assert status == "differs"
    assert set(found) == {"counts"}


# Causes --------------------------------------------------------------------------------------


def test_an_event_that_is_missing_here_is_named_with_its_list() -> None:
    """So that a person can look for it."""
    comparison = compare(holding(CREATED), said(CREATED, GRAPH))
    assert comparison.only_upstream == (G,)
    assert comparison.causes[0] == (
        "event.missing_here",
        f"upstream shows {G} in graph_snapshots, which was never merged here",
    )
    assert codes(comparison) == ["event.missing_here"]


def test_an_event_of_upstreams_history_is_missing_here_too() -> None:
    """A revocation and what it revoked are shown in `retired_events` alone."""
    comparison = compare(holding(), said(GRAPH, REVOCATION))
    assert set(comparison.only_upstream) == {G, REVOCATION["event_id"]}
    assert all("in its history" in cause.text for cause in comparison.causes)


def test_an_event_that_only_we_have_is_named() -> None:
    """With what upstream leaves open."""
    comparison = compare(holding(GRAPH), said())
    text = f"{G} is valid here; upstream does not show it"
    assert comparison.causes == (("event.missing_upstream", text),)
    assert comparison.only_here == (G,)
    comparison = compare(holding(GRAPH), in_part(said(), "graph_snapshots"))
    assert comparison.causes[0].text == f"{text}, nor say whether it was retired"


def test_an_event_that_is_refused_here_is_named_with_its_code() -> None:
    """It is not missing: it came, and did not pass."""
    here = holding(GRAPH, STRANGE)
    upstream = here_of(make_bundle(RECORD, [GRAPH, STRANGE]), keys_of(ALICE, STRANGER)).state
    comparison = compare(here, upstream)
    assert comparison.status == "differs"
    assert comparison.only_upstream == ()
    text = f"upstream shows {STRANGE['event_id']} in storage_attestations"
    assert comparison.causes == (
        ("event.refused", f"{text}; it is refused here: event.key_unknown"),
    )


def test_a_refused_event_in_upstreams_history_is_named_as_such() -> None:
    """It need not be current to make states differ."""
    strange = make_event(RECORD, STRANGER, "graph_snapshot", snapshot())
    revoked = make_event(RECORD, STRANGER, "event_revoked", revocation(strange["event_id"]))
    bundle = make_bundle(RECORD, [strange, revoked])
    comparison = compare(here_of(bundle), here_of(bundle, keys_of(STRANGER)).state)
    assert codes(comparison) == ["event.refused", "event.refused"]
    assert "in its history; it is refused here: event.key_unknown" in comparison.causes[0].text


@pytest.mark.parametrize(
    ("false_one", "code"),
    [({"event_id": G}, "event.shape"), ({**CLAIM, "event_id": G}, "event.id")],
)
def test_an_object_with_only_an_event_id_is_not_that_event(false_one: Object, code: str) -> None:
    """Anybody can send junk with the id of an event: it is still missing here, and that is said."""
    comparison = compare(holding(false_one), said(GRAPH))
    assert comparison.status == "behind"
    assert comparison.only_upstream == (G,)
    assert codes(comparison) == ["event.missing_here"]
    assert comparison.causes[0].text.endswith(
        f"which was never merged here; a value with this id was refused: {code}"
    )


def test_a_valid_event_is_not_called_refused_for_a_copy_that_is() -> None:
    """The same content with a broken signature beside it."""
    broken = {**GRAPH, "signature": CLAIM["signature"]}
    here = holding(GRAPH, broken)
    assert here.refused == {G: "event.signature"}
    assert told(here, here.state) == ("match", [])


@pytest.mark.parametrize(
    ("events", "shown", "code", "reason"),
    [
        ((GRAPH, REVOCATION), GRAPH, "event.revoked", f"revoked by {REVOCATION['event_id']}"),
        ((CLAIM, NEWER_CLAIM), CLAIM, "event.superseded", f"superseded by {N}"),
        ((CLAIM, WITHDRAWAL), WITHDRAWAL, "event.withdrawn", "withdrawn"),
    ],
)
def test_a_retired_event_that_upstream_lists_as_current_is_named(
    events: Sequence[Object], shown: Object, code: str, reason: str
) -> None:
    """With what took it away, so that a person can look at it."""
    here = holding(*events)
    name = "graph_snapshots" if shown is GRAPH else "author_claims"
    upstream = changed(
        here.state, f"/current/{name}", said(shown)["current"][name] or [_entry(shown)]
    )
    comparison = compare(here, upstream)
    assert comparison.status in {"differs", "ahead"}
    assert comparison.causes[0] == (
        code,
        f"upstream shows {shown['event_id']} in {name} as current; it is {reason}",
    )


def _entry(event: Object) -> Object:
    names = ("event_id", "target", "created_at", "signer", "payload")
    return {name: event[name] for name in names}


@pytest.mark.parametrize(
    ("pointer", "count", "text"),
    [
        ("/event_count", 9, "event_count is 9, but 2 are valid and 1 invalid"),
        ("/event_count", 1, "event_count is 1, but 2 are valid and 1 invalid"),
        ("/valid_event_count", 1, "valid_event_count is 1, but 2 events are shown"),
        ("/invalid_event_count", 0, "invalid_event_count is 0, but invalid_events has 1"),
        ("/equivocation_count", 3, "equivocation_count is 3, but equivocations has 0"),
    ],
)
def test_counts_that_contradict_the_lists_are_reported(pointer: str, count: int, text: str) -> None:
    """Upstream contradicts itself, whatever we hold; no count is reported twice."""
    here = holding(GRAPH, CLAIM, STRANGE)
    comparison = compare(here, changed(here.state, pointer, count))
    assert comparison.status == "differs"
    assert f"upstream's counts disagree with its lists: {text}" in [
        cause.text for cause in comparison.causes
    ]
    assert set(codes(comparison)) == {"counts"}
    assert not any("differs" in cause.text for cause in comparison.causes)


def test_counts_of_absent_lists_are_accepted() -> None:
    """A part of a state cannot contradict what is left out."""
    here = holding(STRANGE)
    assert told(here, in_part(here.state)) == ("match", [])
    alone = {"pith_number": NUMBER, "event_count": 0, "current": said(GRAPH)["current"]}
    assert told(holding(GRAPH), alone) == ("differs", ["counts"])


def test_a_count_that_differs_is_reported_with_both_values() -> None:
    """A valid event may stand in no list: the text says which."""
    comparison = compare(holding(CREATED), said(CREATED, OF_NOTHING))
    sides = "1 here, 2 upstream"
    unlisted = "record_created and event_revoked count, and are in no list"
    assert [cause.text for cause in comparison.causes] == [
        f"event_count differs: {sides}",
        f"valid_event_count differs: {sides}; {unlisted}",
    ]


def test_other_invalid_events_are_a_cause_of_their_own() -> None:
    """Junk comes to one mirror and not to another: as many, and not the same."""
    comparison = compare(holding("junk"), said("other junk"))
    assert comparison.status == "differs"
    assert codes(comparison) == ["invalid_events"]
    assert comparison.causes[0].text.startswith(
        "other invalid events came here than upstream: at /invalid_events/0/digest, "
    )


def test_another_merge_version_explains_what_differs() -> None:
    """And it is reported in JSON, cut if it is long."""
    here = holding(CREATED)
    upstream = changed(here.state, "/merge_version", "v2")
    upstream = changed(upstream, "/current/receipt", None)
    comparison = compare(here, upstream)
    assert codes(comparison) == ["merge_version"]
    assert comparison.causes[0].text == (
        'upstream merges by "v2", this mirror by "pith-open-graph-merge-v1": states may differ'
    )
    comparison = compare(here, changed(here.state, "/merge_version", "v" * 10**6))
    assert len(comparison.causes[0].text) < 300


def test_a_merge_version_of_null_is_another_one() -> None:
    """What is printed is said."""
    here = holding()
    assert told(here, changed(here.state, "/merge_version", None)) == ("differs", ["merge_version"])


def test_an_alias_that_does_not_follow_from_the_record_is_reported_beside_other_causes() -> None:
    """No event explains it (R4)."""
    upstream = changed(said(CREATED, GRAPH), "/current/source_aliases/2/alias_value", "10.1/x")
    comparison = compare(holding(CREATED), upstream)
    assert codes(comparison) == ["event.missing_here", "aliases"]
    assert comparison.causes[1].text == (
        "the aliases differ at /current/source_aliases/2/alias_value: "
        '"10.48550/arxiv.2401.00001" here, "10.1/x" upstream; they follow from the record (R4)'
    )


@pytest.mark.parametrize("aliases", [[], None, {}, ["x"], 7])
def test_aliases_that_are_missing_or_not_a_list_are_reported(aliases: Any) -> None:
    """Whatever stands there."""
    here = holding()
    upstream = changed(here.state, "/current/source_aliases", aliases)
    status, found = told(here, upstream)
    assert (status, set(found)) == ("differs", {"aliases"})


def test_a_different_time_of_an_alias_is_reported_as_unsigned() -> None:
    """It may differ between honest mirrors (M7)."""
    ours, theirs = (
        holding(alias_claims=make_claims(RECORD, one))
        for one in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    )
    comparison = compare(ours, theirs.state)
    assert set(codes(comparison)) == {"aliases"}
    assert comparison.causes[0].text.endswith("their times are not signed (M7)")
    # An event that is missing explains other times, and so they are not told.
    assert told(ours, said(GRAPH, alias_claims=[])) == ("behind", ["event.missing_here"])


def test_a_record_that_does_not_hash_to_its_number_is_proof() -> None:
    """Upstream is provably wrong: nothing else needs to be known."""
    here = holding(GRAPH)
    title = "0" * 64
    upstream = changed(here.state, "/current/canonical_record/metadata/title_canon_sha256", title)
    comparison = compare(here, upstream)
    assert comparison.status == "differs"
    assert codes(comparison) == ["record.digest"]
    assert comparison.causes[0].text.endswith(f", not {NUMBER}: upstream is provably wrong")
    assert comparison.first_difference is not None
    assert comparison.first_difference.to_value() == {
        "pointer": "/current/canonical_record/metadata/title_canon_sha256",
        "here": RECORD["metadata"]["title_canon_sha256"],
        "upstream": title,
    }


@pytest.mark.parametrize(
    ("record", "place"),
    [(None, "must have exactly"), ([], "must have exactly"), ({}, "must have exactly"),
     ({**RECORD, "more": 1}, "must have exactly"),
     ({**RECORD, "schema_version": "2.0"}, "/schema_version must be")],
)  # fmt: skip
def test_a_malformed_record_has_no_pith_number(record: Any, place: str) -> None:
    """What is wrong with it is said."""
    here = holding()
    comparison = compare(here, changed(here.state, "/current/canonical_record", record))
    assert codes(comparison) == ["record.digest"]
    assert f"gives no Pith Number ({place}" in comparison.causes[0].text


def test_an_answer_for_another_record_is_that_and_nothing_else() -> None:
    """What it says of its own events is not held against this record."""
    other = here_of(make_bundle(OTHER_RECORD, [])).state
    comparison = compare(holding(GRAPH), other)
    assert comparison.status == "differs"
    assert codes(comparison) == ["record.changed", "record.digest"]
    assert comparison.causes[0].text == (
        f"upstream answers for {NUMBER} with {other['pith_number']}"
    )
    assert comparison.pith_number == NUMBER
    assert not any(one.startswith("sha256:") for one in comparison.only_here)


@pytest.mark.parametrize(
    ("member", "value"),
    [("payload", {}), ("created_at", "2027-01-01T00:00:00Z"), ("target", "paper"),
     ("signer", {**ALICE.signer_value(), "signer_id": "bob"}), ("payload", None)],
)  # fmt: skip
def test_an_event_with_another_content_than_was_signed_is_proof(member: str, value: Any) -> None:
    """Its id is the digest of its content (E2), and it was verified here."""
    here = holding(GRAPH, CLAIM)
    upstream = changed(here.state, f"/current/graph_snapshots/0/{member}", value)
    comparison = compare(here, upstream)
    assert comparison.status == "differs"
    assert codes(comparison) == ["event.content"]
    assert comparison.causes[0].text.startswith(f"upstream shows {G} with another /{member}")


def test_a_sentence_stays_short_whatever_upstream_sends() -> None:
    """Names as long as a book are cut, like values."""
    here = holding(GRAPH)
    name = "x" * 10**6
    for pointer in ("/current/graph_snapshots/0/payload", "/current/canonical_record"):
        comparison = compare(here, changed(here.state, pointer, {name: name}))
        assert all(len(cause.text) < 600 for cause in comparison.causes)


def test_an_unexplained_difference_is_reported_as_another_outcome() -> None:
    """The same events, and a place where the states are not equal."""
    here = holding(CREATED)
    upstream = changed(here.state, "/current/receipt/signed_at", None)
    comparison = compare(here, upstream)
    assert comparison.status == "differs"
    text = "both show the same events, but /current/receipt/signed_at differs"
    sides = '"2026-01-01T12:00:00Z" here, null upstream'
    assert comparison.causes == (("outcome", f"{text}: {sides}"),)


def test_there_is_a_cause_even_where_upstream_shows_an_event_twice_and_headless() -> None:
    """An entry without its id, and the same event elsewhere: something is said all the same."""
    here = holding(GRAPH)
    upstream = changed(said(GRAPH), "/current/graph_snapshots", [{"payload": {}}])
    upstream = changed(
        upstream, "/current/author_claims", said(GRAPH)["current"]["graph_snapshots"]
    )
    assert told(here, upstream) == ("differs", ["outcome"])


def test_a_name_in_a_payload_is_not_taken_for_a_count() -> None:
    """Only the counts of M6 are counts."""
    ours = make_event(RECORD, BOB, "x.y", {"event_count": 1})
    here = holding(ours)
    upstream = changed(here.state, "/current/other_events/0/payload", {})
    comparison = compare(here, upstream)
    assert codes(comparison) == ["event.content"]
    assert comparison.first_difference is not None
    assert comparison.first_difference.sides == "1 here, nothing upstream"


def test_of_very_many_causes_some_are_named_and_the_rest_are_counted() -> None:
    """Each event is named in `only_upstream`; a person reads a hundred."""
    upstream = said(GRAPH)
    entry = upstream["current"]["graph_snapshots"][0]
    upstream["current"]["graph_snapshots"] = [
        {**entry, "event_id": f"sha256:{number:064x}"} for number in range(1000)
    ]
    comparison = compare(holding(), upstream)
    assert len(comparison.only_upstream) == 1000
    missing = [cause for cause in comparison.causes if cause.code == "event.missing_here"]
    assert len(missing) == 101
    assert missing[-1].text == "and 900 more of this kind"


def test_a_comparison_is_printed_with_all_that_it_found() -> None:
    """The members that scripts read; a side that has nothing is left out."""
    comparison = compare(holding(), in_part(said(GRAPH), "graph_snapshots"))
    printed = comparison.to_value()
    assert list(printed) == [
        "pith_number", "status", "first_difference", "cause", "causes", "only_here",
        "only_upstream",
    ]  # fmt: skip
    assert printed["first_difference"] == {"pointer": "/event_count", "here": 0, "upstream": 1}
    assert printed["cause"] == comparison.causes[0].text
    assert printed["causes"] == [{"code": one.code, "text": one.text} for one in comparison.causes]
    assert compare(holding(), said()).to_value()["cause"] is None


# What is a state at all ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (None, ""),
        ([], ""),
        ("x", ""),
        ({}, "/pith_number"),
        ({"pith_number": 7}, "/pith_number"),
        ({"pith_number": f"{NUMBER}\n"}, "/pith_number"),
        ({"pith_number": NUMBER.lower()}, "/pith_number"),
        ({"pith_number": NUMBER, "current": None}, "/current"),
        ({"pith_number": NUMBER, "current": []}, "/current"),
    ],
)
def test_a_value_that_is_not_a_state_is_refused(value: Any, where: str) -> None:
    """Code and place say why it cannot be compared."""
    with pytest.raises(FormatError) as caught:
        parse_upstream_state(value)
    assert (caught.value.code, caught.value.where) == ("state.shape", where)


def test_the_events_of_a_state_are_those_that_it_lists_or_mentions() -> None:
    """Current and retired ones, what retired them, and what equivocates; each well-formed id."""
    equivocal = make_event(RECORD, ALICE, "graph_snapshot", snapshot({}))
    state = said(GRAPH, equivocal, REVOCATION, CITATION)
    assert shown_events(state) == {
        one["event_id"] for one in (GRAPH, equivocal, REVOCATION, CITATION)
    }
    assert shown_entries(state).keys() == {equivocal["event_id"], CITATION["event_id"]}
    assert shown_entries(state)[CITATION["event_id"]].where == "citations"
    ill: Object = {
        "current": 7,
        "retired_events": [7, {"event_id": "x", "by": G}],
        "equivocations": {},
    }
    assert shown_events({"pith_number": NUMBER, **ill}) == set()


# Real states ---------------------------------------------------------------------------------


def test_real_states_compare_with_their_records_alone_as_behind() -> None:
    """Record and aliases are equal; the one event that the registry has and we lack is named."""
    for head in real_lines("state_heads"):
        graph = head["graph_event_id"]
        upstream = {
            "pith_number": head["pith_number"],
            "current": {
                "canonical_record": head["canonical_record"],
                "source_aliases": head["source_aliases"],
                "graph_snapshots": [{"event_id": graph, "created_at": head["graph_created_at"]}],
            },
        }
        bundle = make_bundle(head["canonical_record"], alias_claims=head["source_aliases"])
        comparison = compare(here_of(bundle, KeySet()), parse_upstream_state(upstream))
        assert comparison.status == "behind"
        assert codes(comparison) == ["event.missing_here"]
        assert graph in comparison.causes[0].text
        assert comparison.only_upstream == (graph,)
        assert comparison.first_difference is not None
        assert comparison.first_difference.pointer == "/current/graph_snapshots/0"


# Laws ----------------------------------------------------------------------------------------


def sides() -> st.SearchStrategy[LocalRecord]:
    """Our side of any small world of one record."""
    return worlds_of.worlds().map(lambda world: here_of(world.bundle(), worlds_of.KEYS))


def _open_objects(value: Any) -> Iterator[Object]:
    """Every object of a state that may be told in part."""
    if isinstance(value, dict):
        yield value
        for name, one in value.items():
            if name not in {"canonical_record", "payload", "slot_key"}:
                yield from _open_objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from _open_objects(one)


@given(sides())
def test_law_a_state_matches_itself(here: LocalRecord) -> None:
    """Also after it was written and read again."""
    for upstream in (here.state, decode(canonical(here.state))):
        comparison = compare(here, parse_upstream_state(upstream))
        assert comparison.status == "match"
        assert comparison.causes == ()
        assert comparison.only_here == ()
        assert comparison.only_upstream == ()


@given(sides(), st.data())
def test_law_a_part_of_a_state_matches(here: LocalRecord, data: st.DataObject) -> None:
    """Any members may be left out, but those that say which thing is spoken of."""
    upstream = copy.deepcopy(here.state)
    spots = [
        (one, name)
        for one in _open_objects(upstream)
        for name in one
        if name not in {"pith_number", "event_id"}
    ]
    for one, name in data.draw(st.lists(st.sampled_from(spots), max_size=6)):
        one.pop(name, None)
    comparison = compare(here, parse_upstream_state(upstream))
    assert (comparison.status, comparison.causes) == ("match", ())
    for pointer in comparison.only_here:
        assert at(here.state, pointer) is not ...
        assert at(upstream, pointer) is ...


@given(sides(), st.data())
def test_law_members_that_we_do_not_know_make_a_match_known(
    here: LocalRecord, data: st.DataObject
) -> None:
    """Each of them is listed."""
    upstream = copy.deepcopy(here.state)
    objects = list(_open_objects(upstream))
    names = st.sampled_from(["x", "x/y", "x~", "~1", "", "ä"])
    spots = st.tuples(st.integers(0, len(objects) - 1), names)
    added = data.draw(st.dictionaries(spots, json_values(), max_size=4))
    for (index, name), value in added.items():
        objects[index][name] = value
    comparison = compare(here, parse_upstream_state(upstream))
    assert comparison.status == ("match_known" if added else "match")
    assert len(comparison.only_upstream) == len(added)
    for pointer in comparison.only_upstream:
        assert at(upstream, pointer) is not ...
        assert at(here.state, pointer) is ...


def _leaves(value: Any, pointer: str = "") -> Iterator[str]:
    """Pointers to all that has nothing below it."""
    items = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list)
        else ()
    )  # fmt: skip
    below = [(str(name).replace("~", "~0").replace("/", "~1"), one) for name, one in items]
    if not below:
        yield pointer
    for name, one in below:
        yield from _leaves(one, f"{pointer}/{name}")


@given(sides(), st.data())
def test_law_a_leaf_that_was_changed_is_never_a_match(
    here: LocalRecord, data: st.DataObject
) -> None:
    """What is said to stand at the first difference does stand there, on both sides."""
    pointers = [one for one in _leaves(here.state) if one != "/pith_number"]
    pointer = data.draw(st.sampled_from(pointers))
    value = data.draw(json_values())
    upstream = changed(here.state, pointer, value)
    comparison = compare(here, parse_upstream_state(upstream))
    if canonical(upstream) == canonical(here.state):
        assert comparison.status == "match"
    elif comparison.is_same:
        # An empty object that was filled is no leaf that was changed: it holds more than ours.
        assert at(here.state, pointer) == {}
    else:
        first = comparison.first_difference
        assert first is not None
        for side, state in ((first.here, here.state), (first.upstream, upstream)):
            there = at(state, first.pointer)
            assert there is ... or canonical(side) == canonical(there)  # type: ignore[arg-type]
            assert (there is ...) == (type(side).__name__ == "Missing")
        assert comparison.causes


_HOSTILE = st.recursive(
    json_values(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["event_id", "by", "event_ids", "current", "retired_events",
                         "canonical_record", "source_aliases", "graph_snapshots", "payload",
                         "alias_kind", "digest", "valid_event_count"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(sides(), st.data())
def test_law_any_upstream_state_can_be_compared(here: LocalRecord, data: st.DataObject) -> None:
    """Wrong types, huge numbers and odd names anywhere: there is a status, a cause, and JSON."""
    upstream = copy.deepcopy(here.state)
    for _ in range(data.draw(st.integers(1, 4))):
        spot = data.draw(st.sampled_from(list(_open_objects(upstream))))
        spot[data.draw(st.sampled_from([*sorted(spot), "x"]))] = data.draw(_HOSTILE)
    upstream["pith_number"] = NUMBER
    upstream["current"] = upstream["current"] if isinstance(upstream["current"], dict) else {}
    comparison = compare(here, parse_upstream_state(upstream))
    assert bool(comparison.causes) != comparison.is_same
    assert json.loads(canonical(comparison.to_value()))["status"] == comparison.status


def test_law_a_deeply_nested_upstream_state_can_be_compared() -> None:
    """As deep as V1 lets a text be, where ours is as deep, too."""
    payload: Any = {}
    for _ in range(31):
        payload = {"x": payload}
    ours = make_event(RECORD, BOB, "x.y", payload)
    here = holding(ours)
    deep: Any = 1
    for _ in range(62):
        deep = [deep]
    for pointer in ("/current/other_events/0/payload", "/current/other_events", "/event_count"):
        upstream = decode(to_json(changed(here.state, "/current/other_events", [])))
        upstream = changed(upstream, pointer if "payload" not in pointer else pointer[:21], deep)
        assert not compare(here, parse_upstream_state(upstream)).is_same


@st.composite
def two_sides(draw: st.DrawFn) -> tuple[World, World]:
    """Two worlds, each with some of the same events."""
    world = draw(worlds_of.worlds())
    picks = [draw(st.sets(st.integers(0, 20))) for _ in range(2)]
    ours, theirs = (
        [event for index, event in enumerate(world.events) if index not in pick] for pick in picks
    )
    return World(ours, [], []), World(theirs, [], [])


def _tell_all(state: Any) -> Any:
    return state


def _tell_no_retired(state: Any) -> Any:
    return without(state, "retired_events", "equivocations", "invalid_events")


def _tell_heads(state: Any) -> Any:
    return in_part(state, "graph_snapshots", "author_claims")


@given(two_sides(), st.sampled_from([_tell_all, _tell_no_retired, _tell_heads]))
def test_law_statuses_are_true_of_the_events(
    worlds: tuple[World, World], tell: Callable[[Any], Any]
) -> None:
    """Who is said to lack events lacks some; and what is shown and lacking is always said."""
    here, there = (here_of(world.bundle(), worlds_of.KEYS) for world in worlds)
    upstream = tell(there.state)
    comparison = compare(here, parse_upstream_state(upstream))
    if comparison.status in {"behind", "forked"}:
        assert there.valid - here.valid
    if comparison.status in {"ahead", "forked"}:
        assert here.valid - there.valid
    lacking = shown_events(upstream) - here.valid
    assert {one for one in comparison.only_upstream if one.startswith("sha256:")} == lacking
    if lacking:
        assert comparison.status in {"behind", "forked"}
    if tell is _tell_all and _listed(here.state) - there.valid:
        assert comparison.status in {"ahead", "forked"}
    if here.valid == there.valid:
        assert comparison.status in {"match", "differs"}
        assert not {"event.missing_here", "event.missing_upstream"} & set(codes(comparison))


def _listed(state: Any) -> set[str]:
    """The events that a list names: current ones, and those that are retired."""
    return {*shown_entries(state), *(entry["event_id"] for entry in state["retired_events"])}


@given(two_sides())
def test_law_what_upstream_merges_from_less_it_never_has_more_of(
    worlds: tuple[World, World],
) -> None:
    """A subset of our events is `ahead` if any of those that it lacks is shown, never `behind`."""
    ours, theirs = worlds
    both = World([*ours.events, *theirs.events], [], [])
    here, there = (here_of(world.bundle(), worlds_of.KEYS) for world in (both, theirs))
    assert compare(here, parse_upstream_state(there.state)).status in {"match", "ahead", "differs"}
    assert compare(there, parse_upstream_state(here.state)).status in {"match", "behind", "differs"}


# Receipts, which make states differ without any event ----------------------------------------


def test_a_receipt_outside_any_event_makes_another_outcome() -> None:
    """Nobody need have it; what differs is named."""
    comparison = compare(holding(receipts=[make_receipt(RECORD, ALICE)]), said())
    assert comparison.status == "differs"
    assert codes(comparison) == ["outcome"]
    assert "/current/receipt differs" in comparison.causes[0].text


def test_an_event_signed_again_by_another_content_is_another_event() -> None:
    """What was changed and signed again has another id: upstream has it, and we do not."""
    resigned = sign_event({**GRAPH, "payload": snapshot({})}, ALICE)
    comparison = compare(holding(GRAPH), said(resigned))
    assert comparison.status == "forked"
    assert codes(comparison) == ["event.missing_here", "event.missing_upstream"]
