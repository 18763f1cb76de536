"""`mirror anchors`: results of time-stamps as a person sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.core.record import parse_record
from tests.builders import key_set_file, make_bundle, make_record, to_json
from tests.chains import chain, roots
from tests.cli.conftest import Mirror
from tests.engine.anchors.test_update import (
    HEIGHT,
    OTHER,
    PARSED,
    PROMISE,
    PROOF,
    RECORD,
    ROOT,
    SIGNER,
    time_stamp,
)


@pytest.fixture
def merged(mirror: Mirror, tmp_path: Path) -> Mirror:
    """The command, in a folder with a store that has two time-stamps of a record."""
    (tmp_path / "keys.json").write_bytes(key_set_file(SIGNER, OTHER))
    events = [time_stamp(PROOF), time_stamp(PROMISE, OTHER)]
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(RECORD, events)))
    assert mirror("keys", "add", "keys.json").exit_code == 0
    assert mirror("merge", "bundle.json").exit_code == 0
    return mirror


def test_headers_anchor_what_was_without(merged: Mirror, tmp_path: Path) -> None:
    before = merged("anchors")
    assert before.exit_code == 0
    assert b"1 no header yet, 1 pending" in before.stdout
    assert b"`mirror headers add FILE` adds it" in before.stdout
    (tmp_path / "headers").write_bytes(b"".join(chain([ROOT, *roots(2)])))
    added = merged("headers", "add", "headers", "--height", HEIGHT)
    assert b"1 anchored, 1 pending" in added.stdout
    lines = merged("anchors", PARSED.pith_number, "--json").lines
    anchored = {line["status"]: line for line in lines}["anchored"]
    assert (anchored["at"], anchored["method"]) == ("2026-05-28T20:26:40Z", "opentimestamps")
    assert anchored["attestations"][0]["block"]["headers_after"] == 2
    assert {line["pith_number"] for line in lines} == {PARSED.pith_number}
    assert merged("status", "--json").lines[0]["anchors"] == {"anchored": 1, "pending": 1}
    assert b"time-stamps    1 anchored, 1 pending\n" in merged("status").stdout
    for _ in range(2):
        assert merged("check").exit_code == 0
        assert merged("rebuild").exit_code == 0
        assert merged("status", "--json").lines[0]["anchors"] == {"anchored": 1, "pending": 1}


def test_the_results_of_one_record_are_counted_alone(merged: Mirror, tmp_path: Path) -> None:
    other = make_record(arxiv_id="2401.00009")
    (tmp_path / "other.json").write_bytes(to_json(make_bundle(other)))
    merged("merge", "other.json")
    pith_number = parse_record(other).pith_number
    assert merged("anchors", pith_number).stdout == b"time-stamps  none in force\n"


def test_a_contradiction_is_exit_1(merged: Mirror, tmp_path: Path) -> None:
    (tmp_path / "headers").write_bytes(chain(roots(1))[0])
    merged("headers", "add", "headers", "--height", HEIGHT)
    ran = merged("anchors")
    assert (ran.exit_code, b"not in this block" in ran.stdout) == (1, True)


def test_status_says_that_the_store_has_changed(merged: Mirror) -> None:
    """Until the next update, what is counted may be old."""
    assert b"time-stamps" not in merged("status").stdout
    merged("anchors")
    merged("keys", "remove", OTHER.key_id)
    assert b"run `mirror anchors`" in merged("status").stdout
    merged("anchors")
    assert b"time-stamps    1 no header yet\n" in merged("status").stdout


def test_show_checks_what_is_not_stored(merged: Mirror, tmp_path: Path) -> None:
    """Without storing it; and shows what is stored."""
    shown = merged("show", PARSED.pith_number).stdout.decode()
    assert "  no header yet: the proof leads to the Merkle root" in shown
    assert merged("status", "--json").lines[0]["anchors"] == {}
    (tmp_path / "headers").write_bytes(chain([ROOT])[0])
    merged("headers", "add", "headers", "--height", HEIGHT)
    shown = merged("show", PARSED.pith_number).stdout.decode()
    assert "  anchored 2026-05-28T20:26:40Z: block 500 of" in shown
    assert "(checked 20" in shown
    assert "1 of 2 checked here" in shown
