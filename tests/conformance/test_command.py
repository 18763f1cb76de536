"""`mirror conformance` as a person runs it: real programs, exit codes, and both reports."""

from __future__ import annotations

import json
import os
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mirror.cli import main
from mirror.engine.conformance.differences import AnswerDifference
from mirror.engine.conformance.report import ConformanceReport, FirstDifference
from mirror.engine.conformance.task import ConformanceTask
from mirror.web.pages.conformance_report import render

ROOT = Path(__file__).resolve().parents[2]
ORACLE = [sys.executable, "-m", "tests.conformance.oracle_program"]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def _run(*arguments: str, **settings: Any) -> Result:
    return CliRunner().invoke(main, ["conformance", *arguments], **settings)


def test_only_selected_tasks_are_asked() -> None:
    """Only the tasks that are asked for are asked, and the report says which were not."""
    ran = _run("--worlds", "2", "--task", "compare", "--json", *ORACLE)
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert (report["result"], report["first_difference"]) == ("alike", None)
    assert report["not_asked"] == ["digest", "verify", "merge", "root"]
    assert report["rules"]["covered"] == ["M6", "compare"]


def test_a_difference_is_shown(tmp_path: Path) -> None:
    """In words, with the rule and the task; both reports have it, and the exit code is 1."""
    program = [sys.executable, "-m", "tests.conformance.wrong_programs", "the last member wins"]
    files = tmp_path / "report.json", tmp_path / "report.html"
    ran = _run(
        "--worlds",
        "0",
        "--task",
        "digest",
        "--report",
        str(files[0]),
        "--html",
        str(files[1]),
        *program,
    )
    assert ran.exit_code == 1
    for words in (
        "result  different",
        "rule      V1, strict JSON",
        "expected  json.duplicate_key",
        "answered  no code: it is accepted",
        '{"id":1,"task":"digest","text":"',
    ):
        assert words in ran.stdout
    report = json.loads(files[0].read_bytes())
    assert report["first_difference"]["rules"] == ["V1"]
    assert report["differences_by_rule"]["V1"] > 1
    assert "json.duplicate_key" in files[1].read_text()


def test_the_command_answers_tasks_from_standard_input() -> None:
    """Tasks from standard input are answered; what is no task is an error."""
    ran = _run("--answer", input=b'{"id":7,"task":"digest","text":"W10="}\n')
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["id"] == 7
    assert _run("--answer", input=b"{}").exit_code == 3


def test_wrong_usage() -> None:
    """A command or `--answer`, and not both; a program that is there."""
    assert [_run().exit_code, _run("--answer", "x").exit_code] == [2, 2]
    ran = _run("--worlds", "0", "--task", "digest", "./absent")
    assert ran.exit_code == 3
    assert "conformance.program" in ran.stderr
    assert _run("--vectors", "docs", "true").exit_code == 3


def test_the_verifier_in_javascript_passes() -> None:
    """It is asked the cases of every rule."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    ran = _run("--worlds", "0", "--json", "node", os.fspath(ROOT / "verifier" / "conformance.js"))
    report = json.loads(ran.stdout)
    assert (ran.exit_code, report["result"]) == (0, "alike"), report["first_difference"]


# The page ------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in {"src", "href"}]


def test_the_report_page_escapes_what_a_program_writes() -> None:
    """Whatever a program writes is text; the page has no script and loads nothing."""
    report = ConformanceReport(command=(HOSTILE,), seed=HOSTILE, worlds=1, kinds=("digest",))
    report.fault = report.stopped = HOSTILE
    report.differences["V1"] = 2
    report.first = FirstDifference(
        number=3,
        task=ConformanceTask(kind="digest", case=HOSTILE, rules=("V1",)),
        difference=AnswerDifference("V1", HOSTILE, HOSTILE, HOSTILE),
        expected={"digest": HOSTILE},
        answered={"digest": HOSTILE},
        stderr=HOSTILE,
    )
    page = render(report).decode()
    elements = _Elements()
    elements.feed(page)
    assert "script" not in elements.found
    assert "<script" not in page
    assert "\x1b" not in page
    assert "color-scheme" in page
