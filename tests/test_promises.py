"""What the threat model and the decisions promise names the tests that would fail without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mirror.cli import main
from tests.commands import walk

ROOT = Path(__file__).resolve().parents[1]
THREATS = ROOT / "docs" / "threat-model.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

_ACCEPTED = re.compile(r"Accepted\.(?: Supersedes \[(\d{4})\]\([^)]+\)(?: in part: [^.]+)?\..*)?")
_SUPERSEDED = re.compile(r"Superseded(?: in part)? by \[(\d{4})\]\([^)]+\)\.")
_FILES = re.compile(r"(?:`tests/(?:[a-z]+/)*test_[a-z0-9_]+\.py`(?:, |\Z))+")
_HELD_BY = "**Held by** "


def _rows() -> list[list[str]]:
    """The cells of each threat: who, what they may try, what stops it, tests."""
    lines = THREATS.read_text().splitlines()
    start = lines.index("| --- | --- | --- | --- |")
    end = lines.index("", start)
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 1 : end]
    ]


def _require_tests(listed: str) -> None:
    """Check that a text is a list of files of tests, each of which is there and tests something."""
    assert _FILES.fullmatch(listed), f"no list of test files: {listed}"
    for name in re.findall(r"`([^`]+)`", listed):
        assert (ROOT / name).is_file(), f"{name} is not there"
        assert "\ndef test_" in (ROOT / name).read_text(), name


def test_every_threat_has_its_tests() -> None:
    """The last column of each row names files."""
    rows = _rows()
    assert len(rows) > 30
    for row in rows:
        assert 4 == len(row), row
        _require_tests(row[3])


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem[:4])
def test_every_decision_has_its_tests(decision: Path) -> None:
    """Its last paragraph names them; the index has its number."""
    last = decision.read_text().rstrip("\n").rpartition("\n\n")[2].replace("\n", " ")
    assert last.startswith(_HELD_BY)
    _require_tests(last.removeprefix(_HELD_BY).removesuffix("."))
    assert f"]({decision.name})" in (decision.parent / "README.md").read_text()


def test_a_decision_is_accepted_or_superseded_by_another() -> None:
    """Each has a status line, and where one supersedes another, both say so."""
    by, of = set(), set()
    for decision in DECISIONS:
        number, line = decision.name[:4], decision.read_text().split("\n\n")[1].replace("\n", " ")
        status = line.removeprefix("**Status.** ").partition(" **The problem")[0]
        if superseded := _SUPERSEDED.fullmatch(status):
            by.add((number, superseded[1]))
        else:
            accepted = _ACCEPTED.fullmatch(status)
            assert accepted, f"{decision.name}: {status}"
            of.add((accepted[1], number))
    assert by == {pair for pair in of if pair[0]}


@pytest.mark.parametrize(
    "listed",
    [
        "",
        "`tests/core`",
        "the same",
        "`tests/core/test_values.py` and more",
        "`tests/core/test_x.py`",
    ],
)
def test_a_text_that_names_no_test_is_refused(listed: str) -> None:
    """The check itself: folders, words and files that are gone are no tests."""
    with pytest.raises(AssertionError):
        _require_tests(listed)


# The operator's page ----------------------------------------------------------------------------


def _options() -> Iterator[tuple[str, click.Option]]:
    """Each option with the variable that is named after its command and itself."""
    for path, command in walk():
        for option in command.params:
            if isinstance(option, click.Option) and option.opts[0] not in {"--help", "--version"}:
                yield _variable(*path, option.opts[0][2:]), option


def _variable(*words: str) -> str:
    return "_".join(("mirror", *words)).upper().replace("-", "_")


def test_options_come_from_the_variables_that_the_page_names() -> None:
    """Named after the option alone, and then it is listed; or after command and option."""
    text = (ROOT / "docs" / "operating.md").read_text()
    page = text[text.index("Each option may come") : text.index("| command | what it does |")]
    for full, option in _options():
        short = _variable(option.opts[0][2:])
        assert option.envvar in {full, short}, option.opts
        is_listed = f"`{short}`" in page or short.startswith("MIRROR_MAX_")
        if option.envvar == short:
            assert is_listed, short
        elif is_listed:
            assert f"`{full}`" in page, f"{full} is an exception, which the page must name"


def test_an_option_comes_from_its_variable(tmp_path: Path) -> None:
    """Whatever its parameter is called: that of `findings ack --by` is another one."""
    store, runner = str(tmp_path / "mirror.db"), CliRunner()
    runner.invoke(main, ["merge", str(ROOT / "bundles/invalid/event.id.json"), "--db", store])
    short = {"MIRROR_DB": store, "MIRROR_CHECK_TIME_LIMIT": "no time"}
    assert 2 == runner.invoke(main, ["check"], env=short).exit_code
    who = {"BY": "Ada", "REASON": "it is reported", "CODE": "event.id"}
    names = {f"MIRROR_FINDINGS_ACK_{name}": value for name, value in who.items()}
    assert 0 == runner.invoke(main, ["findings", "ack", "--db", store], env=names).exit_code
