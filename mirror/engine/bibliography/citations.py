"""The formats of citations: their names, media types and file names, and citations as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mirror.core.values import dump_fragments
from mirror.engine.bibliography.bibtex import bibtex
from mirror.engine.bibliography.csl_json import csl_json
from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.plain_text import one_line
from mirror.engine.bibliography.ris import ris

__all__ = ["CITATION_FORMATS", "REGISTRY_URL", "CitationFormat", "citation_text"]

REGISTRY_URL = "https://pith.science"
"""Where records are cited unless their source is another registry."""


@dataclass(frozen=True, slots=True)
class CitationFormat:
    """A format of citations."""

    label: str
    media_type: str
    file_ending: str
    write: Callable[[Description, str], str]
    """Returns a citation: of a description, with a persistent address."""

    @property
    def path_ending(self) -> str:
        """The end of the address of a citation, after that of the record's page."""
        return f"/cite.{self.file_ending}"


def _csl_text(description: Description, url: str) -> str:
    return f"{dump_fragments(csl_json(description, url)).decode()}\n"


CITATION_FORMATS = {
    "bibtex": CitationFormat("BibTeX", "application/x-bibtex", "bib", bibtex),
    "ris": CitationFormat("RIS", "application/x-research-info-systems", "ris", ris),
    "csl-json": CitationFormat(
        "CSL-JSON", "application/vnd.citationstyles.csl+json", "json", _csl_text
    ),
}
"""All formats by name."""


def citation_text(description: Description, url: str) -> str:
    """Return a citation as one line of text: authors, title, source, year, number and address.

    Args:
        description: The description of the record.
        url: The persistent address of the record.
    """
    authors = one_line(description.authors)
    title = one_line(description.title.text) if description.title else ""
    source = f"{one_line(description.source_name)} ({description.year})"
    number = description.record.pith_number
    return " ".join(f"{part.rstrip('.')}." for part in (authors, title, source, number) if part) + (
        f" {url}"
    )
