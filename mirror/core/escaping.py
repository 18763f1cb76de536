r"""Escaping of text from outside: names of files and members, and lines for a terminal."""

from __future__ import annotations

__all__ = ["NAME_CHARACTERS", "escape_name", "escape_terminal"]

NAME_CHARACTERS = 4096
"""The longest name of a member or file that is looked at (B4): PATH_MAX of Linux."""
_BEGINNING_CHARACTERS = 300


def escape_name(name: str) -> str:
    r"""Return a name as UTF-8 text; bytes that are not UTF-8 become `\xff`.

    Args:
        name: A name from the file system, with surrogates for such bytes (PEP 383). A name longer
            than `NAME_CHARACTERS` is cut.
    """
    if len(name) > NAME_CHARACTERS:
        return f"{escape_name(name[:_BEGINNING_CHARACTERS])}… ({len(name)} characters)"
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def escape_terminal(text: str) -> str:
    r"""Return text with each character that does not print, or hides others, as `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text
    )
