"""Upstreams that are broken, or mean harm: a sync ends, says why, and loses nothing."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mirror.archive import ReadLimits
from mirror.cli import exit_codes
from mirror.engine.states.check import CheckScope, check
from mirror.engine.sync import mirror
from mirror.engine.sync.sync import MIRROR, REGISTRY
from mirror.errors import UpstreamError
from mirror.store import open_store
from tests.builders import Object, make_bundle, make_record, to_json
from tests.engine.sync.sync_servers import (
    QUICK,
    Registry,
    Synced,
    breaking_after,
    fill,
    make_one,
    run_sync,
    suffix_of,
)
from tests.helpers import ids_in
from tests.net.server import (
    Exchange,
    Handler,
    Site,
    in_turn,
    message,
    redirecting,
    running,
    saying,
)

HELD = [make_one(number) for number in range(3)]
"""What the store holds before."""
GOOD = make_one(50)
"""What the upstream has besides what it does."""
NAME = "2401.00077"
"""What it is asked for."""
PATIENT = replace(QUICK, read_seconds=60, response_seconds=120)
"""For answers that come, however busy the machine is."""


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that answers as a test says."""
    with running(Site()) as site:
        yield site


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Path]:
    """A store that holds something before, and still does after the test."""
    path = fill(tmp_path / "mirror.db", HELD)
    yield path
    assert check(path, CheckScope(), lambda _damage: None).damages == []
    with open_store(path, read_only=True) as store:
        assert all(store.records.by_suffix(suffix_of(bundle)) for bundle in HELD)


def _records(path: Path) -> int:
    with open_store(path) as store:
        return len(ids_in(store))


def _ask(site: Site, db: Path, handler: Handler, **more: Any) -> Synced:
    """Ask for a good bundle, for what the handler answers, and for a good one again."""
    registry = Registry(site, [GOOD, make_one(51)])
    site.at(f"/pith/{NAME}/bundle.json", handler)
    names = (suffix_of(GOOD), NAME, suffix_of(make_one(51)))
    return run_sync(db, registry.url, *names, kind=REGISTRY, **more)


# One answer that is bad ----------------------------------------------------------------------


def _trickle(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    exchange.trickle(b"[" * 10_000)
    exchange.hang_up()


def _endless(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    while not exchange.stopping.is_set():
        exchange.send(b"1," * 100_000)


def _truncate(exchange: Exchange) -> None:
    exchange.send(message(to_json(GOOD))[:-100])
    exchange.hang_up()


def _stay_silent(exchange: Exchange) -> None:
    exchange.stopping.wait(3)
    exchange.hang_up()


def _packed(body: bytes) -> bytes:
    return message(gzip.compress(body), content_encoding="gzip")


HUGE = b'{"bundle_type":"' + b"x" * 4_000_000 + b'"}'
ELSEWHERE = "http://127.0.0.2:9/pith/x/bundle.json"

ANSWERS: dict[str, tuple[Handler, str]] = {
    "slow": (_trickle, "upstream.timeout"),
    "silent": (_stay_silent, "upstream.timeout"),
    "endless": (_endless, "upstream.size"),
    "truncated": (_truncate, "upstream.truncated"),
    "4 MB": (saying(message(HUGE)), "upstream.size"),
    "a bomb": (saying(_packed(HUGE)), "upstream.size"),
    "no gzip": (saying(message(b"{}", content_encoding="gzip")), "upstream.encoding"),
    "HTML": (saying(message(b"<html>", media_type="text/html")), "upstream.type"),
    "HTML that is called JSON": (saying(message(b"<html>sorry</html>")), "json.syntax"),
    "nothing": (saying(message(b"")), "json.syntax"),
    "nonsense": (saying(message(b"\x00\xff" * 50)), "json.syntax"),
    "a state": (saying(message(b'{"state_type":"pith_open_graph_state"}')), "bundle.shape"),
    "several bundles": (saying(message(to_json(GOOD) + b"\n" + to_json(GOOD))), "json.syntax"),
    "deep": (saying(message(b"[" * 100_000 + b"]" * 100_000)), "json.depth"),
    "another record": (saying(message(to_json(make_one(52)))), "sync.other_record"),
    "a circle": (redirecting(f"/pith/{NAME}/bundle.json"), "upstream.redirect"),
    "another host": (redirecting(ELSEWHERE), "upstream.redirect"),
    "another scheme": (redirecting("file:///etc/passwd"), "upstream.redirect"),
    "forbidden": (saying(message(b"", status="403 Forbidden")), "upstream.status"),
    "broken": (saying(message(b"", status="500 Oops")), "upstream.status"),
    "teapot": (saying(message(b"", status="418 I'm a teapot")), "upstream.status"),
    "304 unasked": (saying(message(b"", status="304 Not Modified", content_length="")),
                    "upstream.status"),
    "300 with nonsense": (saying(message(b"\xff" * 1000, status="300 Multiple Choices")),
                          "sync.ambiguous"),
    "gone": (saying(message(b"x" * 200_000, status="410 Gone")), "sync.unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_one_bad_answer_is_reported_and_the_others_are_merged(
    name: str, site: Site, db: Path
) -> None:
    """The bundles before and after it are merged; the exit code says that one is left out."""
    handler, code = ANSWERS[name]
    polite = QUICK if code == "upstream.timeout" else PATIENT
    synced = _ask(site, db, handler, polite=polite, limits=ReadLimits(member_bytes=1 << 20))
    assert (1, [code]) == (exit_codes.of_sync(synced.tally), synced.codes)
    assert [suffix_of(GOOD), suffix_of(make_one(51))] == [
        result.asked for result in synced.results if result.status == "fetched"
    ]
    assert _records(db) == len(HELD) + 2 + (name == "another record")


def test_an_id_leads_to_no_other_path_or_host(site: Site, db: Path) -> None:
    """No id leads to another path, query or host."""
    names = ["../../health", "hep-th/9801199", "a?b=c/d", "x#y/abc", "//127.0.0.2/abcd", "%2e%2e/x"]
    run_sync(db, site.url(""), *names, kind=REGISTRY)
    assert ["/pith/hep-th%2F9801199/bundle.json"] == [
        path for path in site.paths if not path.startswith("/pith/127.0.0.2")
    ]


@pytest.mark.parametrize("etag", ['"a\\"', "no quotes", '"\xff"', '"' + "x" * 5000 + '"', "W/"])
def test_an_invalid_etag_changes_nothing(etag: str, site: Site, db: Path) -> None:
    """It is sent back as it came, or not at all."""
    answer = message(to_json(GOOD), etag=etag)
    site.at(f"/pith/{suffix_of(GOOD)}/bundle.json", saying(answer))
    for _ in range(2):
        synced = run_sync(db, site.url(""), suffix_of(GOOD), kind=REGISTRY)
        assert ("fetched", 0) == (synced.results[0].status, exit_codes.of_sync(synced.tally))


# A server that is bad as a whole -------------------------------------------------------------


def _hang_up(exchange: Exchange) -> None:
    exchange.hang_up()


NAMES = [f"2401.{number:05}" for number in range(60, 80)]

STORMS: dict[str, tuple[Handler, str]] = {
    "429": (saying(message(b"", status="429 Too Many Requests")), "upstream.busy"),
    "503": (saying(message(b"", status="503 Unavailable", retry_after="0")), "upstream.busy"),
    "a day off": (saying(message(b"", status="503 Unavailable", retry_after="86400")),
                  "upstream.busy"),
    "no answers": (_hang_up, "upstream.unreachable"),
    "no HTTP": (saying(b"220 mail.example ESMTP\r\n", then_hang_up=True), "upstream.unreachable"),
    "silence": (_stay_silent, "upstream.timeout"),
    "broken answers": (_truncate, "upstream.truncated"),
    "moved": (redirecting(ELSEWHERE), "upstream.redirect"),
    "a page for people": (saying(message(b"<p>", media_type="text/html")), "upstream.type"),
}  # fmt: skip


@pytest.mark.parametrize("name", STORMS)
def test_sync_with_a_failing_server_stops_and_keeps_what_was_fetched(
    name: str, site: Site, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 5, and soon; the next run goes on where this one stopped."""
    monkeypatch.setattr("mirror.engine.sync.session.MAX_WASTED", 4)
    handler, code = STORMS[name]
    registry = Registry(site, [make_one(number) for number in range(60, 80)])
    whole = dict(site.routes)
    breaking_after(4, site, handler)
    read_seconds = 0.5 if code == "upstream.timeout" else PATIENT.read_seconds
    polite = replace(PATIENT, retries=1, read_seconds=read_seconds)
    synced = run_sync(db, registry.url, *NAMES, kind=REGISTRY, polite=polite)
    assert synced.tally.stopped is not None
    assert (5, code) == (exit_codes.of_sync(synced.tally), synced.tally.stopped.code)
    assert (4, len(HELD) + 4) == (synced.tally.statuses["fetched"], _records(db))
    assert len(site.requests) <= 4 + 4
    site.routes = whole
    again = run_sync(db, registry.url, *NAMES, kind=REGISTRY)
    assert {"skipped": 4, "fetched": 16} == dict(again.tally.statuses)
    assert 0 == exit_codes.of_sync(again.tally)


def test_a_busy_server_is_waited_for(site: Site, db: Path) -> None:
    """What passes is no failure."""
    registry = Registry(site, [GOOD])
    good = site.routes[f"/pith/{suffix_of(GOOD)}/bundle.json"]
    busy = saying(message(b"", status="503 Unavailable", retry_after="0"))
    site.at(f"/pith/{suffix_of(GOOD)}/bundle.json", in_turn(busy, busy, good))
    synced = run_sync(
        db, registry.url, suffix_of(GOOD), kind=REGISTRY, polite=replace(QUICK, retries=3)
    )
    assert (0, 3) == (exit_codes.of_sync(synced.tally), synced.tally.requests)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "file:///etc", "http://user:pass@127.0.0.1", "http://", "127.0.0.1"]
)
def test_only_addresses_of_the_web_are_asked(url: str, db: Path) -> None:
    """And none with a password in it; nothing is stored of it."""
    with pytest.raises(UpstreamError) as refused:
        run_sync(db, url, "2401.00001", kind=REGISTRY)
    assert ("upstream.url", 5) == (refused.value.code, exit_codes.of_error(refused.value))
    assert b"user:pass" not in db.read_bytes()


def test_private_addresses_are_asked_only_if_that_is_allowed(site: Site, db: Path) -> None:
    """No request reaches one otherwise."""
    polite = replace(QUICK, allow_private=False)
    synced = run_sync(db, site.url(""), "2401.00001", kind=REGISTRY, polite=polite)
    assert synced.tally.stopped is not None
    assert ("upstream.private", []) == (synced.tally.stopped.code, site.requests)


# A mirror that is bad ------------------------------------------------------------------------


def _line(number: int, pith_number: str) -> Object:
    return {"change": number, "pith_number": pith_number, "at": "2026-01-01T00:00:00+00:00"}


def _feed(site: Site, pages: dict[int, Handler]) -> str:
    """A mirror with such pages of its feed; its address."""
    for since, handler in pages.items():
        site.at(f"/mirror/changes?since={since}&limit=1000", handler)
    return site.url("")


def _page(since: int, *lines: Object, more: bool = False) -> Handler:
    last = lines[-1]["change"] if lines else since
    page = {"since": since, "next": last, "more": more, "changes": list(lines)}
    return saying(message(to_json(page)))


NUMBER = str(GOOD["pith_number"])

FEEDS: dict[str, Handler] = {
    "no JSON": saying(message(b"<feed>")),
    "HTML": saying(message(b"<html>", media_type="text/html")),
    "a list": saying(message(b"[]")),
    "round in circles": _page(0, more=True),
    "backwards": _page(0, _line(5, NUMBER), _line(4, NUMBER)),
    "too many": _page(0, *(_line(number, NUMBER) for number in range(1, 1002))),
    "a path": _page(0, _line(1, "pith:2017:../../../../../../../health")),
    "huge": saying(message(b"[" + b"1," * 3_000_000 + b"1]")),
    "cut off": _truncate,
}


@pytest.mark.parametrize("name", FEEDS)
def test_an_invalid_feed_ends_the_run(name: str, site: Site, db: Path) -> None:
    """Nothing is fetched on its word."""
    synced = run_sync(db, _feed(site, {0: FEEDS[name]}), kind=MIRROR)
    assert synced.tally.stopped is not None
    assert 5 == exit_codes.of_sync(synced.tally)
    assert {"/mirror/changes?since=0&limit=1000"} == set(site.paths)


def test_an_interrupted_feed_is_resumed(site: Site, db: Path) -> None:
    """What the first page named is in the store, and is not asked for again."""
    url = _feed(site, {0: _page(0, _line(7, NUMBER), more=True), 7: _hang_up})
    Registry(site, [GOOD, make_one(51)])
    assert 5 == exit_codes.of_sync(run_sync(db, url, kind=MIRROR).tally)
    other = str(make_one(51)["pith_number"])
    _feed(site, {7: _page(7, _line(9, other)), 6: _page(6, _line(7, NUMBER), _line(9, other))})
    again = run_sync(db, url, kind=MIRROR)
    assert ({other: "fetched"}, 0) == (again.statuses, exit_codes.of_sync(again.tally))
    assert _records(db) == len(HELD) + 2


def test_a_feed_in_short_pages_is_followed(site: Site, db: Path) -> None:
    """Also where the first page holds nothing but the change that was followed last."""
    other = str(make_one(51)["pith_number"])
    url = _feed(site, {0: _page(0, _line(7, NUMBER))})
    Registry(site, [GOOD, make_one(51)])
    assert 0 == exit_codes.of_sync(run_sync(db, url, kind=MIRROR).tally)
    _feed(site, {6: _page(6, _line(7, NUMBER), more=True), 7: _page(7, _line(9, other))})
    again = run_sync(db, url, kind=MIRROR)
    assert ({other: "fetched"}, 0) == (again.statuses, exit_codes.of_sync(again.tally))


def test_a_feed_that_repeats_its_entries_gets_few_requests(site: Site, db: Path) -> None:
    """A record that a page names a thousand times is fetched once."""
    url = _feed(site, {0: _page(0, *(_line(number, NUMBER) for number in range(1, 1001)))})
    Registry(site, [GOOD])
    synced = run_sync(db, url, kind=MIRROR)
    assert ({NUMBER: "fetched"}, 2) == (synced.statuses, synced.tally.requests)


class _Endless(dict[str, Handler]):
    """The routes of a mirror whose feed has no end: a page names these records, and says more."""

    def __init__(self, site: Site, numbers: Callable[[int], list[str]]) -> None:
        super().__init__(site.routes)
        self._numbers = numbers

    def get(self, key: str, default: Any = None) -> Any:
        """Answer any page; all else as the site does."""
        if not key.startswith("/mirror/changes"):
            return super().get(key, default)
        since = int(parse_qs(urlsplit(key).query)["since"][0])
        lines = [_line(since + n, one) for n, one in enumerate(self._numbers(since), 1)]
        return _page(since, *lines, more=True)


ENDLESS: dict[str, Callable[[int], list[str]]] = {
    "records that are not there": lambda since: [
        suffix_number(since + n) for n in range(mirror.FEW * 3)
    ],
    "one such record": lambda since: [suffix_number(since)],
    "a record that came before": lambda _since: [NUMBER],
}


def suffix_number(number: int) -> str:
    """A Pith Number of no record."""
    return "pith:2020:" + f"{number:026}".translate(str.maketrans("0189", "ABCD"))


@pytest.mark.parametrize("name", ENDLESS)
def test_a_feed_without_end_is_given_up(name: str, site: Site, db: Path) -> None:
    """`upstream.empty` after so many answers in a row that bring no record; what came is kept."""
    Registry(site, [GOOD])
    site.routes = _Endless(site, ENDLESS[name])
    synced = run_sync(db, site.url(""), kind=MIRROR, max_empty=20)
    assert synced.tally.stopped is not None
    assert ("upstream.empty", 5) == (synced.tally.stopped.code, exit_codes.of_sync(synced.tally))
    assert synced.tally.requests < 60


def test_a_feed_that_brings_records_is_not_given_up(site: Site, db: Path) -> None:
    """Records that are not there, between others that are."""
    good = [make_one(number) for number in range(100, 103)]
    missing = [suffix_number(number) for number in range(6)]
    named = [missing[:2], [str(good[0]["pith_number"])], missing[2:4], [NUMBER], missing[4:]]
    pages, since = {}, 0
    for names in named:
        lines = [_line(since + n, one) for n, one in enumerate(names, 1)]
        pages[since] = _page(since, *lines, more=names is not named[-1])
        since += len(names)
    url = _feed(site, pages)
    Registry(site, [GOOD, *good])
    synced = run_sync(db, url, kind=MIRROR, max_empty=3)
    assert synced.tally.stopped is None
    assert (2, 6) == (synced.tally.statuses["fetched"], synced.tally.statuses["unknown"])


def test_a_feed_that_gives_a_record_another_year_is_refused(site: Site, db: Path) -> None:
    """What came is merged under its own number, and what was named is owed."""
    liar = f"pith:1999:{suffix_of(GOOD)}"
    url = _feed(site, {0: _page(0, _line(1, liar))})
    Registry(site, [GOOD])
    synced = run_sync(db, url, kind=MIRROR)
    assert (["sync.other_record"], 1) == (synced.codes, exit_codes.of_sync(synced.tally))
    assert _records(db) == len(HELD) + 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda store: store.connection.execute("UPDATE sync_state SET cursor = 99 WHERE name = ''"),
        lambda store: store.connection.execute("DELETE FROM sync_state WHERE name LIKE '!%'"),
        lambda store: store.connection.execute("UPDATE sync_state SET etag = 'x'"),
    ],
)
def test_a_damaged_position_in_a_feed_leaves_nothing_out(
    spoil: Callable[[Any], object], site: Site, db: Path
) -> None:
    """Where it was followed to, or what is owed, is not believed; it is read from its start."""
    bad = make_bundle(make_record(arxiv_id="2401.00090"), canonical_sha256="0" * 64)
    lines = [_line(1, NUMBER), _line(2, str(bad["pith_number"]))]
    url = _feed(site, {0: _page(0, *lines), 1: _page(1, lines[1]), 98: _page(98)})
    registry = Registry(site, [GOOD, bad])
    assert 1 == exit_codes.of_sync(run_sync(db, url, kind=MIRROR).tally)
    with open_store(db) as store:
        spoil(store)
    registry.put(make_bundle(make_record(arxiv_id="2401.00090")))
    synced = run_sync(db, url, kind=MIRROR)
    assert "fetched" == synced.statuses[str(bad["pith_number"])]
    assert (0, len(HELD) + 2) == (exit_codes.of_sync(synced.tally), _records(db))
