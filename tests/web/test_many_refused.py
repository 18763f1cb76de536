"""Records with many events that failed: lists show them, and never read what failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mirror.engine.search.find import find
from mirror.engine.search.index import update_index
from mirror.errors import CorruptStoreError
from mirror.store import open_store
from mirror.web import ServerSettings
from tests.builders import Signer, key_set_file, make_bundle, make_receipt, make_record, to_json
from tests.web.conftest import make_store, served

SIGNER = Signer("refused")
RECORD = make_record()
NUMBER = make_bundle(RECORD)["pith_number"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with a receipt, to which a stranger added 600 numbers as events."""
    folder = tmp_path_factory.mktemp("refused")
    path, keys = folder / "mirror.db", folder / "keys.json"
    keys.write_bytes(key_set_file(SIGNER))
    for name, bundle in {
        "signed": make_bundle(RECORD, receipts=[make_receipt(RECORD, SIGNER)]),
        "junk": make_bundle(RECORD, list(range(600))),
    }.items():
        source = folder / f"{name}.json"
        source.write_bytes(to_json(bundle))
        make_store(path, source, keys=keys if name == "signed" else None)
    with open_store(path) as store:
        update_index(store)
        assert store.states.has_many_refused(1)
    conn = sqlite3.connect(path)  # whoever reads the facts from here on fails
    conn.execute("UPDATE arrival SET content = x'00'")
    conn.commit()
    conn.close()
    with open_store(path) as store, pytest.raises(CorruptStoreError):
        store.facts.load(1)
    return path


@pytest.fixture(scope="module")
def web(path: Path) -> Iterator[httpx.Client]:
    """A client of its server."""
    with served(ServerSettings(store=path)) as url, httpx.Client(base_url=url) as client:
        yield client


def test_a_search_finds_it_by_what_was_indexed(path: Path) -> None:
    with open_store(path, read_only=True) as store:
        for query in (NUMBER, "2401.00001", "pith", "cs"):
            (hit,) = find(store, query).hits
            assert (hit.record.pith_number, hit.record.has_verified_receipt) == (NUMBER, True)


def test_the_first_page_lists_it_with_its_receipt(web: httpx.Client) -> None:
    page = web.get("/").text
    assert NUMBER in page
    assert SIGNER.key_id in page


def test_without_an_index_it_is_found_by_its_names(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    with open_store(copy) as store:
        with store.transaction():
            store.search_index.clear()
        (hit,) = find(store, "2401.00001").hits
        assert (hit.title, hit.record.has_verified_receipt) == (None, True)


def test_a_receipt_that_awaits_verification_is_not_shown_as_verified(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    with open_store(copy) as store:
        with store.transaction():
            store.states.mark_all_for_verdicts()
        assert [hit.record.has_verified_receipt for hit in find(store, NUMBER).hits] == [False]
    with served(ServerSettings(store=copy)) as url:
        assert SIGNER.key_id not in httpx.get(url).text


@pytest.mark.parametrize("column", ["outline", "checksum"])
def test_an_outline_that_is_damaged_is_not_shown(column: str, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    conn = sqlite3.connect(copy)
    conn.execute(f"UPDATE state SET {column} = x'00'")  # noqa: S608
    conn.commit()
    conn.close()
    with open_store(copy) as store, pytest.raises(CorruptStoreError):
        find(store, NUMBER)
    with served(ServerSettings(store=copy)) as url:
        answer = httpx.get(url)
        assert (answer.status_code, NUMBER in answer.text) == (200, False)
