"""The description of a record in the DataCite Metadata Schema 4, in DataCite's envelope.

Sources: DataCite Metadata Schema 4.4, its appendix 3 for values that are unknown; the envelope is
`http://schema.datacite.org/oai/oai-1.1/oai.xsd`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.xml_text import xml_element
from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.statements import statements

__all__ = ["NAMESPACE", "SCHEMA", "UNAVAILABLE", "datacite"]

NAMESPACE = "http://schema.datacite.org/oai/oai-1.1/"
SCHEMA = "http://schema.datacite.org/oai/oai-1.1/oai.xsd"
KERNEL = "http://datacite.org/schema/kernel-4"
KERNEL_SCHEMA = "http://schema.datacite.org/meta/kernel-4.4/metadata.xsd"

UNAVAILABLE = ":unav"
"""The value of a mandatory property that is not known here: unavailable, possibly unknown."""

_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_OPENED = (
    f'<oai_datacite xmlns="{NAMESPACE}" {_XSI} xsi:schemaLocation="{NAMESPACE} {SCHEMA}">'
    "<schemaVersion>4.4</schemaVersion><datacentreSymbol>:none</datacentreSymbol><payload>"
    f'<resource xmlns="{KERNEL}" xsi:schemaLocation="{KERNEL} {KERNEL_SCHEMA}">'
)
_CLOSED = "</resource></payload></oai_datacite>"


def datacite(description: Description, url: str) -> str:
    """Return the description of a record as an XML element.

    Args:
        description: The description.
        url: The address of the record's page.
    """
    return f"{_OPENED}{''.join(_properties(description, url))}{_CLOSED}"


def _properties(description: Description, url: str) -> Iterator[str]:
    record = description.record
    yield xml_element("identifier", record.pith_number, {"identifierType": "Pith Number"})
    creator = xml_element("creatorName", description.authors or UNAVAILABLE)
    yield f"<creators><creator>{creator}</creator></creators>"
    title = UNAVAILABLE if description.title is None else description.title.text
    yield f"<titles>{xml_element('title', title)}</titles>"
    yield xml_element("publisher", "arXiv" if description.arxiv_url else UNAVAILABLE)
    yield xml_element("publicationYear", description.year)
    yield _resource_type(description)
    subjects = [xml_element("subject", one) for one in dict.fromkeys(record.categories) if one]
    yield f"<subjects>{''.join(subjects)}</subjects>"
    submitted = xml_element("date", description.submitted_at, {"dateType": "Submitted"})
    yield f"<dates>{submitted}</dates>"
    yield f"<alternateIdentifiers>{''.join(_alternate(description, url))}</alternateIdentifiers>"
    yield f"<relatedIdentifiers>{''.join(_related(description, url))}</relatedIdentifiers>"
    yield xml_element("version", str(record.source["version"]))
    yield _rights(description)
    yield f"<descriptions>{''.join(_descriptions(description))}</descriptions>"


def _resource_type(description: Description) -> str:
    general, text = ("Preprint", "Preprint") if description.arxiv_url else ("Other", UNAVAILABLE)
    return xml_element("resourceType", text, {"resourceTypeGeneral": general})


def _alternate(description: Description, url: str) -> Iterator[str]:
    name, record = "alternateIdentifier", description.record
    yield xml_element(name, url, {"alternateIdentifierType": "URL"})
    sha256 = record.canonical_sha256
    yield xml_element(name, sha256, {"alternateIdentifierType": "SHA-256 of the record"})
    yield xml_element(name, description.source_name, {"alternateIdentifierType": "Source"})


def _related(description: Description, url: str) -> Iterator[str]:
    if description.arxiv_url:
        arxiv = f"arXiv:{description.record.source['id']}"
        version = f"{arxiv}v{description.record.source['version']}"
        yield _relation("arXiv", "IsIdenticalTo", version)
        yield _relation("arXiv", "IsVersionOf", arxiv)
        yield _relation("DOI", "IsVersionOf", description.doi)
    for name in ("state.json", "bundle.json"):
        yield _relation("URL", "HasMetadata", f"{url}/{name}")


def _relation(kind: str, relation: str, identifier: str) -> str:
    attributes = {"relatedIdentifierType": kind, "relationType": relation}
    return xml_element("relatedIdentifier", identifier, attributes)


def _rights(description: Description) -> str:
    if not description.license.strip():
        return ""
    url = description.license_url
    rights = xml_element("rights", description.license, {"rightsURI": url} if url else {})
    return f"<rightsList>{rights}</rightsList>"


def _descriptions(description: Description) -> Iterator[str]:
    if description.abstract:
        yield xml_element("description", description.abstract, {"descriptionType": "Abstract"})
    for statement in statements(description):
        attributes = {"xml:lang": "en", "descriptionType": "TechnicalInfo"}
        yield xml_element("description", statement, attributes)
