"""Sync: from a registry and between mirrors, again and again, cut off at any moment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import pytest

from mirror.archive import ReadLimits
from mirror.cli import exit_codes
from mirror.core.keys import KeySet
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.bag import ExportOptions, export_bag
from mirror.engine.sync import mirror
from mirror.engine.sync import registry as sync_registry
from mirror.engine.sync.feed import last_change, parse_page, read_page
from mirror.engine.sync.requests import read_identifiers
from mirror.engine.sync.sync import MIRROR, REGISTRY, identify
from mirror.errors import FormatError, LookUpError, UpstreamError
from mirror.net import Client, MirrorClient
from mirror.store import Change, open_store
from mirror.web import ServerSettings
from tests.builders import Object, make_bundle, make_record, to_json, without
from tests.engine.sync.sync_servers import (
    QUICK,
    Registry,
    breaking_after,
    fill,
    make_one,
    root_of,
    run_sync,
    suffix_of,
)
from tests.helpers import ids_in
from tests.net.server import Exchange, Site, message, running, saying
from tests.web.conftest import served

ROOT = Path(__file__).resolve().parents[3]
KILLS = int(os.environ.get("MIRROR_SYNC_KILLS", "4"))
"""How many syncs are killed; some hundreds take minutes."""

Serve: TypeAlias = Callable[[Path], str]


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that answers as a test says."""
    with running(Site()) as site:
        yield site


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(path)` serves a store as a mirror, to the end of the test; its address."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(served(ServerSettings(store=path)))


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Where the store will be."""
    return tmp_path / "mirror.db"


def _records(path: Path) -> int:
    with open_store(path) as store:
        return len(ids_in(store))


def _sources(path: Path) -> set[tuple[str, str]]:
    with open_store(path) as store:
        query = "SELECT source, member FROM run JOIN arrival ON run.id = run_id"
        return set(store.connection.execute(query))


def _number(bundle: Object) -> str:
    return str(bundle["pith_number"])


# Names ---------------------------------------------------------------------------------------

SUFFIX = "7SOLO26TLPZRGSRX2HH227CICV"


def test_a_list_of_ids_may_hold_comments() -> None:
    """Blank lines and comments are skipped."""
    assert ["1705.09786", "x y"] == read_identifiers("\ufeff# mine\n\n 1705.09786 \r\nx y\n")


# From a registry -----------------------------------------------------------------------------


def test_ids_are_fetched_and_merged(site: Site, db: Path) -> None:
    """By any name; each once; and the store says from which address each came."""
    bundles = [make_one(number) for number in range(4)]
    registry = Registry(site, bundles)
    names = ["2401.00000", "arxiv:2401.00001v1", suffix_of(bundles[2]), _number(bundles[3])]
    synced = run_sync(db, registry.url, *names, suffix_of(bundles[3]))
    assert dict.fromkeys(names, "fetched") == synced.statuses
    assert (REGISTRY, 0, 4) == (synced.tally.kind, exit_codes.of_sync(synced.tally), _records(db))
    assert 4 == synced.tally.ingested.new.records == synced.tally.ingested.events_valid
    asked = ("2401.00000", "2401.00001v1", suffix_of(bundles[2]), suffix_of(bundles[3]))
    assert {(registry.url, f"pith/{name}/bundle.json") for name in asked} == _sources(db)


def test_what_has_not_changed_is_not_fetched_again(site: Site, db: Path) -> None:
    """All records of the store are asked for, with the ETags of last time."""
    registry = Registry(site, [make_one(number) for number in range(40)])
    fill(db, [make_one(number) for number in range(40)])
    first = run_sync(db, registry.url)
    assert 40 == first.tally.statuses["fetched"]
    assert not first.tally.ingested.new
    registry.put(make_one(7, claims=2))
    again = run_sync(db, registry.url)
    assert {"fetched": 1, "unchanged": 39} == dict(again.tally.statuses)
    assert (0, 1) == (exit_codes.of_sync(again.tally), again.tally.ingested.new.events)
    assert 40 == run_sync(db, registry.url, ignore_cache=True).tally.statuses["fetched"]


def test_an_id_that_was_fetched_by_its_arxiv_id_is_asked_for_so_again(site: Site, db: Path) -> None:
    """An ETag is good for one address only."""
    registry = Registry(site, [make_one(1)])
    assert "fetched" in run_sync(db, registry.url, "2401.00001").statuses.values()
    assert "unchanged" in run_sync(db, registry.url, "2401.00001").statuses.values()
    assert ["2401.00001", "2401.00001"] == registry.asked()


def test_deleted_and_unknown_records_are_reported(site: Site, db: Path) -> None:
    """The store keeps what upstream has no more."""
    here, there = make_one(1), make_one(2)
    fill(db, [here])
    registry = Registry(site, [there])
    site.at("/pith/9999.00001/bundle.json", saying(message(b"", status="410 Gone")))
    names = (_number(here), _number(there), "9999.00000", "9999.00001", "no id")
    synced = run_sync(db, registry.url, *names)
    assert ["gone", "fetched", "unknown", "unknown", "unknown"] == list(synced.statuses.values())
    assert (1, 2) == (exit_codes.of_sync(synced.tally), _records(db))
    assert ["sync.gone", "sync.id", "sync.unknown"] == synced.codes


def test_ambiguous_name_is_reported(site: Site, db: Path) -> None:
    """With those that the registry names."""
    number = f"pith:2017:{SUFFIX}"
    body = to_json({"choices": [{"pith_number": number}]})
    site.at("/pith/2401.00001/bundle.json", saying(message(body, status="300 Multiple Choices")))
    synced = run_sync(db, site.url(""), "2401.00001")
    assert (["sync.ambiguous"], 1) == (synced.codes, exit_codes.of_sync(synced.tally))
    assert number in synced.results[0].message


def test_the_bundle_of_another_record_is_a_finding_each_time(site: Site, db: Path) -> None:
    """It is merged, because it verifies; and it is not what was asked for."""
    registry = Registry(site)
    registry.answer("2401.00001", to_json(make_one(2)))
    for _ in range(2):
        synced = run_sync(db, registry.url, "2401.00001")
        assert (["sync.other_record"], 1) == (synced.codes, exit_codes.of_sync(synced.tally))
        assert _number(make_one(2)) == synced.results[0].pith_number
    assert _records(db) == 1


def test_refused_record_is_requested_again(site: Site, db: Path) -> None:
    """As from a file: the same codes; nothing of it is remembered; a mended one is fetched."""
    good, bad = make_one(1), make_one(2)
    registry = Registry(site, [good])
    registry.answer(suffix_of(bad), to_json(bad | {"canonical_sha256": "0" * 64}))
    for _ in range(2):
        synced = run_sync(db, registry.url, _number(good), _number(bad))
        assert "refused" == synced.statuses[_number(bad)]
        assert (["record.digest"], 1) == (synced.codes, exit_codes.of_sync(synced.tally))
    registry.put(bad)
    synced = run_sync(db, registry.url, _number(good), _number(bad))
    assert ["unchanged", "fetched"] == list(synced.statuses.values())
    assert (0, 2) == (exit_codes.of_sync(synced.tally), _records(db))


@pytest.mark.parametrize(
    "limits",
    [
        ReadLimits(events=1),
        ReadLimits(values=20),
        ReadLimits(depth=3),
        ReadLimits(member_bytes=1000),
        ReadLimits(bundle_s=1e-9),
    ],
)
@pytest.mark.usefixtures("python_engine")  # the native engine is done before time is over
def test_limits_hold_for_what_is_fetched(limits: ReadLimits, site: Site, db: Path) -> None:
    """What exceeds one comes once it is raised."""
    registry = Registry(site, [make_one(1, claims=3)])
    synced = run_sync(db, registry.url, "2401.00001", limits=limits)
    assert exit_codes.of_sync(synced.tally) in {1, 5}
    assert _records(db) == 0
    assert 0 == exit_codes.of_sync(run_sync(db, registry.url, "2401.00001").tally)


def test_finding_in_a_bundle_is_reported_at_once(site: Site, db: Path) -> None:
    """With the address in it."""
    record = make_record()
    registry = Registry(site, [make_bundle(record, [1])])
    synced = run_sync(db, registry.url, "2401.00001")
    (report,) = synced.reports
    assert (registry.url, "pith/2401.00001/bundle.json", "event.shape", "/events/0") == (
        report.source, report.member, report.code, report.where,
    )  # fmt: skip
    assert ("fetched", 1) == (synced.results[0].status, exit_codes.of_sync(synced.tally))


def test_sync_without_ids_and_records_sends_no_request(site: Site, db: Path) -> None:
    """That is said, and not taken for success."""
    with pytest.raises(LookUpError, match=r"sync\.nothing"):
        run_sync(db, site.url(""))


def test_records_that_a_run_brings_do_not_prolong_it(site: Site, db: Path) -> None:
    """A registry that answers with ever other records is asked for those at hand only."""
    fill(db, [make_one(0)])
    registry = Registry(site)
    registry.answer(suffix_of(make_one(0)), to_json(make_one(1)))
    registry.answer(suffix_of(make_one(1)), to_json(make_one(2)))
    run_sync(db, registry.url)
    assert [suffix_of(make_one(0))] == registry.asked()


# A registry, cut off -------------------------------------------------------------------------


def _hang_up(exchange: Exchange) -> None:
    exchange.hang_up()


def test_run_that_failed_is_resumed(site: Site, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched is kept, and not asked for again; the rest is."""
    monkeypatch.setattr(sync_registry, "BATCH", 4)
    names = [f"2401.{number:05}" for number in range(20)]
    registry = Registry(site, [make_one(number) for number in range(20)])
    whole = dict(site.routes)
    breaking_after(10, site, _hang_up)
    first = run_sync(db, registry.url, *names, kind=REGISTRY)
    assert first.tally.stopped is not None
    assert (5, 10) == (exit_codes.of_sync(first.tally), _records(db))
    registry.asked()
    site.routes = whole
    again = run_sync(db, registry.url, *names, kind=REGISTRY)
    assert {"skipped": 10, "fetched": 10} == dict(again.tally.statuses)
    assert names[10:] == registry.asked()
    assert (0, 20) == (exit_codes.of_sync(again.tally), _records(db))
    last = run_sync(db, registry.url, *names, kind=REGISTRY)
    assert {"unchanged": 20} == dict(last.tally.statuses)


def test_refused_record_is_requested_again_by_a_resumed_run(site: Site, db: Path) -> None:
    """A record that was refused is asked for again when the run is gone on with."""
    names = [f"2401.{number:05}" for number in range(6)]
    registry = Registry(site, [make_one(number) for number in range(6)])
    registry.answer(names[1], b"{}")
    whole = dict(site.routes)
    breaking_after(4, site, _hang_up)
    assert 5 == exit_codes.of_sync(run_sync(db, registry.url, *names, kind=REGISTRY).tally)
    site.routes = whole
    again = run_sync(db, registry.url, *names, kind=REGISTRY)
    assert {"skipped": 3, "fetched": 2, "refused": 1} == dict(again.tally.statuses)
    assert 1 == exit_codes.of_sync(again.tally)


@pytest.mark.parametrize("hours", [-1, 23, 25])
def test_run_can_be_resumed_for_a_day(hours: int, site: Site, db: Path) -> None:
    """One that began earlier, or in the future, is not; and `fresh` goes on with none."""
    registry = Registry(site, [make_one(1)])
    run_sync(db, registry.url, "2401.00001")
    at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="microseconds")
    with open_store(db) as store, store.transaction():
        store.sync_state.begin(registry.url, at)
    expected = "skipped" if hours == 23 else "unchanged"
    assert [expected] == list(run_sync(db, registry.url, "2401.00001").statuses.values())
    with open_store(db) as store, store.transaction():
        assert store.sync_state.begun_at(registry.url) is None
        store.sync_state.begin(registry.url, at)
    fresh = run_sync(db, registry.url, "2401.00001", ignore_cache=True)
    assert ["fetched"] == list(fresh.statuses.values())


def test_ctrl_c_keeps_fetched_records(site: Site, db: Path) -> None:
    """The batch at hand is taken in before the end."""
    registry = Registry(site, [make_one(number) for number in range(5)])

    def interrupt(_records: int) -> None:
        if len(site.requests) == 3:
            raise KeyboardInterrupt

    names = [f"2401.{number:05}" for number in range(5)]
    with pytest.raises(KeyboardInterrupt):
        run_sync(db, registry.url, *names, kind=REGISTRY, progress=interrupt)
    assert _records(db) == 3
    assert {"skipped": 3, "fetched": 2} == dict(run_sync(db, registry.url, *names).tally.statuses)


def test_record_without_an_etag_is_fetched_again(site: Site, db: Path) -> None:
    """Where facts may be gone, no ETag stands for them."""
    registry = Registry(site, [make_one(1)])
    run_sync(db, registry.url, "2401.00001")
    with open_store(db) as store, store.transaction():
        store.source_cache.clear()
    assert ["fetched"] == list(run_sync(db, registry.url, "2401.00001").statuses.values())


# Failures that end a run, and failures that do not -------------------------------------------


def test_a_record_that_fails_does_not_stop_the_others(site: Site, db: Path) -> None:
    """It is named with its code; the exit code says that something was left out."""
    registry = Registry(site, [make_one(number) for number in range(4)])
    site.at("/pith/2401.00001/bundle.json", saying(message(b"", status="403 Forbidden")))
    site.at("/pith/2401.00002/bundle.json", saying(message(b"<html>", media_type="text/html")))
    names = [f"2401.{number:05}" for number in range(4)]
    synced = run_sync(db, registry.url, *names)
    assert ["fetched", "failed", "failed", "fetched"] == list(synced.statuses.values())
    assert (["upstream.status", "upstream.type"], 1) == (
        synced.codes,
        exit_codes.of_sync(synced.tally),
    )
    assert _records(db) == 2


def test_run_ends_after_many_refused_requests_in_a_row(
    site: Site, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some requests in a row that come to nothing."""
    monkeypatch.setattr("mirror.engine.sync.session.MAX_WASTED", 7)
    breaking_after(0, site, saying(message(b"", status="403 Forbidden")))
    names = [f"2401.{number:05}" for number in range(20)]
    synced = run_sync(db, site.url(""), *names, kind=REGISTRY)
    assert (5, 7) == (exit_codes.of_sync(synced.tally), len(site.requests))


def test_server_without_a_readable_bundle_makes_the_exit_code_5(site: Site, db: Path) -> None:
    """Also where it answers, and it is never a bundle that could be fetched."""
    breaking_after(0, site, saying(message(b"<html>", media_type="text/html")))
    synced = run_sync(db, site.url(""), "2401.00001", "2401.00002", kind=REGISTRY)
    assert (5, {"failed": 2}) == (exit_codes.of_sync(synced.tally), dict(synced.tally.statuses))


# What an upstream is -------------------------------------------------------------------------


def test_mirror_is_distinguished_from_a_registry(site: Site, serve: Serve, db: Path) -> None:
    """By asking; what answers otherwise on these paths is a registry."""
    with Client(QUICK) as client:
        assert (MIRROR, 2) == identify(client, serve(fill(db, [make_one(1), make_one(2)])))
        assert (REGISTRY, None) == identify(client, site.url(""))
        for body in (b"{}", b"[]", b"nonsense", b'{"counts":{"records":-1}}', b'{"counts":1}'):
            site.at("/health", saying(message(body)))
            assert (REGISTRY, None) == identify(client, site.url(""))
        site.at("/health", saying(message(b'{"counts":{"records":3}}')))
        assert (REGISTRY, None) == identify(client, site.url(""))
        site.at("/mirror/changes?since=0&limit=1", saying(message(b"<p>", media_type="text/html")))
        assert (REGISTRY, None) == identify(client, site.url(""))


def test_unreachable_server_is_neither_mirror_nor_registry(site: Site) -> None:
    """Nor is one that hangs up."""
    breaking_after(0, site, _hang_up)
    with Client(QUICK) as client, pytest.raises(UpstreamError, match=r"upstream\.unreachable"):
        identify(client, site.url(""))


# The feed ------------------------------------------------------------------------------------

LINE: Object = {
    "change": 3,
    "pith_number": f"pith:2017:{SUFFIX}",
    "at": "2026-01-01T00:00:00+00:00",
}
PAGE: Object = {"since": 2, "next": 3, "more": False, "changes": [LINE]}


def test_a_page_of_the_feed_is_read() -> None:
    """As our own server writes it."""
    page = parse_page(to_json(PAGE), 2, 1)
    assert ([Change(3, LINE["pith_number"], LINE["at"])], False, 3) == page
    assert ([], False, 2) == parse_page(to_json(PAGE | {"next": 2, "changes": []}), 2, 1)


@pytest.mark.parametrize(
    "faulty",
    [
        [],
        without(PAGE, "changes"),
        PAGE | {"changes": {}},
        PAGE | {"changes": [1]},
        PAGE | {"changes": [LINE | {"change": "3"}]},
        PAGE | {"changes": [LINE | {"change": 3.0}]},
        PAGE | {"changes": [LINE | {"change": 2}], "next": 2},
        PAGE | {"changes": [LINE | {"pith_number": SUFFIX}]},
        PAGE | {"changes": [LINE | {"at": 1}]},
        PAGE | {"changes": [LINE | {"at": "x" * 100}]},
        PAGE | {"changes": [LINE, LINE | {"change": 4}], "next": 4},
        PAGE | {"changes": [LINE, LINE]},
        PAGE | {"next": 2},
        PAGE | {"next": 10},
        without(PAGE, "next"),
        PAGE | {"more": 1},
        {"since": 2, "next": 2, "more": True, "changes": []},
    ],
)
def test_invalid_page_of_the_feed_is_refused(faulty: Any) -> None:
    """So a mirror can lead a run neither astray nor round in circles."""
    with pytest.raises(FormatError):
        parse_page(to_json(faulty), 2, 1)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_last_change_is_found_with_few_requests(
    count: int, site: Site, serve: Serve, tmp_path: Path
) -> None:
    """However many there are."""
    url = serve(fill(tmp_path / "there.db", [make_one(number) for number in range(count)]))
    with Client(QUICK) as client:
        remote = MirrorClient(client, url)
        expected = read_page(remote, 0).changes
        assert (expected[-1] if expected else None) == last_change(remote)
        assert client.requests < 130


def test_the_last_change_of_a_feed_with_gaps_is_found(site: Site) -> None:
    """Rows that were moved aside leave holes in the feed."""
    numbers = [5, 6, 1000, 1_000_000, 1_000_007]

    class _Feed(dict[str, Any]):
        def get(self, key: str, _default: Any = None) -> Any:
            since = int(parse_qs(urlsplit(key).query)["since"][0])
            changes = [LINE | {"change": one} for one in numbers if one > since][:1]
            last = changes[-1]["change"] if changes else since
            page = {"since": since, "next": last, "more": last < 1_000_007, "changes": changes}
            return saying(message(to_json(page)))

    site.routes = _Feed()
    with Client(QUICK) as client:
        found = last_change(MirrorClient(client, site.url("")))
    assert found is not None
    assert found.number == 1_000_007


# From a mirror -------------------------------------------------------------------------------


def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "TAR_RECORDS", 6)


def test_a_mirror_is_followed(
    serve: Serve, tmp_path: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it has the first time, what is new the next times; the roots agree."""
    _small_slices(monkeypatch)
    there = fill(tmp_path / "there.db", [make_one(number) for number in range(40)])
    url = serve(there)
    first = run_sync(db, url)
    assert (MIRROR, 40) == (first.tally.kind, first.tally.statuses["fetched"])
    assert (0, root_of(there)) == (exit_codes.of_sync(first.tally), root_of(db))
    assert {url, f"{url}/mirror/bundle.tar"} == {source for source, _ in _sources(db)}
    assert not run_sync(db, url).results
    fill(there, [make_one(7, claims=2), make_one(41)])
    again = run_sync(db, url)
    assert {_number(make_one(7)), _number(make_one(41))} == set(again.statuses)
    assert (0, root_of(there)) == (exit_codes.of_sync(again.tally), root_of(db))
    assert not run_sync(db, url).results


def test_ids_of_a_mirror_are_fetched_singly(serve: Serve, tmp_path: Path, db: Path) -> None:
    """With ETags, as from a registry."""
    url = serve(fill(tmp_path / "there.db", [make_one(1), make_one(2)]))
    assert ["fetched"] == list(run_sync(db, url, "2401.00001").statuses.values())
    assert ["unchanged"] == list(run_sync(db, url, "2401.00001").statuses.values())
    assert _records(db) == 1


def test_all_records_of_a_mirror_are_fetched_in_one_tar(
    serve: Serve, tmp_path: Path, db: Path
) -> None:
    """And its feed is followed from there."""
    there = fill(tmp_path / "there.db", [make_one(number) for number in range(9)])
    url = serve(there)
    whole = run_sync(db, url, full=True)
    assert {"fetched": 9} == {name: n for name, n in whole.tally.statuses.items() if n}
    assert (0, root_of(there)) == (exit_codes.of_sync(whole.tally), root_of(db))
    assert not run_sync(db, url).results
    fill(there, [make_one(10)])
    assert [_number(make_one(10))] == list(run_sync(db, url).statuses)


def test_full_sync_with_a_refused_record_is_repeated_by_the_next_run(
    serve: Serve, tmp_path: Path, db: Path
) -> None:
    """The feed is not taken for followed."""
    there = fill(tmp_path / "there.db", [make_one(1), make_one(2, claims=8)])
    url = serve(there)
    whole = run_sync(db, url, full=True, limits=ReadLimits(events=7))
    assert (1, 1, 1) == (
        exit_codes.of_sync(whole.tally),
        whole.tally.statuses["refused"],
        whole.tally.statuses["fetched"],
    )
    assert 0 == exit_codes.of_sync(run_sync(db, url).tally)
    assert root_of(there) == root_of(db)


def test_a_mirror_that_was_made_anew_is_followed_from_its_start(
    serve: Serve, tmp_path: Path, db: Path
) -> None:
    """Its changes have other numbers now; nothing of it is missed."""
    there = tmp_path / "there.db"
    url = serve(fill(there, [make_one(number) for number in range(8)]))
    run_sync(db, url)
    anew = fill(tmp_path / "anew.db", [make_one(number) for number in range(20, 23)])
    with open_store(db) as store, store.transaction():  # as if the same address had served both
        position = store.sync_state.position(url)
        store.sync_state.move(serve_anew := serve(anew), position, set(), set())
    synced = run_sync(db, serve_anew)
    assert (True, 3) == (synced.tally.is_from_start, synced.tally.statuses["fetched"])
    assert not run_sync(db, serve_anew).tally.is_from_start


def test_refused_record_of_a_feed_is_requested_by_every_run(
    serve: Serve, tmp_path: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for in every run, and no run that lacks it exits with 0."""
    _small_slices(monkeypatch)
    bundles = [make_one(number) for number in range(10)] + [make_one(10, claims=8)]
    there = fill(tmp_path / "there.db", bundles)
    url, small = serve(there), ReadLimits(events=7)
    for _ in range(3):
        synced = run_sync(db, url, limits=small)
        assert "refused" == synced.statuses[_number(bundles[10])]
        assert (["limit.count"], 1) == (synced.codes, exit_codes.of_sync(synced.tally))
    assert 1 == len(synced.results)
    assert {"fetched"} == set(run_sync(db, url).statuses.values())
    assert root_of(there) == root_of(db)
    assert not run_sync(db, url, limits=small).results


class _Fake:
    """A mirror of bundles, whose answers can be spoiled."""

    def __init__(self, site: Site, tmp_path: Path, bundles: list[Object]) -> None:
        self.site = site
        self.url = site.url("")
        self.bundles = {suffix_of(bundle): bundle for bundle in bundles}
        self.named = [_number(bundle) for bundle in bundles]
        self.tars = 0
        self.lack: set[str] = set()
        self.extra: list[Object] = []
        self.spoil: Callable[[bytes], bytes] = lambda tar: tar
        self._folder = tmp_path
        site.routes = self  # type: ignore[assignment]

    def get(self, key: str, default: Any) -> Any:
        url = urlsplit(key)
        query = parse_qs(url.query)
        if url.path == "/health":
            return saying(message(b'{"counts":{"records":3}}'))
        if url.path == "/mirror/changes":
            return saying(message(to_json(self._page(int(query["since"][0])))))
        if url.path == "/mirror/bundle.tar":
            self.tars += 1
            return saying(message(self.spoil(self._tar(query["id"])), media_type="x/tar"))
        match = re.fullmatch(r"/pith/([A-Z2-7]{26})/bundle\.json", key)
        if match and match[1] in self.bundles:
            return saying(message(to_json(self.bundles[match[1]])))
        return default

    def _page(self, since: int) -> Object:
        changes = [
            LINE | {"change": number, "pith_number": one}
            for number, one in enumerate(self.named, 1)
            if number > since
        ]
        last = changes[-1]["change"] if changes else since
        return {"since": since, "next": last, "more": False, "changes": changes}

    def _tar(self, ids: list[str]) -> bytes:
        named = [self.bundles[one] for one in ids if one not in self.lack]
        path = fill(self._folder / f"{self.tars}.db", named + self.extra)
        with open_store(path, read_only=True) as store:
            export_bag(store, OutputFile(path.with_suffix(".tar")), ExportOptions())
        return path.with_suffix(".tar").read_bytes()


@pytest.fixture
def fake(site: Site, tmp_path: Path) -> _Fake:
    """A mirror of eight records."""
    return _Fake(site, tmp_path, [make_one(number) for number in range(8)])


def test_bundles_missing_from_a_tar_are_fetched_singly(fake: _Fake, db: Path) -> None:
    """A tar that holds less than was asked for leaves nothing out."""
    fake.lack = {suffix_of(make_one(3))}
    synced = run_sync(db, fake.url, kind=MIRROR)
    assert (0, 8, 8) == (
        exit_codes.of_sync(synced.tally),
        synced.tally.statuses["fetched"],
        _records(db),
    )
    assert [f"/pith/{suffix_of(make_one(3))}/bundle.json"] == [
        path for path in fake.site.paths if path.startswith("/pith/")
    ]


def test_unrequested_bundle_in_a_tar_is_a_finding(fake: _Fake, db: Path) -> None:
    """And it is merged, because it verifies."""
    fake.extra = [make_one(99)]
    synced = run_sync(db, fake.url, kind=MIRROR)
    assert (1, 9) == (exit_codes.of_sync(synced.tally), _records(db))
    assert ["sync.other_record"] == synced.codes


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda tar: tar[: len(tar) // 2], "archive.truncated"),
        (lambda tar: tar.replace(b"author_claimed", b"author_blamed_"), "archive.fixity"),
        (lambda _tar: b"<html>sorry</html>", "json.syntax"),
        (lambda _tar: b"", "json.syntax"),
    ],
)  # fmt: skip
def test_where_a_tar_is_broken_bundles_come_singly(
    spoil: Callable[[bytes], bytes], code: str, fake: _Fake, db: Path
) -> None:
    """Everything comes; that the tar was broken is a finding."""
    fake.spoil = spoil
    synced = run_sync(db, fake.url, kind=MIRROR)
    assert (8, 1) == (_records(db), exit_codes.of_sync(synced.tally))
    assert code in synced.codes
    assert not run_sync(db, fake.url, kind=MIRROR).results


def test_a_record_of_which_a_member_is_broken_is_fetched_whole(
    site: Site, tmp_path: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2: what its other members brought does not make it one that came."""
    fake = _Fake(site, tmp_path, [make_one(number, claims=8) for number in range(8)])
    monkeypatch.setattr("mirror.core.composed.MEMBER_EVENTS", 4)

    def spoil(tar: bytes) -> bytes:
        at = tar.index(b"/0002.bundle.json")
        return tar[:at] + tar[at:].replace(b"author_claimed", b"author_blamed_", 1)

    fake.spoil = spoil
    synced = run_sync(db, fake.url, kind=MIRROR)
    assert (8, 1) == (_records(db), exit_codes.of_sync(synced.tally))
    assert "archive.fixity" in synced.codes
    assert 1 == sum(path.startswith("/pith/") for path in fake.site.paths)
    assert 8 == synced.tally.statuses["fetched"]
    whole = fill(tmp_path / "whole.db", [make_one(number, claims=8) for number in range(8)])
    assert root_of(whole) == root_of(db)


def test_a_tar_that_is_too_large_is_asked_for_in_parts(fake: _Fake, db: Path) -> None:
    """So a limit on one answer is none on a mirror."""
    size = len(fake._tar([*fake.bundles]))
    polite = replace(QUICK, response_bytes=size - 1)
    synced = run_sync(db, fake.url, kind=MIRROR, polite=polite, response_bytes=size - 1)
    assert (0, 8) == (exit_codes.of_sync(synced.tally), _records(db))


def test_record_that_a_mirror_lists_and_lacks_is_requested_once(fake: _Fake, db: Path) -> None:
    """That it names a record and has none is said; the others come, and the feed is followed."""
    fake.named.insert(2, f"pith:2017:{SUFFIX}")
    fake.lack = {SUFFIX}
    synced = run_sync(db, fake.url, kind=MIRROR)
    assert "unknown" == synced.statuses[f"pith:2017:{SUFFIX}"]
    assert (1, 8) == (exit_codes.of_sync(synced.tally), _records(db))
    assert not run_sync(db, fake.url, kind=MIRROR).results


def test_server_without_a_feed_makes_the_exit_code_5(site: Site, db: Path) -> None:
    """What is called a mirror and is none."""
    synced = run_sync(db, site.url(""), kind=MIRROR)
    assert synced.tally.stopped is not None
    assert ("upstream.feed", 5) == (synced.tally.stopped.code, exit_codes.of_sync(synced.tally))


# Mirrors that sync among each other ----------------------------------------------------------


def _sync_ring(paths: list[Path], urls: list[str]) -> int:
    """Let each mirror sync from the next; how many facts were new."""
    new = 0
    for path, url in zip(paths, urls[1:] + urls[:1], strict=True):
        synced = run_sync(path, url)
        assert 0 == exit_codes.of_sync(synced.tally)
        added = synced.tally.ingested.new
        new += added.records + added.events + added.alias_claims
    return new


@pytest.mark.parametrize("mirrors", [2, 3])
def test_mirrors_that_sync_have_one_root(mirrors: int, serve: Serve, tmp_path: Path) -> None:
    """Whoever has what; and once they agree, nothing is new any more, wherever it came from."""
    paths = [
        fill(
            tmp_path / f"{one}.db",
            [make_one(10 * one + number) for number in range(9)] + [make_one(99, claims=one + 1)],
        )
        for one in range(mirrors)
    ]
    urls = [serve(path) for path in paths]
    assert mirrors == len({root_of(path) for path in paths})
    for _ in range(mirrors):
        assert _sync_ring(paths, urls) > 0 or len({root_of(path) for path in paths}) == 1
    assert 1 == len({root_of(path) for path in paths})
    assert 0 == _sync_ring(paths, urls)
    _sync_ring(paths, urls)
    assert [9 * mirrors + 1] * mirrors == [_records(path) for path in paths]


# Kills ---------------------------------------------------------------------------------------


def _killed(folder: Path, kills: int, *command: str) -> dict[str, Any]:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.sync.sync_servers", folder, str(kills), "1", *command],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads(done.stdout))


OPTIONS = ("--allow-private", "--rate", "0", "--retries", "0")


def test_no_kill_of_a_sync_from_a_registry_loses_a_fact(site: Site, tmp_path: Path) -> None:
    """`kill -9` at random moments; run again, it ends where an undisturbed run ends."""
    bundles = [make_one(number) for number in range(60)]
    registry, folder = Registry(site, bundles), tmp_path / "here"
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"2401.{number:05}\n" for number in range(60)))
    tally = _killed(folder, KILLS, "sync", registry.url, "--ids", str(ids), *OPTIONS)
    assert (KILLS, 0, []) == (tally["kills"], tally["lost"], tally["faults"])
    assert root_of(fill(tmp_path / "there.db", bundles)) == root_of(folder / "mirror.db")


def test_mirrors_killed_during_syncs_have_one_root(serve: Serve, tmp_path: Path) -> None:
    """Three that sync round in a ring, each killed again and again."""
    folders = [tmp_path / str(one) for one in range(3)]
    for one, folder in enumerate(folders):
        store = fill(tmp_path / f"{one}.db", [make_one(15 * one + n) for n in range(20)])
        tally = _killed(folder, KILLS // 2, "sync", serve(store), *OPTIONS)
        assert (KILLS // 2, 0, []) == (tally["kills"], tally["lost"], tally["faults"])
        assert root_of(store) == root_of(folder / "mirror.db")
    paths = [folder / "mirror.db" for folder in folders]
    urls = [serve(path) for path in paths]
    assert 3 == len({root_of(path) for path in paths})
    while _sync_ring(paths, urls):
        pass
    assert 1 == len({root_of(path) for path in paths})
    assert [50, 50, 50] == [_records(path) for path in paths]


def test_key_sets_are_left_alone(serve: Serve, tmp_path: Path, db: Path) -> None:
    """No upstream adds a key."""
    there = fill(tmp_path / "there.db", [make_one(1)])
    before = len(KeySet()) + 1
    run_sync(db, serve(there))
    with open_store(db) as store:
        assert before == len(store.trust_log.key_set())
