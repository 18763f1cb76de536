"""Signposts of a record (signposting.org, FAIR): how a machine finds what belongs to its page.

The page names its persistent address, its metadata, its content and its authors; metadata and
content name the page. They stand in Link headers, in the head of the page and in a linkset.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request

from mirror.core.record import Record
from mirror.engine.bibliography import datacite, dublin_core
from mirror.engine.bibliography.citations import CITATION_FORMATS
from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.linked_data import JSON_LD, SCHEMA_ORG
from mirror.web.links import TypedLink, link_header
from mirror.web.mementos import MementoAddresses, Original, current_links

__all__ = [
    "ANY_SUFFIX",
    "LINKSET",
    "LINKSET_JSON",
    "RECORD_TYPES",
    "RecordAddresses",
    "content_headers",
    "content_location",
    "links_by_context",
    "metadata_headers",
    "metadata_links",
    "page_headers",
    "page_links",
    "past_page_links",
]

LINKSET, LINKSET_JSON = "application/linkset", "application/linkset+json"
RECORD_TYPES = ("text/html", JSON_LD, *(one.media_type for one in CITATION_FORMATS.values()))
"""Media types of the representations of a record at its own address, the default first."""
ANY_SUFFIX = "\0"
"""Stands for the suffix of a record in a text that is made once for all of them."""
_HARVESTED = {"oai_dc": dublin_core.NAMESPACE, "oai_datacite": datacite.NAMESPACE}
"""Formats of OAI-PMH that describe the paper, by prefix."""
_CONTENT = (Original.BUNDLE, Original.STATE)
_JSON = "application/json"
_MAX_AUTHORS = 10
"""Most authors in a header, which should not be large; a linkset has all of them."""


@dataclass(frozen=True, slots=True)
class RecordAddresses:
    """The addresses of a record: here, and at the registry that its records are from."""

    base_url: str
    source_url: str
    suffix: str

    @property
    def page(self) -> str:
        """The page of the record here."""
        return f"{self.base_url}/pith/{self.suffix}"

    @property
    def cite_as(self) -> str:
        """The persistent address (RFC 8574): the page at the registry, the same for each mirror."""
        return f"{self.source_url}/pith/{self.suffix}"

    def of_page(self, ending: str) -> str:
        """Return the address of what belongs to the page."""
        return f"{self.page}{ending}"


# The page ------------------------------------------------------------------------------------


def page_headers(addresses: RecordAddresses, description: Description) -> dict[str, str]:
    """Return the headers of the current page of a record, which is also canonical (RFC 6596)."""
    canonical = TypedLink("canonical", f"/pith/{addresses.suffix}").written()
    signposts = link_header(page_links(addresses, description))
    links = f"{canonical}, {current_links(addresses.page)}, {signposts}"
    return {"Link": links, "Vary": "Accept, Accept-Datetime"}


def page_links(addresses: RecordAddresses, description: Description) -> list[TypedLink]:
    """Return the links of the page for its header and head: authors only if they are few."""
    is_few = len(description.orcid_urls) <= _MAX_AUTHORS
    return [
        *(one for one in _all_links(addresses, description) if is_few or one.rel != "author"),
        TypedLink("linkset", addresses.of_page("/linkset"), LINKSET),
        TypedLink("linkset", addresses.of_page("/linkset.json"), LINKSET_JSON),
    ]


def past_page_links(addresses: RecordAddresses, second: str) -> list[TypedLink]:
    """Return the links of a memento of the page: bundle and state are those of its second."""
    past = (MementoAddresses(addresses.base_url, addresses.suffix, one) for one in _CONTENT)
    return [
        TypedLink("cite-as", addresses.cite_as),
        *(TypedLink("item", one.url(one.memento_path(second)), _JSON) for one in past),
    ]


# Content and metadata ------------------------------------------------------------------------


def content_headers(addresses: RecordAddresses, original: Original) -> dict[str, str]:
    """Return the headers of the current state or bundle, which is its own TimeGate."""
    links = _content_link_header(addresses.base_url, addresses.source_url, original)
    return {"Link": links.replace(ANY_SUFFIX, addresses.suffix), "Vary": "Accept-Datetime"}


@lru_cache(maxsize=256)
def _content_link_header(base_url: str, source_url: str, original: Original) -> str:
    """Return the Link header of any state or bundle; states are asked for most."""
    addresses = RecordAddresses(base_url, source_url, ANY_SUFFIX)
    own = current_links(addresses.of_page(original.value))
    return f"{own}, {link_header(_content_links(addresses))}"


def _content_links(addresses: RecordAddresses) -> list[TypedLink]:
    return [
        TypedLink("collection", addresses.page, "text/html"),
        TypedLink("cite-as", addresses.cite_as),
    ]


def metadata_headers(
    request: Request, addresses: RecordAddresses, description: Description, ending: str
) -> dict[str, str]:
    """Return the headers of a description, at its own address or at that of the page.

    Args:
        request: The request.
        addresses: The addresses of the record.
        description: The description of the record.
        ending: The end of its own address, after that of the page.
    """
    location = content_location(request, addresses, ending)
    if request.scope["path"].endswith(ending):
        return {"Link": link_header(metadata_links(addresses)), **location}
    return page_headers(addresses, description) | location


def content_location(request: Request, addresses: RecordAddresses, ending: str) -> dict[str, str]:
    """Return a Content-Location header if the request used another address of a resource.

    Args:
        request: The request.
        addresses: The addresses of the record.
        ending: The end of the resource's own address, after that of the page.
    """
    path = f"/pith/{addresses.suffix}{ending}"
    return {} if request.scope["path"] == path else {"Content-Location": path}


def metadata_links(addresses: RecordAddresses) -> list[TypedLink]:
    """Return the links of a description of the record."""
    return [TypedLink("describes", addresses.page, "text/html")]


# The linkset ---------------------------------------------------------------------------------


def links_by_context(
    addresses: RecordAddresses, description: Description
) -> dict[str, list[TypedLink]]:
    """Return all links of the page, its metadata and its content, by their context."""
    links = {addresses.page: _all_links(addresses, description)}
    metadata = _metadata(addresses, description.record)
    links |= {one.target: metadata_links(addresses) for one in metadata}
    of_content = _content_links(addresses)
    return links | {one.target: of_content for one in _content(addresses)}


def _all_links(addresses: RecordAddresses, description: Description) -> list[TypedLink]:
    license_url = description.license_url
    return [
        TypedLink("cite-as", addresses.cite_as),
        *(TypedLink("type", f"{SCHEMA_ORG}{one}") for one in ("AboutPage", "ScholarlyArticle")),
        *(TypedLink("author", url) for url in description.orcid_urls),
        *([TypedLink("license", license_url)] if license_url else []),
        *_metadata(addresses, description.record),
        *_content(addresses),
    ]


def _metadata(addresses: RecordAddresses, record: Record) -> list[TypedLink]:
    cited = CITATION_FORMATS.values()
    return [
        TypedLink("describedby", addresses.of_page("/record.jsonld"), JSON_LD, SCHEMA_ORG),
        TypedLink("describedby", addresses.of_page(".json"), _JSON),
        *(
            TypedLink("describedby", addresses.of_page(one.path_ending), one.media_type)
            for one in cited
        ),
        *(
            TypedLink("describedby", _harvested(addresses, record, prefix), "text/xml", namespace)
            for prefix, namespace in _HARVESTED.items()
        ),
    ]


def _harvested(addresses: RecordAddresses, record: Record, prefix: str) -> str:
    """Return the address of a record's metadata at the OAI-PMH repository."""
    asked = f"verb=GetRecord&metadataPrefix={prefix}&identifier={record.pith_number}"
    return f"{addresses.base_url}/oai?{asked}"


def _content(addresses: RecordAddresses) -> list[TypedLink]:
    return [TypedLink("item", addresses.of_page(one.value), _JSON) for one in _CONTENT]
