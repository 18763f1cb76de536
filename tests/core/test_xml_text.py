"""Text in XML: whatever goes in comes out of a parser, or is shown by its code point."""

from __future__ import annotations

import pytest
from lxml import etree

from mirror.core.xml_text import escape_xml, xml_attributes, xml_element, xml_text

FORBIDDEN = "\x00\x01\x08\x0b\x0c\x0e\x1f\ufffe\uffff\ud800\udfff"
ALLOWED = "\t\n\r \"'&<>]]>a\x7f\x85\ud7ff\ue000\ufffd\U00010000\U0010ffff"


def _parse(xml: str) -> etree._Element:
    return etree.fromstring(xml.encode())


def test_text_and_attributes_are_read_as_they_were() -> None:
    """White space at the end of a line and in attributes, too."""
    element = _parse(xml_element("a", ALLOWED, {"b": ALLOWED, "c": ""}))
    assert (element.text, element.get("b"), element.get("c")) == (ALLOWED, ALLOWED, "")


@pytest.mark.parametrize("character", FORBIDDEN)
def test_a_character_that_xml_forbids_is_shown_by_its_code_point(character: str) -> None:
    element = _parse(xml_element("a", f"x{character}y", {"b": f"x{character}y"}))
    shown = f"x<U+{ord(character):04X}>y"
    assert (element.text, element.get("b"), xml_text(character)) == (shown, shown, shown[1:-1])


def test_an_element_needs_no_attributes() -> None:
    assert xml_element("a", "b") == "<a>b</a>"
    assert xml_attributes({}) == ""
    assert escape_xml('"') == '"'
