"""Results of checks of claims, where a record is shown: beside the state, and no part of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mirror.core.verification_status import CheckedClaims
from mirror.engine.anchors.headers import add_headers
from mirror.engine.anchors.update import update_anchors
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.trust import add_keys
from mirror.engine.storage.attestations import read_attestations
from mirror.store import StorageCheck, open_store
from mirror.web import ServerSettings
from tests.builders import make_bundle, to_json
from tests.chains import chain
from tests.engine.anchors.test_update import (
    HEIGHT,
    PARSED,
    PROOF,
    RECORD,
    ROOT,
    SIGNER,
    time_stamp,
)
from tests.engine.storage.archives import bundle_of, store_with
from tests.engine.sync.sync_servers import suffix_of
from tests.helpers import ids_in, keys_of
from tests.web.conftest import served
from tests.web.markup import Page

URLS = ("https://a.example/1", "https://a.example/2", "https://a.example/3")
BUNDLE = bundle_of(1, *URLS)
PLACE = f"/pith/{suffix_of(BUNDLE)}"
HERE = ("present", "", 200, "Mon, 04 May 2026 00:00:00 GMT", "", "The archive has this capture.")
GONE = ("gone", "storage.gone", 404, "", "", "The archive answered 404 (Not Found) <b>.")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a record with three attestations."""
    return store_with(tmp_path_factory.mktemp("checked"), BUNDLE)


@pytest.fixture(scope="module")
def client(path: Path) -> Iterator[httpx.Client]:
    with served(ServerSettings(store=path)) as url, httpx.Client(base_url=url) as client:
        yield client


def _answer(path: Path, url: str, answer: tuple[str, str, int, str, str, str], at: str) -> None:
    with open_store(path) as store:
        (record_id,) = ids_in(store)
        (found,) = (one for one in read_attestations(store, record_id) if one.url == url)
        with store.transaction():
            time = f"2026-11-0{at}T12:00:00.000000Z"
            check = StorageCheck(found.pith_number, found.event_id, url, time, *answer)
            store.storage_checks.append(check)


def test_answers_of_archives_are_shown_and_decide_the_flag(
    path: Path, client: httpx.Client
) -> None:
    """Step by step: never asked, gone, present, gone again. The state stays the same."""
    state = client.get(f"{PLACE}/state.json").text
    seen = []
    steps = ((URLS[0], GONE, "1"), (URLS[1], HERE, "2"), (URLS[1], GONE, "3"))
    for step in (None, *steps):
        if step is not None:
            _answer(path, *step)
        status = client.get(f"{PLACE}.json").json()["verification_status"]
        claims = status["claims"]["storage_verified"]
        words = " ".join(Page(client.get(PLACE).text).text.split())
        seen.append((status["storage_verified"], claims["checked"], words.count("asked at 2026-")))
        assert claims["claimed"] == 3
        assert client.get(f"{PLACE}/state.json").text == state
    assert seen == [(False, 0, 0), (False, 0, 1), (True, 1, 2), (False, 0, 2)]
    last = "asked at 2026-11-03T12:00:00Z: gone. The archive answered 404 (Not Found) <b>."
    assert last in words
    assert "0 of 2 claims were found to be so: stored copy" in words
    assert "Proofs of timestamps, authors, references" in words


def test_a_checked_copy_is_marked_as_checked(path: Path, client: httpx.Client) -> None:
    """One of the three, and the words say so."""
    _answer(path, URLS[2], HERE, "4")
    page = Page(client.get(PLACE).text)
    words = " ".join(page.text.split())
    assert "stored copy: checked here" in words
    assert "Stored copy 1 of 3 checked here" in words


def test_claims_are_unchecked_by_default() -> None:
    """A state that is shown without results has none."""
    assert (CheckedClaims().counts, CheckedClaims().results) == ({}, {})


def test_stored_results_of_time_stamps_are_shown_and_decide_the_flag(tmp_path: Path) -> None:
    """Never checked, without a header, anchored. The server checks nothing itself."""
    database, place = tmp_path / "mirror.db", f"/pith/{PARSED.suffix}"
    source = tmp_path / "bundle.json"
    source.write_bytes(to_json(make_bundle(RECORD, [time_stamp(PROOF)])))
    with open_store(database) as store:
        add_keys(store, keys_of(SIGNER))
        ingest(store, ReadRequest([str(source)], lambda _report: None))
    seen = []
    with served(ServerSettings(store=database)) as url, httpx.Client(base_url=url) as client:
        state = client.get(f"{place}/state.json").text
        for step in ("", "check", "anchor"):
            with open_store(database) as store:
                if step == "anchor":
                    with store.transaction():
                        add_headers(store, io.BytesIO(chain([ROOT])[0]), HEIGHT)
                if step:
                    update_anchors(store)
            record = client.get(f"{place}.json").json()
            words = " ".join(Page(client.get(place).text).text.split())
            statuses = [one["status"] for one in record["anchors"]]
            seen.append((record["verification_status"]["externally_anchored"], statuses))
            assert ("not checked yet: run `mirror anchors`" in words) == (not step)
            assert ("Proofs of timestamps" in words) == (step != "anchor")
            assert client.get(f"{place}/state.json").text == state
    assert seen == [(False, []), (False, ["no_header_yet"]), (True, ["anchored"])]
    assert "such a chain costs nothing to make" in words
