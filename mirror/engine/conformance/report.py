"""The report of a run: what was asked, what was answered alike, and the first difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import mirror
from mirror.core.rule_numbers import RULES_OF_CODES, TITLES
from mirror.core.rules import RULES
from mirror.core.values import Object, Value
from mirror.engine.conformance.differences import AnswerDifference
from mirror.engine.conformance.task import KINDS, ConformanceTask

__all__ = ["PROTOCOL_VERSION", "ConformanceReport", "FirstDifference", "codes_in"]

PROTOCOL_VERSION = "1"
"""The version of the protocol of tasks and answers (docs/conformance.md)."""

_RESULTS = ("alike", "different", "unsupported", "unanswered")
"""Results of a task that was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDifference:
    """The first difference of a run, with its task as small as it was made."""

    number: int
    """The id that the task had in the run."""
    task: ConformanceTask
    difference: AnswerDifference
    expected: Object
    """The answer to the small task."""
    answered: Object | None
    """That of the program; None if there is none."""
    stderr: str

    def to_value(self) -> Object:
        """Return it as a JSON object."""
        rules: list[Value] = [*dict.fromkeys([self.difference.rule, *self.task.rules])]
        return {
            "task_id": self.number,
            "case": self.task.case,
            **self.difference.to_value(),
            "rules": rules,
            "task": self.task.to_value(1),
            "expected_answer": {"id": 1, **self.expected},
            "answer": self.answered,
            "stderr": self.stderr,
        }


@dataclass(slots=True, kw_only=True)
class ConformanceReport:
    """The figures of a run, and what it found."""

    command: tuple[str, ...]
    seed: str
    worlds: int
    kinds: tuple[str, ...]
    """The kinds of tasks that were asked."""
    vectors: str = ""
    """The digest of the vectors; empty without any."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Tasks by kind and result."""
    differences: Counter[str] = field(default_factory=Counter)
    """Tasks that were answered differently, by rule."""
    codes: set[str] = field(default_factory=set)
    """Codes in the expected answers to tasks that were answered."""
    rules: set[str] = field(default_factory=set)
    """Rules that a task was made for that was answered."""
    first: FirstDifference | None = None
    fault: str = ""
    """The first fault of the program itself, in words; empty if it has none."""
    stopped: str = ""
    """Why the run ended early; empty if it did not."""

    def count(self, result: str) -> int:
        """Return how many tasks had a result."""
        return sum(count for (_, one), count in self.counts.items() if one == result)

    @property
    def result(self) -> str:
        """`alike`, `partial` if some tasks are unsupported, or `different`."""
        if self.fault or self.stopped or self.count("different") or self.count("unanswered"):
            return "different"
        return "partial" if self.count("unsupported") else "alike"

    def to_value(self) -> Object:
        """Return the report as a JSON object."""
        return {
            "result": self.result,
            "command": [*self.command],
            "kit": {"version": mirror.__version__, "rules": RULES, "protocol": PROTOCOL_VERSION},
            "seed": self.seed,
            "worlds": self.worlds,
            "vectors": self.vectors or None,
            "tasks": {kind: self._counts_of(kind) for kind in self.kinds},
            "not_asked": [kind for kind in KINDS if kind not in self.kinds],
            "codes": _coverage(self.codes, RULES_OF_CODES),
            "rules": _coverage(self.rules, TITLES),
            "differences_by_rule": {**self.differences},
            "fault": self.fault or None,
            "stopped": self.stopped or None,
            "first_difference": None if self.first is None else self.first.to_value(),
        }

    def _counts_of(self, kind: str) -> Object:
        return {result: self.counts[kind, result] for result in _RESULTS}


def _coverage(found: set[str], known: dict[str, str]) -> Object:
    return {
        "covered": [one for one in known if one in found],
        "not_covered": [one for one in known if one not in found],
    }


def codes_in(answer: Value) -> Iterator[str]:
    """Yield each code of section 9 in an answer to `digest`, `verify`, or any task with keys."""
    if isinstance(answer, dict):
        for value in answer.values():
            yield from codes_in(value)
    elif isinstance(answer, list):
        for item in answer:
            yield from codes_in(item)
    elif isinstance(answer, str) and answer in RULES_OF_CODES:
        yield answer
