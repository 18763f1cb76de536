"""Envelopes as data: what of an event is hashed, what is signed, and how both are spelled.

The registry publishes no envelope. E1 to E3 are this mirror's reading, and one profile here,
`MIRROR_V1`; the findings of S4 are another. A profile that somebody proposes is held against real
events: it is proved by signatures of trusted keys, or it is nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from mirror.core.json_pointer import get_pointer, is_below, remove_pointers, split_pointer
from mirror.core.values import Object, Value, ascii_form, canonical, sha256

__all__ = [
    "DIGEST_BYTES",
    "ENCODINGS",
    "FORMS",
    "INTEGRITY_V1",
    "MIRROR_V1",
    "PROFILE_TYPE",
    "PROFILE_VERSION",
    "ROLES",
    "SIGNATURE_BYTES",
    "Encoding",
    "Field",
    "IdRule",
    "Profile",
    "SignatureRule",
    "SignedContent",
    "SignedForm",
    "message",
]

Field: TypeAlias = Literal["type", "subject", "time", "target", "payload", "key"]
ROLES: tuple[Field, ...] = ("type", "subject", "time", "target", "payload", "key")
"""What a profile says the place of, beside id and signature."""

SignedForm: TypeAlias = Literal["digest", "hex", "id", "canonical"]
FORMS: tuple[SignedForm, ...] = ("digest", "hex", "id", "canonical")
"""What a signature may be over: the raw digest, its 64 hexadecimal digits as text, the text of the
id, or the canonical bytes themselves."""

DIGEST_BYTES, SIGNATURE_BYTES = 32, 64

PROFILE_TYPE, PROFILE_VERSION = "pith_event_profile", "1.0"


# Spelling ------------------------------------------------------------------------------------

_ALPHABETS = {
    "hex": re.compile(r"(?:[0-9a-f]{2})+"),
    "base64": re.compile(r"(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
    "base64url": re.compile(r"[A-Za-z0-9_-]+"),
    "base64url-padded": re.compile(
        r"(?=.)(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?"
    ),
    "hex-upper": re.compile(r"(?:[0-9A-F]{2})+"),
}
_WRITERS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64url": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "base64url-padded": lambda data: base64.urlsafe_b64encode(data).decode(),
    "hex-upper": lambda data: data.hex().upper(),
}
ENCODINGS = tuple(_ALPHABETS)
"""Hexadecimal, lowercase or uppercase; RFC 4648 section 4 with padding, and section 5 without and
with padding."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes are written as text."""

    prefix: str
    """What stands before them, such as `sha256:`."""
    encoding: str
    """One of `ENCODINGS`."""

    def write(self, data: bytes) -> str:
        """Return the text of some bytes."""
        return self.prefix + _WRITERS[self.encoding](data)

    def read(self, text: Value) -> bytes | None:
        """Return the bytes that a text spells in just this way, or None."""
        if not isinstance(text, str) or not text.startswith(self.prefix):
            return None
        rest = text[len(self.prefix) :]
        if _ALPHABETS[self.encoding].fullmatch(rest) is None:
            return None
        if self.encoding.startswith("hex"):
            return bytes.fromhex(rest)
        others = b"-_" if self.encoding.startswith("base64url") else None
        try:
            data = base64.b64decode(rest + "=" * (-len(rest) % 4), others)
        except ValueError:
            return None
        return data if self.write(data) == text else None  # one spelling of each value, no other


# Profiles ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedContent:
    """The part of an event that is hashed or signed: its canonical bytes or its ASCII form."""

    of: Literal["event", "payload"]
    excluded: tuple[str, ...] = ()
    """Pointers to members of the event that are left out."""
    only: tuple[str, ...] | None = None
    """The names of the members that are taken; None for all but those left out."""
    wrapped: bool = False
    """Whether it is the member `payload` of an object of its own (V4)."""
    ascii: bool = False
    """Whether its ASCII form (V7) is hashed or signed, and not its canonical bytes (V2)."""

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"{self.extent}, in ASCII form (V7)" if self.ascii else self.extent

    @property
    def extent(self) -> str:
        """Which part of an event it is, for people."""
        text = "the payload" if self.of == "payload" else "the event"
        if self.only is not None:
            text = f"the members {', '.join(self.only)} of {text}"
        if self.excluded:
            text = f"{text} less {', '.join(self.excluded)}"
        return f'{{"payload": {text}}}' if self.wrapped else text

    def covers(self, pointer: str, payload: str) -> bool:
        """Whether all that stands at a pointer into the event is in it.

        Args:
            pointer: Where.
            payload: Where the event's payload stands.
        """
        inner = pointer
        if self.of == "payload":
            if payload == "" or not is_below([payload], pointer):
                return False
            inner = pointer[len(payload) :]
        if self.only is not None and {*self.only}.isdisjoint(split_pointer(inner)[:1]):
            return False
        return not is_below(self.excluded, pointer) and not any(
            is_below([pointer], one) for one in self.excluded
        )

    def text(self, event: Object, payload: str) -> bytes:
        """Return the canonical bytes (V2), or the ASCII form (V7).

        Args:
            event: The event.
            payload: Where its payload stands.
        """
        value: Value = (
            get_pointer(event, payload)
            if self.of == "payload"
            else remove_pointers(event, self.excluded)
        )
        if self.only is not None and isinstance(value, dict):
            value = {name: value[name] for name in self.only if name in value}
        text = canonical({"payload": value} if self.wrapped else value)
        return ascii_form(text) if self.ascii else text


@dataclass(frozen=True, slots=True)
class IdRule:
    """Where the id stands, and which digest it is."""

    at: str
    spelling: Encoding
    hashes: SignedContent


@dataclass(frozen=True, slots=True)
class SignatureRule:
    """Where the signature stands, and what it is over."""

    at: str
    spelling: Encoding
    form: SignedForm
    signs: SignedContent | None = None
    """None for the text of the id, and for a digest that the event only names."""
    digest_at: str = ""
    """Where the event names the digest that is signed, if nothing says what it is of (S4)."""
    beside: Object | None = field(default=None, compare=False)
    """Exactly the members beside the signature (E1); None for any. No file says this."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One envelope."""

    name: str
    pointers: dict[Field, str]
    """Pointers; what has none is not in the event."""
    id: IdRule | None
    """None where the event's id is no digest of it."""
    signature: SignatureRule
    types: dict[str, str] = field(default_factory=dict)
    """Types of E4 by the names that they have in this envelope; others mean what they say."""

    @property
    def signature_pointers(self) -> tuple[str, ...]:
        """Where signature and id stand: what is never part of what an event says."""
        return (self.signature.at, *([self.id.at] if self.id else []))

    @property
    def signed(self) -> SignedContent | None:
        """What the signature covers in the end; None if a digest is only named."""
        if self.signature.form == "id" and self.id is not None:
            return self.id.hashes
        return self.signature.signs

    def covers(self, pointer: str) -> bool:
        """Whether the signature covers the whole value at a pointer into the event."""
        signed = self.signed
        return signed is not None and signed.covers(pointer, self.pointers.get("payload", ""))

    def to_value(self) -> Object:
        """Return the profile as a file has it; `parse_profile` reads it."""
        rule = self.signature
        return {
            "profile_type": PROFILE_TYPE,
            "profile_version": PROFILE_VERSION,
            "name": self.name,
            "places": {role: self.pointers[role] for role in ROLES if role in self.pointers},
            "types": {name: self.types[name] for name in sorted(self.types)},
            "id": None
            if self.id is None
            else {
                "at": self.id.at,
                "spelling": _spelling_value(self.id.spelling),
                "hashes": _pre_image_value(self.id.hashes),
            },
            "signature": {
                "at": rule.at,
                "spelling": _spelling_value(rule.spelling),
                "form": rule.form,
                "signs": None if rule.signs is None else _pre_image_value(rule.signs),
                "digest_at": rule.digest_at or None,
            },
        }


def _spelling_value(spelling: Encoding) -> Object:
    return {"prefix": spelling.prefix, "encoding": spelling.encoding}


def _pre_image_value(pre_image: SignedContent) -> Object:
    only = pre_image.only
    return {
        "of": pre_image.of,
        "less": list(pre_image.excluded),
        "only": None if only is None else list(only),
        "wrapped": pre_image.wrapped,
        "ascii": pre_image.ascii,
    }


# What an event comes to under a profile ------------------------------------------------------


def message(event: Object, profile: Profile) -> bytes | None:
    """Return the bytes that the event's signature should be over; None where there are none."""
    rule, payload = profile.signature, profile.pointers.get("payload", "")
    if rule.form == "id":
        text = get_pointer(event, profile.id.at) if profile.id else None
        return text.encode() if isinstance(text, str) else None
    if rule.digest_at:
        digest = Encoding("", "hex").read(get_pointer(event, rule.digest_at))
        return digest if digest is not None and len(digest) == DIGEST_BYTES else None
    text_bytes = cast("SignedContent", rule.signs).text(event, payload)
    if rule.form == "canonical":
        return text_bytes
    hashed = sha256(text_bytes)
    return hashed.hex().encode() if rule.form == "hex" else hashed


# Built in ------------------------------------------------------------------------------------

_UNSIGNED = SignedContent("event", excluded=("/event_id", "/signature"))

MIRROR_V1 = Profile(
    name="mirror-v1",
    pointers={
        "type": "/event_type",
        "subject": "/subject_pith_number",
        "time": "/created_at",
        "target": "/target",
        "payload": "/payload",
        "key": "/signer/key_id",
    },
    id=IdRule("/event_id", Encoding("sha256:", "hex"), _UNSIGNED),
    signature=SignatureRule(
        "/signature/signature_b64",
        Encoding("", "base64"),
        "digest",
        _UNSIGNED,
        beside={"algorithm": "ed25519"},
    ),
)
"""E1 to E3 and S3, as far as id and signature go."""

INTEGRITY_V1 = Profile(
    name="integrity-v1",
    pointers={"type": "/event_type", "time": "/created_at", "key": "/signing_key_id"},
    id=None,
    signature=SignatureRule(
        "/signature_b64", Encoding("", "base64"), "digest", digest_at="/payload_sha256"
    ),
)
"""A finding of upstream's `integrity.json` (S4). It may come without its payload, so what is signed
is the digest that it names; `mirror.core.events.integrity_finding` compares the payload with it."""
