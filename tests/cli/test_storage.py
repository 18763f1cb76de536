"""`mirror storage`: lines, JSON Lines, exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from mirror.store import open_store
from tests.builders import Object, key_set_file, to_json
from tests.cli.conftest import BUNDLES, Mirror, SampleStore
from tests.engine.storage.archives import CAPTURED, CAPTURED_AT, bundle_of, page
from tests.engine.sync.sync_servers import AUTHOR, suffix_of
from tests.net.server import Site, redirecting, running, saying

QUICK = ("--allow-private", "--rate", "0", "--retries", "0")

Holding: TypeAlias = Callable[..., Mirror]


@pytest.fixture
def site() -> Iterator[Site]:
    """An archive with a capture."""
    with running(Site()) as site:
        site.at("/here", page())
        yield site


@pytest.fixture
def holding(mirror: Mirror, tmp_path: Path) -> Holding:
    """`holding(bundle...)` is `mirror(...)` with a store of bundles, which trusts their author."""

    def make(*bundles: Object) -> Mirror:
        (tmp_path / "keys.json").write_bytes(key_set_file(AUTHOR))
        (tmp_path / "all.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
        assert mirror("merge", "all.jsonl", "--keys", "keys.json").exit_code == 0
        return mirror

    return make


def test_a_person_sees_each_answer_and_the_counts(holding: Holding, site: Site) -> None:
    """What is not there has its reason below it; exit 1."""
    moved = site.at("/moved", redirecting("/here"))
    gone = site.at("/gone", page("", "404 Not Found"))
    bundle = bundle_of(1, site.url("/here"), moved, gone)
    mirror, number = holding(bundle), f"pith:2024:{suffix_of(bundle)}"
    ran = mirror("storage", "check", suffix_of(bundle), *QUICK)
    assert (ran.exit_code, ran.stderr) == (1, "")
    *answers, present, gone_count, requests = ran.stdout.decode().splitlines()
    lines = {line[21:] if line[0] == "2" else line for line in answers}
    assert lines == {
        f"present {number} {site.url('/here')}",
        f"present {number} {moved}",
        f"  The archive has this capture. It redirected to {site.url('/here')}.",
        f"gone {number} {gone}",
        "  The archive answered 404 (Not Found).",
    }
    assert [one.split() for one in (present, gone_count)] == [
        ["present", "2", "captures"], ["gone", "1", "capture"]
    ]  # fmt: skip
    assert requests.split() == ["requests", "5"]
    listed = mirror("storage", "list", suffix_of(bundle))
    assert listed.stdout.decode().splitlines() == answers


def test_a_script_reads_a_line_for_each_capture_and_a_summary(holding: Holding, site: Site) -> None:
    """All present: exit 0, also if none is asked for again."""
    bundle = bundle_of(1, site.url("/here"))
    mirror = holding(bundle, bundle_of(2))
    ran = mirror("storage", "check", "--json", *QUICK)
    line, last = ran.lines
    event_id = str(bundle["events"][0]["event_id"])
    assert line.pop("at").endswith("Z")
    assert line == {
        "pith_number": f"pith:2024:{suffix_of(bundle)}",
        "event_id": event_id,
        "url": site.url("/here"),
        "status": "present",
        "code": "",
        "http_status": 200,
        "memento_datetime": CAPTURED,
        "redirected_to": "",
        "message": "The archive has this capture.",
        "archive": "an archive",
        "captured_at": CAPTURED_AT,
        "is_asked": True,
    }
    counts = {name: count for name, count in last["summary"].items() if count}
    assert (counts, ran.exit_code) == ({"present": 1, "asked": 1, "requests": 1}, 0)
    again = mirror("storage", "check", "--json", "--older-than", "30", *QUICK)
    counts = {name: count for name, count in again.lines[-1]["summary"].items() if count}
    assert (counts, again.exit_code) == ({"present": 1, "recent": 1}, 0)
    ran = mirror("storage", "check", "--older-than", "30", *QUICK)
    assert [one.split("  ")[0] for one in ran.stdout.decode().splitlines()] == [
        "present", "not asked again", "requests"
    ]  # fmt: skip
    (stored,) = mirror("storage", "list", "--json").lines
    assert stored["event_id"] == event_id


def test_no_response_at_all_is_exit_5(holding: Holding, site: Site) -> None:
    """Addresses that may not be asked among them; one that answers makes it exit 1."""
    silent = site.at("/silent", saying(then_hang_up=True))
    mirror = holding(bundle_of(1, silent, "tape:7"), bundle_of(2, site.url("/here")))
    first = suffix_of(bundle_of(1, silent, "tape:7"))
    ran = mirror("storage", "check", first, *QUICK)
    assert ran.exit_code == 5
    assert b"not_allowed" in ran.stdout
    assert b"unreachable" in ran.stdout
    assert mirror("storage", "check", *QUICK).exit_code == 1
    private = mirror("storage", "check", "--rate", "0", "--retries", "0")
    assert (private.exit_code, private.stdout.count(b"not_allowed")) == (5, 3)


def test_the_last_answer_is_shown_below_its_attestation(holding: Holding, site: Site) -> None:
    """With its time; `status` counts the captures by it."""
    gone = site.at("/gone", page("", "404 Not Found"))
    mirror = holding(bundle_of(1, site.url("/here"), gone))
    before = mirror("show", "arxiv:2401.00001").stdout.decode()
    assert "claimed 2 times by author, not checked here" in before
    assert "stored copies" not in mirror("status").stdout.decode()
    mirror("storage", "check", *QUICK)
    lines = [one.strip() for one in mirror("show", "2401.00001").stdout.decode().splitlines()]
    assert "1 of 2 checked here" in " ".join(lines)
    for url, said in (
        (site.url("/here"), "present. The archive has this capture."),
        (gone, "gone. The archive answered 404 (Not Found)."),
    ):
        (at,) = (number for number, line in enumerate(lines) if f" {url} " in line)
        assert lines[at + 1].startswith("asked at 20")
        assert lines[at + 1].endswith(f"Z: {said}")
    earlier = mirror("show", "2401.00001", "--claimed-until", "2999-01-01").stdout.decode()
    assert "asked at" not in earlier
    assert mirror("status", "--json").lines[0]["storage_checks"] == {"gone": 1, "present": 1}
    rows = dict(one.split("  ", 1) for one in mirror("status").stdout.decode().splitlines())
    assert rows["stored copies"].strip() == "gone 1, present 1"


def test_a_check_without_captures_sends_no_request(holding: Holding) -> None:
    """No request is sent, and nothing is missing: exit 0."""
    ran = holding(bundle_of(2))("storage", "check")
    rows = dict(line.split("  ", 1) for line in ran.stdout.decode().splitlines())
    assert ran.exit_code == 0
    assert rows["captures"].strip() == "none: no storage attestation is in force"
    assert rows["requests"].strip() == "0"


def test_a_damaged_record_is_an_error_alone_and_counted_among_others(
    holding: Holding, site: Site
) -> None:
    """Nothing that was left out ends with exit 0."""
    mirror = holding(bundle_of(1, site.url("/here")))
    with open_store(Path("mirror.db")) as store:
        store.connection.execute("UPDATE state SET outline = x'00'")
    alone = mirror("storage", "check", "arxiv:2401.00001", *QUICK)
    assert (alone.exit_code, "store.damaged" in alone.stderr) == (4, True)
    among = mirror("storage", "check", *QUICK)
    assert (among.exit_code, b"1 record, left out" in among.stdout) == (1, True)
    assert site.requests == []


def test_texts_of_events_are_escaped_on_the_terminal(holding: Holding) -> None:
    """An address is any text (E4)."""
    ran = holding(bundle_of(1, "http://a\x1b[2J\u202e/"))("storage", "check", *QUICK)
    assert ran.exit_code == 5
    assert "\\x1b[2J\\u202e" in ran.stdout.decode()


def test_the_demo_is_asked_for_only_what_may_be_asked(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """A tape has no address that could be requested."""
    sample_store(BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json")
    assert mirror("storage", "check", "EI5HAOZQ").exit_code == 0
    assert mirror("storage", "list").stdout == b""
