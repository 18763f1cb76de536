"""The description of a record in unqualified Dublin Core, as OAI-PMH requires it: `oai_dc`.

Source: OAI-PMH 2.0, appendix 1; the schema is `http://www.openarchives.org/OAI/2.0/oai_dc.xsd`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.xml_text import xml_element
from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.statements import statements

__all__ = ["NAMESPACE", "SCHEMA", "dublin_core"]

NAMESPACE = "http://www.openarchives.org/OAI/2.0/oai_dc/"
SCHEMA = "http://www.openarchives.org/OAI/2.0/oai_dc.xsd"

_OPENED = (
    f'<oai_dc:dc xmlns:oai_dc="{NAMESPACE}" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xsi:schemaLocation="{NAMESPACE} {SCHEMA}">'
)


def dublin_core(description: Description, url: str) -> str:
    """Return the description of a record as an XML element.

    Args:
        description: The description.
        url: The address of the record's page.
    """
    elements = [xml_element(f"dc:{name}", text) for name, text in _terms(description, url) if text]
    return f"{_OPENED}{''.join(elements)}</oai_dc:dc>"


def _terms(description: Description, url: str) -> Iterator[tuple[str, str]]:
    """Yield names and texts of elements; a text may be empty."""
    record = description.record
    if description.title is not None:
        yield "title", description.title.text
    yield "creator", description.authors
    for category in dict.fromkeys(record.categories):
        yield "subject", category
    yield "description", description.abstract
    for statement in statements(description):
        yield "description", statement
    yield "date", description.submitted_at
    if description.arxiv_url:
        yield "type", "Text"
    yield "identifier", record.pith_number
    yield "identifier", url
    yield "identifier", description.arxiv_url
    yield "identifier", description.doi_url
    yield "identifier", f"sha256:{record.canonical_sha256}"
    yield "source", description.source_name
    yield "relation", f"{url}/state.json"
    yield "relation", f"{url}/bundle.json"
    yield "rights", description.license
