"""Names of authors in a text that lists them, as far as the text itself separates them.

Which part of a name is the family name is not known for certain, so no name is taken apart.
"""

from __future__ import annotations

import re

__all__ = ["author_names"]

_UNCLEAR = re.compile(r"[()\[\]{}<>&\\]|\band\b|\bet al\b", re.IGNORECASE)
"""Affiliations, markup, and words that may stand in a name, such as "Science and Technology"."""


def author_names(text: str, *, is_arxiv: bool) -> tuple[str, ...]:
    """Return the authors that a text lists; none if it does not separate them clearly.

    A semicolon separates names, which may have commas then. A comma does so in a record of arXiv,
    which asks for "forename surname" with commas between authors (info.arxiv.org/help/prep), if
    there is no name of a single word, such as the family name in "Lovelace, Ada".

    Args:
        text: One line of text.
        is_arxiv: Whether the source of the record is arXiv.
    """
    if _UNCLEAR.search(text) is not None:
        return ()
    if ";" in text:
        return _parts(text, ";")
    names = _parts(text, ",")
    is_list = is_arxiv and all(" " in one for one in names)
    return names if is_list or "," not in text else ()


def _parts(text: str, separator: str) -> tuple[str, ...]:
    return tuple(part for one in text.split(separator) if (part := one.strip()))
