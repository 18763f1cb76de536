"""Prose: a docstring says what the thing is or does, so that it can be read alone."""

from __future__ import annotations

import re

import pytest

from tests.source import MODULES, source_of

OPENINGS = re.compile(r"(What|Of|As|Who|Whom|Whose|Whoever)\b")
"""A docstring that opens so names nothing, or needs the line above it."""

ARCHAIC = re.compile(
    r"\b(anew|whoever|whomever|but for|for want of|gone on with|goes on with|bears? with"
    r"|heard to say|made so|told|tells?|came to be|came of|comes? of|that (is|are) none)\b",
    re.IGNORECASE,
)
"""Words and turns that current English does not use, or that mean `report` and `result` here."""


def test_docstrings_name_the_thing() -> None:
    """No docstring opens with What, Of or As, or with a relative pronoun."""
    found = [(path, at, text) for path in MODULES for at, text in source_of(path).statements]
    assert len(found) > len(MODULES)
    assert not [f"{path}:{at}: {text}" for path, at, text in found if OPENINGS.match(text)]


def test_prose_is_current_english() -> None:
    """Docstrings, messages and help texts use none of the listed words."""
    assert not [
        f"{path}:{at}: {found[0]!r} in {text}"
        for path in MODULES
        for at, text in source_of(path).strings
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
def test_a_forbidden_opening_is_found(text: str, is_bad: bool) -> None:  # noqa: FBT001
    """The check itself: what it looks for, it finds."""
    assert is_bad == bool(OPENINGS.match(text))
