"""Events: the envelope, the digest, the types, and the checks of E3 (rules E1 to E4, S3).

This module verifies an event under the built-in profile `mirror-v1`. The trusted profiles are in
`mirror.core.events.profile_verdict`; the verdict over all profiles is in
`mirror.core.events.verdict`.

What a payload must hold, type by type, is the table of `mirror.core.events.types` (E4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from mirror.core.events.types import EVENT_TYPES, EventType, PayloadContext, is_event_id
from mirror.core.keys import Key, KeySet
from mirror.core.msgpack_values import might_contain_float, pack
from mirror.core.profile import MIRROR_V1
from mirror.core.receipt import Fault
from mirror.core.record import Record, is_pith_number
from mirror.core.values import (
    Object,
    Value,
    canonical,
    encode_integers,
    exact,
    instant,
    nesting,
    nests_within,
    raw_fragment,
    sha256,
)

__all__ = [
    "EVENT_CODES",
    "KEY_FREE_CODES",
    "MAX_EVENT_BYTES",
    "MAX_PAYLOAD_DEPTH",
    "EncodedEvent",
    "Event",
    "InvalidEvent",
    "ValidEvent",
    "check_envelope",
    "check_type",
    "find_fault",
    "is_event_type",
    "is_target",
    "is_valid_fast",
]

MAX_EVENT_BYTES = 1_048_576
"""Canonical bytes of a whole event, `event_id` and `signature` included (E1)."""

MAX_PAYLOAD_DEPTH = 32
"""Nesting of `payload`, itself being 1 (E1)."""


_NO_PAYLOAD = canonical(None)


@dataclass(slots=True)
class EncodedEvent:
    """A value of a bundle's `events` before its verdict, encoded once for all that need it."""

    value: Value
    encoded: bytes
    """Its canonical bytes (V2)."""
    digest: bytes
    """sha256(encoded), 32 raw bytes."""
    packed: bytes
    """The value as MessagePack, which is how it is kept."""
    payload_text: bytes
    """The canonical bytes of its payload; of null where it has none."""
    _body: Value
    """The value, its payload embedded as encoded where that can be."""
    is_plain: bool
    """Whether no float is in it, and its payload nests no deeper than E1 allows."""

    @classmethod
    def of(cls, value: Value) -> EncodedEvent:
        """Encode and hash `value`; where it holds no float, in the quickest way."""
        packed = pack(value)
        payload = value.get("payload") if isinstance(value, dict) else None
        if isinstance(payload, dict) and not might_contain_float(packed):
            payload_text = exact(encode_integers(payload))
            if nests_within(payload_text, MAX_PAYLOAD_DEPTH):
                body: Value = {**cast("Object", value), "payload": raw_fragment(payload_text)}
                encoded = exact(encode_integers(body))
                return cls(
                    value, encoded, sha256(encoded), packed, payload_text, body, is_plain=True
                )
        encoded = exact(canonical(value))
        payload_text = _NO_PAYLOAD if payload is None else exact(canonical(payload))
        return cls(value, encoded, sha256(encoded), packed, payload_text, value, is_plain=False)

    def event_digest(self) -> bytes:
        """Return the event digest, 32 raw bytes: less `event_id` and `signature` (E2)."""
        signed = dict(cast("Object", self._body))
        signed.pop("event_id", None)
        signed.pop("signature", None)
        return sha256(encode_integers(signed) if self.is_plain else canonical(signed))


# What verdicts give --------------------------------------------------------------------------


@dataclass(slots=True)
class ValidEvent:
    """An event that passed every check of E3, with what the merge asks of it."""

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
    key_id: str
    authority: tuple[str, str]
    """(`signer_id`, `signer_type`): who speaks, whichever key it used."""
    payload: Object
    slot_key: tuple[str | None, ...]
    """What the event speaks of (E4); `()` for a log."""
    statement: Object
    """What it says, in the members of E1: itself, unless a profile has other names for them."""
    profile: str = MIRROR_V1.name
    """The profile under which it passed."""
    signed: bytes | None = None
    """The SHA-256 of what is signed, under a trusted profile; else the id says that."""

    @property
    def source(self) -> tuple[str, bytes]:
        """The key, by its fingerprint, and what it signed: whatever else stands beside that."""
        signer = cast("dict[str, str]", self.statement["signer"])
        signed = self.signed or sha256(bytes.fromhex(self.event_id.removeprefix("sha256:")))
        return signer["public_key_fingerprint"], signed

    @classmethod
    def of(
        cls,
        value: Object,
        digest: bytes,
        payload_text: bytes | None = None,
        said: Object | None = None,
        profile: str = MIRROR_V1.name,
    ) -> ValidEvent:
        """Take an event that was found valid, now or when a store kept its verdict.

        Args:
            value: The event.
            digest: As above.
            payload_text: As above; None to encode it here.
            said: As above; None if it is `value`.
            profile: As above.
        """
        said = value if said is None else said
        signer = cast("dict[str, str]", said["signer"])
        payload = cast("Object", said["payload"])
        event_type = cast("str", said["event_type"])
        kind = EVENT_TYPES.get(event_type)
        return cls(
            value,
            digest,
            canonical(payload) if payload_text is None else payload_text,
            cast("str", said["event_id"]),
            event_type,
            cast("int", instant(said["created_at"])),
            signer["key_id"],
            (signer["signer_id"], signer["signer_type"]),
            payload,
            () if kind is None else kind.slot_key(payload),
            said,
            profile,
        )

    @property
    def is_withdrawn(self) -> bool:
        """Whether the event's own words take it back (M5)."""
        kind = EVENT_TYPES.get(self.event_type)
        return kind is not None and kind.is_withdrawn(self.payload)


@dataclass(slots=True)
class InvalidEvent:
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


def _is_text(value: Value) -> bool:
    return isinstance(value, str)


def _is_object(value: Value) -> bool:
    return isinstance(value, dict)


def is_event_type(value: Value) -> bool:
    """Whether `value` is written as the type of an event is (E1)."""
    if not isinstance(value, str):
        return False
    return value in EVENT_TYPES or _EVENT_TYPE.fullmatch(value) is not None


def is_target(value: Value) -> bool:
    """Whether `value` is written as a target is (E1)."""
    return isinstance(value, str) and 1 <= len(value) <= 128


def _is_signer(value: Value) -> bool:
    if not isinstance(value, dict):
        return False
    for name in _SIGNER_MEMBERS:
        member = value.get(name)
        if not isinstance(member, str) or not member:
            return False
    return True


_ENVELOPE: tuple[tuple[str, Callable[[Value], bool], str], ...] = (
    ("event_type", is_event_type, "1 to 64 of a-z, 0-9, dot and underscore"),
    ("subject_pith_number", is_pith_number, "a Pith Number"),
    ("target", is_target, "a string of 1 to 128 code points"),
    ("payload", _is_object, "an object"),
    ("created_at", _is_text, "a string"),
    ("signer", _is_signer, f"an object with the non-empty strings {', '.join(_SIGNER_MEMBERS)}"),
    ("event_id", is_event_id, '"sha256:" and 64 lowercase hexadecimal digits'),
    ("signature", _is_object, "an object"),
)


def check_envelope(value: Value) -> str | None:
    """Return why `value` lacks the members that E1 asks of an event, or None."""
    if not isinstance(value, dict):
        return "an event must be an object"
    for name, fits, expected in _ENVELOPE:
        if name not in value:
            return f"the member {name} is missing"
        if not fits(value[name]):
            return f"{name} must be {expected}"
    return None


def _check_shape(raw: EncodedEvent) -> str | None:  # E1
    reason = check_envelope(raw.value)
    if reason is not None:
        return reason
    if len(raw.encoded) > MAX_EVENT_BYTES:
        return f"its canonical bytes are {len(raw.encoded)}, more than {MAX_EVENT_BYTES}"
    if nesting(raw.payload_text) > MAX_PAYLOAD_DEPTH:
        return f"its payload nests deeper than {MAX_PAYLOAD_DEPTH}"
    return None


# E3: the verdict -----------------------------------------------------------------------------

EVENT_CODES = (
    "event.shape",
    "event.id",
    "event.subject",
    "event.time",
    "event.key_unknown",
    "event.key_mismatch",
    "event.key_window",
    "event.signature",
    "event.role",
    "event.payload",
)
"""The codes of E3 in their order."""

KEY_FREE_CODES = frozenset(EVENT_CODES[: EVENT_CODES.index("event.key_unknown")])
"""The codes that no change of the key set can lift."""


def is_valid_fast(raw: EncodedEvent, record: Record, keys: KeySet) -> bool:
    """Whether an event passes every check of E3; False also where that takes a closer look.

    An event that equals what it must be needs no look at its shape: most events pass here. That
    this agrees with `first_fault`, which names what is wrong, is a property in the tests.
    """
    if not raw.is_plain or len(raw.encoded) > MAX_EVENT_BYTES:
        return False
    event = cast("Object", raw.value)
    try:
        signer = cast("dict[str, str]", event["signer"])
        signature = cast("Object", event["signature"])
        event_type = cast("str", event["event_type"])
        key, kind = keys.get(signer["key_id"]), EVENT_TYPES.get(event_type)
        at = instant(event["created_at"])
        digest = raw.event_digest()
        return (
            key is not None
            and at is not None
            and event["event_id"] == f"sha256:{digest.hex()}"
            and event["subject_pith_number"] == record.pith_number
            and (kind is not None or _EVENT_TYPE.fullmatch(event_type) is not None)
            and is_target(event["target"])
            and key.signer.items() <= signer.items()
            and len(signature) == 2
            and signature["algorithm"] == "ed25519"
            and key.is_valid_at(at)
            and key.may_sign(event_type)
            and key.verify(digest, signature["signature_b64"])
            and (kind is None or _fits(kind, event, record, keys))
        )
    except (KeyError, TypeError, AttributeError):
        return False  # its shape is wrong


def _fits(kind: EventType, event: Object, record: Record, keys: KeySet) -> bool:  # E4
    payload = cast("Object", event["payload"])
    return kind.fault(event["target"], payload, PayloadContext(record, keys)) is None


def find_fault(raw: EncodedEvent, record: Record, keys: KeySet) -> Fault:
    """Return code and reason of the first check of E3 that fails, or None.

    The checks run in their order; each may rely on those before it.
    """
    reason = _check_shape(raw)
    if reason is not None:
        return "event.shape", reason
    event = cast("Object", raw.value)
    digest = raw.event_digest()
    if event["event_id"] != f"sha256:{digest.hex()}":  # E2
        return "event.id", f"its content gives the id sha256:{digest.hex()}"
    if event["subject_pith_number"] != record.pith_number:
        return "event.subject", f"it speaks of {event['subject_pith_number']}, another record"
    at = instant(event["created_at"])
    if at is None:  # V5
        return "event.time", "created_at is not a time such as 2026-05-18T00:41:52Z"
    signer = cast("dict[str, str]", event["signer"])
    key = keys.get(signer["key_id"])
    if key is None:  # K2
        return "event.key_unknown", f"no trusted key is named {signer['key_id'][:128]!r}"
    return (
        _check_signer(signer, at, key)
        or _check_signature(digest, event["signature"], key)
        or check_type(event, key, record, keys)
    )


def _check_signer(signer: dict[str, str], at: int, key: Key) -> Fault:  # K1, K2
    for name, value in key.signer.items():
        if signer[name] != value:
            return "event.key_mismatch", f"{name} of key {key.key_id!r} is {value!r}"
    if not key.is_valid_at(at):
        return "event.key_window", f"created_at is outside the window of key {key.key_id!r}"
    return None


def _check_signature(digest: bytes, value: Value, key: Key) -> Fault:  # E1, S3
    signature = cast("Object", value)
    if signature.keys() != {"algorithm", "signature_b64"} or signature["algorithm"] != "ed25519":
        why = 'signature must be {"algorithm": "ed25519", "signature_b64": …} and nothing else'
        return "event.signature", why
    if not key.verify(digest, signature["signature_b64"]):
        return "event.signature", f"not a signature of this event by key {key.key_id!r}"
    return None


def check_type(event: Object, key: Key, record: Record, keys: KeySet) -> Fault:
    """Return why an event of its type may not be by this key, or does not fit E4, or None.

    Args:
        event: What it says, in the members of E1.
        key: Who signed it.
        record: The record of its bundle.
        keys: The trusted keys.
    """
    event_type = cast("str", event["event_type"])
    if not key.may_sign(event_type):  # K2
        return "event.role", f"key {key.key_id!r} may not sign {event_type}"
    kind = EVENT_TYPES.get(event_type)
    if kind is None:
        return None
    payload = cast("Object", event["payload"])
    reason = kind.fault(event["target"], payload, PayloadContext(record, keys))  # E4
    return None if reason is None else ("event.payload", reason)
