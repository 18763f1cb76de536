"""Makes a task smaller while a program still answers it differently.

The candidates of a round are given to the program together, so that a round costs one start of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from mirror.core.values import decode
from mirror.engine.conformance.facts import text_of
from mirror.engine.conformance.task import ConformanceTask
from mirror.errors import FormatError

__all__ = ["minimise"]

_ROUNDS = 60
_CANDIDATES = 60
"""Most rounds, and most candidates of a round."""

_StillDiffers = Callable[[Sequence[ConformanceTask]], Sequence[bool]]


def minimise(task: ConformanceTask, still_differs: _StillDiffers) -> ConformanceTask:
    """Return a smaller task that shows the same difference.

    Args:
        task: A task that is answered differently.
        still_differs: Whether each of some tasks shows the difference.
    """
    start = 0
    for _ in range(_ROUNDS):
        candidates = list(islice(_smaller(task), start, start + _CANDIDATES))
        if not candidates:
            break
        answers = still_differs(candidates)
        found = next(
            (one for one, differs in zip(candidates, answers, strict=True) if differs), None
        )
        if found is None:
            start += _CANDIDATES
        else:
            task, start = found, 0
    return task


def _smaller(task: ConformanceTask) -> Iterator[ConformanceTask]:
    """Yield tasks with less in them, those with much less first."""
    for part in _parts(list(task.bundles)):
        yield replace(task, bundles=tuple(part))
    if task.keys is not None:
        yield replace(task, keys=None)
    for index, bundle in enumerate(task.bundles):
        for text in _smaller_texts(bundle):
            changed = (*task.bundles[:index], text, *task.bundles[index + 1 :])
            yield replace(task, bundles=changed)
    if task.keys is not None:
        for text in _smaller_texts(task.keys):
            yield replace(task, keys=text)
    for text in _smaller_texts(task.text):
        yield replace(task, text=text)


def _smaller_texts(text: bytes) -> Iterator[bytes]:
    """Yield texts with a part left out: of the value if it is JSON, or else of the bytes."""
    try:
        value = decode(text)
    except FormatError:
        for part in _parts(list(text)):
            yield bytes(part)
        return
    for smaller in _smaller_values(value):
        shorter = text_of(smaller)
        if len(shorter) < len(text):
            yield shorter


def _smaller_values(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from _parts(value)
        for index, item in enumerate(value):
            for smaller in _smaller_values(item):
                yield [*value[:index], smaller, *value[index + 1 :]]
    elif isinstance(value, dict):
        for name in value:
            yield {other: one for other, one in value.items() if other != name}
        for name, item in value.items():
            for smaller in _smaller_values(item):
                yield {**value, name: smaller}


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    """Yield a list without a half, a quarter and so on, down to one item."""
    size = (len(items) + 1) // 2
    while items and size:
        for start in range(0, len(items), size):
            yield [*items[:start], *items[start + size :]]
        size = 0 if size == 1 else (size + 1) // 2
