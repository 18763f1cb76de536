"""`diff`: what changed between two known times, in one record and in all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror.core.rules import RULES
from mirror.core.values import canonical, decode, sha256, time_text
from tests.builders import (
    Object,
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import Mirror, Ran

AUTHOR = Signer("author")
ONE, OTHER = make_record(), make_record(arxiv_id="2401.00002")
NUMBER, OTHER_NUMBER = (make_bundle(one)["pith_number"] for one in (ONE, OTHER))


def now() -> str:
    return time_text(datetime.now(UTC), microseconds=True)


def claim(record: Object, day: int, claimant: str = "me") -> Object:
    at = f"2026-06-{day:02}T12:00:00Z"
    return make_event(record, AUTHOR, "author_claimed", author_claim(claimant), at)


def digest_at(mirror: Mirror, number: str, at: str) -> str:
    text = mirror("show", number, "--json", "--at", at).stdout
    return sha256(canonical(decode(text.rstrip()))).hex()


def merge(mirror: Mirror, record: Object, *events: Object) -> str:
    """Merge a bundle; the time after it."""
    Path("b.json").write_bytes(to_json(make_bundle(record, events, alias_claims=[])))
    mirror("merge", "b.json")
    return now()


@pytest.fixture
def times(mirror: Mirror) -> list[str]:
    """Times between four steps: two records come, one grows, its key is trusted."""
    Path("keys.json").write_bytes(key_set_file(AUTHOR))
    found = [now(), merge(mirror, ONE, claim(ONE, 1)), merge(mirror, OTHER)]
    found.append(merge(mirror, ONE, claim(ONE, 2)))
    mirror("keys", "add", "keys.json")
    return [*found, now()]


def test_the_changes_of_a_record_between_two_times(mirror: Mirror, times: list[str]) -> None:
    """The digests are those of the states at both times; each change is named."""
    ran = mirror("diff", NUMBER, times[1], times[3], "--json")
    (found,) = ran.lines
    assert ran.exit_code == 1
    assert found["known_by"] == {"before": times[1], "after": times[3]}
    assert found["state_before"] == digest_at(mirror, NUMBER, times[1])
    assert found["state_after"] == digest_at(mirror, NUMBER, times[3])
    assert [one["kind"] for one in found["changes"]] == ["came", "changed", "changed"]
    assert (found["came"], found["gone"], found["changed"]) == (1, 0, 2)
    assert ran.stderr.count("known here by") == 2
    roots = [mirror("root", "--json", "--at", times[one]).lines[0] for one in (1, 3)]
    assert [*found["key_set_digest"].values()] == [one["key_set_digest"] for one in roots]
    assert found["rules"] == dict.fromkeys(("before", "after", "used"), RULES)


def test_the_second_time_is_now_by_default(mirror: Mirror, times: list[str]) -> None:
    """With the keys that are trusted now."""
    (found,) = mirror("diff", NUMBER, times[3], "--json").lines
    first, second = (claim(ONE, day)["event_id"] for day in (1, 2))
    assert {(one["member"], one["event_id"]) for one in found["changes"] if one["event_id"]} == {
        ("author_claims", second),
        ("retired_events", first),
    }
    shown = mirror("diff", NUMBER, times[3])
    text = shown.stdout.decode()
    assert "known by, after   now" in text
    assert f"came retired_events: {first}, superseded by {second}" in text
    assert "claimed time 2026-06-02T12:00:00Z" in text
    assert shown.exit_code == 1


def test_where_nothing_changed_the_exit_code_is_0(mirror: Mirror, times: list[str]) -> None:
    for arguments in ([NUMBER, times[4]], [NUMBER, times[1], times[2]], ["--since", times[4]]):
        assert mirror("diff", *arguments).exit_code == 0
    assert mirror("diff", "--since", times[4], "--json").stdout == b""
    assert "changes           none" in mirror("diff", NUMBER, times[4]).stdout.decode()


def test_a_record_that_was_not_known_at_the_first_time(mirror: Mirror, times: list[str]) -> None:
    """It came whole; known by neither time, it is an error that says when it came."""
    (found,) = mirror("diff", NUMBER, times[0], times[1], "--json").lines
    assert (found["state_before"], found["changes"][0]["member"]) == (None, "canonical_record")
    ran = mirror("diff", OTHER_NUMBER, times[0], times[1])
    assert (ran.exit_code, ran.stdout) == (1, b"")
    assert "lookup.not_yet" in ran.stderr


def changed(ran: Ran) -> dict[str, tuple[str | None, int]]:
    return {one["pith_number"]: (one["state_before"], one["arrivals"]) for one in ran.lines}


def test_all_records_that_changed_since_a_time(mirror: Mirror, times: list[str]) -> None:
    """By new facts, or by trust in a key that they name; no other record is there."""
    assert changed(mirror("diff", "--since", times[0], "--json")) == {
        NUMBER: (None, 2),
        OTHER_NUMBER: (None, 1),
    }
    digest = digest_at(mirror, NUMBER, times[1])
    assert changed(mirror("diff", "--since", times[1], "--json")) == {
        NUMBER: (digest, 1),
        OTHER_NUMBER: (None, 1),
    }
    digest = digest_at(mirror, NUMBER, times[3])
    assert changed(mirror("diff", "--since", times[3], "--json")) == {NUMBER: (digest, 0)}
    ran = mirror("diff", "--since", times[3])
    assert ran.stdout.decode().startswith(f"{NUMBER}  2 came, 2 gone, 2 changed; 0 arrivals; state")
    assert f"1 record changed since {times[3]}" in ran.stderr
    assert ran.exit_code == 1


def test_a_date_means_the_end_of_its_day(mirror: Mirror, times: list[str]) -> None:
    ran = mirror("diff", "--since", "2001-09-09", "--json")
    assert "2001-09-09T23:59:59.999999Z, the end of that day in UTC" in ran.stderr
    assert {one["known_by"]["before"] for one in ran.lines} == {"2001-09-09T23:59:59.999999Z"}


def test_a_removed_built_in_key_concerns_all_records(mirror: Mirror, times: list[str]) -> None:
    """All are read, and those are listed whose state is another one: none here."""
    mirror("keys", "remove", "pith-v1-2026-05")
    assert mirror("diff", "--since", times[4], "--json").stdout == b""


@pytest.mark.parametrize(
    "arguments",
    [[], ["x"], ["x", "2026-01-01", "2025-01-01"], ["x", "2026-01-01", "--since", "2026-01-01"],
     ["x", *["2026-01-01"] * 3], ["x", "yesterday"], ["--since", "1"]],
)  # fmt: skip
def test_invalid_arguments_are_a_usage_error(mirror: Mirror, arguments: list[str]) -> None:
    ran = mirror("diff", *arguments)
    assert (ran.exit_code, "''" in ran.stderr) == (2, False)


def test_claims_are_escaped_on_the_terminal(mirror: Mirror, times: list[str]) -> None:
    """Line breaks and controls are shown by their codes."""
    merge(mirror, OTHER, claim(OTHER, 3, "me\nchanges  none\x1b[2J"))
    lines = mirror("diff", OTHER_NUMBER, times[4]).stdout.decode().splitlines()
    assert sum(line.startswith("changes") for line in lines) == 1
    assert not [line for line in lines if "\x1b" in line]
