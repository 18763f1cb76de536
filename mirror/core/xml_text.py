"""Text in XML documents: escaping, and the characters that XML does not allow.

Source: XML 1.0 (fifth edition), sections 2.2 (characters), 2.11 (ends of lines) and 3.3.3 (white
space in attributes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["XML_DECLARATION", "escape_xml", "xml_attributes", "xml_element", "xml_text"]

XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
"""The first line of a document."""

_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""All that is no Char (XML 1.0, section 2.2): controls, surrogates, U+FFFE and U+FFFF."""

_IN_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_IN_ATTRIBUTE = {**_IN_TEXT, '"': "&quot;", "\t": "&#9;", "\n": "&#10;"}
_SPECIAL_IN_TEXT = re.compile("[&<>\r]")
_SPECIAL_IN_ATTRIBUTE = re.compile('[&<>\r"\t\n]')


def xml_text(text: str) -> str:
    """Return a text for the content of an element or attribute, before `&` and `<` are escaped.

    Each character that XML 1.0 forbids, even escaped, is shown by its code point, as `<U+0001>`.
    """
    return _FORBIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def escape_xml(text: str) -> str:
    """Return text as it stands in an element; characters that XML forbids as `xml_text` has it."""
    return _SPECIAL_IN_TEXT.sub(lambda found: _IN_TEXT[found[0]], xml_text(text))


def xml_attributes(attributes: Mapping[str, str]) -> str:
    """Return attributes as they follow the name of an element, each after a space.

    Args:
        attributes: Their values by name, not escaped.
    """
    return "".join([f' {name}="{_in_attribute(value)}"' for name, value in attributes.items()])


def _in_attribute(text: str) -> str:
    return _SPECIAL_IN_ATTRIBUTE.sub(lambda found: _IN_ATTRIBUTE[found[0]], xml_text(text))


def xml_element(name: str, text: str, attributes: Mapping[str, str] | None = None) -> str:
    """Return an element that contains only text.

    Args:
        name: Its name, with the prefix of its namespace.
        text: The text, not escaped.
        attributes: Values of attributes by name, not escaped.
    """
    return f"<{name}{xml_attributes(attributes or {})}>{escape_xml(text)}</{name}>"
