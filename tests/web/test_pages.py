"""The pages, as a browser without JavaScript gets them."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from mirror.core.events.checks import EVENT_CODES
from mirror.core.keys import BUILT_IN
from mirror.engine.acknowledge import AcknowledgeOptions, acknowledge
from mirror.engine.anchors.authorities import add_authority, remove_authorities
from mirror.engine.identifiers import look_up
from mirror.engine.search.index import update_index
from mirror.engine.states.current import current_text
from mirror.store import open_store
from mirror.store.findings import FindingFilter
from mirror.web.pages import escaping
from mirror.web.pages.labels import CHECKS
from tests.builders import (
    Signer,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    snapshot,
    to_json,
)
from tests.engine.anchors.time_stamp_authority import TimeStampAuthority
from tests.shared import shared
from tests.web.conftest import BUNDLES, Serve, make_store, run_mirror
from tests.web.hostile import hostile_store
from tests.web.markup import Page

AUTHOR = Signer("author")
FULL = "EI5HAOZQLTRXHSO6XXITW2U5X6"
"""A demo record with nearly everything."""
CLAIMED = "RFAEN2TOWSST6DWHW3QJNPG45P"
"""A demo record with a timestamp, copies and author claims."""
UNSIGNED = "BVEKBPBFOBQSWPVTL63QMDHKW7"
REAL = "7SOLO26TLPZRGSRX2HH227CICV"
VOUCHED_REAL = "A5G5GAJ7DMCZDPVAMNFAYYAUOP"

DEMO = (
    "5TZFM4EU",
    "BVEKBPBF",
    "EI5HAOZQ",
    "EJWVFYLW",
    "JCCOAP2X",
    "NQGOSQWC",
    "OKB6R5PP",
    "RFAEN2TO",
)
PATHS = (
    "/", "/find", "/find?q=1705.09786v9", "/find?q=%00%ff%F0", "/findings",
    "/findings?code=equivocation", "/findings?code=event.id", "/trust", "/nowhere", "/figures",
    "/pith/AAAAAAAA", "/pith/%3Cscript%3E", f"/pith/{REAL}", f"/pith/{VOUCHED_REAL}",
    "/findings?after=x", "/arxiv/none", "/static/none",
    *(f"/pith/{suffix}" for suffix in DEMO),
)  # fmt: skip

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


@pytest.fixture
def client(site: str) -> Iterator[httpx.Client]:
    """A browser, so to speak."""
    with httpx.Client(base_url=site, headers={"Accept": "text/html,*/*;q=0.8"}) as opened:
        yield opened


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> tuple[str, str]:
    """The base URL of a mirror of a hostile bundle, and the suffix of its record."""
    store, suffix = hostile_store(tmp_path_factory.mktemp("hostile"))
    return serve(store), suffix


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """The base URL of a mirror of all that is invalid."""
    folder = tmp_path_factory.mktemp("odd")
    names = [one for one in (BUNDLES / "invalid").glob("*.json") if one.name.count(".") == 2]
    return serve(make_store(folder / "mirror.db", *names, keys=BUNDLES / "demo-keys.json"))


def get(url: str) -> Page:
    """A page, as a browser asks for it."""
    return Page(httpx.get(url, headers={"Accept": "text/html"}).text)


# Every page ----------------------------------------------------------------------------------


def check_page(text: str, policy: str) -> Page:
    """Check what must be so of any page."""
    page = Page(text)
    assert page.faults == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for name in ("for", "aria-labelledby"):
        assert {word for value in page.values(name) for word in value.split()} <= set(ids)
    anchors = [one for one in page.values("href") if one.startswith("#")]
    assert {one[1:] for one in anchors} <= set(ids)
    assert page.all("html")[0].attributes["lang"] == "en"
    titles = len(page.all("title")) - len(page.all("desc"))  # a figure has a title of its own
    assert [titles, len(page.all("main")), len(page.all("h1"))] == [1, 1, 1]
    assert text.index('class="skip"') < text.index("<header")
    check_safety(page, policy)
    return page


def check_safety(page: Page, policy: str) -> None:
    """Check that nothing is loaded from elsewhere, and nothing runs but our own files."""
    assert [one for one in page.loads if not one.startswith("/")] == []
    assert (page.all("style", "iframe", "object", "base"), page.values("style")) == ([], [])
    assert [one.attributes for one in page.all("script") if "src" not in one.attributes] == []
    scripts = [one.attributes["src"].partition("?")[0] for one in page.all("script")]
    is_verifiable = "/static/verify.js" in scripts
    assert scripts == ["/static/verify.js"] * is_verifiable + ["/static/copy.js"]
    # Only a page on which the verifier runs fetches anything, and only from its own mirror.
    assert policy.partition("; connect-src ")[2] == "'self'" * is_verifiable
    names = {name for one in page.elements for name in one.attributes}
    assert [name for name in names if name.startswith("on")] == []
    for one in page.all("a"):
        assert urlsplit(one.attributes["href"]).scheme in {"", "http", "https"}
        if not one.attributes["href"].startswith(("/", "#")):
            assert one.attributes["rel"] == "nofollow noreferrer external"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_sound(path: str, client: httpx.Client) -> None:
    """Tags close, ids are unique, labels lead somewhere, nothing comes from elsewhere."""
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    check_page(answer.text, answer.headers["content-security-policy"])


@pytest.mark.parametrize(
    "path", ["/", "/trust", "/findings", "/figures", f"/pith/{FULL}", f"/pith/{REAL}"]
)
def test_every_link_leads_somewhere(path: str, client: httpx.Client) -> None:
    """And what a page loads is there, for good."""
    page = Page(client.get(path).text)
    links = {one.partition("#")[0] for one in page.values("href") if one.startswith("/")}
    for link in links - {"/mirror/bundle.tar"}:
        assert client.get(link).status_code == 200, link
    for one in page.loads:
        if one.startswith("/static/"):
            assert "immutable" in client.get(one).headers["cache-control"]


def test_an_unchanged_page_is_not_sent_again(client: httpx.Client) -> None:
    """Its etag is the digest of what it says."""
    for path in ("/", f"/pith/{FULL}", "/trust", "/figures"):
        etag = client.get(path).headers["etag"]
        assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_static_files_of_other_versions_are_revalidated(client: httpx.Client) -> None:
    """Only an address that names the content may be kept for good."""
    assert client.get("/static/style.css?v=0").headers["cache-control"] == "public, no-cache"


# A record ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "suffix"),
    [("000_54ec06bc1af67a96", REAL), ("003_584121a45155f05d", "MENY3Y3QFD42TXHI5C7CMJ4DN5")],
)
def test_a_record_page_says_what_upstream_says(seed: str, suffix: str, site: str) -> None:
    """But for what no bundle holds: title, authors, time and builder of the receipt.

    The badge of a paper links to the record here.
    """
    text = shared(f"real/seeds/{seed}.txt").read_text()
    lines = text.replace(r"\usepackage{pith}", rf"\usepackage[url={site}]{{pith}}").splitlines()
    words = get(f"{site}/pith/{suffix}").text
    there = " ".join(words.split())
    start = lines.index("Canonical record JSON") + 1
    assert "\n".join(lines[start:]) in words
    for line in lines:
        if re.match(r"pith:|\\|arxiv:|  \||# expect|[0-9a-f]{64}$", line):
            parts = [part for part in re.split(r" · | v[0-9]$|: (?=[0-9A-Z])", line) if part]
            assert [one for one in parts if " ".join(one.split()) not in there] == []
    assert f"{site}/pith/{suffix} \\" in words


def test_a_record_says_everything_that_is_known(client: httpx.Client) -> None:
    """Status, receipt, checks, claims, events and what became of them."""
    page = Page(client.get(f"/pith/{FULL}").text)
    words = " ".join(page.text.split())
    for said in (
        "pith:EI5HAOZQ", f"pith:1999:{FULL}", "Verified receipt from a trusted key.",
        "demo-registry-2025",
        "Boundary terms in a toy model", "Josiah Carberry", "which confirms it",
        f"\\pithnumber{{{FULL}}}", "2025-01-01T00:00:00Z, as signed in the event",
        "demo-builder-1", "15 of 15 events passed all 10 checks", "demo.tar",
        "No comparison was made yet", "superseded", "withdrawn", "revoked", "1 equivocation",
        "Part of an equivocation", "Lemma 2 lacks a case: θ = 0.",
        "Field notes from a replicated",
    ):  # fmt: skip
        assert said in words, said
    rows = [one for one in page.all("tr") if one.attributes.get("id", "").startswith("e-")]
    marks = [one for one in page.all("g") if "mark" in one.attributes.get("class", "")]
    assert (15, 15) == (len(rows), len(marks))


def test_a_record_without_a_receipt_says_so(client: httpx.Client) -> None:
    """Plainly, in the title of the page too, and whatever it claims to be."""
    unsigned = Page(client.get(f"/pith/{UNSIGNED}").text).text
    assert "No verified receipt from a trusted key." in unsigned
    assert " · no verified receipt · " in unsigned
    assert "receipt: none" in unsigned
    assert "o verified receipt" not in Page(client.get(f"/pith/{VOUCHED_REAL}").text).text


def test_claims_are_marked_as_unchecked(client: httpx.Client) -> None:
    """A signed claim is shown with its signers, and ticked only if it was checked here."""
    page = Page(client.get(f"/pith/{CLAIMED}").text)
    words = " ".join(page.text.split())
    for said in (
        "timestamp: claimed, not checked here", "stored copy: claimed, not checked here",
        "author: claimed, not checked here", "references: none", "formal links: none",
        "Timestamp claimed 3 times by library.example, registry.example, not checked here",
        "Stored copy claimed 2 times by library.example, not checked here",
    ):  # fmt: skip
        assert said in words, said
    classes = [one.attributes.get("class", "") for one in page.all("span", "li")]
    ticked = [one for one in classes if {"good", "level-checked"} & set(one.split())]
    assert ticked == ["tag good"]  # the receipt, and no step of completeness
    status = client.get(f"/pith/{CLAIMED}.json").json()["verification_status"]
    assert (status["externally_anchored"], status["storage_verified"]) == (False, False)
    claims = status["claims"]["externally_anchored"]
    assert claims == {"claimed": 3, "checked": 0, "by": ["library.example", "registry.example"]}


def test_every_tag_is_explained(client: httpx.Client) -> None:
    """By its title, and in a legend that needs neither a mouse nor JavaScript."""
    for path in (f"/pith/{FULL}", f"/pith/{UNSIGNED}", "/find?q=holographic", "/trust", "/"):
        page = Page(client.get(path).text)
        tags = [one for one in page.all("span") if "tag" in one.attributes.get("class", "")]
        assert tags
        assert len(tags) == len([one for one in page.all("abbr") if one.attributes["title"]])
    words = Page(client.get(f"/pith/{FULL}").text).text
    assert "Explanation of these labels" in words
    assert words.count("timestamp: none") == 2


def test_retired_events_have_type_time_and_signer(client: httpx.Client) -> None:
    """Type, time and signer of what was retired, and of what retired it."""
    words = " ".join(Page(client.get(f"/pith/{FULL}").text).text.split())
    assert "revocation of 2026-04-14T00:00:00Z, signed by author.example" in words
    assert "event id challenge of 2026-04-13T00:00:00Z, signed by author.example" in words


def test_every_check_has_a_name() -> None:
    """The page lists as many as it counts."""
    assert tuple(CHECKS) == EVENT_CODES


def test_citations_lead_to_the_records_held_here(client: httpx.Client) -> None:
    """In the picture and in the list."""
    links = Page(client.get(f"/pith/{FULL}").text).values("href")
    assert links.count("/pith/NQGOSQWC4PW6CNZIBD63YZNTZT") == 2


def test_the_badge_is_an_image_for_other_sites(client: httpx.Client) -> None:
    """It says how the record stands, and may be shown by other sites."""
    for suffix, standing in ((FULL, "receipt verified"), (UNSIGNED, "no verified receipt")):
        answer = client.get(f"/pith/{suffix}/badge.svg")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert f"pith:{suffix[:8]}: {standing}" in answer.text
        assert Page(answer.text).faults == []


# Finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["1705.09786", "arXiv:1705.09786v3", "10.48550/arxiv.1705.09786", "pith:7SOLO26T", REAL,
     f"pith:2017:{REAL}", "https://arxiv.org/abs/1705.09786v3", " 7solo26t ",
     "AMPNet: Asynchronous  Model-Parallel Training for Dynamic Neural Networks"],
)  # fmt: skip
def test_a_name_leads_to_its_record(query: str, client: httpx.Client) -> None:
    """Any form of it, and the whole title too."""
    answer = client.get("/find", params={"q": query})
    assert (303, f"/pith/{REAL}") == (answer.status_code, answer.headers["location"])


def test_a_page_of_results_can_be_searched_again(client: httpx.Client) -> None:
    """It has one field, with what was asked, and its sentences stand apart."""
    for query in ("holographic", "zzzz yyyy", "1705.09786v9"):
        page = Page(client.get("/find", params={"q": query}).text)
        fields = [one.attributes for one in page.all("input")]
        assert [(one["name"], one["value"]) for one in fields] == [("q", query)]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/find?q=holographic",
        "/findings",
        "/trust",
        "/nowhere",
        f"/pith/{FULL}",
        f"/pith/{CLAIMED}",
        f"/pith/{UNSIGNED}",
    ],
)
def test_sentences_are_separated_by_spaces(path: str, client: httpx.Client) -> None:
    """A template drops the line's end after a tag, and with it a space."""
    assert re.findall(r"[a-z]{5,}[.!?][A-Z]\w*", Page(client.get(path).text).text) == []


def test_an_error_is_shown_once(client: httpx.Client) -> None:
    """The heading is not repeated as the message."""
    page = Page(client.get("/nowhere").text)
    assert page.text.count("Not Found") == 2  # in the title and the heading


def test_a_search_that_finds_nothing_helps(client: httpx.Client) -> None:
    """It says what can be looked up."""
    page = Page(client.get("/find", params={"q": "zzzz yyyy"}).text)
    assert "No record here has that name" in page.text
    assert "Names that can be looked up" in page.text


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("/arxiv/1705.09786", REAL), ("/arxiv/1705.09786v3", REAL), ("/arxiv/hep-th/9901234", FULL),
     ("/doi/10.48550/arXiv.1705.09786", REAL)],
)  # fmt: skip
def test_other_names_lead_to_the_record(path: str, suffix: str, client: httpx.Client) -> None:
    """So that addresses can be made without knowing the number."""
    answer = client.get(path)
    assert (303, f"/pith/{suffix}") == (answer.status_code, answer.headers["location"])


@pytest.mark.parametrize("path", ["/arxiv/ER-2699/4", "/doi/1705.09786", "/arxiv/0000.00000"])
def test_a_name_that_is_not_held_gives_help(path: str, client: httpx.Client) -> None:
    """What forms there are, and a search for it."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Names that can be looked up" in answer.text
    assert f'value="{html.escape(path.split("/", 2)[2])}"' in answer.text


def test_a_proved_title_is_shown_first_with_its_origin(tmp_path: Path, serve: Serve) -> None:
    """On the first page, in a search and on the page of the record; a claim of another is not."""
    record = make_record(abstract="What is \u202e proved?")
    claim = snapshot({"paper": {"title": "Another", "authors_text": "A. U. Thor"}})
    event = make_event(record, AUTHOR, "graph_snapshot", claim)
    (tmp_path / "keys.json").write_bytes(key_set_file(AUTHOR))
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(record, [event])))
    store = make_store(
        tmp_path / "mirror.db", tmp_path / "bundle.json", keys=tmp_path / "keys.json"
    )
    base_url, suffix = serve(store), make_bundle(record)["pith_number"][-26:]
    for path in ("/", f"/pith/{suffix}"):
        page = Page(httpx.get(base_url + path, headers={"Accept": "text/html"}).text)
        assert "Another" in page.text
        assert "proved by its digest" not in page.text
    texts = {"title": "On\n MIRRORS", "abstract": "What is \u202e proved?"}
    (tmp_path / "<b>.jsonl").write_bytes(to_json({"id": "2401.00001", **texts}))
    assert (
        run_mirror("identify", "--metadata", tmp_path / "<b>.jsonl", "--keep", "--db", store) == 1
    )
    with open_store(store) as opened:
        update_index(opened)
    for path in ("/", "/find?q=MIRRORS", f"/pith/{suffix}"):
        page = Page(httpx.get(base_url + path, headers={"Accept": "text/html"}).text)
        text = " ".join(page.text.split())
        assert "On MIRRORS" in text
        assert "proved by its digest, read from <b>.jsonl on 2" in text
        assert ("Another" in text) == path.startswith("/pith/")  # in the event that claims it
        assert page.faults == []
    assert "Claimed by author in a graph snapshot of 2026-01-01: authors." in text
    assert "A. U. Thor" in text
    assert "The title shown has the hash in the record" in text


def test_a_name_of_several_records_tells_them_apart(tmp_path: Path, serve: Serve) -> None:
    """Versions share an id; each shows whether its receipt was verified."""
    for version in (1, 2):
        bundle = make_bundle(make_record(version=version))
        (tmp_path / f"{version}.json").write_bytes(to_json(bundle))
    store = make_store(tmp_path / "mirror.db", tmp_path / "1.json", tmp_path / "2.json")
    base_url = serve(store)
    answer = httpx.get(f"{base_url}/arxiv/2401.00001", headers={"Accept": "text/html"})
    page = check_page(answer.text, answer.headers["content-security-policy"])
    assert (300, 2) == (answer.status_code, page.text.count("no verified receipt"))
    listed = get(f"{base_url}/find?q=2401.00001").text
    assert "2 records have exactly this name" in listed


# What was found, and who is trusted ----------------------------------------------------------


def test_the_first_record_of_the_home_page_has_a_receipt(tmp_path: Path, serve: Serve) -> None:
    """Though most of the bundle, and what came last, has none."""
    store = make_store(tmp_path / "mirror.db", BUNDLES / "pith.tar")
    with open_store(store) as opened:
        update_index(opened)
    page = get(serve(store))
    tags = [value for value, within in page.places if {"abbr", "records"} <= within]
    assert tags[1] == "verified receipt from a trusted key"
    first = next(one for one in page.values("href") if one.startswith("/pith/"))
    assert "Verified receipt from a trusted key." in get(f"{serve(store)}{first}").text


def test_findings_are_counted_and_listed(odd: str) -> None:
    """Each code with its records, and each record with the code."""
    page = get(f"{odd}/findings")
    codes = {one.partition("=")[2] for one in page.values("href") if "?code=" in one}
    assert len(codes) == 15
    for code in codes:
        listed = get(f"{odd}/findings?code={code}")
        records = [one for one in listed.values("href") if one.startswith("/pith/")]
        assert records, code
        if code.startswith("event."):
            assert any(code in get(odd + one).text for one in records)


def test_findings_come_in_pages(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a link to what follows, until nothing does."""
    monkeypatch.setattr("mirror.web.pages.handlers.PAGE_ROWS", 2)
    bundles = [make_bundle(make_record(arxiv_id=f"2401.0000{n}"), [n]) for n in range(5)]
    (tmp_path / "all.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
    base_url = serve(make_store(tmp_path / "mirror.db", tmp_path / "all.jsonl"))
    seen, path = [], "/findings?code=event.shape"
    while path:
        page = get(base_url + path)
        seen += [one for one in page.values("href") if one.startswith("/pith/")]
        following = [one for one in page.all("a") if one.attributes.get("rel") == "next"]
        path = following[0].attributes["href"] if following else ""
    assert (5, 5) == (len(seen), len(set(seen)))


def test_trust_names_every_key_in_both_forms(client: httpx.Client) -> None:
    """And what was changed when."""
    words = Page(client.get("/trust").text).text
    assert BUILT_IN.fingerprint in words
    assert BUILT_IN.fingerprint_base32 in words
    assert client.get("/health").json()["key_set_digest"] in words
    assert words.count("added") >= 5


def test_trust_names_the_time_stamp_authorities(tmp_path: Path, serve: Serve) -> None:
    """With the fingerprints of their certificates, and when they were added and removed."""
    tsa = TimeStampAuthority("<b>tsa")
    with open_store(tmp_path / "mirror.db") as store:
        add_authority(store, tsa.authority())
        add_authority(store, TimeStampAuthority("gone.example").authority())
        remove_authorities(store, ["gone.example"])
    words = get(serve(tmp_path / "mirror.db") + "/trust").text
    assert tsa.root.fingerprint(SHA256()).hex() in words
    assert "<b>tsa added" in words
    assert "gone.example removed" in words


# Strings from outside ------------------------------------------------------------------------


def test_hostile_strings_are_text(hostile: tuple[str, str]) -> None:
    """Nothing of them becomes markup, hides, turns the writing round, or leads to a script."""
    base_url, suffix = hostile
    for path in (f"/pith/{suffix}", "/", "/find?q=owned", "/trust", "/findings",
                 "/findings?code=event.shape", "/findings?code=event.time",
                 "/findings?code=receipt.shape", "/find?q=%E2%80%AE<script>"):  # fmt: skip
        answer = httpx.get(base_url + path, headers={"Accept": "text/html"})
        page = check_page(answer.text, answer.headers["content-security-policy"])
        assert answer.status_code == 200
        assert HIDDEN.findall(answer.text) == []
        assert len(answer.content) < 400_000
        assert max(map(len, re.findall(r"\S+", page.text))) < 6000
    words = get(f"{base_url}/pith/{suffix}").text
    for said in ("<script>document.title", "<U+202E>", "<U+001B>", "<U+3164>", "javascript:alert",
                 "characters in all", "{{7*7}}", "Verified receipt"):  # fmt: skip
        assert said in words, said


def test_an_invented_host_is_escaped(client: httpx.Client) -> None:
    """What a request says of our name is quoted for the shell, and escaped."""
    answer = client.get(f"/pith/{REAL}", headers={"Host": "x';\"<script>"})
    assert "<script>" not in answer.text.replace('<script src="/static', "")


def test_the_error_for_a_missing_store_hides_its_path(tmp_path: Path, serve: Serve) -> None:
    """An error of ours says nothing of how this machine is set up."""
    path = tmp_path / "mirror.db"
    shutil.copy(make_store(tmp_path / "first.db", BUNDLES / "pith.tar"), path)
    base_url = serve(path)
    path.unlink()
    answer = httpx.get(f"{base_url}/pith/{REAL}", headers={"Accept": "text/html"})
    assert (503, False) == (answer.status_code, str(tmp_path) in answer.text)
    check_page(answer.text, answer.headers["content-security-policy"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("Ł. Przykład, 山田花子", "Ł. Przykład, 山田花子"),
        ("a\u202eb", "a<U+202E>b"),
        ("a\n\tb", "a<U+000A><U+0009>b"),
        ("\u200b" * 9, "<U+200B>×9"),
        ("e" + "\u0301" * 7, "e" + "\u0301" * 4 + "<U+0301>×3"),
        ("\U000e0041\ufe0f\u3164", "<U+E0041><U+FE0F><U+3164>"),
        ("x" * 300, "x" * 240 + "…"),
    ],
)
def test_hidden_characters_are_named(value: str, shown: str) -> None:
    """And all others stay as they are."""
    assert escaping.escape_hidden(value) == shown
    if len(value) <= 240:
        assert Page(escaping.text(value)).text == shown


@pytest.mark.parametrize(
    ("value", "is_live"),
    [
        ("https://orcid.org/0000-0002-1825-0097", True),
        ("http://example.org", True),
        ("HTTPS://example.org/?a=b#c", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.org", False),
        ("https://pith.science@evil.example", False),
        ("https://pith.science\u2044evil.example", False),
        ("https://example.org/ x", False),
        ("https://example.org\n", False),
        ("tape:ER-2699/4", False),
    ],
)
def test_only_plain_web_addresses_are_live(value: str, is_live: bool) -> None:  # noqa: FBT001
    """Whatever else an address may be, it is text."""
    assert len(Page(escaping.link(value)).all("a")) == is_live


def test_a_record_shows_its_comparison_with_upstream(
    store_path: Path, serve: Serve, tmp_path: Path
) -> None:
    """The last word of each upstream, held against our state of today."""
    store = tmp_path / "mirror.db"
    shutil.copyfile(store_path, store)
    with open_store(store, read_only=True) as opened:
        text = current_text(opened, look_up(opened.records, FULL))
    state = json.loads(text)
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_bytes(text)
    state["current"]["citations"] = state["current"]["citations"][1:]
    after.write_text(json.dumps(state))
    for said, code in ((before, 0), (after, 1)):
        command = (
            "compare",
            "--upstream",
            said,
            "--upstream-name",
            "pith.example",
            FULL,
            "--db",
            store,
        )
        assert run_mirror(*command) == code
    words = Page(httpx.get(f"{serve(store)}/pith/{FULL}").text).text
    assert "pith.example, response of" in " ".join(words.split())
    assert "upstream does not show it" in words
    assert "It withdrew an earlier statement." in words
    assert "No comparison was made yet" not in words


def test_acknowledged_findings_are_marked(tmp_path: Path, serve: Serve) -> None:
    """The counts of what was acknowledged stand beside all, on either page."""
    bundle = make_bundle(make_record(arxiv_id="2401.00001"), [7])
    (tmp_path / "one.json").write_bytes(to_json(bundle))
    path = make_store(tmp_path / "mirror.db", tmp_path / "one.json")
    base_url = serve(path)
    cell = '<td class="number">1</td><td class="number">{}</td>'
    assert cell.format(0) in get(f"{base_url}/findings").source
    with open_store(path) as store:
        only = FindingFilter(code="event.shape")
        acknowledge(store, AcknowledgeOptions("Ada", "reported", only, is_any_chosen=True))
    assert cell.format(1) in get(f"{base_url}/findings").source
    assert cell.format(1) in get(f"{base_url}/findings?code=event.shape").source
