"""Statements on a description, in words: what is proved, and who claims the rest."""

from __future__ import annotations

from mirror.engine.bibliography.description import AuthorClaim, Description

__all__ = ["origins", "statements"]


def statements(description: Description) -> list[str]:
    """Return a sentence on each part of a description, for formats that have no place for it."""
    return [*origins(description), *map(_author_claim, description.author_claims)]


def origins(description: Description) -> list[str]:
    """Return the same sentences without one for each author claim: at most five."""
    found = [f"Record: {description.verification}."]
    if description.title is not None:
        found.append(f"Title: {description.title_status}.")
    else:
        found.append("Title: not known here; the record has only its digest.")
    if description.authors:
        found.append(f"Authors: {description.authors_status}; not checked here.")
    if description.abstract:
        found.append("Abstract: proved by its digest.")
    if description.is_partial:
        found.append("Claims are left out: many events of the record failed verification.")
    return found


def _author_claim(claim: AuthorClaim) -> str:
    return (
        f"Author claim: {claim.claimant_id} (method {claim.method}, strength {claim.strength}), "
        f"signed by {claim.signer_id}; not checked here."
    )
