"""`mirror sync`: tables, JSON Lines, exit codes, options."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.store import open_store
from mirror.web import ServerSettings
from tests.builders import key_set_file
from tests.cli.conftest import Mirror, read_terminal
from tests.engine.sync.sync_servers import (
    AUTHOR,
    Registry,
    breaking_after,
    fill,
    make_one,
    suffix_of,
)
from tests.helpers import ids_in
from tests.net.server import Exchange, Site, message, running, saying
from tests.web.conftest import served

POLITE = ("--allow-private", "--rate", "0", "--retries", "0")


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that answers as a test says."""
    with running(Site()) as site:
        yield site


@pytest.fixture
def registry(site: Site) -> Registry:
    """A registry of five records."""
    return Registry(site, [make_one(number) for number in range(5)])


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """The address of another mirror, of nine records."""
    path = fill(tmp_path / "other.db", [make_one(number) for number in range(9)])
    with served(ServerSettings(store=path)) as url:
        yield url


@pytest.fixture
def trusting(mirror: Mirror, tmp_path: Path) -> Mirror:
    """`mirror(...)`, with a store that trusts the author."""
    (tmp_path / "keys.json").write_bytes(key_set_file(AUTHOR))
    assert mirror("keys", "add", "keys.json").exit_code == 0
    return mirror


def _rows(stdout: bytes) -> dict[str, str]:
    lines = stdout.decode().splitlines()
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in lines}


def _hang_up(exchange: Exchange) -> None:
    exchange.hang_up()


def test_the_summary_counts_what_was_fetched(trusting: Mirror, other: str) -> None:
    """What was fetched, what of it was new, and how often was asked."""
    ran = trusting("sync", f"{other}/", *POLITE)
    rows = _rows(ran.stdout)
    assert (0, "") == (ran.exit_code, ran.stderr)
    assert f"{other} (mirror)" == rows["upstream"]
    assert ("9 records", "0 records") == (rows["fetched"], rows["failed"])
    assert "9 records, 9 events, 0 receipts, 54 alias times" == rows["new"]
    assert ("4", "mirror.db") == (rows["requests"], rows["store"])
    again = _rows(trusting("sync", other, *POLITE).stdout)
    assert "0 records, 0 events, 0 receipts, 0 alias times" == again["new"]


def test_json_has_a_line_for_each_record_and_a_summary(
    trusting: Mirror, registry: Registry
) -> None:
    """In the order in which they were asked for; nothing else is on stdout."""
    registry.answer("2401.00003", b"{}")
    names = ["2401.00001", "nowhere", "2401.00003", "\udcff"]
    ran = trusting("sync", registry.url, *names, *POLITE, "--json")
    *lines, last = ran.lines
    results = [line for line in lines if "status" in line]
    findings = [line for line in lines if "where" in line]
    assert ["fetched", "unknown", "refused", "unknown"] == [one["status"] for one in results]
    assert [*names[:3], "\\xff"] == [one["asked"] for one in results]
    assert [("bundle.shape", "pith/2401.00003/bundle.json", registry.url)] == [
        (one["code"], one["member"], one["source"]) for one in findings
    ]
    summary = last["summary"]
    assert (1, 2, 1, 0) == tuple(
        summary[name] for name in ("fetched", "unknown", "refused", "failed")
    )
    assert {"bundle.shape": 1, "sync.id": 1, "sync.unknown": 1} == summary["codes"]
    assert ("registry", None, 1) == (summary["kind"], summary["stopped"], ran.exit_code)
    assert {"records": 1, "alias_claims": 6, "receipts": 0, "events": 1} == summary["new"]


def test_findings_are_shown_to_a_person_with_their_address(
    trusting: Mirror, registry: Registry
) -> None:
    """A refusal once, though it is a finding and a result."""
    registry.answer("2401.00003", b"{}")
    ran = trusting("sync", registry.url, "2401.00003", "2401.00009", *POLITE)
    refused, unknown = ran.stderr.splitlines()
    assert refused.startswith(f"bundle.shape: {registry.url}:pith/2401.00003/bundle.json")
    address = f"{registry.url}/pith/2401.00009/bundle.json"
    assert f"sync.unknown: {address}: The upstream has no record of this name." == unknown
    assert ran.exit_code == 1
    assert ["bundle.shape 1", "sync.unknown 1"] == [
        line.split("  ")[-1].strip()
        for line in ran.stdout.decode().splitlines()
        if line.endswith(" 1")
    ]


def test_an_event_of_an_unknown_signer_is_a_finding_with_a_hint(
    mirror: Mirror, registry: Registry
) -> None:
    """The exit code is that of `merge`."""
    ran = mirror("sync", registry.url, "2401.00001", *POLITE)
    assert ran.exit_code == 1
    assert "event.key_unknown: " in ran.stderr
    assert "hint: to trust a key" in ran.stderr


def test_findings_after_the_first_twenty_are_counted(mirror: Mirror, site: Site) -> None:
    """A person sees the first twenty."""
    names = [f"2401.{number:05}" for number in range(30)]
    site.at("/pith/x/bundle.json", saying(message(b"{}")))
    ran = mirror("sync", site.url(""), *names, *POLITE)
    assert "… and 10 more findings; --json prints all of them" in ran.stderr


def test_ids_come_from_a_file_or_standard_input(trusting: Mirror, registry: Registry) -> None:
    """Beside those that are typed; each is asked for once."""
    Path("ids.txt").write_text(f"# mine\n2401.00001\n\n{suffix_of(make_one(2))}\n")
    ran = trusting("sync", registry.url, "2401.00001", "--ids", "ids.txt", *POLITE)
    assert (0, "2 records") == (ran.exit_code, _rows(ran.stdout)["fetched"])
    ran = trusting("sync", registry.url, "--ids", "-", *POLITE, stdin=b"2401.00003\n2401.00004\n")
    assert (0, "2 records") == (ran.exit_code, _rows(ran.stdout)["fetched"])
    assert 3 == trusting("sync", registry.url, "--ids", "absent.txt", *POLITE).exit_code


def test_an_unreachable_server_is_exit_5_and_creates_no_store(
    mirror: Mirror, tmp_path: Path
) -> None:
    """A typing error leaves nothing behind."""
    ran = mirror("sync", "http://127.0.0.1:9", *POLITE)
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert "error: upstream.unreachable at http://127.0.0.1:9/health" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_private_addresses_are_refused_by_default(mirror: Mirror, registry: Registry) -> None:
    """The default is the public internet only."""
    ran = mirror("sync", registry.url, "2401.00001")
    assert ran.exit_code == 5
    assert "upstream.private" in ran.stderr


def test_an_abandoned_run_reports_its_progress(
    trusting: Mirror, registry: Registry, site: Site
) -> None:
    """Table, error, hint and exit code 5; and with --json the summary says so."""
    whole = dict(site.routes)
    breaking_after(2, site, _hang_up)
    command = ("sync", registry.url, "--kind", "registry", *POLITE)
    names = [f"2401.{number:05}" for number in range(5)]
    ran = trusting(*command, *names)
    assert (5, "2 records") == (ran.exit_code, _rows(ran.stdout)["fetched"])
    assert "error: upstream.unreachable at" in ran.stderr
    assert "2 records done before are stored; rerun the command to resume" in ran.stderr
    ran = trusting(*command, *names, "--json")
    summary = ran.lines[-1]["summary"]
    assert (5, 2, "upstream.unreachable") == (
        ran.exit_code,
        summary["skipped"],
        summary["stopped"]["code"],
    )
    site.routes = whole
    ran = trusting(*command, *names)
    assert (0, "2 records") == (ran.exit_code, _rows(ran.stdout)["already done"])


@pytest.mark.parametrize(
    "options",
    [
        ("http://127.0.0.1/?x=1",),
        ("http://127.0.0.1/#x",),
        ("http://127.0.0.1/\u00e4",),
        ("http://127.0.0.1/\n",),
        ("http://127.0.0.1", "2401.00001", "--full"),
        ("http://127.0.0.1", "--full", "--kind", "registry"),
        ("http://127.0.0.1", "--kind", "church"),
        ("http://127.0.0.1", "--rate", "-1"),
        ("http://127.0.0.1", "--contact", "a\nb"),
        (),
    ],
)
def test_invalid_arguments_are_a_usage_error(options: tuple[str, ...], mirror: Mirror) -> None:
    """Before anything is asked."""
    assert mirror("sync", *options).exit_code == 2


def test_all_is_refused_for_registries(mirror: Mirror, registry: Registry, other: str) -> None:
    """A registry has no such tar; a file of no ids is not all."""
    assert mirror("sync", registry.url, "--full", *POLITE).exit_code == 2
    Path("empty.txt").write_text("# nothing\n")
    assert mirror("sync", other, "--ids", "empty.txt", *POLITE).exit_code == 2
    ran = mirror("sync", other, "--full", *POLITE)
    assert "9 records" == _rows(ran.stdout)["fetched"]
    small = mirror("sync", other, "--full", "--max-bag", "1000", "--db", "small.db", *POLITE)
    assert (5, True) == (small.exit_code, "upstream.size" in small.stderr)


def test_a_sync_without_ids_is_exit_1(mirror: Mirror, registry: Registry) -> None:
    """An empty store, and no ids."""
    ran = mirror("sync", registry.url, *POLITE)
    assert (1, True) == (ran.exit_code, "sync.nothing" in ran.stderr)


def test_a_store_that_cannot_be_written_is_exit_4(
    mirror: Mirror, registry: Registry, tmp_path: Path
) -> None:
    """Nothing is fetched that could not be stored."""
    (tmp_path / "mirror.db").write_bytes(b"no store" * 1000)
    assert mirror("sync", registry.url, "2401.00001", *POLITE).exit_code == 4


def test_options_come_from_the_environment(
    trusting: Mirror, registry: Registry, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contact is in the user agent."""
    monkeypatch.setenv("MIRROR_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("MIRROR_CONTACT", "mailto:library@example.org")
    monkeypatch.setenv("MIRROR_SYNC_KIND", "registry")
    assert trusting("sync", registry.url, "2401.00001").exit_code == 0
    (request,) = site.requests
    assert request.headers["user-agent"].endswith("mailto:library@example.org")


def test_rate_limits_the_requests_of_a_run(trusting: Mirror, registry: Registry) -> None:
    """`--rate` holds from the first to the last."""
    started = time.monotonic()
    names = [f"2401.{number:05}" for number in range(5)]
    trusting("sync", registry.url, *names, "--allow-private", "--kind", "registry", "--rate", "20")
    assert time.monotonic() - started >= 4 / 20


def test_ctrl_c_is_exit_130_and_fetched_records_are_stored(
    site: Site, registry: Registry, tmp_path: Path
) -> None:
    """As every command; the next run goes on."""
    names = [f"2401.{number:05}" for number in range(5)]
    site.at("/pith/2401.00003/bundle.json", _wait)
    command = [sys.executable, "-m", "mirror", "sync", registry.url, *names, *POLITE]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        while "/pith/2401.00003/bundle.json" not in site.paths:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted: stored data is kept" in stderr
    with open_store(tmp_path / "mirror.db") as store:
        assert 3 == len(ids_in(store))


def _wait(exchange: Exchange) -> None:
    exchange.stopping.wait(60)  # the end of the test ends it
    exchange.hang_up()


def test_progress_shows_on_a_terminal(registry: Registry, program: Path, tmp_path: Path) -> None:
    """How many were asked for; a pipe sees nothing of it, as the other tests show."""
    command = [str(program), "sync", registry.url, "2401.00001", *POLITE]
    leader, follower = pty.openpty()
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=follower):
        os.close(follower)
        shown = read_terminal(leader)
    assert "asked for" in shown
    assert "1 records" in shown


def test_acknowledged_findings_of_an_upstream_give_exit_0(
    mirror: Mirror, registry: Registry
) -> None:
    """Refused bundles and refused events, both acknowledged: exit 0, and nothing is printed."""
    registry.answer("2401.00003", b"{}")
    sync = ("sync", registry.url, "2401.00001", "2401.00003", *POLITE)
    found = mirror(*sync, "--json")
    assert found.exit_code == 1
    who = ("--by", "Ada", "--reason", "reported")
    mirror("findings", "ack", "--from", "-", *who, stdin=found.stdout)
    ran = mirror(*sync, "--ignore-cache", "--quiet")
    assert (0, b"", "") == (ran.exit_code, ran.stdout, ran.stderr)
    ran = mirror(*sync, "--ignore-cache")
    assert (0, True) == (ran.exit_code, b"acknowledged (" in ran.stdout)
    registry.answer("2401.00003", b"[]")
    assert mirror(*sync, "--ignore-cache", "--quiet").exit_code == 1
