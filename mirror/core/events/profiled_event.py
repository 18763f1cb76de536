"""An event as a profile reads it (rules E1, E2, K1, S1).

Under a profile an event says only what its signature covers. `ProfiledEvent.statement` returns
that in the members of E1, so that no rule after it knows of profiles: neither the checks of types
and payloads (E4), nor the merge, nor the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mirror.core.events.types import EVENT_TYPES
from mirror.core.json_pointer import get_pointer, join_pointer, parent_pointer
from mirror.core.keys import BUILT_IN, Key, KeySet
from mirror.core.profile import MIRROR_V1, SIGNATURE_BYTES, Field, Profile, message
from mirror.core.profile_file import keeps_id
from mirror.core.signature import verify
from mirror.core.values import Object, Value, canonical, hexdigest, instant, sha256

__all__ = ["ProfiledEvent", "SignedMessage", "keys_of", "meaning_of", "signers"]

DEFAULT_TARGET = "record"
"""The target of an event whose envelope has none, and whose type E4 does not name."""

_SHOWN = 128
"""Characters of a text from an event that a reason shows."""


class SignedMessage(NamedTuple):
    """A message and its signature."""

    message: bytes
    signature: bytes


@dataclass(frozen=True)
class ProfiledEvent:
    """An event, the profile that says where its fields are, and the keys that may have signed it.

    Fields have the types of E1 once its shape was checked; before that, a field of another type is
    empty.
    """

    event: Object
    profile: Profile
    keys: KeySet

    # Fields ----------------------------------------------------------------------------------

    def value(self, field: Field) -> Value:
        """Return the value at the profile's pointer of a field; None if there is none."""
        pointer = self.profile.pointers.get(field)
        return None if pointer is None else get_pointer(self.event, pointer)

    def shown(self, field: Field) -> str:
        """Return the value of a field for a reason, cut if it is long."""
        return str(self.value(field))[:_SHOWN]

    @property
    def instant(self) -> int | None:
        """The time that the event claims, in microseconds; None if it is not a time (V5)."""
        return instant(self.value("time"))

    @cached_property
    def event_type(self) -> str:
        """The type, as E4 names it."""
        return meaning_of(str(self.value("type")), self.profile)

    @property
    def target(self) -> Value:
        """The target; that of its type if the envelope has none."""
        if "target" in self.profile.pointers:
            return self.value("target")
        kind = EVENT_TYPES.get(self.event_type)
        return DEFAULT_TARGET if kind is None else kind.target

    @property
    def payload(self) -> Object:
        """The payload."""
        value = self.value("payload")
        return value if isinstance(value, dict) else {}

    # Id and signature ------------------------------------------------------------------------

    @property
    def expected_id(self) -> str | None:
        """The id that the profile gives the event; None if it has no rule for ids (E2)."""
        rule = self.profile.id
        if rule is None:
            return None
        content = rule.hashes.text(self.event, self.profile.pointers.get("payload", ""))
        return rule.spelling.write(sha256(content))

    @property
    def message(self) -> bytes | None:
        """The message that the signature should be over; None if the event has none."""
        return message(self.event, self.profile)

    @cached_property
    def signed(self) -> SignedMessage | None:
        """Message and signature; None if the event has none of either."""
        rule = self.profile.signature
        signature = rule.spelling.read(get_pointer(self.event, rule.at))
        text = self.message
        if signature is None or len(signature) != SIGNATURE_BYTES or text is None:
            return None
        return SignedMessage(text, signature)

    def is_signed_by(self, key: Key) -> bool:
        """Whether S1 accepts the signature by this key."""
        return self.signed is not None and verify(key.public_key, *self.signed)

    # Keys ------------------------------------------------------------------------------------

    @cached_property
    def named_keys(self) -> list[Key]:
        """The trusted keys that may have signed the event."""
        return keys_of(self.event, self.profile, self.keys)

    @cached_property
    def signer(self) -> Object:
        """The object in the event that names the key; empty if that is the event itself."""
        above = parent_pointer(self.profile.pointers.get("key", ""))
        beside = get_pointer(self.event, above) if above else None
        return beside if isinstance(beside, dict) else {}

    def speaker(self, key: Key) -> Key:
        """Return the key that speaks, of trusted keys that are the public key of `key`.

        It is the first that may have signed. A member that the signature does not cover has no say
        in it, or a stranger could choose.

        Args:
            key: A key under which the event passes every check.
        """
        alike = [one for one in self.keys if one.public_key_hex == key.public_key_hex]
        pointer = self.profile.pointers.get("key", "")
        if pointer and self.profile.covers(pointer):
            alike = [one for one in alike if one in self.named_keys]
        above = parent_pointer(pointer)
        said = {
            name: value
            for name, value in self.signer.items()
            if name in key.signer and self.profile.covers(join_pointer(above, name))
        }
        return next(
            one
            for one in alike
            if said.items() <= one.signer.items()
            and self.instant is not None
            and one.is_valid_at(self.instant)
            and one.may_sign(self.event_type)
        )

    # Statement -------------------------------------------------------------------------------

    def statement(self, key: Key) -> Object:
        """Return what the event says in the members of E1, less the subject and the signature.

        Args:
            key: The key that signed it, under which it passes every check.
        """
        return {
            "event_type": self.event_type,
            "target": self.target,
            "payload": self.payload,
            "event_id": self._event_id(key),
            "created_at": self.value("time"),
            "signer": {"key_id": key.key_id, **key.signer},
        }

    def _event_id(self, key: Key) -> str:
        """Return the event's own id, if no other event can have it; else one of the signed message.

        Either is written as E1 writes ids. One message may be signed with several keys. Unless it
        names its key, its digest is the registry's id, and another key that signs the same message
        makes another event.
        """
        pointers = self.profile.pointers
        if key == BUILT_IN or ("key" in pointers and self.profile.covers(pointers["key"])):
            rule, signed = self.profile.id, self.profile.signed
            content = rule.hashes if rule is not None and keeps_id(self.profile) else signed
            text = b"" if content is None else content.text(self.event, pointers["payload"])
            return f"sha256:{hexdigest(text)}"
        made_of: Object = {
            "public_key_hex": key.public_key_hex,
            "signed": hexdigest(self.message or b""),
        }
        return f"sha256:{hexdigest(canonical(made_of))}"


def meaning_of(name: str, profile: Profile) -> str:
    """Return the type of E4 that a name means in an envelope; those of E4 mean themselves."""
    return name if name in EVENT_TYPES else profile.types.get(name, name)


def keys_of(event: Object, profile: Profile, keys: KeySet) -> list[Key]:
    """Return the trusted keys that may have signed an event.

    An event names a key by its id, its fingerprint or the key itself (K1), under the built-in
    profile by its id alone (E3). The id of one key names no other. If a profile has no pointer to
    that name, any trusted key may have signed.
    """
    if "key" not in profile.pointers:
        return list(keys)
    named = get_pointer(event, profile.pointers["key"])
    own = keys.get(named) if isinstance(named, str) else None
    if own is not None:
        return [own]
    if profile is MIRROR_V1:
        return []
    return [key for key in keys if named in key.names]


def signers(event: Object, profile: Profile, keys: KeySet) -> list[Key]:
    """Return the trusted keys that signed an event, as a profile says (S1)."""
    profiled = ProfiledEvent(event, profile, keys)
    return [key for key in profiled.named_keys if profiled.is_signed_by(key)]
