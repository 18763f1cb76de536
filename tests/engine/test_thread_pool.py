"""Threads for many tasks: results in order, errors, early ends, and what is read ahead."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from mirror.engine.thread_pool import _in_threads


def test_results_come_in_the_order_of_their_tasks() -> None:
    """Though the first task ends last."""
    last_began = threading.Event()

    def work(task: int) -> int:
        if task == 0:
            assert last_began.wait(60)
        if task == 20:
            last_began.set()
        return task

    assert list(_in_threads(range(21), work, 3)) == list(range(21))


def test_an_error_of_a_task_is_raised_in_its_place() -> None:
    """Those before it are there."""
    found = _in_threads(range(9), lambda task: 6 // (3 - task), 2)
    assert [next(found) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_an_error_of_the_tasks_is_raised() -> None:
    """As when a source cannot be read on."""

    def tasks() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(_in_threads(tasks(), abs, 2))


@pytest.mark.parametrize(("count", "most"), [(1, 29), (2, 33), (64, 281)])
def test_few_tasks_are_read_ahead(count: int, most: int) -> None:
    """They hold bundles: the number must not grow much with the processors."""
    read: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    found = _in_threads(tasks(), abs, count)
    assert next(found) == 0
    assert len(read) == most
    found.close()  # type: ignore[attr-defined]
    assert len(read) == most


def test_an_early_end_leaves_no_thread_and_the_collector_as_it_was() -> None:
    """As after Ctrl-C."""
    before = gc.get_threshold()
    found = _in_threads(range(100), abs, 2)
    next(found)
    assert gc.get_threshold() != before
    found.close()  # type: ignore[attr-defined]
    assert gc.get_threshold() == before
    assert not [one for one in threading.enumerate() if one.name.startswith("verify")]
