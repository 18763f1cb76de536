"""Escaping of untrusted strings for HTML pages.

All of them are shown as text. Characters that do not print, change the direction of writing or
are invisible are shown by their code point, as `<U+202E>`. Long strings are truncated; the JSON
has all of them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

from markupsafe import Markup, escape

from mirror.core.values import Value

__all__ = ["escape_hidden", "is_plain", "link", "pretty_json", "text"]

LIMIT = 240
"""Most characters of a string on a page."""
_LINE_LIMIT = 400
_MARKS = 4
"""Most combining marks on one letter."""

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that are invisible, though Unicode calls them printable."""

_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?:[/?#][!-~]*)?", re.IGNORECASE)
"""A URL without user or password, in visible ASCII."""


def is_plain(value: str) -> bool:
    """Return True for short visible ASCII, which can be copied from the page."""
    return len(value) <= LIMIT and re.fullmatch(r"[ -~]+", value) is not None


def escape_hidden(value: object, limit: int = LIMIT) -> str:
    """Return a string for titles and attributes, with hidden characters as `<U+202E>`."""
    shown = str(value)
    cut = "…" if len(shown) > limit else ""
    return "".join(part for part, _ in _parts(shown[:limit])) + cut


def text(value: object, limit: int = LIMIT) -> Markup:
    """Return a string for the body of a page, with its direction of writing isolated."""
    shown = str(value)
    inner = _marked(shown[:limit])
    if len(shown) > limit:
        inner += Markup('<span class="cut">… {:,} characters in all</span>').format(len(shown))
    return Markup("<bdi>{}</bdi>").format(inner)


def link(value: object, limit: int = LIMIT) -> Markup:
    """Return a string as `text` does, as a link if it is an http or https URL."""
    shown = str(value)
    if len(shown) > 2000 or _URL.fullmatch(shown) is None:
        return text(shown, limit)
    return Markup('<a href="{}" rel="nofollow noreferrer external">{}</a>').format(
        shown, text(shown, limit)
    )


def pretty_json(value: Value) -> Markup:
    """Return a value as indented JSON, with hidden characters escaped."""
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    return Markup("\n").join(_line(line) for line in lines[:_LINE_LIMIT]) + (
        Markup('\n<span class="cut">… {:,} lines in all</span>').format(len(lines))
        if len(lines) > _LINE_LIMIT
        else Markup("")
    )


def _line(line: str) -> Markup:
    if len(line) <= _LINE_LIMIT:
        return _marked(line)
    cut = Markup('<span class="cut">… {:,} characters in all</span>').format(len(line))
    return _marked(line[:_LINE_LIMIT]) + cut


def _marked(value: str) -> Markup:
    """Return markup of a string, with hidden characters in spans."""
    return Markup("").join(
        Markup('<span class="hidden-char">{}</span>').format(part) if is_hidden else escape(part)
        for part, is_hidden in _parts(value)
    )


def _parts(value: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a string, and whether each names a hidden character."""
    if value.isascii() and value.isprintable():
        yield value, False
        return
    for one, repeats in groupby(_characters(value)):
        count = sum(1 for _ in repeats)
        shown, is_hidden = one
        yield (f"{shown}×{count}" if is_hidden and count > 1 else shown * count), is_hidden


def _characters(value: str) -> Iterator[tuple[str, bool]]:
    """Yield each character, or its code point if it is hidden, and whether it is hidden."""
    marks = 0
    for one in value:
        marks = marks + 1 if unicodedata.combining(one) else 0
        is_hidden = _is_hidden(one) or marks > _MARKS
        yield (f"<U+{ord(one):04X}>" if is_hidden else one), is_hidden


def _is_hidden(one: str) -> bool:
    return (
        not one.isprintable() or one in _BLANK or unicodedata.name(one, "").startswith(_SELECTORS)
    )


_SELECTORS = ("VARIATION SELECTOR", "MONGOLIAN FREE VARIATION")
