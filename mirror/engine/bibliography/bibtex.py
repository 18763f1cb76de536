"""A citation in BibTeX, for BibTeX and biblatex, with all text escaped."""

from __future__ import annotations

from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.plain_text import one_line
from mirror.engine.bibliography.statements import origins
from mirror.engine.bibliography.tex_text import tex_text

__all__ = ["bibtex"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def bibtex(description: Description, url: str) -> str:
    """Return an entry whose key is the Pith Number.

    No text can run a command of TeX or end its field (`tex_text`).
    Names stand in braces of their own, so that BibTeX does not take them apart.

    Args:
        description: The description of the record.
        url: The persistent address of the record.
    """
    fields = [(name, value) for name, value in _fields(description, url).items() if value]
    body = "".join(f"  {name} = {value},\n" for name, value in fields)
    return f"@misc{{{description.record.pith_number},\n{body}}}\n"


def _fields(description: Description, url: str) -> dict[str, str]:
    record = description.record
    day = description.submitted_at[:10]
    return {
        "author": _names(description.author_literals),
        "title": _text(description.title.text if description.title else ""),
        "year": _braced(day[:4]),
        "month": _MONTHS[int(day[5:7]) - 1],
        "day": _braced(str(int(day[8:]))),
        **(_of_arxiv(description) if description.arxiv_url else {}),
        "keywords": _text(", ".join(record.categories)),
        "url": _braced(url),
        "note": _text(f"Pith Number {record.pith_number}"),
        "annote": _text(
            " ".join([f"Canonical SHA-256 {record.canonical_sha256}.", *origins(description)])
        ),
    }


def _of_arxiv(description: Description) -> dict[str, str]:
    source = description.record.source
    return {
        "eprint": _braced(source["id"]),
        "archivePrefix": "{arXiv}",
        "primaryClass": _text(description.record.metadata["primary_cat"]),
        "version": _braced(str(source["version"])),
        "doi": _braced(description.doi),
    }


def _names(names: tuple[str, ...]) -> str:
    return _braced(" and ".join(f"{{{_escape(one)}}}" for one in names)) if names else ""


def _text(text: str) -> str:
    escaped = _escape(text)
    return _braced(escaped) if escaped else ""


def _escape(text: str) -> str:
    return tex_text(one_line(text))


def _braced(value: str) -> str:
    return f"{{{value}}}"
