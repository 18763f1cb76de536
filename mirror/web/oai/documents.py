"""OAI-PMH documents in XML: the envelope, and the parts of each answer (section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mirror.core.xml_text import XML_DECLARATION, xml_element
from mirror.engine.harvest.errors import HarvestError
from mirror.engine.harvest.formats import MetadataFormat
from mirror.engine.harvest.lists import RecordHeader
from mirror.engine.harvest.sets import RecordSet

__all__ = ["document", "error", "header", "metadata_format", "record", "record_set", "token"]

_NAMESPACE = "http://www.openarchives.org/OAI/2.0/"
_OPENED = (
    f'{XML_DECLARATION}<OAI-PMH xmlns="{_NAMESPACE}" '
    f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xsi:schemaLocation="{_NAMESPACE} {_NAMESPACE}OAI-PMH.xsd">\n'
)


def document(
    responded_at: str, url: str, request: Mapping[str, str], parts: Iterable[str]
) -> bytes:
    """Return a document.

    Args:
        responded_at: The value of `responseDate`.
        url: The base URL of the repository.
        request: The arguments of the request, with the verb; none if they are wrong.
        parts: XML elements.
    """
    head = xml_element("responseDate", responded_at) + xml_element("request", url, request)
    return "".join([_OPENED, head, "\n", *parts, "\n</OAI-PMH>\n"]).encode()


def error(found: HarvestError) -> str:
    """Return the element of an error (section 3.6)."""
    return xml_element("error", found.message, {"code": found.code})


def header(one: RecordHeader) -> str:
    """Return the header of a record (section 2.5)."""
    parts = [
        xml_element("identifier", one.identifier),
        xml_element("datestamp", one.datestamp),
        *(xml_element("setSpec", spec) for spec in one.set_specs),
    ]
    return f"<header>{''.join(parts)}</header>"


def record(one: RecordHeader, metadata: str) -> str:
    """Return a record: its header, and its metadata, an XML element."""
    return f"<record>{header(one)}<metadata>{metadata}</metadata></record>\n"


def metadata_format(one: MetadataFormat, base_url: str) -> str:
    """Return the description of a metadata format."""
    parts = [
        xml_element("metadataPrefix", one.prefix),
        xml_element("schema", one.schema_url(base_url)),
        xml_element("metadataNamespace", one.namespace),
    ]
    return f"<metadataFormat>{''.join(parts)}</metadataFormat>"


def record_set(one: RecordSet) -> str:
    """Return the description of a set."""
    return f"<set>{xml_element('setSpec', one.spec)}{xml_element('setName', one.name)}</set>"


def token(text: str, cursor: int, size: int) -> str:
    """Return the element of a resumption token (section 3.5).

    Args:
        text: The token; empty on the last page.
        cursor: How many entries the pages before have.
        size: How many entries the list has; 0 if that is not known.
    """
    attributes = {"completeListSize": str(size)} if size else {}
    return xml_element("resumptionToken", text, {**attributes, "cursor": str(cursor)})
