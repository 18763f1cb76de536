"""Positions in a list as text: ascending ranges, `0-99,105`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise

__all__ = ["format_positions", "parse_positions", "parse_runs", "runs_of"]


def format_positions(positions: Iterable[int]) -> str:
    """Return positions, in any order, as text."""
    runs = runs_of(positions)
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def runs_of(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of successive positions, ascending."""
    ordered = sorted(set(positions))
    if not ordered:
        return []
    breaks = [at for at, (one, other) in enumerate(pairwise(ordered), 1) if other != one + 1]
    ends = [0, *breaks, len(ordered)]
    return [(ordered[start], ordered[end - 1]) for start, end in pairwise(ends)]


def parse_positions(text: str, count: int) -> list[int]:
    """Return the positions of which `format_positions` made `text`, ascending.

    Args:
        text: The text.
        count: How many there must be.

    Raises:
        ValueError: If it is no such text, or there are more or fewer.
    """
    runs = parse_runs(text)
    if sum(last - first + 1 for first, last in runs) != count:  # before any of them is made
        raise ValueError(f"there are not {count} positions in {text[:80]!r}")
    ordered = list(chain.from_iterable(range(first, last + 1) for first, last in runs))
    if any(other <= one for one, other in pairwise(ordered)):
        raise ValueError(f"the positions {text[:80]!r} are not in their order")
    return ordered


def parse_runs(text: str) -> list[tuple[int, int]]:
    """Return the first and last position of each range in a text, in its order.

    Raises:
        ValueError: If it is no such text.
    """
    return [_parse_run(part) for part in text.split(",")]


def _parse_run(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    run = int(first), int(last or first)
    if run[0] > run[1]:
        raise ValueError(f"{text!r} is no range")
    return run
