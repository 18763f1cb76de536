"""What the threat model and the decisions promise names the tests that would fail without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
THREATS = ROOT / "docs" / "threat-model.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

_FILES = re.compile(r"(?:`tests/(?:[a-z]+/)*test_[a-z_]+\.py`(?:, |\Z))+")
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
def test_what_names_no_test_is_seen(listed: str) -> None:
    """The check itself: folders, words and files that are gone are no tests."""
    with pytest.raises(AssertionError):
        _require_tests(listed)
