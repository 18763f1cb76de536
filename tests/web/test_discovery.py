"""Ways by which robots and browsers find what there is: sitemap, robots.txt, OpenSearch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.robotparser import RobotFileParser

import httpx
import pytest
from lxml import etree
from usp.tree import sitemap_tree_for_homepage

from mirror.engine.states.rebuild import repair
from mirror.store import Damage, open_store
from mirror.web import ServerSettings, sitemaps
from mirror.web.opensearch import OPENSEARCH
from tests.web.conftest import Serve, served
from tests.web.markup import Page
from tests.web.past_store import SUFFIX, make_past

CLIENT = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
_SPACES = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9",
           "o": "http://a9.com/-/spec/opensearch/1.1/"}  # fmt: skip


def _found(url: str, path: str) -> list[str]:
    """The texts or attributes in a document."""
    found: list[str] = etree.fromstring(CLIENT.get(url).content).xpath(path, namespaces=_SPACES)
    return found


# Sitemap -------------------------------------------------------------------------------------


def test_sitemaps_list_every_record(site: str, store_path: Path) -> None:
    """A reader that is not ours goes from robots.txt over the index to all parts."""
    tree = sitemap_tree_for_homepage(site)
    urls = [page.url for page in tree.all_pages()]
    with open_store(store_path, read_only=True) as store:
        suffixes = [suffix for suffix, _ in store.records.in_bag_order(None)]
    records = {f"{site}/pith/{suffix}" for suffix in suffixes}
    pages = {f"{site}{path}" for path in ("/", "/figures", "/findings", "/trust", "/codes")}
    assert len(urls) == len(set(urls))
    assert set(urls) == records | pages
    dated = [page for page in tree.all_pages() if page.last_modified is not None]
    assert {page.url for page in dated} == records


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two records that changed at known times."""
    path = tmp_path_factory.mktemp("discovery") / "mirror.db"
    make_past(path)
    return path


@pytest.fixture(scope="module")
def url(past: Path, serve: Serve) -> str:
    """The base URL of a server of that store."""
    return serve(past)


def test_a_part_has_the_times_of_the_last_arrivals(url: str) -> None:
    """Known times, and the latest of them as that of the part."""
    part = f"{url}/sitemap/1.xml"
    assert _found(part, "//s:loc/text()")[0] == f"{url}/pith/{SUFFIX}"
    assert _found(part, "//s:lastmod/text()") == [
        "2026-06-04T12:00:00.999999Z",
        "2026-06-03T12:00:00.000000Z",
    ]
    answer = CLIENT.get(part)
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["last-modified"] == "Thu, 04 Jun 2026 12:00:00 GMT"
    for header, value in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
        assert CLIENT.get(part, headers={header: answer.headers[value]}).status_code == 304


def test_parts_are_ranges_of_row_ids(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full part has the same addresses for ever, and one part follows the last record."""
    assert _found(f"{url}/sitemap.xml", "//s:loc/text()") == [
        f"{url}/sitemap/0.xml",
        f"{url}/sitemap/1.xml",
    ]
    both = _found(f"{url}/sitemap/1.xml", "//s:loc/text()")
    monkeypatch.setattr(sitemaps, "RECORDS_A_PART", 1)
    parts = _found(f"{url}/sitemap.xml", "//s:loc/text()")
    assert parts == [f"{url}/sitemap/{part}.xml" for part in range(3)]
    assert [_found(part, "//s:loc/text()") for part in parts[1:]] == [[one] for one in both]


@pytest.mark.parametrize("part", ["2", "00", "01", "-1", "x", "٣", "1" * 5000, "1e1", ""])
def test_other_parts_do_not_exist(part: str, url: str) -> None:
    """Whatever number or text is asked for."""
    answer = CLIENT.get(f"{url}/sitemap/{quote(part)}.xml")
    assert (answer.status_code, answer.json()["code"]) == (404, "http.not_found")


def test_a_part_without_a_record_does_not_exist(
    past: Path, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its records were moved to quarantine; an empty list would not be valid."""
    monkeypatch.setattr(sitemaps, "RECORDS_A_PART", 1)
    path = Path(shutil.copy(past, tmp_path))
    with open_store(path) as store:
        repair(store, [Damage("record", 1, 1, None, "damaged")])
    url = serve(path)
    parts = _found(f"{url}/sitemap.xml", "//s:loc/text()")
    assert parts == [f"{url}/sitemap/0.xml", f"{url}/sitemap/2.xml"]
    assert [CLIENT.get(f"{url}/sitemap/{part}.xml").status_code for part in range(4)] == [
        200, 404, 200, 404,
    ]  # fmt: skip


def test_a_damaged_time_is_left_out(tmp_path: Path, serve: Serve) -> None:
    """The address is listed, without a time that nobody could read."""
    path = tmp_path / "mirror.db"
    make_past(path)
    with open_store(path) as store, store.transaction():
        store.connection.execute("UPDATE arrival_commit SET stored_at = '<x>'")
    part = f"{serve(path)}/sitemap/1.xml"
    assert len(_found(part, "//s:loc")) == 2
    assert _found(part, "//s:lastmod") == []


# Robots --------------------------------------------------------------------------------------


def test_robots_may_read_pages_and_not_what_is_costly(url: str) -> None:
    """As the standard library reads the file; the patterns with `*` are those of RFC 9309."""
    answer = CLIENT.get(f"{url}/robots.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    rules = RobotFileParser()
    rules.parse(answer.text.splitlines())
    assert rules.site_maps() == [f"{url}/sitemap.xml"]
    for path in ("/", f"/pith/{SUFFIX}", f"/pith/{SUFFIX}/state.json", "/findings", "/trust",
                 "/feeds/changes.atom", "/sitemap/1.xml", "/opensearch.xml"):  # fmt: skip
        assert rules.can_fetch("*", f"{url}{path}"), path
    for path in (
        "/mirror/bundle.tar",
        "/mirror/changes?since=1",
        "/oai?verb=Identify",
        "/find?q=x",
    ):
        assert not rules.can_fetch("*", f"{url}{path}"), path
    lines = answer.text.splitlines()
    assert "Disallow: /pith/*/at" in lines
    assert "Disallow: /feeds/*?before=" in lines


# OpenSearch ----------------------------------------------------------------------------------


def _first(url: str, path: str) -> Any:
    return _found(f"{url}/opensearch.xml", f"/o:OpenSearchDescription/{path}")[0]


def test_the_description_is_as_opensearch_wants_it(url: str) -> None:
    """Names within their lengths, without markup; every element is one of the specification."""
    answer = CLIENT.get(f"{url}/opensearch.xml")
    assert answer.headers["content-type"] == OPENSEARCH
    assert _first(url, "o:ShortName/text()") == "Pith mirror"
    assert _first(url, "o:LongName/text()") == "A mirror of pith.science"
    assert len(_first(url, "o:Description/text()")) <= 1024
    names = {etree.QName(one).localname for one in etree.fromstring(answer.content)}
    assert names == {"ShortName", "Description", "LongName", "Url", "Image", "Query",
                     "InputEncoding", "OutputEncoding"}  # fmt: skip
    assert CLIENT.get(_first(url, "o:Image/text()")).headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(("media_type", "start"), [("text/html", ""), ("application/json", "1")])
def test_the_templates_lead_to_the_search(media_type: str, start: str, url: str) -> None:
    """Filled in as a browser does: an optional parameter may be empty; the first result is 0."""
    template = _first(url, f"o:Url[@type='{media_type}'][@indexOffset='0']/@template")
    address = template.replace("{searchTerms}", "math").replace("{startIndex?}", start)
    assert "{" not in address
    answer = CLIENT.get(address, headers={"Accept": media_type})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    if media_type == "application/json":
        assert answer.json()["start"] == 1


@pytest.mark.parametrize(
    ("name", "short", "long"),
    [
        ("Sixteen letters!", "Sixteen letters!", "Sixteen letters!"),
        ("Seventeen letters", "Pith mirror", "Seventeen letters"),
        ("<b>\u202e\x00" + "x" * 2000, "Pith mirror", "<b><U+202E><U+0000>" + "x" * 29),
    ],
)
def test_a_long_name_of_the_mirror_is_shortened(
    name: str, short: str, long: str, past: Path
) -> None:
    """Shortened where it is too long, and without characters that XML forbids."""
    with served(ServerSettings(store=past, name=name)) as url:
        assert _first(url, "o:ShortName/text()") == short
        assert _first(url, "o:LongName/text()") == long
        assert len(_first(url, "o:Description/text()")) <= 1024


# Pages ---------------------------------------------------------------------------------------


def _head_links(page: httpx.Response) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for one in Page(page.text).elements:
        if one.tag == "link" and "type" in one.attributes:
            kind = one.attributes["rel"], one.attributes["type"]
            found.setdefault(kind, []).append(one.attributes["href"])
    return found


def test_pages_name_feeds_and_search(url: str) -> None:
    """Every page those of the mirror, the page of a record its own, too."""
    atom = ("alternate", "application/atom+xml")
    home = _head_links(CLIENT.get(f"{url}/"))
    assert home["search", OPENSEARCH] == ["/opensearch.xml"]
    assert home[atom] == ["/feeds/changes.atom", "/feeds/findings.atom"]
    record = _head_links(CLIENT.get(f"{url}/pith/{SUFFIX}"))
    own = [f"{url}/pith/{SUFFIX}/{kind}.atom" for kind in ("changes", "findings")]
    assert set(record[atom]) == {*home[atom], *own}
    for address in (*(url + path for path in home[atom]), *own, f"{url}/opensearch.xml"):
        assert CLIENT.get(address).status_code == 200


def test_categories_link_to_the_search(site: str) -> None:
    """On the page of a record and in the figures; the search finds the record."""
    name = "7SOLO26TLPZRGSRX2HH227CICV"
    page = Page(CLIENT.get(f"{site}/pith/{name}").text)
    links = [one.attributes["href"] for one in page.elements
             if one.attributes.get("href", "").startswith("/find?q=")]  # fmt: skip
    assert links
    found = CLIENT.get(f"{site}{links[0]}", headers={"Accept": "application/json"}).json()
    assert name in {hit["pith_number"][-26:] for hit in found["hits"]}
    assert links[0] in CLIENT.get(f"{site}/figures").text
