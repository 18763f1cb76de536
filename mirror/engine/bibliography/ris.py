"""A citation in RIS, the format of reference managers: a tag and a text on each line."""

from __future__ import annotations

from collections.abc import Iterator

from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.plain_text import one_line
from mirror.engine.bibliography.statements import origins

__all__ = ["ris"]


def ris(description: Description, url: str) -> str:
    """Return the reference, of the generic type, with line breaks of CR and LF.

    Readers take a comma in a name for "family name, forename", so authors who are not clearly
    separated stand in a note.

    Args:
        description: The description of the record.
        url: The persistent address of the record.
    """
    lines = ((tag, one_line(text)) for tag, text in _lines(description, url))
    shown = [f"{tag}  - {text}\r\n" for tag, text in lines if text]
    return "".join(["TY  - GEN\r\n", *shown, "ER  - \r\n"])


def _lines(description: Description, url: str) -> Iterator[tuple[str, str]]:
    record, names = description.record, description.author_names
    day = description.submitted_at[:10]
    yield "ID", record.pith_number
    yield "TI", description.title.text if description.title else ""
    yield from (("AU", name) for name in names)
    yield "PY", day[:4]
    yield "DA", day.replace("-", "/")
    if description.arxiv_url:
        yield "PB", "arXiv"
        yield "M1", f"arXiv:{record.source['id']}v{record.source['version']}"
        yield "DO", description.doi
    yield from (("KW", category) for category in record.categories)
    yield "UR", url
    yield "AN", record.pith_number
    yield "C1", f"Canonical SHA-256 {record.canonical_sha256}"
    if description.authors and not names:
        yield "N1", f"Authors: {description.authors}"
    yield from (("N1", statement) for statement in origins(description))
