"""What a line of the report is: samples, their median, and perhaps a target."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Samples = Sequence[float]
"""One value of each round; none of what was not measured."""


@dataclass(frozen=True)
class Target:
    """What a figure should be."""

    bound: float
    side: str
    """`at least` or `at most`."""

    def is_reached(self, value: float) -> bool:
        """Whether a value is on the right side of the bound."""
        return value >= self.bound if self.side == "at least" else value <= self.bound


def at_least(bound: float) -> Target:
    """Return the target of a figure that should be high."""
    return Target(bound, "at least")


def at_most(bound: float) -> Target:
    """Return the target of a figure that should be low."""
    return Target(bound, "at most")


@dataclass(frozen=True)
class Figure:
    """One line of the report."""

    group: str
    name: str
    unit: str
    samples: Samples
    target: Target | None = None

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.samples)

    @property
    def is_reached(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        return None if self.target is None else self.target.is_reached(self.value)

    def to_value(self) -> dict[str, Any]:
        """Return the figure as JSON has it."""
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "median": self.value,
            "lowest": min(self.samples),
            "highest": max(self.samples),
            "target": None if self.target is None else f"{self.target.side} {self.target.bound:g}",
            "reached": self.is_reached,
        }
