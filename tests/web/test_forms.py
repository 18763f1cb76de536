"""Which form of an answer is given to whom, search in JSON, codes and problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from mirror.web.pages.codes import codes
from mirror.web.pages.handlers import MAX_HITS, MAX_START
from mirror.web.representation import preferred
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import Serve, run_mirror
from tests.web.markup import Page

SUFFIX = "7SOLO26TLPZRGSRX2HH227CICV"
JSON, HTML = {"Accept": "application/json"}, {"Accept": "text/html"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def client(site: str) -> Iterator[httpx.Client]:
    """A client of the sample mirror."""
    with httpx.Client(base_url=site) as opened:
        yield opened


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("Application/JSON;q=0.5", "application/json"),
        ("text/html;q=0.4, application/json;q=0.5", "application/json"),
        ("application/json, text/html", "application/json"),
        ("text/html, application/json", "text/html"),
        ("application/json;q=0, */*", "text/html"),
        ("text/html;q=0, */*;q=0.1", "application/json"),
        ("text/*;q=0.5, application/*", "application/json"),
        ("application/*, application/json;q=0.1, text/*;q=0.2", "text/html"),
        ("image/png", "text/html"),
        (";q=,,", "text/html"),
        (BROWSER["Accept"], "text/html"),
    ],
)
def test_the_form_is_chosen_by_accept(accept: str, best: str) -> None:
    """RFC 9110 section 12.5.1."""
    headers = [(b"accept", accept.encode())] if accept else []
    request = Request({"type": "http", "headers": headers})
    assert best == preferred(request, "text/html", "application/json")


# By another name -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/arxiv/1705.09786v3", "/doi/10.48550/arXiv.1705.09786"])
def test_another_name_redirects_to_the_requested_form(path: str, client: httpx.Client) -> None:
    """And what it leads to is of that form."""
    for accept, ending, media_type in (
        ("application/json", ".json", "application/json"),
        ("application/ld+json", "", "application/ld+json"),
        ("application/ld+json, application/json;q=0.9", "", "application/ld+json"),
        (BROWSER["Accept"], "", "text/html; charset=utf-8"),
        ("*/*", "", "text/html; charset=utf-8"),
    ):
        answer = client.get(path, headers={"Accept": accept})
        assert (303, f"/pith/{SUFFIX}{ending}") == (answer.status_code, answer.headers["location"])
        assert "Accept" in answer.headers["vary"].split(", ")
        there = client.get(path, headers={"Accept": accept}, follow_redirects=True)
        assert (200, media_type) == (there.status_code, there.headers["content-type"])


# Search --------------------------------------------------------------------------------------


def test_a_search_in_json_says_what_the_page_says(client: httpx.Client) -> None:
    """The same hits in the same order; a name that just one record has does not lead away."""
    answer = client.get("/find", params={"q": "holographic"}, headers=JSON)
    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    found = answer.json()
    page = Page(client.get("/find", params={"q": "holographic"}, headers=BROWSER).text)
    links = [link for link in page.values("href") if link.startswith("/pith/")]
    assert links == [f"/pith/{hit['pith_number'][10:]}" for hit in found["hits"]]
    assert len(links) > 1
    for hit in found["hits"]:
        assert hit["title"] in page.text
    known = client.get("/find", params={"q": "1705.09786"}, headers=JSON).json()
    assert [("id", f"pith:2017:{SUFFIX}")] == [
        (hit["matched_by"], hit["pith_number"]) for hit in known["hits"]
    ]
    nothing: dict[str, Any] = client.get("/find", headers=JSON).json()
    assert nothing == {
        "query": "", "start": 0, "next": None, "has_more": False, "unindexed": 0, "hits": []
    }  # fmt: skip


def test_search_results_continue_from_page_to_page(
    tmp_path_factory: pytest.TempPathFactory, serve: Serve
) -> None:
    """In JSON and on pages: every record once, in one order."""
    folder = tmp_path_factory.mktemp("many")
    count = MAX_HITS + 3
    records = [make_record(arxiv_id="2401.00001", version=one + 1) for one in range(count)]
    (folder / "many.jsonl").write_bytes(b"\n".join(to_json(make_bundle(one)) for one in records))
    assert run_mirror("merge", folder / "many.jsonl", "--db", folder / "mirror.db") == 0
    base = serve(folder / "mirror.db")
    numbers: list[str] = []
    start: int | None = 0
    while start is not None:
        query: dict[str, Any] = {"q": "2401.00001", "start": start}
        found = httpx.get(f"{base}/find", params=query, headers=JSON).json()
        page = Page(httpx.get(f"{base}/find", params=query, headers=HTML).text)
        numbers += [hit["pith_number"] for hit in found["hits"]]
        assert f"Records {start + 1} to {len(numbers)}." in page.text
        start = found["next"]
        assert (start is not None) == found["has_more"]
        further = f"/find?q=2401.00001&start={start}"
        assert (further in page.values("href")) == (start is not None)
    assert (count, count) == (len(numbers), len({*numbers}))
    beyond = httpx.get(f"{base}/find?q=2401.00001&start=60", headers=JSON).json()
    assert (beyond["hits"], beyond["next"]) == ([], None)


@pytest.mark.parametrize("start", ["-1", "x", str(MAX_START + 1), "1e2", "٣"])
def test_an_invalid_start_is_refused(start: str, client: httpx.Client) -> None:
    """With its own code."""
    answer = client.get("/find", params={"q": "x", "start": start}, headers=JSON)
    assert (400, "request.start") == (answer.status_code, answer.json()["code"])


# Codes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nowhere", "http.not_found"),
        ("/static/none", "http.not_found"),
        ("/pith/AAAAAAAA/state.json", "lookup.unknown"),
        ("/mirror/changes?since=x", "request.since"),
        ("/mirror/changes?limit=x", "request.limit"),
        ("/mirror/tree/X", "request.prefix"),
        ("/findings?after=x", "request.after"),
        ("/mirror/checkpoint", "checkpoint.none"),
    ],
)
def test_a_problem_leads_to_its_code(path: str, code: str, client: httpx.Client) -> None:
    """RFC 9457: the type is an address, the title is of the type, the detail of the case."""
    problem = client.get(path).json()
    assert (code, f"/codes#{code}") == (problem["code"], problem["type"])
    assert problem["title"] == codes()[code][0].title
    assert problem["detail"]
    page = Page(client.get("/codes").text)
    assert code in page.values("id")
    links = Page(client.get(path, headers=HTML).text).values("href")
    assert f"/codes#{code}" in links


def test_every_code_has_one_anchor(client: httpx.Client) -> None:
    """On the page of codes, beside what it means."""
    page = Page(client.get("/codes").text)
    anchors = [one for one in page.values("id") if "." in one or one == "equivocation"]
    assert anchors == [*codes()]
    assert [] == page.faults
    for rows in codes().values():
        assert all(" ".join(row.title.split()) in " ".join(page.text.split()) for row in rows)
