"""Batches and pages: every item once, in order, within the limits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.engine.batching import batched, pages
from mirror.errors import SourceError


@given(st.lists(st.integers(0, 9)), st.integers(1, 5), st.integers(1, 20))
def test_batches_are_as_long_as_the_limits_permit(sizes: list[int], most: int, size: int) -> None:
    """No item is lost; a batch exceeds the bytes only with a single item."""
    found = list(batched(sizes, most, int, size))
    assert sizes == [one for batch in found for one in batch]
    assert all(1 <= len(batch) <= most for batch in found)
    assert all(sum(batch) <= size or len(batch) == 1 for batch in found)
    for batch, after in pairwise(found):
        assert len(batch) == most or sum(batch) + after[0] > size


def test_an_error_comes_after_the_items_before_it() -> None:
    """They were read, so they are used."""

    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise SourceError("source.unreadable", "it ends here")

    batches = batched(items(), 2)
    assert [[1, 2], [3]] == [next(batches), next(batches)]
    with pytest.raises(SourceError):
        next(batches)


def test_an_error_alone_is_no_batch() -> None:
    """Nothing was read since the last batch."""

    def items() -> Iterator[int]:
        yield 1
        raise SourceError("source.unreadable", "it ends here")

    batches = batched(items(), 1)
    assert [1] == next(batches)
    with pytest.raises(SourceError):
        next(batches)


@given(st.sets(st.integers(1, 50)), st.integers(1, 7), st.integers(0, 50))
def test_pages_hold_every_greater_id_once(ids: set[int], size: int, after: int) -> None:
    """Each page follows the last id of the one before."""
    rows = sorted(ids)

    def fetch(after: int, limit: int) -> list[int]:
        return [one for one in rows if one > after][:limit]

    found = list(pages(fetch, size, int, after))
    assert [one for one in rows if one > after] == [one for page in found for one in page]
    assert all(0 < len(page) <= size for page in found)
