"""The history of a record: its digests are those of stores that stopped there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mirror.core.keys import BUILT_IN
from mirror.core.rules import RULES
from mirror.core.values import canonical, sha256
from mirror.engine.compare.history import append_statement
from mirror.engine.history.record_history import record_history
from mirror.engine.history.steps import ArrivalStep, HistoryStep, StatementStep, TrustStep
from mirror.engine.states.replay import process_stale
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.store import SourceRun, Store, StoredFacts, UpstreamStatementRow, open_store
from mirror.store.row_checksum import row_checksum
from tests.builders import (
    Object,
    make_bundle,
    make_event,
    make_receipt,
    revocation,
    sign_event_again,
)
from tests.engine.history.worlds import (
    AUTHOR,
    RECORD,
    REGISTRY,
    claim,
    events_of,
    merge,
    now,
    step,
)
from tests.helpers import keys_of, new_facts_of

NUMBER = make_bundle(RECORD)["pith_number"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "mirror.db") as opened:
        yield opened


def revoke(event: Object) -> Object:
    """A revocation by the same signer."""
    return make_event(RECORD, AUTHOR, "event_revoked", revocation(event["event_id"]))


def history(store: Store, record_id: int = 1) -> list[HistoryStep]:
    with store.snapshot():
        return [*record_history(store, record_id)]


def statement(value: Object, at: str) -> UpstreamStatementRow:
    """A state as an upstream printed it."""
    text = canonical(value)
    return UpstreamStatementRow("https://up.example", NUMBER, "state", sha256(text), at, text)


# The law -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_each_step_has_the_digest_of_the_state_at_its_time(store: Store, seed: int) -> None:
    """At each time the history has the state that the store had; the digests form a chain."""
    random, events = Random(seed), {number: events_of(number) for number in (1, 2)}
    add_keys(store, keys_of(REGISTRY))
    digests: dict[int, list[tuple[str, str]]] = {1: [], 2: []}
    for _ in range(12):
        step(store, random, events)
        for record_id, _, _ in store.records.page(0, 10):
            digests[record_id].append((now(), store.states.digest(record_id).hex()))
    for record_id, expected in digests.items():
        steps = history(store, record_id) if expected else []
        for at, digest in expected:
            assert [one.state_after for one in steps if one.known_at <= at][-1] == digest
        digests_before = [one.state_before for one in steps]
        assert digests_before == [None, *(one.state_after for one in steps)][: len(steps)]
        assert [one.known_at for one in steps] == sorted(one.known_at for one in steps)
        for one in steps:
            assert bool(one.changes) == (one.state_before != one.state_after)
        arrivals = [one.arrival for one in steps if isinstance(one, ArrivalStep)]
        assert arrivals == [row.id for row in store.facts.arrivals(record_id)]


# Arrivals ------------------------------------------------------------------------------------


def test_an_arrival_has_its_time_its_source_and_its_facts(store: Store) -> None:
    """Each event with its status then, and what it did to others."""
    first, second = claim(1), claim(2)
    add_keys(store, keys_of(AUTHOR))
    merge(store, first, "junk", receipts=[make_receipt(RECORD, AUTHOR)], alias_claims=[])
    merge(store, second, revoke(first))
    one, other = history(store)
    assert isinstance(one, ArrivalStep)
    assert isinstance(other, ArrivalStep)
    assert [one.known_at, other.known_at] == [store.commits.stored_at(at) for at in (1, 2)]
    assert one.source.endswith("bundle.json")
    assert [(event.status, event.code) for event in one.events] == [
        ("in force", ""),
        ("refused", "event.shape"),
    ]
    assert one.events[0].summary.created_at == "2026-06-01T12:00:00Z"
    assert [(receipt.key_id, receipt.code) for receipt in one.receipts] == [("key-author", "")]
    by_type = {event.summary.event_type: event for event in other.events}
    assert {name: event.status for name, event in by_type.items()} == {
        "author_claimed": "in force",
        "event_revoked": "in force",
    }
    effects = [effect.to_value() for effect in by_type["event_revoked"].effects]
    assert effects == [{"effect": "revoked", "event_id": first["event_id"]}]
    assert by_type["author_claimed"].effects == ()  # revoked is not superseded, too


def test_a_later_claim_supersedes_and_an_earlier_one_is_superseded(store: Store) -> None:
    """By claimed time, not by arrival; a withdrawal supersedes, and is not in force itself."""
    first, second, last = claim(1), claim(2), claim(3, status="withdrawn")
    add_keys(store, keys_of(AUTHOR))
    for event in (second, first, last):
        merge(store, event)
    steps = [one for one in history(store) if isinstance(one, ArrivalStep)]
    (came,), (late,), (withdrawn,) = (one.events for one in steps)
    assert (came.status, late.status, late.by) == ("in force", "superseded", (second["event_id"],))
    assert withdrawn.status == "withdrawn"
    assert [(one.reason, one.event_id) for one in withdrawn.effects] == [
        ("superseded", second["event_id"]),
        ("superseded", first["event_id"]),
    ]


def test_bundles_of_one_transaction_are_steps_of_one_known_time(store: Store) -> None:
    """The state of that time is that after the last of them."""
    add_keys(store, keys_of(AUTHOR))
    with store.transaction():
        writer, run = store.batch_writer(), SourceRun("a source", now())
        for day in (1, 2, 3):
            bundle = make_bundle(RECORD, [claim(day)], alias_claims=[])
            new = new_facts_of(bundle, keys_of(AUTHOR), StoredFacts())
            writer.add(new, run, f"member {day}")
        writer.flush()
    process_stale(store)
    steps = history(store)
    assert len(steps) == 3
    assert {one.known_at for one in steps} == {store.commits.stored_at(1)}
    assert steps[-1].state_after == store.states.digest(1).hex()
    members = [one.member for one in steps if isinstance(one, ArrivalStep)]
    assert members == ["member 1", "member 2", "member 3"]


def test_another_signature_of_a_valid_event_is_a_repeat(store: Store) -> None:
    """It is one event (M1), and does nothing."""
    add_keys(store, keys_of(AUTHOR))
    merge(store, claim(1))
    merge(store, sign_event_again(claim(1), AUTHOR))
    last = history(store)[-1]
    assert isinstance(last, ArrivalStep)
    assert [one.status for one in last.events] == ["repeat"]
    assert last.changes == ()


# Trust ---------------------------------------------------------------------------------------


def test_a_change_of_trust_is_a_step_if_the_record_names_the_key(store: Store) -> None:
    """The others are not; what is refused under the keys of then is said to be refused."""
    merge(store, claim(1))
    add_keys(store, keys_of(AUTHOR))
    add_keys(store, keys_of(REGISTRY))
    remove_keys(store, [AUTHOR.key_id])
    remove_keys(store, [BUILT_IN.key_id])
    came, trusted, distrusted, built_in = history(store)
    assert isinstance(came, ArrivalStep)
    assert [one.code for one in came.events] == ["event.key_unknown"]
    names = [
        [(change.action, change.name) for change in one.trust]
        for one in (trusted, distrusted, built_in)
        if isinstance(one, TrustStep)
    ]
    assert names == [
        [("add", AUTHOR.key_id)],
        [("remove", AUTHOR.key_id)],
        [("remove", BUILT_IN.key_id)],
    ]
    assert [(one.kind, one.member) for one in trusted.changes if one.event_id] == [
        ("came", "author_claims")
    ]
    assert distrusted.state_after == came.state_after
    assert built_in.changes == ()
    assert built_in.key_set_digest == store.trust_log.key_set().digest


def test_signatures_are_verified_again_only_where_a_named_key_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under keys that the record does not name, its stored verdicts are right."""
    add_keys(store, keys_of(AUTHOR))
    merge(store, claim(1))
    add_keys(store, keys_of(REGISTRY))
    merge(store, claim(2))
    before = history(store)

    def refuse(*_: object) -> None:
        pytest.fail("a signature is verified again")

    monkeypatch.setattr("mirror.engine.states.current.verify_event", refuse)
    monkeypatch.setattr("mirror.engine.states.reverify.verify_event", refuse)
    assert history(store) == before


# Statements, rules, times --------------------------------------------------------------------


def test_statements_of_upstreams_are_steps_in_order_of_time(store: Store) -> None:
    """With what each took back; they change no state here."""
    add_keys(store, keys_of(AUTHOR))
    merge(store, claim(1))
    printed = {"pith_number": NUMBER, "valid_event_count": 2}
    with store.transaction():
        append_statement(store, statement(printed, now()))
        append_statement(store, statement({**printed, "valid_event_count": 1}, now()))
    merge(store, claim(2))
    _, one, other, _ = history(store)
    assert isinstance(one, StatementStep)
    assert isinstance(other, StatementStep)
    assert one.took_back == ()
    assert other.took_back
    assert one.state_before == one.state_after == other.state_after
    assert other.to_value()["sha256"] == other.digest


def test_a_step_has_the_rules_of_its_time(store: Store) -> None:
    """Today's are used, whatever they were; of a store without commits no time is known."""
    merge(store, claim(1))
    assert [(one.rules, one.has_other_rules) for one in history(store)] == [(RULES, False)]
    store.connection.execute("UPDATE arrival_commit SET rules = 'rules-0'")
    _restore_checksums(store.connection)
    (step_then,) = history(store)
    assert step_then.has_other_rules
    assert step_then.to_value()["rules"] == {"then": "rules-0", "used": RULES}
    store.connection.execute("DELETE FROM arrival_commit")
    (unknown,) = history(store)
    assert (unknown.known_at, unknown.rules, unknown.has_other_rules) == ("", "", False)
    assert unknown.to_value()["known_at"] is None


def _restore_checksums(conn: sqlite3.Connection) -> None:
    for row in conn.execute("SELECT id, last_arrival_id, stored_at, rules FROM arrival_commit"):
        conn.execute("UPDATE arrival_commit SET checksum = ?", (row_checksum(*row),))


def test_a_clock_that_is_set_back_does_not_change_the_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored later counts as known no earlier than what was stored before."""
    # A change takes its time when it begins, and when it ends.
    times = iter(["2126-01-01T00:00:00.000000Z"] * 2 + ["2026-01-01T00:00:00.000000Z"] * 2)
    monkeypatch.setattr("mirror.engine.states.trust._now", lambda: next(times))
    add_keys(store, keys_of(AUTHOR))  # by a clock that was a century ahead
    add_keys(store, keys_of(REGISTRY))
    merge(store, claim(1))
    (came,) = [one for one in history(store) if isinstance(one, ArrivalStep)]
    assert came.known_at == "2126-01-01T00:00:00.000002Z"
    assert [one.status for one in came.events] == ["in force"]
