"""ORCID iDs, as claims of authors give them."""

from __future__ import annotations

import re

__all__ = ["orcid_url"]

_ORCID = re.compile(
    r"(?:https?://(?:www\.)?orcid\.org/|orcid:)?([0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X])",
    re.IGNORECASE | re.ASCII,
)


def orcid_url(claimant_id: str) -> str:
    """Return the URL of an ORCID iD; empty if the text is none, or its check digit is wrong.

    The check digit is that of ISO/IEC 7064, MOD 11-2. Whether somebody has the iD is not checked.

    Args:
        claimant_id: The iD alone, after `orcid:`, or as a URL.
    """
    match = _ORCID.fullmatch(claimant_id)
    if match is None:
        return ""
    number = match[1].upper()
    digits = number.replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    expected = "0123456789X"[(12 - total % 11) % 11]
    return f"https://orcid.org/{number}" if digits[-1] == expected else ""
