"""`show`, `root` and `export` of an earlier time: known and claimed times, never mixed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror.core.values import time_text
from mirror.store import open_store
from tests.cli.conftest import BUNDLES, Mirror
from tests.helpers import sample_states

DEMO, KEYS = BUNDLES / "demo.tar", BUNDLES / "demo-keys.json"
DEMO_NUMBERS = [one["pith_number"] for one in sample_states("demo")]
NUMBER = "pith:2026:JCCOAP2XTU5776A7WX6DYB7J3E"


def _now() -> str:
    return time_text(datetime.now(UTC), microseconds=True)


def _answers(mirror: Mirror, *at: str) -> tuple[bytes, str, bytes]:
    """Return a state, the root and a bag: of now, or of `--at TIME`."""
    root = mirror("root", "--json", *at).lines[0]["root"]
    mirror("export", "out.tar", "--packed", *at)
    bag = Path("out.tar").read_bytes()
    Path("out.tar").unlink()
    return mirror("show", NUMBER, "--json", *at).stdout, root, bag


@pytest.fixture
def grown(mirror: Mirror) -> tuple[str, tuple[bytes, str, bytes]]:
    """A store whose trusted keys changed; a time before that, and the answers at that time."""
    mirror("merge", str(DEMO))
    answers, at = _answers(mirror), _now()
    mirror("keys", "add", str(KEYS))
    return at, answers


def test_the_answers_of_a_time_are_those_of_then(
    mirror: Mirror, grown: tuple[str, tuple[bytes, str, bytes]]
) -> None:
    at, answers = grown
    assert _answers(mirror, "--at", at) == answers
    assert _answers(mirror)[:2] != answers[:2]
    shown = mirror("show", NUMBER, "--at", at)
    assert f"known by           {at}" in shown.stdout.decode()
    assert f"known here by {at}, under the keys trusted then" in shown.stderr
    assert "\ncites " not in shown.stdout.decode()
    assert "\ntimes of events    as their signers claim\n" in shown.stdout.decode()
    assert mirror("root", "--at", at, "--json").lines[0]["known_by"] == at


def test_all_states_and_bundles_are_lines(
    mirror: Mirror, grown: tuple[str, tuple[bytes, str, bytes]]
) -> None:
    """Of two times, ascending by Pith Number; before the first merge there is none."""
    for at in ((), ("--at", grown[0])):
        states = mirror("show", "--all", "--json", *at)
        assert [one["pith_number"] for one in states.lines] == sorted(DEMO_NUMBERS)
        assert _answers(mirror, *at)[0] in states.stdout
    bundles = mirror("show", "--all", "--bundle")
    assert [one["pith_number"] for one in bundles.lines] == sorted(DEMO_NUMBERS)
    assert mirror("show", "--all", "--json", "--at", "2001-09-09").stdout == b""
    for wrong in (("show",), ("show", "--all"), ("show", NUMBER, "--all", "--json")):
        assert "give one ID, or - or --all" in mirror(*wrong).stderr


def test_a_time_before_the_record_says_when_it_came(
    mirror: Mirror, grown: tuple[str, tuple[bytes, str, bytes]]
) -> None:
    for command in (("show", NUMBER), ("export", "out.tar", NUMBER)):
        ran = mirror(*command, "--at", "2001-09-09")
        assert ran.exit_code == 1
        assert "2001-09-09T23:59:59.999999Z, the end of that day in UTC" in ran.stderr
        assert "this mirror first stored it at 20" in ran.stderr
        assert not Path("out.tar").exists()
    assert mirror("root", "--at", "2001-09-09", "--json").lines[0]["records"] == 0
    assert b"Z, the end of that day in UTC\n" in mirror("root", "--at", "2001-09-09").stdout
    for at, has_come in (("2001-09-09", True), ("9999-12-31", False)):
        assert ("has not come yet" in mirror("root", "--at", at).stderr) is not has_come


def test_known_and_claimed_times_are_independent(
    mirror: Mirror, grown: tuple[str, tuple[bytes, str, bytes]]
) -> None:
    """Events that came in one bundle have one known time and several claimed times."""
    until = "2026-03-15"
    ran = mirror("show", NUMBER, "--claimed-until", until, "--json")
    assert "the words of the signers, not verified" in ran.stderr
    state = json.loads(ran.stdout)
    times = [
        event["created_at"]
        for listed in state["current"].values()
        if isinstance(listed, list)
        for event in listed
        if "event_id" in event
    ]
    assert all(time < "2026-03-16" for time in times)
    assert state["event_count"] < json.loads(_answers(mirror)[0])["event_count"]
    bundle = json.loads(mirror("show", NUMBER, "--claimed-until", until, "--bundle").stdout)
    assert len(bundle["events"]) == state["event_count"]


def test_old_rules_are_named(mirror: Mirror, grown: tuple[str, tuple[bytes, str, bytes]]) -> None:
    """An answer about a time of other rules says that it uses those of today."""
    with open_store(Path("mirror.db")) as store:
        row = store.connection.execute("SELECT id, last_arrival_id, stored_at FROM arrival_commit")
        commits = [(*one, "old-rules") for one in row.fetchall()]
        store.commits.table.add(commits, "REPLACE")
    ran = mirror("show", NUMBER, "--at", grown[0])
    assert "the rules of that time were old-rules; this answer uses those of today" in ran.stderr


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01", ""])
def test_an_invalid_time_is_a_usage_error(mirror: Mirror, time: str) -> None:
    ran = mirror("show", NUMBER, "--at", time)
    assert ran.exit_code == 2
    assert "write a date such as 2026-06-01" in ran.stderr
