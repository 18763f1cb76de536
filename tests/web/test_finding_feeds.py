"""Feeds of findings: refused facts, integrity findings, equivocations, damage, differences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import feedparser
import httpx
import pytest

from mirror.core.values import canonical, sha256
from mirror.engine.feeds import findings
from mirror.engine.feeds.entries import FeedEntry
from mirror.engine.feeds.findings import finding_page
from mirror.engine.feeds.positions import NEWEST, FeedScope
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.trust import add_keys
from mirror.store import Store, UpstreamStatementRow, open_store
from tests.builders import (
    Signer,
    author_claim,
    integrity,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    to_json,
)
from tests.helpers import keys_of
from tests.web.conftest import Serve
from tests.web.past_store import clock, merge

CLIENT = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
AUTHOR, STRANGER = Signer("author"), Signer("stranger")
ONE = make_record(arxiv_id="2401.00001", primary_cat="math.AG", cross_cats=["math.NT"])
OTHER = make_record(arxiv_id="2401.00002", primary_cat="math.AG.x", cross_cats=[])
NUMBER = make_bundle(ONE)["pith_number"]
SUFFIX = NUMBER[-26:]


def _claim(strength: str, signer: Signer = AUTHOR, at: str = "2026-05-01T00:00:00Z") -> Any:
    payload = author_claim(strength=strength)
    return make_event(ONE, signer, "author_claimed", payload, created_at=at)


def _fill(store: Store, put: Any) -> None:
    """Make a store with one finding of each kind; arrivals 1 to 7."""
    finding = make_event(ONE, AUTHOR, "pith.integrity.v1", integrity())
    back = make_event(ONE, AUTHOR, "event_revoked", revocation(finding["event_id"]))
    put("2026-06-01T00:00:00Z")
    add_keys(store, keys_of(AUTHOR))
    merge(store, ONE, _claim("strong"))
    put("2026-06-02T00:00:00Z")
    merge(store, OTHER, 7, {}, make_event(OTHER, STRANGER, "author_claimed", author_claim()))
    put("2026-06-03T00:00:00Z")
    merge(store, ONE, finding)
    put("2026-06-04T00:00:00Z")
    merge(store, ONE, _claim("weak"))
    put("2026-06-05T00:00:00Z")
    merge(store, ONE, _claim("strong", at="2026-05-02T00:00:00Z"))
    put("2026-06-06T00:00:00Z")
    merge(store, ONE, _claim("weak", STRANGER))
    put("2026-06-07T00:00:00Z")
    merge(store, ONE, back)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store."""
    path = tmp_path_factory.mktemp("findings") / "mirror.db"
    with open_store(path) as store, clock() as put:
        _fill(store, put)
    return path


@pytest.fixture(scope="module")
def url(path: Path, serve: Serve) -> str:
    """The base URL of a server of the store."""
    return serve(path)


def _read(address: str) -> Any:
    answer = CLIENT.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/atom+xml")
    feed = feedparser.parse(answer.content)
    assert not feed.bozo, feed.bozo_exception
    return feed


def _headlines(feed: Any) -> list[str]:
    return [one.title.partition("): ")[2] for one in feed.entries]


OF_ONE = [
    "1 refused event (1 event.key_unknown)",
    "1 equivocation",
    "1 signed integrity finding",
]


def test_every_kind_of_finding_has_an_entry(url: str) -> None:
    """By the arrival that shows it, the latest first; arrivals without one have none."""
    feed = _read(f"{url}/feeds/findings.atom")
    refused = "3 refused events (1 event.key_unknown, 2 event.shape)"
    assert _headlines(feed) == [*OF_ONE, refused]
    assert [one.updated for one in feed.entries] == [
        "2026-06-06T00:00:00.000000Z",
        "2026-06-04T00:00:00.000000Z",
        "2026-06-03T00:00:00.000000Z",
        "2026-06-02T00:00:00.000000Z",
    ]
    assert [[tag.term for tag in one.tags][:1] for one in feed.entries] == [
        ["event.key_unknown"], ["equivocation"], ["pith.integrity.v1"], ["event.key_unknown"],
    ]  # fmt: skip
    assert "No longer in force: pith.integrity.v1: " in feed.entries[2].summary
    claimed = "2 different events author_claimed of author, claimed time 2026-05-01T00:00:00Z"
    assert claimed in feed.entries[1].summary


def test_records_and_categories_have_their_own(url: str) -> None:
    """The whole name of a category counts, not its beginning."""
    of_record = _read(f"{url}/pith/{SUFFIX}/findings.atom")
    assert _headlines(of_record) == OF_ONE
    for category in ("math.AG", "math.NT"):
        assert _headlines(_read(f"{url}/feeds/category/{category}/findings.atom")) == OF_ONE
    assert len(_read(f"{url}/feeds/category/math.AG.x/findings.atom").entries) == 1
    assert _read(f"{url}/feeds/category/math/findings.atom").entries == []


# Pages ---------------------------------------------------------------------------------------


def _all(store: Store, scope: FeedScope, limit: int) -> Iterator[FeedEntry]:
    before = NEWEST
    while True:
        page = finding_page(store, scope, before, limit)
        assert len(page.entries) <= limit
        yield from page.entries
        if page.following is None:
            return
        assert page.following < before
        before = page.following


@pytest.mark.parametrize("scope", [FeedScope(), FeedScope(1), FeedScope(category="math.AG")])
def test_pages_of_any_size_have_the_same_entries(
    scope: FeedScope, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few arrivals a page looks at or reads."""
    with open_store(path, read_only=True) as store:
        whole = list(_all(store, scope, 50))
        assert len({one.entry_id for one in whole}) == len(whole) in {3, 4}
        for most in (1, 2, 3):
            assert list(_all(store, scope, most)) == whole
            monkeypatch.setattr(findings, "MAX_SCANNED", most)
            assert list(_all(store, scope, 2)) == whole
            monkeypatch.setattr(findings, "MAX_READ", most)
            assert list(_all(store, scope, 2)) == whole


def test_a_finding_goes_with_trust_and_what_changed_has_another_id(tmp_path: Path) -> None:
    """The stranger is trusted now: its events are valid, and what is left is another finding."""
    with open_store(tmp_path / "mirror.db") as store, clock() as put:
        _fill(store, put)
        before = {one.entry_id for one in _all(store, FeedScope(), 50)}
        put("2026-06-08T00:00:00Z")
        add_keys(store, keys_of(STRANGER))
        after = list(_all(store, FeedScope(), 50))
    assert [one.headline for one in after] == [*OF_ONE[1:], "2 refused events (2 event.shape)"]
    assert [one.entry_id in before for one in after] == [True, True, False]


# Large, damaged, different -------------------------------------------------------------------


def test_a_long_arrival_says_that_it_was_not_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed in it is known without reading it; nothing else is claimed."""
    monkeypatch.setattr(findings, "MAX_CONTENT_BYTES", 10)
    monkeypatch.setattr(findings, "_MAX_FACTS", 0)
    with open_store(path, read_only=True) as store:
        found = [one.headline for one in finding_page(store, FeedScope(1), NEWEST, 50).entries]
    long = "more facts than a feed reads: see the page of the record"
    assert found[0] == f"1 equivocation; {long}"  # of the last arrival, since none was read
    assert found[1] == f"1 refused event (1 event.key_unknown); {long}"
    assert set(found[2:]) == {long}


def test_a_record_with_many_refused_events_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can make a feed slow: its facts are neither read nor merged for its state."""
    with open_store(tmp_path / "mirror.db") as store, clock() as put:
        _fill(store, put)
        merge(store, ONE, *range(600))
        assert store.states.has_many_refused(1)
        monkeypatch.setattr(findings, "current_text", None)
        monkeypatch.setattr(type(store.states), "text", None)
        found = [one.headline for one in _all(store, FeedScope(1), 50)]
        assert found == [
            "600 refused events (600 event.shape); 1 equivocation",
            OF_ONE[0],
            "1 signed integrity finding",
        ]


def test_damage_is_a_finding(tmp_path: Path, serve: Serve) -> None:
    """A damaged arrival is listed even if nothing else is wrong with it."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store, clock() as put:
        _fill(store, put)
        with store.transaction():
            store.connection.execute("UPDATE arrival SET content = x'0102' WHERE id = 5")
    feed = _read(f"{serve(path)}/feeds/findings.atom")
    assert feed.entries[1].title == f"Record {SUFFIX}: damaged here"
    assert "content cannot be read" in feed.entries[1].summary
    assert feed.entries[1].tags[0].term == "store.damaged"


def _statement(upstream: str, at: str) -> UpstreamStatementRow:
    text = canonical({"pith_number": NUMBER, "valid_event_count": 77})
    return UpstreamStatementRow(upstream, NUMBER, "state", sha256(text), at, text)


def test_the_feed_of_a_record_has_differences_from_upstreams(tmp_path: Path, serve: Serve) -> None:
    """On its first page; a private path of an upstream is not shown."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store, clock() as put:
        _fill(store, put)
        with store.transaction():
            for upstream, day in (
                ("/secret/place/registry", "08"),
                ("https://user@registry.example/x?key=1", "09"),
            ):
                at = f"2026-06-{day}T00:00:00Z"
                store.upstream_history.append(_statement(upstream, at))
    url = serve(path)
    feed = _read(f"{url}/pith/{SUFFIX}/findings.atom")
    assert [one.updated[:10] for one in feed.entries] == [
        "2026-06-09", "2026-06-08", "2026-06-06", "2026-06-04", "2026-06-03",
    ]  # fmt: skip
    assert _headlines(feed)[0].startswith("compared with an upstream: ")
    assert "https://registry.example/x was first read" in feed.entries[0].summary
    assert "secret" not in feed.entries[1].summary
    assert [one.rel for one in feed.entries[0].links] == ["alternate"]
    assert len({one.id for one in feed.entries}) == 5
    assert len(_read(f"{url}/feeds/findings.atom").entries) == 4


def test_refused_receipts_are_findings(tmp_path: Path) -> None:
    """By their code, apart from events."""
    with open_store(tmp_path / "mirror.db") as store:
        path = tmp_path / "bundle.json"
        path.write_bytes(to_json(make_bundle(ONE, [7], receipts=[make_receipt(ONE, STRANGER)])))
        ingest(store, ReadRequest([str(path)], lambda _report: None))
        (entry,) = finding_page(store, FeedScope(), NEWEST, 50).entries
    assert entry.headline == (
        "1 refused event (1 event.shape); 1 refused receipt (1 receipt.key_unknown)"
    )
