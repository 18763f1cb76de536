"""Prose: a docstring says what the thing is or does, so that it can be read alone."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MODULES = sorted((ROOT / "mirror").rglob("*.py"))

OPENINGS = re.compile(r"(What|Of|As|Who|Whom|Whose|Whoever)\b")
"""A docstring that opens so names nothing, or needs the line above it."""

ARCHAIC = re.compile(
    r"\b(anew|whoever|whomever|but for|for want of|gone on with|goes on with|bears? with"
    r"|heard to say|made so|told|tells?|came to be|came of|comes? of|that (is|are) none)\b",
    re.IGNORECASE,
)
"""Words and turns that current English does not use, or that mean `report` and `result` here."""


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text("utf-8")))]


def _docstrings(path: Path) -> list[tuple[int, str]]:
    """The strings that stand alone as statements: docstrings of everything, attributes too."""
    return [
        (node.lineno, node.value.value)
        for node in _nodes(path)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def _strings(path: Path) -> list[tuple[int, str]]:
    """All strings: docstrings, messages, help texts."""
    return [
        (node.lineno, node.value)
        for node in _nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_docstrings_name_the_thing() -> None:
    """No docstring opens with What, Of or As, or with a relative pronoun."""
    found = [(path, at, text) for path in MODULES for at, text in _docstrings(path)]
    assert len(found) > len(MODULES)
    assert not [f"{path}:{at}: {text}" for path, at, text in found if OPENINGS.match(text)]


def test_prose_is_current_english() -> None:
    """Docstrings, messages and help texts use none of the listed words."""
    assert not [
        f"{path}:{at}: {found[0]!r} in {text}"
        for path in MODULES
        for at, text in _strings(path)
        if (found := ARCHAIC.search(text))
    ]


@pytest.mark.parametrize(
    ("text", "is_bad"),
    [
        ("What is kept.", True),
        ("Of a record.", True),
        ("Offset in bytes.", False),
        ("Asks.", False),
    ],
)
def test_an_opening_is_seen(text: str, is_bad: bool) -> None:  # noqa: FBT001
    """The check itself: what it looks for, it finds."""
    assert is_bad == bool(OPENINGS.match(text))
