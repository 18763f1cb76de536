"""The description of the search for browsers: OpenSearch 1.1, draft 6."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request

from mirror.core.values import hexdigest
from mirror.core.xml_text import XML_DECLARATION, xml_element
from mirror.web.base_url import BaseUrl
from mirror.web.pages.escaping import escape_hidden
from mirror.web.representation import Representation

__all__ = ["OPENSEARCH", "OpenSearchApi"]

OPENSEARCH = "application/opensearchdescription+xml"
_NAMESPACE = "http://a9.com/-/spec/opensearch/1.1/"
_SHORT, _LONG = 16, 48
"""Most characters of `ShortName` and `LongName`."""
_MAX_NAME = 500
"""Most characters of the name in `Description`, which may have 1,024."""
_SHORT_NAME = "Pith mirror"
_QUERY = "q={searchTerms}&start={startIndex?}"


class OpenSearchApi:
    """Handler of the description."""

    def __init__(self, name: str, base_url: BaseUrl) -> None:
        self._name = escape_hidden(name)
        self._base_url = base_url

    def description(self, request: Request) -> Representation:
        """Handle `/opensearch.xml`."""
        base_url = self._base_url.of(request.scope)
        parts = "".join(self._elements(base_url))
        root = f'<OpenSearchDescription xmlns="{_NAMESPACE}">{parts}</OpenSearchDescription>'
        body = f"{XML_DECLARATION}{root}\n".encode()
        return Representation(body=body, media_type=OPENSEARCH, etag=hexdigest(body))

    def _elements(self, base_url: str) -> Iterator[str]:
        name = self._name
        yield xml_element("ShortName", name if len(name) <= _SHORT else _SHORT_NAME)
        described = "records by Pith Number, arXiv id, DOI, title, category or words."
        yield xml_element("Description", f"Search {name[:_MAX_NAME]}: {described}")
        yield xml_element("LongName", name[:_LONG])
        for media_type in ("text/html", "application/json"):
            yield _url(f"{base_url}/find?{_QUERY}", media_type, indexOffset="0")
        yield _url(f"{base_url}/opensearch.xml", OPENSEARCH, rel="self")
        image = {"height": "16", "width": "16", "type": "image/svg+xml"}
        yield xml_element("Image", f"{base_url}/static/icon.svg", image)
        yield xml_element("Query", "", {"role": "example", "searchTerms": "math.AG"})
        yield xml_element("InputEncoding", "UTF-8")
        yield xml_element("OutputEncoding", "UTF-8")


def _url(template: str, media_type: str, **attributes: str) -> str:
    return xml_element("Url", "", {"type": media_type, "template": template, **attributes})
