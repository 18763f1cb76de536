"""The description of the search for browsers: OpenSearch 1.1, draft 6."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from starlette.requests import Request

from mirror.core.values import hexdigest
from mirror.core.xml_text import xml_text
from mirror.web.base_url import BaseUrl
from mirror.web.pages.escaping import escape_hidden
from mirror.web.representation import Representation

__all__ = ["OPENSEARCH", "OpenSearchApi"]

OPENSEARCH = "application/opensearchdescription+xml"
_NAMESPACE = "http://a9.com/-/spec/opensearch/1.1/"
_SHORT, _LONG = 16, 48
"""Most characters of `ShortName` and `LongName`."""
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
        root = Element("OpenSearchDescription", {"xmlns": _NAMESPACE})
        is_short = len(self._name) <= _SHORT
        _add(root, "ShortName", self._name if is_short else _SHORT_NAME)
        _add(
            root,
            "Description",
            f"Search {self._name[:_MAX_NAME]}: records by Pith Number, arXiv id, DOI, title, "
            "category or words.",
        )
        _add(root, "LongName", self._name[:_LONG])
        for media_type in ("text/html", "application/json"):
            _add_url(root, f"{base_url}/find?{_QUERY}", media_type, indexOffset="0")
        _add_url(root, f"{base_url}/opensearch.xml", OPENSEARCH, rel="self")
        image = _add(root, "Image", f"{base_url}/static/icon.svg")
        image.attrib |= {"height": "16", "width": "16", "type": "image/svg+xml"}
        _add(root, "Query", "").attrib |= {"role": "example", "searchTerms": "math.AG"}
        _add(root, "InputEncoding", "UTF-8")
        _add(root, "OutputEncoding", "UTF-8")
        body = bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
        return Representation(body=body, media_type=OPENSEARCH, etag=hexdigest(body))


_MAX_NAME = 500


def _add_url(root: Element, template: str, media_type: str, **attributes: str) -> None:
    _add(root, "Url", "").attrib |= {"type": media_type, "template": template, **attributes}


def _add(root: Element, name: str, text: str) -> Element:
    added = SubElement(root, name)
    added.text = xml_text(text) or None
    return added
