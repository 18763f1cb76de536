"""Names: one word, one meaning. The glossary is the list of words, and names keep to it."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from mirror.store import open_store
from tests.source import MODULES

ROOT = Path(__file__).resolve().parents[1]

_ROW = re.compile(
    r"^\| (?P<word>[^|]+) \| (?P<meaning>[^|]+) \| (?P<source>[^|]+) \| (?P<not>[^|]+) \|$"
)
_HEADING = {"word", "---"}


def _rows() -> list[dict[str, str]]:
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    found = [match.groupdict() for line in lines if (match := _ROW.match(line))]
    return [row for row in found if row["word"] not in _HEADING]


ROWS = _rows()

SYNONYMS = {
    synonym: row["word"] for row in ROWS if row["not"] != "–" for synonym in row["not"].split(", ")
}
"""Words that name nothing, each with the word that is used instead."""


@cache
def _classes() -> list[tuple[str, Path]]:
    return [
        (name, path)
        for path in MODULES
        for name in re.findall(r"^ *class (\w+)[(:]", path.read_text("utf-8"), re.MULTILINE)
    ]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The tables of a new store."""
    path = tmp_path_factory.mktemp("glossary") / "mirror.db"
    with open_store(path):
        pass
    with closing(sqlite3.connect(path)) as conn:
        rows = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [name for (name,) in rows]


def _words(name: str) -> set[str]:
    """The words of a name in any style: `SourceCache` and `source_cache` have the same two."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_the_glossary_is_read() -> None:
    """Every row of every table of the page is read, and has four cells that say something."""
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    assert len(ROWS) == sum(line.startswith("| ") for line in lines) - 2 * lines.count(
        "| word | meaning | from | not |"
    )
    assert all(cell.strip() for row in ROWS for cell in row.values())


def test_each_word_is_there_once() -> None:
    """A word has one meaning, tables are in alphabetical order, and no listed word is a synonym."""
    words = [row["word"] for row in ROWS]
    assert not [word for word, count in Counter(words).items() if count > 1]
    assert not SYNONYMS.keys() & {*words}
    assert len(SYNONYMS) == sum(len(row["not"].split(", ")) for row in ROWS if row["not"] != "–")


def test_no_class_name_is_there_twice() -> None:
    """A class can be spoken of without its module; a leading underscore makes no other name."""
    found = Counter(name.lstrip("_") for name, _ in _classes())
    twice = {name for name, count in found.items() if count > 1}
    assert not [f"{path}: {name}" for name, path in _classes() if name.lstrip("_") in twice]


@pytest.mark.parametrize("synonym", sorted(SYNONYMS))
def test_no_name_is_a_private_synonym(synonym: str, tables: list[str]) -> None:
    """Modules, classes and tables are named by the words of the glossary."""
    modules = [str(path.relative_to(ROOT)) for path in MODULES if synonym in _words(path.stem)]
    classes = [f"{path}: {name}" for name, path in _classes() if synonym in _words(name)]
    found = [*modules, *classes, *(table for table in tables if synonym in _words(table))]
    assert not found, f"the word is {SYNONYMS[synonym]!r}"
