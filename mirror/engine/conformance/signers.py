"""The signers of made-up worlds: their keys follow from the seed of a run."""

from __future__ import annotations

from functools import cached_property

from mirror.engine.conformance.facts import key_file
from mirror.engine.conformance.signing import SigningKey

__all__ = ["Signers"]


class Signers:
    """The keys of one run."""

    def __init__(self, seed: str) -> None:
        """Make the keys of a seed."""
        self.seed = seed
        self.registry = SigningKey(
            seed, "registry", signer_type="pith_registry", may_revoke_others=True
        )
        """It may sign everything, and revoke what others signed."""
        self.judge = SigningKey(seed, "judge", may_revoke_others=True)
        """A person who may revoke what others signed."""
        self.author = SigningKey(seed, "author", signer_type="author")
        self.author_next = SigningKey(
            seed,
            "author-next",
            signer_id="author",
            signer_type="author",
            event_types=("author_claimed", "citation_signed", "event_revoked", "note_x"),
            may_revoke_others=False,
        )
        """Another key of the same authority, for some types only."""
        self.namesake = SigningKey(seed, "namesake", signer_id="author", signer_type="person")
        """Another authority: only the type of its signer differs from the author's."""
        self.guest = SigningKey(
            seed,
            "guest",
            valid_from="2026-01-01T00:00:01Z",
            valid_until="2026-01-01T00:00:02.5+00:00",
        )
        """Its window is a second and a half."""
        self.stranger = SigningKey(seed, "stranger")
        """Nobody trusts it."""
        self.mixed = SigningKey(seed, "mixed")
        """Trusted as a key of mixed order."""

    @property
    def trusted(self) -> tuple[SigningKey, ...]:
        """The trusted keys, without the one of mixed order."""
        return (self.registry, self.judge, self.author, self.author_next, self.namesake, self.guest)

    @cached_property
    def file(self) -> bytes:
        """The key set file of the trusted keys."""
        return key_file(*self.trusted)
