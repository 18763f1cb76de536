"""Batches of items for one task or transaction, and pages of rows by their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mirror.errors import MirrorError

__all__ = ["batched", "pages"]

_Item = TypeVar("_Item")
_UNLIMITED = 1 << 62


def batched(
    items: Iterable[_Item],
    most: int,
    size_of: Callable[[_Item], int] = lambda _item: 0,
    most_bytes: int = _UNLIMITED,
) -> Iterator[list[_Item]]:
    """Yield the items in lists, each as long as the limits permit.

    If reading the items fails, those before are yielded first.

    Args:
        items: The items.
        most: Items in a batch at most.
        size_of: Returns the size of an item in bytes.
        most_bytes: Bytes in a batch at most; a larger item is a batch of its own.

    Raises:
        MirrorError: The error of `items`.
    """
    batch: list[_Item] = []
    size_bytes = 0
    try:
        for item in items:
            item_bytes = size_of(item)
            if batch and size_bytes + item_bytes > most_bytes:
                yield batch
                batch, size_bytes = [], 0
            batch.append(item)
            size_bytes += item_bytes
            if len(batch) == most:
                yield batch
                batch, size_bytes = [], 0
    except MirrorError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def pages(
    fetch: Callable[[int, int], list[_Item]],
    size: int,
    id_of: Callable[[_Item], int],
    after: int = 0,
) -> Iterator[list[_Item]]:
    """Yield all rows in pages, ascending by id; a page is read when the one before was used.

    Args:
        fetch: Takes an id and a number; returns that many rows at most, with greater ids.
        size: Rows in a page.
        id_of: Returns the id of a row.
        after: Only rows with a greater id.
    """
    while page := fetch(after, size):
        yield page
        after = id_of(page[-1])
