"""`history`: what arrived when, and what each event did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirror.core.escaping import escape_terminal
from tests.builders import (
    Object,
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    revocation,
    to_json,
)
from tests.cli.conftest import Mirror

AUTHOR = Signer("author")
RECORD = make_record()
NUMBER = make_bundle(RECORD)["pith_number"]


def claim(day: int, claimant: str = "me") -> Object:
    at = f"2026-06-{day:02}T12:00:00Z"
    return make_event(RECORD, AUTHOR, "author_claimed", author_claim(claimant), at)


FIRST, SECOND = claim(1), claim(2)
BACK = make_event(RECORD, AUTHOR, "event_revoked", revocation(SECOND["event_id"]))


@pytest.fixture
def grown(mirror: Mirror) -> Mirror:
    """A store to which a record came in three steps, with its key in between."""
    Path("keys.json").write_bytes(key_set_file(AUTHOR))
    steps: list[list[Any]] = [[FIRST, "junk"], [SECOND], [BACK]]
    for number, events in enumerate(steps):
        path = Path(f"{number}.json")
        path.write_bytes(to_json(make_bundle(RECORD, events, alias_claims=[])))
        mirror("merge", path)
        if number == 0:
            mirror("keys", "add", "keys.json")
    return mirror


def test_each_step_has_its_time_and_what_it_did(grown: Mirror) -> None:
    """Known times, claimed times, statuses, effects, and digests that form a chain."""
    lines = grown("history", NUMBER, "--json").lines
    assert [(one["step"], one["pith_number"]) for one in lines] == [
        ("arrival", NUMBER), ("trust", NUMBER), ("arrival", NUMBER), ("arrival", NUMBER),
    ]  # fmt: skip
    assert [one["known_at"] for one in lines] == sorted(one["known_at"] for one in lines)
    refused = {event["code"]: event for event in lines[0]["events"]}
    assert {*refused} == {"event.key_unknown", "event.shape"}
    assert refused["event.key_unknown"]["event_id"] == FIRST["event_id"]
    assert refused["event.shape"]["event_id"] is None
    assert lines[1]["trust"] == [{"action": "add", "kind": "key", "name": "key-author"}]
    (second,) = lines[2]["events"]
    assert (second["status"], second["claimed_at"]) == ("in force", "2026-06-02T12:00:00Z")
    assert second["effects"] == [{"effect": "superseded", "event_id": FIRST["event_id"]}]
    (back,) = lines[3]["events"]
    assert back["effects"] == [{"effect": "revoked", "event_id": SECOND["event_id"]}]
    digests_before = [one["state_before"] for one in lines]
    assert digests_before == [None, *(one["state_after"] for one in lines[:-1])]
    assert [*reversed(grown("history", NUMBER, "--json", "--reverse").lines)] == lines


def test_plain_output_has_the_same_steps(grown: Mirror) -> None:
    """Every event is named, each time is called known or claimed."""
    shown = grown("history", NUMBER).stdout.decode()
    blocks = shown.strip().split("\n\n")
    assert len(blocks) == 4
    assert all(block.startswith("known") for block in blocks)
    assert "refused, event.key_unknown" in blocks[0]
    assert "not verified: author_claimed: me" in blocks[0]
    assert "claims to be signed by author, claimed time 2026-06-01T12:00:00Z" in blocks[0]
    assert "from 0.json\n" in blocks[0]
    assert "trusted: key key-author" in blocks[1]
    assert f"superseded event {FIRST['event_id']}" in blocks[2]
    assert f"revoked event {SECOND['event_id']}" in blocks[3]
    reverse = grown("history", NUMBER, "--reverse").stdout.decode().strip().split("\n\n")
    assert [*reversed(reverse)] == blocks


def test_an_unknown_record_is_an_error(grown: Mirror) -> None:
    ran = grown("history", "2401.99999")
    assert (ran.exit_code, ran.stdout) == (1, b"")
    assert "lookup.unknown" in ran.stderr


def test_claims_are_escaped_on_the_terminal(mirror: Mirror) -> None:
    """Line breaks, controls and marks of direction are shown by their codes."""
    evil = "me\nknown  2001-01-01\x1b[2J\u202e"
    Path("keys.json").write_bytes(key_set_file(AUTHOR))
    Path("b.json").write_bytes(to_json(make_bundle(RECORD, [claim(1, evil), {"event_type": evil}])))
    mirror("keys", "add", "keys.json")
    mirror("merge", "b.json")
    shown = mirror("history", NUMBER).stdout.decode()
    assert shown == "\n".join(escape_terminal(line) for line in shown.split("\n"))
    assert sum(line.startswith("known") for line in shown.splitlines()) == 1
