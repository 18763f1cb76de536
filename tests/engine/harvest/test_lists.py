"""Pages of lists: whatever a record has many of, a page stays small."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.engine.harvest import lists
from mirror.engine.harvest.lists import Selection, first_position, read_page
from mirror.engine.harvest.sets import SetList
from mirror.store import Store, open_store
from tests.builders import make_record
from tests.engine.history.worlds import merge

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
        page = read_page(store, place, write)
        found.append(len(page.entries))
        if page.following is None:
            return found
        place = page.following
