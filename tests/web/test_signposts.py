"""Signposts of records, as a finder that is not ours finds them, and citations of records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import rispy
import signposting
from bibtexparser.entrypoint import parse_string
from signposting import Signpost, Signposting

from mirror.engine.bibliography.citations import CITATION_FORMATS
from mirror.engine.bibliography.linked_data import JSON_LD
from mirror.web import ServerSettings
from mirror.web.signposts import LINKSET, LINKSET_JSON
from tests.builders import (
    Object,
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    snapshot,
    to_json,
)
from tests.engine.bibliography.test_linked_data import PITH, SCHEMA, expanded
from tests.web.conftest import Serve, make_store, served
from tests.web.markup import Page

SUFFIX = "RFAEN2TOWSST6DWHW3QJNPG45P"
"""A record with a title, authors, a licence and an ORCID iD."""
LITTLE = "7SOLO26TLPZRGSRX2HH227CICV"
ORCID = "https://orcid.org/0000-0002-1825-0097"
CITED_AS = f"https://pith.science/pith/{SUFFIX}"
SIGNER = Signer("registry")
BIBTEX, RIS, CSL = (CITATION_FORMATS[one].media_type for one in ("bibtex", "ris", "csl-json"))


def _links(found: Signposting, without: str = "") -> set[tuple[str, ...]]:
    """Context, relation, target, media type and profile of each signpost."""
    signposts: set[Signpost] = set(found.signposts)
    return {
        (str(one.context), str(one.rel), str(one.target), str(one.type or ""), *one.profiles)
        for one in signposts
        if str(one.rel) != without
    }


def _targets(found: Signposting, rel: str) -> set[str]:
    return {str(one.target) for one in found.signposts if str(one.rel) == rel}


# Links ---------------------------------------------------------------------------------------


def test_header_page_and_linksets_have_the_same_links(site: str) -> None:
    page = f"{site}/pith/{SUFFIX}"
    header = signposting.find_signposting_http(page)
    assert _links(header) == _links(signposting.find_signposting_html(page))
    linksets = {str(one.type): str(one.target) for one in header.linksets}
    assert {LINKSET: f"{page}/linkset", LINKSET_JSON: f"{page}/linkset.json"} == linksets
    sets = [signposting.find_signposting_linkset(url) for url in linksets.values()]
    assert _links(sets[0]) == _links(sets[1])
    assert _links(header, without="linkset") == _links(sets[0].for_context(page)) & {
        one for one in _links(sets[0]) if one[0] == page
    }


def test_the_page_names_all_that_belongs_to_it(site: str) -> None:
    page = f"{site}/pith/{SUFFIX}"
    found = signposting.find_signposting_http(page)
    assert found.citeAs is not None
    assert found.license is not None
    assert CITED_AS == str(found.citeAs.target)
    assert "http://creativecommons.org/licenses/by/4.0/" == str(found.license.target)
    assert {ORCID} == _targets(found, "author")
    assert {f"https://schema.org/{one}" for one in ("AboutPage", "ScholarlyArticle")} == _targets(
        found, "type"
    )
    assert {"bundle.json", "state.json"} == {
        one[len(page) + 1 :] for one in _targets(found, "item")
    }
    for one in (*found.describedBy, *found.items, *found.linksets):
        answer = httpx.get(str(one.target))
        assert 200 == answer.status_code
        assert str(one.type) == answer.headers["content-type"].partition(";")[0]


def test_content_and_metadata_lead_back(site: str) -> None:
    """Each of them says in its own header what the linkset says of it."""
    page = f"{site}/pith/{SUFFIX}"
    linkset = signposting.find_signposting_linkset(f"{page}/linkset")
    found = signposting.find_signposting_http(page)
    harvested = {one for one in found.describedBy if "/oai?" in str(one.target)}
    assert {"oai_dc", "oai_datacite"} == {
        str(one.target).partition("metadataPrefix=")[2].partition("&")[0] for one in harvested
    }
    for one in (*(found.describedBy - harvested), *found.items):
        own = signposting.find_signposting_http(str(one.target))
        assert _links(own) == {link for link in _links(linkset) if link[0] == str(one.target)}
        back = own.collection if one in found.items else next(iter(own.describes))
        assert page == str(back.target)


@pytest.mark.parametrize("accept", ["text/html", JSON_LD, BIBTEX, RIS, CSL])
def test_every_form_of_a_record_has_the_links_of_the_page(accept: str, site: str) -> None:
    """To GET and HEAD, beside those of Memento."""
    page, headers = f"{site}/pith/{SUFFIX}", {"Accept": accept}
    expected = httpx.get(page, headers={"Accept": "text/html"}).headers["link"]
    for answer in (httpx.get(page, headers=headers), httpx.head(page, headers=headers)):
        assert (200, accept) == (
            answer.status_code, answer.headers["content-type"].partition(";")[0],
        )  # fmt: skip
        assert expected == answer.headers["link"]
        assert "Accept" in answer.headers["vary"].split(", ")
    assert f'<{page}/timemap>; rel="timemap"' in expected
    assert len(expected) < 4096


def test_a_record_without_claims_names_no_author(site: str) -> None:
    found = signposting.find_signposting_http(f"{site}/pith/{LITTLE}")
    assert set() == _targets(found, "author")
    assert {f"https://pith.science/pith/{LITTLE}"} == _targets(found, "cite-as")


def test_the_source_of_the_records_is_where_they_are_cited(store_path: Path) -> None:
    """An address with another host, whose name is not ASCII; states that are sent directly, too."""
    settings = ServerSettings(store=store_path, source_url="https://m\xfcsli.example/one")
    with served(settings) as url:
        for path in ("", "/state.json", "/state.json", "/bundle.json", "/cite.json"):
            answer = httpx.get(f"{url}/pith/{SUFFIX}{path}")
            cited = f"https://xn--msli-0ra.example/one/pith/{SUFFIX}"
            where = answer.json()["URL"] if path == "/cite.json" else answer.headers["link"]
            assert cited in where


@pytest.mark.parametrize("length", [253, 254, 9000])
def test_a_host_that_is_too_long_is_in_no_link(length: int, site: str) -> None:
    """A header repeats the address of the mirror many times, and clients limit headers to 8 KB."""
    host = ("a" * 63 + ".") * (length // 64) + "a" * (length % 64)
    for path in ("", "/state.json", "/state.json"):
        answer = httpx.get(f"{site}/pith/{SUFFIX}{path}", headers={"Host": f"{host}:65535"})
        assert (length <= 253) == (host in answer.headers["link"])
        assert len(answer.headers["link"]) < 8000


# Hostile values ------------------------------------------------------------------------------

EVIL = [
    'https://x.example/>; rel="author", <https://evil.example/',
    "https://x.example/\r\nSet-Cookie: a=b",
    "https://x.example/é",
    "https://x.example/%zz",
    'https://x.example/"',
    "javascript:alert(1)",
    f"https://x.example/{'a' * 9000}",
]


def _store_of(folder: Path, bundles: list[Object]) -> Path:
    (folder / "keys.json").write_bytes(key_set_file(SIGNER))
    (folder / "all.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
    return make_store(folder / "mirror.db", folder / "all.jsonl", keys=folder / "keys.json")


def _claimed(record: Object, claimants: list[str]) -> Object:
    claims = [make_event(record, SIGNER, "author_claimed", author_claim(one)) for one in claimants]
    graph = {"paper": {"title": EVIL[0], "authors_text": EVIL[1]}}
    return make_bundle(
        record, [make_event(record, SIGNER, "graph_snapshot", snapshot(graph)), *claims]
    )


def test_hostile_values_are_in_no_link(
    tmp_path_factory: pytest.TempPathFactory, serve: Serve
) -> None:
    """A licence, an ORCID iD, a source: only checked URLs enter headers, heads and linksets."""
    bundles = [
        _claimed(make_record(license=evil, arxiv_id=evil[:100]), [*EVIL, f"{ORCID}>", ORCID])
        for evil in EVIL
    ]
    site = serve(_store_of(tmp_path_factory.mktemp("evil"), bundles))
    for bundle in bundles:
        page = f"{site}/pith/{bundle['pith_number'][-26:]}"
        found = signposting.find_signposting_http(page)
        assert (set(), {ORCID}) == (_targets(found, "license"), _targets(found, "author"))
        assert _links(found) == _links(signposting.find_signposting_html(page))
        linkset = signposting.find_signposting_linkset(f"{page}/linkset")
        assert _links(found, without="linkset") <= _links(linkset)
        document = httpx.get(page, headers={"Accept": JSON_LD}).json()
        assert "license" not in document
        assert [f"https://pith.science/pith/{page[-26:]}"] == document["sameAs"]


def _orcid(number: int) -> str:
    digits, total = f"{number:015}", 0
    for one in digits:
        total = (total + int(one)) * 2
    text = digits + "0123456789X"[(12 - total % 11) % 11]
    return "https://orcid.org/" + "-".join(text[at : at + 4] for at in range(0, 16, 4))


def test_many_authors_are_in_the_linkset_only(
    tmp_path_factory: pytest.TempPathFactory, serve: Serve
) -> None:
    claimants = [_orcid(number) for number in range(200)]
    bundle = _claimed(make_record(), claimants)
    site = serve(_store_of(tmp_path_factory.mktemp("authors"), [bundle]))
    page = f"{site}/pith/{bundle['pith_number'][-26:]}"
    assert len(httpx.head(page).headers["link"]) < 4096
    for find in (signposting.find_signposting_http, signposting.find_signposting_html):
        assert set() == _targets(find(page), "author")
    linkset = signposting.find_signposting_linkset(f"{page}/linkset.json")
    assert set(claimants) == _targets(linkset, "author")


@pytest.mark.parametrize("suffix", [SUFFIX, LITTLE])
def test_every_member_of_the_json_ld_has_an_iri(suffix: str, site: str) -> None:
    """Of a whole document of the server, expanded offline; the members of JSON stay as they are."""
    document = httpx.get(f"{site}/pith/{suffix}", headers={"Accept": JSON_LD}).json()
    node = expanded(document)
    names = {re.sub(f"^(?:{SCHEMA}|{PITH})", "", name) for name in node}
    assert document.keys() - {"@context"} == names
    record = httpx.get(f"{site}/pith/{suffix}.json").json()
    for name in ("canonical_record", "receipt", "citations", "verification_status", "links"):
        assert [{"@type": "@json", "@value": record[name]}] == node[f"{PITH}{name}"]


# Citations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/x-bibtex", BIBTEX),
        ("application/x-research-info-systems, text/html;q=0.5", RIS),
        (f"{CSL}, {BIBTEX};q=0.9", CSL),
        (f"{BIBTEX};q=0.8, {CSL};q=0.9, */*;q=0.1", CSL),
        (f"{BIBTEX};q=0, */*", "text/html"),
    ],
)
@pytest.mark.parametrize("name", [f"/pith/{SUFFIX}", "/pith/RFAEN2TO", "/doi/{}"])
def test_a_citation_is_chosen_as_resolvers_of_dois_do(
    accept: str, media_type: str, name: str, site: str
) -> None:
    record = httpx.get(f"{site}/pith/{SUFFIX}.json").json()
    doi = next(one["alias_value"] for one in record["source_aliases"] if one["alias_kind"] == "doi")
    answer = httpx.get(site + name.format(doi), headers={"Accept": accept}, follow_redirects=True)
    assert media_type == answer.headers["content-type"].partition(";")[0]
    if media_type != "text/html":
        own = httpx.get(site + answer.headers["content-location"])
        assert (answer.text, answer.headers["etag"]) == (own.text, own.headers["etag"])
        assert f'filename="pith-{SUFFIX}.' in own.headers["content-disposition"]


def test_the_buttons_of_the_page_give_what_parsers_read(site: str) -> None:
    """Without JavaScript: links, and a line to copy."""
    page = Page(httpx.get(f"{site}/pith/{SUFFIX}", headers={"Accept": "text/html"}).text)
    buttons = {
        one.attributes["type"]: one.attributes["href"]
        for one in page.all("a")
        if "download" in one.attributes
    }
    assert {BIBTEX, RIS, CSL} == buttons.keys()
    found = {name: httpx.get(site + path) for name, path in buttons.items()}
    assert {"charset=utf-8"} == {
        found[one].headers["content-type"].partition("; ")[2] for one in (BIBTEX, RIS)
    }
    title = "Fixed points of citation graphs under repeated mirroring"
    fields = {one.key: one.value for one in parse_string(found[BIBTEX].text).entries[0].fields}
    reference: dict[str, Any] = rispy.loads(found[RIS].text, newline="\r\n")[0]
    item = json.loads(found[CSL].text)
    assert (title, title, title) == (fields["title"], reference["title"], item["title"])
    assert (CITED_AS, [CITED_AS], CITED_AS) == (fields["url"], reference["urls"], item["URL"])
    assert "Authors: Josiah Carberry, Ł. Przykład, 山田花子" in reference["notes"]
    line = next(text for text in page.texts if text.endswith(CITED_AS))
    assert title in line
    assert f"pith:2026:{SUFFIX}" in line


def test_the_example_of_the_documents_is_what_the_server_says(site: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "citing.md").read_text()
    example = text.partition("```bibtex\n")[2].partition("```")[0]
    assert example == httpx.get(f"{site}/pith/{SUFFIX}/cite.bib").text
