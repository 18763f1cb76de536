"""OAI-PMH over HTTP: a harvester that is not ours, every verb, every error."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from oaipmh_scythe import Scythe
from oaipmh_scythe.config import HTTPConfig

from mirror.engine.harvest import lists
from mirror.engine.harvest.formats import FORMATS
from mirror.store import open_store
from mirror.web import ServerSettings
from mirror.web.oai import handler
from mirror.web.oai.arguments import VERBS
from mirror.web.oai.handler import ADMIN_UNKNOWN
from tests.helpers import sample_states
from tests.web.conftest import run_mirror, served
from tests.web.hostile import hostile_store
from tests.web.oai_documents import DC, KERNEL, OAI, OAI_SCHEMA, STATE, parse, state_in

TOKEN = f"{OAI}resumptionToken"
NUMBER = "pith:2017:7SOLO26TLPZRGSRX2HH227CICV"
STATES = {state["pith_number"]: state for name in ("pith", "demo") for state in sample_states(name)}
CLIENT = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture(scope="module", autouse=True)
def _short_pages() -> Iterator[None]:
    """Several pages for each list of the sample store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "PAGE_RECORDS", 29)
        patch.setattr(lists, "PAGE_HEADERS", 29)
        patch.setattr(handler, "PAGE_SETS", 29)
        yield


def _ask(site: str, **arguments: str) -> Any:
    answer = CLIENT.get(f"{site}/oai", params={k.rstrip("_"): v for k, v in arguments.items()})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    return parse(answer.content)


def _pages(site: str, verb: str, **arguments: str) -> Iterator[Any]:
    """The pages of a list."""
    page = _ask(site, verb=verb, **arguments)
    yield page
    while token := page.findtext(f"{OAI}resumptionToken"):
        page = _ask(site, verb=verb, resumptionToken=token)
        yield page


def _numbers(pages: Iterator[Any]) -> list[str]:
    return [one.text for page in pages for one in page.iter(f"{OAI}identifier")]


def test_the_schema_of_oai_pmh_was_fetched() -> None:
    """Every document in these tests is validated by it."""
    if not OAI_SCHEMA.exists():
        pytest.skip(f"{OAI_SCHEMA} is absent: scripts/environment.sh could not fetch it")


# A harvester ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("prefix", FORMATS)
def test_a_harvester_gets_every_record_once(prefix: str, method: str, site: str) -> None:
    scythe: Any
    with Scythe(f"{site}/oai", http_config=HTTPConfig(http_method=method)) as scythe:
        found = [one.header.identifier for one in scythe.list_records(metadata_prefix=prefix)]
    assert sorted(found) == sorted(STATES)


def test_a_harvester_reads_identity_formats_and_sets(site: str) -> None:
    scythe: Any
    with Scythe(f"{site}/oai") as scythe:
        assert scythe.identify().baseURL == f"{site}/oai"
        assert sorted(one.identifier for one in scythe.list_identifiers()) == sorted(STATES)
        assert [one.metadataPrefix for one in scythe.list_metadata_formats()] == [*FORMATS]
        assert scythe.get_record(NUMBER).header.identifier == NUMBER
        for one in [*scythe.list_sets()][:40]:
            found = {record.identifier for record in scythe.list_identifiers(set_=one.setSpec)}
            assert found == _in_set(one.setSpec)


def _in_set(spec: str) -> set[str]:
    """The records of a set, from their states."""
    kind, _, name = spec.partition(":")
    if not name:
        return {*STATES}
    if kind == "year":
        return {number for number in STATES if number[5:9] == name}
    metadata = {
        number: state["current"]["canonical_record"]["metadata"] for number, state in STATES.items()
    }
    return {
        number
        for number, one in metadata.items()
        if name in (one["primary_cat"], *one["cross_cats_sorted"])
    }


# Documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", FORMATS)
def test_pages_are_documents_with_all_records(prefix: str, site: str) -> None:
    pages = [*_pages(site, "ListRecords", metadataPrefix=prefix)]
    assert sorted(_numbers(iter(pages))) == sorted(STATES)
    tokens = [page.find(f"{OAI}resumptionToken") for page in pages]
    assert [one.get("cursor") for one in tokens] == [str(29 * n) for n in range(len(pages))]
    assert {one.get("completeListSize") for one in tokens} == {str(len(STATES))}
    assert tokens[-1].text is None


def test_states_are_complete(site: str) -> None:
    for page in _pages(site, "ListRecords", metadataPrefix="pith_state"):
        for element in page.iter(f"{STATE}pith_state"):
            assert state_in(element) == STATES[element.get("pithNumber")]


def test_a_page_ends_early_after_long_metadata(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE_CHARACTERS", 20_000)
    pages = [*_pages(site, "ListRecords", metadataPrefix="pith_state", set="category:cs.DL")]
    found = [[*page.iter(f"{STATE}pith_state")] for page in pages]
    assert len({len(page) for page in found}) > 1
    for page in found:
        assert sum(len(one.text) for one in page[:-1]) < 20_000
    specs = [one.get("completeListSize") for page in pages for one in page.iter(TOKEN)]
    assert {*specs} == {str(sum(map(len, found)))}


def test_the_size_of_a_list_is_given_where_it_is_known(site: str) -> None:
    """That of all records, or of a set."""
    for arguments, size in (
        ({}, str(len(STATES))),
        ({"set": "category"}, str(len(STATES))),
        ({"from_": "1990-01-01"}, str(len(STATES))),
        ({"until": "9999-12-31"}, str(len(STATES))),
    ):
        page = _ask(site, **LIST, **arguments)
        assert page.find(TOKEN).get("completeListSize") == size


def test_a_short_list_has_no_token(site: str) -> None:
    page = _ask(site, verb="ListRecords", metadataPrefix="oai_dc", set="category:math.HO")
    assert page.find(f"{OAI}resumptionToken") is None


def test_identify_names_the_administrator(store_path: Path, site: str) -> None:
    assert _ask(site, verb="Identify").findtext(f"{OAI}adminEmail") == ADMIN_UNKNOWN
    address = "library@mirror.example"
    settings = ServerSettings(
        store=store_path, base_url="https://mirror.example", admin_email=address, name="A & B"
    )
    with served(settings) as url:
        found = _ask(url, verb="Identify")
    assert found.findtext(f"{OAI}adminEmail") == address
    assert found.findtext(f"{OAI}repositoryName") == "A & B"
    assert found.findtext(f"{OAI}baseURL") == "https://mirror.example/oai"


@pytest.mark.parametrize("address", ["library", "a@b", "a b@c.example", "a@@c.example", "a@.."])
def test_an_address_that_oai_pmh_does_not_allow_is_refused(address: str) -> None:
    assert run_mirror("serve", "--admin-email", address) == 2


def test_the_schema_of_states_is_served(site: str) -> None:
    formats = _ask(site, verb="ListMetadataFormats", identifier=NUMBER)
    addresses = [one.text for one in formats.iter(f"{OAI}schema")]
    assert addresses[2] == f"{site}/static/pith_state.xsd"
    answer = CLIENT.get(addresses[2])
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    etree.XMLSchema(etree.fromstring(answer.content))


def test_all_sets_are_listed_in_pages(site: str) -> None:
    pages = [*_pages(site, "ListSets")]
    specs = [one.text for page in pages for one in page.iter(f"{OAI}setSpec")]
    assert len(pages) > 1
    assert specs == sorted({*specs})
    assert {"year", "category", "year:2017", "category:cs.LG"} <= {*specs}
    assert pages[-1].find(f"{OAI}resumptionToken").get("cursor") == str(29 * (len(pages) - 1))


def test_hostile_records_are_harvested(tmp_path: Path) -> None:
    """Markup, control characters and the like, in titles, categories and licences."""
    store, _ = hostile_store(tmp_path)
    with open_store(store, read_only=True) as opened:
        count = opened.records.count()
    with served(ServerSettings(store=store)) as url:
        for prefix in FORMATS:
            pages = _pages(url, "ListRecords", metadataPrefix=prefix)
            assert len({*_numbers(pages)}) == count
        specs = [one.text for page in _pages(url, "ListSets") for one in page.iter(f"{OAI}setSpec")]
        for spec in specs:
            assert _numbers(_pages(url, "ListIdentifiers", metadataPrefix="oai_dc", set=spec))


# What is known, and from whom ----------------------------------------------------------------


def test_each_format_separates_proofs_and_claims(site: str) -> None:
    """The demo record with a graph snapshot."""
    number = next(
        number for number, state in STATES.items()
        if any(one["payload"]["graph_snapshot"].get("paper") for one in
               state["current"]["graph_snapshots"])
    )  # fmt: skip
    core = _ask(site, verb="GetRecord", identifier=number, metadataPrefix="oai_dc")
    said = [one.text for one in core.iter(f"{DC}description")]
    assert any(one.startswith("Title: claimed by ") for one in said)
    assert core.find(f".//{DC}title").text
    kernel = _ask(site, verb="GetRecord", identifier=number, metadataPrefix="oai_datacite")
    assert said == [one.text for one in kernel.iter(f"{KERNEL}description")]
    assert kernel.find(f".//{KERNEL}title").text == core.find(f".//{DC}title").text


def test_unknown_values_are_marked_as_unknown(site: str) -> None:
    core = _ask(site, verb="GetRecord", identifier=NUMBER, metadataPrefix="oai_dc")
    assert core.find(f".//{DC}title") is None
    assert core.find(f".//{DC}creator") is None
    kernel = _ask(site, verb="GetRecord", identifier=NUMBER, metadataPrefix="oai_datacite")
    assert kernel.find(f".//{KERNEL}title").text == ":unav"
    assert kernel.find(f".//{KERNEL}creatorName").text == ":unav"


# Errors --------------------------------------------------------------------------------------

LIST = {"verb": "ListRecords", "metadataPrefix": "oai_dc"}
GET = {"verb": "GetRecord", "identifier": NUMBER, "metadataPrefix": "oai_dc"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "badVerb"),
        ({"verb": "identify"}, "badVerb"),
        ({"verb": ["Identify", "Identify"]}, "badVerb"),
        ({"verb": "Identify", "x": "1"}, "badArgument"),
        ({"verb": "Identify", "identifier": NUMBER}, "badArgument"),
        ({"verb": "ListSets", "resumptionToken": ""}, "badResumptionToken"),
        ({"verb": "ListSets", "set": "year"}, "badArgument"),
        ({"verb": "ListMetadataFormats", "identifier": "pith:2017:NOBODY"}, "idDoesNotExist"),
        ({"verb": "GetRecord", "identifier": NUMBER}, "badArgument"),
        ({"verb": "GetRecord", "metadataPrefix": "oai_dc"}, "badArgument"),
        ({**GET, "identifier": NUMBER[10:]}, "badArgument"),
        ({**GET, "identifier": "no uri"}, "badArgument"),
        ({**GET, "identifier": NUMBER.replace("2017", "2018")}, "idDoesNotExist"),
        ({**GET, "identifier": NUMBER[:18]}, "idDoesNotExist"),
        ({**GET, "metadataPrefix": "marc21"}, "cannotDisseminateFormat"),
        ({**GET, "metadataPrefix": "<>"}, "badArgument"),
        ({"verb": "ListRecords"}, "badArgument"),
        ({**LIST, "metadataPrefix": "marc21"}, "cannotDisseminateFormat"),
        ({**LIST, "metadataPrefix": ["oai_dc", "oai_dc"]}, "badArgument"),
        ({**LIST, "resumptionToken": "x"}, "badArgument"),
        ({"verb": "ListRecords", "resumptionToken": "x"}, "badResumptionToken"),
        ({"verb": "ListRecords", "resumptionToken": "é" * 900}, "badResumptionToken"),
        ({**LIST, "set": "year:1700"}, "noRecordsMatch"),
        ({**LIST, "set": "nothing"}, "noRecordsMatch"),
        ({**LIST, "set": "a b"}, "badArgument"),
        ({**LIST, "from": "2026"}, "badArgument"),
        ({**LIST, "from": "2026-02-30"}, "badArgument"),
        ({**LIST, "from": "2026-06-01T12:00:00.5Z"}, "badArgument"),
        ({**LIST, "from": "2026-06-01T12:00:00+00:00"}, "badArgument"),
        ({**LIST, "from": "2026-06-01", "until": "2026-06-01T12:00:00Z"}, "badArgument"),
        ({**LIST, "from": "2026-06-02", "until": "2026-06-01"}, "badArgument"),
        ({**LIST, "until": "1990-01-01"}, "noRecordsMatch"),
        ({**LIST, "from": "9999-12-31"}, "noRecordsMatch"),
    ],
)  # fmt: skip
def test_each_error_has_its_code(arguments: dict[str, Any], code: str, site: str) -> None:
    for answer in (
        CLIENT.get(f"{site}/oai", params=arguments),
        CLIENT.post(f"{site}/oai", data=arguments),
    ):
        assert answer.status_code == 200
        assert parse(answer.content).get("code") == code


@pytest.mark.parametrize("since", ["1990-01-01", "1990-01-01T00:00:00Z"])
@pytest.mark.parametrize("until", ["9999-12-31", "9999-12-31T23:59:59Z"])
def test_days_and_seconds_are_accepted(since: str, until: str, site: str) -> None:
    if len(since) == len(until):
        pages = _pages(site, "ListIdentifiers", metadataPrefix="oai_dc", from_=since, until=until)
        assert len(_numbers(pages)) == len(STATES)
    for one in ({"from_": since}, {"until": until}):
        pages = _pages(site, "ListIdentifiers", metadataPrefix="oai_dc", **one)
        assert len(_numbers(pages)) == len(STATES)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_refuses_the_arguments_of_others(verb: str, site: str) -> None:
    answer = CLIENT.get(f"{site}/oai", params={"verb": verb, "nothing": "1"})
    assert parse(answer.content).get("code") == "badArgument"


# Tokens, forms, restarts ---------------------------------------------------------------------


def test_a_token_is_refused_where_it_is_not_of_this_list(site: str, tmp_path: Path) -> None:
    """Cut, changed, for another verb, or of another store."""
    page = _ask(site, **LIST)
    token = page.findtext(f"{OAI}resumptionToken")
    wrong = {
        "ListRecords": [token[:-1], token + "A", token[1:], token.swapcase(), f"{token}="],
        "ListIdentifiers": [token],
        "ListSets": [token],
    }
    for verb, tokens in wrong.items():
        for one in tokens:
            found = _ask(site, verb=verb, resumptionToken=one)
            assert found.get("code") == "badResumptionToken", one
    store, _ = hostile_store(tmp_path)
    with served(ServerSettings(store=store)) as other:
        found = _ask(other, verb="ListRecords", resumptionToken=token)
        assert found.get("code") == "badResumptionToken"


def test_a_list_goes_on_after_a_restart(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a set, whose members the new server has not read."""
    monkeypatch.setattr(lists, "PAGE_RECORDS", 15)
    spec = "year:2026"
    found: list[str] = []
    arguments = {**LIST, "set": spec}
    while arguments:
        with served(ServerSettings(store=store_path, base_url="https://m.example")) as url:
            page = _ask(url, **arguments)
        found += _numbers(iter([page]))
        token = page.findtext(f"{OAI}resumptionToken")
        arguments = {"verb": "ListRecords", "resumptionToken": token} if token else {}
    assert sorted(found) == sorted(_in_set(spec))


def test_a_form_is_read_like_a_query(site: str) -> None:
    """And nothing else is: the query of a POST request does not count."""
    answer = CLIENT.post(
        f"{site}/oai?verb=x", data={"verb": "Identify"}, headers={"If-None-Match": "*"}
    )
    assert parse(answer.content).tag == f"{OAI}Identify"
    for headers, body in (
        ({"Content-Type": "application/json"}, b"{}"),
        ({}, b"verb=Identify"),
        (
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"verb=Identify&x=" + b"x" * 20_000,
        ),
    ):
        refused = CLIENT.post(f"{site}/oai", content=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "request.form")


def test_a_client_may_leave_before_its_form_is_whole(store_path: Path) -> None:
    """It is counted as gone (499), and is no error of the server."""
    head = b"POST /oai HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nverb="
    with served(ServerSettings(store=store_path)) as url:
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 0)) as sock:
            sock.sendall(head)
        counted = ""
        while 'status="499"' not in counted:
            counted = CLIENT.get(f"{url}/metrics").text
        assert 'status="500"' not in counted


def test_a_page_with_a_damaged_record_is_an_error(store_path: Path, tmp_path: Path) -> None:
    """The page fails until the store is repaired, so that no harvester takes it for whole."""
    path = tmp_path / "mirror.db"
    path.write_bytes(store_path.read_bytes())
    with open_store(path) as store:
        store.connection.execute("UPDATE record SET source_id = 'x' WHERE id = 3")
    with served(ServerSettings(store=path)) as url:
        answer = CLIENT.get(f"{url}/oai", params=LIST)
        assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "store.damaged")
