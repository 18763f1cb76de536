"""The kit: right programs pass, wrong ones fail with the rule named, and none can harm it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from mirror.core.values import decode, encode
from mirror.engine.conformance import run, store_answers
from mirror.engine.conformance.answers import answer
from mirror.engine.conformance.cases import rule_cases
from mirror.engine.conformance.minimise import minimise
from mirror.engine.conformance.program import BatchAnswers, Program
from mirror.engine.conformance.run import ConformanceRequest, run_conformance
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.task import ConformanceTask, parse_task
from mirror.engine.conformance.worlds import world_tasks
from mirror.errors import FormatError, SourceError
from tests.conformance.wrong_programs import WRONG_PROGRAMS

CASES = [*rule_cases("0")]
REFERENCE = cache(answer)
"""The answers that tasks should get, made once."""


@pytest.fixture(autouse=True)
def _made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make cases and their answers once for all tests."""
    monkeypatch.setattr(
        run, "rule_cases", lambda _, kinds: [one for one in CASES if one.kind in kinds]
    )
    monkeypatch.setattr(run, "answer", REFERENCE)


def _request(*kinds: str, **settings: Any) -> ConformanceRequest:
    return ConformanceRequest(command=("x",), worlds=0, kinds=kinds, rounds=4, **settings)


@dataclass
class OwnAnswers:
    """This implementation, with one member of each answer changed."""

    changes: dict[str, Any]

    def ask(self, lines: Mapping[int, bytes], answer_bytes: int) -> BatchAnswers:  # noqa: ARG002
        """Answer as the rules say, but for the changes."""
        tasks = [parse_task(decode(line)) for line in lines.values()]
        return BatchAnswers({number: {**REFERENCE(task), **self.changes} for number, task in tasks})


@pytest.mark.parametrize("name", WRONG_PROGRAMS)
def test_a_wrong_program_fails_with_its_rule(name: str) -> None:
    """The first difference names the rule that the program breaks, and shows both answers."""
    program = WRONG_PROGRAMS[name]
    found = run_conformance(_request(*program.kinds), program)
    assert found.result == "different"
    assert found.first is not None
    value: Any = found.first.to_value()
    assert program.rule in value["rules"]
    assert value["expected"] != value["answered"]
    # The small task shows the difference by itself.
    _, task = parse_task(value["task"])
    small = program.ask({1: task.line(1)}, 0).answers[1]
    assert encode(small) != encode(answer(task))
    assert len(task.line(1)) < 12_000


def test_unsupported_tasks_make_a_partial_implementation() -> None:
    """They are no difference, and not passed either."""
    found = run_conformance(_request("compare"), OwnAnswers({"unsupported": True}))
    assert found.result == "partial"
    assert found.counts.keys() == {("compare", "unsupported")}
    assert (found.rules, found.codes) == (set(), set())


def test_other_members_of_an_answer_are_ignored() -> None:
    """Only the members of the page are compared."""
    found = run_conformance(_request("compare"), OwnAnswers({"comment": "slow"}))
    assert found.result == "alike"


def test_every_rule_and_code_has_a_case() -> None:
    """What the kit says that it covers, it covers."""
    found = run_conformance(
        _request("digest", "verify", "merge", "root", "compare"), OwnAnswers({})
    )
    value: Any = found.to_value()
    assert found.result == "alike"
    assert value["codes"]["not_covered"] == value["rules"]["not_covered"] == []


def test_a_seed_gives_the_same_worlds_everywhere() -> None:
    """So a difference can be found again; a change of this digest is a change of the worlds."""
    lines = [task.line(1) for number in range(4) for task in world_tasks(Signers("0"), number)]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    assert digest == "9fff911e82efd54a26c458d4c883ad9b085b628dd1226e0ee1c493ab61cb86b6"


# Programs that are no good -------------------------------------------------------------------

LINES = {1: b'{"id":1}\n', 2: b'{"id":2}\n'}


def _ask(script: str, lines: Mapping[int, bytes] = LINES, seconds: float = 60.0) -> BatchAnswers:
    return Program(["sh", "-c", script], seconds).ask(lines, 100)


def test_answers_may_come_in_any_order() -> None:
    """Answers in any order, blank lines, and more on standard error than a pipe holds."""
    found = _ask(
        "cat >/dev/null; yes | head -c 200000 >&2; echo; echo '{\"id\":2}'; echo '{\"id\":1}'"
    )
    assert found.answers == {1: {"id": 1}, 2: {"id": 2}}
    assert found.fault == ""
    assert found.stderr.endswith("y\n")


def test_more_tasks_than_a_pipe_holds_are_answered() -> None:
    """A program that answers while it reads is no deadlock."""
    lines = {number: b'{"id":%d,"text":"%s"}\n' % (number, b"x" * 5000) for number in range(1, 101)}
    found = Program(["cat"], 60.0).ask(lines, 600_000)
    assert found.answers.keys() == lines.keys()


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("exit 3", "it ended with exit status 3"),
        ("kill -9 $$", "it was ended by signal 9"),
        ("yes", "it wrote more than"),
        ("echo '{'", "line 1 of its output is no JSON object: {"),
        ("echo '[1]'", "line 1 of its output is no JSON object"),
        ("echo '{\"id\":1.0}'", "line 1 of its output has no id of a task"),
        ("echo '{\"id\":true}'", "line 1 of its output has no id of a task"),
        ("echo '{\"id\":1}'; echo '{\"id\":1}'", "is a second answer to 1"),
        ("printf '\\033[31m\\n'", "line 1 of its output is no JSON object: \ufffd[31m"),
    ],
)
def test_the_fault_of_a_program_is_reported(script: str, fault: str) -> None:
    """The fault is said in words, without control characters."""
    assert fault in _ask(script).fault


@pytest.mark.parametrize(
    "script", ["sleep 60", "cat >/dev/null; sleep 60 & wait", "exec 1>&-; sleep 60"]
)
def test_a_program_that_does_not_end_is_killed(script: str) -> None:
    """It is ended, with what it started."""
    lines = {1: b"x" * 500_000 + b"\n"}
    found = _ask(script, lines, 0.2)
    assert "did not end within 0.2 seconds" in found.fault
    assert found.answers == {}


def test_a_program_that_cannot_be_started_is_an_error() -> None:
    """It is an error of the command, and no difference."""
    with pytest.raises(SourceError, match=r"conformance\.program"):
        Program(["./absent"], 1.0).ask(LINES, 0)


def test_an_unanswered_task_stops_the_run() -> None:
    """The run stops, and the first such task is named with what became of the program."""
    script = """
import sys
for line in list(sys.stdin)[:3]:
    print(line[: line.index(",")] + ',"unsupported":true}')
1 / 0
"""
    program = Program([sys.executable, "-S", "-c", script], 60.0)
    found = run_conformance(_request("compare"), program)
    value: Any = found.to_value()
    assert value["result"] == "different"
    assert value["tasks"]["compare"]["unsupported"] == 3
    assert value["stopped"] == "it ended with exit status 1"
    assert value["first_difference"]["task_id"] == 4
    assert "ZeroDivisionError" in value["first_difference"]["stderr"]


# Smaller tasks -------------------------------------------------------------------------------


def test_a_text_is_minimised_to_its_difference() -> None:
    """Only what shows the difference is left; a text that is no JSON is cut by bytes."""

    def small(text: bytes, part: bytes) -> bytes:
        task = ConformanceTask(kind="digest", case="", text=text)
        return minimise(task, lambda tasks: [part in one.text for one in tasks], 60).text

    assert small(b'{"a":[1,2,{"b":[3,7,{"c":"x"}]}],"d":{}}', b"7") == b'{"a":[{"b":[7]}]}'
    assert small(b"[[[[[", b"[[") == b"[["
    assert small(b"abcdefg\xff", b"d") == b"d"


# This program itself -------------------------------------------------------------------------


def test_the_store_gives_the_same_answers() -> None:
    """Through a store in memory, tasks are answered as the rules say."""
    lines = [
        b'{"id":1,"task":"digest","text":"W10="}',
        b'{"id":2,"task":"verify","bundles":["e30="],"keys":null}',
        b"",
        b'{"id":3,"task":"root","bundles":[],"keys":null}',
        b'{"id":4,"task":"merge","bundles":["","e30="],"keys":"W10="}',
    ]
    found = [decode(line) for line in store_answers.answer_lines(lines)]
    expected = [
        {"id": number, **answer(task)}
        for number, task in map(parse_task, map(decode, filter(None, lines)))
    ]
    assert found == expected


@pytest.mark.parametrize(
    "line",
    [b"[]", b'{"id":1,"task":"x"}', b'{"id":"1","task":"digest","text":""}',
     b'{"id":1,"task":"digest","text":"?"}', b'{"id":1,"task":"merge","bundles":[1],"keys":null}'],
)  # fmt: skip
def test_an_invalid_task_is_refused(line: bytes) -> None:
    """It is refused with its place."""
    with pytest.raises(FormatError, match=r"task\.shape"):
        list(store_answers.answer_lines([line]))
