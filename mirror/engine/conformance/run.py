"""Runs a program over vectors, the cases of the rules, and worlds; reports how it answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from mirror.core.values import Object, encode
from mirror.engine.conformance.answers import answer
from mirror.engine.conformance.cases import rule_cases
from mirror.engine.conformance.differences import AnswerDifference, find_difference
from mirror.engine.conformance.minimise import minimise
from mirror.engine.conformance.program import BatchAnswers, Program
from mirror.engine.conformance.report import ConformanceReport, FirstDifference, codes_in
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.task import KINDS, ConformanceTask
from mirror.engine.conformance.vectors import read_vectors
from mirror.engine.conformance.worlds import world_tasks

__all__ = ["AnswersTasks", "ConformanceRequest", "run_conformance"]

_BATCH_TASKS, _BATCH_BYTES = 250, 8 << 20
"""Most tasks, and bytes of tasks, that are given to one start of the program."""
_STARTS_ALONE = 40
"""Most starts for tasks that are asked alone, after the program left them unanswered."""


@dataclass(frozen=True, kw_only=True)
class ConformanceRequest:
    """The program to run, and the tasks to ask."""

    command: tuple[str, ...]
    seed: str = "0"
    worlds: int = 100
    vectors: Path | None = None
    kinds: tuple[str, ...] = KINDS
    time_limit_s: float = 120.0
    """For each start of the program, with at most 250 tasks."""
    rounds: int = 60
    """Most starts of the program to make the first difference smaller."""
    progress: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class _Question:
    number: int
    task: ConformanceTask
    expected: Object


_Answered = tuple[_Question, Object | None]


class AnswersTasks(Protocol):
    """A program, or a part of this one, that is asked."""

    def ask(self, lines: Mapping[int, bytes], answer_bytes: int) -> BatchAnswers:
        """Return the answers to tasks, given as lines by id; see `Program.ask`."""


def run_conformance(
    request: ConformanceRequest, program: AnswersTasks | None = None
) -> ConformanceReport:
    """Run the program over all tasks, and report.

    Args:
        request: What to ask.
        program: What is asked; the command of the request if None.

    Raises:
        SourceError: `conformance.program` if the program cannot be started, `source.unreadable`.
        FormatError: `conformance.vectors`
    """
    return _ConformanceRun(
        request, program or Program(request.command, request.time_limit_s)
    ).report()


class _ConformanceRun:
    """One run."""

    def __init__(self, request: ConformanceRequest, program: AnswersTasks) -> None:
        self._request, self._program = request, program
        self._is_slow = False
        """Whether the program did not end in time, so that it is not asked often again."""
        self._vectors = None if request.vectors is None else read_vectors(request.vectors)
        self._report = ConformanceReport(
            command=request.command,
            seed=request.seed,
            worlds=request.worlds,
            kinds=tuple(kind for kind in KINDS if kind in request.kinds),
            vectors="" if self._vectors is None else self._vectors.digest,
        )

    def report(self) -> ConformanceReport:
        """Ask everything, or until the program leaves tasks unanswered."""
        first: tuple[_Question, BatchAnswers] | None = None
        for batch in _batches(self._questions()):
            found = self._ask(batch)
            self._report.fault = self._report.fault or found.fault
            different = [one for one in batch if self._add(one, found.answers.get(one.number))]
            if different and first is None:
                first = different[0], found
            self._request.progress(len(batch))
            if any(one.number not in found.answers for one in batch):
                self._report.stopped = found.fault or "it did not answer every task"
                break
        if first is not None:
            self._report.first = self._first(*first)
        return self._report

    def _questions(self) -> Iterator[_Question]:
        numbers = count(1)
        for task, expected in self._vectors or ():
            if task.kind in self._request.kinds:
                yield _Question(next(numbers), task, expected)
        for task in self._tasks():
            if task.kind in self._request.kinds:
                yield _Question(next(numbers), task, answer(task))

    def _tasks(self) -> Iterator[ConformanceTask]:
        yield from rule_cases(self._request.seed, self._request.kinds)
        signers = Signers(self._request.seed)
        for number in range(self._request.worlds):
            yield from world_tasks(signers, number)

    def _ask(self, batch: Sequence[_Question]) -> BatchAnswers:
        lines = {one.number: one.task.line(one.number) for one in batch}
        return self._program.ask(lines, sum(len(encode(one.expected)) for one in batch))

    def _add(self, question: _Question, answered: Object | None) -> bool:
        """Count an answer; return whether it is a difference."""
        task, result = question.task, "alike"
        difference = _difference(question, answered)
        if answered is None:
            result = "unanswered"
        elif answered.get("unsupported") is True:
            result = "unsupported"
        elif difference is not None:
            result = "different"
            self._report.differences[difference.rule] += 1
        if result in {"alike", "different"}:
            self._report.codes.update(codes_in(question.expected))
            self._report.rules.update(task.rules)
        self._report.counts[task.kind, result] += 1
        return difference is not None

    # The first difference --------------------------------------------------------------------

    def _first(self, question: _Question, batch: BatchAnswers) -> FirstDifference:
        """Return the difference, with its task as small as it can be made."""
        found = _difference(question, batch.answers.get(question.number))
        rule = "" if found is None else found.rule
        is_answered, rounds = question.number in batch.answers, self._request.rounds
        if is_answered:
            small = minimise(question.task, lambda tasks: self._still_differ(tasks, rule), rounds)
        else:
            small = self._smaller_unanswered(question.task, is_late=batch.is_late)
        asked = _Question(1, small, answer(small))
        again = self._ask([asked])
        answered = again.answers.get(1)
        difference = _difference(asked, answered)
        if difference is None:  # alone, it is answered as it should be
            asked, answered, difference = question, batch.answers.get(question.number), found
        return FirstDifference(
            number=question.number,
            task=asked.task,
            difference=_explained(difference, again.fault or batch.fault),
            expected=asked.expected,
            answered=answered,
            stderr=again.stderr or batch.stderr,
        )

    def _still_differ(self, tasks: Sequence[ConformanceTask], rule: str) -> list[bool]:
        if self._is_slow:
            return [False] * len(tasks)
        questions = [_Question(number, one, answer(one)) for number, one in enumerate(tasks, 1)]
        asked = self._ask(questions)
        self._is_slow = asked.is_late
        answers = asked.answers
        found = [_difference(one, answers.get(one.number)) for one in questions]
        return [one is not None and one.rule == rule for one in found]

    def _smaller_unanswered(self, task: ConformanceTask, *, is_late: bool) -> ConformanceTask:
        """Return a smaller task that is left unanswered when it is asked alone."""
        starts = 0 if is_late else _STARTS_ALONE

        def is_unanswered(tasks: Sequence[ConformanceTask]) -> Iterable[bool]:
            nonlocal starts
            for one in tasks:
                starts -= 1
                yield starts >= 0 and 1 not in self._ask([_Question(1, one, answer(one))]).answers

        rounds = self._request.rounds
        return minimise(task, lambda tasks: _until_found(tasks, is_unanswered(tasks)), rounds)


def _until_found(tasks: Sequence[ConformanceTask], found: Iterable[bool]) -> list[bool]:
    """Return the answers up to the first true one, and false for the others."""
    answers: list[bool] = []
    for one in found:
        answers.append(one)
        if one:
            break
    return [*answers, *[False] * (len(tasks) - len(answers))]


def _difference(question: _Question, answered: Object | None) -> AnswerDifference | None:
    """Return the difference of an answer; None also if the task is unsupported."""
    if answered is None:
        rule = question.task.rules[0] if question.task.rules else question.task.kind
        return AnswerDifference(rule, "the answer", "an answer", "none")
    if answered.get("unsupported") is True:
        return None
    return find_difference(question.task, question.expected, answered)


def _explained(difference: AnswerDifference | None, fault: str) -> AnswerDifference:
    """Return a difference, with the fault of the program if it did not answer."""
    if difference is None:
        return AnswerDifference("", "the answer", "an answer", fault or "none")
    if difference.answered == "none" and difference.where == "the answer" and fault:
        return AnswerDifference(
            difference.rule, difference.where, difference.expected, f"none: {fault}"
        )
    return difference


def _batches(questions: Iterator[_Question]) -> Iterator[list[_Question]]:
    batch: list[_Question] = []
    size = 0
    for one in questions:
        length = sum(map(len, (*one.task.bundles, one.task.text, one.task.here, one.task.there)))
        if batch and (len(batch) == _BATCH_TASKS or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch
