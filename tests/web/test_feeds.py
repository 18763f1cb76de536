"""Feeds of changes: Atom, read by a feed reader that is not ours, while the store grows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import feedparser
import httpx
import pytest
from lxml import etree

from mirror.engine.feeds import changes
from mirror.engine.feeds.changes import change_page
from mirror.engine.feeds.entries import FeedEntry
from mirror.engine.feeds.positions import NEWEST, FeedScope, parse_position
from mirror.engine.states.rebuild import repair
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.errors import FormatError
from mirror.store import Damage, Store, open_store
from mirror.web import feeds
from tests.builders import (
    Signer,
    author_claim,
    make_event,
    make_record,
    snapshot,
)
from tests.helpers import keys_of
from tests.web.conftest import Serve
from tests.web.hostile import hostile_store
from tests.web.past_store import RECORD, SECONDS, SUFFIX, clock, make_past, merge

CLIENT = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
ATOM = "{http://www.w3.org/2005/Atom}"
Feed = Any


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose record changed at four known times."""
    path = tmp_path_factory.mktemp("feeds") / "mirror.db"
    make_past(path)
    return path


@pytest.fixture(scope="module")
def url(past: Path, serve: Serve) -> str:
    """The base URL of a server of that store."""
    return serve(past)


def _read(address: str) -> Feed:
    """A page of a feed, as feedparser reads it."""
    answer = CLIENT.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/atom+xml")
    feed = feedparser.parse(answer.content)
    assert not feed.bozo, feed.bozo_exception
    return feed


def _link(feed: Feed, relation: str) -> str | None:
    return next((one.href for one in feed.feed.links if one.rel == relation), None)


def _walk(address: str | None) -> Iterator[Feed]:
    """All pages from an address on."""
    while address is not None:
        feed = _read(address)
        yield feed
        address = _link(feed, "next")


def _ids(pages: Iterator[Feed]) -> list[str]:
    return [entry.id for page in pages for entry in page.entries]


# A record ------------------------------------------------------------------------------------


def test_the_feed_of_a_record_has_an_entry_for_each_change(url: str) -> None:
    """Arrivals and the change of trust, the latest first, at their known times."""
    feed = _read(f"{url}/pith/{SUFFIX}/changes.atom")
    assert [one.updated for one in feed.entries] == [
        "2026-06-04T12:00:00.999999Z",
        "2026-06-03T00:00:00.000000Z",
        "2026-06-02T12:00:00.750000Z",
        "2026-06-02T12:00:00.250000Z",
        "2026-06-01T12:00:00.500000Z",
    ]
    assert [one.title.partition(": ")[2] for one in feed.entries] == [
        "1 valid event (1 event_revoked)",
        "trust changed: trusted: key key-author",
        "1 refused event (1 event.key_unknown)",
        "1 refused event (1 event.key_unknown)",
        "new record; 1 valid event (1 record_created); claimed times of 6 aliases",
    ]
    assert {one.title.partition(": ")[0] for one in feed.entries} == {"On mirrors (title proved)"}
    assert [[by.name for by in one.get("contributors", [])] for one in feed.entries] == [
        ["author"], [], [], [], ["registry"],
    ]  # fmt: skip
    assert feed.feed.updated == feed.entries[0].updated
    assert feed.feed.author == "A mirror of pith.science"
    assert "Verdicts are those under the keys that were trusted then" in feed.entries[-1].summary


def test_entries_link_to_mementos(url: str) -> None:
    """The page of today, and the mementos of page, state and bundle."""
    feed = _read(f"{url}/pith/{SUFFIX}/changes.atom")
    place = f"{url}/pith/{SUFFIX}"
    for entry, second in zip(feed.entries, [*SECONDS[::-1], *SECONDS[1::-1]][:3], strict=False):
        found = [(one.rel, one.href) for one in entry.links]
        then = f"{place}/at/{second}"
        related = [("related", f"{then}{end}") for end in ("", "/state.json", "/bundle.json")]
        assert found == [("alternate", place), *related]
        for _, address in found:
            assert CLIENT.get(address).status_code == 200


def test_a_short_name_leads_to_the_same_feed(url: str) -> None:
    """The document names its own address; an unknown record has none."""
    whole = CLIENT.get(f"{url}/pith/{SUFFIX}/changes.atom")
    short = CLIENT.get(f"{url}/pith/{SUFFIX[:8].lower()}/changes.atom")
    assert short.content == whole.content
    assert short.headers["content-location"] == f"/pith/{SUFFIX}/changes.atom"
    assert "content-location" not in whole.headers
    assert CLIENT.get(f"{url}/pith/AAAAAAAA/changes.atom").json()["code"] == "lookup.unknown"


# The mirror and categories -------------------------------------------------------------------


def test_the_feed_of_the_mirror_has_everything(url: str) -> None:
    """Every arrival and every change of trust; the same arrival has the same id everywhere."""
    everything = _read(f"{url}/feeds/changes.atom")
    assert [one.title for one in everything.entries][1:4] == [
        "arxiv:2401.00002 v1 (no title known): new record; claimed times of 6 aliases",
        "This mirror: trust changed: trusted: key key-author",
        "On mirrors (title proved): 1 refused event (1 event.key_unknown)",
    ]
    ids = [one.id for one in everything.entries]
    assert len(ids) == len(set(ids)) == 7
    of_record = [one.id for one in _read(f"{url}/pith/{SUFFIX}/changes.atom").entries]
    assert [one for one in of_record if one in ids] == [*of_record[:1], *of_record[2:]]
    assert everything.feed.id == f"{url}/feeds/changes.atom" == _link(everything, "self")


def test_a_category_has_the_arrivals_of_its_records(url: str) -> None:
    """By the whole name of a category, primary or not; an unknown one has an empty feed."""
    metadata: dict[str, Any] = RECORD["metadata"]
    primary: str = metadata["primary_cat"]
    for category in (primary, *metadata["cross_cats_sorted"]):
        feed = _read(f"{url}/feeds/category/{category}/changes.atom")
        assert len(feed.entries) == 5
        assert category in {tag.term for tag in feed.entries[0].tags}
        assert _link(feed, "next") is None
    for unknown in (primary[:-1], f"{primary}%2Fx", "%E2%80%AE"):
        assert _read(f"{url}/feeds/category/{unknown}/changes.atom").entries == []


def test_a_category_is_looked_for_in_parts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks at few arrivals; the next ones follow until all were looked at."""
    category = RECORD["metadata"]["primary_cat"]
    whole = _ids(_walk(f"{url}/feeds/category/{category}/changes.atom"))
    monkeypatch.setattr(changes, "MAX_SCANNED", 2)
    pages = [*_walk(f"{url}/feeds/category/{category}/changes.atom")]
    assert len(pages) == 3
    assert _ids(iter(pages)) == whole
    assert len(list(_walk(f"{url}/feeds/category/none/changes.atom"))) == 3


# Pages ---------------------------------------------------------------------------------------


def test_pages_survive_a_merge(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives during a walk is neither in it nor moves what is."""
    path = tmp_path / "mirror.db"
    make_past(path)
    address = f"{serve(path)}/feeds/changes.atom"
    whole = _ids(_walk(address))
    monkeypatch.setattr(feeds, "MAX_ENTRIES", 2)
    found = []
    for number, page in enumerate(_walk(address)):
        found += [one.id for one in page.entries]
        assert len(page.entries) <= 2
        assert _link(page, "first") == address
        with open_store(path) as store:
            merge(store, make_record(arxiv_id=f"2402.0000{number}"))
            add_keys(store, keys_of(Signer(f"other-{number}")))
    assert found == whole
    later = _ids(_walk(address))
    assert later[-len(whole) :] == whole
    assert len(later) == len(whole) + 2 * len(range(0, len(whole), 2)) == len(set(later))


@pytest.mark.parametrize("before", ["", "x", "-1", "1.", "1e3", "٣", "1" * 16, "1.2.3", "1\n"])
def test_a_position_is_a_number_or_two(before: str, url: str) -> None:
    """Whatever else is asked for is refused."""
    with pytest.raises(FormatError, match="not a position"):
        parse_position(before)
    answer = CLIENT.get(f"{url}/feeds/changes.atom", params={"before": before})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.before")


def test_feeds_are_revalidated_and_compressed(url: str) -> None:
    """304 for the same ETag, whatever the coding; a time does not show that nothing changed."""
    address = f"{url}/feeds/changes.atom"
    first = CLIENT.get(address)
    assert first.headers["content-encoding"] == "zstd"
    again = CLIENT.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    dated = CLIENT.get(address, headers={"If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 GMT"})
    assert (dated.status_code, "last-modified" in dated.headers) == (200, False)


# Hostile, large and damaged ------------------------------------------------------------------


def test_hostile_strings_break_no_feed(tmp_path: Path, serve: Serve) -> None:
    """Markup is shown as text; what XML forbids, and what hides or turns text, by its number."""
    store, suffix = hostile_store(tmp_path)
    url = serve(store)
    for address in ("/feeds/changes.atom", f"/pith/{suffix}/changes.atom"):
        answer = CLIENT.get(url + address)
        root = etree.fromstring(answer.content)
        feed = _read(url + address)
        assert {one.tag for one in root.iter()} <= {ATOM + name for name in _ELEMENTS}
        assert "arxiv:<script>" in answer.text.replace("&lt;", "<").replace("&gt;", ">")
        assert {one.title_detail.type for one in feed.entries} == {"text/plain"}
        assert {one.summary_detail.type for one in feed.entries} == {"text/plain"}
        shown = "".join(root.itertext())
        assert not set("\u202e\u2066\u200b\x00\x1b") & set(shown)
        assert "<U+202E>" in shown


_ELEMENTS = ("feed", "entry", "id", "title", "subtitle", "updated", "author", "contributor", "name",
             "uri", "generator", "icon", "link", "category", "rights", "summary")  # fmt: skip


def test_a_hostile_title_is_text(tmp_path: Path, serve: Serve) -> None:
    """Ends of sections, markup, characters that XML forbids, and marks of direction."""
    record, signer = make_record(), Signer("author")
    title = "]]><script>\x01\ufffe\u200f&amp;<!--"
    event = make_event(record, signer, "graph_snapshot", snapshot({"paper": {"title": title}}))
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        add_keys(store, keys_of(signer))
        merge(store, record, event)
    answer = CLIENT.get(f"{serve(path)}/pith/{SUFFIX}/changes.atom")
    (shown,) = etree.fromstring(answer.content).findall(f"{ATOM}entry/{ATOM}title")
    claimed = "(title claimed, not with the hash in the record): new record; "
    assert shown.text.startswith(f"]]><script><U+0001><U+FFFE><U+200F>&amp;<!-- {claimed}")


def test_categories_of_any_name_have_a_feed(tmp_path: Path, serve: Serve) -> None:
    """With slashes, markup and characters that only a URL can hold."""
    store, suffix = hostile_store(tmp_path)
    url = serve(store)
    with open_store(store, read_only=True) as opened:
        categories = opened.records.get(opened.records.by_suffix(suffix)[0]).categories
    for category in (one for one in categories if len(one) < 500):
        name = quote(category, safe="")
        assert _read(f"{url}/feeds/category/{name}/changes.atom").entries, category


def test_a_large_arrival_is_not_read(past: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry says so, and names no number."""
    monkeypatch.setattr(changes, "MAX_CONTENT_BYTES", 10)
    with open_store(past, read_only=True) as store:
        entries = change_page(store, FeedScope(1), NEWEST, 50).entries
    words = "more facts than a feed lists: see the history of the record"
    assert [one.headline for one in entries if not one.headline.startswith("trust")] == [
        words, words, words, f"new record; {words}",
    ]  # fmt: skip


DAMAGE = {
    "content": ("UPDATE arrival SET content = x'00' WHERE record_id = 2", 1, "content cannot be"),
    "commit": ("UPDATE arrival_commit SET rules = 'x' WHERE last_arrival_id = 2", 1, "checksum"),
    "record": ("UPDATE record SET value = x'00' WHERE id = 1", 4, "cannot be read"),
    "no record": ("DELETE FROM record WHERE id = 1", 4, "row is missing"),
    "state": ("UPDATE state SET outline = x'00' WHERE record_id = 1", 4, "checksum"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_arrival_has_an_entry(damage: str, tmp_path: Path, serve: Serve) -> None:
    """What cannot be read is named, and everything else is listed."""
    path = tmp_path / "mirror.db"
    make_past(path)
    statement, count, reason = DAMAGE[damage]
    with open_store(path) as store:
        store.connection.execute("PRAGMA foreign_keys = OFF")
        with store.transaction():
            store.connection.execute(statement)
    answer = CLIENT.get(f"{serve(path)}/feeds/changes.atom")
    feed = feedparser.parse(answer.content)
    assert not feed.bozo
    damaged = [one for one in feed.entries if "damaged here" in one.title]
    assert len(damaged) == count
    assert {one.title.partition(" ")[0] for one in damaged} <= {"Record", "A"}
    assert reason in damaged[0].summary
    assert len(feed.entries) == 7


def test_an_id_never_names_two_changes(tmp_path: Path) -> None:
    """When the first facts of a record are moved aside, the next ones bring the record."""
    make_past(tmp_path / "mirror.db")
    with open_store(tmp_path / "mirror.db") as store:
        before, number = _words(store), store.records.get(1).pith_number
        repair(store, [Damage("arrival", 1, 1, number, "damaged")])
        after = _words(store)
    assert sum("new record" in one for one in after.values()) == 2
    assert len(after.keys() - before.keys()) == 1
    assert all(before[one] == after[one] for one in before.keys() & after.keys())


def _words(store: Store) -> dict[str, str]:
    return {one.entry_id: one.words for one in _all(store, FeedScope(), 50)}


# Whatever happens ----------------------------------------------------------------------------


def _all(store: Store, scope: FeedScope, limit: int) -> list[FeedEntry]:
    found: list[FeedEntry] = []
    before = NEWEST
    while True:
        page = change_page(store, scope, before, limit)
        assert len(page.entries) <= limit
        found += page.entries
        if page.following is None:
            return found
        assert page.following < before
        before = page.following


@pytest.mark.parametrize("seed", range(4))
def test_every_change_keeps_one_unchanged_entry(seed: int, tmp_path: Path) -> None:
    """Random merges and changes of trust: nothing is missing or doubled, and no word changes."""
    chance = random.Random(seed)
    signers = [Signer(f"signer-{number}") for number in range(3)]
    records = [make_record(arxiv_id=f"2403.0000{number}") for number in range(3)]
    known: dict[str, tuple[str, str, str]] = {}
    with open_store(tmp_path / "mirror.db") as store, clock() as put:
        trusted: list[Signer] = []
        for step in range(12):
            put(f"2026-07-01T00:00:{step // 2:02}.{step % 2}00000Z")
            signer, record = chance.choice(signers), chance.choice(records)
            if chance.random() < 0.4:
                if signer in trusted:
                    remove_keys(store, [signer.key_id])
                    trusted.remove(signer)
                else:
                    add_keys(store, keys_of(signer))
                    trusted.append(signer)
            else:
                title = {"paper": {"title": f"{step}"}}
                at = f"2026-05-01T00:00:{step:02}Z"
                events = [
                    make_event(record, signer, "author_claimed", author_claim(), created_at=at),
                    make_event(record, signer, "graph_snapshot", snapshot(title), created_at=at),
                ]
                merge(store, record, *events[: chance.randint(1, 2)])
            with store.snapshot():
                entries = _all(store, FeedScope(), chance.randint(1, 5))
                _hold(store, entries, known)
                for record_id in range(1, store.records.last_id() + 1):
                    _hold_record(store, record_id, entries, chance.randint(1, 5))


def _hold(store: Store, entries: list[FeedEntry], known: dict[str, tuple[str, str, str]]) -> None:
    arrivals = [one.position.arrival for one in entries if not one.position.trust]
    assert arrivals == list(range(store.facts.last_arrival(), 0, -1))
    lines = [one.position.trust for one in entries if one.position.trust]
    assert lines == list(range(len(store.trust_log.log()), 0, -1))
    times = [one.known_at for one in entries]
    assert times == sorted(times, reverse=True)
    assert len({one.entry_id for one in entries}) == len(entries)
    now = {one.entry_id: (one.known_at, one.headline, one.words) for one in entries}
    assert known.items() <= now.items()
    known.update(now)


def _hold_record(store: Store, record_id: int, entries: list[FeedEntry], limit: int) -> None:
    suffix = store.records.suffix(record_id)
    own = _all(store, FeedScope(record_id), limit)
    arrivals = [one for one in entries if one.suffix == suffix]
    assert [one.entry_id for one in own if not one.position.trust] == [
        one.entry_id for one in arrivals
    ]
    everywhere = {one.known_at for one in entries}
    assert {one.known_at for one in own if one.position.trust} <= everywhere
