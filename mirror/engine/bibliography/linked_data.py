"""A description in JSON-LD 1.1: terms of schema.org, and of the registry for who says what.

The context stands in the document, so that readers need not fetch one. Members of the registry's
own JSON are JSON literals: nothing in them is read as a term or as an address.
"""

from __future__ import annotations

from mirror.core.values import Object, Value
from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.plain_text import one_line

__all__ = ["JSON_LD", "SCHEMA_ORG", "linked_data"]

JSON_LD = "application/ld+json"
SCHEMA_ORG = "https://schema.org/"
_TERMS = "https://pith.science/terms/"
_CLASSES = ("DataDownload", "Person", "PropertyValue", "ScholarlyArticle")
_TEXTS = (
    "author",
    "creditText",
    "encodingFormat",
    "identifier",
    "keywords",
    "name",
    "propertyID",
    "subjectOf",
    "value",
    "version",
)
_ADDRESSES = ("isBasedOn", "license", "sameAs", "url")
_JSON = (
    "anchors",
    "canonical_record",
    "citations",
    "links",
    "receipt",
    "source_aliases",
    "verification_status",
)
"""Members that the registry's clients read, as they are."""


def _context() -> Object:
    context: Object = {"@version": 1.1, "@vocab": _TERMS}
    context |= {name: f"{SCHEMA_ORG}{name}" for name in (*_CLASSES, *_TEXTS)}
    context |= {name: {"@id": f"{SCHEMA_ORG}{name}", "@type": "@id"} for name in _ADDRESSES}
    context |= {name: {"@id": f"{_TERMS}{name}", "@type": "@json"} for name in _JSON}
    # When the version was submitted; when it was published is not in the record.
    date: Object = {"@id": f"{SCHEMA_ORG}dateCreated", "@type": f"{SCHEMA_ORG}DateTime"}
    return context | {"dateCreated": date}


_CONTEXT = _context()


def linked_data(description: Description, *, page: str, cite_as: str) -> Object:
    """Return the document, without the members of the registry's own JSON.

    Only addresses that were checked are values of a term for addresses.

    Args:
        description: The description of the record.
        page: The address of the record's page here, which is the subject.
        cite_as: The persistent address of the record.
    """
    record = description.record
    document: Object = {
        "@context": _CONTEXT,
        "@id": page,
        "@type": ["PithRecord", "ScholarlyArticle"],
        "url": page,
        "identifier": _identifiers(description),
        "sameAs": _addresses(cite_as, description.arxiv_url, description.doi_url),
        "dateCreated": description.submitted_at,
        "version": record.source["version"],
        "keywords": list[Value](record.categories),
        "author": _authors(description),
        "subjectOf": [
            _download(f"{page}/bundle.json"),
            {**_download(f"{page}/state.json"), "isBasedOn": f"{page}/bundle.json"},
        ],
        **_title(description),
    }
    if description.license_url:
        document["license"] = description.license_url
    if description.authors:
        document["creditText"] = one_line(description.authors)
        document["authors_status"] = one_line(description.authors_status)
    if description.is_partial:
        document["claims_left_out"] = True
    return document


def _title(description: Description) -> Object:
    if description.title is None:
        return {}
    return {
        "name": one_line(description.title.text),
        "title_is_proved": description.title.is_proved,
        "title_status": one_line(description.title_status),
    }


def _identifiers(description: Description) -> list[Value]:
    record, aliases = description.record, dict(description.record.aliases)
    named = {
        "Pith Number": record.pith_number,
        "SHA-256": record.canonical_sha256,
        "arXiv": aliases.get("arxiv_version", ""),
        "DOI": description.doi,
    }
    return [
        {"@type": "PropertyValue", "propertyID": name, "value": value}
        for name, value in named.items()
        if value
    ]


def _authors(description: Description) -> list[Value]:
    """Return the names in a graph snapshot, and the ORCID iDs of claims, each with its signers."""
    by = "" if description.paper is None else description.paper.claimed_by
    names: list[Value] = [{"name": one, "claimed_by": by} for one in description.author_names]
    signers: dict[str, list[Value]] = {}
    for one in description.author_claims:
        if one.orcid_url:
            signers.setdefault(one.orcid_url, []).append(one.signer_id)
    return names + [
        {"@id": url, "@type": "Person", "claimed_by": claimed_by}
        for url, claimed_by in signers.items()
    ]


def _addresses(*urls: str) -> list[Value]:
    return [url for url in urls if url]


def _download(url: str) -> Object:
    return {"@id": url, "@type": "DataDownload", "url": url, "encodingFormat": "application/json"}
