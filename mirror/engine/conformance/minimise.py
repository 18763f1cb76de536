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

_CANDIDATES = 40
"""Most candidates of a round."""
_DEPTH = 4
"""How deep members are left out: of an event, of its payload and of its signer."""

_StillDiffers = Callable[[Sequence[ConformanceTask]], Sequence[bool]]


def minimise(task: ConformanceTask, still_differs: _StillDiffers, rounds: int) -> ConformanceTask:
    """Return a smaller task that shows the same difference.

    Args:
        task: A task that is answered differently.
        still_differs: Whether each of some tasks shows the difference.
        rounds: Most calls of it.
    """
    start, is_smaller = 0, False
    for _ in range(rounds):
        candidates = list(islice(_smaller(task), start, start + _CANDIDATES))
        if not candidates:
            if not is_smaller:
                break
            start, is_smaller = 0, False  # once more: some of it may be left out now
            continue
        answers = still_differs(candidates)
        found = next((index for index, differs in enumerate(answers) if differs), None)
        if found is None:
            start += _CANDIDATES
        else:
            task, start, is_smaller = candidates[found], start + found, True
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


def _smaller_values(value: Any, depth: int = _DEPTH) -> Iterator[Any]:
    """Yield values without a part of a list or a member, the lists of all levels first."""
    for inner in (_smaller_lists, _smaller_objects):
        yield from inner(value, depth)


def _smaller_lists(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, list):
        yield from _parts(value)
    yield from _within(value, depth, _smaller_lists)


def _smaller_objects(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, dict):
        for name in value:
            yield {other: one for other, one in value.items() if other != name}
    yield from _within(value, depth, _smaller_objects)


def _within(value: Any, depth: int, inner: Callable[[Any, int], Iterator[Any]]) -> Iterator[Any]:
    """Yield the value with each of its items or members made smaller."""
    if depth == 0 or not isinstance(value, list | dict):
        return
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        for smaller in inner(value[key], depth - 1):
            changed = value.copy()
            changed[key] = smaller
            yield changed


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    """Yield a list without a half, a quarter and so on, down to one item."""
    size = (len(items) + 1) // 2
    while items and size:
        for start in range(0, len(items), size):
            yield [*items[:start], *items[start + size :]]
        size = 0 if size == 1 else (size + 1) // 2
