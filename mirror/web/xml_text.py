"""Text that XML 1.0 may hold: it forbids most control characters, even escaped."""

from __future__ import annotations

import re

__all__ = ["xml_text"]

_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""All that is no Char (XML 1.0, section 2.2): controls, surrogates, U+FFFE and U+FFFF."""


def xml_text(text: str) -> str:
    """Return a text for the content of an element or attribute, before `&` and `<` are escaped.

    Each character that XML 1.0 forbids is shown by its code point, as `<U+0001>`.
    """
    return _FORBIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
