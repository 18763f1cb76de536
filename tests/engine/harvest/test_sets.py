"""Sets: by year and category, with any text as category, kept up to date."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.core.record import parse_record
from mirror.engine.harvest.sets import (
    MAX_CATEGORIES,
    MAX_CATEGORY_BYTES,
    SetList,
    is_member,
    set_specs,
)
from mirror.errors import CorruptStoreError
from mirror.store import Damage, Store, open_store
from tests.builders import Object, make_record
from tests.engine.history.worlds import merge

SPEC = re.compile(r"[A-Za-z0-9\-_.!~*'()]+(:[A-Za-z0-9\-_.!~*'()]+)*")
"""A `setSpec`, from the schema of OAI-PMH."""


def _record(number: int, *categories: str, year: int = 2024) -> Object:
    return make_record(
        arxiv_id=f"2401.{number:05}",
        primary_cat=categories[0],
        cross_cats=sorted({*categories[1:]}),
        submitted_at=f"{year}-01-02T03:04:05Z",
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two records of different years."""
    with open_store(tmp_path / "mirror.db") as opened:
        merge(opened, record=_record(1, "math.AG", "cs.DL"))
        merge(opened, record=_record(2, "math.AG", year=1999))
        yield opened


@pytest.mark.parametrize("category", ["math.AG", "a b", "~", "~7e", "é:\u202e/", "x\x00\n", "A&B"])
def test_any_category_is_a_set_with_its_name(category: str, tmp_path: Path) -> None:
    (_, spec) = set_specs(parse_record(_record(1, category)))
    assert SPEC.fullmatch(spec)
    assert spec.startswith("category:")
    with open_store(tmp_path / "mirror.db") as store:
        merge(store, record=_record(1, category))
        sets = SetList()
        sets.update(store, 1)
    assert f"Category {category}" in {one.name for one in sets.after("", 9) if one.spec == spec}


def test_different_categories_are_different_sets() -> None:
    names = ["a b", "a~20b", "a%20b", "A b", "a  b"]
    assert len({set_specs(parse_record(_record(1, name)))[1] for name in names}) == len(names)


def test_a_category_that_is_too_long_or_empty_is_no_set() -> None:
    """The record is in the set of its year, and of its other categories."""
    longest = "x" * MAX_CATEGORY_BYTES
    specs = set_specs(parse_record(_record(1, "é" * MAX_CATEGORY_BYTES, "", longest)))
    assert specs == ["year:2024", f"category:{longest}"]


def test_a_record_is_in_the_sets_of_its_first_categories(tmp_path: Path) -> None:
    """Else a few hostile records would have millions of sets, which a server keeps in memory."""
    record = _record(1, "z", *(f"x{number:04}" for number in range(MAX_CATEGORIES + 50)))
    specs = set_specs(parse_record(record))
    assert specs[:3] == ["year:2024", "category:z", "category:x0000"]
    assert len(specs) == 1 + MAX_CATEGORIES
    sets = SetList()
    with open_store(tmp_path / "mirror.db") as store:
        merge(store, record=record)
        sets.update(store, 1)
    assert [sets.size(one) for one in specs] == [1] * len(specs)
    assert len(sets.after("", 1000)) == 2 + len(specs)


def test_a_cross_list_of_the_primary_category_is_given_once() -> None:
    assert set_specs(parse_record(_record(1, "cs.DL", "cs.DL"))) == ["year:2024", "category:cs.DL"]


def test_members_are_the_row_ids_of_records(store: Store) -> None:
    """Those of the upper sets are all records, and are not stored again."""
    sets = SetList()
    sets.update(store, 1)
    members = [sets.members(one) for one in ("category:math.AG", "category:cs.DL", "year:2025")]
    assert [one and [*one] for one in members] == [[1, 2], [1], array("Q")]
    assert sets.members("year") is sets.members("category") is None
    odd = array("Q", [1, 3, 5])
    assert [one for one in range(7) if is_member(one, odd)] == [1, 3, 5]


def test_sets_follow_the_store(store: Store, tmp_path: Path) -> None:
    """New records are added; after a repair, or in another file, all are read again."""
    sets = SetList()
    sets.update(store, 1)
    assert [one.spec for one in sets.after("", 99)] == [
        "category", "category:cs.DL", "category:math.AG", "year", "year:1999", "year:2024",
    ]  # fmt: skip
    assert [sets.size(one) for one in ("year", "category:math.AG", "year:1999", "x")] == [
        2,
        2,
        1,
        0,
    ]
    merge(store, record=_record(3, "cs.DL", year=2030))
    sets.update(store, 1)
    assert [one.spec for one in sets.after("year:1999", 99)] == ["year:2024", "year:2030"]
    assert sets.size("category:cs.DL") == 2
    with store.transaction():
        store.integrity.quarantine(Damage("record", 2, 2, None, "damaged"), "2026-06-01T00:00:00Z")
    sets.update(store, 1)
    assert (sets.size("year:1999"), sets.size("year")) == (0, 2)
    with open_store(tmp_path / "other.db") as other:  # as many sets, with other names
        merge(other, record=_record(1, "a", "b", "c", year=1998))
        sets.update(other, 2)
    assert [one.spec for one in sets.after("", 99)] == [
        "category", "category:a", "category:b", "category:c", "year", "year:1998",
    ]  # fmt: skip


def test_an_interrupted_reading_of_sets_is_resumed(store: Store) -> None:
    """Each record counts once, and a damaged one is not left out, nor in another set."""
    sets = SetList()
    other, value = (one for (one,) in store.connection.execute("SELECT value FROM record"))
    for damaged in (b"\xc0", other):
        store.connection.execute("UPDATE record SET value = ? WHERE id = 2", (damaged,))
        with pytest.raises(CorruptStoreError, match="record 2"):
            sets.update(store, 1)
    store.connection.execute("UPDATE record SET value = ? WHERE id = 2", (value,))
    sets.update(store, 1)
    assert (sets.size("year"), sets.size("category:math.AG")) == (2, 2)
