"""`mirror findings`: what does not pass is listed, and what a person knows is no alarm."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.builders import (
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import BUNDLES, Mirror, SampleStore

INVALID = BUNDLES / "invalid"
SIGNATURE = INVALID / "event.signature.json"
SUBJECT = INVALID / "event.subject.json"
REFUSED = INVALID / "record.digest.json"
ADA = ("--by", "Ada", "--reason", "reported upstream")


def _counts(mirror: Mirror, *arguments: object) -> dict[str, tuple[int, int]]:
    counts = mirror("findings", "--json", *arguments).lines[0]["counts"]
    return {code: (one["total"], one["known"]) for code, one in counts.items()}


# Listing -------------------------------------------------------------------------------------


def test_findings_are_counted_and_listed_by_code_record_and_source(mirror: Mirror) -> None:
    """The counts come first, then one line for each arrival, with its source and member."""
    mirror("merge", SIGNATURE, SUBJECT)
    first, *lines = mirror("findings", "--json").lines
    assert {"event.signature", "event.subject"} == set(first["counts"])
    assert [str(SIGNATURE), str(SUBJECT)] == [one["source"] for one in lines]
    number = lines[0]["pith_number"]
    assert {"event.subject": (1, 0)} == _counts(mirror, "--source", SUBJECT)
    assert {"event.subject": (1, 0)} == _counts(mirror, "--code", "event.subject")
    assert 2 == len(_counts(mirror, "--record", number))
    text = mirror("findings", "--limit", 1)
    assert b"event.signature  1 finding, 0 known" in text.stdout
    assert b"event.subject: 1" not in text.stdout
    assert "and more" in text.stderr
    assert 1 == mirror("findings", "--record", "2501.00001").exit_code


def test_a_store_without_findings_says_none(mirror: Mirror) -> None:
    """As `status`, a list exits 0."""
    mirror("merge", INVALID / "bundle.alias.json")
    ran = mirror("findings")
    assert (0, b"findings  none\n") == (ran.exit_code, ran.stdout)


# Acknowledging -------------------------------------------------------------------------------


def test_acknowledged_findings_give_exit_0_and_new_ones_exit_1(mirror: Mirror) -> None:
    """The nightly merge of the same upstream exits 0; one more event of the code is exit 1."""
    assert 1 == mirror("merge", SIGNATURE).exit_code
    assert b"acknowledged  1" in mirror("findings", "ack", "--code", "event.signature", *ADA).stdout
    for command in ("merge", "verify"):
        ran = mirror(command, SIGNATURE)
        assert 0 == ran.exit_code
        assert b"1 acknowledged (event.signature 1)" in ran.stdout
        assert "event.signature:" not in ran.stderr
    bundle = orjson.loads(SIGNATURE.read_bytes())
    bundle["events"][0]["created_at"] = "2026-05-19T00:00:00Z"
    Path("night.json").write_bytes(orjson.dumps(bundle))
    ran = mirror("merge", "night.json", "--quiet")
    assert (1, b"") == (ran.exit_code, ran.stdout)
    assert 1 == len(ran.stderr.splitlines())
    assert {"event.signature": (1, 1), "event.id": (1, 0)} == _counts(mirror)


def test_the_same_code_on_the_same_record_is_new_if_another_fact_has_it(mirror: Mirror) -> None:
    """An acknowledgement covers facts that were there, and is no rule for those that come."""
    known, other = Signer("known"), Signer("other")
    record = make_record()
    Path("a.json").write_bytes(to_json(make_bundle(record, [_claim(record, known)])))
    Path("b.json").write_bytes(to_json(make_bundle(record, [_claim(record, other)])))
    mirror("merge", "a.json")
    mirror("findings", "ack", "--code", "event.key_unknown", *ADA)
    ran = mirror("merge", "a.json", "b.json", "--quiet")
    assert 1 == ran.exit_code
    assert ["b.json"] == [line.split(":")[1].strip() for line in ran.stderr.splitlines()]


def _claim(record: dict[str, Any], signer: Signer) -> object:
    return make_event(record, signer, "author_claim", author_claim())


def test_a_refused_bundle_is_acknowledged_by_its_bytes(mirror: Mirror) -> None:
    """`--from` takes what `verify --json` prints; under another name it is known, too."""
    Path("found.jsonl").write_bytes(mirror("verify", REFUSED, "--json").stdout)
    mirror("merge", INVALID / "bundle.alias.json")
    assert 0 == mirror("findings", "ack", "--from", "found.jsonl", *ADA).exit_code
    Path("again.json").write_bytes(REFUSED.read_bytes())
    assert 0 == mirror("merge", "again.json", "--quiet").exit_code
    Path("again.json").write_bytes(REFUSED.read_bytes().replace(b"{", b"{ ", 1))
    assert 1 == mirror("merge", "again.json", "--quiet").exit_code
    assert 3 == mirror("merge", "absent.json", "--quiet").exit_code


def test_a_wrong_alias_is_acknowledged_for_every_source(mirror: Mirror) -> None:
    """The finding does not depend on the file that it is in."""
    source = INVALID / "bundle.alias.json"
    mirror("merge", source)
    found = mirror("verify", source, "--json").stdout
    assert 0 == mirror("findings", "ack", "--from", "-", *ADA, stdin=found).exit_code
    Path("again.json").write_bytes(source.read_bytes())
    assert (0, "") == (mirror("merge", "again.json", "--quiet").exit_code, "")


def test_one_event_is_acknowledged_by_its_id_or_digest(mirror: Mirror) -> None:
    """And the others of the record are not."""
    mirror("merge", SIGNATURE, SUBJECT)
    event_id = orjson.loads(SUBJECT.read_bytes())["events"][0]["event_id"]
    mirror("findings", "ack", "--event", event_id, *ADA)
    assert {"event.signature": (1, 0), "event.subject": (1, 1)} == _counts(mirror)
    (line,) = mirror("verify", SIGNATURE, "--json").lines
    mirror("findings", "ack", "--event", line["digest"], *ADA)
    assert {"event.signature": (1, 1), "event.subject": (1, 1)} == _counts(mirror)


def test_an_acknowledgement_is_withdrawn_and_the_log_keeps_both(mirror: Mirror) -> None:
    """The findings are new again; both lines have name, time and reason."""
    mirror("merge", SIGNATURE)
    mirror("findings", "ack", "--code", "event.signature", *ADA)
    assert 1 == mirror("findings", "ack", "--code", "event.signature", *ADA).exit_code
    mirror("findings", "ack", "--withdraw", 1, "--by", "Bea", "--reason", "it was no mistake")
    assert {"event.signature": (1, 0)} == _counts(mirror)
    assert 1 == mirror("merge", SIGNATURE).exit_code
    log = mirror("findings", "ack", "--list", "--json").lines
    assert [("Ada", 0, False), ("Bea", 1, False)] == [
        (one["name"], one["withdraws"], one["is_in_force"]) for one in log
    ]
    assert all(one["at"].endswith("Z") for one in log)
    ran = mirror("findings", "ack", "--withdraw", 1, *ADA)
    assert (1, True) == (ran.exit_code, "findings.none" in ran.stderr)
    assert 0 == mirror("findings", "ack", "--code", "event.signature", *ADA).exit_code
    assert b"reported upstream" in mirror("findings", "ack", "--list").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--code", "event.id"),
        ("--code", "event.id", "--by", "Ada"),
        ADA,
        ("--withdraw", "1", "--code", "event.id", *ADA),
        ("--list", "--code", "event.id"),
    ],
)
def test_missing_arguments_are_a_usage_error(mirror: Mirror, arguments: tuple[str, ...]) -> None:
    """An acknowledgement needs a name, a reason and a choice of findings."""
    mirror("merge", SIGNATURE)
    assert 2 == mirror("findings", "ack", *arguments).exit_code
    assert 2 == mirror("findings", "--code", "event.id", "ack", "--list").exit_code


# Equivocations, damage -----------------------------------------------------------------------


def test_equivocations_are_acknowledged_by_record(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """They are listed beside the verdicts."""
    sample_store(BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json")
    total, known = _counts(mirror)["equivocation"]
    assert (total > 0, known) == (True, 0)
    line = mirror("findings", "--code", "equivocation", "--json").lines[1]
    mirror("findings", "ack", "--code", "equivocation", "--record", line["pith_number"], *ADA)
    assert (total, line["total"]) == _counts(mirror)["equivocation"]


def test_damage_is_acknowledged_by_the_findings_of_check(mirror: Mirror) -> None:
    """`check` exits 0 once its damage was acknowledged; after a repair the fact is listed."""
    mirror("merge", SIGNATURE)
    with closing(sqlite3.connect("mirror.db")) as conn, conn:
        conn.execute("UPDATE run SET source = 'elsewhere'")
    found = mirror("check", "--json")
    assert 1 == found.exit_code
    mirror("findings", "ack", "--from", "-", *ADA, stdin=found.stdout)
    ran = mirror("check")
    assert (0, True) == (ran.exit_code, b"1 acknowledged" in ran.stdout)
    assert (0, b"") == (mirror("check", "--quiet").exit_code, mirror("check", "--quiet").stdout)
    mirror("check", "--repair")
    assert (1, 0) == _counts(mirror)["store.damaged"]
    mirror("findings", "ack", "--code", "store.damaged", *ADA)
    assert (1, 1) == _counts(mirror)["store.damaged"]


def test_a_difference_from_upstream_is_acknowledged_until_it_changes(mirror: Mirror) -> None:
    """`compare` exits 0 for it, and 1 again once either side says something else."""
    mirror("merge", BUNDLES / "demo.tar", "--out", "states")
    place = next(Path("states").rglob("state.json"))
    state = orjson.loads(place.read_bytes())
    place.write_bytes(orjson.dumps({**state, "event_count": 99}))
    compare = ("compare", "--upstream", "states", "--no-history")
    found = mirror(*compare, "--json")
    assert 1 == found.exit_code
    assert 0 == mirror("findings", "ack", "--from", "-", *ADA, stdin=found.stdout).exit_code
    ran = mirror(*compare)
    assert (0, True) == (ran.exit_code, b"1 acknowledged" in ran.stdout)
    ran = mirror(*compare, "--quiet")
    assert (0, b"", "") == (ran.exit_code, ran.stdout, ran.stderr)
    place.write_bytes(orjson.dumps({**state, "event_count": 98}))
    ran = mirror(*compare, "--quiet")
    assert (1, b"", True) == (ran.exit_code, ran.stdout, ran.stderr.startswith("differs: "))


# What acknowledgements outlive ---------------------------------------------------------------


def test_acknowledgements_outlive_rebuild_backup_and_repair(mirror: Mirror) -> None:
    """They are in the copy, too, and a broken file that is salvaged still has them."""
    mirror("merge", SIGNATURE)
    mirror("findings", "ack", "--code", "event.signature", *ADA)
    mirror("rebuild")
    assert {"event.signature": (1, 1)} == _counts(mirror)
    mirror("backup", "copy.db")
    assert {"event.signature": (1, 1)} == _counts(mirror, "--db", "copy.db")
    with closing(sqlite3.connect("mirror.db")) as conn, conn:
        conn.execute("DROP TABLE counter")  # what only a recover mends
    assert 1 == mirror("check", "--repair").exit_code
    assert {"event.signature": (1, 1)} == _counts(mirror)


def test_a_verdict_that_changes_its_code_is_new(mirror: Mirror) -> None:
    """An event that was refused for want of a key, and now for its signature, is new."""
    record, signer = make_record(), Signer("known")
    Path("a.json").write_bytes(to_json(make_bundle(record, [_claim(record, signer)])))
    Path("keys.json").write_bytes(key_set_file(Signer("other", key_id=signer.key_id)))
    mirror("merge", "a.json")
    mirror("findings", "ack", "--code", "event.key_unknown", *ADA)
    assert {"event.key_unknown": (1, 1)} == _counts(mirror)
    mirror("keys", "add", "keys.json")
    counts = _counts(mirror)
    assert "event.key_unknown" not in counts
    assert [(1, 0)] == list(counts.values())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE acknowledgement SET reason = 'none'",
        "UPDATE acknowledged_finding SET last = 9",
        "DELETE FROM acknowledged_finding",
        "INSERT INTO acknowledged_finding VALUES (9, 1, 'event', 1, 'event.id', 0, 9, x'')",
    ],
)
def test_a_log_that_was_changed_is_damage(mirror: Mirror, change: str) -> None:
    """`check` finds it by its checksums; a repair forgets what is known, and alarms come back."""
    mirror("merge", SIGNATURE)
    mirror("findings", "ack", "--code", "event.signature", *ADA)
    with closing(sqlite3.connect("mirror.db")) as conn, conn:
        conn.execute(change)
    assert b'"table":"acknowledgement"' in mirror("check", "--json").stdout
    mirror("check", "--repair")
    assert (1, 0) == _counts(mirror)["event.signature"]
    assert 0 == mirror("check").exit_code


def test_a_million_junk_values_take_few_steps(mirror: Mirror) -> None:
    """A page goes from arrival to arrival by index: its work does not grow with the faults."""
    mirror("merge", SIGNATURE)
    with closing(sqlite3.connect("mirror.db")) as conn:
        plans = " ".join(
            row[3]
            for row in conn.execute(
                "EXPLAIN QUERY PLAN SELECT min(arrival_id) FROM verdict"
                " WHERE code = 'event.id' AND arrival_id > 3"
            )
        )
    assert "verdict_by_code" in plans
    assert "SCAN" not in plans
