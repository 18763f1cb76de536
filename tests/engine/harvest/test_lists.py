"""Pages of lists: whatever a record has many of, a page stays small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.engine.harvest import lists
from mirror.engine.harvest.lists import Selection, first_position, read_page
from mirror.engine.harvest.sets import SetList
from mirror.engine.harvest.tokens import ListPosition
from mirror.store import Store, open_store
from tests.builders import make_receipt, make_record
from tests.engine.history.worlds import REGISTRY, merge

CATEGORIES = [f"x{number:03}" for number in range(100)]


@pytest.mark.parametrize("verb", ["ListIdentifiers", "ListRecords"])
def test_headers_count_for_the_size_of_a_page(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record may be in some thousand sets, and a list of headers has nothing else."""
    monkeypatch.setattr(lists, "PAGE_CHARACTERS", 5_000)
    with open_store(tmp_path / "mirror.db") as store:
        for number in range(5):
            record = make_record(arxiv_id=f"2401.{number:05}", cross_cats=CATEGORIES)
            merge(store, record=record)
        assert _pages(store, verb) == [2, 2, 1]


def _pages(store: Store, verb: str) -> list[int]:
    """How many records each page of the whole list has."""
    write = None if verb == "ListIdentifiers" else (lambda _header: "")
    place = first_position(store, SetList(), verb, "oai_dc", Selection())
    found = []
    while True:
        page = read_page(store, SetList(), place, write)
        found.append(len(page.entries))
        if page.following is None:
            return found
        place = page.following


def test_a_set_is_listed_by_last_arrival(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its members are looked up, or all records are read; and no later change counts."""
    monkeypatch.setattr(lists, "PAGE_HEADERS", 1)
    monkeypatch.setattr(lists, "_SCANNED", 2)
    records = [
        make_record(arxiv_id=f"2401.{number:05}", primary_cat="cs.DL" if number % 2 else "x")
        for number in range(6)
    ]
    with open_store(tmp_path / "mirror.db") as store:
        for record in records:
            merge(store, record=record)
        merge(store, record=records[3], receipts=[make_receipt(records[3], REGISTRY)])
        sets = SetList()
        sets.update(store, 1)
        selection = Selection("category:cs.DL")
        place = first_position(store, sets, "ListIdentifiers", "oai_dc", selection)
        merge(store, record=records[1], receipts=[make_receipt(records[1], REGISTRY)])
        for is_rare in (True, False):
            monkeypatch.setattr(lists, "_is_rare", lambda *_, rare=is_rare: rare)
            assert [*_row_ids(store, sets, place)] == [2, 6, 4]


def _row_ids(store: Store, sets: SetList, place: ListPosition | None) -> Iterator[int]:
    """The records of a list of headers from a place on."""
    while place is not None:
        page = read_page(store, sets, place, None)
        yield from (header.record_id for header, _ in page.entries)
        place = page.following
