"""Profiles: the part of an event that is hashed and signed, and the encodings, as data.

The registry publishes no envelope. `MIRROR_V1` is the envelope of E1 to E3, which this mirror
chose, and `INTEGRITY_V1` that of the findings of S4. A proposed profile is compared with real
events: only signatures of trusted keys prove it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mirror.core.json_pointer import get_pointer, is_below, remove_pointers, split_pointer
from mirror.core.values import Object, Value, ascii_form, canonical, sha256

__all__ = [
    "DIGEST_BYTES",
    "ENCODINGS",
    "FIELDS",
    "FORMS",
    "INTEGRITY_V1",
    "MIRROR_V1",
    "PARTS",
    "PROFILE_TYPE",
    "PROFILE_VERSION",
    "SIGNATURE_BYTES",
    "Encoding",
    "Field",
    "IdRule",
    "Profile",
    "SignatureRule",
    "SignedContent",
    "SignedForm",
    "is_built_in",
    "message",
]

Field: TypeAlias = Literal["type", "subject", "time", "target", "payload", "key"]
FIELDS: tuple[Field, ...] = ("type", "subject", "time", "target", "payload", "key")
"""The fields that a profile has pointers to, beside id and signature."""

SignedForm: TypeAlias = Literal["digest", "hex", "id", "canonical"]
FORMS: tuple[SignedForm, ...] = ("digest", "hex", "id", "canonical")
"""The message of a signature: the raw digest, its 64 hexadecimal digits as text, the text of the
id, or the canonical bytes themselves."""

Part: TypeAlias = Literal["event", "payload"]
PARTS: tuple[Part, ...] = ("event", "payload")
"""The part of an event that is hashed."""

DIGEST_BYTES, SIGNATURE_BYTES = 32, 64

PROFILE_TYPE, PROFILE_VERSION = "pith_event_profile", "1.0"


# Encoding ------------------------------------------------------------------------------------

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
    """An encoding of bytes as text."""

    prefix: str
    """A prefix, such as `sha256:`."""
    encoding: str
    """One of `ENCODINGS`."""

    def write(self, data: bytes) -> str:
        """Return the text of some bytes."""
        return self.prefix + _WRITERS[self.encoding](data)

    def read(self, text: Value) -> bytes | None:
        """Return the bytes of a text; None if the text is not what `write` returns."""
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
        return data if self.write(data) == text else None  # each value has one text


# Profiles ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedContent:
    """The part of an event that is hashed or signed: its canonical bytes or its ASCII form."""

    of: Part
    excluded: tuple[str, ...] = ()
    """Pointers to members of the event that are left out."""
    only: tuple[str, ...] | None = None
    """The names of the members that are taken; None for all that are not excluded."""
    wrapped: bool = False
    """Whether it is hashed as `{"payload": …}` (V4)."""
    ascii: bool = False
    """Whether its ASCII form (V7) is hashed or signed, instead of its canonical bytes (V2)."""

    @property
    def words(self) -> str:
        """A description for a person."""
        return f"{self.extent}, in ASCII form (V7)" if self.ascii else self.extent

    @property
    def extent(self) -> str:
        """The part of the event, for a person."""
        text = "the payload" if self.of == "payload" else "the event"
        if self.only is not None:
            text = f"the members {', '.join(self.only)} of {text}"
        if self.excluded:
            text = f"{text} less {', '.join(self.excluded)}"
        return f'{{"payload": {text}}}' if self.wrapped else text

    def covers(self, pointer: str, payload: str) -> bool:
        """Whether the whole value at a pointer into the event is in it.

        Args:
            pointer: The pointer.
            payload: The pointer to the event's payload.
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
            payload: The pointer to its payload.
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
    """The pointer to the id, its encoding, and the content that it is the digest of."""

    at: str
    spelling: Encoding
    hashes: SignedContent


@dataclass(frozen=True, slots=True)
class SignatureRule:
    """The pointer to the signature, its encoding, and the message that it is over."""

    at: str
    spelling: Encoding
    form: SignedForm
    signs: SignedContent | None = None
    """None if the message is the id, or a digest that the event names."""
    digest_at: str = ""
    """The pointer to a digest in the event that is signed as it is (S4)."""
    beside: Object | None = field(default=None, compare=False)
    """Exactly the members beside the signature (E1); None for any. No file says this."""


@dataclass(frozen=True, slots=True)
class Profile:
    """An envelope."""

    name: str
    pointers: dict[Field, str]
    """JSON Pointers; a field without one is not in the event."""
    id: IdRule | None
    """None if the id of an event is not a digest of it."""
    signature: SignatureRule
    types: dict[str, str] = field(default_factory=dict)
    """Types of E4 by their names in this envelope; other names mean themselves."""

    @property
    def signature_pointers(self) -> tuple[str, ...]:
        """The pointers to signature and id, which no signature need cover."""
        return (self.signature.at, *([self.id.at] if self.id else []))

    @property
    def signed(self) -> SignedContent | None:
        """The content that the signature covers, be it by its digest; None if that is not known."""
        if self.signature.form == "id" and self.id is not None:
            return self.id.hashes
        return self.signature.signs

    @property
    def excluded(self) -> tuple[str, ...]:
        """Pointers to the members that the signed content leaves out by name."""
        return () if self.signed is None else self.signed.excluded

    def covers(self, pointer: str) -> bool:
        """Whether the signature covers the whole value at a pointer into the event."""
        signed = self.signed
        return signed is not None and signed.covers(pointer, self.pointers.get("payload", ""))

    def to_value(self) -> Object:
        """Return the profile as the value of a file that `parse_profile` reads."""
        rule = self.signature
        return {
            "profile_type": PROFILE_TYPE,
            "profile_version": PROFILE_VERSION,
            "name": self.name,
            "places": {field: self.pointers[field] for field in FIELDS if field in self.pointers},
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


# The message of a signature ------------------------------------------------------------------


def message(event: Object, profile: Profile) -> bytes | None:
    """Return the message that the event's signature should be over; None if it has none."""
    rule, payload = profile.signature, profile.pointers.get("payload", "")
    if rule.form == "id":
        text = get_pointer(event, profile.id.at) if profile.id else None
        return text.encode() if isinstance(text, str) else None
    if rule.digest_at:
        digest = Encoding("", "hex").read(get_pointer(event, rule.digest_at))
        return digest if digest is not None and len(digest) == DIGEST_BYTES else None
    if rule.signs is None:
        return None
    text_bytes = rule.signs.text(event, payload)
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


def is_built_in(name: str) -> bool:
    """Whether the built-in profile has this name."""
    return name == MIRROR_V1.name


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
