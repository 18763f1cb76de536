"""The made-up keys of the benchmark. Anyone can derive them: nobody may ever trust them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Object = dict[str, Any]


@dataclass(frozen=True)
class Signer:
    """A key that is the same on every machine: its seed is the SHA-256 of its name."""

    key_id: str
    signer_id: str
    signer_type: str
    event_types: tuple[str, ...]
    may_revoke_others: bool = False

    @cached_property
    def _private_key(self) -> Ed25519PrivateKey:
        seed = hashlib.sha256(f"mirror benchmark key {self.key_id}".encode()).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)

    @cached_property
    def public_key(self) -> bytes:
        """The raw 32-byte public key."""
        return self._private_key.public_key().public_bytes_raw()

    @cached_property
    def signer_value(self) -> Object:
        """The `signer` of an event (E1)."""
        return {
            "key_id": self.key_id,
            "public_key_fingerprint": hashlib.sha256(self.public_key).hexdigest()[:32],
            "signer_id": self.signer_id,
            "signer_type": self.signer_type,
        }

    def key_value(self) -> Object:
        """Return the key as a member of a key set file (K2)."""
        return {
            "key_id": self.key_id,
            "algorithm": "ed25519",
            "public_key_hex": self.public_key.hex(),
            "signer_id": self.signer_id,
            "signer_type": self.signer_type,
            "valid_from": None,
            "valid_until": None,
            "event_types": list(self.event_types),
            "may_revoke_others": self.may_revoke_others,
        }

    def sign(self, digest: bytes) -> str:
        """Return the signature of raw bytes in base64."""
        return base64.b64encode(self._private_key.sign(digest)).decode()


REGISTRY: Final = Signer(
    "bench-registry", "registry.example", "pith_registry", ("*",), may_revoke_others=True
)

AUTHORS: Final = tuple(
    Signer(
        f"bench-author-{number:02}",
        f"https://orcid.org/0000-0000-0000-{number:04}",
        "author",
        (
            "author_claimed",
            "citation_signed",
            "replication_recorded",
            "challenge_filed",
            "event_revoked",
        ),
    )
    for number in range(24)
)


def key_set_file() -> bytes:
    """Return a key set file of all these keys (K2)."""
    keys = [signer.key_value() for signer in (REGISTRY, *AUTHORS)]
    return orjson.dumps({"keys": keys}, option=orjson.OPT_INDENT_2)


PUBLIC_KEYS: Final = {signer.key_id: signer.public_key for signer in (REGISTRY, *AUTHORS)}
