"""Documents of OAI-PMH, checked by their schemas where these are to be had, and by hand.

`scripts/environment.sh` fetches OAI-PMH.xsd; the schemas of oai_dc and DataCite are in no package,
so that their rules are written down here.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

from mirror.core.values import canonical, hexdigest

OAI = "{http://www.openarchives.org/OAI/2.0/}"
DC = "{http://purl.org/dc/elements/1.1/}"
OAI_DC = "{http://www.openarchives.org/OAI/2.0/oai_dc/}"
WRAPPER = "{http://schema.datacite.org/oai/oai-1.1/}"
KERNEL = "{http://datacite.org/schema/kernel-4}"
STATE = "{https://pith.science/terms/pith_state}"

ROOT = Path(__file__).resolve().parents[2]
OAI_SCHEMA = ROOT / ".cache" / "oai-schemas" / "OAI-PMH.xsd"
STATE_SCHEMA = ROOT / "mirror" / "web" / "static" / "pith_state.xsd"

_DC_TERMS = {
    "title", "creator", "subject", "description", "publisher", "contributor", "date", "type",
    "format", "identifier", "source", "language", "relation", "coverage", "rights",
}  # fmt: skip
_SECOND = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_RELATED = {
    "relatedIdentifierType": {"arXiv", "DOI", "URL"},
    "relationType": {"IsIdenticalTo", "IsVersionOf", "HasMetadata"},
}
_MANDATORY = {
    "identifier", "creators", "titles", "publisher", "publicationYear", "resourceType",
}  # fmt: skip
_OPTIONAL = {
    "subjects", "dates", "alternateIdentifiers", "relatedIdentifiers", "version", "rightsList",
    "descriptions",
}  # fmt: skip


@cache
def _schema(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path))


def parse(content: bytes) -> Any:
    """The element of the verb, or of the error, of a document that is as OAI-PMH wants it."""
    root = etree.fromstring(content)
    if OAI_SCHEMA.exists():
        _schema(OAI_SCHEMA).assertValid(root)
    assert root.tag == f"{OAI}OAI-PMH"
    date, request, answer = root
    assert (date.tag, request.tag) == (f"{OAI}responseDate", f"{OAI}request")
    assert _SECOND.fullmatch(date.text)
    if answer.tag == f"{OAI}error":
        has_attributes = answer.get("code") not in {"badVerb", "badArgument"}
        assert bool(request.attrib) == has_attributes
    else:
        assert answer.tag == OAI + request.get("verb")
    for metadata in answer.iter(f"{OAI}metadata"):
        (element,) = metadata
        _CHECKS[element.tag](element)
    return answer


def state_in(element: Any) -> Any:
    """The state in an element `pith_state`, after its digest was compared (M12)."""
    value = json.loads(element.text)
    assert hexdigest(canonical(value)) == element.get("stateDigest")
    return value


def _check_dublin_core(element: Any) -> None:
    for child in element:
        assert child.tag.removeprefix(DC) in _DC_TERMS
        assert child.text
        assert not child.attrib
        assert len(child) == 0


def _check_datacite(element: Any) -> None:
    """By oai.xsd 1.1 and metadata.xsd 4.4 of DataCite."""
    names = [child.tag.removeprefix(WRAPPER) for child in element]
    assert sorted(names) == ["datacentreSymbol", "payload", "schemaVersion"]
    (resource,) = element.find(f"{WRAPPER}payload")
    assert resource.tag == f"{KERNEL}resource"
    names = [child.tag.removeprefix(KERNEL) for child in resource]
    assert len(set(names)) == len(names)
    assert _MANDATORY <= set(names) <= _MANDATORY | _OPTIONAL
    assert all(one.text for one in resource.iter() if len(one) == 0)
    assert resource.find(f"{KERNEL}identifier").get("identifierType")
    assert re.fullmatch(r"[0-9]{4}", resource.findtext(f"{KERNEL}publicationYear"))
    general = resource.find(f"{KERNEL}resourceType").get("resourceTypeGeneral")
    assert general in {"Preprint", "Other"}
    for one in resource.iter(f"{KERNEL}relatedIdentifier"):
        assert all(one.get(name) in values for name, values in _RELATED.items())
    for one in resource.iter(f"{KERNEL}description"):
        assert one.get("descriptionType") in {"Abstract", "TechnicalInfo"}


def _check_state(element: Any) -> None:
    _schema(STATE_SCHEMA).assertValid(element)
    assert state_in(element)["pith_number"] == element.get("pithNumber")


_CHECKS = {
    f"{OAI_DC}dc": _check_dublin_core,
    f"{WRAPPER}oai_datacite": _check_datacite,
    f"{STATE}pith_state": _check_state,
}
