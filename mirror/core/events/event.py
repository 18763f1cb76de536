"""Events: the envelope, the digest, and what a verdict gives (rules E1, E2, S3).

The checks of E3 are in `mirror.core.events.checks`, the types of E4 in `mirror.core.events.types`.
Verdicts are made in `mirror.core.events.verdict`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypedDict, TypeGuard, cast

from mirror.core.events.types import EVENT_TYPES, is_event_id
from mirror.core.msgpack_values import might_contain_float, pack
from mirror.core.profile import MIRROR_V1
from mirror.core.record import is_pith_number
from mirror.core.shape import text_member
from mirror.core.values import (
    Object,
    Value,
    canonical,
    encode_integers,
    exact,
    holds_float,
    instant,
    nests_within,
    raw_fragment,
    sha256,
)

__all__ = [
    "ENVELOPE",
    "MAX_EVENT_BYTES",
    "MAX_PAYLOAD_DEPTH",
    "EncodedEvent",
    "Event",
    "EventMembers",
    "InvalidEvent",
    "MemberRule",
    "ValidEvent",
    "is_event_type",
    "is_target",
]

MAX_EVENT_BYTES = 1_048_576
"""Canonical bytes of a whole event, `event_id` and `signature` included (E1)."""

MAX_PAYLOAD_DEPTH = 32
"""Nesting of `payload`, itself being 1 (E1)."""


_NO_PAYLOAD = canonical(None)


class EventMembers(TypedDict):
    """The members of E1."""

    event_type: str
    subject_pith_number: str
    target: str
    payload: Object
    created_at: str
    signer: dict[str, str]
    event_id: str
    signature: dict[str, Value]


# The events are named tuples: they carry trust, so nothing may write into one, and a frozen
# dataclass of thirteen fields takes five times as long to make.


class EncodedEvent(NamedTuple):
    """A value of a bundle's `events` before its verdict, encoded once; made by `of`."""

    value: Value
    encoded: bytes
    """Its canonical bytes (V2)."""
    digest: bytes
    """sha256(encoded), 32 raw bytes."""
    packed: bytes
    """The value as MessagePack, as a store keeps it."""
    payload_text: bytes
    """The canonical bytes of its payload; of null if it has none."""
    body: Object
    """The value, its payload as a fragment if the event is plain; empty if it is not an object."""
    is_plain: bool
    """Whether it holds no float outside its payload, which nests no deeper than E1 allows."""

    @property
    def members(self) -> Object:
        """The value if it is an object; else an empty object."""
        return self.value if isinstance(self.value, dict) else {}

    @classmethod
    def of(cls, value: Value) -> EncodedEvent:
        """Encode and hash `value`; faster if it holds no float."""
        packed = pack(value)
        members = value if isinstance(value, dict) else {}
        payload = members.get("payload")
        has_float = might_contain_float(packed)
        if isinstance(payload, dict) and not (has_float and _holds_float_outside(members)):
            payload_text = exact(canonical(payload) if has_float else encode_integers(payload))
            if nests_within(payload_text, MAX_PAYLOAD_DEPTH):
                body: Object = {**members, "payload": raw_fragment(payload_text)}
                encoded = exact(encode_integers(body))
                return cls(
                    value, encoded, sha256(encoded), packed, payload_text, body, is_plain=True
                )
        encoded = exact(canonical(value))
        payload_text = _NO_PAYLOAD if payload is None else exact(canonical(payload))
        return cls(value, encoded, sha256(encoded), packed, payload_text, members, is_plain=False)

    def event_digest(self) -> bytes:
        """Return the event digest, 32 raw bytes: without `event_id` and `signature` (E2)."""
        signed = dict(self.body)
        signed.pop("event_id", None)
        signed.pop("signature", None)
        return sha256(encode_integers(signed) if self.is_plain else canonical(signed))


def _holds_float_outside(event: Object) -> bool:
    """Whether a float is in an event outside its payload."""
    return any(holds_float(value) for name, value in event.items() if name != "payload")


# What verdicts give --------------------------------------------------------------------------


class ValidEvent(NamedTuple):
    """An event that passed every check of E3, with the fields that a merge reads; made by `of`."""

    value: Object
    """The event as it came."""
    digest: bytes
    """sha256(canonical(value)), 32 raw bytes; not the event digest, which leaves out the id."""
    payload_text: bytes
    """The canonical bytes of the payload."""
    event_id: str
    event_type: str
    instant: int
    """`created_at` in microseconds."""
    authority: tuple[str, str]
    """`signer_id` and `signer_type`: the signer, whichever key it used."""
    slot_key: tuple[str | None, ...]
    """The subject of the event (E4); `()` for a log."""
    statement: EventMembers
    """The signed content in the members of E1: the event itself, unless a profile names them
    otherwise."""
    profile: str = MIRROR_V1.name
    """The profile under which it passed."""
    signed: bytes = b""
    """The SHA-256 of the signed message under a trusted profile; else empty: the id says that."""

    @property
    def key_id(self) -> str:
        """The key that signed."""
        return self.statement["signer"]["key_id"]

    @property
    def payload(self) -> Object:
        """The payload."""
        return self.statement["payload"]

    @property
    def source(self) -> tuple[str, bytes]:
        """The fingerprint of the key and the SHA-256 of the message that it signed."""
        signed = self.signed or sha256(bytes.fromhex(self.event_id.removeprefix("sha256:")))
        return self.statement["signer"]["public_key_fingerprint"], signed

    @classmethod
    def of(
        cls,
        value: Object,
        digest: bytes,
        payload_text: bytes | None = None,
        statement: Object | None = None,
    ) -> ValidEvent:
        """Return an event that was found valid, now or when a store kept its verdict.

        Args:
            value: The event.
            digest: sha256(canonical(value)), 32 raw bytes.
            payload_text: The canonical bytes of the payload; None to encode it here.
            statement: The signed content in the members of E1; None if it is `value`.
        """
        # Every member has the type that E1 asks for, or the event were not valid.
        members = cast("EventMembers", value if statement is None else statement)
        signer, payload = members["signer"], members["payload"]
        kind = EVENT_TYPES.get(members["event_type"])
        return cls(
            value,
            digest,
            canonical(payload) if payload_text is None else payload_text,
            members["event_id"],
            members["event_type"],
            cast("int", instant(members["created_at"])),
            (signer["signer_id"], signer["signer_type"]),
            () if kind is None else kind.slot_key(payload),
            members,
        )

    @property
    def is_withdrawn(self) -> bool:
        """Whether the event withdraws itself (M5)."""
        kind = EVENT_TYPES.get(self.event_type)
        return kind is not None and kind.is_withdrawn(self.payload)


class InvalidEvent(NamedTuple):
    """A value of a bundle's `events` that failed a check of E3."""

    value: Value
    digest: bytes
    """sha256(canonical(value)), 32 raw bytes (M10)."""
    code: str
    reason: str
    """Why, as a sentence for people; no rule rests on it."""
    profile: str = MIRROR_V1.name
    """The profile under which it came furthest: whose check failed."""


Event: TypeAlias = ValidEvent | InvalidEvent


# E1: the envelope ----------------------------------------------------------------------------

_EVENT_TYPE = re.compile(r"[a-z0-9._]{1,64}")
_SIGNER_MEMBERS = ("key_id", "public_key_fingerprint", "signer_id", "signer_type")


def is_event_type(value: Value) -> TypeGuard[str]:
    """Whether `value` is written as the type of an event is (E1)."""
    if not isinstance(value, str):
        return False
    return value in EVENT_TYPES or _EVENT_TYPE.fullmatch(value) is not None


def is_target(value: Value) -> TypeGuard[str]:
    """Whether `value` is written as a target is (E1)."""
    return isinstance(value, str) and 1 <= len(value) <= 128


def _is_text(value: Value) -> bool:
    return isinstance(value, str)


def _is_object(value: Value) -> bool:
    return isinstance(value, dict)


def _is_signer(value: Value) -> bool:
    return all(text_member(value, name) for name in _SIGNER_MEMBERS)


MemberRule: TypeAlias = tuple[str, Callable[[Value], bool], str]
"""The JSON Pointer of a member, what it must be, and the same in words."""

ENVELOPE: tuple[MemberRule, ...] = (
    ("/event_type", is_event_type, "1 to 64 of a-z, 0-9, dot and underscore"),
    ("/subject_pith_number", is_pith_number, "a Pith Number"),
    ("/target", is_target, "a string of 1 to 128 code points"),
    ("/payload", _is_object, "an object"),
    ("/created_at", _is_text, "a string"),
    ("/signer", _is_signer, f"an object with the non-empty strings {', '.join(_SIGNER_MEMBERS)}"),
    ("/event_id", is_event_id, '"sha256:" and 64 lowercase hexadecimal digits'),
    ("/signature", _is_object, "an object"),
)
"""The members of E1."""
