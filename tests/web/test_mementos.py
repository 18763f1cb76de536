"""Past states over HTTP: Memento (RFC 7089), and a client of it that is not ours."""

from __future__ import annotations

import doctest
import json
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from memento_client import MementoClient

from mirror.core.state_view import parse_state
from mirror.core.values import canonical, hexdigest
from mirror.engine.states.past import past_text
from mirror.store import open_store
from mirror.web import ServerSettings, store_reader, timemaps
from mirror.web.mementos import end_of, parse_accept_datetime
from mirror.web.pages import dates, history
from tests.web.conftest import Serve, served
from tests.web.markup import Page
from tests.web.past_store import (
    DATES,
    RECORD,
    SECONDS,
    SUFFIX,
    Known,
    make_past,
    merge,
)
from tests.web.test_pages import check_page

CLIENT = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
"""One for all tests, without connections between them: to make one takes longer than a request."""
_EXAMPLE = "http://127.0.0.1:8000"
PATHS = {"state": f"/pith/{SUFFIX}/state.json", "bundle": f"/pith/{SUFFIX}/bundle.json"}


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Known]]:
    """A store with a past, and what was known at each second."""
    path = tmp_path_factory.mktemp("past") / "mirror.db"
    return path, make_past(path)


@pytest.fixture(scope="module")
def url(past: tuple[Path, dict[str, Known]], serve: Serve) -> str:
    """The base URL of a server of that store."""
    return serve(past[0])


def _memento(kind: str, second: str) -> str:
    return f"/pith/{SUFFIX}/at/{second}/{kind}.json"


def _links(answer: httpx.Response) -> dict[str, Any]:
    """The links of a response by their address, as a client of Memento reads them."""
    found: dict[str, Any] = MementoClient.parse_link_header(answer.headers["link"])
    return found


def _relations(answer: httpx.Response, url: str) -> dict[str, list[str]]:
    return {one.removeprefix(url): link["rel"] for one, link in _links(answer).items()}


# Mementos ------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("kind", ["state", "bundle"])
def test_a_memento_is_what_was_known_by_the_end_of_its_second(
    kind: str, second: str, url: str, past: tuple[Path, dict[str, Known]]
) -> None:
    """To the byte, under the keys of then, twice: the second time from the cache."""
    for _ in range(2):
        answer = CLIENT.get(url + _memento(kind, second))
        assert answer.status_code == 200
        assert answer.content == getattr(past[1][second], kind)
        assert answer.headers["memento-datetime"] == DATES[SECONDS.index(second)]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
    etag = answer.headers["etag"]
    again = CLIENT.get(url + _memento(kind, second), headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert again.headers["memento-datetime"] == answer.headers["memento-datetime"]


def test_the_states_differ_and_the_last_memento_is_the_current_state(url: str) -> None:
    """A change of trust changes the state, and no bundle."""
    states = [CLIENT.get(url + _memento("state", one)) for one in SECONDS]
    assert len({one.content for one in states}) == len(SECONDS)
    assert states[1].json()["invalid_event_count"] == 2
    assert states[2].json()["invalid_event_count"] == 0
    current = CLIENT.get(url + PATHS["state"])
    assert (states[3].content, states[3].headers["etag"]) == (
        current.content,
        current.headers["etag"],
    )
    digest = hexdigest(canonical(parse_state(states[0].content).value))
    assert states[0].headers["etag"].startswith(f'"{digest}')
    bundles = [CLIENT.get(url + _memento("bundle", one)).content for one in SECONDS]
    assert bundles[1] == bundles[2]
    assert len(set(bundles)) == 3


def test_a_memento_links_to_the_others(url: str) -> None:
    """RFC 7089 section 2.2, each address once."""
    answer = CLIENT.get(url + _memento("state", SECONDS[1]))
    assert _relations(answer, url) == {
        PATHS["state"]: ["original", "timegate"],
        f"{PATHS['state']}/timemap": ["timemap"],
        _memento("state", SECONDS[0]): ["first", "prev", "memento"],
        _memento("state", SECONDS[1]): ["memento"],
        _memento("state", SECONDS[2]): ["next", "memento"],
        _memento("state", SECONDS[3]): ["last", "memento"],
    }
    links = _links(answer)
    assert links[f"{url}{PATHS['state']}/timemap"] == {
        "rel": ["timemap"],
        "type": ["application/link-format"],
        "from": [DATES[0]],
        "until": [DATES[3]],
    }
    for second, date in zip(SECONDS, DATES, strict=True):
        assert links[url + _memento("state", second)]["datetime"] == [date]


def test_a_past_page_has_signposts_to_what_was_known_then(url: str) -> None:
    """Its persistent address is that of the record, which never changes."""
    found = _relations(CLIENT.get(f"{url}/pith/{SUFFIX}/at/{SECONDS[1]}"), url)
    assert found[f"https://pith.science/pith/{SUFFIX}"] == ["cite-as"]
    items = [address for address, relations in found.items() if relations == ["item"]]
    assert items == [_memento("bundle", SECONDS[1]), _memento("state", SECONDS[1])]


@pytest.mark.parametrize(
    ("second", "led"),
    [
        ("20260601120001", 0), ("20260602115959", 0), ("20260602120001", 1), ("20260603120000", 2),
        ("20260604120001", 3), ("99991231235959", 3),
    ],
)  # fmt: skip
def test_any_other_second_leads_to_the_last_change_before(second: str, led: int, url: str) -> None:
    for kind in PATHS:
        answer = CLIENT.get(url + _memento(kind, second))
        assert answer.status_code == 302
        assert answer.headers["location"] == _memento(kind, SECONDS[led])
        assert "memento-datetime" not in answer.headers


@pytest.mark.parametrize("name", [SUFFIX[:8], SUFFIX.lower(), "2401.00001"])
def test_another_name_leads_to_the_fixed_address(name: str, url: str) -> None:
    """A record may share it later, so nothing immutable is there."""
    answer = CLIENT.get(f"{url}/pith/{name}/at/{SECONDS[0]}/state.json")
    assert (answer.status_code, answer.headers["location"]) == (302, _memento("state", SECONDS[0]))


@pytest.mark.parametrize(
    ("second", "status", "code"),
    [
        ("20260601115959", 404, "lookup.not_yet"), ("00010101000000", 404, "lookup.not_yet"),
        ("20260230000000", 400, "request.time"), ("2026060112000", 400, "request.time"),
        ("2026-06-01", 400, "request.time"), ("٢0260601120000", 400, "request.time"),
    ],
)  # fmt: skip
def test_times_before_the_first_memento_and_invalid_times_are_refused(
    second: str, status: int, code: str, url: str
) -> None:
    for kind in PATHS:
        answer = CLIENT.get(url + _memento(kind, second))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert code != "request.time" or repr(second) in answer.json()["detail"]


def test_a_memento_of_a_second_that_is_not_over_may_change(tmp_path: Path) -> None:
    """Or was over a moment ago: a commit takes a while."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        merge(store, RECORD)
        at = store.commits.stored_at(1) or ""
    second = "".join(one for one in at if one.isdigit())[:14]
    with served(ServerSettings(store=path)) as url:
        answer = CLIENT.get(url + _memento("state", second))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, no-cache")


# TimeGates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PATHS.values(), f"/pith/{SUFFIX}"])
@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), (DATES[0], 0), ("Tue, 02 Jun 2026 11:59:59 GMT", 0),
        (DATES[1], 1), (DATES[2], 2), ("Thu, 04 Jun 2026 11:59:59 GMT", 2), (DATES[3], 3),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3),
    ],
)  # fmt: skip
def test_a_time_gate_leads_to_the_memento_of_a_datetime(
    asked: str, led: int, path: str, url: str
) -> None:
    """To the first one for a datetime before it (RFC 7089 section 4.5.3)."""
    answer = CLIENT.get(url + path, headers={"Accept-Datetime": asked})
    ending = path.removeprefix(f"/pith/{SUFFIX}")
    assert answer.status_code == 302
    assert answer.headers["location"] == f"/pith/{SUFFIX}/at/{SECONDS[led]}{ending}"
    assert "accept-datetime" in answer.headers["vary"].lower()
    assert "memento-datetime" not in answer.headers
    relations = _relations(answer, url)
    assert relations[path] == ["original", "timegate"]
    assert relations[f"{path}/timemap"] == ["timemap"]
    assert "memento" in relations[answer.headers["location"]]


def test_the_well_known_bundle_leads_to_the_mementos_of_the_bundle(url: str) -> None:
    path = f"/.well-known/pith/{SUFFIX}/bundle.json"
    answer = CLIENT.get(url + path, headers={"Accept-Datetime": DATES[1]})
    assert answer.headers["location"] == _memento("bundle", SECONDS[1])
    assert _relations(answer, url)[PATHS["bundle"]] == ["original", "timegate"]
    assert _relations(CLIENT.get(url + path), url)[PATHS["bundle"]] == ["original", "timegate"]


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-06-01", "Mon, 32 Jun 2026 12:00:00 GMT", "Mon, 01 Jun 26 12:00:00 GMT",
        "Monday, 01-Jun-26 12:00:00 GMT", "Mon, 01 Jun 2026 12:00:00 CET",
        "Mon, 01 Xyz 2026 12:00:00 GMT", "Mon, 01 Jun 0026 12:00:00",
    ],
)  # fmt: skip
def test_a_malformed_datetime_is_refused(text: str, url: str) -> None:
    """RFC 7089 section 4.5.3: 400."""
    for path in (*PATHS.values(), f"/pith/{SUFFIX}"):
        answer = CLIENT.get(url + path, headers={"Accept-Datetime": text})
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "request.accept_datetime"


def test_years_have_four_digits() -> None:
    assert parse_accept_datetime("Mon, 01 Jan 0800 00:00:00 GMT") == "08000101000000"


@pytest.mark.parametrize("path", [*PATHS.values(), f"/pith/{SUFFIX}"])
def test_the_current_resource_is_its_own_time_gate(path: str, url: str) -> None:
    """Without Accept-Datetime it answers as ever, and says where its past is."""
    for accept in ("text/html", "application/ld+json"):
        answer = CLIENT.get(url + path, headers={"Accept": accept})
        assert answer.status_code == 200
        assert "accept-datetime" in answer.headers["vary"].lower()
        assert (
            _relations(answer, url).items()
            >= {
                f"{path}/timemap": ["timemap"],
            }.items()
        )
        rels = [rel for one, rel in _relations(answer, url).items() if one == path]
        assert rels[0][-2:] == ["original", "timegate"]


# TimeMaps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "/state.json", "/bundle.json"])
def test_a_timemap_lists_all_mementos(ending: str, url: str) -> None:
    """As links, and in JSON for those who ask."""
    path = f"/pith/{SUFFIX}{ending}"
    answer = CLIENT.get(f"{url}{path}/timemap")
    assert answer.headers["content-type"] == "application/link-format"
    links = MementoClient.parse_link_header(answer.text)
    mementos = [f"{url}/pith/{SUFFIX}/at/{one}{ending}" for one in SECONDS]
    assert [one for one in links if "memento" in links[one]["rel"]] == mementos
    assert [links[one]["datetime"] for one in mementos] == [[date] for date in DATES]
    assert links[url + path]["rel"] == ["original", "timegate"]
    assert links[f"{url}{path}/timemap"]["rel"] == ["self"]
    assert links[f"{url}{path}/timemap"]["until"] == [DATES[3]]
    said = CLIENT.get(f"{url}{path}/timemap", headers={"Accept": "application/json"})
    assert said.headers["content-type"] == "application/json"
    value = said.json()
    assert value["original_uri"] == url + path
    assert [one["uri"] for one in value["mementos"]["list"]] == mementos
    assert value["mementos"]["first"] == {"datetime": "2026-06-01T12:00:00Z", "uri": mementos[0]}
    assert value["next"] is None


def test_a_long_timemap_has_pages(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each links to the next one, and all of them have all mementos."""
    monkeypatch.setattr(timemaps, "MAX_MEMENTOS", 3)
    address: str | None = f"{url}{PATHS['state']}/timemap"
    listed: list[str] = []
    pages = 0
    while address is not None:
        links = MementoClient.parse_link_header(CLIENT.get(address).text)
        said = CLIENT.get(address, headers={"Accept": "application/json"}).json()
        mementos = [one for one in links if "memento" in links[one]["rel"]]
        assert [one["uri"] for one in said["mementos"]["list"]] == mementos
        listed += mementos
        later = [one for one in links if "timemap" in links[one]["rel"]]
        assert later == ([said["next"]] if said["next"] else [])
        address, pages = said["next"], pages + 1
    assert listed == [f"{url}{_memento('state', one)}" for one in SECONDS]
    assert pages == 2


def test_a_timemap_page_begins_after_a_second(url: str) -> None:
    answer = CLIENT.get(f"{url}{PATHS['state']}/timemap?after=x")
    assert (answer.status_code, answer.json()["code"]) == (400, "request.after")
    answer = CLIENT.get(f"{url}{PATHS['state']}/timemap?after={SECONDS[3]}")
    links = MementoClient.parse_link_header(answer.text)
    assert [one for one in links if "memento" in links[one]["rel"]] == []


def test_without_commits_there_are_no_mementos(tmp_path: Path, serve: Serve) -> None:
    """The times were damaged: the TimeMap is empty, and no time leads anywhere."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        merge(store, RECORD)
        store.connection.execute("DELETE FROM arrival_commit")
    url = serve(path)
    said = CLIENT.get(f"{url}{PATHS['state']}/timemap", headers={"Accept": "application/json"})
    assert said.json()["mementos"] == {"list": []}
    assert CLIENT.get(f"{url}{PATHS['state']}/timemap").status_code == 200
    asked = {"Accept-Datetime": DATES[0]}
    for path_, headers in ((PATHS["state"], asked), (_memento("state", SECONDS[0]), {})):
        answer = CLIENT.get(url + path_, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "lookup.not_yet")


# A client that is not ours -------------------------------------------------------------------


def _asked(client: MementoClient, address: str, second: int) -> Any:
    at = datetime.strptime(DATES[second], "%a, %d %b %Y %H:%M:%S GMT")  # noqa: DTZ007
    return client.get_memento_info(address, at)["mementos"]


@pytest.mark.parametrize("kind", ["state", "bundle"])
def test_a_memento_client_finds_the_past(
    kind: str, url: str, past: tuple[Path, dict[str, Known]]
) -> None:
    """The resource is its own TimeGate, so the client has no other one."""
    address = url + PATHS[kind]
    with MementoClient(timegate_uri="") as client:
        for number, second in enumerate(SECONDS):
            found = _asked(client, address, number)
            (memento,) = found["closest"]["uri"]
            assert memento == url + _memento(kind, second)
            assert found["closest"]["http_status_code"] == 200
            assert found["closest"]["datetime"] == found_at(second)
            assert CLIENT.get(memento).content == getattr(past[1][second], kind)
            assert MementoClient.is_memento(memento)
            expected = {"closest", "first", "last", "prev", "next"}
            expected -= {"prev"} if number == 0 else {"next"} if number == 3 else set()
            assert set(found) == expected
            for name, place in (("prev", number - 1), ("next", number + 1)):
                if name in found:
                    assert found[name]["datetime"] == found_at(SECONDS[place])
        # A memento leads back to its original, from which another time is reached.
        assert client.get_original_uri(memento) == address
        again = _asked(client, memento, 0)
        assert again["closest"]["uri"] == [url + _memento(kind, SECONDS[0])]
        assert MementoClient.is_timegate(address)


def test_the_session_of_the_documentation_works(url: str) -> None:
    """With the address of this server for that of the example."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text()
    session = text.partition("```pycon\n")[2].partition("```")[0].replace(_EXAMPLE, url)
    test = doctest.DocTestParser().get_doctest(session, {}, "serving.md", None, 0)
    assert len(test.examples) == 7
    assert doctest.DocTestRunner().run(test).failed == 0


def found_at(second: str) -> datetime:
    """The datetime of a second, as the client gives it: without a zone."""
    return datetime.strptime(second, "%Y%m%d%H%M%S")  # noqa: DTZ007


# Limits --------------------------------------------------------------------------------------


def test_the_past_of_a_record_with_very_many_facts_is_not_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bundles are only composed."""
    path = tmp_path / "mirror.db"
    make_past(path)
    monkeypatch.setattr(store_reader, "MAX_PAST_FACTS", 3)
    with served(ServerSettings(store=path)) as url:
        answer = CLIENT.get(url + _memento("state", SECONDS[0]))
        assert (answer.status_code, answer.json()["code"]) == (404, "limit.past")
        assert "mirror show" in answer.json()["hint"]
        shown = CLIENT.get(f"{url}/pith/{SUFFIX}/at/{SECONDS[0]}", headers={"Accept": "text/html"})
        assert (shown.status_code, "limit.past" in shown.text) == (404, True)
        for path_ in (_memento("state", SECONDS[3]), f"/pith/{SUFFIX}/at/{SECONDS[3]}"):
            assert CLIENT.get(url + path_).status_code == 200  # it is so today
        assert CLIENT.get(url + _memento("bundle", SECONDS[0])).status_code == 200


def test_few_past_states_are_merged_at_one_time(
    past: tuple[Path, dict[str, Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others have to ask again, and those that are cached need no turn."""
    monkeypatch.setattr(store_reader, "_PAST_MERGES", 1)
    monkeypatch.setattr(store_reader, "_WAIT_S", 0.01)
    begun, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> bytes:
        begun.set()
        assert go_on.wait(30)
        return past_text(*arguments)

    with served(ServerSettings(store=past[0], cache_bytes=1 << 20)) as url:
        assert CLIENT.get(url + _memento("state", SECONDS[0])).status_code == 200
        monkeypatch.setattr(store_reader, "past_text", slow)
        first = threading.Thread(target=CLIENT.get, args=(url + _memento("state", SECONDS[1]),))
        first.start()
        assert begun.wait(30)
        answer = CLIENT.get(url + _memento("state", SECONDS[2]))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["code"] == "http.service_unavailable"
        assert CLIENT.get(url + _memento("state", SECONDS[0])).status_code == 200
        go_on.set()
        first.join()
        assert CLIENT.get(url + _memento("state", SECONDS[2])).status_code == 200


# The page ------------------------------------------------------------------------------------


def _page(url: str, path: str = "") -> Page:
    answer = CLIENT.get(f"{url}/pith/{SUFFIX}{path}", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    return check_page(answer.text, answer.headers["content-security-policy"])


def test_the_page_lists_the_dates_and_leads_to_them(url: str) -> None:
    """Without JavaScript: links, and a form for a day."""
    page = _page(url)
    paths = [f"/pith/{SUFFIX}/at/{one}" for one in reversed(SECONDS)]
    assert [one for one in page.values("href") if "/at/" in one] == paths
    (form,) = [one for one in page.all("form") if one.attributes.get("class") == "date"]
    assert form.attributes["action"] == f"/pith/{SUFFIX}/at"
    assert [one.attributes["type"] for one in page.all("input") if one.attributes["name"] == "date"]


@pytest.mark.parametrize(
    ("date", "led"),
    [("2026-06-01", 0), ("2026-06-02T12:00:00Z", 1), ("2026-06-03", 2), ("2030-01-01", 3)],
)
def test_a_day_redirects_to_the_page_of_its_end(date: str, led: int, url: str) -> None:
    answer = CLIENT.get(f"{url}/pith/{SUFFIX[:8]}/at", params={"date": date})
    location = f"/pith/{SUFFIX}/at/{SECONDS[led]}"
    assert (answer.status_code, answer.headers["location"]) == (302, location)


@pytest.mark.parametrize(
    ("date", "status", "code"),
    [("2026-05-31", 404, "lookup.not_yet"), ("", 400, "request.time"), ("x", 400, "request.time")],
)
def test_a_day_before_the_record_was_known_has_no_page(
    date: str, status: int, code: str, url: str
) -> None:
    address = f"{url}/pith/{SUFFIX}/at"
    answer = CLIENT.get(address, params={"date": date})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    shown = CLIENT.get(address, params={"date": date}, headers={"Accept": "text/html"})
    assert shown.status_code == status
    check_page(shown.text, shown.headers["content-security-policy"])


@pytest.mark.parametrize("second", SECONDS)
def test_a_past_page_shows_what_was_known_then(
    second: str, url: str, past: tuple[Path, dict[str, Known]]
) -> None:
    """It says which time that is, and leads to the state and bundle of then only."""
    path, index = f"/pith/{SUFFIX}/at/{second}", SECONDS.index(second)
    answer = CLIENT.get(url + path)
    assert answer.headers["memento-datetime"] == DATES[index]
    assert answer.headers["cache-control"] == "public, no-cache"  # it is compared with today
    page = check_page(answer.text, answer.headers["content-security-policy"])
    at = end_of(second).text[:19] + "Z"
    assert f"What this mirror knew by {at}" in " ".join(page.text.split())
    assert "not the time that their signers claim" in " ".join(page.text.split())
    assert json.loads(past[1][second].state)["valid_event_count"] == int(
        re.findall(r"(\d+) valid event", page.text)[0]
    )
    hrefs = set(page.values("href"))
    assert {f"{path}/state.json", f"{path}/bundle.json"} <= hrefs
    assert hrefs.isdisjoint({*PATHS.values(), "#badge", "#verify"})
    near = [f"/pith/{SUFFIX}/at/{one}" for one in SECONDS[max(0, index - 1) : index + 2]]
    assert {*near, f"/pith/{SUFFIX}"} <= hrefs
    assert ("Nothing: the state is that of today." in page.text) == (index == 3)
    assert ("On mirrors" in page.text) == (index == 3)  # kept on 3 June, 13:00


def test_a_past_page_says_what_differs_from_today_in_words(url: str) -> None:
    """Whatever came, went or changed since."""
    text = " ".join(_page(url, f"/at/{SECONDS[1]}").text.split())
    assert "came retired events" in text
    assert "gone invalid events" in text
    assert "events: 3 before, 4 after" in text


def test_a_past_page_says_if_the_rules_were_others(tmp_path: Path) -> None:
    """Or that they are not known."""
    path = tmp_path / "mirror.db"
    make_past(path)
    with open_store(path) as store:
        rows = list(store.commits.table.rows())
        store.connection.execute("DELETE FROM arrival_commit")
        rules = {1: "older <rules>", 3: ""}
        store.commits.table.add([(*row[:3], rules.get(row[0], row[3])) for row in rows])
    with served(ServerSettings(store=path)) as url:
        texts = [" ".join(_page(url, f"/at/{one}").text.split()) for one in SECONDS[::3]]
        unknown = " ".join(_page(url, f"/at/{SECONDS[1]}").text.split())
    assert "the rules then were older <rules>" in texts[0]
    assert "which rules this mirror had then is not known" in unknown
    assert "the rules then were" not in texts[1]


def test_links_of_a_past_page_lead_somewhere(url: str) -> None:
    page = _page(url, f"/at/{SECONDS[1]}")
    links = {one.partition("#")[0] for one in page.values("href") if one.startswith("/")}
    for link in links:
        assert CLIENT.get(url + link).status_code == 200, link


def test_many_dates_and_differences_are_counted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dates, "MAX_DATES", 3)
    monkeypatch.setattr(dates, "MAX_CHANGES", 1)
    page = _page(url, f"/at/{SECONDS[1]}")
    assert "1 earlier ones are not listed here." in page.text
    assert "6 more are not listed" in page.text


# The steps of the history --------------------------------------------------------------------


def _steps(page: Page) -> list[str]:
    """The rows of the table of steps."""
    table = page.source.partition('<table class="history">')[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(?:(?!</tr>).)*</tr>", table.partition("<tbody>")[2], re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in rows]


def test_the_page_shows_what_was_stored_when_and_what_it_did(
    url: str, past: tuple[Path, dict[str, Known]]
) -> None:
    """By known time, the latest first, with the digests of the states, as `mirror history` does."""
    rows = _steps(_page(url))
    times = [row.split()[0] for row in rows]
    assert times == sorted(times, reverse=True)
    assert [one.replace("Z", "") for one in times] == [
        "2026-06-04T12:00:00", "2026-06-03T00:00:00", "2026-06-02T12:00:00",
        "2026-06-02T12:00:00", "2026-06-01T12:00:00",
    ]  # fmt: skip
    assert "revoked sha256:" in rows[0]
    assert "trusted keys trusted: key key-author" in rows[1]
    assert "not verified refused, event.key_unknown: author_claimed" in rows[2]
    assert "none" in rows[4]
    for row, second in zip((rows[0], rows[1], rows[2], rows[4]), reversed(SECONDS), strict=True):
        state = parse_state(past[1][second].state)
        assert hexdigest(canonical(state.value))[:16] == row.rpartition(" ")[2].rstrip("…")


def test_a_past_page_has_the_steps_until_then(url: str) -> None:
    assert _steps(_page(url, f"/at/{SECONDS[1]}")) == _steps(_page(url))[2:]


def test_what_was_refused_then_is_marked_though_it_is_valid_today(url: str) -> None:
    page = _page(url, f"/at/{SECONDS[1]}")
    shown = [within for value, within in page.places if "0000-0002-1825-0097" in value]
    assert shown
    assert all("unverified" in within for within in shown)


def test_of_very_many_steps_the_arrivals_are_listed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step costs a merge."""
    monkeypatch.setattr(history, "MAX_WORK", 10)
    page = _page(url)
    assert _steps(page) == []
    assert "What each did to the state: mirror history" in " ".join(page.text.split())
    monkeypatch.undo()
    monkeypatch.setattr(history, "MAX_STEPS", 2)
    monkeypatch.setattr(history, "MAX_LINES", 1)
    rows = _steps(_page(url))
    assert len(rows) == 2
    assert "and 1 more" in rows[0]
