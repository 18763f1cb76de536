"""Harvests while the store changes: after each increment, a harvester has what the mirror has."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree
from starlette.requests import Request

from mirror.core.values import time_text
from mirror.engine.harvest import lists
from mirror.engine.harvest.formats import FORMATS, HarvestedRecord, HarvestSource
from mirror.engine.search.metadata_check import keep_metadata
from mirror.engine.states import trust
from mirror.engine.states.rebuild import repair
from mirror.engine.states.trust import add_keys
from mirror.store import SETTLED_S, Damage, Store, known_time, open_store
from mirror.web.base_url import BaseUrl
from mirror.web.oai import handler
from mirror.web.oai.handler import OaiApi
from mirror.web.store_reader import StoreReader
from tests.builders import author_claim, make_event, make_receipt, make_record, to_json
from tests.engine.history.worlds import AUTHOR, REGISTRY, events_of, merge, step
from tests.helpers import keys_of
from tests.web.oai_documents import OAI, parse
from tests.web.past_store import clock as past_clock

BASE = "https://mirror.example"
RECORDS = 7
EVENTS = {number: events_of(number) for number in range(RECORDS)}


def ask(api: OaiApi, arguments: dict[str, str]) -> Any:
    """The answer to a request, from the handler itself."""
    query = urlencode(arguments).encode()
    scope = {"type": "http", "method": "GET", "query_string": query, "headers": []}
    return parse(api.handle(Request(scope)).body)


class _Clock:
    """The time of the harvester and the server; transactions take theirs a while before."""

    def __init__(self, patch: pytest.MonkeyPatch, chance: Random) -> None:
        self._now = datetime(2026, 6, 1, tzinfo=UTC)
        self._chance = chance
        patch.setattr(handler, "datetime", SimpleNamespace(now=lambda _zone: self._now))
        late = SimpleNamespace(now=lambda _zone: self._earlier())
        patch.setattr(known_time, "datetime", late)
        patch.setattr(trust, "_now", lambda: time_text(self._earlier(), microseconds=True))

    def _earlier(self) -> datetime:
        return self._now - timedelta(seconds=self._chance.uniform(0, SETTLED_S - 1))

    def go_on(self, seconds: float | None = None) -> None:
        """A while later: by default less or more than a transaction may take."""
        chosen = self._chance.choice([0, 0.4, 7, 70, 4000]) if seconds is None else seconds
        self._now += timedelta(seconds=chosen)


class _Harvester:
    """Copies a mirror by increments, as any harvester does."""

    def __init__(self, api: OaiApi, prefix: str) -> None:
        self._api = api
        self._prefix = prefix
        self._since = ""
        self.copy: dict[str, str] = {}

    def harvest(self, between_pages: Callable[[], None] = lambda: None) -> list[str]:
        """One increment, or the whole at first; the identifiers in their order."""
        arguments = {"verb": "ListRecords", "metadataPrefix": self._prefix}
        arguments |= {"from": self._since} if self._since else {}
        found: list[str] = []
        responded_at = ""
        while arguments:
            page = ask(self._api, arguments)
            responded_at = responded_at or page.getparent().findtext(f"{OAI}responseDate")
            if page.tag == f"{OAI}error":
                assert page.get("code") == "noRecordsMatch"
                break
            found += self._take(page)
            token = page.findtext(f"{OAI}resumptionToken")
            arguments = {"verb": "ListRecords", "resumptionToken": token} if token else {}
            between_pages()
        self._since = responded_at
        return found

    def _take(self, page: Any) -> Iterator[str]:
        for record in page.iter(f"{OAI}record"):
            number = record.findtext(f"{OAI}header/{OAI}identifier")
            (metadata,) = record.find(f"{OAI}metadata")
            self.copy[number] = etree.tostring(metadata, method="c14n", exclusive=True).decode()
            yield number


def _shown(store: Store, prefix: str) -> dict[str, str]:
    """All that the mirror gives now, by identifier."""
    source = HarvestSource(store, BASE)
    listed = (
        HarvestedRecord(source, one, store.records.get(one))
        for _, one in store.records.in_bag_order(None)
    )
    return {
        one.record.pith_number: etree.tostring(
            etree.fromstring(FORMATS[prefix].write(one)), method="c14n", exclusive=True
        ).decode()
        for one in listed
    }


def _change(store: Store, chance: Random) -> None:
    """Merge a new fact or some old ones, change trust, or keep a title."""
    if chance.random() < 0.4:
        record = make_record(arxiv_id=f"2401.{chance.randrange(RECORDS):05}")
        at = f"2026-05-{chance.randint(1, 31):02}T12:00:{chance.randrange(60):02}Z"
        merge(
            store, make_event(record, AUTHOR, "author_claimed", author_claim(), at), record=record
        )
    elif chance.random() < 0.1:
        line = to_json({"id": f"2401.{chance.randrange(RECORDS):05}", "title": "On mirrors"})
        assert [*keep_metadata(store, io.BytesIO(line), "dump.jsonl")]
    else:
        step(store, chance, EVENTS)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OaiApi]:
    """The repository of a store that others write, with pages of two records."""
    monkeypatch.setattr(lists, "PAGE_RECORDS", 2)
    with open_store(tmp_path / "mirror.db"):
        reader = StoreReader(tmp_path / "mirror.db")
    yield OaiApi(reader, "A mirror", BaseUrl(BASE))
    reader.close()


@pytest.mark.parametrize("prefix", ["pith_state", "oai_dc"])
@pytest.mark.parametrize("seed", range(3))
def test_increments_miss_nothing(
    seed: int, prefix: str, api: OaiApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes meanwhile; and no list has a record twice."""
    chance = Random(seed)
    clock = _Clock(monkeypatch, chance)
    harvester = _Harvester(api, prefix)
    with open_store(tmp_path / "mirror.db") as store:

        def happen() -> None:
            clock.go_on()
            if chance.random() < 0.6:
                _change(store, chance)

        for _ in range(6):
            for _ in range(chance.randint(0, 4)):
                happen()
            before = {one[2] for one in store.records.page(0, RECORDS)}
            whole = _Harvester(api, prefix).harvest(happen)
            assert sorted(whole) == sorted(before)
            found = harvester.harvest(happen)
            assert len({*found}) == len(found)
            harvester.harvest()
            assert harvester.copy == _shown(store, prefix)


def test_a_change_during_a_list_shifts_no_record(api: OaiApi, tmp_path: Path) -> None:
    """Records that were given, or are still to be given, and new ones."""
    records = [make_record(arxiv_id=f"2401.{number:05}") for number in range(7)]
    with open_store(tmp_path / "mirror.db") as store:
        for record in records[:5]:
            merge(store, record=record)
        numbers = [store.records.get(one).pith_number for one in range(1, 6)]
        changed = iter(records)

        def happen() -> None:
            for record in islice(changed, 3):
                merge(store, record=record, receipts=[make_receipt(record, REGISTRY)])

        harvester = _Harvester(api, "pith_state")
        assert harvester.harvest(happen) == numbers
        assert len(harvester.harvest()) == 7
        assert harvester.copy == _shown(store, "pith_state")


@pytest.fixture
def quiet(
    api: OaiApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Store, _Harvester, _Clock]]:
    """A store of three records that changed long ago, and a harvester who has all of it."""
    clock = _Clock(monkeypatch, Random(1))
    harvester = _Harvester(api, "oai_dc")
    with open_store(tmp_path / "mirror.db") as store:
        for number in range(3):
            merge(store, *EVENTS[number], record=make_record(arxiv_id=f"2401.{number:05}"))
        clock.go_on(3 * SETTLED_S)
        assert len(harvester.harvest()) == 3
        assert harvester.harvest() == []
        yield store, harvester, clock


def test_a_change_of_one_record_is_listed_alone(quiet: tuple[Store, _Harvester, _Clock]) -> None:
    """Again for as long as a transaction may take, and then no more."""
    store, harvester, clock = quiet
    record = make_record(arxiv_id="2401.00001")
    merge(store, record=record, receipts=[make_receipt(record, REGISTRY)])
    assert len(harvester.harvest()) == 1
    clock.go_on(2 * SETTLED_S)
    assert len(harvester.harvest()) == 1
    assert harvester.harvest() == []


def test_a_kept_title_is_a_change_of_all(quiet: tuple[Store, _Harvester, _Clock]) -> None:
    store, harvester, _ = quiet
    line = to_json({"id": "2401.00001", "title": "On mirrors"})
    assert [*keep_metadata(store, io.BytesIO(line), "dump.jsonl")]
    assert len(harvester.harvest()) == 3
    assert harvester.copy == _shown(store, "oai_dc")
    assert sum("On mirrors" in one for one in harvester.copy.values()) == 1


def test_a_change_of_trust_is_a_change_of_all(quiet: tuple[Store, _Harvester, _Clock]) -> None:
    store, harvester, _ = quiet
    add_keys(store, keys_of(REGISTRY))
    assert len(harvester.harvest()) == 3
    assert harvester.copy == _shown(store, "oai_dc")


def test_a_repair_is_a_change_of_all(quiet: tuple[Store, _Harvester, _Clock]) -> None:
    """A record that has no facts any more is not listed."""
    store, harvester, _ = quiet
    record = make_record(arxiv_id="2401.00000")
    merge(store, record=record, receipts=[make_receipt(record, REGISTRY)])
    numbers = [store.records.get(one).pith_number for one in (1, 2, 3)]
    repair(store, [Damage("arrival", one, one, numbers[one - 1], "damaged") for one in (1, 2)])
    assert sorted(harvester.harvest()) == sorted([numbers[0], numbers[2]])
    shown = _shown(store, "oai_dc")
    assert {one: harvester.copy[one] for one in (numbers[0], numbers[2])} == {
        one: shown[one] for one in (numbers[0], numbers[2])
    }


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({"from": "2026-06-01T12:00:00Z"}, 3), ({"from": "2026-06-01T12:00:01Z"}, 2),
        ({"from": "2026-06-01T12:00:02Z"}, 1), ({"from": "2026-06-01T12:00:03Z"}, 0),
        ({"until": "2026-06-01T11:59:59Z"}, 0), ({"until": "2026-06-01T12:00:00Z"}, 1),
        ({"until": "2026-06-01T12:00:01Z"}, 2), ({"until": "2026-06-01"}, 3),
        ({"from": "2026-06-01"}, 3), ({"from": "2026-06-02"}, 0), ({"until": "2026-05-31"}, 0),
        ({"from": "2026-06-01T12:00:01Z", "until": "2026-06-01T12:00:01Z"}, 1),
    ],
)  # fmt: skip
def test_from_and_until_are_inclusive(
    arguments: dict[str, str], count: int, api: OaiApi, tmp_path: Path
) -> None:
    """Records of three seconds, each at another place within it."""
    with open_store(tmp_path / "mirror.db") as store, past_clock() as put:
        for number, at in enumerate(("00.000000", "01.999999", "02.500000")):
            put(f"2026-06-01T12:00:{at}Z")
            merge(store, record=make_record(arxiv_id=f"2401.{number:05}"))
        lists_all = {"verb": "ListIdentifiers", "metadataPrefix": "oai_dc"}
        page = ask(api, {**lists_all, **arguments})
        assert len(page.findall(f"{OAI}header")) == count
        stamps = [one.text for one in ask(api, lists_all).iter(f"{OAI}datestamp")]
        assert stamps == [f"2026-06-01T12:00:0{second}Z" for second in range(3)]
        earliest = ask(api, {"verb": "Identify"}).findtext(f"{OAI}earliestDatestamp")
        assert earliest == stamps[0]
