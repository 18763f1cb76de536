"""References in a graph snapshot: claims of its signer about the works that a paper cites.

The registry does not describe them. These are the names of members that have been seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.shape import text_member
from mirror.core.values import Object, Value

__all__ = ["REFERENCE_MEMBERS", "cited_name", "cited_title", "listed_references"]

REFERENCE_MEMBERS = {
    "title": ("title", "raw", "cited_title"),
    "arxiv_id": ("arxiv_id",),
    "doi": ("doi",),
    "cited_pith_number": ("cited_pith_number", "pith_number"),
}
"""Facts about a cited work, with the members that may state them; the first one counts."""


def listed_references(references: Value) -> Iterator[Object]:
    """Yield the references of a snapshot: a list, or an object with a `sample` of them."""
    sample = references.get("sample") if isinstance(references, dict) else references
    if isinstance(sample, list):
        yield from (one for one in sample if isinstance(one, dict))


def cited_name(reference: Object) -> str:
    """Return the Pith Number of the cited work, or else its arXiv id or DOI; may be empty."""
    kinds = ("cited_pith_number", "arxiv_id", "doi")
    return next((text for kind in kinds if (text := _said(reference, kind))), "")


def cited_title(reference: Object) -> str:
    """Return the title of the cited work; may be empty."""
    return _said(reference, "title")


def _said(reference: Object, kind: str) -> str:
    texts = (text_member(reference, member) for member in REFERENCE_MEMBERS[kind])
    return next((text for text in texts if text), "")
