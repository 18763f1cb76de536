"""Text from outside as one line that every format of citations can carry."""

from __future__ import annotations

import unicodedata

__all__ = ["one_line"]


def one_line(text: str) -> str:
    """Return text as one line: only characters that print, with single spaces between words.

    Invisible characters of formatting, such as those that turn the direction of writing, are left
    out; every other character that does not print becomes a space, line breaks among them.
    """
    if not text.isprintable():
        text = "".join(one if one.isprintable() else _replacement(one) for one in text)
    return " ".join(text.split())


def _replacement(character: str) -> str:
    return "" if unicodedata.category(character) == "Cf" else " "
