"""Text from outside, as it is shown."""

from __future__ import annotations

import pytest

from mirror.core.escaping import NAME_CHARACTERS, escape_name, escape_terminal


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.json", "plain.json"),
        ("Tr\u00e4ume.json", "Tr\u00e4ume.json"),
        (b"\xff\xc3\xa4".decode("utf-8", "surrogateescape"), "\\xff\u00e4"),
        ("n" * NAME_CHARACTERS, "n" * NAME_CHARACTERS),
        ("n" * (NAME_CHARACTERS + 1), "n" * 300 + "\u2026 (4097 characters)"),
    ],
)
def test_a_name_is_shown_as_utf_8_and_cut(name: str, shown: str) -> None:
    """B4: bytes that are not UTF-8 are named, a long name ends with its length."""
    assert escape_name(name) == shown


def test_nothing_hides_on_a_terminal() -> None:
    """Controls, marks of direction and lone surrogates are written out."""
    assert escape_terminal("\u00e4 1") == "\u00e4 1"
    assert escape_terminal("a\x1b[2Jb\u202ec\ud800\n") == "a\\x1b[2Jb\\u202ec\\ud800\\n"
