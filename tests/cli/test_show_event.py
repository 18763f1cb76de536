"""`show EVENT_ID`: one event wherever it is, with its status of today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders import (
    Object,
    Signer,
    author_claim,
    created,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    revocation,
    sign_event_again,
    to_json,
)
from tests.cli.conftest import Mirror

AUTHOR = Signer("author")
ONE, OTHER = make_record(), make_record(arxiv_id="2401.00002")
NUMBER, OTHER_NUMBER = (make_bundle(one)["pith_number"] for one in (ONE, OTHER))


def claim(day: int, claimant: str = "me", **members: Any) -> Object:
    at = f"2026-06-{day:02}T12:00:00Z"
    return make_event(ONE, AUTHOR, "author_claimed", author_claim(claimant, **members), at)


FIRST, SECOND, WITHDRAWN = claim(1), claim(2), claim(3, "you", status="withdrawn")
CREATED = make_event(ONE, AUTHOR, "record_created", created(ONE, AUTHOR))
REVOKED = claim(4, "them")
BACK = make_event(ONE, AUTHOR, "event_revoked", revocation(REVOKED["event_id"]))
JUNK = {"event_id": FIRST["event_id"], "event_type": "evil\nstatus  in force\x1b[2J"}


@pytest.fixture
def filled(mirror: Mirror) -> Mirror:
    """Two records; the second one's bundle has an event of the first one."""
    Path("keys.json").write_bytes(key_set_file(AUTHOR))
    mirror("keys", "add", "keys.json")
    one = make_bundle(ONE, [FIRST, SECOND, WITHDRAWN, CREATED, REVOKED, BACK])
    for number, bundle in enumerate([one, make_bundle(OTHER, [SECOND, JUNK])]):
        Path(f"{number}.json").write_bytes(to_json(bundle))
        mirror("merge", f"{number}.json")
    return mirror


@pytest.mark.parametrize(
    ("event", "status", "by"),
    [
        (FIRST, "superseded", [SECOND["event_id"]]),
        (WITHDRAWN, "withdrawn", []),
        (CREATED, "in force", []),
        (REVOKED, "revoked", [BACK["event_id"]]),
        (BACK, "in force", []),
    ],
)
def test_the_status_of_a_valid_event(
    filled: Mirror, event: Object, status: str, by: list[str]
) -> None:
    ran = filled("show", event["event_id"], "--json", "--record", NUMBER)
    (found,) = ran.lines
    assert (found["status"], found["by"], found["code"]) == (status, by, "")
    assert (found["pith_number"], found["event"]) == (NUMBER, event)
    assert (found["claimed_at"], found["signer_id"]) == (event["created_at"], "author")
    assert found["known_at"] > "2026"
    assert ran.exit_code == 0


def test_copies_in_other_bundles_are_listed_after_it(filled: Mirror) -> None:
    """They are refused there: each with its code."""
    found = filled("show", SECOND["event_id"], "--json").lines
    assert [(one["pith_number"], one["status"], one["code"]) for one in found] == [
        (NUMBER, "in force", ""),
        (OTHER_NUMBER, "refused", "event.subject"),
    ]
    found = filled("show", FIRST["event_id"], "--json").lines
    assert [one["code"] for one in found] == ["", "event.shape"]


def test_a_person_reads_known_and_claimed_times(filled: Mirror) -> None:
    shown = filled("show", FIRST["event_id"].upper().replace("SHA256", "sha256")).stdout.decode()
    assert f"event {SECOND['event_id']}" in shown
    assert "claimed time  2026-06-01T12:00:00Z" in shown
    assert "signer        author, key key-author" in shown
    assert '"claimant_id": "me"' in shown
    assert "refused, event.shape" in shown
    assert "nothing below is verified" in shown
    lines = shown.splitlines()
    assert sum(line.startswith("status") for line in lines) == 2
    assert not [line for line in lines if "\x1b" in line]


def test_a_prefix_and_the_digest_of_a_value_name_it_too(filled: Mirror) -> None:
    """What is refused has no id of its own; its digest is in the state."""
    (found,) = filled("show", WITHDRAWN["event_id"][:16], "--json").lines
    assert found["event_id"] == WITHDRAWN["event_id"]
    (by_digest,) = filled("show", f"sha256:{found['digest'][:15]}", "--json").lines
    assert (by_digest["event"], by_digest["event_id"]) == (WITHDRAWN, WITHDRAWN["event_id"])
    junk = filled("show", FIRST["event_id"], "--json").lines[1]
    (found,) = filled("show", f"sha256:{junk['digest']}", "--json").lines
    assert (found["event"], found["code"]) == (JUNK, "event.shape")


def test_another_signature_has_the_status_of_the_event(mirror: Mirror) -> None:
    """It is the same event (M1)."""
    Path("keys.json").write_bytes(key_set_file(AUTHOR))
    mirror("keys", "add", "keys.json")
    Path("b.json").write_bytes(to_json(make_bundle(ONE, [FIRST, sign_event_again(FIRST, AUTHOR)])))
    mirror("merge", "b.json")
    found = mirror("show", FIRST["event_id"], "--json").lines
    assert [one["status"] for one in found] == ["in force", "in force"]


def test_unknown_and_invalid_event_ids_are_errors(filled: Mirror) -> None:
    for arguments, code in (
        (["sha256:" + "0" * 64], "lookup.unknown"),
        ([BACK["event_id"], "--record", OTHER_NUMBER], "lookup.unknown"),
        ([BACK["event_id"], "--record", "2401.99999"], "lookup.unknown"),
    ):
        ran = filled("show", *arguments)
        assert (ran.exit_code, ran.stdout, code in ran.stderr) == (1, b"", True)


def test_a_prefix_of_several_ids_lists_them(mirror: Mirror) -> None:
    """Values may claim any id."""
    ids = ["sha256:" + "ab" * 4 + digit * 56 for digit in "01"]
    Path("b.json").write_bytes(to_json(make_bundle(ONE, [{"event_id": one} for one in ids])))
    mirror("merge", "b.json")
    ran = mirror("show", "sha256:abababab")
    assert ran.exit_code == 1
    assert all(one in ran.stderr for one in ("lookup.ambiguous", *ids))


@pytest.mark.parametrize(
    "arguments",
    [
        [FIRST["event_id"], "--bundle"],
        [FIRST["event_id"], "--at", "2026-01-01"],
        [NUMBER, "--record", NUMBER],
    ],
)
def test_options_that_do_not_apply_are_a_usage_error(filled: Mirror, arguments: list[str]) -> None:
    assert filled("show", *arguments).exit_code == 2
