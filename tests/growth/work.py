"""Counts work independently of the machine: lines of Python, and steps of SQLite."""

from __future__ import annotations

import gc
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from types import FrameType
from typing import Any

STEPS = 20
"""Instructions of SQLite's virtual machine between two counts."""
NOISE = 400
"""A difference that is not significant."""


class Work:
    """A count of work done."""

    def __init__(self) -> None:
        self._lines, self._steps = count(), count()
        self.trace = self._tracer()

    def _tracer(self) -> Callable[..., Any]:
        """Return a function that counts calls and lines; each iteration of a loop runs a line."""
        count_line = self._lines.__next__  # nothing is faster

        def trace(_frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
            count_line()
            return trace

        return trace

    def step(self) -> int:
        """Count steps of SQLite, which are to go on."""
        next(self._steps)
        return 0

    def total(self) -> int:
        """Return the count, once."""
        return next(self._lines) + STEPS * next(self._steps)


@contextmanager
def counting(work: Work) -> Iterator[None]:
    """Count the work of this thread, of new threads, and of new connections to SQLite."""
    connect = sqlite3.connect

    class Counted(sqlite3.Connection):
        """A connection whose instructions are counted, whatever else looks at them."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.set_progress_handler(None, 0)

        def set_progress_handler(
            self, progress_handler: Callable[[], int | None] | None, n: int, /
        ) -> None:
            def step() -> int | None:
                work.step()
                return progress_handler() if progress_handler is not None else 0

            super().set_progress_handler(step if progress_handler and n else work.step, STEPS)

    gc.disable()
    before = sys.gettrace()
    sqlite3.connect = partial(connect, factory=Counted)  # type: ignore[assignment]
    threading.settrace(work.trace)
    sys.settrace(work.trace)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(before)
        sqlite3.connect = connect
        gc.enable()


def work_of(action: Callable[[], object]) -> int:
    """The work of an action."""
    work = Work()
    with counting(work):
        action()
    return work.total()


def growth(prepare: Callable[[int], Callable[[], object]], size: int) -> float:
    """How much more it takes to go from 2n to 4n than from n to 2n: 2 if work grows as the input.

    It is 4 if work grows as the square of the input; what every run costs has no part in it.

    Args:
        prepare: Makes an input of a size, which is not counted, and returns what reads it.
        size: n.
    """
    prepare(2)()  # what is done once in a process
    first, second, third = (work_of(prepare(size * times)) for times in (1, 2, 4))
    return (third - second) / max(second - first, NOISE)
