"""The made-up keys of the samples. Their seeds are published: nobody may ever trust them."""

from __future__ import annotations

from typing import Final

from sample_bundles.files import pretty
from tests import oracle
from tests.builders import Object, Signer

KEYS_FILE: Final = "demo-keys.json"
PRIVATE_KEYS_FILE: Final = "demo-private-keys.json"

REGISTRY: Final = Signer(
    "demo-registry-2026",
    key_id="demo-registry-2026",
    signer_id="registry.example",
    signer_type="pith_registry",
    valid_from="2026-01-01T00:00:00Z",
    may_revoke_others=True,
)
"""A registry that may sign everything and revoke what others said."""

OLD_REGISTRY: Final = Signer(
    "demo-registry-2025",
    key_id="demo-registry-2025",
    signer_id="registry.example",
    signer_type="pith_registry",
    valid_from="2025-01-01T00:00:00Z",
    valid_until="2026-01-01T00:00:00Z",
)
"""The registry's key of the year before: expired, the same authority, no right over others."""

_AUTHOR_TYPES: Final = (
    "author_claimed",
    "citation_signed",
    "replication_recorded",
    "challenge_filed",
    "event_revoked",
)

AUTHOR: Final = Signer(
    "demo-author-2026",
    key_id="demo-author-2026",
    signer_id="author.example",
    signer_type="author",
    event_types=_AUTHOR_TYPES,
)
"""An author, for what authors say."""

AUTHOR_NEXT: Final = Signer(
    "demo-author-next-2026",
    key_id="demo-author-next-2026",
    signer_id="author.example",
    signer_type="author",
    event_types=_AUTHOR_TYPES,
    may_revoke_others=False,
)
"""The author's second key: the same authority."""

LIBRARY: Final = Signer(
    "demo-library-2026",
    key_id="demo-library-2026",
    signer_id="library.example",
    signer_type="institution",
    valid_from="2026-01-01T00:00:00+00:00",
    event_types=(
        "timestamp_anchored",
        "storage_attested",
        "author_claimed",
        "citation_signed",
        "replication_recorded",
        "pith.integrity.v1",
        "event_revoked",
        "library.shelfmark.v1",
        "reading_group.note",
    ),
)
"""An institution; it may not sign `record_created`, and so no receipts either (S2)."""

STRANGER: Final = Signer(
    "demo-stranger-2026",
    key_id="demo-stranger-2026",
    signer_id="stranger.example",
    signer_type="pith_registry",
)
"""A key that no key set holds."""

TRUSTED: Final = (REGISTRY, OLD_REGISTRY, AUTHOR, AUTHOR_NEXT, LIBRARY)

_WARNING: Final = (
    "PUBLISHED TEST KEYS. Everybody has them, so their signatures prove nothing. Never trust "
    "them, and never add demo-keys.json to a mirror that serves anyone."
)


def key_files() -> dict[str, bytes]:
    """Return the key set file and the seeds behind it."""
    seeds: list[Object] = [
        {
            "key_id": signer.key_id,
            "public_key_hex": signer.public_key.hex(),
            "seed_hex": signer.seed.hex(),
            "in_demo_keys": signer in TRUSTED,
        }
        for signer in (*TRUSTED, STRANGER)
    ]
    return {
        KEYS_FILE: pretty({"keys": [signer.key_value() for signer in TRUSTED]}),
        PRIVATE_KEYS_FILE: pretty({"warning": _WARNING, "seeds": seeds}),
    }


def demo_keys() -> list[Object]:
    """Return the key set of `demo-keys.json` and the built-in key, for the oracle."""
    return oracle.load_keys(key_files()[KEYS_FILE])
