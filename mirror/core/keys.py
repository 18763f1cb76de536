"""Keys, the key set, and its digest (rules K1 to K3).

A mirror trusts the keys in its key set and no others, and reads events under the built-in profile
and those in its key set. Nothing in a bundle ever adds one.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from mirror.core.limits import MAX_KEYS, MAX_NAMES, MAX_PROFILES, require_at_most
from mirror.core.profile import Profile
from mirror.core.profile_file import read_profile, require_safe
from mirror.core.shape import read_object, text_member
from mirror.core.signature import is_public_key, verify
from mirror.core.values import (
    Object,
    Value,
    canonical,
    decode,
    decode_base64,
    hexdigest,
    instant,
    is_digest,
    sha256,
)
from mirror.errors import FormatError

__all__ = ["BUILT_IN", "Key", "KeySet", "parse_key", "parse_key_set"]


@dataclass(frozen=True)
class Key:
    """A trusted Ed25519 public key with what it may sign (K2); made by `parse_key`."""

    key_id: str
    public_key_hex: str
    signer_id: str
    signer_type: str
    valid_from: str | None
    valid_until: str | None
    event_types: tuple[str, ...]
    may_revoke_others: bool

    @cached_property
    def public_key(self) -> bytes:
        """The raw 32-byte public key."""
        return bytes.fromhex(self.public_key_hex)

    @cached_property
    def fingerprint(self) -> str:
        """The first 32 hexadecimal digits of sha256(key) (K1)."""
        return hexdigest(self.public_key)[:32]

    @cached_property
    def signer(self) -> dict[str, str]:
        """The members that the `signer` of an event by this key has beside `key_id` (K1, K2)."""
        return {
            "public_key_fingerprint": self.fingerprint,
            "signer_id": self.signer_id,
            "signer_type": self.signer_type,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The ways in which an event may name the key (K1)."""
        return self.key_id, self.fingerprint, self.public_key_hex

    @property
    def fingerprint_base32(self) -> str:
        """The other printed form: the first 26 letters of base32(sha256(key)) (K1)."""
        return base64.b32encode(sha256(self.public_key))[:26].decode()

    @cached_property
    def _window(self) -> tuple[int | None, int | None]:
        return instant(self.valid_from), instant(self.valid_until)

    def is_valid_at(self, at: int) -> bool:
        """Whether the instant `at` (microseconds) is in the key's window: until is exclusive."""
        start, end = self._window
        return (start is None or start <= at) and (end is None or at < end)

    def may_sign(self, event_type: str) -> bool:
        """Whether the key may sign events of this type (K2)."""
        return "*" in self.event_types or event_type in self.event_types

    def verify(self, message: bytes, signature_b64: Value) -> bool:
        """Whether `signature_b64` is strict base64 (V6) of a signature that S1 accepts."""
        signature = decode_base64(signature_b64)
        return signature is not None and verify(self.public_key, message, signature)

    def to_value(self) -> Object:
        """Return the key with exactly the members of K2, as K3 hashes it."""
        return {
            "algorithm": "ed25519",
            "event_types": list(self.event_types),
            "key_id": self.key_id,
            "may_revoke_others": self.may_revoke_others,
            "public_key_hex": self.public_key_hex,
            "signer_id": self.signer_id,
            "signer_type": self.signer_type,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
        }


class KeySet:
    """The trusted keys, by `key_id`, and the trusted profiles.

    The built-in key is among them unless a person removed it (K2).
    """

    def __init__(
        self, added: Iterable[Key] = (), profiles: Iterable[Profile] = (), *, built_in: bool = True
    ) -> None:
        """Make a set of the built-in key and others, the built-in profile and others.

        Args:
            added: The keys; the built-in one may be among them.
            profiles: The profiles.
            built_in: Whether the built-in key is trusted if it is not among `added`.

        Raises:
            FormatError: `keys.conflict` if two keys of one `key_id`, the built-in one included,
                differ as K3 writes them (K2), `profile.conflict` if two profiles of one name
                differ.
        """
        known: dict[str, Key] = {BUILT_IN.key_id: BUILT_IN}
        self._added: dict[str, Key] = {}
        self._profiles: dict[str, Profile] = {}
        for key in added:
            if known.setdefault(key.key_id, key) != key:
                raise FormatError(
                    "keys.conflict",
                    f"two different keys are named {key.key_id!r}",
                    hint="give one of them another key_id, or remove the one that is wrong",
                )
            self._added[key.key_id] = key
        self._keys = known if built_in else self._added
        for profile in profiles:
            if self._profiles.setdefault(profile.name, profile) != profile:
                raise FormatError(
                    "profile.conflict",
                    f"two different profiles are named {profile.name!r}",
                    hint="give one of them another name",
                )

    def __iter__(self) -> Iterator[Key]:
        return iter(sorted(self._keys.values(), key=lambda key: key.key_id))

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key_id: str) -> Key | None:
        """Return the trusted key of this id, or None."""
        return self._keys.get(key_id)

    @cached_property
    def profiles(self) -> tuple[Profile, ...]:
        """The trusted profiles without the built-in one, ascending by name."""
        return tuple(self._profiles[name] for name in sorted(self._profiles))

    def profile(self, name: str) -> Profile | None:
        """Return the trusted profile of this name, or None; never the built-in one."""
        return self._profiles.get(name)

    def with_added(self, other: Iterable[Key]) -> KeySet:
        """Return this set and `other`, which may be a key set with profiles.

        A key set from a file does not bring a removed built-in key back, unless the file names
        that key (K2).

        Raises:
            FormatError: As the constructor; `limit.count` if the result has too many (B4).
        """
        named, profiles = (
            (other.named, other.profiles) if isinstance(other, KeySet) else (tuple(other), ())
        )
        listed = [*self.profiles, *profiles]
        together = KeySet([*self.named, *named], listed, built_in=self.has_built_in)
        require_at_most(len(together), MAX_KEYS, "keys")
        require_at_most(len(together.profiles), MAX_PROFILES, "profiles")
        return together

    def with_profiles(self, profiles: Iterable[Profile]) -> KeySet:
        """Return this set and more profiles.

        Raises:
            FormatError: As the constructor.
        """
        return KeySet(self.named, [*self.profiles, *profiles], built_in=self.has_built_in)

    @property
    def named(self) -> tuple[Key, ...]:
        """The keys that were added, which may include the built-in one."""
        return tuple(self._added.values())

    @property
    def has_built_in(self) -> bool:
        """Whether the built-in key is trusted."""
        return BUILT_IN.key_id in self._keys

    def without(self, key_ids: Collection[str], profiles: Collection[str]) -> KeySet:
        """Return this set without the keys of these ids and the profiles of these names."""
        return KeySet(
            [key for key in self.named if key.key_id not in key_ids],
            [profile for profile in self.profiles if profile.name not in profiles],
            built_in=self.has_built_in and BUILT_IN.key_id not in key_ids,
        )

    @cached_property
    def digest(self) -> str:
        """The key set digest, 64 hexadecimal digits (K3).

        If profiles are trusted, it is of keys and profiles together.
        """
        return hexdigest(canonical(self.to_value() if self.profiles else self._key_values()))

    def to_value(self) -> Object:
        """Return the set as the value of a key set file (K2)."""
        return {
            "keys": self._key_values(),
            "profiles": [profile.to_value() for profile in self.profiles],
        }

    def _key_values(self) -> list[Value]:
        return [key.to_value() for key in self]


# K2: parsing ---------------------------------------------------------------------------------


def _is_name(value: Value) -> bool:
    return isinstance(value, str) and value != ""


def _is_bound(value: Value) -> bool:
    return value is None or instant(value) is not None


def _is_raw_key(value: Value) -> bool:
    return is_digest(value) and is_public_key(bytes.fromhex(value))


def _is_list_of_text(value: Value) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_MEMBERS = {
    "key_id": (_is_name, "a string that is not empty"),
    "algorithm": (lambda value: value == "ed25519", 'the string "ed25519"'),
    "public_key_hex": (_is_raw_key, "64 lowercase hexadecimal digits of an Ed25519 public key"),
    "signer_id": (_is_name, "a string that is not empty"),
    "signer_type": (_is_name, "a string that is not empty"),
    "valid_from": (_is_bound, "a time, or null for no bound"),
    "valid_until": (_is_bound, "a time, or null for no bound"),
    "event_types": (_is_list_of_text, 'a list of strings; "*" means every type'),
}


def parse_key(value: Value, where: str = "") -> Key:
    """Return the key that `value` describes; unknown members are ignored (K2).

    Raises:
        FormatError: `keys.shape`, with the JSON Pointer of the fault; `limit.count` (B4).
    """
    key = read_object(value, "keys.shape", where=where)
    for name, (fits, expected) in _MEMBERS.items():
        if name not in key.value or not fits(key.value[name]):
            raise key.fault(f"must be {expected}", name)
    event_types = key.texts("event_types")
    require_at_most(len(event_types), MAX_NAMES, "event types", f"{where}/event_types")
    return Key(
        key_id=key.text("key_id"),
        public_key_hex=key.text("public_key_hex"),
        signer_id=key.text("signer_id"),
        signer_type=key.text("signer_type"),
        valid_from=text_member(value, "valid_from") or None,
        valid_until=text_member(value, "valid_until") or None,
        event_types=tuple(event_types),
        may_revoke_others=key.boolean("may_revoke_others", default=False),
    )


def parse_key_set(data: bytes, *, built_in: bool = True) -> KeySet:
    """Read a key set file, `{"keys": [...]}`: the built-in key and what the file adds (K2).

    Trusted profiles are in `"profiles": [...]`, which may be absent. A fault in any key or profile
    refuses the whole file.

    Args:
        data: The file.
        built_in: Whether the built-in key is in the set if the file does not name it; false for
            a file that holds a whole set, as `KeySet.to_value` writes it.

    Raises:
        FormatError: A code of V1, `keys.shape`, `keys.conflict`, `profile.shape`,
            `profile.unsafe`, `profile.conflict`, or `limit.count` (B4).
    """
    value = decode(data)
    if not isinstance(value, dict) or not isinstance(listed := value.get("keys"), list):
        raise FormatError("keys.shape", 'a key set file must be {"keys": [...]}')
    profiles = value.get("profiles", [])
    if not isinstance(profiles, list):
        raise FormatError("keys.shape", "must be a list, or absent", where="/profiles")
    require_at_most(len(listed), MAX_KEYS, "keys", "/keys")
    require_at_most(len(profiles), MAX_PROFILES, "profiles", "/profiles")
    keys = [parse_key(key, f"/keys/{index}") for index, key in enumerate(listed)]
    trusted = [_trusted(one, f"/profiles/{index}") for index, one in enumerate(profiles)]
    return KeySet(keys, trusted, built_in=built_in)


def _trusted(value: Value, where: str) -> Profile:
    return require_safe(read_profile(value, where), where)


BUILT_IN = parse_key(
    {
        "key_id": "pith-v1-2026-05",
        "algorithm": "ed25519",
        "public_key_hex": "b2d552b68890857171a78b36a5dccf368a953413288c353f7c9d9d6f94b709b3",
        "signer_id": "pith.science",
        "signer_type": "pith_registry",
        "valid_from": None,
        "valid_until": None,
        "event_types": ["*"],
        "may_revoke_others": True,
    }
)
"""The key of the registry, from its manifest (K2)."""
