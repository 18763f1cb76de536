"""Whether a trusted key proves an event to be what a profile says (rules K1, S1)."""

from __future__ import annotations

from typing import NamedTuple, cast

from mirror.core.json_pointer import get_pointer
from mirror.core.keys import Key, KeySet
from mirror.core.profile import SIGNATURE_BYTES, IdRule, Profile, message
from mirror.core.signature import verify
from mirror.core.values import Object, sha256

__all__ = [
    "SignedMessage",
    "check_event",
    "claim_of",
    "id_of",
    "is_signed_by",
    "keys_of",
    "names_of",
    "signers",
]


def check_event(event: Object, profile: Profile, keys: KeySet) -> str | None:
    """Return why an event is not what a profile says of it, or None.

    Returns:
        `id` if its id is not the digest it should be; `key` if it names no trusted key;
        `signature` if S1 does not accept the signature by that key.
    """
    if profile.id is not None and get_pointer(event, profile.id.at) != id_of(event, profile):
        return "id"
    if not keys_of(event, profile, keys):
        return "key"
    return None if signers(event, profile, keys) else "signature"


def id_of(event: Object, profile: Profile) -> str:
    """Return the id that its profile gives an event; only of a profile with a rule for that."""
    rule = cast("IdRule", profile.id)
    digest = sha256(rule.hashes.text(event, profile.pointers.get("payload", "")))
    return rule.spelling.write(digest)


class SignedMessage(NamedTuple):
    """That a key signed something."""

    message: bytes
    signature: bytes


def claim_of(event: Object, profile: Profile) -> SignedMessage | None:
    """Return what an event says that a key signed; None if its signature is not even one."""
    signature = profile.signature.spelling.read(get_pointer(event, profile.signature.at))
    text = message(event, profile)
    if signature is None or len(signature) != SIGNATURE_BYTES or text is None:
        return None
    return SignedMessage(text, signature)


def is_signed_by(key: Key, claim: SignedMessage | None) -> bool:
    """Whether S1 accepts the signature by this key."""
    return claim is not None and verify(key.public_key, *claim)


def signers(event: Object, profile: Profile, keys: KeySet) -> list[Key]:
    """Return the trusted keys whose signature an event bears, as a profile says (S1)."""
    claim = claim_of(event, profile)
    return [key for key in keys_of(event, profile, keys) if is_signed_by(key, claim)]


def keys_of(event: Object, profile: Profile, keys: KeySet) -> list[Key]:
    """Return the trusted key that an event names, by its id, its fingerprint or itself (K1).

    What is the id of one key names no other. Where a profile has no place for that, any trusted
    key may have signed.
    """
    if "key" not in profile.pointers:
        return list(keys)
    named = get_pointer(event, profile.pointers["key"])
    own = [key for key in keys if key.key_id == named]
    return own or [key for key in keys if named in names_of(key)]


def names_of(key: Key) -> tuple[str, ...]:
    """Return the ways in which an event may name a key."""
    return key.key_id, key.fingerprint, key.public_key_hex
