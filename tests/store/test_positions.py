"""Positions as ranges: what is written is read, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.store.positions import format_positions, parse_positions


@given(st.sets(st.integers(0, 40), min_size=1), st.randoms())
def test_positions_are_read_as_they_were_written(positions: set[int], order: object) -> None:
    """In any order of writing; the text is the shortest in ranges."""
    shuffled = list(positions)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    text = format_positions(shuffled)
    assert parse_positions(text, len(positions)) == sorted(positions)
    assert text.count(",") == sum(one + 1 not in positions for one in positions) - 1


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("x", 1), ("1-", 2), ("2-1", 0), ("1,1", 2), ("2,1", 2), ("0-9999999999", 3)],
)
def test_an_invalid_list_of_positions_is_refused(text: str, count: int) -> None:
    """Before a range that is too long is made."""
    with pytest.raises(ValueError, match=r".+"):
        parse_positions(text, count)


def test_a_range_of_any_length_is_one_range() -> None:
    """A hundred thousand verdicts that are the same take some bytes."""
    assert format_positions(range(100_000)) == "0-99999"
    assert format_positions([0, 1, 2, 99, 105, 106]) == "0-2,99,105-106"
